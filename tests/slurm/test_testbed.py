"""The test bed is a real cluster: what later tests take for granted about it."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.testbed.cluster import SlurmCluster

HOLD = "#!/bin/bash\nsleep 300\n"


def test_two_nodes_with_names_and_addresses_of_their_own(slurm: SlurmCluster) -> None:
    told = "hostname; hostname -I | cut -d' ' -f1; getent hosts node1 node2 | cut -d' ' -f1"
    script = f"echo $(bash -c {told!r})"
    lines = slurm.run(["srun", "--nodes=2", "bash", "-c", script], check=True).stdout.splitlines()
    everyone = "10.99.0.11 10.99.0.12"
    assert sorted(lines) == [f"node1 10.99.0.11 {everyone}", f"node2 10.99.0.12 {everyone}"]


def test_a_node_sees_its_own_processes_only(slurm: SlurmCluster) -> None:
    script = "sleep 77 & sleep 1; pgrep --full --count '^sleep 77'; kill %1"
    done = slurm.run(["srun", "--nodes=2", "bash", "-c", script], check=True)
    assert done.stdout.split() == ["1", "1"]


def test_accounting_knows_job_and_steps(slurm: SlurmCluster) -> None:
    job = slurm.submit("#!/bin/bash\nsrun true\nsrun bash -c 'exit 3'\n", "--job-name=two steps")
    assert slurm.wait(job, {"COMPLETED", "FAILED"}) == "FAILED"
    expected = {
        "job": ("FAILED", "3:0"),
        "batch": ("FAILED", "3:0"),
        "0": ("COMPLETED", "0:0"),
        "1": ("FAILED", "3:0"),
    }

    def outcome() -> dict[str, tuple[str, str]]:
        return {name: (row["State"], row["ExitCode"]) for name, row in slurm.sacct(job).items()}

    end = time.monotonic() + 30
    while outcome() != expected and time.monotonic() < end:  # the accounting lags behind
        time.sleep(0.2)
    assert outcome() == expected
    assert slurm.sacct(job)["job"]["JobName"] == "two steps"


def test_an_ordinary_user_runs_jobs(slurm: SlurmCluster) -> None:
    script = "#!/bin/bash\nsrun --nodes=2 id --user --name\npwd\n"
    job = slurm.submit(script, "--nodes=2", "--output=job.out", user="nobody")
    slurm.wait(job, "COMPLETED")
    output = slurm.bed.home("nobody") / "job.out"
    assert output.read_text().split() == ["nobody", "nobody", str(output.parent)]
    assert slurm.sacct(job)["job"]["User"] == "nobody"


def test_jobs_that_share_a_node_get_different_gpus(slurm: SlurmCluster) -> None:
    ask = ["--nodelist=node1", "--gpus-per-node=h200:2"]
    output = slurm.bed.home("root") / "gpus.out"
    script = '#!/bin/bash\necho "$CUDA_VISIBLE_DEVICES"\nsleep 300\n'
    job = slurm.submit(script, *ask, f"--output={output}")
    slurm.wait(job, "RUNNING")
    mine = slurm.run(["srun", *ask, "printenv", "CUDA_VISIBLE_DEVICES"], check=True).stdout
    deadline = time.monotonic() + 10
    while not (theirs := output.read_text() if output.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert sorted(f"{mine.strip()},{theirs.strip()}".split(",")) == ["0", "1", "2", "3"]


@pytest.mark.proof
def test_the_higher_partition_preempts_and_the_job_is_requeued(slurm: SlurmCluster) -> None:
    where = ["--nodelist=node1", "--exclusive"]
    victim = slurm.submit(HOLD, *where, "--partition=preemptible", "--requeue")
    slurm.wait(victim, "RUNNING")
    winner = slurm.submit("#!/bin/bash\ntrue\n", *where, "--partition=main")
    slurm.wait(winner, "COMPLETED", timeout=30)
    assert slurm.job_state(victim) != "RUNNING"


def test_a_cut_node_is_out_of_reach_until_restored(slurm: SlurmCluster) -> None:
    knock = ["timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/node2/6818"]
    slurm.cut("node2")
    assert slurm.run(knock).returncode != 0
    slurm.restore("node2")
    assert slurm.run(knock).returncode == 0


def test_reset_cancels_jobs_that_ignore_signals(slurm: SlurmCluster) -> None:
    stubborn = "#!/bin/bash\ntrap '' TERM\nsrun bash -c \"trap '' TERM; sleep 300\"\n"
    job = slurm.submit(stubborn)
    slurm.wait(job, "RUNNING")
    began = time.monotonic()
    slurm.reset()
    assert time.monotonic() - began < 8, "reset waited for KillWait"
    assert slurm.run(["squeue", "--noheader"], check=True).stdout == ""


def test_commands_run_as_after_a_fresh_login(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    names = set(slurm.run(["env", "--null"], env={"MINE": "1"}).stdout.split("\0"))
    assert "MINE=1" in names
    assert [name for name in names if name.startswith(("SLURM", "SBATCH"))] == [
        f"SLURM_CONF={slurm.bed.layout.slurm_conf}"
    ]


def test_the_cluster_is_found_without_slurm_conf(slurm: SlurmCluster) -> None:
    command = ["env", "--unset=SLURM_CONF", "srun", "--export=NONE", "/bin/hostname"]
    assert slurm.run(command, user="nobody", check=True).stdout == "node1\n"


def test_a_command_past_its_time_is_killed_with_what_it_started(slurm: SlurmCluster) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        slurm.run(["bash", "-c", "sleep 1234 & sleep 1234"], timeout=0.5)
    assert slurm.run(["pgrep", "--exact", "--full", "sleep 1234"]).stdout == ""


def test_wait_fails_at_once_when_the_job_has_ended_otherwise(slurm: SlurmCluster) -> None:
    job = slurm.submit("#!/bin/bash\nexit 1\n")
    with pytest.raises(AssertionError, match=rf"job {job} is FAILED .*(?s:.*)slurmctld\.log"):
        slurm.wait(job, "COMPLETED")
