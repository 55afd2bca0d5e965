"""However a job on hosts ends, none of its processes is left on any host."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.ssh.hosts import Hosts, slurmkit_path
from tests.ssh.jobs import BOTH, put_job

# In a session of its own, as torchrun's workers are, and in a child; and deaf to TERM.
DEAF = "trap '' TERM HUP INT; echo here; exec setsid --wait sleep 600"
POLITE = "trap 'echo saved; exit 3' TERM; echo here; for ((;;)); do sleep 0.1; done"


def launched(hosts: Hosts, program: str, *words: str) -> subprocess.Popen[str]:
    """Launch a job, and wait until its four ranks are there."""
    put_job(hosts, program)
    process = hosts.start([slurmkit_path(), "launch", "job.yaml", *BOTH, "--no-checks", *words])
    assert process.stdout is not None
    seen = 0
    while seen < 4:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        seen += "] here" in line
    return process


def finish(process: subprocess.Popen[str], seconds: float = 60) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def launcher(hosts: Hosts, process: subprocess.Popen[str]) -> int:
    """Find slurmkit itself, which runs below nsenter."""
    told = subprocess.run(
        ["pgrep", "-P", str(process.pid)], check=True, capture_output=True, text=True
    )
    return int(told.stdout.split()[0])


def test_ctrl_c_lets_the_program_save_and_ends_all(hosts: Hosts) -> None:
    process = launched(hosts, POLITE)
    os.kill(launcher(hosts, process), signal.SIGINT)
    code, out, err = finish(process)
    assert code == 1
    assert out.count("] saved") == 4, out + err
    assert "CANCELLED" in err
    hosts.wait_until_gone("sleep 0.1", 1)


def test_a_launcher_that_is_killed_takes_all_with_it(hosts: Hosts) -> None:
    process = launched(hosts, POLITE)
    os.kill(launcher(hosts, process), signal.SIGKILL)
    process.kill()
    hosts.wait_until_gone("launch_node|sleep 0.1", 20)
    finish(process)


def test_a_session_that_is_killed_on_a_host_ends_all(hosts: Hosts) -> None:
    process = launched(hosts, POLITE)
    hosts.run(["bash", "-c", "kill -9 $(pgrep -f 'sshd: root@notty')"], on="box2")
    code, _, err = finish(process)
    assert code == 1
    assert "first to fail: box2 (lost: no word from it)" in err, err
    hosts.wait_until_gone("launch_node|sleep 0.1", 20)


def test_a_host_whose_cable_is_cut_ends_its_part_by_itself(hosts: Hosts) -> None:
    process = launched(hosts, POLITE, "--patience", "3")
    hosts.cut("box2")
    # Each side has no more than its clock to know from.
    hosts.wait_until_gone("launch_node|sleep 0.1", 20)
    code, _, err = finish(process)
    assert code == 1
    assert "first to fail: box2 (lost: no word from it)" in err, err
    assert "box2: its logs could not be fetched" in err


def test_a_script_that_is_killed_leaves_nothing(hosts: Hosts) -> None:
    process = launched(hosts, f"if [ $(hostname) = box2 ]; then {DEAF}; else {POLITE}; fi")
    hosts.run(["bash", "-c", "kill -9 $(pgrep -of 'bash runs/.*launch_node1')"], on="box2")
    code, _, err = finish(process)
    assert code == 1, err
    hosts.wait_until_gone("launch_node|sleep 600", 20)


@pytest.mark.proof
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_launcher(hosts: Hosts, number: signal.Signals) -> None:
    process = launched(hosts, DEAF)
    started = time.monotonic()
    os.kill(launcher(hosts, process), number)
    code, _, err = finish(process, 90)
    assert code == 1
    assert "CANCELLED" in err
    assert time.monotonic() - started < 70
    hosts.wait_until_gone("launch_node|sleep 600", 1)
