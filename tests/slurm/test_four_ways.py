"""One job file, four ways of running it, the same training to the last bit."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.slurm.test_end_to_end import SLURMKIT, log_of, work
from tests.testbed.cluster import SlurmCluster
from tests.train.launch import clean_environment

__all__ = ["work"]

JOB = """
name: seeded
resources: {nodes: 2, processes_per_node: 1, cpus_per_node: 1, time: 5}
entrypoint:
  module: seeded
  config: {seed: 7, steps: 20, learning_rate: 1e-2}
"""


def test_the_losses_are_the_same_bit_for_bit(slurm: SlurmCluster, work: Path) -> None:
    shutil.copy(Path(__file__).with_name("seeded.py"), work)
    (work / "job.yaml").write_text(JOB, encoding="utf-8")
    state = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none"}
    ways = {
        "render | sbatch": f"{SLURMKIT} render job.yaml | sbatch --parsable",
        "submit": f"{SLURMKIT} submit job.yaml",
        "submit --via submitit": f"{SLURMKIT} submit job.yaml --via submitit",
    }
    ids: dict[str, str] = {}
    for way, line in ways.items():
        ran = slurm.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=work, env=state)
        ids[way] = ran.stdout.strip()
        assert ids[way].isdigit(), (way, ran.stdout, ran.stderr)
    results: dict[str, dict[str, Any]] = {}
    for way, id in ids.items():
        slurm.wait(id, ("COMPLETED", "FAILED"), timeout=150)
        assert (work / "runs" / "seeded" / id / "result.json").exists(), log_of(work, id)
        results[way] = result_of(work, id)
    before = set((work / "runs" / "seeded").iterdir())
    subprocess.run(
        [SLURMKIT, "simulate", "job.yaml"],
        cwd=work, env={**clean_environment(), **state}, check=True, timeout=120,
    )  # fmt: skip
    (simulated,) = set((work / "runs" / "seeded").iterdir()) - before
    results["simulate"] = result_of(work, simulated.name)

    assert results["submit --via submitit"].pop("ways") == "slurm"
    assert {results[way].pop("ways") for way in results if "submitit" not in way} == {"launcher"}
    first = results["render | sbatch"]
    assert first["world_size"] == 2
    assert len(set(first["losses"])) == 20
    assert float.fromhex(first["losses"][-1]) < float.fromhex(first["losses"][0])
    for way, result in results.items():
        assert result == first, way


def result_of(work: Path, id: str) -> dict[str, Any]:
    text = (work / "runs" / "seeded" / id / "result.json").read_text(encoding="utf-8")
    result: dict[str, Any] = json.loads(text)
    return result
