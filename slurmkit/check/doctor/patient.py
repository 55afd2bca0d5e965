"""Whom to look at: a job with its files and Slurm's word on it, a run directory, or plain files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.event import Line
from slurmkit.check.doctor.sources import logs_of_files, logs_of_run, simulated_state
from slurmkit.check.doctor.spoken import events_of_word, word_of
from slurmkit.launch.rundir import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.check.doctor.event import Log
    from slurmkit.launch.registry import Entry
    from slurmkit.slurm.records import Record

_LATELY = 50  # jobs of the list among which the last that failed is looked for
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Patient:
    """What is known of a dead job, before its logs are read."""

    logs: list[Log]
    id: str | None = None
    name: str = ""
    state: str | None = None
    """Slurm's word; None where it was not asked, or does not know."""
    node: str | None = None
    """Where it ran, if it had one node."""
    word: Line | None = None
    """Why it failed by its own word."""
    notes: list[str] = field(default_factory=list)
    """What could not be asked, for people."""


def of_files(paths: list[Path], readable: Callable[[Path], Path]) -> Patient:
    """Return files as all that is known; see `logs_of_files`."""
    return Patient(logs_of_files(paths, readable))


def is_run(path: Path) -> bool:
    """Tell whether a directory is that of a run."""
    run = RunDirectory(path.resolve())
    return run.events.is_dir() or run.job_file.is_file()


def of_directory(path: Path, readable: Callable[[Path], Path]) -> Patient:
    """Return the job of a run directory, or else the logs in a directory.

    Raises:
        FileNotFoundError: it holds no logs, or several runs.
        OSError: it cannot be read, or a log in it.
    """
    if is_run(path):
        return _of_run(RunDirectory(path.resolve()), None)
    runs = sorted(one for one in path.iterdir() if one.is_dir() and is_run(one))
    if len(runs) == 1:
        return of_directory(runs[0], readable)
    if runs:
        latest = max(runs, key=lambda run: run.stat().st_mtime)
        raise FileNotFoundError(f"{len(runs)} runs in {path}: name one, such as {latest}")
    return of_files([path], readable)


def of_job(text: str | None) -> Patient:
    """Return a job by its id or name; the last one that failed where none is named.

    Of an array, its first task that failed.

    Raises:
        UnknownJobError: there is no such job, or it left nothing to read.
        SlurmError: Slurm cannot be asked, and nothing else is known of the job.
    """
    from slurmkit.launch.chosen import choose

    notes: list[str] = []
    if text is None:
        entry, failed = _last_failed(notes)
        record: Record | None = failed
        notes.append(f"job {entry.id} {entry.name}: the last one that failed")
    else:
        entry = choose(text)
        record = _record(entry, notes)
    id = record.id if record is not None and "_" in record.id and "[" not in record.id else entry.id
    if id != entry.id:
        place = str(Path(entry.directory).with_name(id)) if entry.directory else ""
        entry = replace(entry, id=id, directory=place)
    return replace(_patient(entry, record), notes=notes)


def _patient(entry: Entry, record: Record | None) -> Patient:
    run = RunDirectory(Path(entry.directory)) if entry.directory else None
    if run is not None and (run.path.is_dir() or run.output.is_file()):
        return replace(_of_run(run, record), name=entry.name or (record.name if record else ""))
    from slurmkit.check.doctor.foreign import logs_of_job
    from slurmkit.launch.registry import UnknownJobError

    name = entry.name or (record.name if record else "")
    try:
        logs = logs_of_job(record.raw_id if record else entry.id, entry.id)
    except UnknownJobError:
        if record is None or not _never_began(record):
            raise
        return Patient([], entry.id, name, *_said(record), word=_why_it_waits(entry.id, record))
    return Patient(logs, entry.id, name, *_said(record))


def _never_began(record: Record) -> bool:
    is_cancelled = record.state.name == "CANCELLED" and not record.started
    return is_cancelled or record.state.phase == "waiting"


def _why_it_waits(id: str, record: Record) -> Line | None:
    """Return Slurm's reason, where it names a cause; None for a job that was cancelled.

    Raises:
        UnknownJobError: the job has only to wait.
    """
    from slurmkit.launch.registry import UnknownJobError

    if record.state.phase != "waiting":
        return None
    line = Line("squeue", 0, f"{record.state.name} ({record.reason.name})")
    if events_of_word(line, 0):
        return line
    raise UnknownJobError(
        f"job {id} has not started yet, and left nothing to read: {record.reason.words} "
        f"({record.reason.name})"
    )


def _of_run(run: RunDirectory, record: Record | None) -> Patient:
    state, node = _said(record)
    state = simulated_state(run) or state
    nodes = {log.node for log in run.rank_logs()}
    node = node or (nodes.pop() if len(nodes) == 1 else None)
    id, name = run.path.name, run.path.parent.name
    return Patient(logs_of_run(run), id, name, state, node, word_of(run))


def _said(record: Record | None) -> tuple[str | None, str | None]:
    if record is None:
        return None, None
    return record.state.name, record.node_list if record.nodes == 1 else None


def _record(entry: Entry, notes: list[str]) -> Record | None:
    """Return the record of a job, of an array that of its first task that failed."""
    records = _records([entry], notes)
    bad = [record for record in records if record.state.phase == "bad"]
    return next(iter(bad or records), None)


def _records(entries: list[Entry], notes: list[str]) -> list[Record]:
    from slurmkit.launch.chosen import is_on_slurm
    from slurmkit.slurm.commands import SlurmError
    from slurmkit.slurm.queue import find_records

    ids = [entry.id for entry in entries if is_on_slurm(entry)]
    found: list[Record] = []
    try:
        found = find_records(ids, each_task=True, patience=_PATIENCE) if ids else []
    except SlurmError as error:
        if not any(entry.directory for entry in entries):
            raise
        notes.append(f"Slurm was not asked: {str(error).partition(chr(10))[0]}")
    told = {record.array_id for record in found}
    left = (_left(entry) for entry in entries if entry.array_id not in told)
    return [*found, *(record for records in left for record in records)]


def _left(entry: Entry) -> list[Record]:
    """Return the records that a job's files make; whether it still runs, its back end knows."""
    from slurmkit.launch.chosen import is_on_slurm
    from slurmkit.launch.remains import of_back_end, records_of

    found = records_of(entry)
    is_silent = not found or any(record.exit_code is None for record in found)
    return of_back_end(entry) if is_silent and not is_on_slurm(entry) else found


def _only_checks(entry: Entry) -> bool:
    """Tell whether a job is one of `slurmkit preflight`, which launches nothing."""
    from slurmkit.check.preflight.job import SUFFIX

    if not entry.name.endswith(SUFFIX):
        return False
    return not entry.directory or not RunDirectory(Path(entry.directory)).rank_logs()


def _last_failed(notes: list[str]) -> tuple[Entry, Record]:
    from slurmkit.launch.registry import UnknownJobError, whole_jobs

    known = [entry for entry in whole_jobs() if not _only_checks(entry)][-_LATELY:]
    records = _records(known, notes) if known else []
    for entry in reversed(known):
        own = [one for one in records if one.array_id == entry.id and one.state.phase == "bad"]
        if own:
            return entry, own[0]
    raise UnknownJobError(
        f"none of the last {len(known)} jobs from here failed: name a job, a run directory, or "
        "files with --log"
        if known
        else "no job was submitted from here yet: name one, such as 1234, or files with --log"
    )
