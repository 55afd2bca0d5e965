"""From the files of a job, and Slurm's word on it, to a verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.check.doctor.attempts import without_past_ends
from slurmkit.check.doctor.cause import SURE, Sure, by_code, causes
from slurmkit.check.doctor.chained import cause_of
from slurmkit.check.doctor.event import Event, Line
from slurmkit.check.doctor.gather import gather, last_written
from slurmkit.check.doctor.joined import too_few
from slurmkit.check.doctor.order import in_order, is_failure, is_sign
from slurmkit.check.doctor.reports import Failed, Reports, read_reports
from slurmkit.check.doctor.sieve import Sieve
from slurmkit.check.doctor.slight import without_slight
from slurmkit.check.doctor.sources import SIMULATION
from slurmkit.check.doctor.spoken import events_of_word, in_words, of_error_files
from slurmkit.check.doctor.stalled import rank_that_is_missing
from slurmkit.check.doctor.unspoken import last_lines, last_word, left_early
from slurmkit.check.doctor.verdict import DONE, UNKNOWN, Diagnosis, Verdict
from slurmkit.check.secrets import without_secrets
from slurmkit.slurm.states import read_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmkit.check.doctor.event import Log

_OF_A_RANK = ("root", "error", "killed")
_TOLD = ("end", "killed", "cancel")
_OF_SLURM = ("srun: ", "sbatch: ", "salloc: ", "slurmstepd: ")
_PEER = re.compile(
    r"[Cc]onnection closed by (?:remote )?peer \[?(?!127\.|::1|localhost)([\w.-]*\w)"
)
_NOWHERE = 1 << 30  # behind all files: what Slurm says comes last


def diagnose(
    logs: Sequence[Log],
    *,
    state: str | None = None,
    node: str | None = None,
    last: int | None = None,
    word: Line | None = None,
) -> Diagnosis:
    """Name the first cause of a job's death.

    Args:
        logs: its files; the one of the whole job first.
        state: Slurm's word on the job, such as TIMEOUT.
        node: where it ran, if that was one node.
        last: how many bytes of each file's end to read; all otherwise.
        word: why it failed by its own word, as status.json has it.
    """
    reports = read_reports(log.path for log in logs if log.rank is None)
    logs = [*logs, *of_error_files(reports, logs)]
    events = gather(logs, _sieve(), last=last)
    ends = [in_words(event) for event in events if _is_end(event)]
    events = [event for event in events if not _is_end(event)]
    events += _needed(ends, events)
    events += [*too_few(events), *_of_state(state, events, _last_written(logs))]
    told = events_of_word(word, _NOWHERE)
    events += [event for event in told if event.cause.kind == "first"]
    events = without_past_ends(events, state)
    ordered = in_order(events, reports.first)
    if not ordered:
        events += told
        ordered = in_order(events, reports.first)
    ordered = ordered or in_order([event for event in ends if event.cause.kind in _TOLD])
    case = _Case(logs, events, reports, state, node, _homes(logs))
    is_bad = read_state(state).phase == "bad" if state else any(map(is_sign, events))
    failed = is_bad or (state != DONE and any(map(is_failure, events)))
    if not ordered and (failed or word):
        ordered = left_early(logs, events, reports)
    if not ordered and (failed or word):
        lines = last_lines(logs, events, reports.first or reports.simulated)
        return Diagnosis((case.unknown([*lines, *([word] if word else [])]),), len(logs))
    return Diagnosis(tuple(map(case.verdict, ordered)), len(logs))


def _is_end(event: Event) -> bool:
    return Path(event.line.file).name == SIMULATION


def _homes(logs: Sequence[Log]) -> dict[int, str]:
    """Return the nodes of the ranks by their logs; not of one that a requeue has moved."""
    found: dict[int, set[str]] = {}
    for log in logs:
        if log.rank is not None and log.node:
            found.setdefault(log.rank, set()).add(log.node)
    return {rank: nodes.pop() for rank, nodes in found.items() if len(nodes) == 1}


def _needed(ends: Sequence[Event], events: Sequence[Event]) -> list[Event]:
    """Return what a simulation says of its end, less what the job's own output tells better."""
    kinds = {event.cause.kind for event in events if not event.survived}
    return [event for event in ends if event.cause.kind not in kinds]


@cache
def _sieve() -> Sieve:
    return Sieve(causes())


def _last_written(logs: Sequence[Log]) -> float | None:
    """Return about when the job ended, by its files."""
    return max(filter(None, (last_written(log) for log in logs)), default=None)


def _of_state(state: str | None, events: Sequence[Event], written: float | None) -> list[Event]:
    """Return what Slurm's state alone says, where no line says the same."""
    for cause in causes():
        if state in cause.states and not any(event.code == cause.code for event in events):
            line = Line("sacct", 0, f"State={state}")
            return [Event(cause, line, (_NOWHERE, 0), line.text, written=written)]
    return []


