"""Rules on --output and --error: directories that may be missing, names that repeat."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.options import Given
from slurmkit.check.script.source import Span

_NAMES = ("output", "error")
_THERE = ("", ".", "./.", "..", "/tmp", "/var/tmp", "/dev", "/dev/shm")  # noqa: S108  names only


@rule("SK413")
def no_directory(job: Job) -> Iterator[Found]:
    """The directory of the log may not be there."""
    if job.is_version("23.02"):
        return
    seen: set[str] = set()
    for name in _NAMES:
        option = job.given(name)
        directory = (option.value or "").rpartition("/")[0] if option is not None else ""
        if option is None or directory in (*_THERE, *seen):
            continue
        seen.add(directory)
        yield job.found(
            "SK413",
            option.origins[0].span,
            f"the directory {directory} must be there before the job starts, on Slurm older than "
            "23.02",
            severity="warning" if job.is_version(below="23.02") else None,
        )


@rule("SK414")
def same_name(job: Job) -> Iterator[Found]:
    """Each run writes to the same file."""
    is_array = job.given("array") is not None
    for name in _NAMES:
        option = job.given(name)
        text = (option.value or "") if option is not None else ""
        if (
            option is None
            or not text
            or text.startswith("/dev/")
            or re.search("[$`{<\ue000]", text)
        ):
            continue
        if re.search(r"%\d*[jJ]", text):
            continue
        has_job, has_task = re.search(r"%\d*A", text), re.search(r"%\d*a", text)
        if is_array and not has_task:
            yield job.found(
                "SK414",
                option.origins[0].span,
                f"all tasks of the array write to {text}",
                severity="warning",
                edits=_renamed(job, option, "_%a" if has_job else "-%A_%a"),
            )
        elif not has_job and not (job.value("open-mode") or "").startswith("a"):
            missing = "%A_%a" if is_array else "%j"
            yield job.found(
                "SK414",
                option.origins[0].span,
                f"the next run writes over {text}: its name has no {missing}",
                edits=_renamed(job, option, "-%A" if is_array else "-%j"),
            )


def _renamed(job: Job, option: Given[Piece], text: str) -> tuple[Edit, ...]:
    """Return the edit that puts a pattern before the suffix of a file's name."""
    piece, value = option.origins[-1], option.value or ""
    data = job.script.source.data[piece.span.start : piece.span.end]
    if data != piece.text.encode() or not data.endswith(value.encode()):
        return ()
    suffix = re.search(r"(?<=[^/.])\.[A-Za-z]{1,6}\Z", value)
    at = piece.span.end - (len(suffix[0].encode()) if suffix else 0)
    if value.endswith("/"):
        return ()
    return (Edit(Span(at, at), text),)
