"""The ways in which people write scripts: what each becomes in the job file."""

from __future__ import annotations

from typing import Any

import pytest

from slurmkit.cli.import_ import told
from slurmkit.render.script import render
from slurmkit.spec.load import loads
from tests.check.importer.test_parts import HEAD, LAUNCH, imported, job, notes

DIRECT = HEAD + "#SBATCH --ntasks-per-node=4 --cpus-per-task=6\n"


@pytest.mark.parametrize(
    ("body", "args"),
    [
        ("srun torchrun t.py --data $ROOT/x", ["--data", "${env:ROOT}/x"]),
        ('srun torchrun t.py --data "$ROOT"', ["--data", "${env:ROOT:-}"]),
        ("A=/a\nsrun torchrun t.py $A/$B/c.txt", ["/a/${env:B}/c.txt"]),
        ("A=\nsrun torchrun t.py $A x", ["x"]),
        ('A=\nsrun torchrun t.py "$A" x', ["", "x"]),
        ("srun torchrun t.py --lr $1", ["--lr", "${env:ARG_1}"]),
        ("LR=$1\nsrun torchrun t.py --lr $LR", ["--lr", "${env:LR}"]),
        ("LR=${1:-1e-3}\nsrun torchrun t.py --lr $LR", ["--lr", "1e-3"]),
        (
            "H=$(scontrol show hostnames $SLURM_NODELIST | head -1)\nMASTER_ADDR=$H\n"
            "MASTER_PORT=1234\nsrun torchrun t.py tcp://$MASTER_ADDR:$MASTER_PORT",
            ["tcp://${env:MASTER_ADDR}:${env:MASTER_PORT}"],
        ),
        ("srun torchrun t.py --world $((SLURM_NNODES * 4))", ["--world", "${env:WORLD_SIZE}"]),
        ("srun torchrun t.py --total $((SLURM_NNODES * 3))", ["--total", "6"]),
    ],
)
def test_words_of_the_program(body: str, args: list[str]) -> None:
    assert job(body)["entrypoint"]["args"] == args


@pytest.mark.parametrize(
    ("body", "command", "setup"),
    [
        (
            "A=(-a 'b c')\nif [ -d x ]; then A+=(-x); fi\nsrun torchrun t.py \"${A[@]}\"",
            'eval "IMPORTED_1=($IMPORTED_1)"; exec python3 t.py "$${IMPORTED_1[@]}"',
            'export IMPORTED_1="${A[*]@Q}"',
        ),
        (
            "srun torchrun t.py ${R:+--resume $R}",
            "exec python3 t.py $${IMPORTED_1}",
            'export IMPORTED_1="${R:+--resume $R}"',
        ),
        ("srun torchrun t.py $MORE_ARGS", "exec python3 t.py $${MORE_ARGS:-}", None),
    ],
)
def test_what_only_a_shell_can_read(body: str, command: str, setup: str | None) -> None:
    data = job(body)
    assert data["entrypoint"]["command"] == ["bash", "-c", command]
    assert setup is None or setup in data["environment"]["setup"]


@pytest.mark.parametrize(
    ("loop", "values"),
    [
        ("for s in 1 2 3; do", ["1", "2", "3"]),
        ("for s in {1..3}; do", ["1", "2", "3"]),
        ("for s in $(seq 0 2 4); do", ["0", "2", "4"]),
        ("for ((s = 0; s < 2; s++)); do", ["0", "1"]),
        ('L=(a b)\nfor s in "${L[@]}"; do', ["a", "b"]),
    ],
)
def test_what_a_loop_goes_over(loop: str, values: list[str]) -> None:
    data = job(f"{loop}\n  mkdir -p out/$s\n  srun torchrun t.py -s $s\ndone")
    assert data["sweep"] == {"environment.variables.s": values}
    assert data["environment"]["setup"][-1] == "mkdir -p out/$s"


def test_a_loop_over_what_is_not_known_is_told() -> None:
    body = "for s in $(cat seeds); do srun torchrun t.py -s $s; done"
    assert "sweep" not in job(body)
    assert "changed a loop over s: runs once" in notes(body)


def test_an_array_that_does_not_count_from_0() -> None:
    head = "#SBATCH --array=3,7 --gpus-per-node=4\n"
    data = job("L=$(sed -n ${SLURM_ARRAY_TASK_ID}p l)\nsrun torchrun t.py $L", head)
    assert data["environment"]["setup"][0] == "L=$(sed -n ${ARRAY_TASK_ID}p l)"
    assert data["sweep"] == {"environment.variables.ARRAY_TASK_ID": [3, 7]}