@dataclass(frozen=True, slots=True)
class _Case:
    """All that is known of a death; makes verdicts of events."""

    logs: Sequence[Log]
    events: Sequence[Event]
    reports: Reports
    state: str | None
    node: str | None
    homes: Mapping[int, str]
    """The nodes of the ranks that have logs of their own."""

    def verdict(self, event: Event) -> Verdict:
        """Return what an event says, with whom it is about."""
        missing = self._awaited(event)
        rank, node = self._who(event, missing)
        inner = cause_of(event, self.events)
        said = last_word(self.logs, self.events, missing)
        more = [("its cause", inner.line if inner else None), ("it said", said)]
        code = _broader(event)
        return Verdict(
            code=code or event.code,
            detail=event.code if code else None,
            place=f"{event.line.file}:{event.line.line}",
            what=event.cause.title,
            fix=event.cause.fix,
            evidence=without_secrets(event.text),
            confidence=self._sure(event),
            rank=rank,
            node=node or self.node,
            time=event.stamp.text if event.stamp else None,
            lines=_to_show((event.line, *event.frames)),
            more=tuple((name, _to_show([line])[0]) for name, line in more if line),
            is_awaited=missing is not None,
            meaning=event.cause.meaning,
        )

    def unknown(self, lines: Sequence[Line]) -> Verdict:
        """Return what is to say where no line names a cause."""
        first = self.reports.first or self.reports.simulated
        told = first.words if first else "it failed"
        peer = _lost_peer(self.events)
        look = f"look first at the output of {peer}, which had ended before; " if peer else ""
        if first is not None and first.is_own_code:
            look = f"look where it calls sys.exit or os._exit with {first.code}; "
        return Verdict(
            code=UNKNOWN,
            place=f"{lines[-1].file}:{lines[-1].line}" if lines else "the logs",
            what=f"unknown: {told}, and its logs do not say why",
            fix=(
                f"{look}{'look at the lines above; ' if lines else ''}run it once more with "
                "TORCH_DISTRIBUTED_DEBUG=DETAIL, NCCL_DEBUG=INFO and python -X faulthandler"
            ),
            confidence="low",
            rank=first.rank if first else None,
            node=first.node or self.homes.get(first.rank or 0) if first else self.node,
            lines=_to_show(lines),
            meaning="No line names a cause; these are the last ones before the trouble began."
            if lines
            else "It left no logs, or none that can be read.",
        )

    def _awaited(self, event: Event) -> int | None:
        """Return the rank for which the others waited, where that is known."""
        if event.cause.kind != "stall":
            return None
        own = {log.rank for log in self.logs if log.rank is not None}
        return rank_that_is_missing(event, self.events, own)

    def _who(self, event: Event, missing: int | None) -> tuple[int | None, str | None]:
        rank, node = event.rank, event.node
        if missing is not None:
            rank, node = missing, node if missing == rank else None
        first = self.reports.first
        if rank is None and first is not None and _may_be_its(event, first):
            rank, node = first.rank, node or first.node
        if node is None and rank is not None:
            of_rank = (one.node for one in self.events if one.rank == rank and one.node)
            node = self.reports.nodes.get(rank) or self.homes.get(rank) or next(of_rank, None)
        return rank, node

    def _sure(self, event: Event) -> Sure:
        """Return how sure a verdict is: the cause's own, less what speaks against it."""
        if self.state == DONE:
            return "low"
        doubts = SURE.index(event.cause.sure) + event.in_prose + event.survived
        is_light = event.is_warning or event.cause.is_often_harmless
        if is_light and not event.text.startswith(_OF_SLURM):
            doubts += not (self.state or any(map(is_sign, self.events)))
            raised = (other for other in self.events if other.cause.kind == "error")
            doubts += not event.frames and any(other.frames for other in raised)
        failed = self.state or self.reports.first or any(map(is_failure, self.events))
        if event.cause.kind == "error":  # one that is caught looks the same
            doubts += not failed or any(other.cause.kind == "end" for other in self.events)
        elif event.cause.kind == "hint":
            doubts = max(doubts, int(not failed))
        rivals = {
            other.code
            for other in without_slight(self.events)
            if other.cause.kind == event.cause.kind == "root"
            and not (other.survived or other.is_warning or other.in_prose)
            and other.code not in (event.code, *event.cause.yields_to)
            and event.code not in other.cause.yields_to
        }
        return SURE[min(doubts + bool(rivals), len(SURE) - 1)]


def _may_be_its(event: Event, first: Failed) -> bool:
    """Tell whether a line that names no rank may be of the one that failed first."""
    kind = event.cause.kind
    return kind in _OF_A_RANK and (first.by_signal or kind != "killed")


def _to_show(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return evidence without the secrets in it: verdicts are pasted into chats and issues."""
    return tuple(replace(line, text=without_secrets(line.text)) for line in lines)


def _lost_peer(events: Sequence[Event]) -> str:
    """Return the host to which a process lost its connection; nothing where no line names one."""
    matches = (_PEER.search(event.text) for event in events)
    return next((match[1] for match in matches if match), "")


def _broader(event: Event) -> str | None:
    """Return the code of the catalogue that holds a cause of our own; None where none does.

    What a program raised is D50, however much more is known of it.
    """
    if event.cause.broader:
        return event.cause.broader
    is_own = event.code.startswith("D") and event.code >= "D60"
    return "D50" if is_own and by_code()["D50"].search(event.text) else None
