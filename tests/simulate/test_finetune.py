"""The fine-tuning job rehearsed: killed, signalled, preempted, cancelled over pretend nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulate.simulation import processes_of
from tests.slurm.faults import STEPS, job_text, losses, read_rows

SLURMKIT = Path(sys.executable).with_name("slurmkit")
AT = "25s"  # from the start of the script: in the midst of the steps
Curve = list[tuple[float, float]]


def simulate(work: Path, *trouble: str, pace: float = 0) -> tuple[Curve, str]:
    """Rehearse the job; return its losses and what was printed."""
    (work / "job.yaml").write_text(job_text(PACE=pace), encoding="utf-8")
    command = [str(SLURMKIT), "simulate", "job.yaml", "--profile", "none", *trouble]
    ran = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    (run,) = work.glob("runs/*/*")
    assert not processes_of(work)
    return losses(read_rows(run)), ran.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Curve:
    curve, _ = simulate(tmp_path_factory.mktemp("undisturbed"))
    assert [step for step, _ in curve] == list(range(1, STEPS + 1))
    return curve


@pytest.mark.proof
@pytest.mark.parametrize(
    "trouble",
    [
        ["--kill", f"node0@{AT}"],
        ["--kill", f"node1@{AT}"],
        ["--signal", f"USR1@{AT}"],
        ["--preempt", AT],
    ],
    ids=lambda trouble: "-".join(trouble[:2]).partition("@")[0].strip("-"),
)
def test_in_trouble_it_ends_with_the_same_losses(
    tmp_path: Path, undisturbed: Curve, trouble: list[str]
) -> None:
    curve, told = simulate(tmp_path, *trouble, pace=1)
    assert "COMPLETED" in told, told
    assert "and 1 requeue" in told, "struck while it trained"
    assert curve == undisturbed


@pytest.mark.proof
def test_cancelled_it_stays_away(tmp_path: Path, undisturbed: Curve) -> None:
    curve, told = simulate(tmp_path, "--cancel", AT, pace=1)
    assert "CANCELLED" in told, told
    assert "requeue:" not in told
    assert "requeued" not in told
    assert curve == undisturbed[: len(curve)]
    assert len(curve) < STEPS
