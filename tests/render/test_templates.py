"""The cache of compiled templates: quick where it can be kept, not missed where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

JOB = "name: x\nentrypoint: {module: m}\n"


def rendered(home: Path, **variables: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "SLURMKIT"))}
    return subprocess.run(
        [sys.executable, "-c", "from slurmkit.cli import main; main()", "render", "-"],
        input=JOB,
        env={**inherited, "HOME": str(home), **variables},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_compiled_templates_are_kept_and_give_the_same(tmp_path: Path) -> None:
    first = rendered(tmp_path)
    kept = list((tmp_path / ".cache" / "slurmkit" / "templates").iterdir())
    assert kept
    assert rendered(tmp_path) == first
    for path in kept:
        path.write_bytes(path.read_bytes()[:50])
    assert rendered(tmp_path) == first, "a broken cache is compiled anew"


@pytest.mark.parametrize("cache", ["/proc/nowhere", "/dev/null"])
def test_nothing_is_kept_where_nothing_can_be(tmp_path: Path, cache: str) -> None:
    assert rendered(tmp_path, XDG_CACHE_HOME=cache) == rendered(tmp_path)
