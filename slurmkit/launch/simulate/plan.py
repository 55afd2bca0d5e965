"""What a simulation replaces in a job: a fixed list, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from slurmkit.launch.simulate.nodes import node_address, node_name

if TYPE_CHECKING:
    from slurmkit.launch.simulate.machine import Machine
    from slurmkit.spec.model import JobSpec

_INTERFACE_VARIABLES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")


@dataclass(frozen=True)
class Replacement:
    """One thing that differs from the job on a cluster."""

    what: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.was} -> {self.now}"


@dataclass
class _Changes:
    """Changes to a job, and how a person is told of them."""

    changes: dict[str, Any] = field(default_factory=dict)
    replacements: list[Replacement] = field(default_factory=list)

    def set(self, part: str, **fields: Any) -> None:
        self.changes.setdefault(part, {}).update(fields)

    def tell(self, what: str, was: object, now: object) -> None:
        if was != now:
            self.replacements.append(Replacement(what, str(was), str(now)))


def plan(
    spec: JobSpec, nodes: int | None, processes_per_node: int | None, machine: Machine
) -> tuple[JobSpec, list[Replacement]]:
    """Return the job as it can run on one machine, and all that was replaced. Pure.

    Args:
        spec: the job as it would be submitted.
        nodes: number of nodes to pretend; None for the job's own.
        processes_per_node: training processes a node; None for the job's own.
        machine: what there is to share out.

    Raises:
        SpecError: the job with its replacements is no valid job.
    """
    nodes = nodes or spec.resources.nodes
    processes = processes_per_node or spec.processes_per_node
    found = _Changes()
    _shape(found, spec, nodes, processes)
    _gpus(found, spec, nodes * processes, processes, machine)
    _cpus(found, spec, nodes, processes, machine)
    _network(found, spec, nodes)
    _skipped(found, spec)
    if spec.sweep:
        at_once = f"up to {spec.sweep_limit}" if spec.sweep_limit else "as many as Slurm lets"
        found.tell("tasks of the array at once", at_once, "one after another, in their order")
    planned = spec.replace(found.changes)
    ours = planned.environment.python
    found.tell("Python", spec.environment.python or "the job's own", ours or "the job's own")
    return planned, found.replacements


def _shape(found: _Changes, spec: JobSpec, nodes: int, processes: int) -> None:
    resources = spec.resources
    found.tell("nodes", resources.nodes, nodes)
    found.tell("processes a node", spec.processes_per_node, processes)
    found.set("resources", nodes=nodes, processes_per_node=processes)
    for name in ("nodelist", "exclude"):  # names of the cluster's nodes, which these are not
        if getattr(resources, name) is not None:
            found.tell(name, getattr(resources, name), "left out")
            found.set("resources", **{name: None})


def _gpus(found: _Changes, spec: JobSpec, ranks: int, processes: int, machine: Machine) -> None:
    asked = spec.resources.gpus_per_node
    if not asked:
        return
    if len(machine.gpus) >= ranks:
        found.tell("GPUs a node", asked, processes)
        found.set("resources", gpus_per_node=processes)
        return
    have = f"this machine has {len(machine.gpus) or 'none'} for {ranks} ranks"
    found.tell("GPUs a node", asked, f"none ({have})")
    found.set("resources", gpus_per_node=0, gpu_type=None)


def _cpus(found: _Changes, spec: JobSpec, nodes: int, processes: int, machine: Machine) -> None:
    asked = spec.resources.cpus_per_node
    if asked is None:
        return
    share = max(processes, min(asked, machine.cpus // nodes))
    found.tell("CPUs a node", asked, share)
    found.set("resources", cpus_per_node=share)


def _network(found: _Changes, spec: JobSpec, nodes: int) -> None:
    last = nodes - 1
    addresses = f"{node_address(0)} (shown as {node_name(0)})"
    if last:
        dots = " to " if last > 1 else ", "
        addresses += f"{dots}{node_address(last)} ({node_name(last)})"
    found.tell("node addresses", "from Slurm", addresses)
    if spec.site.host_suffix:
        found.tell("suffix of node names", spec.site.host_suffix, "none")
        found.set("site", host_suffix="")
    environment = spec.environment
    found.tell("network interface", environment.network_interface or "any", "lo")
    found.set("environment", network_interface="lo")
    for name in _INTERFACE_VARIABLES:
        if name in environment.variables:
            found.tell(name, environment.variables[name], "lo")
            found.changes["environment"].setdefault("variables", {})[name] = "lo"
        if values := spec.sweep.get(field := f"environment.variables.{name}"):
            found.tell(f"sweep.{field}", f"{len(values)} values", "lo")
            found.set("sweep", **{field: ["lo"] * len(values)})


def _skipped(found: _Changes, spec: JobSpec) -> None:
    if modules := spec.environment.modules:
        found.tell("modules", " ".join(modules), "skipped; what they bring must be there already")
        found.set("environment", modules=[])
    if spec.container is not None:
        found.tell("container", spec.container.image, "skipped; the program runs outside it")
        found.changes["container"] = None
