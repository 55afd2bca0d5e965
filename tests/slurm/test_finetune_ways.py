"""The fine-tuning job, run in every way: the same losses to the last bit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.slurm.test_end_to_end import SLURMKIT, log_of, work
from tests.testbed.cluster import SlurmCluster
from tests.train.launch import clean_environment, ranks

__all__ = ["work"]

CONFIG = """
    model: {name_or_path: "tiny:glm4_moe", dtype: float32}
    data: {dataset_path: "tiny:40", max_length: 64}
    training: {max_steps: 4, learning_rate: 1e-2, eval_steps: 2}
    lora: {r: 4, lora_dropout: 0.1}
    parallelism: {shard: 2}
    logging: {tensorboard: false}
"""
JOB = f"""
name: ways
resources: {{nodes: 2, processes_per_node: 1, cpus_per_node: 1, time: 10}}
entrypoint:
  module: slurmkit.train.finetune
  config:
{CONFIG}
"""
IN_PROCESS = f"""
import json, yaml
from slurmkit.train.finetune import main
print(json.dumps(main(yaml.safe_load('''{CONFIG.replace("1e-2", "0.01")}'''))))
"""


def test_the_losses_are_the_same_bit_for_bit(slurm: SlurmCluster, work: Path) -> None:
    (work / "job.yaml").write_text(JOB, encoding="utf-8")
    state = {"XDG_STATE_HOME": str(work / "state"), "SLURMKIT_PROFILE": "none"}
    ways = {
        "render | sbatch": f"{SLURMKIT} render job.yaml | sbatch --parsable",
        "submit --via submitit": f"{SLURMKIT} submit job.yaml --via submitit",
    }
    runs: dict[str, Path] = {}
    for way, line in ways.items():
        ran = slurm.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=work, env=state)
        assert ran.stdout.strip().isdigit(), (way, ran.stdout, ran.stderr)
        runs[way] = work / "runs" / "ways" / ran.stdout.strip()
    for way, run in runs.items():
        slurm.wait(run.name, ("COMPLETED", "FAILED"), timeout=240)
        assert (run / "result.json").exists(), (way, log_of(work, run.name))
    before = set((work / "runs" / "ways").iterdir())
    subprocess.run(
        [SLURMKIT, "simulate", "job.yaml"],
        cwd=work, env={**clean_environment(), **state}, check=True, timeout=240,
    )  # fmt: skip
    (runs["simulate"],) = set((work / "runs" / "ways").iterdir()) - before
    runs["main(config)"] = work / "in-process"
    for rank in ranks(2, "-c", IN_PROCESS, SLURMKIT_RUN_DIR=str(runs["main(config)"])):
        assert rank.status == 0, rank.stderr
        assert json.loads(rank.stdout.splitlines()[-1])["step"] == 4

    curves = {way: curve(run) for way, run in runs.items()}
    first = curves["render | sbatch"]
    assert len(first) == 6
    for way, found in curves.items():
        assert found == first, way


def curve(run: Path) -> list[tuple[Any, ...]]:
    """The losses and norms of the steps, and the losses of the evaluations."""
    found = []
    for name in ("train_log", "eval_log"):
        for line in (run / "metrics" / f"{name}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            found.append((name, row["step"], row["loss"], row.get("grad_norm")))
    return found
