"""The scripts on the Slurm of the next Debian, and its options against the table.

What other tests of this directory show on the Slurm that is installed is shown again here, on a bed
whose root directory is a Debian laid into a folder; see `tests/testbed/debian.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurmkit.slurm.options import TOOLS, Tool, check_option, load_options
from slurmkit.slurm.scalars import GrammarError, parse_version
from tests.slurm.test_directive_reading import (
    test_one_reads_what_the_other_reads,
    test_values_arrive_as_they_are_read,
)
from tests.slurm.test_end_to_end import (
    SLURMKIT,
    job,
    log_of,
    submit,
    test_a_crash_on_one_rank_ends_the_whole_job,
    test_all_reduce_over_two_nodes,
    test_cpus_and_gpus_reach_the_processes,
    test_hostile_names_and_comments_arrive_in_slurm,
    test_one_restart_survives_a_crash,
    test_render_into_bash_inside_salloc,
    test_submitted_from_inside_another_job,
    work,
)
from tests.slurm.test_hostile_directives import (
    test_any_name_and_comment_arrive,
    test_whole_jobs_are_accepted,
)
from tests.slurm.test_requeue import (
    events,
    poll,
    stoppable,
    test_a_cancelled_job_stays_cancelled,
    test_a_cancelled_job_whose_script_survives_stays_cancelled,
    test_a_preempted_job_comes_back,
    test_left_with_zero_and_no_word_the_job_is_done,
    test_requeues_are_capped,
    test_signalled_before_the_time_limit_the_job_comes_back,
    test_the_real_time_limit,
    test_workers_are_told_under_export_none,
)
from tests.slurm_language import test_against_slurm as against
from tests.testbed.cluster import SlurmCluster
from tests.testbed.debian import lay_out
from tests.testbed.install import CannotInstallError, reason_missing
from tests.testbed.left_out import leave_out
from tests.testbed.root import reason_unusable

__all__ = [
    "test_a_cancelled_job_stays_cancelled",
    "test_a_cancelled_job_whose_script_survives_stays_cancelled",
    "test_a_crash_on_one_rank_ends_the_whole_job",
    "test_a_preempted_job_comes_back",
    "test_all_reduce_over_two_nodes",
    "test_any_name_and_comment_arrive",
    "test_cpus_and_gpus_reach_the_processes",
    "test_hostile_names_and_comments_arrive_in_slurm",
    "test_left_with_zero_and_no_word_the_job_is_done",
    "test_one_reads_what_the_other_reads",
    "test_one_restart_survives_a_crash",
    "test_render_into_bash_inside_salloc",
    "test_requeues_are_capped",
    "test_signalled_before_the_time_limit_the_job_comes_back",
    "test_submitted_from_inside_another_job",
    "test_the_real_time_limit",
    "test_values_arrive_as_they_are_read",
    "test_whole_jobs_are_accepted",
    "test_workers_are_told_under_export_none",
    "work",
]
pytestmark = pytest.mark.proof

SUITES = {"trixie": (24, 11)}
"""Releases of Debian, and the oldest Slurm that is expected there."""
VALUES = {
    "acctg-freq": "task=30", "batch": "x", "bb": "x", "bbf": "/etc/hostname", "begin": "now+1hour",
    "chdir": "/tmp", "cluster": "bed", "clusters": "bed", "comment": "two words",
    "core-spec": "0", "cores-per-socket": "1", "cpu-freq": "low", "deadline": "now+2days",
    "delay-boot": "10", "distribution": "block:cyclic", "error": "err.txt", "export": "ALL,A=b",
    "export-file": "/dev/null", "extra": "x", "extra-node-info": "1:1:1", "gpu-bind": "none",
    "gpu-freq": "low", "gres": "none", "gres-flags": "enforce-binding", "hint": "nomultithread",
    "input": "/dev/null", "kill-on-invalid-dep": "yes", "licenses": "", "mail-type": "END,FAIL",
    "mail-user": "me@example.org", "mem-bind": "local",
    "mem-update": "10@30", "network": "sn_single", "nice": "100",
    "prefer": "x", "priority": "100", "profile": "none", "propagate": "NONE",
    "segment": "1", "sockets-per-node": "1", "switches": "1@10:00", "thread-spec": "1",
    "threads-per-core": "1", "time-min": "1:00", "tmp": "1M", "tres-bind": "gres/gpu:none",
    "tres-per-task": "cpu=1", "wait-all-nodes": "1", "wckey": "x",
}  # fmt: skip
"""Something sensible for each option of sbatch that takes a value; the others are switched on."""
NOT_HERE = {"batch", "prefer", "resources", "resv-ports", "stepmgr", "tmp"}
"""Options that ask for what the bed has not: features, disks and licenses, a step manager."""


@pytest.fixture(scope="module", params=SUITES)
def slurm(request: pytest.FixtureRequest) -> Iterator[SlurmCluster]:
    """Two nodes under a newer Slurm, for this module."""
    try:
        reason = reason_missing() or reason_unusable(root := lay_out(request.param))
    except CannotInstallError as error:
        reason = str(error)
    if reason:
        leave_out(f"newer Slurm left out: {reason}")
    with SlurmCluster(root=root) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def version(slurm: SlurmCluster) -> str:
    return slurm.run(["sbatch", "--version"], check=True).stdout.split()[-1]


def test_it_is_a_newer_slurm(slurm: SlurmCluster, version: str) -> None:
    assert parse_version(version) >= min(SUITES.values())


@pytest.mark.parametrize("tool", TOOLS)
def test_the_table_knows_its_options(
    slurm: SlurmCluster, version: str, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "_run", lambda _, *command: slurm.run(command))
    against.test_every_option_takes_what_the_table_says({}, version, tool)
    against.test_help_names_options_of_the_table({}, version, tool)


def test_what_is_accepted_for_it_is_accepted_by_it(slurm: SlurmCluster, version: str) -> None:
    wrong = {}
    accepted = 0
    for name in load_options():
        try:
            option = check_option("sbatch", name, VALUES.get(name, "true"), version)
        except GrammarError:
            continue
        ran = slurm.run(["sbatch", "--test-only", "--wrap=true", str(option)])
        if "to start at" in ran.stderr:
            accepted += 1
        elif name not in NOT_HERE or "unrecognized option" in ran.stderr:
            wrong[name] = f"{option}: {ran.stderr.strip()}"
    assert wrong == {}
    assert accepted > 50


@pytest.mark.parametrize("gpu_request", ["gpus-per-node", "gres"])
def test_gpus_are_asked_for_in_both_ways(slurm: SlurmCluster, work: Path, gpu_request: str) -> None:
    program = "import os; print('gpus', os.environ['CUDA_VISIBLE_DEVICES'], flush=True)\n"
    options = [f"site.gpu_request={gpu_request}", "resources.gpu_type=h200"]
    options += ["resources.gpus_per_node=2", "sbatch.gres-flags=enforce-binding"]
    sets = [word for option in options for word in ("--set", option)]
    job_id = submit(slurm, work, job(work, program), *sets)
    assert slurm.sacct(job_id)["job"]["State"] == "COMPLETED", log_of(work, job_id)
    assert log_of(work, job_id).count("gpus 0,1") == 4


def test_an_array_task_requeues_itself_alone(slurm: SlurmCluster, work: Path) -> None:
    path = stoppable(work, leave_with=3, tell=1)
    render = f"{SLURMKIT} render {path} --profile none --set resources.nodes=1"
    command = f"set -o pipefail; {render} | sbatch --parsable --array=0-1"
    array = slurm.run(["bash", "-c", command], cwd=work, check=True).stdout.strip()
    shown = slurm.run(["squeue", "-h", "-r", "-j", array, "-o", "%i"], check=True).stdout
    assert sorted(shown.split()) == [f"{array}_0", f"{array}_1"]
    ids: dict[str, str] = {}

    def training() -> bool:
        listed = slurm.run(["squeue", "-h", "-t", "R", "-j", array, "-o", "%i %A"]).stdout
        ids.update(dict(line.split() for line in listed.splitlines()))
        return len(ids) == 2 and all(log_of(work, i).count("training") == 2 for i in ids.values())

    poll(slurm, training, "both tasks training")
    first, second = ids[f"{array}_0"], ids[f"{array}_1"]
    slurm.run(["scancel", "--batch", "--signal=USR1", f"{array}_1"], check=True)
    poll(slurm, lambda: log_of(work, second).count("resumed 1") == 2, "second run", timeout=150)
    assert "requeued" in events(work, second)
    assert "ended" not in events(work, first), "the other task goes on"
