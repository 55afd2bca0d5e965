"""What the real sbatch reads from `#SBATCH` lines that hold any text."""

from __future__ import annotations

import json
from pathlib import Path

from slurmkit.render.script import render
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import JobSpec
from tests.hostile.scripts import read_directives
from tests.hostile.specs import Data
from tests.hostile.texts import HOSTILE_TEXTS
from tests.testbed.cluster import SlurmCluster


def script_of(data: Data, folder: Path) -> str | None:
    """Render a job; None where it is refused."""
    path = folder / "job.yaml"
    path.write_text(json.dumps({"profile": "none", "entrypoint": {"module": "m"}, **data}))
    try:
        return render(load(path))
    except SpecError:
        return None


def test_any_name_and_comment_arrive(slurm: SlurmCluster, tmp_path: Path) -> None:
    arrived = 0
    for text in HOSTILE_TEXTS:
        script = script_of({"name": f"n{text}", "sbatch": {"comment": f"c{text}"}}, tmp_path)
        if script is None or len(text) > 150:
            continue
        job_id = slurm.submit(script, "--hold", "--time=1")
        shown = slurm.run(["squeue", "-h", "-j", job_id, "-o", "%j|%k"], check=True).stdout
        assert shown == f"n{text}|c{text}\n", script
        assert f"--comment=c{text}" in read_directives(script)
        arrived += 1
    assert arrived > 100


OPTIONS = {
    "mail-user": "me@example.org", "begin": "now+1hour", "switches": "1@10:00", "nice": "100",
    "export": "ALL,A=b c", "hint": "nomultithread", "distribution": "block:cyclic", "hold": "true",
    "gres-flags": "enforce-binding", "chdir": "/tmp", "comment": '"a b" # c', "error": "e r r",
}  # fmt: skip


def test_whole_jobs_are_accepted(slurm: SlurmCluster) -> None:
    resources: Data = {"nodes": 2, "cpus_per_node": 4, "memory_per_node": "500M", "time": "1:00:00"}
    resources |= {"gpus_per_node": 2, "gpu_type": "h200", "partition": "main"}
    for kind in ("torchrun", "srun", "accelerate"):
        for gpu_request in ("gpus-per-node", "gres"):
            spec = JobSpec.model_validate(
                {
                    "name": "x",
                    "entrypoint": {"module": "m"},
                    "resources": resources,
                    "launcher": {"kind": kind},
                    "requeue": {},
                    "sbatch": OPTIONS,
                    "site": {"gpu_request": gpu_request},
                    "depends_on": {"afterany": ["1"]},
                }
            )
            ran = slurm.run(["sbatch", "--test-only"], input=render(spec))
            assert "to start at" in ran.stderr, ran.stderr
