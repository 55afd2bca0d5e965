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
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore SK103 (the site says so)\n", []),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore SK101\n", [3]),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignored=SK103\n", [3]),
        (f"#!/bin/bash\ntrue\n{LATE} # slurmkit: ignore=none\n", [3]),
        (
            "#!/bin/bash\ntrue\n# slurmkit: ignore=SK103\n# slurmkit: ignore=SK104\n"
            f"{LATE}\n{LATE}\n",
            [6],
        ),
    ],
)
def test_where_it_holds(script: str, kept: list[int]) -> None:
    found = [finding for finding in lint(script.encode()) if finding.code == "SK103"]
    assert [int(finding.place.split(":")[1]) for finding in found] == kept


CONTINUED = "srun torchrun \\\n  --nnodes=3 \\\n  train.py"
JOB = "#!/bin/bash\n#SBATCH --nodes=2\n"


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (f"{JOB}{CONTINUED}\n", 1),
        (f"{JOB}true\n# slurmkit: ignore=SK204\n{CONTINUED}\n", 0),
        (f"{JOB}{CONTINUED} # slurmkit: ignore=SK204\n", 0),
        (f"{JOB}{CONTINUED}\ntrue # slurmkit: ignore=SK204\n", 1),
        (f"{JOB}true # slurmkit: ignore=SK204\n{CONTINUED}\n", 1),
    ],
)
def test_a_continued_command_is_one_line(script: str, kept: int) -> None:
    assert sum(finding.code == "SK204" for finding in lint(script.encode())) == kept
