"""Unpack Debian packages into a folder, once, and keep it; nothing of this machine changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.debian import CACHE, mirror
from tests.testbed.install import CannotInstallError

APT = """\
Dir::State::lists "{place}/lists";
Dir::Cache "{place}/cache";
Dir::Etc::sourcelist "{place}/sources.list";
Dir::Etc::sourceparts "/nonexistent";
APT::Sandbox::User "root";
"""
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpack(name: str, packages: Sequence[str], suite: str | None = None) -> Path:
    """Give the folder of some packages: of this machine's Debian, or of the `suite` named.

    Raises:
        CannotInstallError: they cannot be had here; the text is one line for people.
    """
    words = [suite or "here", *packages]
    folder = CACHE / f"{name}-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CannotInstallError(f"unpacking {name} takes root and apt-get")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=f".{name}-") as place:
                _unpack(Path(place), packages, suite).rename(folder)
    return folder


def _unpack(place: Path, packages: Sequence[str], suite: str | None) -> Path:
    environment = dict(os.environ)
    if suite is not None:
        (place / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirror()} {suite} main\n")
        (place / "apt.conf").write_text(APT.format(place=place))
        (place / "lists" / "partial").mkdir(parents=True)
        environment["APT_CONFIG"] = str(place / "apt.conf")
        _apt(place, ["update"], environment)
    try:
        _apt(place, ["download", *packages], environment)
    except CannotInstallError:
        _apt(place, ["update"], environment)
        _apt(place, ["download", *packages], environment)
    folder = place / "root"
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    folder.chmod(0o755)
    return folder


def _apt(place: Path, words: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["apt-get", "-qq", *words],
        check=False,
        cwd=place,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CannotInstallError(f"apt-get {words[0]}: {last}")
