"""A real apptainer, from the package of Debian sid, unpacked so that it runs on this machine."""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from tests.testbed.debian import CACHE
from tests.testbed.install import CannotInstallError
from tests.testbed.unpack import unpack

PACKAGES = ("apptainer", "libc6", "libseccomp2", "libsqlite3-0")
"""With libraries of the same age, since this machine's may be too old."""
SESSION = "lib/apptainer/mnt/session"


def lay_out() -> Path:
    """Give the command apptainer; the first time its packages are fetched, in some seconds.

    Raises:
        CannotInstallError: it cannot be had here; the text is one line for people.
    """
    root = unpack("apptainer", PACKAGES, "sid")
    patchelf = unpack("patchelf", ["patchelf"]) / "usr/bin/patchelf"
    command = root / "usr/bin/apptainer"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "ready").exists():
            _relocate(root, patchelf)
            (root / "ready").touch()
    tried = subprocess.run([command, "--version"], check=False, capture_output=True, text=True)
    if tried.returncode != 0:
        raise CannotInstallError(f"{command} does not run here: {tried.stderr.strip()}")
    return command


def _relocate(root: Path, patchelf: Path) -> None:
    """Make it use the libraries beside it; it finds the rest relative to where it lies."""
    (loader,) = root.glob("usr/lib/*-linux-gnu*/ld-linux-*")
    for program in (root / "usr/bin/apptainer", *root.glob("usr/lib/*/apptainer/bin/starter")):
        words = ["--set-interpreter", f"{loader}", "--force-rpath", "--set-rpath"]
        subprocess.run([patchelf, *words, loader.parent, program], check=True)
    # It takes the place of its helper programs, two folders deeper than a prefix has them.
    for prefix in (root / "usr", root / "usr/lib"):
        (prefix / "var" / SESSION).mkdir(parents=True)
        (prefix / "etc").symlink_to(root / "etc")
