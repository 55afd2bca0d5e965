"""A user's jobs as a table, and one job in full, for people."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.failure import first_failure
from slurmkit.launch.misfit import misfits
from slurmkit.observe import table
from slurmkit.observe.lost import lost
from slurmkit.observe.points import points
from slurmkit.observe.status import last_metrics
from slurmkit.observe.times import show_duration, show_seconds, show_time

if TYPE_CHECKING:
    from slurmkit.launch.rundir import RunDirectory
    from slurmkit.observe.status import Detail, Overview, Seen
    from slurmkit.slurm.records import Record

_HEADER = ("JOB", "NAME", "STATE", "NODES", "ELAPSED", "LEFT", "RESTARTS", "WHY")
_NAME, _WHY = 1, 7
_GLANCES = 10  # jobs of a table whose logs are looked at, the latest that failed
_GLANCED = 64 << 10  # bytes of each of their files
_RANKS = 8  # files of ranks
_LONGEST = 200  # columns of what they tell


def overview_lines(overview: Overview, width: int | None = None) -> list[str]:
    """Return the table of a user's jobs; one sentence where there are none."""
    if not overview.jobs:
        return ["no job of yours waits or runs, and none has ended in the last 24 hours"]
    failed = [seen for seen in overview.jobs if seen.record.state.name == "FAILED"]
    causes = {seen.record.id: _glance(seen) for seen in failed[-_GLANCES:]}
    rows = [_row(seen, causes.get(seen.record.id, "")) for seen in overview.jobs]
    return table.lines(_HEADER, rows, width=width, flexible=(_WHY, _NAME))


def detail_lines(detail: Detail, width: int | None = None) -> list[str]:
    """Return one job in full."""
    record = detail.records[0]
    what = "array" if detail.is_array else "job"
    lines = [f"{what} {detail.entry.id}  {table.plain(detail.entry.name)}".rstrip()]
    if detail.is_array:
        rows = [("state", f"{detail.state}: {detail.state.words}"), *_files(detail, record)]
        lines += _pairs([("tasks", counts_text(_counts(detail.records))), *rows])
        return [*lines, "", *points(detail, width)]
    lines += _pairs([*_facts(record), *_files(detail, record)])
    events = detail.run.batch_events() if detail.run else []
    if events:
        lines += ["", "events", *(f"  {_event(event)}" for event in events)]
    return lines


def counts_text(counts: dict[str, int]) -> str:
    """Return how many tasks are in which state: `2 RUNNING, 14 PENDING`."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def why(record: Record) -> str:
    """Return in a few words why a job waits, or how it ended."""
    if record.state.phase == "waiting":
        return record.reason.words
    if record.state.phase == "bad":
        return _end(record)
    return ""


def exit_words(record: Record) -> str:
    """Return how a job's script ended; nothing where it ended with 0, or has not."""
    code = record.exit_code
    return code.words if code is not None and (code.code or code.signal) else ""


def _end(record: Record) -> str:
    code = exit_words(record)
    if record.state.name == "FAILED":
        return code or (record.state.words if record.reason.is_none else record.reason.words)
    return record.state.words


def _glance(seen: Seen) -> str:
    """Return the cause of a job's failure, from little of what it left behind."""
    if seen.tasks or not seen.entry.directory:
        return ""
    from slurmkit.check.doctor.glance import glance
    from slurmkit.launch.rundir import RunDirectory

    run = RunDirectory(Path(seen.entry.directory))
    if not run.path.is_dir():
        return ""
    verdict = glance(run, seen.record.state.name, last=_GLANCED, ranks=_RANKS)
    told = verdict.in_a_line() if verdict and verdict.is_telling else ""
    if verdict is None or not verdict.is_known:
        told = failed_first(run) or told
    return table.cut(told, _LONGEST)


def _row(seen: Seen, cause: str) -> tuple[str, ...]:
    record = seen.record
    tasks = seen.tasks
    of_array = len(tasks) > 1 or sum(tasks.values()) > 1
    reason = "" if of_array and record.state.phase != "waiting" else cause or why(record)
    return (
        record.id,
        seen.entry.name or record.name,
        record.state.name,
        str(record.nodes or ""),
        show_duration(record.elapsed) if record.state.phase != "waiting" else "",
        show_duration(record.left) if record.state.phase == "live" else "",
        str(record.restarts or ""),
        ": ".join(filter(None, (counts_text(tasks) if of_array else "", reason))),
    )


def _counts(records: list[Record]) -> dict[str, int]:
    from collections import Counter

    from slurmkit.observe.status import tasks_in

    counts: Counter[str] = Counter()
    for record in records:
        counts[record.state.name] += tasks_in(record.id)
    return dict(counts)


