"""A job as shell scripts for hosts without Slurm: one a host, each standing alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from slurmkit.render import container, entrypoint, quoting
from slurmkit.render.script import context
from slurmkit.render.templates import template
from slurmkit.spec.dump import dump_job
from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

JOIN_TIMEOUT = 900
"""Seconds for which nodes wait for one another, unless launcher.join_timeout says otherwise."""
GRACE = 40
"""Seconds from TERM to KILL: torchrun gives its workers 30."""

_IDS = range(100_000_000, 1_000_000_000)
"""Above the largest id that Slurm gives (67,043,328)."""
_NAMES = {
    "rank": "SLURMKIT_NODE_RANK",
    "count": "SLURMKIT_NODE_COUNT",
    "name": "SLURMKIT_NODE",
    "cpus": "SLURMKIT_CPUS",
    "job": "SLURMKIT_JOB_ID",
}
_NUMERIC = re.compile(r"[0-9.]+\Z|.*:")


def render_hosts(
    spec: JobSpec,
    hosts: Sequence[str],
    *,
    master: str | None = None,
    job_id: int | None = None,
    started_there: bool = False,
) -> dict[str, str]:
    """Return the script of each host by its file name: `launch_node0.sh`, ….

    Pure: the same arguments give the same bytes.

    Args:
        spec: the job; its `resources.nodes` is the number of hosts.
        hosts: the nodes' addresses in the order of their numbers, as they reach each other.
        master: another address of the first host, at which the processes meet.
        job_id: names the run directory and gives the port; by default it follows from the job.
        started_there: whether who starts the scripts has gone to the start directory already.

    Raises:
        SpecError: the job asks for what there is only under Slurm.
    """
    refuse_unsupported(spec)
    addresses = node_addresses(spec, hosts)
    job_id = default_id(spec, hosts) if job_id is None else job_id
    meeting, port = master or addresses[0], port_of(spec, job_id)
    count, what = len(addresses), _shape(spec)
    scripts = {}
    for rank in range(count):
        role = "MASTER" if rank == 0 else "WORKER"
        nodes = f"{count} node{'s' if count > 1 else ''}"
        title = f"{role} NODE (node {rank}), master {meeting}:{port}, {nodes}, {what} a node"
        names = {
            "title": title,
            "title_word": quoting.word(title),
            "rank": rank,
            "job_id": job_id,
            "addresses": [quoting.word(address) for address in addresses],
            "master": quoting.word(meeting),
            "port": port,
            "node": _NAMES,
            "on_hosts": True,
            "join_timeout": spec.launcher.join_timeout or JOIN_TIMEOUT,
            "grace": grace(spec),
            "cpus_per_node": spec.resources.cpus_per_node,
            "chdir": None if started_there else start_word(spec),
            "container_command": container.command(spec),
            "watched": False,
            "signal_workers": False,
        }
        known = {**context(spec, None), **names}
        scripts[file_name(rank)] = template("hosts/launch.sh.j2").render(known)
    return scripts


@dataclass(frozen=True, slots=True)
class Session:
    """What an SSH session that runs a node's script has to know."""

    job_id: int
    directory: str
    """Where to start, as a word of bash."""
    secrets: Mapping[str, str] = field(repr=False)
    """Variables that are handed on and written nowhere."""
    patience: int
    """Seconds without a word after which the node's part ends."""


def over_ssh(spec: JobSpec, script: str, rank: int, session: Session) -> str:
    """Return what a bash at the other end of an SSH session reads to run a node's script."""
    return template("hosts/over_ssh.sh.j2").render(
        script=entrypoint.verbatim("LAUNCH_SCRIPT", script),
        file=file_name(rank),
        slug=quoting.word(quoting.slug(spec.name)),
        job_id=session.job_id,
        directory=session.directory,
        secrets=[(name, quoting.word(value)) for name, value in session.secrets.items()],
        patience=session.patience,
        grace=grace(spec),
    )


def probe_script(spec: JobSpec, program: str, words: Sequence[str], directory: str) -> str:
    """Return the bash that runs a Python program in the job's environment on a host."""
    return template("hosts/probe.sh.j2").render(
        **{
            **context(spec, None),
            "passed": [],
            "directory": directory,
            "program": entrypoint.verbatim("PROGRAM", program),
            "words": [quoting.word(text) for text in words],
        }
    )


