"""Start, find, enter and end beds from outside: what tests and the command line share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import secrets
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.install import SYSTEM_PATH
from tests.testbed.layout import Layout, read_bed
from tests.testbed.process import ROOT, BedError, environment, module
from tests.testbed.root import enter
from tests.testbed.warden import remove

PARENT = Path("/tmp")
"""Where state directories go: short, for sockets, and open to every user, unlike many a TMPDIR."""
PREFIX = "slurmkit-bed-"


@dataclass(frozen=True)
class Bed:
    """A bed that is up."""

    layout: Layout
    holder: int
    """A process that is in the login host's namespaces, or whose children are."""
    warden: int
    """The process that takes the bed down on SIGTERM."""

    def enter(self, user: str, cwd: Path) -> list[str]:
        """Give the words before a command that make it run on the login host, as a user."""
        place = f"/proc/{self.holder}/ns"
        spaces = [f"--{kind}={place}/{kind}" for kind in ("net", "uts")]
        spaces += [f"--mount={place}/mnt", f"--pid={place}/pid_for_children"]
        spaces += [f"--root=/proc/{self.holder}/root"]  # which is not "/" in a chroot
        account = pwd.getpwnam(user)
        identity = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
        become = ["setpriv", *identity, "--pdeathsig=KILL", "--"]
        return ["nsenter", *spaces, "--", *become, "env", f"--chdir={cwd}", "--"]

    def environment(self, user: str) -> dict[str, str]:
        """Give what a user has who has just logged in, with this Python first on the PATH."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
            "HOME": str(self.home(user)),
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "SLURM_CONF": str(self.layout.slurm_conf),
        }

    def home(self, user: str) -> Path:
        """Give the user's home directory, made at its first use."""
        home = self.layout.home(user)
        if not home.exists():
            home.mkdir(mode=0o700)
            account = pwd.getpwnam(user)
            os.chown(home, account.pw_uid, account.pw_gid)
        return home


def new_state() -> Path:
    """Give a state directory that no other bed has."""
    return PARENT / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"


def hand_state() -> Path:
    """Give the state directory of this checkout's `make slurm-up`."""
    return PARENT / f"{PREFIX}hand-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"


def start_bed(state: Path, node_count: int, owner: int, root: Path | None = None) -> Bed:
    """Bring a bed up. It ends with the process `owner`; with 0 it stays until `stop_bed`.

    With a `root` it runs the Slurm of the Debian in that folder; see `debian.lay_out`.
    """
    sweep()
    layout = Layout(state, node_count)
    warden = subprocess.Popen(
        [*(enter(root) if root else []), *module("warden", state, node_count, owner)],
        env=environment(layout),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # out of reach of the terminal's Ctrl-C
    )
    assert warden.stdout is not None
    try:
        with warden.stdout as words:
            if (line := words.readline().strip()) != "ready":
                reason = line or "the warden died without a word"
                raise BedError(f"the Slurm test bed did not come up: {reason}\n{words.read()}")
        return find_bed(state)
    except BaseException:
        warden.terminate()
        warden.wait()
        raise


def find_bed(state: Path) -> Bed:
    """Find a bed that is up by its state directory."""
    if not is_up(state):
        raise BedError(f"no test bed is up at {state}: start one with `make slurm-up`")
    layout, processes = read_bed(state)
    return Bed(layout, **processes)


def is_up(state: Path) -> bool:
    """Tell whether the warden of a state directory lives: it holds the lock."""
    try:
        lock = os.open(state / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(lock)


def stop_bed(bed: Bed) -> None:
    """Take a bed down; return when nothing of it is left."""
    state = bed.layout.state
    if is_up(state):
        os.kill(bed.warden, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while state.exists():
        if time.monotonic() > deadline:
            raise BedError(f"{state} is still there 15 s after its warden {bed.warden} was told")
        time.sleep(0.02)


def sweep() -> None:
    """Remove what beds have left whose warden was killed; the kernel has taken the rest."""
    for state in PARENT.glob(f"{PREFIX}*"):
        facts = state.lstat()
        ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
        if ours and not is_up(state):
            remove(state)
