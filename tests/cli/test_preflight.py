"""slurmkit preflight, where it ends before anything is looked at; and which job it makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slurmkit.check.preflight.job import checks_alone, wanted
from slurmkit.cli import main
from slurmkit.probe.report import Report
from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from slurmkit.spec.preflight import CHECKS, Preflight

JOB = "name: a\nentrypoint: {script: train.py}\n"


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    Path("job.yaml").write_text(JOB, encoding="utf-8")
    Path("train.py").touch()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "host"], "--only: no check 'host'\n    fix:      did you mean hosts?"),
        (["--skip", "x"], "--skip: no check 'x'\n    fix:      there are hosts, network,"),
        (["--only", "gpus", "--skip", "gpus"], "--skip: no check is left"),
        ([], "there is no Slurm here: name hosts (--hosts a,b), or rehearse with --simulate"),
        (["--only", "gpus"], "nothing to check: gpus, where there are no GPUs for the job"),
        (["--only", "data", "--simulate"], "nothing to check: data, where preflight.data names"),
        (["--hosts", "a,a"], "a stands there twice"),
        (["--hosts", "a,b", "--simulate"], "--simulate stays on this machine: leave out --hosts"),
        (["--nodes", "3"], "--nodes is for --simulate; elsewhere --set resources.nodes=3"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str) -> None:
    result = CliRunner().invoke(main, ["preflight", "job.yaml", *words])
    assert result.exit_code == 2
    assert told in result.output


def test_slurms_commands_without_a_cluster_are_no_slurm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("sbatch", "scontrol", "sinfo", "squeue"):
        tool = tmp_path / "bin" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(
            "#!/bin/sh\necho 'fatal: Could not establish a configuration source' >&2\nexit 1\n"
        )
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/bin:/usr/bin")
    result = CliRunner().invoke(main, ["preflight", "job.yaml"])
    assert result.exit_code == 2
    assert "name hosts (--hosts a,b), or rehearse with --simulate" in result.output


@pytest.mark.parametrize(
    ("preflight", "words", "told"),
    [
        ("", [], 0),
        ("", ["--skip", "gpus"], 0),
        ("", ["--only", "hosts,data"], 1),
        ("preflight: [hosts, data]\n", [], 1),
        ("preflight: {data: [/x]}\n", ["--only", "hosts"], 0),
        ("preflight: {data: [/x]}\n", ["--skip", "data"], 0),
        ("preflight: {checks: [hosts], data: [/x]}\n", [], 1),
    ],
)
def test_warnings_are_of_what_the_user_wrote(preflight: str, words: list[str], told: int) -> None:
    Path("job.yaml").write_text(JOB + preflight, encoding="utf-8")
    result = CliRunner().invoke(main, ["preflight", "job.yaml", *words])
    assert result.output.count("warning: preflight.") == told


def test_a_report_of_an_earlier_run_is_not_taken_for_this_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = Path("runs/a-preflight/77/preflight.json")
    left.parent.mkdir(parents=True)
    left.write_text(json.dumps(Report(("n0",), (), 1.0).json()), encoding="utf-8")
    for name, value in {"SLURM_JOB_ID": "77", "PATH": "/usr/bin:/bin"}.items():
        monkeypatch.setenv(name, value)
    Path("job.yaml").write_text(JOB + "environment: {setup: [exit 3]}\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["preflight", "job.yaml", "--only", "hosts"])
    assert result.exit_code == 1
    assert "the checks did not come to an end" in result.output


def spec_of(**more: Any) -> JobSpec:
    return JobSpec.model_validate({"name": "a", "entrypoint": {"script": "t.py"}, **more})


def test_the_checks_are_those_named_else_the_jobs_own_else_all() -> None:
    plain, own = spec_of(), spec_of(preflight={"checks": ["gpus", "hosts"], "timeout": 9})
    assert wanted(plain).checks == CHECKS
    assert wanted(own).checks == ["hosts", "gpus"]
    assert wanted(own, only=["data"]) == Preflight(checks=["data"], timeout=9)
    assert wanted(own, skip=["gpus"]).checks == ["hosts"]


def test_the_job_is_short_and_of_the_same_shape() -> None:
    job = spec_of(
        resources={"nodes": 4, "gpus_per_node": 8, "time": "12:00:00", "partition": "gpu"},
        sbatch={"switches": "1", "begin": "tomorrow", "mail-type": "END", "hold": True},
        requeue={},
        depends_on={"afterok": ["1"]},
        sweep={"entrypoint.args": [["1"], ["2"]]},
    )
    script = render(checks_alone(job, Preflight(timeout=61)), checks_only=True)
    directives = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    for kept in (
        "job-name=a-preflight",
        "nodes=4",
        "gpus-per-node=8",
        "partition=gpu",
        "time=0:04:01",
    ):
        assert f"#SBATCH --{kept}" in directives
    assert "#SBATCH --switches=1" in directives
    gone = ("begin", "mail", "dep", "hold")
    assert not [line for line in directives if any(word in line for word in gone)]
    assert "torch.distributed" not in script
    brief = checks_alone(spec_of(resources={"time": "2"}), Preflight())
    assert brief.resources.time == "2", "no longer than the job itself may be"
