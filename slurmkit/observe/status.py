"""What there is to tell of jobs: all of a user's, or one with all that belongs to it.

Slurm is asked as seldom as can be: once squeue, and sacct only for jobs that squeue has forgotten.
Jobs that Slurm knows nothing of are told from their run directories.
"""

from __future__ import annotations

import getpass
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slurmkit.launch.chosen import is_on_slurm
from slurmkit.launch.control import unknown
from slurmkit.launch.registry import Entry, UnknownJobError, entries, whole_jobs
from slurmkit.launch.remains import record_of, records_of, with_own_code
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.queue import accounted, find_records, queued
from slurmkit.slurm.records import Record
from slurmkit.slurm.states import State, combined

PATIENCE = 15.0
"""Seconds for each question to Slurm."""
_LATELY = timedelta(hours=24)
_LAST_ENTRIES = 20  # of the list of jobs: those that are looked for when Slurm's queue forgot them


@dataclass(frozen=True, slots=True)
class Seen:
    """A job, or an array as a whole, as Slurm or its run directory tells of it."""

    record: Record
    """Of an array: that of its liveliest task, under the array's id."""
    entry: Entry
    """Its place in the list of jobs; without a directory for one that is not in it."""
    tasks: dict[str, int] = field(default_factory=dict)
    """Of an array: how many of its tasks are in which state, by Slurm's words."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A user's jobs, the oldest first."""

    jobs: list[Seen]
    notes: list[str]
    """What could not be asked, for people."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One job."""

    entry: Entry
    records: list[Record]
    """One, or one for each task of an array."""
    state: State
    notes: list[str]

    @property
    def is_array(self) -> bool:
        """Tell whether it has tasks."""
        return "_" in self.records[0].id and self.entry.id == self.entry.array_id

    @property
    def run(self) -> RunDirectory | None:
        """Its run directory; None where that is not known, or not there."""
        if not self.entry.directory:
            return None
        run = RunDirectory(Path(self.entry.directory))
        return run if run.path.is_dir() else None

    def run_of(self, record: Record) -> RunDirectory | None:
        """Return the run directory of one of its records."""
        if not self.entry.directory:
            return None
        run = RunDirectory(Path(self.entry.directory).with_name(record.id))
        return run if run.path.is_dir() else None


def overview() -> Overview:
    """Return the user's jobs: those that wait or run, and those that have ended lately.

    Raises:
        SlurmError: Slurm cannot be asked, and no other jobs are known.
    """
    known = {entry.id: entry for entry in entries()}
    notes: list[str] = []
    records: list[Record] = []
    recent = whole_jobs()[-_LAST_ENTRIES:]
    try:
        records = queued(user=getpass.getuser(), lately=True, patience=PATIENCE)
    except SlurmError as error:
        notes.append(str(error))
        records = _by_sacct()
    records += _forgotten(recent, records, notes)
    jobs = [*_together(records, known), *_without_slurm(recent)]
    if notes and not jobs and not known:
        raise SlurmError(*notes[:1])
    if jobs and shutil.which("squeue") is None:  # a laptop, and what runs there
        notes = []
    return Overview(sorted(jobs, key=_age), notes)


def detail(entry: Entry) -> Detail:
    """Return all that is known of one job.

    Raises:
        UnknownJobError: nobody knows it.
        SlurmError: Slurm cannot be asked, and the job has left nothing.
    """
    notes: list[str] = []
    records: list[Record] = []
    if is_on_slurm(entry):
        try:
            records = find_records([entry.id], each_task=True, patience=PATIENCE, notes=notes)
        except SlurmError as error:
            records = records_of(entry, is_gone=False)
            if not records:
                raise
            notes.append(str(error))
        records = records or records_of(entry)
    else:
        found = _of_back_end(entry)
        records = [found] if found else []
    if not records:
        raise UnknownJobError(unknown(entry.id))
    records = sorted((with_own_code(record, entry) for record in records), key=_task)
    if not entry.name:
        entry = replace(entry, name=records[0].name)
    return Detail(entry, records, combined([record.state for record in records]), notes)


