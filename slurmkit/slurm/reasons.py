"""Why a job waits, or why it ended: Slurm's one word, in plain words, with what helps.

Sources of the table: "JOB REASON CODES" of squeue(1), "Job Reason Codes" of Slurm's website, and
the names in Slurm 22.05 to 26.05 themselves. A row whose name holds `*` is a family: one limit,
named for each resource (`QOSMaxGRESPerUser`); `{}` in its words is the resource.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_RESOURCES = {"GRES": "GPUs", "BB": "burst buffer", "Cpu": "CPUs", "CPU": "CPUs", "Node": "nodes"}
_RESOURCES |= {"Mem": "memory", "Memory": "memory", "License": "licences", "Energy": "energy"}
_RESOURCES |= {"Billing": "billing units", "Unknown": "a resource"}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason that Slurm gives."""

    name: str
    """Slurm's word: `Priority`."""
    words: str
    """What it means; Slurm's word again where the table has none."""
    fix: str = ""
    """What helps; empty where only time does."""

    @property
    def is_none(self) -> bool:
        """Tell whether there is nothing to say."""
        return self.name in ("None", "")

    def fix_for(self, job: str) -> str:
        """What helps, with the job's id where the table says JOB."""
        return re.sub(r"\bJOB\b", job, self.fix)


@cache
def known_reasons() -> dict[str, Reason]:
    """Return the reasons and families of the table by name."""
    text = (resources.files(__package__) / "reasons.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return {name: Reason(name, words, fix) for name, words, fix in rows}


def read_reason(text: str) -> Reason:
    """Return the reason that squeue wrote, with or without parentheses.

    Slurm may put more behind the word: `(ReqNodeNotAvail, UnavailableNodes:node[1-2])`,
    `RaisedSignal:9(Killed)`.
    """
    text = text.strip().removeprefix("(")
    if text.count(")") > text.count("("):
        text = text.removesuffix(")")
    text = re.sub(r"^(job requeued|launch failed).* held.*", lambda m: m[0].replace(" ", "_"), text)
    match = re.match(r"\w*", text)
    name = match[0] if match else ""
    known = known_reasons().get(name) or _of_family(name)
    more = text[len(name) :].strip(" ,:")
    if known is None or (more and not text[len(name) :].lstrip().startswith((",", ":"))):
        return Reason(text, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    return Reason(known.name, f"{known.words} ({more})", known.fix) if more else known


@cache
def _families() -> list[tuple[re.Pattern[str], Reason]]:
    names = "|".join(sorted(_RESOURCES, key=len, reverse=True))
    return [
        # Some end with Limit, some with NotSatisfied, most with neither.
        (
            re.compile(name.replace("*", f"({names})") + r"(?:Limit|NotSatisfied)?"),
            reason,
        )
        for name, reason in known_reasons().items()
        if "*" in name
    ]


@cache
def _of_family(name: str) -> Reason | None:
    for pattern, reason in _families():
        match = pattern.fullmatch(name)
        if match:
            return Reason(name, reason.words.format(_RESOURCES[match[1]]), reason.fix)
    return None
