"""The options of sbatch and srun that a job comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slurmkit.render.quoting import option_value
from slurmkit.slurm.scalars import format_time, parse_time
from slurmkit.spec.sweep import count_points

if TYPE_CHECKING:
    from slurmkit.slurm.options import Tool
    from slurmkit.spec.model import JobSpec

_REPEATED = ("distribution", "gpu-bind", "hint", "mem-bind")
"""Options of sbatch that reach a step as variables only, which the script clears."""


def sbatch(spec: JobSpec) -> list[str]:
    """Return the options of the `#SBATCH` lines, in a fixed order, quoted for sbatch."""
    resources = spec.resources
    options: list[tuple[str, object]] = [
        ("job-name", spec.name),
        ("array", _array(spec)),
        ("output", "slurmkit-%A_%a.out" if spec.sweep else "slurmkit-%j.out"),
        ("nodes", resources.nodes),
        ("ntasks-per-node", tasks_per_node(spec)),
        ("cpus-per-task", cpus_per_task(spec)),
        *_gpus(spec),
        ("mem", _memory(resources.memory_per_node)),
        ("mem-per-cpu", _memory(resources.memory_per_cpu)),
        ("time", _time(resources.time)),
        ("partition", resources.partition),
        ("account", resources.account),
        ("qos", resources.qos),
        ("constraint", resources.constraint),
        ("reservation", resources.reservation),
        ("nodelist", resources.nodelist),
        ("exclude", resources.exclude),
        ("dependency", _dependency(spec)),
    ]
    lines = [f"--{name}={option_value(str(value))}" for name, value in options if value is not None]
    if resources.exclusive:
        lines.append("--exclusive")
    return [*lines, *_requeue(spec), *_others(spec)]


def srun(spec: JobSpec) -> list[str]:
    """Return the step's own options of srun, not yet quoted for the shell."""
    said = {name: text for name, text in _checked("sbatch", spec.sbatch, spec) if name in _REPEATED}
    said |= dict(_checked("srun", spec.launcher.srun, spec))
    return [*(f"--{name}={value}" for name, value in _gpus(spec)), *filter(None, said.values())]


def _time(text: str | None) -> str | None:
    """Write `10:00`, which is ten minutes and looks like ten hours, so that nobody is misled."""
    if text is None or "-" in text or text.count(":") == 2:
        return text
    seconds = parse_time(text)
    return text if seconds is None else format_time(seconds)


def _memory(text: str | None) -> str | None:
    """Write the unit of a bare number, which Slurm takes for megabytes."""
    return f"{text}M" if text and text.isdigit() and text.strip("0") else text


def tasks_per_node(spec: JobSpec) -> int:
    """Return how many tasks Slurm starts on a node: one agent, or under srun one a process."""
    return spec.processes_per_node if spec.launcher.kind == "srun" else 1


def cpus_per_task(spec: JobSpec) -> int | None:
    """Return the CPUs of a task; None where the site decides."""
    cpus = spec.resources.cpus_per_node
    return None if cpus is None else cpus // tasks_per_node(spec)


def no_gpus(spec: JobSpec) -> str:
    """Return the option, and a blank, that makes a helper step ask for none of the job's GPUs."""
    if not spec.resources.gpus_per_node:
        return ""
    return "--gres=none " if spec.site.gpu_request == "gres" else "--gpus-per-node=0 "


def _gpus(spec: JobSpec) -> list[tuple[str, object]]:
    """Ask for GPUs one way only: Slurm 26.05 refuses --gres=gpu beside --gpus-per-node."""
    resources = spec.resources
    if not resources.gpus_per_node:
        return []
    kind = f"{resources.gpu_type}:" if resources.gpu_type else ""
    count = f"{kind}{resources.gpus_per_node}"
    if spec.site.gpu_request == "gpus-per-node":
        return [("gpus-per-node", count)]
    other = spec.sbatch.get("gres")
    return [("gres", f"gpu:{count}" + (f",{other}" if other else ""))]


def _array(spec: JobSpec) -> str | None:
    if not spec.sweep:
        return None
    limit = f"%{spec.sweep_limit}" if spec.sweep_limit else ""
    return f"0-{count_points(spec) - 1}{limit}"


def _dependency(spec: JobSpec) -> str | None:
    clauses = [f"{kind}:{':'.join(jobs)}" for kind, jobs in spec.depends_on.items()]
    return ",".join(clauses) or None


def _requeue(spec: JobSpec) -> list[str]:
    if spec.requeue is None:
        return ["--no-requeue"]
    lines = ["--requeue", "--open-mode=append"]  # without it the second run truncates the log
    if "time_limit" in spec.requeue.when:
        # To the batch script alone, which tells the workers; or to a program that requeues itself.
        shell = "B:" if spec.requeue.by == "script" else ""
        lines.append(f"--signal={shell}USR1@{spec.requeue.lead_time}")
    return lines


def _others(spec: JobSpec) -> list[str]:
    merged = bool(spec.resources.gpus_per_node) and spec.site.gpu_request == "gres"
    lines = []
    for name, text in _checked("sbatch", spec.sbatch, spec):
        if text and not (merged and name == "gres"):
            option, equals, value = text.partition("=")
            lines.append(f"{option}{equals}{option_value(value)}" if equals else option)
    return lines


def _checked(tool: Tool, given: dict[str, str], spec: JobSpec) -> list[tuple[str, str | None]]:
    if not given:
        return []
    from slurmkit.slurm.options import check_option

    version = spec.site.slurm_version
    return [(name, check_option(tool, name, value, version)) for name, value in given.items()]
