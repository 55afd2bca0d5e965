"""The tracebacks of torchrun's agents, told in a line each: of what went wrong they say nothing.

They stand among the script's own lines. An agent's ends with the report on its workers, of which
the first to fail is told apart; the name of any other exception stays.
"""

from __future__ import annotations

import re

Timed = tuple[list[str], list[bytes]]

_LEAD = re.compile(rb"[^\s|]{1,255} *\| ")  # the node, on hosts and pretend nodes
_BEGIN = b"Traceback (most recent call last):"
_AGENTS = re.compile(
    rb'  File "[^"]*/(?:torch/distributed/(?:run\.py|elastic/|launcher/)|accelerate/commands/)'
)
_REPORTED = b"torch.distributed.elastic.multiprocessing.errors.ChildFailedError"
_EXCEPTION = re.compile(rb"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b")
_RULE = re.compile(rb"={20,}$")
_OF_REPORT = re.compile(rb" |-{20,}$|Failures:$|\[\d+\]:$|Root Cause |.* FAILED$|$")
_LONGEST = 1000  # lines that are held


class _Block:
    """Lines from a traceback's first one on, until it is known whose it is."""

    def __init__(self) -> None:
        self.lines: list[tuple[bytes, bool]] = []
        """Each with whether it is the agents', should this be theirs."""
        self._is_agents = False
        self._open = 0
        """Tracebacks without their exception yet: those of several agents may be mixed."""
        self._rules = 0
        """Lines of ==== to come, two a report."""

    def take(self, line: bytes, text: bytes) -> bool:
        """Take a line; return whether the block goes on."""
        folds = True
        if text == _BEGIN:
            self._open += 1
        elif text.startswith(_REPORTED):
            self._open -= 1
            self._rules += 2
        elif self._rules and _RULE.match(text):
            self._rules -= 1
        elif self._open > 0 and _EXCEPTION.match(text):
            self._open -= 1
            folds = False
        elif self._open > 0 and text[:2] == b"  ":
            self._is_agents |= _AGENTS.match(text) is not None
        elif not self._is_agents:
            self._open = 0
        else:
            folds = self._rules > 0 and _OF_REPORT.match(text) is not None
        self.lines.append((line, folds))
        return (self._open > 0 or self._rules > 0) and len(self.lines) < _LONGEST

    def given(self, lead: bytes) -> list[bytes]:
        """Return the lines to be shown."""
        if not self._is_agents:
            return [line for line, _ in self.lines]
        count = sum(folds for _, folds in self.lines)
        told = b"%b\xe2\x80\xa6 %d lines of torchrun's traceback: --all" % (lead, count)
        return [told, *(line for line, folds in self.lines if not folds)]


class Folding:
    """Folds the agents' tracebacks among the script's own lines, read piece by piece."""

    def __init__(self) -> None:
        self._blocks: dict[bytes, _Block] = {}

    def fold(self, times: list[str], lines: list[bytes]) -> Timed:
        """Return what is to be shown of lines, and of those that were held; hold some perhaps."""
        if not self._blocks and not any(_BEGIN in line for line in lines):
            return times, lines
        folded: Timed = [], []
        for time, line in zip(times, lines, strict=True):
            match = _LEAD.match(line)
            lead = match[0] if match else b""
            text = line[len(lead) :]
            if lead not in self._blocks:
                if text != _BEGIN:
                    _add(folded, time, [line])
                    continue
                self._blocks[lead] = _Block()
            if not self._blocks[lead].take(line, text):
                _add(folded, time, self._blocks.pop(lead).given(lead))
        return folded

    def end(self, time: str) -> Timed:
        """Return what is held still."""
        given: Timed = [], []
        for lead, block in self._blocks.items():
            _add(given, time, block.given(lead))
        self._blocks = {}
        return given


def _add(timed: Timed, time: str, lines: list[bytes]) -> None:
    timed[0].extend([time] * len(lines))
    timed[1].extend(lines)
