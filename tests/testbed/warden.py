"""Keep one bed, and take it down completely when its owner ends, however that happens.

`python -m tests.testbed.warden STATE NODES OWNER` makes the state directory, brings the bed up
and writes "ready", or what went wrong with the ends of the logs. It takes the bed down on SIGTERM
and when the process OWNER (0: nobody) is gone, a `kill -9` included. Should the warden itself be
killed so, the kernel takes the hosts with it, and the next start removes the directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from tests.testbed import config
from tests.testbed.host import read_line, start_host
from tests.testbed.layout import LOGIN, Layout
from tests.testbed.process import BedError


def claim(state: Path) -> int:
    """Make the state directory, locked from the moment it has its name: give the lock."""
    fresh = Path(tempfile.mkdtemp(prefix=f".{state.name}-", dir=state.parent))
    fresh.chmod(0o755)
    lock = os.open(fresh / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        fresh.rename(state)
    except OSError as error:
        shutil.rmtree(fresh)
        raise BedError(f"{state}: {error.strerror}; is a bed up there already?") from error
    return lock


def remove(state: Path) -> None:
    """Remove a state directory in which nothing lives any more."""
    for _ in range(50):
        shutil.rmtree(state, ignore_errors=True)
        if not state.exists():
            return
        time.sleep(0.1)


def wait_for_end(login: subprocess.Popen[str], owner: int | None) -> None:
    """Return when the login host says its line or ends, or the owner ends."""
    assert login.stdout is not None
    poll = select.poll()
    poll.register(login.stdout, select.POLLIN)
    if owner is not None:
        poll.register(owner, select.POLLIN)
    poll.poll()


def log_tails(layout: Layout, lines: int = 15) -> str:
    """Give the last lines of every daemon's log."""
    tails = []
    for log in sorted(layout.log.glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        if tail:
            tails.append("\n".join([f"==> {log.name} <==", *tail]))
    return "\n".join(tails)


def stop_host(login: subprocess.Popen[str]) -> None:
    """End the login host, and with it the nodes; return when none of their processes is left."""
    assert login.stdin is not None
    login.stdin.close()
    try:
        login.wait(timeout=5)
    except subprocess.TimeoutExpired:
        login.kill()
        login.wait()


def keep(layout: Layout, owner: int) -> None:
    """Bring the bed up and stay until it has to end."""
    config.write_all(layout)
    handle = os.pidfd_open(owner) if owner else None  # readable when the owner has ended
    # Should this process be killed, the host dies with it.
    login = start_host(layout, LOGIN, ("setpriv", "--pdeathsig", "KILL", "--"))
    try:
        layout.save(warden=os.getpid(), holder=login.pid)
        wait_for_end(login, handle)
        if _owner_lives(handle):
            line = read_line(login)
            print(line if line == "ready" else f"{line}\n{log_tails(layout)}", flush=True)
            wait_for_end(login, handle)
    finally:
        stop_host(login)


def _owner_lives(handle: int | None) -> bool:
    return handle is None or not select.select([handle], [], [], 0)[0]


def _end(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def main() -> None:
    """Claim the directory, keep the bed, remove the directory."""
    state, count, owner = sys.argv[1:]
    layout = Layout(Path(state), int(count))
    signal.signal(signal.SIGTERM, _end)
    try:
        claim(layout.state)
        try:
            with contextlib.suppress(ProcessLookupError):
                keep(layout, int(owner))
        finally:
            remove(layout.state)
    except (BedError, OSError, subprocess.SubprocessError) as error:
        print(" ".join(str(error).split()), flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
