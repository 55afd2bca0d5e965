"""The environment of the script and of its tasks is that of a Slurm job."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from tests.simulate.simulation import NODES, simulate

DUMP = 'env -0 > "$PWD"/batch.env; srun bash -c \'env -0 > "$PWD/task$SLURM_PROCID.env"\''


def read(path: Path) -> dict[str, str]:
    pairs = path.read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_the_batch_script_and_its_tasks(tmp_path: Path) -> None:
    done = simulate(tmp_path, DUMP, directives=NODES + "#SBATCH --time=30 --account=us\n")
    assert done.outcome["state"] == "COMPLETED", done.stderr
    batch = read(tmp_path / "batch.env")
    job_id = str(done.outcome["job_id"])
    expected = {
        "ENVIRONMENT": "BATCH",
        "SLURM_CLUSTER_NAME": "simulate",
        "SLURM_CPUS_ON_NODE": "2",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOBID": job_id,
        "SLURM_JOB_ACCOUNT": "us",
        "SLURM_JOB_CPUS_PER_NODE": "2(x2)",
        "SLURM_JOB_ID": job_id,
        "SLURM_JOB_NAME": "demo",
        "SLURM_JOB_NODELIST": "node[0-1]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_PARTITION": "simulate",
        "SLURM_NNODES": "2",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "node[0-1]",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_SUBMIT_HOST": socket.gethostname(),
        "SLURM_TASKS_PER_NODE": "1(x2)",
        "SLURMD_NODENAME": "node0",
        "CUDA_VISIBLE_DEVICES": "",
    }
    assert {name: batch.get(name) for name in expected} == expected
    assert "SLURM_RESTART_COUNT" not in batch
    assert "SLURM_STEP_ID" not in batch
    start, end = int(batch["SLURM_JOB_START_TIME"]), int(batch["SLURM_JOB_END_TIME"])
    assert end - start == 1800
    assert abs(start - time.time()) < 60
    for rank in (0, 1):
        task = read(tmp_path / f"task{rank}.env")
        expected = {
            "SLURM_JOB_ID": job_id,
            "SLURM_LOCALID": "0",
            "SLURM_NODEID": str(rank),
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(rank),
            "SLURM_STEP_ID": "0",
            "SLURM_STEP_NODELIST": "node[0-1]",
            "SLURM_STEP_NUM_NODES": "2",
            "SLURMD_NODENAME": f"node{rank}",
        }
        assert {name: task.get(name) for name in expected} == expected


def test_gpus_are_shared_out(tmp_path: Path) -> None:
    done = simulate(
        tmp_path, DUMP, directives=NODES + "#SBATCH --gpus-per-node=2\n", gpus=list("0123")
    )
    assert done.outcome["state"] == "COMPLETED", done.stderr
    assert read(tmp_path / "batch.env")["SLURM_GPUS_ON_NODE"] == "2"
    for rank, gpus in ((0, "0,1"), (1, "2,3")):
        assert read(tmp_path / f"task{rank}.env")["CUDA_VISIBLE_DEVICES"] == gpus


def test_an_outer_job_and_torchrun_leave_nothing(tmp_path: Path) -> None:
    outer = {
        "SLURM_PROCID": "7",
        "SLURM_MEM_PER_CPU": "100",
        "SLURM_RESTART_COUNT": "3",
        "SBATCH_ACCOUNT": "x",
        "SRUN_CPUS_PER_TASK": "9",
        "SLURMKIT_RUN_DIR": "/elsewhere",
        "RANK": "3",
        "WORLD_SIZE": "4",
        "MASTER_ADDR": "elsewhere",
        "TORCHELASTIC_RUN_ID": "x",
        "PET_NNODES": "5",
    }
    simulate(tmp_path, DUMP, variables={**outer, "KEPT": "a\nb"})
    batch = read(tmp_path / "batch.env")
    assert batch["SLURM_PROCID"] == "0"
    assert not (outer.keys() - {"SLURM_PROCID"}) & batch.keys()
    assert batch["KEPT"] == "a\nb"
