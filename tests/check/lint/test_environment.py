"""SK501 to SK611: what they find, what looks like it and is sound, what `--fix` makes of it."""

from __future__ import annotations

import subprocess

import pytest

from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.names import meant, names
from slurmkit.check.lint.run import lint
from tests.check.lint.cases import found, load, params, whole

CASES = load("environment.yaml")


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
        edited = [f for f in found(code, script) if f.edits]
        if not count or not edited:
            continue
        fixed = fix(whole(script), lint).data
        left = [f for f in lint(fixed, "job") if f.code == code]
        assert len(left) == count - len(edited), fixed.decode()
        assert subprocess.run(["bash", "-n"], input=fixed, check=False).returncode == 0


def test_a_module_or_a_sourced_file_may_set_a_variable() -> None:
    launch = "python a.py $ARGS $NET_HOME"
    for before, severities in (
        ("", ["warning", "warning"]),
        ("module load net\n", ["warning", "info"]),
        ("source settings.sh\n", ["info", "info"]),
        ("source ~/venv/bin/activate\n", ["warning", "warning"]),
    ):
        assert [f.severity for f in found("SK510", before + launch)] == severities, before


def test_a_script_with_many_parameters_is_called_with_them() -> None:
    assert {f.severity for f in found("SK510", "python a.py $A $B $C")} == {"warning"}
    assert {f.severity for f in found("SK510", "python a.py $A $B $C $D")} == {"info"}


def test_the_threads_are_the_share_of_a_process() -> None:
    head = "#!/bin/bash\n#SBATCH --cpus-per-task=32\n"
    for launch, line in (
        ("torchrun --nproc_per_node=4 a.py", "export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / 4))"),
        ("srun --ntasks-per-node=4 python a.py", "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK"),
        ("torchrun --nproc_per_node=64 a.py", "export OMP_NUM_THREADS=1"),
    ):
        edits = [f.edits for f in lint(f"{head}{launch}\n".encode()) if f.code == "SK508"]
        assert [[edit.text for edit in row] for row in edits] == [[line + "\n"]]


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("NCCL_IB_DISABEL", "1", ("NCCL_IB_DISABLE", "1")),
        ("NCCL_DEBUG_SUBSYSTEM", "ALL", None),
        ("TORCH_NCCL_BLOKING_WAIT", "1", ("TORCH_NCCL_BLOCKING_WAIT", "1")),
        ("CUDA_DIRS", "/x", ("CUDA_DIR", "/x")),
        ("CUDAHOME", "/x", None),
        ("NCCL_X", "1", None),
        ("MY_NCCL_DEBUG", "1", None),
    ],
)
def test_names_that_are_near(name: str, value: str, right: tuple[str, str] | None) -> None:
    assert meant(name, value) == right


def test_the_table_of_names_is_whole() -> None:
    assert all(row.reader and row.instead in (*names(), "") for row in names().values())
    assert list(names()) == sorted(names())
    assert not any(row.instead and names()[row.instead].instead for row in names().values())
