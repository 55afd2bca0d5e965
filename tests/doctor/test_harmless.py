"""What failed in the batch script and did no harm, and causes that are only listed as possible."""

from __future__ import annotations

import pytest

from slurmkit.check.doctor.text import lines
from tests.doctor.said import CHILD, LIMIT, OOM, TRACEBACK, Told, led, verdict

MODULE = "Lmod has detected the following error: These module(s) exist but cannot be loaded: cuda"
UP = "n1:7:7 [0] NCCL INFO Bootstrap : Using eth0:10.0.0.1<0>"
RAISED = led(1, f"{TRACEBACK}\nValueError: no device set")
FOLLOWED = "also seen, and most likely what followed:"
KILLED = "run.sh: line 9: 4663 Killed python x.py"
LISTED = (
    "Worker exit type: SYSTEM_ERROR Worker exit detail: End of file. There are some potential root "
    "causes. (1) The process is killed by SIGKILL by OOM killer due to high memory usage. (2) ray "
    "stop --force is called. (3) The worker is crashed unexpectedly due to SIGSEGV."
)


@pytest.mark.parametrize(
    "line",
    [
        MODULE,
        "slurm_script: line 9: torchrun: command not found",
        "/var/spool/slurm_script: line 8: /home/u/venv/bin/activate: No such file or directory",
        "CondaError: Run 'conda init' before 'conda activate'",
    ],
)
def test_a_line_of_the_script_behind_which_the_processes_came_up(told: Told, line: str) -> None:
    assert verdict(told(line, UP, RAISED, CHILD)).code == "D50"


def test_a_module_without_which_the_program_did_not_come_up(told: Told) -> None:
    lost = "ModuleNotFoundError: No module named 'torch'"
    assert verdict(told(MODULE, f"{TRACEBACK}\n{lost}")).code == "D42"
    ended = "srun: error: n1: task 0: Exited with exit code 1"
    assert verdict(told(UP, MODULE, ended)).code == "D42"


def test_a_list_of_what_may_have_ended_a_worker_names_no_cause(told: Told) -> None:
    found = verdict(told("ray.exceptions.ActorDiedError: The actor died unexpectedly", LISTED))
    assert (found.code, found.confidence) == ("D118", "low")
    killed = "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0."
    assert verdict(told(LISTED, killed)).code == "D22"


def test_where_nothing_names_a_cause_the_host_that_had_ended_first(told: Told) -> None:
    lost = "n2:7:9 [0] misc/socket.cc:50 NCCL WARN Connection closed by remote peer "
    found = verdict(told(UP, f"{lost}node1.hpc<45074>", CHILD))
    assert found.code == "unknown"
    assert "the output of node1.hpc" in found.fix


def test_who_returned_an_exit_code_was_not_the_one_that_crashed(told: Told) -> None:
    ended = "srun: error: n1: task 0: Exited with exit code 1"
    found = verdict(told(ended, "run.sh: line 7: 4663 Aborted (core dumped) python x.py"))
    assert (found.code, found.rank) == ("D49", None)


def test_what_stands_above_the_verdict_is_not_told_as_what_followed(told: Told) -> None:
    found = told("CondaError: Run 'conda init' before 'conda activate'", LIMIT, KILLED)
    shown = lines(found)
    assert shown[0] == "D30: the time limit was reached"
    above, below = shown.index("also seen, above that line:"), shown.index(FOLLOWED)
    assert "D41" in shown[above + 1]
    assert "D23" in shown[below + 1]


@pytest.mark.parametrize(
    "line",
    [
        "WARNING:root:Failed to import xformers: No module named 'xformers'",
        "cat: /etc/machine-id: Permission denied",
        MODULE,
    ],
)
def test_what_programs_often_say_is_not_sure_without_a_sign_of_a_failure(
    told: Told, line: str
) -> None:
    assert verdict(told("step 1 loss 2.0", line)).confidence == "medium"
    assert verdict(told(line, TRACEBACK, CHILD)).confidence == "high"


DENIED = "cat: /etc/machine-id: Permission denied"
REFUSED = "n1:7:8 [0] misc/socket.cc:538 NCCL WARN Net : Connect to 10.0.0.2<9> failed : refused"
VALUE = f"{TRACEBACK}\nValueError: no device set"
NO_TORCH = f"{TRACEBACK}\nModuleNotFoundError: No module named 'torch'"


@pytest.mark.parametrize(
    ("lines", "code", "confidence"),
    [
        ((DENIED, VALUE, CHILD), "D50", "high"),
        ((VALUE, DENIED, CHILD), "D50", "high"),
        ((REFUSED, f"{TRACEBACK}\n{OOM}", CHILD), "D27", "high"),
        ((REFUSED, f"{TRACEBACK}\nConnectionError: refused", CHILD), "D16", "medium"),
        ((MODULE, f"{TRACEBACK}\n{OOM}", CHILD), "D27", "high"),
        ((MODULE, NO_TORCH, CHILD), "D42", "high"),
        ((MODULE, VALUE, CHILD), "D42", "medium"),
    ],
)
def test_a_command_that_failed_weighs_less_than_an_exception(
    told: Told, lines: tuple[str, ...], code: str, confidence: str
) -> None:
    found = verdict(told(*lines))
    assert (found.code, found.confidence) == (code, confidence)
