"""`# slurmkit: ignore=…`: where it holds, and what it leaves alone."""

from __future__ import annotations

import pytest

from slurmkit.check.lint.run import lint

LATE = "#SBATCH --time=1:00:00"


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore=SK103\n", []),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit:ignore=sk101, SK103 \n", []),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore\n", []),
        (f"#!/bin/bash\ntrue\n# slurmkit: ignore=SK103\n{LATE}\n", []),
        (f"#!/bin/bash\n# slurmkit: ignore=SK103\ntrue\n{LATE}\n{LATE} -N 2\n", []),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore=SK101\n", [3]),
        (f"#!/bin/bash\ntrue\n# slurmkit: ignore=SK103\n\n{LATE}\n", [5]),
        (f"#!/bin/bash\ntrue # slurmkit: ignore=SK103\n{LATE}\n", [3]),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore=SK103\n{LATE} -N 2\n", [4]),
        (f"#!/bin/bash\ntrue\n{LATE} # ignore=SK103\n", [3]),
    ],
)
def test_where_it_holds(script: str, kept: list[int]) -> None:
    found = [finding for finding in lint(script.encode()) if finding.code == "SK103"]
    assert [int(finding.place.split(":")[1]) for finding in found] == kept
