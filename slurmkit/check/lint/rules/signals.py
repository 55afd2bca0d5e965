"""Rules on signals and requeue: traps that never run, logs that a requeue truncates."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import works
from slurmkit.check.script.layers import SHELLS
from slurmkit.check.script.shell import Command
from slurmkit.check.script.source import Span
from slurmkit.slurm.scalars import whole

_ATTEMPT = re.compile(r"%\d*r")  # the restart count, in new versions
_ELASTIC = ("torchrun", "torch.distributed.launch", "accelerate")
_FATAL = ("USR1", "USR2", "ALRM", "VTALRM", "PROF", "IO")  # to a program that has no handler


@rule("SK406")
def truncated(job: Job) -> Iterator[Found]:
    """A requeued run begins the log anew."""
    mode = job.given("open-mode")
    if (mode is not None and (mode.value or "a").startswith("a")) or _has_name_of_its_own(job):
        return
    option = job.given("requeue")
    refused = job.given("no-requeue")
    if option is not None and (
        refused is None or refused.origins[0].span.start < option.origins[0].span.start
    ):
        yield job.found(
            "SK406",
            option.origins[0].span,
            "a requeued run truncates the log of the run before it",
            edits=_append(job, option.origins[-1].span.end) if mode is None else (),
        )
        return
    for command in job.script.commands:
        words = [word.shown for word in job.script.layers[command].words]
        if command.name == "scontrol" and words[1:2] == ["requeue"] and "JOB" in words[-1].upper():
            yield job.found("SK406", command.span, "the requeued run truncates the log of this one")
            return


def _has_name_of_its_own(job: Job) -> bool:
    text = job.value("output") or ""
    return bool(_ATTEMPT.search(text)) or text == "/dev/null"


def _append(job: Job, at: int) -> tuple[Edit, ...]:
    """Return the edit that adds a directive below the line of an offset."""
    source = job.script.source
    if job.script.batch.text.origins is not None:
        return ()
    end = source.line_span(source.place(at)[0]).end
    if source.data[end - 1 : end] != b"\n":
        return ()
    return (Edit(Span(end, end), "#SBATCH --open-mode=append\n"),)


@rule("SK407")
def never_runs(job: Job) -> Iterator[Found]:
    """A trap that the signal does not reach, or that runs too late."""
    text = job.value("signal")
    match = re.fullmatch(r"([RB]*:)?([A-Za-z]\w*|\d+)(@\d+)?", text or "")
    if match is None:
        return
    to_batch, name = "B" in (match[1] or ""), signal_name(match[2])
    traps = [c for c in job.script.batch.commands if name in _handled(c)]
    if to_batch:
        yield from _too_late(job, traps, name)
        return
    for command in traps:
        yield job.found(
            "SK407",
            command.span,
            f"--signal={text} goes to the job's steps; this shell is sent no {name}",
            f"#SBATCH --signal=B:{text} sends it to the batch shell, with the launch in the "
            "background (`srun … &`, `wait $!`)",
            severity="warning" if name in ("TERM", "INT", "HUP", "QUIT") else None,
        )
    if not traps:
        yield from _killed(job, name)


def signal_name(text: str) -> str:
    """Return a signal's name without SIG; of a number, the name that it has on Linux."""
    number = whole(text)
    if number is not None:
        text = {s.value: s.name for s in signal.Signals}.get(number, text)
    return text.upper().removeprefix("SIG")


def _handled(command: Command) -> tuple[str, ...]:
    """Return the signals for which a `trap` sets a handler."""
    if command.name != "trap" or len(command.words) < 3 or command.context.in_subshell:
        return ()
    words = [word.shown for word in command.words[1:]]
    if words[0] == "--":
        words = words[1:]
    if words[0] in ("", "-", "-p", "-l"):
        return ()
    return tuple(signal_name(word) for word in words[1:])


def _too_late(job: Job, traps: list[Command], name: str) -> Iterator[Found]:
    if not traps:
        return
    trap = traps[0]
    later = [c for c in job.script.batch.commands if c.order > trap.order]
    behind = [work.command for work in works(job) if work.command.order > trap.order]
    if not behind and not any(c.context.in_background for c in later):
        behind = [c for c in later if _is_script(c)]
    if not behind or any(command.context.in_background for command in behind):
        return
    if any(c.name == "wait" for c in later):
        return
    line = job.script.source.place(behind[-1].span.start)[0]
    yield job.found(
        "SK407",
        trap.span,
        f"bash runs a trap when its foreground command has ended: at {name} the launch in line "
        f"{line} still runs",
        "start the launch with `&` and `wait $!` for it",
    )


def _is_script(command: Command) -> bool:
    """Tell whether it runs a script of the user's, as `bash train.sh` and `./train.sh` do."""
    words = [word.shown for word in command.words]
    if not words or command.context.functions or command.context.in_substitution:
        return False
    if command.name in SHELLS:
        return len(words) > 1 and not words[1].startswith("-")
    return words[0].startswith("./")


def _killed(job: Job, name: str) -> Iterator[Found]:
    """The launcher itself gets the signal, and has no handler for it."""
    if name not in _FATAL:
        return
    for launch in job.launches:
        if launch.kind not in _ELASTIC or launch.through != "srun":
            continue
        shell = launch.command.shell
        words = launch.layers.words[: launch.at]
        is_ignored = any(c.name == "trap" and name in c.source for c in shell.commands)
        if is_ignored or any(word.shown.startswith("--ignore-signal") for word in words):
            continue
        option = job.given("signal")
        assert option is not None
        yield job.found(
            "SK407",
            option.origins[0].span,
            f"{name} goes to all processes of the step, and kills {launch.kind}, which has no "
            "handler for it and passes it on to no worker",
            f"--signal=B:{name}@… and a trap in the batch script; on the nodes "
            f"`trap '' {name}; exec {launch.kind} …`",
        )
        return
