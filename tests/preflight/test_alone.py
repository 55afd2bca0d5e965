"""The probe runs where no slurmkit is: it imports the standard library, itself, and torch late."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import slurmkit.probe

HERE = Path(slurmkit.probe.__file__).parent


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_it_imports_the_standard_library_only() -> None:
    files = sorted(HERE.rglob("*.py"))
    assert len(files) > 20
    foreign = {
        (path.name, name)
        for path in files
        for name in imported(path)
        if name not in sys.stdlib_module_names
    }
    assert foreign == {("rank.py", "torch")}
