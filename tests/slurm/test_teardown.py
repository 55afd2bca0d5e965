"""The test bed leaves nothing behind, however it ends, and touches nothing of the machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.testbed import bed
from tests.testbed.cluster import SlurmCluster
from tests.testbed.process import ROOT, BedError

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER = """
import time
from tests.testbed.cluster import SlurmCluster
with SlurmCluster() as cluster:
    job = cluster.submit("#!/bin/bash\\nsrun --nodes=2 sleep 300\\n", "--nodes=2")
    cluster.wait(job, "RUNNING")
    print(cluster.state, flush=True)
    {then}
"""


@contextlib.contextmanager
def owner_of_a_bed(then: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start another process that owns a bed with a job on it; give both."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(then=then)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with owner:
        try:
            assert owner.stdout is not None
            state = owner.stdout.readline().strip()
            assert state, "the other bed did not come up"
            yield owner, Path(state)
        finally:
            owner.kill()


def processes_of(state: Path) -> list[str]:
    """List the processes that belong to a bed: its path is in their command or environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if str(state).encode() in words + (process / "environ").read_bytes():
                found.append(f"{process.name} {words!r}")
    return found


def machine() -> dict[str, object]:
    """Describe what a bed must not change: files, mounts, network, host name."""
    places = ["/etc/slurm", "/etc/munge", "/etc/hosts", "/etc/hostname", "/etc/mysql"]
    places += ["/run/munge", "/run/mysqld", "/run/netns", "/var/lib/mysql", "/var/lib/munge"]
    files = [path for place in places for path in [Path(place), *Path(place).rglob("*")]]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    links = subprocess.run(["ip", "-brief", "address"], capture_output=True, text=True, check=True)
    return {
        "files": [(path, path.lstat().st_mtime_ns) for path in files if path.exists()],
        "mounts": [
            line for line in mounts if any(place in line for place in [*places, bed.PREFIX])
        ],
        "network": links.stdout,
        "namespaces": [Path(f"/proc/self/ns/{kind}").readlink() for kind in ("net", "mnt", "uts")],
        "host name": os.uname().nodename,
    }


def wait_gone(state: Path, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while (left := processes_of(state)) or state.exists():
        assert time.monotonic() < deadline, f"left of {state}: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_owner_is_killed(slurm: SlurmCluster, end: signal.Signals) -> None:
    before = machine()
    with owner_of_a_bed("time.sleep(300)") as (owner, state):
        assert processes_of(state)
        owner.send_signal(end)
        wait_gone(state)
    assert machine() == before
    slurm.run(["srun", "--nodes=2", "true"], check=True)


def test_nothing_is_left_after_an_exception(slurm: SlurmCluster) -> None:
    with owner_of_a_bed("raise SystemExit(7)") as (owner, state):
        assert owner.wait(timeout=15) == 7
        assert processes_of(state) == []
        assert not state.exists()


def test_what_a_killed_warden_leaves_is_swept_by_the_next_start(slurm: SlurmCluster) -> None:
    with owner_of_a_bed("time.sleep(300)") as (_, state):
        os.kill(bed.find_bed(state).warden, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any("testbed" in process or "sleep" in process for process in processes_of(state)):
            assert time.monotonic() < deadline, processes_of(state)
            time.sleep(0.05)
        assert state.exists()
        bed.sweep()
        assert not state.exists()
    assert slurm.state.exists(), "sweep took a bed that is in use"


def test_two_beds_do_not_meet(slurm: SlurmCluster) -> None:
    mine = slurm.submit("#!/bin/bash\nsleep 300\n", "--job-name=mine")
    with owner_of_a_bed("time.sleep(300)") as (_, state):
        other = SlurmCluster.attach(state)
        assert "mine" not in other.run(["squeue", "--format=%j"], check=True).stdout
        other.run(["scancel", "--user=root"], check=True)
        slurm.wait(mine, "RUNNING")


def test_a_bed_that_cannot_come_up_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    state = tmp_path / f"{'long' * 30}-path"  # longer than a socket's address may be
    with pytest.raises(BedError, match=r"munged on login.*exit code"):
        bed.start_bed(state, 2, os.getpid())
    wait_gone(state)