@pytest.mark.parametrize(
    ("body", "part", "fields"),
    [
        (
            'srun apptainer exec -B /d i.sif bash -c "torchrun t.py"',
            "container",
            {"runtime": "apptainer", "image": "i.sif", "mounts": ["/d"]},
        ),
        (
            "srun --export=ALL,LEVEL=3 torchrun t.py",
            "environment",
            {"variables": {"LEVEL": "3"}},
        ),
        ("srun env LEVEL=3 torchrun t.py", "environment", {"variables": {"LEVEL": "3"}}),
        ("srun uv run torchrun t.py", "environment", {"venv": ".venv"}),
        ("srun conda run -n ml torchrun t.py", "environment", {"conda": "ml"}),
        (
            'M=$(hostname)\nexport MASTER_ADDR="${M}i"\nsrun torchrun t.py',
            "site",
            {"host_suffix": "i"},
        ),
        ("srun --cpu_bind=cores torchrun t.py", "launcher", {"srun": {"cpu-bind": "cores"}}),
        ("srun torchrun --role x --tee 3 python -u t.py", "entrypoint", {"script": "t.py"}),
        (
            "export OUT=$ROOT/out\nmkdir -p $OUT\nsrun torchrun t.py",
            "environment",
            {"setup": ["export OUT=$ROOT/out", "mkdir -p $OUT"]},
        ),
        (
            "cd src && module load cuda && srun torchrun t.py",
            "environment",
            {"setup": ["cd src", "module load cuda"]},
        ),
        (
            "python a.py &\nsrun torchrun t.py\nwait",
            "environment",
            {"setup": ["set +e # the script went on after a failure", "python a.py &", "set -e"]},
        ),
        (
            "set -eux\nfalse\nset +e\nmodule use x\nsrun torchrun t.py",
            "environment",
            {"setup": ["false", "module use x"]},
        ),
    ],
)
def test_styles(body: str, part: str, fields: dict[str, Any]) -> None:
    assert job(body)[part] == fields


def test_what_each_task_ran_is_run_by_each_process() -> None:
    data = job("srun bash -c 'source ranks.sh; python t.py'", DIRECT)
    assert data["entrypoint"]["command"] == ["bash", "-c", "source ranks.sh; exec python3 t.py"]


def test_mpirun() -> None:
    data = job("mpirun -np 8 -x LEVEL=3 python t.py", DIRECT)
    assert data["environment"] == {"variables": {"LEVEL": "3"}}
    assert "processes_per_node" not in data["resources"]  # one a GPU


def test_the_first_of_two_branches_is_the_program() -> None:
    body = "if ((SLURM_NODEID)); then torchrun a.py -x; else torchrun a.py; fi"
    assert job(f"srun bash -c '{body}'")["entrypoint"] == {"script": "a.py", "args": ["-x"]}
    assert "another branch" in notes(f"srun bash -c '{body}'")


def test_what_setup_reads_of_slurm_is_there() -> None:
    setup = job("srun -n $SLURM_NTASKS ./prepare\nsrun python t.py", DIRECT)["environment"]["setup"]
    assert setup[0] == "SLURM_NTASKS=8"


def test_a_job_too_short_to_be_warned() -> None:
    head = HEAD + "#SBATCH --time=1 --signal=USR1@60 --requeue --ntasks-per-node=4\n"
    assert "requeue" not in job("srun python t.py", head)
    assert "the job ends before" in notes("srun python t.py", head)


def test_setup_says_where_it_is_from() -> None:
    text = imported(f"cp a b\ncp c d\n\nif x; then\n  y\nfi\n{LAUNCH}").text
    assert "  # lines 4-5 of demo.sbatch\n  - cp a b\n  - cp c d\n" in text
    assert "  # lines 7-9 of demo.sbatch\n  - |-\n    if x; then\n      y\n    fi\n" in text
    assert "cp c d\n" in render(loads(text, "job.yaml"))


def test_what_is_told_is_told_once() -> None:
    body = f"export MASTER_ADDR=$(hostname)\nexport MASTER_PORT=1\ncp a b\n{LAUNCH} $X $X $Y"
    lines = told("demo.sbatch", imported(body).notes)
    assert "  MASTER_ADDR (line 4), MASTER_PORT (line 5): slurmkit works it out" in lines
    assert "  demo.sbatch:6: cp a b" in lines
    assert sum("$X (line 7), $Y (line 7): comes from outside" in line for line in lines) == 1
