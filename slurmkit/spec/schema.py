"""The JSON schema of job files."""

from __future__ import annotations

from typing import Any

from slurmkit.spec.model import JobSpec
from slurmkit.spec.program import PACKAGE, config_model, programs


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) that every job file keeps to.

    For the programs that come with slurmkit it knows the fields of their configs too.
    """
    schema = JobSpec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    definitions["Entrypoint"]["allOf"] = [_program(each, definitions) for each in programs()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "slurmkit job file",
    }


def _program(module: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the rule for one program; the parts of its config go into the definitions."""
    name = module.removeprefix(PACKAGE)
    config = config_model(module).model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    parts = config.pop("$defs", {})
    for part, body in {**parts, "config": config}.items():
        definitions[f"{name}.{part}"] = _read_on_node(body)
    reference = {"$ref": f"#/$defs/{name}.config"}
    rule: dict[str, Any] = {"properties": {"config": {"anyOf": [reference, {"type": "null"}]}}}
    if "required" in config:
        rule = {
            "properties": {"config": reference},
            "anyOf": [{"required": ["config"]}, {"required": ["args"]}],
        }
    return {
        "if": {"properties": {"module": {"const": module}}, "required": ["module"]},
        "then": rule,
    }


def _read_on_node(part: Any) -> Any:
    """Let one of several words also be read on the node, as any text may."""
    if isinstance(part, list):
        return [_read_on_node(each) for each in part]
    if not isinstance(part, dict):
        return part
    part = {key: _read_on_node(value) for key, value in part.items()}
    if part.get("type") == "string" and "enum" in part:
        words = {"enum": part.pop("enum")}
        part["anyOf"] = [words, {"pattern": r"\$\{env:"}]
    return part