def preflight_scripts(
    spec: JobSpec, addresses: Sequence[str], master: str, job_id: int, directory: str
) -> list[str]:
    """Return the bash that starts the probe of each node, which then reads standard input.

    Args:
        spec: the job, which asks for checks.
        addresses: of the nodes, in the order of their numbers.
        master: where the processes meet.
        job_id: names the run directory, and gives the port.
        directory: where to start, as a word of bash.
    """
    known = {
        **context(spec, None),
        "passed": [],
        "node": _NAMES,
        "on_hosts": True,
        "directory": directory,
        "job_id": job_id,
        "master": quoting.word(master),
        "port": port_of(spec, job_id),
        "cpus_per_node": spec.resources.cpus_per_node,
    }
    form = template("hosts/preflight.sh.j2")
    return [
        form.render(**known, rank=rank, address=quoting.word(address))
        for rank, address in enumerate(addresses)
    ]


def file_name(rank: int) -> str:
    """Return the name of a node's script."""
    return f"launch_node{rank}.sh"


def default_id(spec: JobSpec, hosts: Sequence[str]) -> int:
    """Return an id that all who render this job for these hosts agree on."""
    text = "\n".join([dump_job(spec), *hosts])
    return _IDS[int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % len(_IDS)]


def port_of(spec: JobSpec, job_id: int) -> int:
    """Return the port at which the processes meet."""
    first, last = spec.site.port_range
    port = spec.launcher.port
    return first + job_id % (last - first + 1) if port == "auto" else port


def grace(spec: JobSpec) -> int:
    """Return the seconds from TERM to KILL: those that the workers have to save, and some more."""
    return max(GRACE, spec.requeue.lead_time + 10 if spec.requeue else 0)


def start_word(spec: JobSpec) -> str | None:
    """Return the directory to start in as a word of bash; None for where the script is called."""
    start = spec.sbatch.get("chdir")
    return None if start is None else quoting.path_word(start, "sbatch.chdir")


def node_addresses(spec: JobSpec, hosts: Sequence[str]) -> list[str]:
    """Return how the nodes reach each other: without the user, with the site's suffix to a name."""
    bare = [host.rpartition("@")[2] for host in hosts]
    suffix = spec.site.host_suffix
    return [host if _NUMERIC.match(host) else host + suffix for host in bare]


def left_out(spec: JobSpec) -> list[str]:
    """Return a warning for each part of the job that means nothing without Slurm."""
    found = []
    if spec.requeue:
        found.append("requeue: there is no queue to come back to; the job runs once")
    if spec.launcher.restarts:
        found.append("launcher.restarts: nothing starts the processes again without Slurm")
    if spec.launcher.kind == "srun":
        found.append("launcher.kind: no srun here; the script itself starts a process a rank")
    found += for_slurm_alone(spec)
    if spec.resources.time:
        found.append("resources.time: nobody ends the job after that time")
    return found


def for_slurm_alone(spec: JobSpec) -> list[str]:
    """Return a warning for each part of the job that only sbatch and srun read."""
    found = []
    if spec.launcher.srun:
        found.append("launcher.srun: no srun here; its options are left out")
    if spec.template:
        found.append("template: it is one of the batch script; left out")
    if named := [f"sbatch.{name}" for name in spec.sbatch if name != "chdir"]:
        found.append(f"{', '.join(named)}: for sbatch; left out")
    return found


def refuse_unsupported(spec: JobSpec) -> None:
    """Raise for what cannot be had without Slurm, or would run another job than was meant."""
    problems = []
    if spec.container and spec.container.runtime == "pyxis":
        fix = "write container.runtime: apptainer"
        problems.append(_problem("pyxis is a part of Slurm's srun", "container.runtime", fix))
    if spec.sweep:
        fix = "choose one of its points: --point 0"
        problems.append(_problem("a sweep is many jobs; hosts run one", "sweep", fix))
    if spec.depends_on:
        fix = "wait for those jobs, then --set depends_on={}"
        problems.append(_problem("without Slurm nothing waits for other jobs", "depends_on", fix))
    if problems:
        raise SpecError(problems)


def _problem(what: str, path: str, fix: str) -> Problem:
    return Problem(what, Place("hosts"), path, fix=fix)


def _shape(spec: JobSpec) -> str:
    gpus, processes = spec.resources.gpus_per_node, spec.processes_per_node
    if gpus:
        beside = "" if gpus == processes else f" and {processes} processes"
        return f"{gpus} GPU{'s' if gpus > 1 else ''}{beside}"
    return f"{processes} process{'es' if processes > 1 else ''}"
