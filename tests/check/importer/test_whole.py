"""What stays together as one command: a shell's text, a container's program, mpirun's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.check.importer.test_parts import HEAD, job, notes

TASKS = "#SBATCH --nodes=2 --ntasks-per-node=4\n"


def command(body: str, directives: str = TASKS) -> list[str]:
    found: list[str] = job(body, directives)["entrypoint"]["command"]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "if [ $SLURM_PROCID = 0 ]; then python a.py; else python b.py; fi",
        "python serve.py & python train.py",
        'eval "python train.py $QUOTED"',
        "python prepare.py; cd out; python train.py",
        "python train.py; python evaluate.py",
    ],
)
def test_a_shells_text_that_is_more_than_a_program_stays(text: str) -> None:
    assert command(f"srun --mpi=pmix bash -c '{text}'") == ["bash", "-c", text]
    assert job(f"srun --mpi=pmix bash -c '{text}'", TASKS)["launcher"]["srun"] == {"mpi": "pmix"}


def test_words_that_a_shell_hands_to_its_text_go_with_it() -> None:
    body = 'SET="${SET:-a b}"\nsrun bash -c \'name="$1"\npython t.py "$name"\' x "$SET"'
    assert command(body) == ["bash", "-c", 'name="$1"\npython t.py "$name"', "x", "${env:SET:-a b}"]


@pytest.mark.parametrize(
    ("body", "program", "args"),
    [
        ("srun bash -c 'cd sub && python t.py --a 1'", None, None),
        ("srun bash -c 'RANK=$SLURM_PROCID python t.py --a 1'", "t.py", ["--a", "1"]),
        ("srun bash -c 'set -eu; exec \"$@\"' _ python t.py --a '1 2'", "t.py", ["--a", "1 2"]),
        ("srun bash -c 'echo start; python t.py 2>&1 | tee log'", "t.py", None),
    ],
)
def test_what_only_leads_to_a_program_does_not_stay(
    body: str, program: str | None, args: list[str] | None
) -> None:
    entrypoint = job(body, TASKS)["entrypoint"]
    if program is None:  # the directory is changed before the program, in setup
        program, args = "t.py", ["--a", "1"]
    assert (entrypoint["script"], entrypoint.get("args")) == (program, args)


def test_pyxis_around_a_shells_text() -> None:
    found = job("srun --container-image=a#b/c sh -c 'if x; then ./a; else ./b; fi'", TASKS)
    assert found["container"] == {"runtime": "pyxis", "image": "a#b/c"}
    assert found["entrypoint"]["command"] == ["sh", "-c", "if x; then ./a; else ./b; fi"]


def test_an_image_that_the_script_leaves_open() -> None:
    body = 'I=""\nsrun --container-image=$I --container-mounts= python t.py'
    assert job(body, TASKS)["container"] == {"runtime": "pyxis", "image": "${env:CONTAINER_IMAGE}"}
    assert "set CONTAINER_IMAGE" in notes(body, TASKS)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("srun podman-hpc run -v /a:/b img python -u t.py x", "podman-hpc run -v /a:/b img python"),
        ("srun sarus run --mpi load/img ./wave", "sarus run --mpi load/img ./wave"),
        ("srun shifter python -c 'import a'", "shifter python -c"),
        ("srun docker run --rm img bash -c 'cd /w; python t.py'", "docker run --rm img bash -c"),
    ],
)
def test_a_container_that_a_job_file_cannot_name_stays(body: str, words: str) -> None:
    said = " ".join(command(body))
    assert said.startswith(words)
    assert "stays in front of the program" in notes(body, TASKS)


def test_options_of_shifters_plugin_become_shifters_own() -> None:
    directives = TASKS + "#SBATCH --image=nersc/a:1 --module=gpu\n"
    assert command("srun shifter ./a", directives)[:3] == [
        "shifter",
        "--image=nersc/a:1",
        "--module=gpu",
    ]
    assert "no such option" not in notes("srun shifter ./a", directives)


def test_a_launcher_in_such_a_container_is_told() -> None:
    body = "srun shifter torchrun --nproc-per-node=4 t.py"
    assert job(body)["entrypoint"] == {"script": "t.py"}
    assert "slurmkit has no shifter" in notes(body)


@pytest.mark.parametrize(
    ("body", "image", "entrypoint"),
    [
        ("srun apptainer exec -B .:/w $SIF /w/run.sh a", "${env:SIF}", ["/w/run.sh", "a"]),
        ("singularity exec --nv --env A=1 a.sif ./a.out", "a.sif", ["./a.out"]),
    ],
)
def test_a_program_in_a_container_that_nobody_knows(
    body: str, image: str, entrypoint: list[str]
) -> None:
    found = job(body, TASKS)
    assert found["container"]["image"] == image
    assert found["entrypoint"]["command"] == entrypoint


@pytest.mark.parametrize(
    ("line", "words", "processes"),
    [
        ("mpirun -np 8 ./a.out -x 1", ["./a.out", "-x", "1"], 4),
        ("mpiexec -n 4 --map-by node --mca coll ^tuned ./wave", ["./wave"], 2),
        ("mpirun ./a.out", ["./a.out"], 4),
        ("time mpirun -np $SLURM_NTASKS ./a.out", ["./a.out"], 4),
    ],
)
def test_srun_takes_mpiruns_place(line: str, words: list[str], processes: int) -> None:
    found = job(line, TASKS)
    assert found["entrypoint"]["command"] == words
    assert found["resources"]["processes_per_node"] == processes
    assert line.removeprefix("time ").rpartition(" ./")[0] in notes(line, TASKS)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("time ./a.out 1", ["./a.out", "1"]),
        ("srun nohup ./a.out 1", ["./a.out", "1"]),
        (
            'cmd=(accelerate launch "t.py")\nsource activate base\n'
            'srun bash -c "$(for a in "${cmd[@]}" ; do echo -n \\"$a\\" "" ; done)"',
            ["bash", "-c", "${env:IMPORTED_1}"],
        ),
    ],
)
def test_the_program_behind_what_only_starts_it(body: str, words: list[str]) -> None:
    assert command(body) == words


def test_a_launch_line_that_grows_in_a_condition() -> None:
    body = 'RUN="srun"\nif [ -n "$X" ]; then RUN="$RUN --cpu-bind=cores"; fi\n$RUN python t.py a'
    found: dict[str, Any] = job(body, HEAD)
    assert found["entrypoint"] == {"script": "t.py", "args": ["a"]}
    assert found["launcher"]["srun"] == {"cpu-bind": "cores"}
    assert "changed $RUN: is given a value in a condition" in notes(body, HEAD)


def test_a_step_of_one_task_is_not_the_program() -> None:
    body = "srun python t.py\nsrun -N 1 -n 1 python gather.py"
    assert job(body, TASKS)["entrypoint"]["script"] == "t.py"
    assert "srun -N 1 -n 1 python gather.py: starts a program behind" in notes(body, TASKS)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("srun numactl --membind=0 python t.py a", "numactl --membind=0 python t.py a"),
        ("timeout 1h ./a.out", "timeout 1h ./a.out"),
        ("srun nsys profile -o x python -u t.py", "nsys profile -o x python -u t.py"),
        ("srun bash -c 'RANK=$SLURM_PROCID numactl -N 0 python t.py'", "numactl -N 0 python t.py"),
        ("srun timeout 1h bash -c 'cd a; ./b'", "timeout 1h bash -c cd a; ./b"),
        ("srun apptainer exec x.sif numactl -N 0 ./a", "numactl -N 0 ./a"),
    ],
)
def test_what_stands_in_front_of_a_program_stays(line: str, words: str) -> None:
    assert " ".join(command(line)) == words


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("srun numactl -N 0 torchrun t.py", "numactl -N 0"),
        ("srun timeout 1h bash -c 'torchrun t.py'", "timeout 1h"),
        ("timeout 5h srun python t.py", "timeout 5h"),
    ],
)
def test_what_stands_in_front_of_srun_or_a_launcher_is_told(line: str, told: str) -> None:
    assert job(line)["entrypoint"] == {"script": "t.py"}
    assert f"changed {told}: left out" in notes(line)


@pytest.mark.parametrize("line", ["srun nohup python t.py", "time srun python t.py"])
def test_what_changes_nothing_goes_without_a_word(line: str) -> None:
    assert job(line, TASKS)["entrypoint"] == {"script": "t.py"}
    assert not notes(line, TASKS)


def test_the_environment_in_front_of_a_shell() -> None:
    body = "srun conda run -n e env A=1 bash -c 'torchrun t.py'"
    assert job(body)["environment"] == {"conda": "e", "variables": {"A": "1"}}


def test_a_conda_environment_that_a_variable_names() -> None:
    body = "ENV=$1\nsrun conda run -n $ENV python t.py"
    assert "environment" not in job(body, TASKS)
    assert "changed conda run: write environment.conda" in notes(body, TASKS)
