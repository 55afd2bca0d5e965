"""Variables that read each other do so in a sweep as well, in the order of the job file."""

from __future__ import annotations

from pathlib import Path

import yaml

from slurmkit.spec.model import JobSpec
from slurmkit.spec.sweep import at_point
from tests.render.test_arrival import Machine, machine
from tests.render.test_sweep import run_point

__all__ = ["machine"]


def test_what_reads_a_swept_variable_gets_what_it_gets_in_a_plain_job(machine: Machine) -> None:
    job = {
        "name": "x",
        "entrypoint": {"module": "m", "config": {"seed": "${env:SEED:-none}"}},
        "environment": {"variables": {"SEED": "0", "RUN": "run-${env:SEED}"}},
        "sweep": {"environment.variables.SEED": ["1", "${env:HOME}"]},
    }
    for number, seed in enumerate(["1", str(machine.folder)]):
        plain = at_point(JobSpec.model_validate(job), number).model_dump(
            by_alias=True, exclude_unset=True
        )
        for got in (run_point(machine, job, number), machine.run(plain)):
            assert got["environment"]["RUN"] == f"run-{seed}"
            config = yaml.safe_load(Path(got["args"][-1]).read_text(encoding="utf-8"))
            assert config == {"seed": "none" if number else "1"}
