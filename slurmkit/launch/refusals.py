"""sbatch's refusals, told with the field of the job file that caused them.

The table beside this file has Slurm's texts, which hardly change over its versions, and the
fields that each is about. Source: slurm_errtab in Slurm's src/common/slurm_errno.c, and sbatch's
own messages on options, 20.02 to 26.05.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from slurmkit.slurm.commands import SlurmError
from slurmkit.spec.errors import Place, Problem, SpecError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slurmkit.spec.model import JobSpec

THE_JOB = Place("the job")
"""Where a problem is whose place in a file is not known here."""
_BARE = re.compile(
    r"^(sbatch: )?(error: |fatal: )?(batch job submission failed: |allocation failure: )?", re.I
)
_FROM_ENVIRONMENT = {
    "resources.partition": "SBATCH_PARTITION",
    "resources.account": "SBATCH_ACCOUNT",
    "resources.qos": "SBATCH_QOS",
    "resources.time": "SBATCH_TIMELIMIT",
    "resources.constraint": "SBATCH_CONSTRAINT",
    "resources.reservation": "SBATCH_RESERVATION",
    "resources.memory_per_node": "SBATCH_MEM_PER_NODE",
    "resources.memory_per_cpu": "SBATCH_MEM_PER_CPU",
}
"""Variables that sbatch reads, and that win over the lines of a script."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of the table."""

    says: re.Pattern[str]
    fields: tuple[str, ...]
    """Which may be the cause: none where it is not the job, `*` for the option in the text."""
    fix: str


@cache
def refusals() -> list[Refusal]:
    """Return the table, in its order: of several rows that match, the first counts."""
    text = (resources.files(__package__) / "refusals.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [
        Refusal(re.compile(says, re.I), tuple(fields.split()), fix) for says, fields, fix in rows
    ]


def refused(spec: JobSpec, said: str, environment: Mapping[str, str] = os.environ) -> Exception:
    """Return the error that tells a refusal.

    Args:
        spec: the job.
        said: what sbatch wrote to standard error.
        environment: in which sbatch ran.

    Returns:
        A SpecError that names the fields, their values and what the cluster would accept; or a
        SlurmError where the job file is not the cause, or slurmkit does not know the text.
    """
    words = bare(said)
    for row in refusals():
        if match := row.says.search(words):
            break
    else:
        return SlurmError("sbatch refused the job", said=words)
    fields = _fields(row, match)
    if not fields:
        return SlurmError("sbatch refused the job", said=words, fix=row.fix)
    from slurmkit.launch.acceptable import accepted, fits
    from slurmkit.launch.offer import ask_offer

    offer = ask_offer(_given(spec, "resources.partition", environment)[0], fields)
    given = {field: _given(spec, field, environment) for field in fields}
    wrong = [field for field in fields if fits(offer, field, given[field][0]) is False]
    stated = [field for field in fields if given[field][0] is not None]
    return SpecError(
        Problem(
            f"Slurm refuses it: {words}",
            given[field][1],
            field,
            "not set" if given[field][0] is None else _written(given[field][0]),
            accepted(offer, field),
            row.fix,
        )
        for field in wrong or stated or fields[:1]
    )


def bare(said: str) -> str:
    """Return Slurm's words without the name of the command in front, on one line."""
    lines = [_BARE.sub("", line.strip()).strip() for line in said.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))


def _fields(row: Refusal, match: re.Match[str]) -> tuple[str, ...]:
    if row.fields != ("*",):
        return row.fields
    from slurmkit.slurm.options import load_options

    name = match["option"]
    option = load_options().get(name)
    field = option.use("sbatch").field if option else ""
    return (field.partition(":")[2] or field or f"sbatch.{name}",)


def _given(spec: JobSpec, field: str, environment: Mapping[str, str]) -> tuple[Any, Place]:
    """Return the value that sbatch was given for a field, None for none, and where from."""
    variable = _FROM_ENVIRONMENT.get(field, "")
    if environment.get(variable):
        return environment[variable], Place(f"{variable}, set in the environment")
    value: Any = spec
    for part in field.split("."):
        value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    empty = value is None or value in ({}, 0)
    return (None if empty else value), THE_JOB


def _written(value: Any) -> str:
    return value if isinstance(value, str) and value.isprintable() else shown(value)
