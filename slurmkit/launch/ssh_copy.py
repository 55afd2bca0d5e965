"""Copy named files of a directory on a host to this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from slurmkit.launch.ssh_client import Ssh
from slurmkit.render import quoting

_NO_DIRECTORY, _NO_FILES = 4, 5
_PLACE = re.compile(r"(?P<host>[^-/:\s][^/:\s]*):(?P<directory>[^\x00]+)")
_SCRIPT = """{{
cd -- {directory} 2> /dev/null || exit {no_directory}
found=()
for name in {names}; do if [[ -f $name ]]; then found+=("$name"); fi; done
((${{#found[@]}})) || exit {no_files}
tar -chf - -- "${{found[@]}}"
exit
}}
"""


def split_place(text: str) -> tuple[str, str] | None:
    """Split `host:directory` as scp does; None for a directory of this machine."""
    found = _PLACE.fullmatch(text)
    return (found["host"], found["directory"]) if found else None


def copy(ssh: Ssh, host: str, directory: str, names: Sequence[str], into: Path) -> str | None:
    """Copy those of the files that are there; tell why none came, or not all of these.

    Args:
        ssh: the connections; one to the host is opened.
        host: as ssh takes it.
        directory: where the files are on it; relative to the home directory.
        names: of the files.
        into: an existing directory of this machine.
    """
    connected = ssh.connect(host)
    if connected.code:
        return f"not reachable: {connected.why}"
    script = _SCRIPT.format(
        directory=quoting.word(directory.removeprefix("~/")),
        names=" ".join(map(quoting.word, names)),
        no_directory=_NO_DIRECTORY,
        no_files=_NO_FILES,
    )
    session = ssh.start(host, script)
    session.close()
    with session.process, session.out, session.err:
        unpack = ["tar", "-xf", "-", "--no-same-owner", "-C", str(into)]
        unpacked = subprocess.run(unpack, stdin=session.out, check=False, capture_output=True)
        session.out.close()  # so that the host does not wait, should the disk be full here
        said = session.err.read().decode(errors="replace").strip()
        code = session.process.wait()
    if code == _NO_DIRECTORY:
        return "there is no such directory"
    if code == _NO_FILES:
        return "none of them is there"
    if unpacked.returncode:
        said = unpacked.stderr.decode(errors="replace").strip()
    return (said.splitlines() or [f"exit code {code}"])[-1] if code or unpacked.returncode else None