def last_metrics(run: RunDirectory | None) -> dict[str, Any] | None:
    """Return the last line of the training's metrics, without reading all of them."""
    if run is None:
        return None
    import json

    try:
        with (run.metrics / "train_log.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 8192))
            lines = file.read().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:  # the empty last line, or one that is still being written
            continue
        if isinstance(row, dict):
            return row
    return None


def _by_sacct() -> list[Record]:
    """Ask sacct in squeue's place."""
    try:
        return accounted(user=getpass.getuser(), since="now-1days", patience=PATIENCE)
    except SlurmError:  # squeue has said it already
        return []


def _forgotten(recent: list[Entry], told: list[Record], notes: list[str]) -> list[Record]:
    """Return the jobs, and tasks of arrays, that have ended and that squeue no longer tells of."""
    known = {record.array_id for record in told}
    gone = [entry for entry in recent if is_on_slurm(entry) and entry.array_id not in known]
    arrays = {record.array_id for record in told if "_" in record.id}
    ids = [*(entry.array_id for entry in gone), *arrays]
    records: list[Record] = []
    if ids and not notes:  # of which one says that there is no Slurm here, or that it is away
        try:
            records = accounted(ids, patience=PATIENCE)
        except SlurmError:
            records = []
    seen = {record.id for record in told}
    records = [record for record in records if record.id not in seen and "[" not in record.id]
    found = {record.array_id for record in records}
    left = [entry for entry in gone if entry.array_id not in found]
    records += [record for entry in left for record in records_of(entry, is_gone=not notes)]
    return [record for record in records if record.array_id in arrays or _is_shown(record)]


def _without_slurm(recent: Iterable[Entry]) -> list[Seen]:
    others = [entry for entry in recent if not is_on_slurm(entry)]
    found = [(entry, _of_back_end(entry)) for entry in others]
    return [Seen(record, entry) for entry, record in found if record and _is_shown(record)]


def _of_back_end(entry: Entry) -> Record | None:
    """Ask the way of running itself for the state, and the run directory for the rest."""
    from slurmkit.launch.job import back_end

    try:
        return record_of(entry, back_end(entry.via).state(entry))
    except (SlurmError, RuntimeError, OSError, ImportError):
        return record_of(entry)


def _together(records: Iterable[Record], known: dict[str, Entry]) -> list[Seen]:
    """Make one of all the tasks of an array."""
    jobs: dict[str, list[Record]] = {}
    for record in records:
        jobs.setdefault(record.array_id, []).append(record)
    seen = []
    for id, own in jobs.items():
        first = own[0]
        if first.id != id or len(own) > 1:
            state = combined([record.state for record in own])
            first = next(record for record in own if record.state == state)
            counts: Counter[str] = Counter()
            for record in own:
                counts[record.state.name] += tasks_in(record.id)
            seen.append(Seen(replace(first, id=id), _entry(id, own, known), dict(counts)))
        else:
            entry = _entry(id, own, known)
            seen.append(Seen(with_own_code(first, entry), entry))
    return seen


def _entry(id: str, own: list[Record], known: dict[str, Entry]) -> Entry:
    return known.get(id) or known.get(own[0].id) or Entry(id, own[0].name, "")


def tasks_in(id: str) -> int:
    """Return how many tasks an id stands for: `7_[0-3,9%2]` for five."""
    from slurmkit.slurm.expressions import check_array
    from slurmkit.slurm.scalars import GrammarError

    _, bracket, indices = id.partition("_[")
    if not bracket:
        return 1
    try:
        return len(check_array(indices.rstrip("]"), max_size=10**7).indices)
    except GrammarError:  # cut by Slurm: 7_[0-3,5-...]
        return indices.count(",") + 1


def _is_shown(record: Record) -> bool:
    """Tell whether a job goes on, or has ended lately."""
    if not record.state.is_final:
        return True
    try:
        last = record.ended or record.started  # no word of an end: when it began
        return datetime.now() - datetime.fromisoformat(last) < _LATELY
    except ValueError:
        return False


def _age(seen: Seen) -> tuple[str, int]:
    record = seen.record
    return record.submitted or record.started or record.ended, _task(record)[0]


def _task(record: Record) -> tuple[int, int]:
    job, _, task = record.id.partition("_")
    digits = task.strip("[").partition("-")[0].partition(",")[0].partition("%")[0].rstrip("]")
    return int(job) if job.isdecimal() else 0, int(digits) if digits.isdecimal() else -1
