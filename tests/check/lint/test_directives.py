"""SK101 to SK111 over heads of scripts: what they find, and what looks like it and is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slurmkit.check.lint.run import lint

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("directives.yaml").read_text(encoding="utf-8")
)


def lines(code: str, script: bytes | str, version: tuple[int, int] | None = None) -> list[int]:
    """Return the lines on which a script has a code."""
    data = script if isinstance(script, bytes) else script.encode()
    found = [finding for finding in lint(data, "job", version) if finding.code == code]
    return [int(finding.place.split(":")[1]) for finding in found]


@pytest.mark.parametrize(
    ("code", "case"),
    [pytest.param(c, case, id=f"{c}-{case['head']}") for c in CASES for case in CASES[c]],
)
def test_lines(code: str, case: dict[str, Any]) -> None:
    assert lines(code, f"#!/bin/bash\n{case['head']}srun hostname\n") == case["lines"]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (b"# c\n#!/bin/bash\n#SBATCH -N 2\n", [1]),
        (b"\n#!/bin/bash\n", [1]),
        (b"  #!/bin/bash\n", [1]),
        (b"\xef\xbb\xbf#!/bin/bash\n", [1]),
        (b"job.sh\n#!/bin/bash\n", [1]),
        (b"#SBATCH -N 2\nsrun hostname\n", [1]),
        ("#!/bin/bash\n".encode("utf-16"), [1]),
        (b"", [1]),
        (b"#!/bin/bash\n", []),
        (b"#! /usr/bin/env python3\n#SBATCH -N 2\nimport os\n", []),
        (b"sbatch <<E\n#!/bin/bash\n#SBATCH -N 2\nE\n", []),
        (b"sbatch <<E\n\n#!/bin/bash\n#SBATCH -N 2\nE\n", [2]),
        (b"sbatch --wrap='srun hostname'\n", []),
        (b"# all of them\n#sbatch -N 2 b.sh\nfor i in 1 2; do sbatch -N $i a.sh; done\n", []),
    ],
)
def test_shebang(script: bytes, found: list[int]) -> None:
    assert lines("SK101", script) == found


def test_what_may_be_run_by_hand_is_only_information() -> None:
    (found,) = [f for f in lint(b"# sh run.sh\nsrun torchrun a.py\n") if f.code == "SK101"]
    assert found.severity == "info"


def test_dos_line_breaks_hide_nothing_else() -> None:
    unix = b"#!/bin/bash\n#SBATCH --nodes = 2\nset -e\n#SBATCH --time=24:00\nsrun x\n"
    dos = unix.replace(b"\n", b"\r\n")
    assert lines("SK102", unix) == []
    assert lines("SK102", dos) == [1]
    places = [(f.code, f.place) for f in lint(dos) if f.code != "SK102"]
    assert places == [(f.code, f.place) for f in lint(unix)]


def test_one_dos_line_break_is_enough() -> None:
    assert lines("SK102", b"#!/bin/bash\n#SBATCH -N 2\r\nsrun x\n") == [2]


def test_version_of_slurm() -> None:
    twice = "#!/bin/bash\n#SBATCH --mail-type=END\n#SBATCH --mail-type=FAIL\nsrun x\n"
    assert lines("SK110", twice, (24, 11)) == []
    assert lines("SK110", twice, (25, 5)) == [3]
    blank = "#!/bin/bash\n#SBATCH --comment=a\\ b\nsrun x\n"
    assert lines("SK107", blank, (22, 5)) == [2]
    assert lines("SK107", blank, (24, 11)) == []
    new = "#!/bin/bash\n#SBATCH --segment=2\nsrun x\n"
    assert lines("SK109", new, (22, 5)) == [2]
    assert lines("SK109", new, (26, 5)) == []


def test_severities() -> None:
    script = "#!/bin/bash\n#SBATCH -t {}\nsrun x\n"
    for value, severity in (("2h", "error"), ("24:00", "warning"), ("48", "info")):
        (found,) = [f for f in lint(script.format(value).encode()) if f.code == "SK108"]
        assert found.severity == severity


def test_a_script_in_python_is_not_read_as_bash() -> None:
    script = b"#!/usr/bin/env python3\n#SBATCH -N = 2\nimport os\nx = {'$SLURM_PROCIDX': 'a'}\n"
    assert {finding.code for finding in lint(script)} >= {"SK107"}
    assert not [finding for finding in lint(script) if finding.place.split(":")[1] > "2"]
