"""Slurm's grammars in one place: each function takes the text as a user writes it.

It returns a typed value or raises GrammarError, which says what was expected and what to write.
"""

from __future__ import annotations

from slurmkit.slurm.expressions import (
    DEPENDENCY_KINDS,
    MAX_ARRAY_SIZE,
    ArrayIndices,
    Dependency,
    check_array,
    check_constraint,
    check_dependency,
)
from slurmkit.slurm.hostlist import MAX_NODES, count_nodelist, expand_nodelist
from slurmkit.slurm.scalars import (
    GrammarError,
    check_environment_name,
    check_name_list,
    format_time,
    parse_memory,
    parse_time,
    parse_version,
)

__all__ = [
    "DEPENDENCY_KINDS",
    "MAX_ARRAY_SIZE",
    "MAX_NODES",
    "ArrayIndices",
    "Dependency",
    "GrammarError",
    "check_array",
    "check_constraint",
    "check_dependency",
    "check_environment_name",
    "check_name_list",
    "count_nodelist",
    "expand_nodelist",
    "format_time",
    "parse_memory",
    "parse_time",
    "parse_version",
]
