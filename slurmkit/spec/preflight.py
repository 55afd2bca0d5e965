"""What a job has its nodes checked for before it trains: `preflight` in the job file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from slurmkit.spec.fields import Memory, PathText
from slurmkit.spec.part import Count, Part

Check = Literal["hosts", "network", "versions", "gpus", "data", "storage", "entrypoint", "ranks"]
CHECKS: list[Check] = [
    "hosts", "network", "versions", "gpus", "data", "storage", "entrypoint", "ranks",
]  # fmt: skip
"""All of them, in the order in which they are told."""


class Preflight(Part):
    """Which checks run on the nodes before the launch, and what follows from them."""

    checks: list[Check] = Field(
        CHECKS,
        min_length=1,
        description="hosts (names, clocks), network (ports, links), versions (Python, torch, CUDA, "
        "driver), gpus, data, storage (space, shared, speed), entrypoint (it imports), ranks "
        "(matrix product, all-reduce).",
    )
    data: list[PathText] = Field(
        [],
        description="Files and directories that must be the same on all nodes; the data of a "
        "program of slurmkit's own is among them anyway.",
    )
    storage: list[PathText] = Field(
        [],
        description="Directories that the job writes to beside its run directory, such as that of "
        "its checkpoints: seen by all nodes, writable, with room.",
    )
    free_space: Memory = Field(
        "1G",
        description="Space that the disk of the run directory, and of what `storage` names, must "
        "have left, such as `500G`.",
    )
    timeout: Count = Field(
        300, description="Seconds for all checks together; each has a shorter time of its own."
    )
    on_failure: Literal["stop", "warn"] = Field(
        "stop", description="What a failed check does: end the job, or only say so."
    )


class _OrList:
    """Lets the JSON schema take the short form, too: a list of checks."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        whole = handler(schema)
        checks = {"type": "array", "items": {"enum": CHECKS, "type": "string"}}
        return {"anyOf": [checks, *whole.pop("anyOf", [whole])], **whole}


def _of_list(value: Any) -> Any:
    """Read `[hosts, gpus]` as `{checks: [hosts, gpus]}`; an empty list asks for nothing."""
    if isinstance(value, list | tuple):
        return {"checks": list(value)} if value else None
    return value


PreflightField = Annotated[Preflight | None, BeforeValidator(_of_list), _OrList()]
