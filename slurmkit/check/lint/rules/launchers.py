"""Rules on a launcher's own traps: torch.distributed.launch, restarts, accelerate on CPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import before_first_command
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.source import Source, Span
from slurmkit.check.script.words import Word
from slurmkit.slurm.scalars import whole

_OLD = "torch.distributed.launch"
_GPU = re.compile(
    rb"(?i)cuda|nvidia|nccl|rocm|gpus?[_-]?(?:per|on|count|ids?\b)|num_?gpus|a100|h100"
)
_GPU_PLACE = re.compile(r"(?i)gpu|[avhlbp]\d{2,3}\b|boost|accel|cuda|mi\d00|dgx|gh200")


def _at(source: Source, word: Word, text: str) -> Span | None:
    """Return the bytes of a word that are this text; None where that is not plain."""
    wanted = text.encode()
    for span in (word.span, *(piece.span for piece in word.pieces)):
        data = source.data[span.start : span.end]
        if data == wanted:
            return span
        if data.count(wanted) == 1:
            start = span.start + data.index(wanted)
            return Span(start, start + len(wanted))
    return None


@rule("SK501")
def old_launcher(job: Job) -> Iterator[Found]:
    """torch.distributed.launch."""
    source = job.script.source
    for launch in job.launches:
        if launch.kind != "torch.distributed.launch":
            continue
        words = launch.layers.words[launch.at :]
        module = next((word for word in words if word.shown in (_OLD, f"-m{_OLD}")), None)
        span = _at(source, module, _OLD) if module is not None else None
        edits = [Edit(span, "torch.distributed.run")] if span is not None else []
        for option in launch.options:
            if option.name == "use-env":
                place = _whole_line(source, option.words[0])
                edits = [*edits, Edit(place, "")] if place is not None and edits else []
        yield job.found("SK501", launch.span, f"{_OLD} is deprecated", edits=edits)
    yield from _behind_a_variable(job)


def _behind_a_variable(job: Job) -> Iterator[Found]:
    """`$CONTAINER python -m torch.distributed.launch`, where nothing says what CONTAINER is."""
    launched = {launch.command for launch in job.launches}
    for command in job.script.commands:
        words = job.script.layers[command].words
        if command in launched or command.shell.where == "unknown" or not words:
            continue
        module = next((word for word in words if word.shown == _OLD), None)
        if module is None or [piece.kind for piece in words[0].pieces] != ["variable"]:
            continue
        span = _at(job.script.source, module, _OLD)
        edits = [Edit(span, "torch.distributed.run")] if span is not None else []
        yield job.found("SK501", module.span, f"{_OLD} is deprecated", edits=edits)


def _whole_line(source: Source, word: Word) -> Span | None:
    """Return what goes with a flag: the blanks before it, or its whole line."""
    data = source.data[word.span.start : word.span.end]
    if not re.fullmatch(rb"--use[-_]env", data):
        return None
    line = source.place(word.span.start)[0]
    if re.fullmatch(r"\s*--use[-_]env\s*\\", source.line_text(line)):
        return source.line_span(line)
    start = word.span.start
    while source.data[start - 1 : start] in (b" ", b"\t"):
        start -= 1
    return Span(start, word.span.end)


def _nodes(job: Job, launch: Launch, *names: str) -> bool:
    """Tell whether a launch surely spans several nodes."""
    if launch.option(*names) is None or launch.option("standalone") is not None:
        return False
    text = launch.text(*names)
    if text is None:
        return job.is_multi_node
    return (whole(text.rpartition(":")[2]) or 0) > 1


@rule("SK604")
def restarts(job: Job) -> Iterator[Found]:
    """Restarts over several nodes."""
    for launch in job.launches:
        if launch.kind not in ("torchrun", "torch.distributed.launch", "accelerate"):
            continue
        count = launch.number("max-restarts")
        if not count or not _nodes(job, launch, "nnodes", "num-machines"):
            continue
        is_dynamic = (launch.text("rdzv-backend") or "static") != "static"
        shared = [s for s in job.settings if s.name == "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"]
        if is_dynamic and any(setting.text not in (None, "", "0") for setting in shared):
            continue
        option = launch.option("max-restarts")
        assert option is not None
        yield job.found(
            "SK604", option.span, f"{count} restarts over several nodes do not bring the job back"
        )


@rule("SK605")
def accelerate_on_cpus(job: Job) -> Iterator[Found]:
    """Accelerate without a GPU, and nothing that says so."""
    if job.asks_for_gpus or not job.script.directives.lines:
        return
    places = (job.value(name) or "" for name in ("partition", "constraint", "qos", "account"))
    text = job.script.source.data
    if any(_GPU_PLACE.search(place) for place in places) or _GPU.search(text):
        return
    if any(setting.name == "ACCELERATE_USE_CPU" for setting in job.settings):
        return
    for launch in job.launches:
        if launch.kind != "accelerate" or launch.option("cpu", "use-cpu", "config-file"):
            continue
        given = launch.srun.options if launch.srun is not None else ()
        count = launch.number("num-processes") or 1
        if count > 1 and not any("gpu" in (option.name + (option.value or "")) for option in given):
            what = f"no GPU, and no ACCELERATE_USE_CPU: each of {count} processes trains alone"
            edits = before_first_command(job, "export ACCELERATE_USE_CPU=true")
            yield job.found("SK605", launch.span, what, edits=edits)


@rule("SK607")
def no_master(job: Job) -> Iterator[Found]:
    """Static rendezvous over several nodes, at the default address."""
    known = ("master-addr", "rdzv-endpoint", "rdzv-backend", "standalone", "rdzv-conf")
    if any(setting.name.startswith("PET_") for setting in job.settings):
        return
    for launch in job.launches:
        if launch.kind not in ("torchrun", "torch.distributed.launch"):
            continue
        backend = launch.text("rdzv-backend")
        if launch.option(*(name for name in known if name != "rdzv-backend")) is not None:
            continue
        if launch.option("rdzv-backend") is not None and backend != "static":
            continue
        if _has_unknown(launch) or not _nodes(job, launch, "nnodes"):
            continue
        yield job.found(
            "SK607", launch.span, "each node looks for the master at 127.0.0.1, that is, at home"
        )


def _has_unknown(launch: Launch) -> bool:
    """Tell whether what stands where the program should may bring options that are not seen."""
    program = launch.program
    if program is None:
        return True
    first = program.pieces[0] if program.pieces else None
    if first is None or first.kind == "text" or first.is_quoted:
        return False
    return not re.search(r"(?i)script|file|prog|entry|main|py$", first.text)
