"""Jobs as squeue and sacct write them: the columns that we ask for, and their reading.

Both outputs are documented and delimited; names of jobs may hold anything but the separator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from slurmkit.slurm.exit_code import ExitCode, read_exit_code, read_wait_status
from slurmkit.slurm.reasons import Reason, read_reason
from slurmkit.slurm.states import State, read_state

SEPARATOR = "\x1f"
"""ASCII's own unit separator: nobody types it into the name of a job."""
_WIDTHS = {
    **{"JobArrayID": 200, "JobID": 20, "Name": 256, "UserName": 64, "State": 30, "Reason": 120},
    **{"Partition": 80, "NumNodes": 12, "NodeList": 1000, "SubmitTime": 24, "StartTime": 24},
    **{"EndTime": 24, "TimeUsed": 20, "TimeLimit": 20, "TimeLeft": 20, "RestartCnt": 12},
    **{"exit_code": 12, "Dependency": 200},
}
"""Fields of `squeue --Format`, and the most bytes of each: it pads and cuts to them."""
SQUEUE_FORMAT = ",".join(f"{name}:{width}{SEPARATOR}" for name, width in _WIDTHS.items())
SACCT_FORMAT = (
    "JobID,JobIDRaw,JobName,User,State,Partition,NNodes,NodeList,Submit,Start,End,Elapsed"
    ",Timelimit,ExitCode,Reason"
)
_NOTHING = {"", "N/A", "(null)", "Unknown", "None assigned", "None", "NONE", "n/a"}
_NOTHING |= {"INVALID"}

_WAITED = {"Priority", "Resources", "Dependency", "BeginTime", "JobHeldUser", "JobHeldAdmin"}
_WAITED |= {"JobArrayTaskLimit", "Reservation", "ReqNodeNotAvail", "WaitingForScheduling"}
"""Reasons for waiting, which squeue leaves to a job that was cancelled meanwhile."""

_REFUSALS = {"BadConstraints", "PartitionConfig", "InvalidAccount", "InvalidQOS"}
_FAILED_DEPENDENCY = re.compile(r"(\d+(?:_\d+)?)(?:_\*)?\(failed\)")


@dataclass(frozen=True, slots=True)
class Record:
    """What Slurm tells of one job, or of one task of an array."""

    id: str
    """As a user writes it: `123`, `123_4` for an array task, `123_[5-9]` for those that wait."""
    raw_id: str
    """The number that Slurm itself counts by; each array task that has started has one."""
    name: str
    user: str
    state: State
    reason: Reason
    partition: str
    nodes: int
    node_list: str
    """In Slurm's short form, `node[1-2]`; empty before it starts."""
    submitted: str
    """Local time, `2026-11-21T08:15:30`; empty where there is none. So are the next two."""
    started: str
    """Of a job that waits: when Slurm expects to start it."""
    ended: str
    """Of a job that runs: when its time limit is reached."""
    elapsed: str
    """`D-HH:MM:SS`, as Slurm writes it; so are the next two."""
    limit: str
    left: str
    restarts: int
    exit_code: ExitCode | None
    """None until the job has ended."""
    dependency: str = ""

    @property
    def array_id(self) -> str:
        """The id of the array, or of the job itself."""
        return self.id.partition("_")[0]


def read_squeue(text: str) -> list[Record]:
    """Read what squeue wrote with `--noheader` and `--Format=SQUEUE_FORMAT`."""
    return [_of_squeue(row) for row in _rows(text, tuple(_WIDTHS))]


def read_sacct(text: str) -> list[Record]:
    """Read what sacct wrote with `--parsable`, our separator and a header that names the columns.

    A job that was requeued has a row for each of its runs: the last one counts, the others are
    its restarts.
    """
    header, _, body = text.partition("\n")
    names = header.removesuffix(SEPARATOR).split(SEPARATOR)
    records: dict[str, Record] = {}
    for row in _rows(body, names):
        if not row.get("JobID") or "." in row["JobID"]:
            continue
        record = _of_sacct(row)
        before = records.pop(record.id, None)
        if before is not None and (before.name, before.user) == (record.name, record.user):
            record = replace(record, restarts=before.restarts + 1)
        records[record.id] = record
    return list(records.values())


