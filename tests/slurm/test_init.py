"""`slurmkit init` on the login host of a real Slurm: what it drafts is taken, and runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from slurmkit.init.gallery import STARTS
from tests.slurm.test_end_to_end import SLURMKIT, log_of, work
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]


@pytest.fixture(scope="module", autouse=True)
def account(slurm: SlurmCluster) -> Iterator[None]:
    """Let root's jobs be charged to physics."""
    manage = ["sacctmgr", "--immediate"]
    slurm.run([*manage, "add", "account", "physics"], check=True)
    slurm.run(
        [*manage, "add", "user", "root", "account=physics", "defaultaccount=physics"], check=True
    )
    yield
    slurm.run([*manage, "modify", "user", "root", "set", "defaultaccount=root"], check=True)


@pytest.fixture
def home(slurm: SlurmCluster, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a login with an empty home."""
    path = f"{SLURMKIT.parent}:{slurm.env['PATH']}"
    return {"HOME": str(tmp_path / "home"), "PATH": path, "SLURMKIT_PROFILE": ""}


def typed(slurm: SlurmCluster, work: Path, home: dict[str, str], line: str) -> tuple[str, str]:
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    ran = slurm.run(command, cwd=work, env=home, timeout=180, check=True)
    return ran.stdout, ran.stderr


def test_it_asks_slurm(slurm: SlurmCluster, work: Path, home: dict[str, str]) -> None:
    _, said = typed(slurm, work, home, "slurmkit init")
    assert "written from the template torchrun, with bed (" in said
    resources = yaml.safe_load((work / "job.yaml").read_text())["resources"]
    assert resources["time"] == 12 * 3600  # YAML 1.1 counts 12:00:00 in sixties; slurmkit does not
    del resources["time"]
    assert resources == {
        "nodes": 2,
        "gpus_per_node": 4,
        "gpu_type": "h200",
        "cpus_per_node": 8,
        "memory_per_node": 0,
        "partition": "main",
        "account": "physics",
    }


@pytest.mark.parametrize("template", STARTS)
def test_sbatch_takes_what_is_drafted(
    slurm: SlurmCluster, work: Path, home: dict[str, str], template: str
) -> None:
    typed(slurm, work, home, f"slurmkit init {template}")
    _, said = typed(slurm, work, home, "slurmkit validate job.yaml --json | tee valid.json")
    assert json.loads((work / "valid.json").read_text())["valid"], said
    job, _ = typed(slurm, work, home, "slurmkit render job.yaml | sbatch --parsable --hold")
    shown = slurm.run(["scontrol", "show", "job", job.strip()], check=True).stdout
    assert "Account=physics" in shown
    assert "Partition=main" in shown
    assert "NumNodes=2" in shown
    assert ("gres/gpu:h200=8" in shown or "gpu:h200:4" in shown) is STARTS[template].gpus, shown


def test_the_first_job_runs(slurm: SlurmCluster, work: Path, home: dict[str, str]) -> None:
    typed(slurm, work, home, "slurmkit init cpu")
    job, _ = typed(slurm, work, home, "slurmkit render job.yaml | sbatch --parsable --wait")
    assert "4 rank(s) on 2 node(s): the sum is 10, as expected" in log_of(work, job.strip())


def test_a_profile_of_this_cluster(slurm: SlurmCluster, work: Path, home: dict[str, str]) -> None:
    _, said = typed(slurm, work, home, "slurmkit init --profile")
    path = Path(home["HOME"]) / ".config" / "slurmkit" / "profiles" / "bed.yaml"
    assert str(path) in said
    version = slurm.run(["sbatch", "--version"], check=True).stdout.split()[1]
    profile = yaml.safe_load(path.read_text())
    assert profile["site"] == {
        "slurm_version": version,
        "gpu_request": "gpus-per-node",
        "gpu_types": {"h200": 4},
    }
    assert profile["resources"] == {"partition": "main", "account": "physics"}
    typed(slurm, work, home, "slurmkit init")
    assert "\nprofile: bed " in (work / "job.yaml").read_text()
    script, _ = typed(slurm, work, home, "slurmkit render job.yaml")
    assert "#SBATCH --account=physics\n" in script
    assert "#SBATCH --partition=main\n" in script


def test_somebody_without_an_account(slurm: SlurmCluster, work: Path, home: dict[str, str]) -> None:
    line = ["sacctmgr", "--noheader", "--parsable2", "show", "user", "nobody", "withassoc"]
    assert slurm.run(line, check=True).stdout == ""
    typed(slurm, work, home, "LOGNAME=nobody slurmkit init")
    text = (work / "job.yaml").read_text()
    assert "  # account: my-project" in text
