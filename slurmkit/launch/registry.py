"""The list of jobs that were submitted from here: ids, names, where their files are.

`~/.local/state/slurmkit/jobs.jsonl`, a line a job and start. Whoever submits a job appends to
it, and so does the job's script when it starts; of several lines with one id the last counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

_ID = re.compile(r"\d+(_\d+)?")


class UnknownJobError(ValueError):
    """No job, or more than one, goes by what the user wrote."""


class AmbiguousNameError(UnknownJobError):
    """Several jobs have the name that the user wrote."""

    def __init__(self, name: str, jobs: list[Entry], lines: list[str] | None = None) -> None:
        self.jobs = jobs
        told = lines or [f"{entry.id:<12}{entry.directory}" for entry in jobs]
        text = "".join(f"\n    {line}" for line in told)
        super().__init__(f"{len(jobs)} jobs are named {name!r}; name one by its id:{text}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One job."""

    id: str
    """`123`, or `123_4` for an array task."""
    name: str
    directory: str
    """The run directory, absolute."""
    cluster: str = ""
    """Slurm's name of the cluster; empty until the job has started; `simulate` for pretend ones."""
    via: str = "sbatch"
    """What started it: sbatch, submitit, ssh or simulate."""

    @property
    def array_id(self) -> str:
        """The id of the array, or of the job itself."""
        return self.id.partition("_")[0]


def list_path() -> Path:
    """Return the path of the list; it need not exist."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "slurmkit" / "jobs.jsonl"


def remember(entry: Entry) -> None:
    """Append a job to the list; a list that cannot be written is no reason to fail."""
    line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
    try:
        path = list_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line)  # one write, so that lines of two writers stay whole
    except OSError:
        pass


def entries() -> list[Entry]:
    """Return the jobs of the list, each once, in the order in which they were first heard of."""
    try:
        lines = list_path().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    known: dict[str, Entry] = {}
    for line in lines:
        entry = _entry(line, known)
        if entry is not None:
            _put(known, entry)
    return list(known.values())


def last() -> Entry:
    """Return the job that was submitted last, not started last; of an array, the array itself.

    Raises:
        UnknownJobError: there is none.
    """
    known = whole_jobs()
    if not known:
        raise UnknownJobError("no job was submitted from here yet: name one, such as 1234")
    return known[-1]


def whole_jobs() -> list[Entry]:
    """Return the jobs of the list, of arrays the array alone, the last one at the end."""
    known: dict[str, Entry] = {}
    for entry in entries():
        _put(known, _whole(entry))
    return list(known.values())


def find(text: str, *, is_live: Callable[[list[str]], Iterable[str]] | None = None) -> Entry:
    """Return the job that an id or a name stands for; an unknown id has no name and directory.

    Args:
        text: `123`, `123_4`, the name of a job, or `NAME_4` for a task of the array NAME.
        is_live: which of these ids wait or run; asked when a name stands for several jobs, of
            which the only live one is then meant.

    Raises:
        UnknownJobError: no job has this name, or several have.
    """
    known = entries()
    if _ID.fullmatch(text):
        by_id = {entry.id: entry for entry in known}
        if text in by_id:
            return by_id[text]
        tasks = [entry for entry in known if entry.array_id == text]
        return _whole(tasks[-1]) if tasks else Entry(text, "", "")
    named = {entry.array_id: _whole(entry) for entry in known if entry.name == text}
    if not named:
        array, _, task = text.rpartition("_")
        if task.isdecimal() and any(entry.name == array for entry in known):
            return _task(find(array, is_live=is_live), int(task))
        raise UnknownJobError(_no_job(text, known))
    if len(named) > 1 and is_live is not None:
        live = set(is_live(list(named)))
        named = {id: entry for id, entry in named.items() if id in live} or named
    if len(named) > 1:
        raise AmbiguousNameError(text, list(named.values()))
    return next(iter(named.values()))


def _put(known: dict[str, Entry], entry: Entry) -> None:
    """Keep the last word on each job, in the place of the first one."""
    before = known.get(entry.id)
    if before is not None and before.directory != entry.directory:
        del known[entry.id]  # Slurm has begun to count anew: this is another job
    known[entry.id] = entry


def _entry(line: str, known: dict[str, Entry]) -> Entry | None:
    try:
        row = json.loads(line)
        id, name, directory = str(row["id"]), str(row["name"]), str(row["directory"])
    except (ValueError, KeyError, TypeError):  # torn by a full disk, or from elsewhere
        return None
    before = known.get(id)
    # Whoever submits does not know the cluster yet, and may come behind a script that starts fast.
    cluster = str(row.get("cluster") or (before.cluster if before else ""))
    via = str(row.get("via") or ("simulate" if cluster == "simulate" else ""))
    return Entry(id, name, directory, cluster, via or (before.via if before else "sbatch"))


def _whole(entry: Entry) -> Entry:
    """Return the array that an array task belongs to; any other job itself."""
    if entry.id == entry.array_id:
        return entry
    directory = str(Path(entry.directory).with_name(entry.array_id)) if entry.directory else ""
    return Entry(entry.array_id, entry.name, directory, entry.cluster, entry.via)


def _task(array: Entry, task: int) -> Entry:
    """Return a task of an array, which the list may not have: it has not started yet."""
    id = f"{array.id}_{task}"
    known = find(id)
    directory = str(Path(array.directory).with_name(id)) if array.directory else ""
    return known if known.name else Entry(id, array.name, directory, array.cluster, array.via)


def _no_job(text: str, known: list[Entry]) -> str:
    from slurmkit.spec.errors import nearest

    like = nearest(text, {entry.name for entry in known})
    ids = "ids always work, such as 1234; your jobs: slurmkit status"
    hint = f"did you mean {like!r}?" if like else ids
    return f"no job named {text!r} was submitted from here: {hint}"