def _rows(text: str, names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Give the rows of a text in which each field ends with the separator, each row with a line.

    A name may hold a line's end: only that behind a row's last separator counts.
    """
    fields = text.split(SEPARATOR)
    for at in range(0, len(fields) - len(names), len(names)):
        values = [field.strip() for field in fields[at : at + len(names)]]
        yield dict(zip(names, values, strict=True))


def _of_squeue(row: Mapping[str, str]) -> Record:
    state = read_state(row["State"])
    code = row["exit_code"]
    ended = read_exit_code(code) if ":" in code else read_wait_status(code)  # 22.05: a bare number
    reason = read_reason(row["Reason"])
    if reason.name == "JobLaunchFailure" and ended is not None and ended.is_killed:
        reason = read_reason("RaisedSignal")  # 22.05 has one word for both
    nodes = _text(row["NodeList"])
    if state.is_final and reason.name in _WAITED:
        reason = read_reason("None")
    begin, end = _text(row["StartTime"]), _text(row["EndTime"])
    never_started = state.is_final and not nodes and begin in ("", end)
    if never_started:
        state = _never_started(state, reason, row["Dependency"])
    if state.name == "CANCELLED" and reason.name == "DependencyNeverSatisfied":
        reason = read_reason("None")
    return Record(
        id=row["JobArrayID"],
        raw_id=row["JobID"],
        name=row["Name"],
        user=row["UserName"],
        state=state,
        reason=reason,
        partition=row["Partition"],
        nodes=_number(row["NumNodes"]),
        node_list=nodes,
        submitted=_text(row["SubmitTime"]),
        started="" if never_started else begin,
        ended=end,
        elapsed="" if never_started else _text(row["TimeUsed"]),
        limit=_text(row["TimeLimit"]),
        left="" if state.is_final else _text(row["TimeLeft"]),
        restarts=_number(row["RestartCnt"]),
        exit_code=ended if state.is_final and not never_started else None,
        dependency=_text(row["Dependency"]),
    )


def _of_sacct(row: Mapping[str, str]) -> Record:
    def field(name: str) -> str:
        return _text(row.get(name, ""))

    state = read_state(row.get("State", ""))
    code = read_exit_code(row.get("ExitCode", ""))
    # It keeps the reason for which a job has waited last, long after that.
    reason = read_reason(row.get("Reason", ""))
    nodes = field("NodeList")
    begin, end = field("Start"), field("End")
    never_started = state.is_final and "NodeList" in row and not nodes and begin in ("", end)
    if never_started:
        state = _never_started(state, reason, "")
    if state.phase != "waiting":
        reason = read_reason("None")
    told = state.is_final and not never_started
    return Record(
        id=row["JobID"],
        raw_id=field("JobIDRaw") or row["JobID"],
        name=row.get("JobName", ""),
        user=row.get("User", ""),
        state=state,
        reason=reason,
        partition=field("Partition"),
        nodes=_number(row.get("NNodes", "")),
        node_list=nodes,
        submitted=field("Submit"),
        started="" if never_started else begin,
        ended=end,
        elapsed="" if never_started else field("Elapsed"),
        limit=field("Timelimit"),
        left="",
        restarts=0,
        exit_code=replace(code, folded=True) if told and code is not None else None,
    )


def _never_started(state: State, reason: Reason, dependency: str) -> State:
    """Tell of a job that ended without nodes why it did; of any other job its state as it is.

    Slurm itself ends those that it can never run: it cancels what waits for a job that failed
    (kill-on-invalid-dep), and 22.05 keeps what sbatch was refused as FAILED, with a raw 1 as its
    exit code.
    """
    if state.name == "CANCELLED" and reason.name in ("DependencyNeverSatisfied", "Dependency"):
        found = _FAILED_DEPENDENCY.findall(dependency)
        which = f"job {' and '.join(found)}, which" if found else "the job that"
        comma = "," if found else ""
        words = f"cancelled by Slurm: {which} it waited for{comma} did not end well"
        return replace(state, words=words)
    if state.name == "FAILED":
        why = reason.words if reason.name in _REFUSALS else "Slurm refused it"
        return replace(state, words=f"never started: {why}")
    return state


def _text(text: str) -> str:
    return "" if text in _NOTHING else text


def _number(text: str) -> int:
    digits = text.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0
