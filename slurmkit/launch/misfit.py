"""What of a waiting job its partition can never give, by the fields of the job file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slurmkit.launch.acceptable import accepted, fits
from slurmkit.launch.offer import ask_offer, number
from slurmkit.slurm.commands import ask

if TYPE_CHECKING:
    from slurmkit.slurm.records import Record

_REASONS = {"PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "BadConstraints"}
_GPUS = re.compile(r"gpu(?::[^:,=]+)?[:=](\d+)")


def misfits(record: Record) -> list[str]:
    """Say which fields ask for more than there is, with their values and the most; else nothing.

    Slurm is asked only of a job that waits for what it may never get.
    """
    if record.state.phase != "waiting" or record.reason.name not in _REASONS:
        return []
    (text,) = ask(("scontrol", "--oneliner", "show", "job", record.id))
    values = _wanted(text or "")
    if not values:
        return []
    offer = ask_offer(record.partition, values)
    return [
        f"{field} is {value}: {accepted(offer, field)}"
        for field, value in values.items()
        if fits(offer, field, value) is False
    ]


def _wanted(text: str) -> dict[str, int | str]:
    """Read from scontrol's words what a job asks for."""
    row = {key: value for key, _, value in (word.partition("=") for word in text.split())}
    gpus = _GPUS.search(row.get("TresPerNode", ""))
    memory = row.get("MinMemoryNode", "")
    wanted: dict[str, int | str] = {
        "resources.nodes": number(row.get("NumNodes", "")),
        "resources.time": row.get("TimeLimit", ""),
        "resources.cpus_per_node": number(row.get("MinCPUsNode", "")),
        "resources.memory_per_node": "" if memory == "0" else memory,
        "resources.gpus_per_node": int(gpus[1]) if gpus else 0,
    }
    return {field: value for field, value in wanted.items() if value}
