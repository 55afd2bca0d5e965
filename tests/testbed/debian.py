"""Lay a release of Debian with its own Slurm into a folder, once, and keep it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.testbed.install import PROGRAMS, CannotInstallError, install_packages

CACHE = Path("/var/cache/slurmkit-testbed")
MIRROR = "http://deb.debian.org/debian"
PACKAGES = sorted({*PROGRAMS.values(), "procps", "libexpat1", "libffi8"})
"""A bed's own, what scripts call, and libraries that this machine's Python needs."""
WASTE = (
    *("var/cache/apt", "var/lib/apt/lists", "var/lib/mysql"),
    *("usr/share/doc", "usr/share/locale"),
)
"""What a bed does not need; most of the 700 MB."""
SCRIPTS = Path("/usr/share/debootstrap/scripts")


def lay_out(suite: str) -> Path:
    """Give the folder of a release, such as `trixie`; the first time it is made, in a minute.

    Raises:
        CannotInstallError: it cannot be made here; the text is one line for people.
    """
    name = f"{suite}-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:8]}"
    folder = CACHE / name
    if folder.exists():
        return folder
    if os.geteuid() != 0:
        raise CannotInstallError(f"laying out Debian {suite} takes root")
    if shutil.which("debootstrap") is None:
        install_packages(["debootstrap"])
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _make(suite, folder)
    return folder


def _make(suite: str, folder: Path) -> None:
    """Make the folder beside its place, and move it there when it is whole."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{suite}-") as place:
        fresh = Path(place) / "root"
        # The recipe of a release that this debootstrap does not know yet is that of sid.
        script = [] if (SCRIPTS / suite).exists() else ["sid"]
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite]
        made = subprocess.run(
            [*command, str(fresh), mirror(), *script],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if made.returncode != 0:
            last = (made.stdout.strip().splitlines() or ["no message"])[-1]
            raise CannotInstallError(f"debootstrap could not lay out Debian {suite}: {last}")
        for waste in WASTE:
            shutil.rmtree(fresh / waste, ignore_errors=True)
        (fresh / "etc" / "hosts").touch()  # over which the bed lays its own
        fresh.chmod(0o755)
        fresh.rename(folder)


def mirror() -> str:
    """Give the mirror that this machine's apt takes Debian from, else Debian's own."""
    for path in [*Path("/etc/apt").glob("sources.list"), *Path("/etc/apt").rglob("*.d/*")]:
        text = path.read_text(errors="replace") if path.is_file() else ""
        if found := re.search(r"^(?:deb\s.*?|URIs:\s*)(https?://\S+/debian)/?(?=\s)", text, re.M):
            return found[1]
    return MIRROR
