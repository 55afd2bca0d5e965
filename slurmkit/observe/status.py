"""What there is to tell of jobs: all of a user's, or one with all that belongs to it.

Slurm is asked as seldom as can be: once squeue, and beside it sacct for what squeue has forgotten.
Jobs that Slurm knows nothing of are told from their run directories.
"""

from __future__ import annotations

import getpass
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from slurmkit.launch.chosen import is_on_slurm
from slurmkit.launch.control import unknown
from slurmkit.launch.registry import Entry, UnknownJobError, entries
from slurmkit.launch.remains import of_back_end, records_of, with_own_code
from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.unqueued import is_shown, left_lately
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.queue import (
    NoAccountingError,
    accounted,
    find_records,
    queued,
    without_doubles,
)
from slurmkit.slurm.records import Record
from slurmkit.slurm.states import State, combined

PATIENCE = 15.0
"""Seconds for each question to Slurm."""


_NEVER_RAN = 20  # of the list: the last jobs without a run directory that are asked for by id


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
        tasks = any("_" in record.id for record in self.records)
        return tasks and self.entry.id == self.entry.array_id

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
    listed = entries()
    known = {entry.id: entry for entry in listed}
    records, notes, is_gone = _of_user()
    told = {record.array_id for record in records}
    never_ran = [] if notes else _never_ran(listed, told)
    records += never_ran
    told |= {record.array_id for record in never_ran}
    left = left_lately(listed, told, is_gone=is_gone)
    jobs = _together([*records, *left], known)
    if notes and not jobs and not known:
        raise SlurmError(*notes[:1])
    if jobs and not is_gone and _is_laptop(listed):
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
        records = of_back_end(entry)
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


def _is_laptop(listed: Iterable[Entry]) -> bool:
    """Tell whether what runs here has nothing to do with a cluster."""
    return shutil.which("squeue") is None or not any(map(is_on_slurm, listed))


def _of_user() -> tuple[list[Record], list[str], bool]:
    """Ask squeue and sacct, side by side, for the user's jobs.

    Returns:
        The jobs; what could not be asked; whether Slurm no longer knows any other.
    """
    user = getpass.getuser()
    with ThreadPoolExecutor(2) as threads:
        queue = threads.submit(queued, user=user, lately=True, patience=PATIENCE)
        past = threads.submit(accounted, user=user, since="now-1days", patience=PATIENCE)
    ended: list[Record] = []
    notes: list[str] = []
    try:
        ended = past.result()
    except NoAccountingError:
        pass
    except SlurmError as error:
        notes.append(f"{error}\n    meanwhile:  jobs that ended a while ago may be missing")
    try:
        records = queue.result()
    except SlurmError as error:
        return [one for one in ended if is_shown(one)], [str(error)], False
    old = _begun_before(records)
    ended = [*ended, *(_ask_sacct(old) if old and not notes else [])]
    arrays = {record.array_id for record in records if "_" in record.id}
    late = without_doubles(records, (one for one in ended if one.state.is_final))[len(records) :]
    shown = [one for one in late if one.array_id in arrays or is_shown(one)]
    return [*records, *shown], notes, True


def _never_ran(listed: Iterable[Entry], told: Iterable[str]) -> list[Record]:
    """Ask for jobs that ended before they could run, which sacct tells of only by their ids."""
    ids = [
        entry.id
        for entry in listed
        if entry.id not in told and is_on_slurm(entry) and not Path(entry.directory).is_dir()
    ]
    found = _ask_sacct(ids[-_NEVER_RAN:]) if ids else []
    return [record for record in found if record.state.is_final and is_shown(record)]


def _begun_before(records: Iterable[Record]) -> list[str]:
    """Return the arrays of which tasks may have ended before sacct's last 24 hours."""
    day_ago = (datetime.now() - timedelta(hours=24)).isoformat()
    tasks = (record for record in records if "_" in record.id)
    return sorted({task.array_id for task in tasks if task.submitted < day_ago})


def _ask_sacct(ids: list[str]) -> list[Record]:
    try:
        return accounted(ids, patience=PATIENCE)
    except SlurmError:
        return []


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


def _age(seen: Seen) -> tuple[str, int]:
    record = seen.record
    return record.submitted or record.started or record.ended, _task(record)[0]


def _task(record: Record) -> tuple[int, int]:
    job, _, task = record.id.partition("_")
    digits = task.strip("[").partition("-")[0].partition(",")[0].partition("%")[0].rstrip("]")
    return int(job) if job.isdecimal() else 0, int(digits) if digits.isdecimal() else -1
