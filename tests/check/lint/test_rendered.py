"""What `render` writes is clean under `lint --info`, but for what a user wrote or left out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from slurmkit.check.lint.run import lint
from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.spec.strategies import JOBS

GOLDEN = sorted((Path(__file__).parents[2] / "render/golden").glob("*.sbatch"))
OF_THE_USER = {
    "SK208", "SK213", "SK215", "SK216", "SK306", "SK418", "SK502", "SK503", "SK505", "SK506",
    "SK507", "SK509",
}  # fmt: skip
"""They stem from a value that stands in the job file, or does not; `validate` tells them there."""
OF_ITS_TEXTS = {"SK421", "SK422"}
"""Names such as `{x}`, and invisible characters, which are quoted."""


def is_bash(script: str) -> bool:
    """Tell whether a script can be read: a job's own setup commands are code, and may be broken."""
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
    return done.returncode == 0


def is_sane(data: dict[str, Any], script: str) -> bool:
    """Tell whether the job's own code is bash, and each of its lines whole."""
    setup = data["environment"].get("setup") or []
    return not setup or (is_bash(script) and not any(line.endswith("\\") for line in setup))


def wrong(script: str) -> list[str]:
    found = lint(script.encode(), "job.sbatch")
    return [
        f"{f.code} {f.place} {f.what}" for f in found if f.code not in OF_THE_USER | OF_ITS_TEXTS
    ]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_the_golden_scripts_are_clean(path: Path) -> None:
    assert wrong(path.read_text(encoding="utf-8")) == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(JOBS)
def test_any_job_renders_to_a_clean_script(data: dict[str, Any]) -> None:
    script = render(JobSpec.model_validate(data))
    assume(is_sane(data, script))
    assert wrong(script) == []


@pytest.mark.proof
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(JOBS)
def test_many_jobs_render_to_clean_scripts(data: dict[str, Any]) -> None:
    script = render(JobSpec.model_validate(data))
    assume(is_sane(data, script))
    assert wrong(script) == []


LAUNCHERS = [
    {"kind": "torchrun"}, {"kind": "torchrun", "rendezvous": "c10d"}, {"kind": "srun"},
    {"kind": "accelerate"}, {"kind": "torchrun", "restarts": 2, "port": 29500},
]  # fmt: skip


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=str)
@pytest.mark.parametrize("gpus", [0, 1, 4])
@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"container": {"runtime": "pyxis", "image": "./a.sqsh"}},
        {"container": {"runtime": "apptainer", "image": "a.sif"}},
        {"requeue": {"when": ["time_limit", "preemption"]}, "sweep": {"entrypoint.args": [["1"]]}},
        {"requeue": {}, "preflight": ["hosts", "gpus"]},
    ],
    ids=str,
)
def test_all_launchers(
    launcher: dict[str, Any], gpus: int, nodes: int, more: dict[str, Any]
) -> None:
    resources = {"nodes": nodes, "gpus_per_node": gpus, "processes_per_node": max(gpus, 2)}
    if gpus:
        resources["processes_per_node"] = gpus
    if more.get("requeue") == {} and launcher["kind"] == "srun":
        more = {**more, "requeue": {"by": "program"}}
    job = {"name": "x", "resources": resources, "launcher": launcher, **more}
    assert wrong(render(JobSpec.model_validate({**job, "entrypoint": {"script": "a.py"}}))) == []
