"""Jobs as squeue and sacct tell of them.

squeue first: it knows every job that waits or runs, and for some minutes those that have ended.
Then sacct, which keeps them for good, but is not on every cluster and lags a little behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from slurmkit.slurm.commands import LONG_PATIENCE, SlurmError, call
from slurmkit.slurm.records import (
    SACCT_FORMAT,
    SEPARATOR,
    SQUEUE_FORMAT,
    Record,
    read_sacct,
    read_squeue,
)

__all__ = [
    "NoAccountingError",
    "Record",
    "accounted",
    "find_records",
    "live_ids",
    "queued",
    "without_doubles",
]

_NO_ACCOUNTING = re.compile(r"accounting storage is disabled|AccountingStorageType", re.IGNORECASE)


class NoAccountingError(SlurmError):
    """This cluster keeps no accounting: what squeue has forgotten, Slurm no longer knows."""


def queued(
    ids: Sequence[str] = (),
    *,
    user: str | None = None,
    each_task: bool = False,
    lately: bool = False,
    patience: float = LONG_PATIENCE,
) -> list[Record]:
    """Ask squeue for jobs by id, or for those of a user that wait or run.

    Args:
        ids: jobs, arrays or array tasks; those that squeue no longer knows are left out.
        user: whose jobs, when no ids are given.
        each_task: one record for each waiting array task, not one for all that wait.
        lately: also jobs that have ended and are not forgotten yet; always so for ids.
        patience: seconds to wait for squeue.

    Raises:
        SlurmError: squeue cannot be asked.
    """
    command = ["squeue", "--noheader", f"--Format={SQUEUE_FORMAT}"]
    command += ["--states=all"] if ids or lately else []
    command += [f"--jobs={','.join(ids)}"] if ids else []
    command += [f"--user={user}"] if user and not ids else []
    command += ["--array"] if each_task else []
    answer = call(command, patience=patience)
    if answer.code == 0:
        return read_squeue(answer.out)
    if "invalid job id" in answer.err.lower():  # the only one asked for is gone
        return []
    raise SlurmError("squeue failed", said=answer.err or answer.out)


def accounted(
    ids: Sequence[str] = (),
    *,
    user: str | None = None,
    since: str | None = None,
    patience: float = LONG_PATIENCE,
) -> list[Record]:
    """Ask sacct for jobs by id, or for those of a user; see `queued`.

    Args:
        ids: jobs, arrays or array tasks.
        user: whose jobs, when no ids are given.
        since: a time that sacct understands, such as `now-7days`; midnight when not given.
        patience: seconds to wait for sacct.

    Raises:
        NoAccountingError: there is no sacct here, or nothing that it could ask.
        SlurmError: sacct cannot be asked.
    """
    command = ["sacct", "--parsable", f"--delimiter={SEPARATOR}", "--allocations", "--duplicates"]
    command += [f"--format={SACCT_FORMAT}"]
    command += [f"--jobs={','.join(ids)}"] if ids else []
    command += [f"--user={user}"] if user and not ids else []
    command += [f"--starttime={since}"] if since else []
    try:
        answer = call(command, patience=patience)
    except SlurmError as error:
        if isinstance(error.__context__, FileNotFoundError):
            raise NoAccountingError(error.what, fix=error.fix) from None
        raise
    if answer.code == 0 and not _NO_ACCOUNTING.search(answer.err):
        return read_sacct(answer.out)
    kind = NoAccountingError if _NO_ACCOUNTING.search(answer.err) else SlurmError
    raise kind("sacct failed", said=answer.err or answer.out)


def find_records(
    ids: Sequence[str],
    *,
    each_task: bool = False,
    patience: float = LONG_PATIENCE,
    notes: list[str] | None = None,
) -> list[Record]:
    """Return what Slurm knows of jobs: squeue's word, else that of sacct where there is one.

    Args:
        ids: jobs, arrays or array tasks.
        each_task: one record for each waiting array task, not one for all that wait.
        patience: seconds to wait for squeue, and for sacct.
        notes: here goes why squeue could not be asked, when sacct could.

    Raises:
        SlurmError: neither can be asked.
    """
    try:
        found = queued(ids, each_task=each_task, patience=patience)
    except SlurmError as error:
        try:
            found = accounted(ids, patience=patience)
        except SlurmError:
            raise error from None
        if notes is not None:
            notes.append(f"{error}\n    meanwhile:  what the accounting knows, which may be late")
        return found
    gone = _forgotten(ids, found)
    if not gone:
        return found
    try:
        ended = accounted(gone, patience=patience)
    except NoAccountingError:
        return found
    except SlurmError:
        if not found:
            raise
        return found
    return without_doubles(found, ended)


def without_doubles(found: Iterable[Record], ended: Iterable[Record]) -> list[Record]:
    """Return squeue's records, and those of sacct that tell of other jobs and tasks.

    For a while sacct has the task that started last, which Slurm counts by the array's own
    number, under that number alone, or with those that wait.
    """
    records = list(found)
    seen = {record.id for record in records} | {record.raw_id for record in records}
    late = [r for r in ended if r.id not in seen and r.raw_id not in seen and "[" not in r.id]
    arrays = {record.array_id for record in (*records, *late) if "_" in record.id}
    return [*records, *(r for r in late if r.id not in arrays)]


def live_ids(ids: Sequence[str]) -> set[str]:
    """Return which of these jobs and arrays wait or run; none where squeue cannot be asked."""
    try:
        found = queued(ids, patience=10.0)
    except SlurmError:
        return set()
    return {record.array_id for record in found if not record.state.is_final}


def _forgotten(ids: Sequence[str], found: Iterable[Record]) -> list[str]:
    """Return the ids of which squeue does not, or may not, tell all."""
    known = {record.id for record in found}
    # Of an array, squeue forgets the tasks that have ended, one by one.
    return [id for id in ids if id not in known]
