"""Installing Slurm for the tests starts no service, and leaving it out is said in one line."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.testbed import __main__ as command_line
from tests.testbed import install
from tests.testbed.config import cgroup_conf

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", path)
    return path


def test_services_are_forbidden_while_installing_and_not_after(policy: Path) -> None:
    def interrupted() -> None:
        with install._no_services() as prefix:
            asked = subprocess.run([*prefix, policy, "slurmd", "start"], check=False)
            assert asked.returncode == 101
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not policy.exists()


def test_a_policy_that_is_there_is_overruled_and_never_written(policy: Path) -> None:
    if reason := install.reason_missing():
        pytest.skip(reason)
    policy.write_text("#!/bin/sh\nexit 0\n")
    policy.chmod(0o755)
    with install._no_services() as prefix:
        assert subprocess.run([*prefix, policy, "slurmd", "start"], check=False).returncode == 101
        assert subprocess.run([policy, "slurmd", "start"], check=False).returncode == 0
    assert policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_leaving_slurm_out_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM", "0")
    monkeypatch.setattr("sys.argv", ["testbed", "missing"])
    assert command_line.main() == 1
    assert capsys.readouterr().out == "Slurm tests left out: SLURM=0 is set\n"


def test_an_ordinary_user_is_told_that_root_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    reason = install.reason_missing({}) or ""
    assert "takes root" in reason
    assert "\n" not in reason


def test_install_without_apt_exits_3_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "SYSTEM_PATH", "/nowhere")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.argv", ["testbed", "install"])
    assert command_line.main() == 3
    said = capsys.readouterr().err
    assert said.startswith("Slurm cannot be installed: iproute2 mariadb-server munge")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("version", "plugin"), [((22, 5), "cgroup/v1"), ((23, 11), "cgroup/v1"), ((24, 11), "disabled")]
)
def test_slurm_is_kept_away_from_cgroups(version: tuple[int, int], plugin: str) -> None:
    assert cgroup_conf(version) == f"CgroupPlugin={plugin}\n"
