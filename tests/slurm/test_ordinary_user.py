"""The same job as a user who is not root."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.slurm.test_end_to_end import ALL_REDUCE, log_of, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
USER = "nobody"


@pytest.fixture(scope="module")
def python(slurm: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python with slurmkit and torch that an ordinary user can run.

    Root's own environment will not do where it, or the Python it was made from, lies in a directory
    that is closed to others: then its packages are linked to a place that is open.
    """
    own = Path(sys.executable)
    if _usable(slurm, own):
        return own
    folder = tmp_path_factory.mktemp("open")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = Path("/usr/bin") / version
    slurm.run([str(system), "-m", "venv", "--without-pip", str(folder / "venv")])
    packages = folder / "venv" / "lib" / version / "site-packages"
    for source in map(Path, sys.path):
        if source.name == "site-packages":
            shutil.copytree(source, packages, copy_function=_link, dirs_exist_ok=True)
    root = Path(__file__).parents[2]
    shutil.copytree(root / "slurmkit", packages / "slurmkit")
    shutil.copytree(root / "templates", packages / "slurmkit" / "templates")
    opened = folder / "venv" / "bin" / "python3"
    assert _usable(slurm, opened), f"no Python that {USER} can run: {system} should be one"
    return opened


def _usable(slurm: SlurmCluster, python: Path) -> bool:
    try:
        ran = slurm.run([str(python), "-c", "import slurmkit.api, torch"], user=USER, cwd=Path("/"))
    except OSError:
        return False
    return ran.returncode == 0


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def test_all_reduce_as_an_ordinary_user(slurm: SlurmCluster, work: Path, python: Path) -> None:
    job = shutil.copy(ALL_REDUCE, work)
    main = [str(python), "-c", "from slurmkit.cli import main; main()"]
    render = shlex.join([*main, "render", str(job), "--profile", "none"])
    ran = slurm.run(
        ["bash", "-c", f"set -o pipefail; {render} | sbatch --parsable --wait"],
        user=USER,
        cwd=work,
        timeout=120,
    )
    assert ran.stdout.strip(), ran.stderr
    job_id = ran.stdout.strip()
    row = slurm.sacct(job_id)["job"]
    assert row["State"] == "COMPLETED", log_of(work, job_id)
    assert row["User"] == USER
    assert (work / "runs" / "all-reduce" / job_id).owner() == USER
