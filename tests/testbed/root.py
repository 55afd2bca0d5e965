"""Run a bed in another Debian that lies in a folder, with this checkout and its Python in it."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.testbed.process import ROOT

ENTER = """\
set -e
root=$1; shift
mount --bind "$root" "$root" # chroot(2) needs a mount point, else unshare(1) finds none at /
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}"; : >> "$root$1"; fi
    mount --rbind "$1" "$root$1"; shift
done
shift
exec chroot "$root" "$@"
"""


def enter(root: Path) -> list[str]:
    """Give the words before a command that run it with `root` as /, in mounts of its own.

    What is made there outside of the shared places stays in the folder.
    """
    shared = dict.fromkeys(str(path) for path in _shared())
    return ["unshare", "--mount", "bash", "-c", ENTER, "enter", str(root), *shared, "--"]


def reason_unusable(root: Path) -> str | None:
    """Say in one line why a bed cannot run in there; None when it can."""
    tried = subprocess.run(
        [*enter(root), sys.executable, "-c", "import ctypes, ssl"],
        check=False,
        capture_output=True,
        text=True,
    )
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines() or ["no message"]
    return f"{sys.executable} does not run in {root}: {lines[-1]}"


def _shared() -> list[Path]:
    """List what the folder and this machine have in common: devices, files of tests, our Python.

    A Python runs on a newer Debian than the one that it was built for: the libraries of the C
    language keep their promises.
    """
    places = [Path("/proc"), Path("/sys"), Path("/dev"), Path("/tmp"), Path(tempfile.gettempdir())]
    places += [ROOT, Path(sys.prefix)]
    if (base := Path(sys.base_prefix)) != Path("/usr"):
        return [*places, base]
    return [*places, Path(sysconfig.get_path("stdlib")), *_links(Path(sys.executable))]


def _links(path: Path) -> list[Path]:
    """Follow a virtual environment's python to the program: all names on the way outside of it."""
    names = []
    while path.is_symlink():
        path = path.parent / path.readlink()
        if not path.is_relative_to(sys.prefix):
            names.append(Path(os.path.normpath(path)))
    return names
