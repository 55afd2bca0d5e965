"""What lint finds in a job file: `validate` tells it at the line, `render` and `submit` warn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from slurmkit.check.lint.job_file import job_findings
from slurmkit.check.lint.rule import rules
from slurmkit.cli import main
from slurmkit.spec.load import resolve

BASE = """\
name: x
resources: {nodes: 2, gpus_per_node: 4, cpus_per_node: 32, memory_per_node: 0, time: 1:00:00}
entrypoint: {command: [echo]}
environment:
  variables:
"""


def found(folder: Path, text: str, *, info: bool = True) -> list[tuple[str, str]]:
    """Return codes and fields."""
    path = folder / "job.yaml"
    path.write_text(text, encoding="utf-8")
    resolved = resolve(path, profile="none")
    return [(f.code, f.path) for f in job_findings(resolved.spec, resolved.places, info=info)]


@pytest.mark.parametrize(
    ("variable", "codes"),
    [
        ("NCCL_SOCKET_IFNAME: ib0", ["SK502"]),
        ("NCCL_SOCKET_IFNAME: ^lo", []),
        ("NCCL_SOCKET_IFNAME: '${env:NIC}'", []),
        ("NCCL_TIMEOUT: 1800", ["SK503"]),
        ("NCCL_BLOCKING_WAIT: 1", ["SK504"]),
        ("CUDA_LAUNCH_BLOCKING: 1", ["SK505"]),
        ("CUDA_LAUNCH_BLOCKING: 1  # needed: the kernel has a race", []),
        ("NCCL_DEBUG: INFO", []),
        ("NCCL_IB_DISABLE: 1", ["SK506"]),
        ("NCCL_IB_DISABLE: 0", []),
        ("CUDA_VISIBLE_DEVICES: 0,1", ["SK507"]),
        ("CUDA_VISIBLE_DEVICES: ''", []),
        ("WANDB_API_KEY: sekret", ["SK509"]),
        ("NCLL_DEBUG: INFO", ["SK511"]),
        ("NCCL_DEBUG: LOUD", ["SK610"]),
    ],
)
def test_variables(tmp_path: Path, variable: str, codes: list[str]) -> None:
    name = variable.partition(":")[0]
    told = found(tmp_path, f"{BASE}    {variable}\n")
    assert told == [(code, f"environment.variables.{name}") for code in codes]


@pytest.mark.parametrize(
    ("job", "code", "field"),
    [
        ("resources: {cpus_per_node: 4}", "SK208", "resources"),
        ("resources: {gpus_per_node: 1}", "SK213", "resources.gpus_per_node"),
        ("resources: {time: 1:00:00}", "SK215", "resources"),
        ("resources: {memory_per_node: 0}", "SK216", "resources"),
        ("resources: {memory_per_node: 64}", "SK613", "resources.memory_per_node"),
        ("launcher: {port: 29500}", "SK306", "launcher.port"),
        ("environment: {network_interface: ib0}", "SK502", "environment.network_interface"),
        ("environment: {setup: [wandb login 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567]}",
         "SK509", "environment.setup"),
    ],
)  # fmt: skip
def test_fields(tmp_path: Path, job: str, code: str, field: str) -> None:
    assert (code, field) in found(tmp_path, f"name: x\nentrypoint: {{module: m}}\n{job}\n")


def test_mpirun(tmp_path: Path) -> None:
    job = "name: x\nentrypoint: {command: [/usr/bin/mpirun, ./a]}\n"
    assert ("SK418", "entrypoint.command") in found(tmp_path, job)


def test_what_is_right_or_a_matter_of_style_is_not_told(tmp_path: Path) -> None:
    assert found(tmp_path, BASE.replace("environment:\n  variables:\n", "")) == []
    assert found(tmp_path, "name: x\nentrypoint: {module: m}\n", info=False) == []
    exclusive = "resources: {gpus_per_node: 8, exclusive: true}\nlauncher: {port: 29500}\n"
    assert found(tmp_path, f"name: x\nentrypoint: {{module: m}}\n{exclusive}", info=False) == []
    one_node = BASE.replace("nodes: 2", "nodes: 1") + "    NCCL_IB_DISABLE: 1\n"
    assert found(tmp_path, one_node) == []


def test_every_code_is_a_rule_of_the_same_weight(tmp_path: Path) -> None:
    resolved = resolve(_everything(tmp_path), profile="none")
    for finding in job_findings(resolved.spec, resolved.places, info=True):
        assert finding.severity == rules()[finding.code].severity, finding.code
        assert finding.fix, finding.code


def _everything(folder: Path) -> Path:
    names = ["NCCL_SOCKET_IFNAME: ib0", "NCCL_TIMEOUT: 1", "NCCL_BLOCKING_WAIT: 1"]
    names += ["CUDA_LAUNCH_BLOCKING: 1", "NCCL_IB_DISABLE: 1", "CUDA_VISIBLE_DEVICES: 0"]
    names += ["WANDB_API_KEY: sekret", "NCLL_DEBUG: INFO", "NCCL_DEBUG: LOUD"]
    rows = "".join(f"    {name}\n" for name in names)
    path = folder / "job.yaml"
    path.write_text(BASE + rows + "launcher: {port: 29500}\n", encoding="utf-8")
    return path


def test_validate_tells_the_line_and_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["validate", "job.yaml", "--profile", "none"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "job.yaml:11:5: warning SK507: CUDA_VISIBLE_DEVICES=0 takes" in result.stderr
    assert "    fix: Take it out" in result.stderr
    assert "sekret" not in result.stderr
    assert "SK502" not in result.stderr
    told = CliRunner().invoke(main, ["validate", "job.yaml", "--profile", "none", "--info"])
    assert "job.yaml:6:5: info SK502: " in told.stderr


def test_validate_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["validate", "job.yaml", "--profile", "none", "--json"])
    answer = json.loads(result.stdout)
    assert answer["valid"]
    assert any("WANDB_API_KEY" in text for text in answer["warnings"])
    port = next(row for row in answer["findings"] if row["code"] == "SK306")
    assert port == {
        "code": "SK306", "severity": "warning", "file": "job.yaml", "line": 15, "column": 12,
        "path": "launcher.port", "message": "port 29500 may be taken by another job on the node",
        "fix": "Leave launcher.port at auto.",
    }  # fmt: skip


def test_render_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["render", "job.yaml", "--profile", "none"])
    assert "slurmkit: warning: job.yaml:15:12: port 29500" in result.stderr
    assert result.stderr.count("WANDB_API_KEY") == 2, "once, and in its fix"
