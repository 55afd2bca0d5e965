"""Bring what the job has written on its hosts into the run directory on this machine.

Hosts may share a file system with this machine or not; a mark in the run directory tells. Logs,
events, metrics and results come; checkpoints stay where they are.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from slurmkit.launch.ssh_client import UNREACHABLE, Ran, Ssh, each
from slurmkit.render import quoting

if TYPE_CHECKING:
    from slurmkit.launch.rundir import RunDirectory
    from slurmkit.launch.ssh_run import Part

MARK = "launched-here"
_FILES = "logs events metrics config.yaml result.json results status.json launch_node*.sh"
_SHARED = 3
_BRIEFLY, _LONG = 5.0, 600.0  # seconds: for hosts that were lost, and for the others
_SCRIPT = """{{
cd {start} && cd {run} || exit 4
[[ $(cat {mark} 2> /dev/null) != {token} ]] || exit {shared} # the same directory
shopt -s nullglob
found=()
for name in {files}; do if [[ -e $name ]]; then found+=("$name"); fi; done
((${{#found[@]}})) || exit 5
tar -cf - -- "${{found[@]}}"
exit
}}
"""


def fetch(ssh: Ssh, parts: Sequence[Part], start: str, run: RunDirectory) -> Iterator[str]:
    """Fetch from all hosts; tell from which that was not possible, and where the files are.

    Args:
        ssh: the connections.
        parts: the hosts.
        start: the directory on the hosts, as a word of bash.
        run: the run directory on this machine.
    """
    place = f"runs/{run.path.parent.name}/{run.path.name}"
    script = _SCRIPT.format(
        start=start,
        run=quoting.word(place),
        mark=MARK,
        token=(run.path / MARK).read_text(),
        shared=_SHARED,
        files=_FILES,
    )
    lost = {part.host for part in parts if part.code == UNREACHABLE}

    def ask(host: str) -> Ran:
        return ssh.run(host, script, timeout=_BRIEFLY if host in lost else _LONG)

    fetched = each([part.host for part in parts], ask)
    for part, ran in reversed(list(zip(parts, fetched, strict=True))):  # rank 0's files win
        if ran.code == 0:
            subprocess.run(
                ["tar", "-xf", "-", "--no-same-owner", "-C", run.path],
                input=ran.out,
                check=False,
                stderr=subprocess.DEVNULL,
            )
        elif ran.code != _SHARED:
            told = f"{part.node}: its logs could not be fetched ({ran.why})"
            yield f"{told}; they are in {place} there"
