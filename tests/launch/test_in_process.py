"""The job that submitit runs, made from the user's: what cannot be is told with its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurmkit.launch.in_process import in_process, refuse_directory
from slurmkit.render.script import render
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import JobSpec


@pytest.fixture
def job(tmp_path: Path) -> JobSpec:
    path = tmp_path / "job.yaml"
    path.write_text("name: j\nresources: {nodes: 2}\nentrypoint: {module: my.train}\n")
    return load(path, profile="none")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("entrypoint.command", {"entrypoint": {"module": None, "command": ["./a.out"]}}),
        ("launcher.kind", {"launcher": {"kind": "accelerate"}}),
        ("launcher.options", {"launcher": {"options": {"monitor-interval": "1"}}}),
        ("launcher.rendezvous", {"launcher": {"rendezvous": "c10d"}}),
        ("container", {"container": {"runtime": "apptainer", "image": "a.sif"}}),
        ("sweep", {"sweep": {"entrypoint.config.x": [1, 2]}, "entrypoint": {"config": {"x": 1}}}),
    ],
)
def test_what_makes_no_sense_names_its_field(
    job: JobSpec, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(SpecError) as caught:
        in_process(job.replace(changes))
    assert [problem.path for problem in caught.value.problems] == [field]
    assert caught.value.problems[0].fix


def test_the_run_directory_keeps_the_users_job(job: JobSpec) -> None:
    script = render(in_process(job), job_file=job)
    kept = script.partition("<< 'JOB_YAML'\n")[2].partition("JOB_YAML\n")[0]
    assert kept == render(job).partition("<< 'JOB_YAML'\n")[2].partition("JOB_YAML\n")[0]
    assert "slurmkit.train.in_process" in script
    assert "torch.distributed.run" not in script


def test_everything_else_of_the_job_is_kept(job: JobSpec) -> None:
    job = job.replace(
        {
            "resources": {"processes_per_node": 4, "cpus_per_node": 8, "partition": "gpu"},
            "sbatch": {"switches": "1"},
            "launcher": {"srun": {"cpu-bind": "cores"}, "restarts": 1, "port": 20000},
            "environment": {"network_interface": "ib0", "variables": {"A": "b"}, "pass": ["KEY"]},
            "requeue": {},
        }
    )
    script = render(in_process(job), job_file=job)
    for text in (
        *("--ntasks-per-node=4", "--cpus-per-task=2", "--partition=gpu", "--switches=1"),
        *("--cpu-bind=cores", "MASTER_PORT=20000", "restart <= 1", "NCCL_SOCKET_IFNAME=ib0"),
        *("export A=b", "${KEY?", "--signal=B:USR1@120", "should_requeue"),
    ):
        assert text in script, text


def test_a_script_at_home_is_found_there(job: JobSpec) -> None:
    script = render(in_process(job.replace({"entrypoint": {"module": None, "script": "~/a b.py"}})))
    assert '"${HOME?' in script
    assert "/a b.py" in script.replace("'", "")


def test_a_path_that_submitit_would_change_is_refused() -> None:
    refuse_directory(Path("/data/50%/runs/j/0"))
    with pytest.raises(SpecError, match="submitit reads %a in the path /data/100%abc"):
        refuse_directory(Path("/data/100%abc/runs/j/0"))
