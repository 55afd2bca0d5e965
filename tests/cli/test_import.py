from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from slurmkit.cli import main

SCRIPT = """#!/bin/bash
#SBATCH --nodes=2
#SBATCH --gres=gpu:4
cp data /tmp
srun torchrun --nnodes=2 --nproc_per_node=4 --node_rank=$SLURM_PROCID train.py --lr 0.1 > log
"""


def slurmkit(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(main, list(words), input=given)


def test_the_job_file_goes_to_standard_output_and_the_rest_to_standard_error(
    tmp_path: Path,
) -> None:
    script = tmp_path / "old.sbatch"
    script.write_text(SCRIPT)
    ran = slurmkit("import", str(script))
    assert ran.exit_code == 0
    assert "gpus_per_node: 4" in ran.stdout
    assert "- cp data /tmp" in ran.stdout
    assert "slurmkit import: kept as it stands, in environment.setup:\n" in ran.stderr
    assert f"{script}:4: cp data /tmp" in ran.stderr
    assert f"{script}:5: SK301" in ran.stderr
    rendered = slurmkit("render", "-", given=ran.stdout)
    assert rendered.exit_code == 0, rendered.stderr
    assert "train.py --lr 0.1" in rendered.stdout


def test_standard_input_and_quiet() -> None:
    ran = slurmkit("import", "--quiet", "-", given=SCRIPT)
    assert ran.exit_code == 0
    assert "name: job" in ran.stdout
    assert "was an error" in ran.stderr
    assert "kept as it stands" not in ran.stderr


def test_a_file_for_the_job_file(tmp_path: Path) -> None:
    ran = slurmkit("import", "-o", str(tmp_path / "job.yaml"), "-", given=SCRIPT)
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert (tmp_path / "job.yaml").read_text() == slurmkit("import", "-", given=SCRIPT).stdout
    ran = slurmkit("import", "-o", str(tmp_path / "none" / "job.yaml"), "-", given=SCRIPT)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "job.yaml cannot be written: No such file or directory" in ran.stderr


def test_what_is_told_ends_with_a_word() -> None:
    long = "echo " + "word " * 40
    ran = slurmkit("import", "-", given=SCRIPT.replace("cp data /tmp", long + "\ncp a /tmp"))
    row = next(row for row in ran.stderr.splitlines() if "echo word" in row)
    assert row.endswith(" word...")
    assert "SK301" in ran.stderr
    assert "..." not in next(row for row in ran.stderr.splitlines() if "SK301" in row)


def test_mistakes(tmp_path: Path) -> None:
    ran = slurmkit("import", str(tmp_path / "none.sbatch"))
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "No such file" in ran.stderr
    ran = slurmkit("import", "-", given="#!/bin/bash\necho\n")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "starts no program that can be told" in ran.stderr
