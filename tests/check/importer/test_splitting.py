"""Words that bash splits or drops stay bash's; those that are one word do not need it."""

from __future__ import annotations

import pytest

from tests.check.importer.test_parts import HEAD, job, notes


def entrypoint(body: str) -> dict[str, object]:
    found: dict[str, object] = job(body)["entrypoint"]
    return found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('line=$(sed -n "3p" p.txt)\nsrun python t.py $line', "$${line:-}"),
        ("line=`cat p.txt`\nsrun python t.py $line", "$${line:-}"),
        ("while read -r line; do\nsrun python t.py $line\ndone < p.txt", "$${line:-}"),
        ('MORE="${MORE:-}"\nsrun python t.py $MORE', "$${MORE:-}"),
        ('MORE="${MORE:-}"\nsrun bash -c "torchrun t.py $MORE"', "$${MORE:-}"),
        ("srun torchrun t.py $(head -n 1 p.txt)", "$${IMPORTED_1}"),
    ],
)
def test_a_line_of_a_file_may_be_several_words(body: str, said: str) -> None:
    command = entrypoint(body)["command"]
    assert command == ["bash", "-c", f"exec python3 t.py {said}"]


@pytest.mark.parametrize(
    ("body", "args"),
    [
        ('line=$(sed -n "3p" p.txt)\nsrun python t.py "$line"', ["${env:line}"]),
        ("day=$(date +%F)\nsrun python t.py $day", ["${env:day}"]),
        ("name=$(basename $PWD | sed 's/x//')\nsrun python t.py $name", ["${env:name}"]),
        ("name=$(echo $A | cut -d, -f1)\nsrun python t.py $name", ["${env:name}"]),
        ("srun python t.py --day $(date +%F)", ["--day", "${env:IMPORTED_1}"]),
        ("N=${N:-100}\nsrun python t.py $N", ["${env:N:-100}"]),
        ('srun python t.py "${MORE:-}"', ["${env:MORE:-}"]),
    ],
)
def test_one_word_needs_no_shell(body: str, args: list[str]) -> None:
    assert entrypoint(body) == {"script": "t.py", "args": args}


def test_a_command_line_of_a_file() -> None:
    assert entrypoint("srun $(head -n 1 p.txt)")["command"] == ["bash", "-c", "exec $${IMPORTED_1}"]


def test_lengths_and_indirection_as_bash_writes_them() -> None:
    setup = job('A=(a "b c")\nif x; then A+=(d); fi\nsrun python t.py ${#A[@]}')["environment"]
    assert 'export IMPORTED_1="${#A[@]}"' in setup["setup"]


def test_options_of_the_launcher_in_a_variable_are_no_program() -> None:
    body = 'if x; then\nopts="--rdzv-backend c10d"\nfi\nsrun torchrun ${opts} t.py --a 1'
    assert entrypoint(body) == {"script": "t.py", "args": ["--a", "1"]}
    assert "options of the launcher" in notes(body)


def test_a_variable_that_is_given_its_value_where_it_is_read() -> None:
    body = ': "${ROOT:=/data}"\nexport CACHE="$ROOT/cache"\nsrun torchrun t.py $ROOT/x'
    found = job(body)["environment"]
    assert "variables" not in found  # these would be read before setup
    lines = ['export CACHE="$ROOT/cache"', "export ROOT"]
    assert [line for line in found["setup"] if line.startswith("export")] == lines


def test_an_exported_variable_stays_where_the_program_is_given_it_too() -> None:
    body = "export OUT=runs/$(date +%F)\nsrun torchrun t.py --out $OUT/a"
    assert "export OUT=runs/$(date +%F)" in job(body)["environment"]["setup"]


def test_exports_side_by_side_of_which_slurmkit_has_some() -> None:
    body = "N=$SLURM_NNODES\nMASTER_PORT=6000\nexport MASTER_PORT N\nsrun torchrun t.py"
    assert job(body)["environment"]["setup"] == ["N=$SLURM_NNODES", "export N"]
    assert "dropped MASTER_PORT: slurmkit works it out" in notes(body, HEAD)


def test_an_argument_within_a_variable_keeps_its_number() -> None:
    body = 'CMD="python t.py --name $1 --lr ${2:-0.1}"\nsrun $CMD'
    assert entrypoint(body)["args"] == ["--name", "${env:ARG_1}", "--lr", "0.1"]


def test_a_task_reads_its_own_number() -> None:
    body = "srun bash -c 'export GPU=$SLURM_LOCALID; python t.py $SLURM_PROCID'"
    found = job(body)
    assert found["environment"]["variables"] == {"GPU": "${env:SLURM_LOCALID}"}
    assert found["entrypoint"]["args"] == ["${env:RANK}"]
