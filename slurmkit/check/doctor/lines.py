"""A line of a log without what was put around it: colours, ranks, nodes, times, JSON's quoting."""

from __future__ import annotations

import re
from dataclasses import dataclass

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST = 8000  # characters that a pattern is tried on at a time
_OVERLAP = 500
_DEEPEST = 9  # prefixes before one line

_NODE = r"[A-Za-z][\w.-]{0,80}"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_COMMAND = (  # programs that begin what they complain of with their own name
    r"i?python|pypy|pip|perl|ruby|lua|php|tclsh|gcc|g\+\+|clang|cc|cc1plus|f951|nvcc|bzip|mlx"
)
_PREFIXES = tuple(
    re.compile(text)
    for text in (
        r"\s*>+ ",  # quoted in a letter or an issue
        r"\[(?:RANK|Rank|rank)[ :=]?(?P<rank>\d+)\]:? ?",
        r"(?:RANK|Rank|rank)[ =]?(?P<rank>\d+)\]? ?[:|]+ ?",
        r"\[\d+,(?P<rank>\d+)\]<std(?:out|err|diag)>: ?",  # mpirun
        r"\[[a-z_]+(?P<rank>\d+)\|(?P<local>\d+)\]: ?",  # torchrun's role, rank|local rank
        r"\[(?:[a-z_]+)?(?P<local>\d{1,5})\]: ?",  # torchrun --tee
        r"(?P<rank>\d{1,5}): ",  # srun --label
        rf"(?P<node>{_NODE}) *\| ",
        r" +\| ",  # Python's exception groups
        rf"(?P<node>{_NODE}):\d+:\d+ (?:\[(?P<local>\d+)\] )?",  # NCCL
        r"\((?:[\w.:]+ )?pid=\d+(?:, ip=(?P<node>[\d.]+))?\) ?",  # Ray
        rf"slurmstepd-(?P<node>{_NODE}): ",  # since Slurm 22.05
        rf"(?!(?:{_COMMAND})[\d-]*: )(?P<node>[a-z][\w-]{{0,62}}\d): ",  # pdsh, deepspeed
        r"(?P<node>\d{1,3}(?:\.\d{1,3}){3}): ",  # pdsh, by address
        r"(?P<node>[a-z][a-z-]*\d[\w-]*(?:\.[a-z][\w-]*)+): ",  # and by full name
        rf"{_MONTH} {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d(?:\.\d+)? "
        rf"(?:(?P<node>{_NODE}) [\w./-]+\[\d+\]: )?",  # syslog
        r"\[?(?:\d{4}[-/]\d\d[-/]\d\d|\d\d/\d\d/\d{4}|\d\d-\d\d)[T _]+\d\d:\d\d:\d\d"
        r"(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\]?[,:]? ?(?:- |\| )?",
        r"\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]? ",
        r"\[?[EWIFDV]\d{3,8} +\d\d:\d\d:\d\d\.\d+ +[^\]\n]{0,120}\] ?",  # glog, torch
        r"\[[EWIF] [\w./]+:\d+\] ?",
        r"\[?(?:ERROR|WARNING|INFO|CRITICAL|DEBUG|FATAL)\b\]?[ :|-]+",
        r"[\w.]+ - (?:ERROR|WARNING|INFO|CRITICAL|DEBUG|FATAL) - ",  # Python's logging
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """One line as its program wrote it, and what its prefixes tell."""

    text: str
    """Without prefixes and colours."""
    shown: str
    """With the prefixes, for people."""
    rank: int | None = None
    local_rank: int | None = None
    node: str | None = None


def read_line(raw: bytes) -> list[Said]:
    r"""Return the lines that stand in one line of a file, most often one.

    A progress bar's carriage returns part it, and so do the `\n` of JSON's strings.
    """
    text = _COLOUR.sub("", raw.decode("utf-8", errors="replace"))
    pieces = [piece for part in text.split("\r") for piece in _unquoted(part)]
    return [_said(part) for piece in pieces for part in _cut(piece) if part.strip()]


def _unquoted(text: str) -> list[str]:
    if "\\n" not in text:
        return [text]
    plain = text.replace("\\\\n", "\\n")
    lines = plain.split("\\n")
    return [line.replace('\\"', '"').replace("\\t", "\t") for line in lines]


def _cut(text: str) -> list[str]:
    if len(text) <= _LONGEST:
        return [text]
    return [text[at : at + _LONGEST] for at in range(0, len(text), _LONGEST - _OVERLAP)]


def _said(shown: str) -> Said:
    shown = shown.rstrip()
    at = 0
    told: dict[str, str] = {}
    for _ in range(_DEEPEST):
        match = next((m for prefix in _PREFIXES if (m := prefix.match(shown, at))), None)
        if match is None or match.end() == at:
            break
        told = {**{name: value for name, value in match.groupdict().items() if value}, **told}
        at = match.end()
    return Said(
        shown[at:],
        shown,
        rank=_number(told.get("rank")),
        local_rank=_number(told.get("local")),
        node=told.get("node"),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and len(text) <= 6 else None
