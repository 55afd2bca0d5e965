"""The system's OpenSSH client: many commands on many hosts over one connection a host.

The user's own configuration counts (aliases, keys, jump hosts). Nothing is asked: a host that
wants a password is not reachable.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar, cast

UNREACHABLE = 255
"""What ssh exits with when it did not come through."""
_CONNECTING = 15  # seconds
_LONGEST_SOCKET = 70  # bytes; Linux takes 108, and ssh adds some of its own
_KEEP = 30  # seconds for which a connection outlives its last command, should we be killed

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a script on a host wrote, and how it ended."""

    code: int
    out: bytes
    err: str

    @property
    def why(self) -> str:
        """The last line of what it said."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Session:
    """A script that runs on a host."""

    process: subprocess.Popen[bytes]

    @property
    def out(self) -> IO[bytes]:
        """Its standard output."""
        return cast("IO[bytes]", self.process.stdout)

    @property
    def err(self) -> IO[bytes]:
        """Its standard error."""
        return cast("IO[bytes]", self.process.stderr)

    def write(self, data: bytes) -> None:
        """Write to its standard input; nothing happens when it is gone."""
        stdin = cast("IO[bytes]", self.process.stdin)
        with contextlib.suppress(OSError, ValueError):
            stdin.write(data)
            stdin.flush()

    def close(self) -> None:
        """Close its standard input."""
        with contextlib.suppress(OSError, ValueError):
            cast("IO[bytes]", self.process.stdin).close()


@dataclass
class Ssh:
    """Connections to hosts, in a private directory; use it as a context manager."""

    patience: int = 60
    """Seconds without word from a host after which it counts as lost."""
    options: Sequence[str] = ()
    """Further options of ssh, a word each."""
    _directory: Path = field(init=False)

    def __enter__(self) -> Ssh:
        """Make the directory of the sockets."""
        places = [os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"]  # noqa: S108
        short = [p for p in places if p and len(p) < _LONGEST_SOCKET and os.access(p, os.W_OK)]
        self._directory = Path(
            tempfile.mkdtemp(prefix="slurmkit-", dir=short[0] if short else None)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        for path in self._directory.glob("*"):
            if path.suffix == ".host":
                host = path.read_text()
                command = [*self.command(host)[:-1], "-O", "exit", host]
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run(command, check=False, capture_output=True, timeout=10)
        shutil.rmtree(self._directory, ignore_errors=True)

    def connect(self, host: str) -> Ran:
        """Open the connection that all further commands use; tell why it cannot be had."""
        (self._directory / f"{self._socket(host).name}.host").write_text(host)
        opening = ["-o", "ControlMaster=yes", "-o", f"ControlPersist={_KEEP}"]
        # Not a pipe: the connection stays in the background and would keep it open.
        with tempfile.TemporaryFile() as errors:
            try:
                ran = subprocess.run(
                    [*self.command(host, opening), "true"],
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    timeout=3 * _CONNECTING,
                )
                code = ran.returncode
            except subprocess.TimeoutExpired:
                code = UNREACHABLE
            except OSError as error:
                return Ran(UNREACHABLE, b"", f"ssh cannot be run: {error.strerror}")
            errors.seek(0)
            return Ran(code, b"", errors.read().decode(errors="replace"))

    def command(self, host: str, more: Sequence[str] = ("-o", "ControlMaster=no")) -> list[str]:
        """Return the words that lead a command on a host."""
        return [
            "ssh",
            *("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECTING}"),
            *(
                "-o",
                f"ServerAliveInterval={max(self.patience // 3, 1)}",
                "-o",
                "ServerAliveCountMax=3",
            ),
            *("-o", f"ControlPath={self._socket(host)}", *more),
            *(word for option in self.options for word in ("-o", option)),
            *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes", host),
        ]

    def run(self, host: str, script: str, *, timeout: float = 60) -> Ran:
        """Run a script of bash on a host, and wait for it."""
        try:
            ran = subprocess.run(
                [*self.command(host), "bash", "-s"],
                check=False,
                input=script.encode(),
                capture_output=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return Ran(UNREACHABLE, b"", f"no answer within {timeout:g} s")
        return Ran(ran.returncode, ran.stdout, ran.stderr.decode(errors="replace"))

    def start(self, host: str, script: str) -> Session:
        """Start a script of bash on a host; its standard input stays open."""
        process = subprocess.Popen(
            [*self.command(host), "bash", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us, who tell the hosts
        )
        session = Session(process)
        session.write(script.encode())
        return session

    @contextlib.contextmanager
    def held(self, host: str, script: str) -> Iterator[IO[bytes]]:
        """Have a script run during the block; give its standard output."""
        session = self.start(host, script)
        try:
            yield session.out
        finally:
            session.close()
            session.process.terminate()
            session.process.wait()
            session.out.close()
            session.err.close()

    def _socket(self, host: str) -> Path:
        return self._directory / hashlib.sha256(host.encode()).hexdigest()[:16]


def each(hosts: Sequence[str], work: Callable[[str], Result]) -> list[Result]:
    """Do something with all hosts side by side; give the results in their order."""
    with ThreadPoolExecutor(max(len(hosts), 1)) as threads:
        return list(threads.map(work, hosts))


def address_of(host: str, options: Sequence[str] = ()) -> str:
    """Return the address behind a name, by the user's own ssh configuration."""
    words = [word for option in options for word in ("-o", option)]
    command = ["ssh", "-G", *words, host]
    try:
        told = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:  # no ssh: connect() says so
        return host.rpartition("@")[2]
    for line in told.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key == "hostname" and value:
            return value
    return host.rpartition("@")[2]
