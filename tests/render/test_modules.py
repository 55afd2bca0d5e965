"""Real environment modules: Debian's environment-modules and Lmod, each alone on a machine.

The two packages exclude each other, and both change what every shell of a machine does. So they
are unpacked, each into a folder, and a script runs with it laid over /usr and /etc, in mounts of
its own.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.render.test_arrival import Machine
from tests.testbed.install import CannotInstallError
from tests.testbed.left_out import leave_out
from tests.testbed.unpack import unpack

PACKAGES = {
    "environment-modules": ("environment-modules", "tcl8.6", "libtcl8.6"),
    "lmod": (
        *("lmod", "lua5.3", "lua-bit32", "lua-filesystem", "lua-json", "lua-lpeg", "lua-posix"),
        *("lua-term", "tcl", "tcl8.6", "libtcl8.6"),
    ),
}
MODULEFILES = {
    "tool/1.0": 'setenv TOOL_HOME "/opt/my tool"\nprepend-path PATH /opt/tool/bin\n',
    "needs/1.0": "prereq nothing-that-is-loaded\n",
    "broken/1.0": "setenv\n",
}
OVERLAY = """\
for top in usr etc; do
    mount -t overlay overlay -o "lowerdir=$0/$top:/$top" "/$top" || exit 77
done
exec "$@"
"""


@pytest.fixture(scope="module", params=sorted(PACKAGES))
def modules(request: pytest.FixtureRequest) -> Path:
    """Give the folder in which an implementation of `module` lies unpacked."""
    try:
        folder = unpack(request.param, PACKAGES[request.param])
        tried = subprocess.run([*over(folder), "true"], check=False, capture_output=True, text=True)
        if tried.returncode != 0:
            raise CannotInstallError(f"no mounts here: {tried.stderr.strip()}")
    except CannotInstallError as error:
        leave_out(f"modules left out: {error}")
    return folder


def over(folder: Path) -> list[str]:
    """Give the words before a command that run it with a folder laid over this machine."""
    return ["unshare", "--mount", "bash", "-c", OVERLAY, str(folder)]


@pytest.fixture
def site(tmp_path: Path) -> Machine:
    """Return a machine with modulefiles."""
    machine = Machine(tmp_path)
    for name, body in MODULEFILES.items():
        path = tmp_path / "modulefiles" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"#%Module1.0\n{body}")
    return machine


def run(site: Machine, modules: Path, names: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a job's script as Slurm does: by a shell that is no login shell."""
    environment: dict[str, Any] = {"modules": names, "python": str(site.bin / "python3")}
    job = {"name": "modules", "entrypoint": {"module": "m"}, "environment": environment}
    script = site.folder / "script.sbatch"
    script.write_text(render(JobSpec.model_validate(job)))
    return subprocess.run(
        [*over(modules), "bash", str(script)],
        check=False,
        capture_output=True,
        text=True,
        cwd=site.work,
        env=site.environment(MODULEPATH=str(site.folder / "modulefiles")),
        timeout=60,
    )


def test_a_module_is_loaded_in_a_batch_shell(modules: Path, site: Machine) -> None:
    ran = run(site, modules, ["tool/1.0"])
    assert ran.returncode == 0, ran.stderr
    got = site.received.read_text()
    assert '"TOOL_HOME": "/opt/my tool"' in got
    assert "/opt/tool/bin:" in got


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere/2", "nowhere/2"), ("needs/1.0", "nothing-that-is-loaded"), ("broken/1.0", "setenv")],
)
def test_a_module_that_does_not_load_ends_the_job(
    modules: Path, site: Machine, name: str, message: str
) -> None:
    ran = run(site, modules, ["tool/1.0", name])
    assert ran.returncode == 1, ran.stderr
    assert message in ran.stderr, "the log says which module, and why"
    assert not site.received.exists()
