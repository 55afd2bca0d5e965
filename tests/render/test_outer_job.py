"""A job that is submitted from inside another one starts without that one's variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.render.test_arrival import Machine

OUTER = {
    **{"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RUN_ID": "none"},
    **{"PET_NNODES": "8", "LOCAL_RANK": "3", "GROUP_RANK": "1", "ROLE_WORLD_SIZE": "64"},
    "ACCELERATE_USE_CPU": "true",
}
TASK = {"SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "1"}


@pytest.mark.parametrize("kind", ["torchrun", "srun", "accelerate"])
def test_its_ranks_and_its_agents_store_are_gone(tmp_path: Path, kind: str) -> None:
    machine = Machine(tmp_path)
    # Lets the stand-in for torchrun stand for accelerate as well, and gives srun's tasks their ids.
    python = (machine.bin / "python3").read_text()
    launch = "[[ $2 == *.launch ]] && exec bash -c slurmkit_worker"
    (machine.bin / "python3").write_text(python.replace("[[ $2 !=", f"{launch}\n[[ $2 !=", 1))
    srun = (machine.bin / "srun").read_text()
    names = " ".join(f"{name}={value}" for name, value in TASK.items())
    (machine.bin / "srun").write_text(srun.replace("SLURM_NODEID=0", f"{names} SLURM_NODEID=0"))
    job = {
        "launcher": {"kind": kind},
        "resources": {"gpus_per_node": 1},
        "entrypoint": {"module": "m"},
    }
    got = machine.run(job, **OUTER)["environment"]
    kept = {name for name in OUTER if name in got}
    assert kept <= {"LOCAL_RANK", "GROUP_RANK", "ACCELERATE_USE_CPU"}
    assert got.get("LOCAL_RANK", "0") == "0"
    assert got.get("GROUP_RANK", "0") == "0"
    assert kind != "accelerate" or "ACCELERATE_USE_CPU" not in got
