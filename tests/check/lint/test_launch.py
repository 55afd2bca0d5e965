"""SK401 to SK425: what they find, what looks like it and is sound, what `--fix` makes of it."""

from __future__ import annotations

import subprocess

import pytest

from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.rule import Found
from slurmkit.check.lint.run import lint
from tests.check.lint.cases import found, load, params, whole

CASES = load("launch.yaml")


@pytest.mark.parametrize(
    ("code", "count", "script"),
    params(CASES),
)
def test_how_often(code: str, count: int, script: str) -> None:
    told = [f.what for f in found(code, script)]
    assert len(told) == count, told


@pytest.mark.parametrize("code", CASES)
def test_fixes_mend_and_parse(code: str) -> None:
    for count, script in CASES[code]:
        if not count or not any(f.edits for f in found(code, script)):
            continue
        fixed = fix(whole(script), lint).data
        left = [f for f in lint(fixed, "job") if f.code == code and f.edits]
        assert left == [], fixed.decode()
        parsed = subprocess.run(["bash", "-n"], input=fixed, capture_output=True, check=False)
        assert parsed.returncode == 0, fixed.decode()


@pytest.mark.parametrize(
    ("code", "script", "line"),
    [
        ("SK402", "srun python a.py | tee x", "#!/bin/bash\nset -o pipefail\nsrun"),
        ("SK403", "#SBATCH -N2\nsrun python -u a.py", "srun --kill-on-bad-exit=1 python -u a.py"),
        ("SK404", "#SBATCH -N1\nsrun python -u a.py &\necho", "a.py &\nwait $!\necho"),
        ("SK406", "#SBATCH --requeue\nls", "#SBATCH --requeue\n#SBATCH --open-mode=append\nls"),
        ("SK408", "torchrun python a.py", "torchrun a.py"),
        ("SK409", "python a.py \\ \n  --b", "python a.py \\\n  --b"),
        ("SK409", "python a.py \\ # x\n  --b", "python a.py \\\n  --b"),
        ("SK409", "python a.py \\\n  # x\n  --b", "  # x\npython a.py \\\n  --b"),
        ("SK414", "#SBATCH --output=logs/a.b.out", "--output=logs/a.b-%j.out"),
        ("SK414", "#SBATCH --array=1-2 -o a", "-o a-%A_%a"),
        ("SK414", "#SBATCH --array=1-2 -o a-%A.out", "-o a-%A_%a.out"),
        ("SK417", "#!/usr/bin/env sh\nsource x", "#!/usr/bin/env bash\nsource x"),
        ("SK419", "#SBATCH -N1\npython a.py", "export PYTHONUNBUFFERED=1\npython a.py"),
        ("SK419", "#SBATCH -N1\n# run\n# it\npython a.py", "UNBUFFERED=1\n# run\n# it\npython"),
        ("SK419", "#SBATCH -N1\n##SBATCH -n2\npython a.py", "n2\nexport PYTHONUNBUFFERED=1\npy"),
        ("SK420", "#SBATCH -N1\nclear\nls", "#SBATCH -N1\nls"),
        ("SK420", "#SBATCH -N1\nclear; ls", "#SBATCH -N1\nls"),
        ("SK422", "a \u2013\u2013l\u00a01 \u2013n 2 \u2014x=\u201cy\u201d", 'a --l 1 -n 2 -x="y"'),
    ],
)  # fmt: skip
def test_what_a_fix_writes(code: str, script: str, line: str) -> None:
    def only(data: bytes, name: str = "-", version: tuple[int, int] | None = None) -> list[Found]:
        return [f for f in lint(data, name, version) if f.code == code]

    fixed = fix(whole(script), only).data.decode()
    assert line in fixed


def test_a_directory_is_made_by_newer_versions() -> None:
    script = "#SBATCH --output=logs/%j.out"
    assert [f.severity for f in found("SK413", script)] == ["info"]
    assert [f.severity for f in found("SK413", script, (22, 5))] == ["warning"]
    assert found("SK413", script, (23, 2)) == []


def test_nothing_goes_on_behind_a_closed_block() -> None:
    (one,) = found("SK409", "f() {\n  ls\n}\n  --x 1 &")
    assert one.edits == ()


def test_errexit_is_told_by_a_command_whose_failure_matters() -> None:
    first, second = "#SBATCH -N1\necho start\nln -s a b\nsrun ./a", "#SBATCH -N1\ndate\nsrun ./a"
    assert ["`ln`" in f.what for f in found("SK401", first)] == [True]
    assert ["a command" in f.what for f in found("SK401", second)] == [True]


def test_a_module_may_define_conda() -> None:
    script = "#SBATCH -N1\nmodule load miniforge3\nconda activate x"
    assert [f.severity for f in found("SK412", script)] == ["info"]


def test_one_log_for_a_whole_array_is_worse() -> None:
    assert [f.severity for f in found("SK414", "#SBATCH --output=a.out")] == ["info"]
    array = "#SBATCH --array=1-2 --output=a.out"
    assert [f.severity for f in found("SK414", array)] == ["warning"]


def test_only_the_first_pipe_is_given_a_fix() -> None:
    script = "srun python a.py | tee a\nsrun python b.py | tee b"
    assert [bool(f.edits) for f in found("SK402", script)] == [True, False]


def test_pipefail_is_not_put_before_what_it_may_end() -> None:
    script = "set -e\nX=$(ls | {} x)\nsrun python a.py | tee a"
    assert found("SK402", script.format("sort"))[0].edits
    assert not found("SK402", script.format("grep"))[0].edits


def test_the_last_command_is_named() -> None:
    (finding,) = found("SK424", "#SBATCH -N1\nsrun python a.py\necho one\nexit 0")
    assert "`exit 0` in line 5" in finding.what
