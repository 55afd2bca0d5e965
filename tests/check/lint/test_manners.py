"""All groups of rules: other manners of writing the same, and where the finding stands then."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.run import lint
from tests.check.lint.cases import found

CASES: dict[str, dict[str, list[str]]] = yaml.safe_load(
    Path(__file__).with_name("manners.yaml").read_text(encoding="utf-8")
)
JOB = "#SBATCH -N 2 -n 2\n"
STATIC = "srun bash -c 'torchrun --nnodes=2 --master_addr=$MASTER_ADDR --master_port=$PORT a.py'"


@pytest.mark.parametrize(
    ("code", "script", "count"),
    [
        (code, script, count)
        for code, cases in CASES.items()
        for kind, count in (("found", 1), ("silent", 0))
        for script in cases[kind]
    ],
)
def test_it_is_found_once_or_not_at_all(code: str, script: str, count: int) -> None:
    assert len(found(code, script)) == count


@pytest.mark.parametrize(
    ("code", "script", "place", "name"),
    [
        ("SK303", f"{JOB}export MASTER_ADDR=localhost\n{STATIC}\n", "3:20", "MASTER_ADDR"),
        ("SK309", f"{JOB}export MASTER_ADDR=n17\n{STATIC}\n", "3:20", "MASTER_ADDR"),
        ("SK312", f"{JOB}PORT=$RANDOM\n{STATIC}\n", "3:6", "PORT"),
        ("SK303", f"{JOB}srun torchrun --nnodes=2 --master_addr=localhost a.py", "3:", "--master"),
        ("SK303", f"{JOB}A='--nnodes=2 --master_addr localhost'\nsrun torchrun $A a.py", "4", "--"),
    ],
)
def test_the_place_is_where_the_value_is_written(
    code: str, script: str, place: str, name: str
) -> None:
    (only,) = found(code, script)
    assert only.place.removeprefix("job:").startswith(place)
    assert only.what.startswith(name)


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        (b"#!/bin/bash\nls \0x\0\n", b"#!/bin/bash\nls x\n"),
        (b"#!/bin/bash\r#SBATCH -N 1\rls\r", b"#!/bin/bash\n#SBATCH -N 1\nls\n"),
        (b"#!/bin/bash\nls \0\x01\n", b"#!/bin/bash\nls \0\x01\n"),
    ],
)
def test_bytes_that_no_script_holds(data: bytes, mended: bytes) -> None:
    assert "SK614" in [finding.code for finding in lint(data)]
    assert fix(data, lint).data == mended


@pytest.mark.parametrize(
    ("option", "is_refused"),
    [
        ("--ntasks=0", True), ("--ntasks=2", False), ("--cpus-per-task=+2", False),
        ("--ntasks-per-node=0", True), ("--signal=B:USR1@120s", True), ("--mem=", True),
        ("--signal=USR1@70000", True), ("--signal=b:sigusr1@90", False), ("--signal=12", False),
        ("--array=1-", True), ("--array=3-1", True), ("--array=1-5:2,9%4", False),
        ("--array=[1-3]", False), ("--array=1,,2", False), ("--array=a", True),
        ("--exclusive=yes", True), ("--exclusive=user", False), ("--exclusive", False),
        ("--hint=multithreads", True), ("--hint=nomultithread", False), ("--tmp=10G", False),
        ("--kill-on-invalid-dep=maybe", True), ("--account=", False), ("--array=1-$N", False),
        ("--nodes=2-1", True), ("--nodes=1-2", False), ("--array=1-10:0", True),
    ],
)  # fmt: skip
def test_values_that_sbatch_refuses(option: str, is_refused: bool) -> None:
    assert bool(found("SK109", f"#SBATCH {option}\n")) == is_refused


@pytest.mark.parametrize(
    ("code", "script", "words"),
    [
        ("SK102", "ls\r\npwd\n", "one of its line breaks is"),
        ("SK204", f"{JOB}srun accelerate launch --num_machines 3 a.py\n", "--num_machines says 3"),
        ("SK301", f"{JOB}srun env RANK=$SLURM_PROCID python a.py\n", "exec python"),
        ("SK311", "echo $SLURM_NPROCS\n", "Write SLURM_NTASKS."),
        ("SK316", "srun --container-image=a.sqsh ls\n", "`./a.sqsh`"),
        ("SK421", "python a.py --data /path/to/your/data\n", "`/path/to/your/data`"),
        ("SK421", "#SBATCH --account=YOUR_ACCOUNT\nls\n", "`YOUR_ACCOUNT`"),
    ],
)
def test_the_words_name_what_is_there(code: str, script: str, words: str) -> None:
    only = found(code, script)[0]
    assert words in f"{only.what} {only.fix}"


def test_a_prefix_gets_no_fix_that_would_not_help() -> None:
    script = "#SBATCH -N 2 -n 8\nRANK=$SLURM_PROCID srun python a.py\n"
    assert found("SK301", script)[0].edits == ()


def test_a_binary_file_is_told_once() -> None:
    found = lint(b"\x7fELF\2\1\1\0\0\3\n  --author\n'\n")
    assert [(f.code, f.what) for f in found] == [("SK614", "a binary file, no script")]
