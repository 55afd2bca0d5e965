"""What the job asks for: GPUs, CPUs, memory, time (SK208 to SK210, SK213 to SK218)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.finding import Severity
from slurmkit.check.lint.edits import line_of
from slurmkit.check.lint.job import Job, gpu_count
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import may_hold_more
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.options import Given
from slurmkit.check.script.source import Span
from slurmkit.slurm.scalars import whole

_GPU_WORK = re.compile(
    rb"\bcuda|NCCL_|nvidia-smi|--nv\b|\btorch|RCCL|rocm|lightning|accelerate", re.IGNORECASE
)
_NO_GPU_WORK = re.compile(rb"--(?:use[_-])?cpu\b|\bgloo\b|ACCELERATE_USE_CPU|device[= ]cpu|--tpu")
_MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_EXCLUSIVE: tuple[tuple[str, str, str], ...] = (
    ("mem", "mem-per-cpu", ""),
    ("mem", "mem-per-gpu", ""),
    ("mem-per-cpu", "mem-per-gpu", ""),
    ("cpus-per-task", "cpus-per-gpu", "23.11"),
    ("ntasks-per-gpu", "ntasks-per-node", ""),
    ("ntasks-per-gpu", "gpus-per-task", ""),
    ("ntasks-per-gpu", "tres-per-task", ""),
    ("exclusive", "oversubscribe", "23.02"),
)
"""Pairs that sbatch refuses, and since when; source: slurm_opt.c."""


@rule("SK208")
def no_gpu(job: Job) -> Iterator[Found]:
    """A training, and no `--gres=gpu`."""
    data = job.script.source.data
    options = job.script.directives.options
    if not options or job.is_het or job.asks_for_gpus or _NO_GPU_WORK.search(data):
        return
    for launch in job.launches:
        if launch.srun is not None and any(
            launch.srun_option(name) for name in ("gpus", "gres", "gpus-per-node", "gpus-per-task")
        ):
            return
    works = [x for x in job.launches if x.is_launcher or _GPU_WORK.search(data)]
    if works:
        yield job.found("SK208", _first_line(job), "no directive asks for a GPU")


def _first_line(job: Job) -> Span:
    lines = job.script.directives.lines
    return lines[0].span if lines else job.script.directives.options[0].origins[0].span


def _asks_gpu(job: Job, name: str) -> Given[Piece] | None:
    option = job.given(name)
    if option is None or option.value in (None, "0"):
        return None
    if name in ("gres", "tres-per-task") and not re.search(r"\bgpu\b", option.value or ""):
        return None
    return option


@rule("SK209")
def gpus_asked_for_twice(job: Job) -> Iterator[Found]:
    """`--gres=gpu:4` beside `--gpus-per-node=4`."""
    fatal = job.is_version(low="26.05")
    gres, per_node = _asks_gpu(job, "gres"), _asks_gpu(job, "gpus-per-node")
    since = "sbatch of Slurm 26.05 refuses both together"
    if gres is not None and per_node is not None:
        severity: Severity = "error" if fatal else "warning"
        what = f"--gres={gres.value} and --gpus-per-node={per_node.value}: {since}"
        is_same = gpu_count(gres.value or "") == gpu_count(per_node.value or "")
        is_plain = re.fullmatch(r"gpu:(?:[\w.-]+:)?\d+", gres.value or "") is not None
        edits = _dropped(job, gres) if is_same and is_plain else ()
        yield job.found("SK209", gres.origins[0].span, what, severity=severity, edits=edits)
    else:
        for one, other in (("gpus-per-node", "gpus-per-task"), ("gpus", "gres"),
                           ("gres", "gpus-per-task")):  # fmt: skip
            a, b = _asks_gpu(job, one), _asks_gpu(job, other)
            if a is not None and b is not None:
                what = f"--{one}={a.value} and --{other}={b.value} ask for GPUs in two ways"
                yield job.found("SK209", b.origins[0].span, what, severity="warning")
                break
    yield from _asked_for_by_srun(job, per_node, since, is_fatal=bool(fatal))


def _asked_for_by_srun(
    job: Job, per_node: Given[Piece] | None, since: str, *, is_fatal: bool
) -> Iterator[Found]:
    """`srun --gres=gpu:4` in a job with `--gpus-per-node`, which srun reads too."""
    if per_node is None:
        return
    for layers in job.script.layers.values():
        gres = layers.srun.last("gres") if layers.srun is not None else None
        if gres is None or not re.search(r"\bgpu\b", gres.value or ""):
            continue
        if layers.srun is not None and layers.srun.last("gpus-per-node"):
            continue
        what = f"srun --gres={gres.value} in a job with --gpus-per-node: {since}"
        severity: Severity = "error" if is_fatal else "warning"
        yield job.found("SK209", gres.origins[0].span, what, severity=severity)


def _dropped(job: Job, option: Given[Piece]) -> tuple[Edit, ...]:
    """Take an option out of its directive; of one that stands alone there, only a comment stays."""
    line = line_of(job, option)
    if line is None:
        return ()
    data = job.script.source.data
    if len(line.words) == len(option.origins):
        end = line.span.end + (data[line.span.end : line.span.end + 1] == b"\n")
        return (Edit(Span(line.span.start, line.comment.start if line.comment else end), ""),)
    end = option.origins[-1].span.end
    blanks = len(data[end : line.span.end]) - len(data[end : line.span.end].lstrip(b" \t"))
    return (Edit(Span(option.origins[0].span.start, end + blanks), ""),)


@rule("SK210")
def other_gpus_hidden(job: Job) -> Iterator[Found]:
    """`--gpus-per-task=1` with a program that takes its GPU by local rank."""
    if job.is_het:
        return
    for launch in job.launches:
        if launch.kind != "direct" or launch.srun is None:
            continue
        if (job.step_tasks_per_node(launch) or _tasks(job)) < 2:
            continue
        found = _hiding(job, launch)
        if found is not None:
            what = f"{found[0]} lets each task see one GPU, as cuda:0: LOCAL_RANK is no index then"
            yield job.found("SK210", found[1], what)


def _tasks(job: Job) -> int:
    tasks = whole(job.value("ntasks"))
    return 1 if tasks is None else tasks


def _hiding(job: Job, launch: Launch) -> tuple[str, Span] | None:
    """Return the option that hides the other GPUs, and where it stands."""
    srun = launch.srun
    own = {o.name: o for o in srun.options if not o.problem} if srun is not None else {}
    bind = own.get("gpu-bind") or job.given("gpu-bind")
    if bind is not None:
        kind = bind.value or ""
        hides = re.fullmatch(r"(?:verbose,|v,)*(?:single|per_task):1", kind) is not None
        return (f"--gpu-bind={kind}", bind.origins[0].span) if hides else None
    for name in ("gpus-per-task", "ntasks-per-gpu"):
        option = own.get(name) or job.given(name)
        if option is not None and option.value and gpu_count(option.value) == 1:
            return f"--{name}={option.value}", option.origins[0].span
    return None


@rule("SK213")
def one_cpu(job: Job) -> Iterator[Found]:
    """A launcher, GPUs, and no `--cpus-per-task`."""
    if job.is_het or not job.asks_for_gpus or job.given("exclusive") is not None:
        return
    names = ("cpus-per-task", "cpus-per-gpu", "mincpus", "ntasks-per-socket", "tres-per-task",
             "ntasks-per-core", "hint", "cores-per-socket", "threads-per-core")  # fmt: skip
    if any(job.given(name) is not None for name in names):
        return
    for launch in job.launches:
        if not launch.is_launcher:
            continue
        if launch.srun is None and ((job.tasks_per_node or 0) > 1 or _tasks(job) > 1):
            return
        own = ("cpus-per-task", "cpus-per-gpu", "exclusive", "cores-per-socket", "hint")
        if any(launch.srun_option(name) for name in own) or may_hold_more(job, launch):
            return
        what = f"no --cpus-per-task: {launch.kind} and all that it starts share one CPU a node"
        yield job.found("SK213", launch.span, what)
        return


@rule("SK214")
def cpus_not_inherited(job: Job) -> Iterator[Found]:
    """`#SBATCH --cpus-per-task=8` and `srun` on Slurm 22.05."""
    cpus = job.given("cpus-per-task") if not job.is_het else None
    if cpus is None or cpus.value == "1" or job.is_version("22.05", below="23.11") is False:
        return
    if b"SRUN_CPUS_PER_TASK" in job.script.source.data:
        return
    told = set()
    for launch in job.launches:
        command = launch.srun_command
        if command is None or launch.srun_option("cpus-per-task") or command in told:
            continue
        if may_hold_more(job, launch):
            continue
        told.add(command)
        layers = job.script.layers[command]
        word = layers.words[layers.srun_at]
        source = job.script.source.data
        is_plain = source[word.span.start : word.span.end] == b"srun"
        is_here = command.shell.text.origins is None and command.shell.where == "batch"
        after = Span(word.span.end, word.span.end)
        edits = (Edit(after, ' --cpus-per-task="$SLURM_CPUS_PER_TASK"'),)
        what = f"srun of Slurm 22.05 and 23.02 does not take over --cpus-per-task={cpus.value}"
        yield job.found("SK214", word.span, what, edits=edits if is_plain and is_here else ())


@rule("SK215")
def no_memory(job: Job) -> Iterator[Found]:
    """No `--mem`, `--mem-per-cpu` or `--mem-per-gpu`."""
    if job.script.directives.options and not any(job.given(name) for name in _MEMORY):
        what = "no memory is asked for: the site's default holds"
        if job.is_exclusive:
            what += ", and --exclusive does not change it"
        yield job.found("SK215", _first_line(job), what)


@rule("SK216")
def no_time(job: Job) -> Iterator[Found]:
    """No `--time`."""
    if job.script.directives.options and job.given("time") is None:
        what = "no time limit is asked for: the partition's default holds"
        yield job.found("SK216", _first_line(job), what)


@rule("SK218")
def mutually_exclusive(job: Job) -> Iterator[Found]:
    """`--mem` with `--mem-per-cpu`."""
    for one, other, since in _EXCLUSIVE:
        a, b = job.given(one), job.given(other)
        if a is None or b is None or (since and job.is_version(below=since)):
            continue
        when = f" (since Slurm {since})" if since else ""
        what = f"sbatch refuses --{one} together with --{other}{when}"
        later = max(a.origins[0].span, b.origins[0].span)
        yield job.found("SK218", later, what)
