"""The first cause and not the loudest: whole small logs, and what is to be said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.check.doctor.diagnose import diagnose
from slurmkit.check.doctor.event import Log
from tests.doctor.said import (
    CANCELLED,
    CHILD,
    LIMIT,
    OOM,
    REPORT,
    STEPS,
    TRACEBACK,
    Told,
    led,
    verdict,
    watchdog,
)

DAY = "2026-11-21 08"
PREEMPTED = LIMIT.replace("TIME LIMIT", "PREEMPTION")
RAISED = f"{TRACEBACK}\nKeyError: 'optimizer'"


def test_memory_of_one_rank_and_not_the_others_that_lost_it(told: Told) -> None:
    lost = "RuntimeError: [../third_party/gloo/pair.cc:553] Connection closed by peer [10.0.0.2]"
    found = told(STEPS, led(0, lost), led(2, lost), led(3, f"{TRACEBACK}\n{OOM}"), CHILD)
    assert (verdict(found).code, verdict(found).rank) == ("D27", 3)
    assert verdict(found).confidence == "high"
    assert [line.text for line in verdict(found).lines] == [
        f"[rank3]: {OOM}",
        'File "/home/u/train.py", line 7, in step',
    ]


def test_the_earlier_exception_by_the_times_in_the_lines(told: Told) -> None:
    late = "2026-11-21 08:15:40,000 ERROR [rank0]: ValueError: too late"
    early = "2026-11-21 08:15:31,000 ERROR [rank5]: KeyError: 'train'"
    found = verdict(told(late, early, CHILD))
    assert (found.code, found.rank, found.time) == ("D50", 5, "2026-11-21 08:15:31")


def test_a_time_without_a_fraction_may_be_any_of_its_second(told: Told) -> None:
    """Slurm writes seconds, torchrun fractions: within a second, the order of the lines counts."""
    report = "E1121 08:15:31.100000 77 torch/api.py:1002] failed (exitcode: 1) local_rank: 0"
    ended = "slurmstepd: error: *** STEP 7.0 ON n0 CANCELLED AT 2026-11-21T08:15:31 ***"
    before = f"[rank2]: {TRACEBACK}\n[rank2]: {OOM}"
    assert verdict(told(f"{before}\n{report}\n{ended}")).code == "D27"
    assert verdict(told(f"{ended}\n{before}\n{report}")).code == "D31"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        # Another rank's exception, surely before something definite, or at about the same time
        ((f"{DAY}:15:10 [rank1]: ValueError: a", f"{DAY}:15:30 [rank2]: {OOM}"), "D50"),
        ((f"{DAY}:15:10 [rank1]: ValueError: a", f"{DAY}:15:11 [rank2]: {OOM}"), "D27"),
        # A time-out, and what died behind it: at once, or within a minute where it is definite
        ((watchdog(1, second=30), f"{DAY}:15:31 [rank2]: ValueError: a"), "D50"),
        ((watchdog(1, second=30), f"{DAY}:15:50 [rank2]: ValueError: a"), "D20"),
        ((watchdog(1, second=30), f"{DAY}:16:20 [rank2]: {OOM}"), "D27"),
        ((watchdog(1, second=30), f"{DAY}:17:30 [rank2]: {OOM}"), "D20"),
    ],
)  # fmt: skip
def test_how_far_the_order_of_times_counts(told: Told, lines: tuple[str, str], code: str) -> None:
    assert verdict(told(*lines)).code == code


def test_of_files_without_times_that_of_the_rank_that_torchrun_names(tmp_path: Path) -> None:
    logs = [Log(tmp_path / "slurm-12.out")]
    logs[0].path.write_text(f"{STEPS}\n{CHILD}\n{REPORT.format(code=1)}\n")
    for rank, words in ((0, "ValueError: lost"), (3, "KeyError: 'x'")):
        logs.append(Log(tmp_path / f"n.rank{rank}.log", rank))
        logs[-1].path.write_text(f"{TRACEBACK}\n{words}\n")
    found = verdict(diagnose(logs))
    assert (found.rank, found.node, found.evidence) == (3, "n2", "KeyError: 'x'")


def test_srun_s_word_on_several_tasks_is_for_each_of_them(told: Told) -> None:
    end = "srun: error: node2: tasks 2-3,5: Exited with exit code 1"
    for rank in (2, 3, 5):
        found = verdict(told(led(rank, TRACEBACK), f"[rank{rank}]: ValueError: a", end))
        assert (found.rank, found.node) == (rank, "node2")


def test_the_node_of_a_rank_is_known_by_its_log(tmp_path: Path) -> None:
    whole, own = tmp_path / "slurm-12.out", tmp_path / "node2.rank3.log"
    whole.write_text(f"{led(3, TRACEBACK)}\n[rank3]: ValueError: a\n")
    own.write_text("step 1 loss 2.5\n")
    found = verdict(diagnose([Log(whole), Log(own, rank=3, node="node2")]))
    assert (found.rank, found.node) == (3, "node2")


@pytest.mark.parametrize(
    ("waiting", "missing"),
    [((0, 1, 3), 2), ((0, 1, 2, 3), 3)],
    ids=["the one that is silent", "the one at an earlier collective"],
)
def test_of_ranks_that_time_out_the_one_they_wait_for(
    told: Told, waiting: tuple[int, ...], missing: int
) -> None:
    lines = [watchdog(rank, 6 if rank == 3 and len(waiting) == 4 else 7) for rank in waiting]
    found = verdict(told(STEPS, *lines, CHILD))
    assert (found.code, found.rank) == ("D20", missing)


def test_an_exception_before_a_time_out_is_why_the_others_waited(told: Told) -> None:
    raised = "2026-11-21 08:05:00,000 [rank2]: KeyError: 'train'"
    found = verdict(told(raised, *map(watchdog, (0, 1, 3)), CHILD))
    assert (found.code, found.rank) == ("D50", 2)


@pytest.mark.parametrize(("code", "expected"), [(-11, "D49"), (-9, "D23")])
def test_a_rank_that_was_killed_is_why_the_others_waited(
    told: Told, code: int, expected: str
) -> None:
    found = verdict(told(*map(watchdog, (0, 1, 2)), CHILD, REPORT.format(code=code)))
    assert (found.code, found.rank, found.node) == (expected, 3, "n2")


def test_an_abort_is_what_the_watchdog_does(told: Told) -> None:
    assert verdict(told(watchdog(0), watchdog(1), CHILD, REPORT.format(code=-6))).code == "D20"


def test_the_kernel_s_word_on_memory_before_all_else(told: Told) -> None:
    killed = "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks"
    found = told(f"{TRACEBACK}\nRuntimeError: x", CHILD, REPORT.format(code=-9), killed)
    assert verdict(found).code == "D22"


def test_the_time_limit_of_a_job_that_trained(told: Told) -> None:
    caught = f"{TRACEBACK}\nKeyError: 'acc'"
    found = told(STEPS, caught, STEPS.replace("step", "step 1"), LIMIT)
    assert [one.code for one in found.findings] == ["D30"]
    assert verdict(found).node == "n1"


def test_the_time_limit_of_a_job_that_was_dead_long_before(told: Told) -> None:
    dead = [led(1, f"{TRACEBACK}\nKeyError: 'train'"), CHILD, REPORT.format(code=1)]
    codes = [one.code for one in told(STEPS, *dead, LIMIT).findings]
    assert codes == ["D50", "D30"]


def test_a_job_that_was_cancelled_and_one_that_had_failed_before(told: Told) -> None:
    terminated = "srun: error: n1: task 0: Terminated"
    assert verdict(told(STEPS, CANCELLED, terminated)).code == "D31"
    assert verdict(told(STEPS, f"{TRACEBACK}\n{OOM}", CANCELLED, terminated)).code == "D27"
    failed = "srun: error: n2: task 5: Exited with exit code 255"
    assert verdict(told(STEPS, failed, CANCELLED, terminated)).code == "unknown"
    assert verdict(told(STEPS, failed.replace("255", "143"), CANCELLED, terminated)).code == "D31"


def test_nothing_but_consequences_is_unknown_with_the_last_sane_lines(told: Told) -> None:
    found = verdict(
        told("loading data", STEPS, CHILD, "srun: error: n1: task 0: Exited with exit code 1")
    )
    assert (found.code, found.confidence) == ("unknown", "low")
    assert found.lines[-1].text.startswith("step 19 loss")


def test_a_log_without_any_failure_has_no_findings(told: Told) -> None:
    healthy = (
        "[W socket.cpp:464] [c10d] The hostname of the client socket cannot be retrieved. err=-3"
    )
    assert told(healthy, STEPS, "srun: Step created for StepId=12.1").findings == ()


def test_what_a_good_end_looks_like(told: Told) -> None:
    left = (
        "[rank1]:[W1121 08:00:00.5 TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=3): "
        "Connection reset by peer"
    )
    assert told(STEPS, left).findings == ()
    assert verdict(told(STEPS, left.replace("[W", "[E"))).code == "unknown"


def test_the_last_attempt_counts(told: Told) -> None:
    meet = "slurmkit: 2 x 2 processes meet at n1:17001; files in /runs/x/12"
    found = told(meet, f"{TRACEBACK}\n{OOM}", CHILD, meet, f"{TRACEBACK}\nKeyError: 'x'", CHILD)
    assert [one.code for one in found.findings] == ["D50"]
    assert told(meet, f"{TRACEBACK}\n{OOM}", CHILD, meet, STEPS).findings == ()


def test_a_job_that_was_preempted_and_went_on_has_not_died_of_it(told: Told) -> None:
    preempted = LIMIT.replace("TIME LIMIT", "PREEMPTION")
    assert verdict(told(STEPS, preempted)).code == "D32"
    again = STEPS.replace("step", "step 1")
    assert verdict(told(STEPS, preempted, again, LIMIT)).code == "D30"


@pytest.mark.parametrize(
    ("lines", "state", "code"),
    [
        (["module list: a", PREEMPTED, "module list: a", RAISED], None, "D50"),
        ([PREEMPTED, "2026-11-21 10:30:00,1 begins", RAISED], None, "D50"),
        ([PREEMPTED, RAISED], "FAILED", "D50"),
        ([PREEMPTED, RAISED], "PREEMPTED", "D32"),
        ([PREEMPTED, "2026-11-21 09:00:20,1 saves", RAISED], None, "D32"),
        (["module list: a", RAISED, PREEMPTED], None, "D32"),
    ],
    ids=["it began again", "much later", "FAILED", "PREEMPTED", "at once", "before"],
)
def test_an_exception_of_the_attempt_behind_a_preemption(
    told: Told, lines: list[str], state: str | None, code: str
) -> None:
    task = "srun: error: n1: task 0: Exited with exit code 1"
    assert verdict(told(*lines, task, state=state)).code == code


def test_a_job_of_submitit_that_was_requeued_and_began_again(told: Told) -> None:
    says = "submitit {} (2022-07-12 04:18:45,8) - {}"
    caught = says.format("WARNING", "Caught signal SIGHUP on n1: this job is preempted.")
    begins = says.format("INFO", "Starting with JobEnvironment(job_id=12, hostname=n1)")
    bypassed = says.format("WARNING", "Bypassing signal SIGTERM")
    assert verdict(told(begins, bypassed, caught)).code == "D32"
    assert told(begins, bypassed, caught, begins).findings == ()


def test_a_step_that_waited_and_was_created(told: Told) -> None:
    waits = "srun: Job 12 step creation temporarily disabled, retrying (Requested nodes are busy)"
    assert verdict(told(waits)).code == "D33"
    assert told(waits, "srun: Step created for job 12", STEPS).findings == ()


def test_slurm_s_state_where_no_line_says_it(told: Told) -> None:
    for state, code in {"TIMEOUT": "D30", "OUT_OF_MEMORY": "D22", "NODE_FAIL": "D32"}.items():
        assert verdict(told(STEPS, state=state)).code == code
    assert verdict(told(STEPS, CANCELLED, state="CANCELLED")).lines[0].line == 21
    assert verdict(told(STEPS, state="FAILED")).code == "unknown"
    assert told(STEPS, state="COMPLETED").findings == ()


def test_too_few_processes_of_which_no_line_complains(told: Told) -> None:
    member = "Initializing distributed: GLOBAL_RANK: {}, MEMBER: {}/4"
    came = [member.format(rank, rank + 1) for rank in range(4)]
    assert verdict(told(*came[:2], CANCELLED)).code == "D02"
    assert verdict(told(*came[:2], LIMIT)).code == "D02"
    assert verdict(told(*came, STEPS, LIMIT)).code == "D30"
    assert told(*came, STEPS).findings == ()
