"""What becomes of the parts of a script: fields, setup, and what is told."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from slurmkit.check.importer.refuse import NotImportedError
from slurmkit.check.importer.run import Imported, import_script

LAUNCH = "srun torchrun --nproc-per-node=4 train.py"
HEAD = "#SBATCH --nodes=2\n#SBATCH --gpus-per-node=4\n"


def imported(body: str, directives: str = HEAD) -> Imported:
    return import_script(f"#!/bin/bash\n{directives}{body}\n".encode(), "demo.sbatch")


def job(body: str, directives: str = HEAD) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(imported(body, directives).text)
    return data


def notes(body: str, directives: str = HEAD) -> str:
    return "\n".join(f"{n.kind} {n.what}: {n.why}" for n in imported(body, directives).notes)


@pytest.mark.parametrize(
    ("directives", "fields"),
    [
        ("-N 2 --gres=gpu:a100:4", {"nodes": 2, "gpus_per_node": 4, "gpu_type": "a100"}),
        ("-N2 --gpus=8", {"nodes": 2, "gpus_per_node": 4}),
        ("--nodes=2 --gpus-per-task=h100:4", {"gpus_per_node": 4, "gpu_type": "h100"}),
        ("--nodes=2 --gpus-per-node=4 --cpus-per-gpu=8", {"cpus_per_node": 32}),
        ("--nodes=2 --gpus-per-node=4 --mem-per-gpu=10G", {"memory_per_node": "40G"}),
        ("--nodes=2 --ntasks-per-node=1 -c 24 --mem=0", {"cpus_per_node": 24}),
        ("--nodes=2-4", {"nodes": 2}),
        ("--exclusive -w node[1-2] -x node3", {"exclusive": True, "nodelist": "node[1-2]"}),
        ("-t 1-12 -A acc -q long -C 'a100&ib'", {"time": "1-12", "constraint": "a100&ib"}),
    ],
)
def test_directives_become_resources(directives: str, fields: dict[str, Any]) -> None:
    resources = job(LAUNCH, f"#SBATCH {directives}\n")["resources"]
    assert {name: resources.get(name) for name in fields} == fields


def test_other_directives() -> None:
    lines = (
        "#SBATCH --mail-type=END --gres=gpu:4,tmpdisk:100 --switches=1 -d afterok:12:13,after:14"
    )
    data = job(LAUNCH, f"{lines}\n#SBATCH --array=1-3%2 --nodes=1\n")
    assert data["sbatch"] == {"mail-type": "END", "switches": "1", "gres": "tmpdisk:100"}
    assert data["depends_on"] == {"afterok": ["12", "13"], "after": ["14"]}
    assert data["sweep"] == {"environment.variables.ARRAY_TASK_ID": [1, 2, 3]}
    assert data["sweep_limit"] == 2


def test_an_array_s_index_is_read_from_its_variable() -> None:
    data = job(f"{LAUNCH} --seed $SLURM_ARRAY_TASK_ID", "#SBATCH --array=5-6 --gpus-per-node=4\n")
    assert data["entrypoint"]["args"] == ["--seed", "${env:ARRAY_TASK_ID}"]


@pytest.mark.parametrize(
    ("line", "launcher"),
    [
        ("srun torchrun --rdzv_backend=c10d --rdzv_endpoint=$H:1 t.py", {"rendezvous": "c10d"}),
        ("srun torchrun --max_restarts 3 t.py", {"restarts": 3}),
        ("srun torchrun --monitor-interval=5 t.py", {"options": {"monitor_interval": "5"}}),
        (
            "srun accelerate launch --num_processes 8 --num_machines 2 --mixed_precision bf16 t.py",
            {"kind": "accelerate", "options": {"mixed_precision": "bf16"}},
        ),
        ("srun --cpu-bind=cores python t.py", {"kind": "srun", "srun": {"cpu-bind": "cores"}}),
    ],
)
def test_the_launch_line(line: str, launcher: dict[str, Any]) -> None:
    assert job(line, HEAD + "#SBATCH --ntasks-per-node=4\n")["launcher"] == launcher


@pytest.mark.parametrize(
    ("line", "entrypoint"),
    [
        ("srun torchrun t.py -a 'b c'", {"script": "t.py", "args": ["-a", "b c"]}),
        ("srun torchrun -m pkg.train x", {"module": "pkg.train", "args": ["x"]}),
        ("srun torchrun --no-python bash run.sh", {"command": ["bash", "run.sh"]}),
        ("srun python -u -m pkg.train", {"module": "pkg.train"}),
        ("srun python -O t.py", {"command": ["python3", "-O", "t.py"]}),
        ("A=(x 'y z')\nsrun torchrun t.py \"${A[@]}\"", {"script": "t.py", "args": ["x", "y z"]}),
        ("O='-x 1'\nsrun torchrun t.py $O", {"script": "t.py", "args": ["-x", "1"]}),
        ("srun ./run.sh 'a b'", {"command": ["./run.sh", "a b"]}),
        ("bash train.sh -x", {"command": ["bash", "train.sh", "-x"]}),
        ("srun torchrun t.py '${x}'", {"script": "t.py", "args": ["$${x}"]}),
    ],
)
def test_the_program(line: str, entrypoint: dict[str, Any]) -> None:
    assert job(line)["entrypoint"] == entrypoint


@pytest.mark.parametrize(
    ("line", "container"),
    [
        (
            "srun --container-image=./a.sqsh --container-mounts=/d:/d,/e --no-container-entrypoint "
            "torchrun t.py",
            {
                "runtime": "pyxis",
                "image": "./a.sqsh",
                "mounts": ["/d:/d", "/e"],
                "options": ["--no-container-entrypoint"],
            },
        ),
        (
            "srun apptainer exec --nv -B /d:/d --env A=1 img.sif torchrun t.py",
            {
                "runtime": "apptainer",
                "image": "img.sif",
                "mounts": ["/d:/d"],
                "options": ["--env", "A=1"],
            },
        ),
    ],
)
def test_containers(line: str, container: dict[str, Any]) -> None:
    assert job(line)["container"] == container


def test_environment_in_its_order() -> None:
    body = 'module load cuda/12 gcc\nsource ~/venv/bin/activate\nexport A=1 B="x y" C=$HOME/c\n'
    environment = job(body + LAUNCH)["environment"]
    assert environment == {
        "modules": ["cuda/12", "gcc"],
        "venv": "~/venv",
        "variables": {"A": "1", "B": "x y", "C": "${env:HOME}/c"},
    }


def test_a_secret_is_not_copied() -> None:
    body = f"export WANDB_API_KEY=0123456789abcdef\n{LAUNCH}"
    assert job(body)["environment"] == {"pass": ["WANDB_API_KEY"]}
    assert "0123456789abcdef" not in imported(body).text + notes(body)


def test_what_must_come_first_stays_first() -> None:
    environment = job("module purge\nmodule load cuda\nsource venv/bin/activate\n" + LAUNCH)
    setup = environment["environment"]["setup"]
    assert setup == ["module purge", "module load cuda", "source venv/bin/activate"]


def test_conda_with_its_hook() -> None:
    hooks = (
        'eval "$(conda shell.bash hook)"',
        "source $(conda info --base)/etc/profile.d/conda.sh",
    )
    for hook in hooks:
        assert job(f"{hook}\nconda activate ml\n{LAUNCH}")["environment"] == {"conda": "ml"}


def test_nothing_is_lost_without_a_word() -> None:
    body = f"cp a b\nX=1\necho $X\n{LAUNCH}\nrsync out archive\n"
    said = notes(body)
    assert "kept cp a b" in said
    assert "changed rsync out archive: comes behind the launch" in said
    assert job(body)["environment"]["setup"] == [
        "set +e # the script went on after a failure",
        "cp a b",
        "X=1",
        "echo $X",
        "set -e",
        "# rsync out archive",
    ]


def test_an_error_is_mended_and_told() -> None:
    body = "export MASTER_ADDR=localhost MASTER_PORT=29500\n"
    launch = "srun torchrun --nnodes=2 --nproc_per_node=4 --node_rank=$SLURM_PROCID "
    said = notes(body + launch + "--master_addr=$MASTER_ADDR --master_port=$MASTER_PORT t.py")
    assert "fixed SK301" in said
    assert "fixed SK303" in said


def test_a_requeue_by_trap() -> None:
    body = "trap 'scontrol requeue $SLURM_JOB_ID' USR1\nsrun torchrun t.py &\nwait $!"
    data = job(body, HEAD + "#SBATCH --signal=B:USR1@300\n#SBATCH --requeue\n")
    assert data["requeue"] == {"lead_time": 300}
    assert "setup" not in data.get("environment", {})


def test_a_signal_for_the_program_itself() -> None:
    head = "#SBATCH --signal=USR1@90\n#SBATCH --requeue\n#SBATCH --ntasks-per-node=2\n"
    assert job("srun python t.py", head)["requeue"] == {"lead_time": 90, "by": "program"}


def test_a_loop_becomes_a_sweep() -> None:
    data = job("for seed in 1 2; do srun torchrun t.py --seed $seed; done")
    assert data["sweep"] == {"environment.variables.seed": ["1", "2"]}
    assert data["entrypoint"]["args"] == ["--seed", "${env:seed}"]


def test_a_word_that_may_be_empty_is_read_by_bash() -> None:
    body = "if [ -f x ]; then MORE='--resume x'; fi\nsrun torchrun t.py -a 'b c' $MORE"
    command = job(body)["entrypoint"]["command"]
    assert command == ["bash", "-c", "exec python3 t.py -a 'b c' $${MORE:-}"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("#!/bin/bash\necho hello\n", "starts no program"),
        (
            "#!/bin/bash\n#SBATCH -N1\n#SBATCH hetjob\n#SBATCH -N2\nsrun python a.py",
            "heterogeneous",
        ),
    ],
)
def test_what_cannot_be_a_job_file(script: str, why: str) -> None:
    with pytest.raises(NotImportedError, match=why):
        import_script(script.encode())
