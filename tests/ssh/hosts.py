"""Real hosts with real sshd on this machine: a desk, where people sit, and boxes.

Each has a network, a name, processes and a home of its own, and its own disk at `work`, one path
on all of them. Everything else of the file system they share with this machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from tests.testbed.install import SYSTEM_PATH
from tests.testbed.process import NEW_HOST

DESK = "desk"
ADDRESSES = {DESK: "10.98.0.1", "box1": "10.98.0.11", "box2": "10.98.0.12"}
BOXES = tuple(name for name in ADDRESSES if name != DESK)

_FIRST = """
set -e
hostname "$1"
mount -t tmpfs run /run && mkdir -p /run/sshd
mount --bind "$2/passwd-$1" /etc/passwd
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/disk-$1" "$2/work"
ip link set lo up
echo up
read -r _ # the cable is in
[ "$1" = desk ] || /usr/sbin/sshd -f "$2/sshd_config"
echo ready
while read -r _; do :; done # until the tests end: the kernel then ends all that is on this host
"""
_SSHD = """\
Port 22
HostKey {state}/key
PidFile /run/sshd.pid
AuthorizedKeysFile {state}/key.pub
UsePAM no
StrictModes no
UseDNS no
PermitRootLogin yes
MaxStartups 100
Subsystem sftp internal-sftp
"""
_SSH = """\
Host alias
    HostName 10.98.0.12
Host *
    IdentityFile {state}/key
    UserKnownHostsFile /dev/null
    StrictHostKeyChecking no
    LogLevel ERROR
"""


class Hosts:
    """The desk and the boxes; use it as a context manager."""

    def __enter__(self) -> Hosts:
        """Bring them up."""
        self.state = Path(tempfile.mkdtemp(prefix="slurmkit-ssh-", dir="/tmp"))
        self.state.chmod(0o755)
        self._first: dict[str, subprocess.Popen[str]] = {}
        try:
            self._write()
            for name in ADDRESSES:
                self._start(name)
            self._join()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End them, and all that runs on them."""
        for process in self._first.values():
            assert process.stdin is not None
            process.stdin.close()
        for process in self._first.values():
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()
        shutil.rmtree(self.state, ignore_errors=True)

    @property
    def work(self) -> Path:
        """The path of each host's own disk."""
        return self.state / "work"

    def disk(self, name: str) -> Path:
        """Give a host's disk, as this machine sees it."""
        return self.state / f"disk-{name}"

    def put(self, name: str, text: str, hosts: Sequence[str] = tuple(ADDRESSES)) -> None:
        """Write a file on the disks of hosts."""
        for host in hosts:
            (self.disk(host) / name).write_text(text, encoding="utf-8")

    def start(
        self, argv: Sequence[str | Path], *, on: str = DESK, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a command on a host, in its `work`; a session of its own, output in pipes."""
        return subprocess.Popen(
            [*self._enter(on), *map(str, argv)],
            env={**self._environment(on), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        on: str = DESK,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, and wait for it."""
        with self.start(argv, on=on, env=env) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(list(argv), process.returncode, out, err)

    def slurmkit(
        self, *words: str | Path, env: Mapping[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Type `slurmkit …` at the desk."""
        return self.run([slurmkit_path(), *words], env=env, timeout=timeout)

    def processes(self, on: str, word: str) -> list[str]:
        """List what runs on a host with a word in its command line."""
        told = self.run(["pgrep", "-af", word], on=on).stdout.splitlines()
        return [line for line in told if "pgrep" not in line]

    def wait_until_gone(self, word: str, seconds: float = 10) -> None:
        """Wait until nothing with a word in its command line runs on any box."""
        deadline = time.monotonic() + seconds
        while left := [line for box in BOXES for line in self.processes(box, word)]:
            assert time.monotonic() < deadline, f"left over after {seconds:g} s: {left}"
            time.sleep(0.1)

    def cut(self, box: str, *, up: bool = False) -> None:
        """Pull a box's network cable, or plug it in again."""
        words = ["ip", "link", "set", box, "up" if up else "down"]
        subprocess.run([*self._net(DESK), *words], check=True)

    def _write(self) -> None:
        (self.state / "work").mkdir()
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.state / "key")]
        subprocess.run(keygen, check=True)
        (self.state / "sshd_config").write_text(_SSHD.format(state=self.state))
        names = [f"{address} {name}" for name, address in ADDRESSES.items()]
        (self.state / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
        here = pwd.getpwuid(0).pw_dir
        for name in ADDRESSES:
            self.disk(name).mkdir()
            home = self.state / f"home-{name}"
            (home / ".ssh").mkdir(parents=True, mode=0o700)
            (home / ".ssh" / "config").write_text(_SSH.format(state=self.state))
            passwd = Path("/etc/passwd").read_text().replace(f":{here}:", f":{home}:", 1)
            (self.state / f"passwd-{name}").write_text(passwd)

    def _start(self, name: str) -> None:
        command = ["bash", "-c", _FIRST, "first", name, str(self.state)]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "--", "unshare", *NEW_HOST, *command],
            env={"PATH": SYSTEM_PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._first[name] = process
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n", f"{name} did not come up"

    def _join(self) -> None:
        """Join the hosts by a bridge on the desk, whose ports have the names of the boxes."""
        lines = ["link add net type bridge", f"address add {ADDRESSES[DESK]}/24 dev net"]
        lines.append("link set net up")
        for box in BOXES:
            lines.append(f"link add {box} type veth peer name eth0 netns {self._first[box].pid}")
            lines.append(f"link set {box} master net up")
        for line in lines:
            subprocess.run([*self._net(DESK), "ip", *line.split()], check=True)
        for box in BOXES:
            for line in (f"address add {ADDRESSES[box]}/24 dev eth0", "link set eth0 up"):
                subprocess.run([*self._net(box), "ip", *line.split()], check=True)
        for process in self._first.values():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"

    def _net(self, name: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self._first[name].pid}/ns/net", "--"]

    def _enter(self, name: str) -> list[str]:
        place = f"/proc/{self._first[name].pid}/ns"
        spaces = [f"--{kind}={place}/{kind}" for kind in ("net", "uts")]
        spaces += [f"--mount={place}/mnt", f"--pid={place}/pid_for_children"]
        return ["nsenter", *spaces, "--", "env", f"--chdir={self.work}", "--"]

    def _environment(self, name: str) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
            "HOME": str(self.state / f"home-{name}"),
            "USER": "root",
            "LANG": "C.UTF-8",
            "SLURMKIT_PROFILE": "none",
        }


def slurmkit_path() -> Path:
    """Give the slurmkit of this environment."""
    return Path(sys.executable).with_name("slurmkit")
