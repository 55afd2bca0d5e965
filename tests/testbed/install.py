"""Say what the Slurm tests need, why they cannot run here, and install it with apt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAMS = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurmdbd": "slurmdbd",
    "sbatch": "slurm-client",
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "ip": "iproute2",
}
"""The programs a bed runs, each with the Debian package that brings it."""

HOST_PROGRAMS = {"sshd": "openssh-server", "nft": "nftables"}
"""What the tests of hosts without Slurm run."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_TEXT = """\
#!/bin/sh
# slurmkit's test bed: start no service while its packages are installed.
exit 101
"""


class CannotInstallError(Exception):
    """Slurm cannot be had on this machine; the text is one line for people."""


def missing_packages() -> list[str]:
    """Name the Debian packages whose programs are not on this machine."""
    absent = {
        package
        for program, package in (PROGRAMS | HOST_PROGRAMS).items()
        if shutil.which(program, path=SYSTEM_PATH) is None
    }
    return sorted(absent)


def reason_missing(environment: Mapping[str, str] = os.environ) -> str | None:
    """Say in one line why the Slurm tests cannot run here; None when they can."""
    if environment.get("SLURM") == "0":
        return "Slurm tests left out: SLURM=0 is set"
    if os.geteuid() != 0:
        return "Slurm tests left out: the test bed makes its own hosts, which takes root"
    if packages := missing_packages():
        return (
            f"Slurm tests left out: {' '.join(packages)} not installed "
            "(python3 -m tests.testbed install)"
        )
    return _reason_kernel()


def _reason_kernel() -> str | None:
    """Try what a bed does first: hosts of their own, joined by a bridge."""
    probe = "ip link add bridge type bridge && ip link add eth0 type veth peer name node1"
    command = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--mount-proc"]
    tried = subprocess.run(
        [*command, "sh", "-c", probe], check=False, capture_output=True, text=True
    )
    if tried.returncode == 0:
        return None
    lines = tried.stderr.strip().splitlines() or ["no message"]
    return f"Slurm tests left out: this machine allows no namespaces or bridges ({lines[-1]})"


def install() -> None:
    """Install what is missing; services are not started. Quick when all is there."""
    if packages := missing_packages():
        install_packages(packages)
    if packages := missing_packages():
        raise CannotInstallError(f"{' '.join(packages)} still missing after apt-get install")


def install_packages(packages: list[str]) -> None:
    """Install Debian packages; services are not started."""
    if os.geteuid() != 0:
        raise CannotInstallError(f"{' '.join(packages)} missing, and installing takes root")
    if shutil.which("apt-get") is None:
        raise CannotInstallError(
            f"{' '.join(packages)} missing, and there is no apt-get here: install them by hand"
        )
    print(f"Installing {' '.join(packages)} with apt-get; no service is started.", file=sys.stderr)
    if _unknown(packages) or not _apt_install(packages):
        _apt(["update"])
        if unknown := _unknown(packages):
            raise CannotInstallError(f"apt-get knows no package {' '.join(unknown)} here")
        if not _apt_install(packages):
            raise CannotInstallError(
                f"apt-get install {' '.join(packages)} failed; its own words are above"
            )


def _unknown(packages: list[str]) -> list[str]:
    def known(package: str) -> bool:
        shown = subprocess.run(["apt-cache", "show", package], check=False, capture_output=True)
        return shown.returncode == 0

    return [package for package in packages if not known(package)]


def _apt_install(packages: list[str]) -> bool:
    # --no-remove: mariadb-server would otherwise push out a MySQL that is in use here.
    arguments = ["install", "--yes", "--no-install-recommends", "--no-remove", *packages]
    with _no_services() as prefix:
        return _apt(arguments, prefix)


def _apt(arguments: list[str], prefix: Sequence[str] = ()) -> bool:
    command = [*prefix, "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
    return done.returncode == 0


@contextmanager
def _no_services() -> Iterator[list[str]]:
    """Forbid package scripts to start services; give what to put before the command.

    invoke-rc.d asks /usr/sbin/policy-rc.d and obeys exit code 101. One that is there already
    is somebody else's: it is covered, for our apt-get alone, by a bind mount in a private mount
    namespace. Otherwise ours is written, and removed whatever happens.
    """
    if POLICY.exists() and POLICY.read_text(errors="replace") != POLICY_TEXT:
        with tempfile.TemporaryDirectory() as directory:
            ours = Path(directory) / POLICY.name
            ours.write_text(POLICY_TEXT)
            ours.chmod(0o755)
            cover = 'mount --bind "$0" "$1" && shift && exec "$@"'
            yield ["unshare", "--mount", "sh", "-c", cover, str(ours), str(POLICY)]
        return
    try:
        POLICY.write_text(POLICY_TEXT)
        POLICY.chmod(0o755)
        yield []
    finally:
        POLICY.unlink(missing_ok=True)
