"""The JSON schema of job files."""

from __future__ import annotations

from typing import Any

from slurmkit.spec.model import JobSpec


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every job file keeps to."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **JobSpec.model_json_schema(by_alias=True),
        "title": "slurmkit job file",
    }