def _facts(record: Record) -> list[tuple[str, str]]:
    state = record.state
    limit = show_duration(record.limit)
    elapsed = show_duration(record.elapsed) if state.phase != "waiting" else ""
    left = f", {show_duration(record.left)} left" if state.phase == "live" and record.left else ""
    started = "expected" if state.phase == "waiting" else "started"
    ended = "ended" if state.is_final else "ends by" if state.phase == "live" else ""
    reason = "" if record.reason.is_none else f"{record.reason.name}: {record.reason.words}"
    return [
        ("state", f"{state}: {state.words}"),
        ("reason", reason),
        ("fix", record.reason.fix_for(record.id)),
        ("too much", "; ".join(misfits(record))),
        ("waits for", record.dependency),
        ("exit", exit_words(record) if state.name != "CANCELLED" else ""),
        ("user", record.user if record.user != getpass.getuser() else ""),
        ("nodes", f"{record.nodes}  {record.node_list}".rstrip() if record.nodes else ""),
        ("partition", record.partition),
        ("submitted", show_time(record.submitted)),
        (started, show_time(record.started)),
        *([(ended, show_time(record.ended))] if ended else []),
        ("elapsed", elapsed + (f" of {limit}" if elapsed and limit else "") + left),
        ("limit", limit if not elapsed else ""),
        ("restarts", str(record.restarts or "")),
    ]  # fmt: skip


def _files(detail: Detail, record: Record) -> list[tuple[str, str]]:
    """Return where things are, and what the program says of itself."""
    if not detail.entry.directory:
        return []
    rows = [("directory", detail.entry.directory if not detail.is_array else "")]
    if detail.is_array:
        return [("directory", f"{Path(detail.entry.directory).parent}/{detail.entry.id}_TASK")]
    run = detail.run
    if run is None:
        return [("directory", f"{detail.entry.directory} (made when the job starts)")]
    count = len(run.rank_logs())
    ranks = "1 rank" if count == 1 else f"{count} ranks"
    return [
        ("failed", failed_first(run) if record.state.name == "FAILED" else ""),
        ("cause", _cause(run, record)),
        *rows,
        ("script", str(run.script) if run.script.is_file() else ""),
        ("output", str(run.output) if run.output.is_file() else ""),
        ("logs", f"{run.logs} ({ranks}): slurmkit logs {record.id}" if count else ""),
        ("program", _program(run)),
        ("metrics", _metrics(run)),
        ("lost", _lost(run)),
    ]


def failed_first(run: RunDirectory) -> str:
    """Return which rank failed first, with its last line; nothing where the logs do not tell.

    A job that its preflight kept from starting has no ranks: then what that has found.
    """
    if unfit := _unfit(run):
        return unfit
    failure = first_failure(run)
    return ": ".join([failure.text, *failure.last_words()[-1:]]) if failure else ""


def _unfit(run: RunDirectory) -> str:
    reason = str((run.status() or {}).get("reason") or "")
    return reason if reason.startswith("preflight: ") else ""


def _cause(run: RunDirectory, record: Record) -> str:
    """Return what the doctor says of a job that ended badly; nothing where it does not know."""
    if record.state.phase != "bad" or _unfit(run):  # which `failed` has told
        return ""
    from slurmkit.check.doctor.glance import glance

    verdict = glance(run, record.state.name)
    return verdict.in_a_line() if verdict and verdict.is_telling else ""


def _program(run: RunDirectory) -> str:
    status = run.status()
    if not status or _unfit(run):
        return ""
    state, reason, step = (status.get(name) for name in ("state", "reason", "step"))
    at = f" at step {step}" if step is not None else ""
    return table.plain(f"{state}{at}" + (f": {reason}" if reason else ""))


def _metrics(run: RunDirectory) -> str:
    row = last_metrics(run) or {}
    return table.plain(
        " · ".join(
            f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.items()
            if name != "time"
        )
    )


def _lost(run: RunDirectory) -> str:
    found = lost(run)
    if found is None:
        return ""
    times = "interruption" if found.interruptions == 1 else "interruptions"
    queued = f", {show_seconds(found.queued)} of it in the queue" if found.queued >= 1 else ""
    return f"{show_seconds(found.seconds)} in {found.interruptions} {times}{queued}"


def _event(event: dict[str, Any]) -> str:
    when = event.get("time")
    if isinstance(when, int | float):
        shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))
    else:
        shown = " " * 19
    more = [f"{name} {value}" for name, value in event.items() if name not in ("time", "event")]
    return table.plain(f"{shown}  {event.get('event')}  {', '.join(more)}".rstrip())


def _pairs(rows: list[tuple[str, str]]) -> list[str]:
    return [f"  {name:<10} {table.plain(text)}" for name, text in rows if text]
