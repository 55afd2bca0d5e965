"""The coordinator's own command: its exit code, what it prints, and what it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from slurmkit.probe.channels import Heard, StoppedError
from slurmkit.probe.coordinator import preflight
from slurmkit.probe.report import Report
from tests.preflight.nodes import settings

STEP = f"exec {sys.executable} -m slurmkit.probe node --node 0\n"


def coordinate(settings: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slurmkit.probe", "coordinate", "--nodes=a"]
    return subprocess.run(
        [*command, f"--settings={settings}", *words], capture_output=True, text=True, check=False
    )


def test_the_coordinators_command(tmp_path: Path) -> None:
    step = tmp_path / "step.sh"
    step.write_text(f"exec {sys.executable} -m slurmkit.probe node --node 0\n")
    settings, out = tmp_path / "settings.json", tmp_path / "out.json"
    settings.write_text('{"checks": ["versions"]}')
    ran = coordinate(settings, f"--output={out}", "--", "bash", step)
    assert ran.returncode == 0, ran.stderr
    report = Report.from_json(json.loads(out.read_text()))
    assert "\n".join(report.lines()) + "\n" == ran.stdout
    assert not ran.stderr
    settings.write_text('{"checks": ["gpu"]}')
    ran = coordinate(settings, "--", "true")
    assert ran.returncode == 2
    assert ran.stderr.startswith("slurmkit preflight: no checks 'gpu'; there are hosts, network")


def failing(tmp_path: Path, status: Path) -> list[str | Path]:
    """Words of a run that finds no data."""
    (tmp_path / "step.sh").write_text(STEP)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"checks": ["data"], "data": [str(tmp_path / "gone")]}))
    return [settings, f"--status={status}", "--", "bash", tmp_path / "step.sh"]


def test_the_end_of_a_jobs_log_says_why(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    settings, *words = failing(tmp_path, status)
    ran = coordinate(Path(settings), *words)
    assert ran.returncode == 1
    last = ran.stdout.splitlines()[-1]
    assert last == f"preflight: a: cannot read {tmp_path}/gone [data-missing]"
    assert json.loads(status.read_text()) == {"state": "failed", "reason": last}


def test_output_that_cannot_be_written_changes_no_verdict(tmp_path: Path) -> None:
    settings, *words = failing(tmp_path, tmp_path / "status.json")
    command = [sys.executable, "-m", "slurmkit.probe", "coordinate", "--nodes=a", "--settings"]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [*command, settings, *words], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (ran.returncode, ran.stderr) == (1, b"")


def test_who_is_waited_for_when_the_checks_are_stopped(tmp_path: Path) -> None:
    status, settings = tmp_path / "status.json", tmp_path / "settings.json"
    settings.write_text('{"checks": ["versions"]}')
    command = [sys.executable, "-m", "slurmkit.probe", "coordinate", "--nodes=a b"]
    with subprocess.Popen(
        [*command, f"--settings={settings}", f"--status={status}", "--", "sh", "-c",
         f"touch {tmp_path}/begun; {STEP}"],
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "the checks were stopped after" in said
    assert "they were waiting for b\n" in said
    assert said.splitlines()[-1].startswith("preflight: stopped (")
    assert not status.exists(), "it is no word against a node"


def test_a_signal_breaks_off_neither_the_clearing_up_nor_the_report(tmp_path: Path) -> None:
    settings, done = tmp_path / "settings.json", tmp_path / "done"
    settings.write_text('{"checks": ["versions"]}')
    command = [sys.executable, "-m", "slurmkit.probe", "coordinate", "--nodes=a"]
    node = STEP.replace("exec ", "").strip()
    with subprocess.Popen(
        [*command, f"--settings={settings}", "--", "sh", "-c",
         f"{node}; echo $$ > {done}; exec sleep 20"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not (done.exists() and done.read_text()):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    assert "preflight: 1 node is fine" in said
    assert not Path("/proc", done.read_text().strip()).exists(), "the step has been ended"


def test_paths_in_letters_that_the_locale_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    (tmp_path / "\u65e5").mkdir()
    settings, *words = failing(tmp_path / "\u65e5", tmp_path / "status.json")
    ran = coordinate(Path(settings), *words)
    assert (ran.returncode, ran.stderr) == (1, "")
    assert "/\\u65e5/gone [data-missing]" in ran.stdout


class Ended:
    """Lines to two nodes that are cut while the second is still looking."""

    nodes = (0, 1)
    waited_for = (1,)
    heard: ClassVar[dict[int, Any]] = {
        0: {"storage 0": {"free": 10**12, "speed": 1e9, "type": "", "directory": "/d"}}
    }

    def run(self, name: str, *_: Any) -> dict[int, Heard]:
        if name == "look":
            raise StoppedError
        return {node: Heard({}, 0.0) for node in self.nodes}

    def close(self) -> None:
        """Nothing is open."""


def test_what_is_known_when_the_checks_are_stopped() -> None:
    lines: Any = Ended()
    report = preflight(settings(2, checks=("storage",), storage=("/d",)), lines)
    assert report.lines()[:3] == ["NODE  STORAGE", "n0    1 TB free, 1 GB/s", "n1    -"]
    assert "they were waiting for n1" in "\n".join(report.lines())
    assert report.exclude == ()
