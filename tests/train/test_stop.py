"""Asked to stop: by a signal, a file, the clock; and all ranks leave at the same step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from slurmkit.train import stop
from tests.train.launch import free_port, python, srun

AGREE = """
import os, signal
from slurmkit.train import stop
from slurmkit.train.distributed import distributed
with distributed() as world:
    for step in range(10):
        if stop.requested():
            break
        if step == 3:
            os.kill(os.getpid(), world.rank and signal.SIGUSR1 or signal.SIGTERM)
    print(f"left at step {step}: {stop.reason()}", flush=True)
"""


@pytest.fixture
def heard_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Begin as a process that nobody has asked yet, in a run directory."""
    for name in ("SLURMKIT_END_TIME", "SLURMKIT_LEAD_TIME", "RANK", "LOCAL_RANK", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURMKIT_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(stop, "_ear", None)


def ends_in(monkeypatch: pytest.MonkeyPatch, seconds: float, lead: str | None = None) -> None:
    monkeypatch.setenv("SLURMKIT_END_TIME", str(int(time.time() + seconds)))
    if lead is not None:
        monkeypatch.setenv("SLURMKIT_LEAD_TIME", lead)


def test_signals_to_single_ranks_stop_all_at_the_same_step_for_one_reason(tmp_path: Path) -> None:
    script = tmp_path / "agree.py"
    script.write_text(AGREE)
    ended = srun(
        str(script),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(free_port()),
        SLURMKIT_RUN_DIR=str(tmp_path),
    )
    assert [each.stdout for each in ended] == ["left at step 4: SIGUSR1\n"] * 2, ended
    status = json.loads((tmp_path / "status.json").read_text())
    assert status == {"state": "stopped", "reason": "SIGUSR1", "step": None}


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
        ("(run / 'STOP').touch()", "STOP file"),
        ("time.sleep(1.5)", "time limit"),
    ],
)
def test_alone_each_way_stops_it_and_torch_is_not_needed(
    tmp_path: Path, ask: str, reason: str
) -> None:
    program = (
        "import os, pathlib, signal, sys, time\nfrom slurmkit.train import stop\n"
        "run = pathlib.Path(os.environ['SLURMKIT_RUN_DIR'])\n"
        "os.environ['SLURMKIT_END_TIME'] = str(int(time.time()) + 62)\n"
        f"first = stop.requested()\n{ask}\n"
        "print(first, stop.requested(), stop.reason(), 'torch' in sys.modules)"
    )
    environment = {"SLURMKIT_RUN_DIR": str(tmp_path), "SLURMKIT_LEAD_TIME": "61"}
    ended = python("-c", program, **environment)
    assert ended.stdout == f"False True {reason} False\n", ended.stderr


def test_until_the_first_question_a_signal_ends_a_program() -> None:
    ended = python(
        "-c", "import os, signal\nfrom slurmkit.train import stop\nos.kill(os.getpid(), 15)"
    )
    assert ended.status == -signal.SIGTERM


@pytest.mark.usefixtures("heard_nothing")
def test_listening_hears_twice_and_leaves_the_callers_handlers_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)]
    with stop.listening():
        assert stop.heard() == 0
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        with stop.listening():
            pass
        assert stop.REASONS[stop.heard()] == "SIGTERM", "the inner block has forgotten nothing"
        assert stop.terminated()
        assert stop.requested()
    assert [signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)] == before
    with stop.listening():
        assert not stop.heard(), "the next run in this process begins anew"
        assert stop.reason() is None


@pytest.mark.usefixtures("heard_nothing")
def test_a_forked_child_can_still_be_ended() -> None:
    with stop.listening():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGTERM, "by the second signal, not the first"
        assert not stop.heard()


@pytest.mark.usefixtures("heard_nothing")
def test_in_another_thread_the_file_is_heard(tmp_path: Path) -> None:
    heard: list[int] = []

    def train() -> None:
        with stop.listening():
            (tmp_path / "STOP").touch()
            heard.append(stop.heard())

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert [stop.REASONS[code] for code in heard] == ["STOP file"]


@pytest.mark.usefixtures("heard_nothing")
@pytest.mark.parametrize(
    ("rank", "together", "reason"),
    [("0", True, "time limit"), ("1", True, ""), ("1", False, "time limit")],
)
def test_where_ranks_agree_the_clock_of_rank_0_counts(
    monkeypatch: pytest.MonkeyPatch, rank: str, together: bool, reason: str
) -> None:
    ends_in(monkeypatch, 10, lead="60")
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(stop, "_process_group", lambda: object() if together else None)
    with stop.listening():
        assert stop.REASONS[stop.heard()] == reason
        assert stop.lead_time() == 60


@pytest.mark.usefixtures("heard_nothing")
def test_without_a_lead_time_a_short_job_is_not_stopped_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with stop.listening():
        assert stop.lead_time() is None, "a job without an end"
    for seconds, least, most in ((60, 5.7, 6.1), (36000, 120, 120)):
        ends_in(monkeypatch, seconds)
        with stop.listening():
            assert least <= (stop.lead_time() or 0) <= most
            assert not stop.heard()


@pytest.mark.usefixtures("heard_nothing")
@pytest.mark.parametrize(("moved", "reason"), [(3600, ""), (-30, "time limit")])
def test_a_time_limit_that_was_moved_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moved: int, reason: str
) -> None:
    end = datetime.fromtimestamp(time.time() + moved).isoformat(timespec="seconds")
    squeue = tmp_path / "squeue"
    squeue.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho 6 2000\necho 7 {end}\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    ends_in(monkeypatch, 10, lead="60")
    with stop.listening():
        assert [stop.REASONS[stop.heard()] for _ in range(3)] == [reason] * 3
    assert (tmp_path / "asked").read_text() == "--noheader --jobs=7 --format=%A %e\n", "once"


@pytest.mark.usefixtures("heard_nothing")
def test_a_full_disk_does_not_come_before_the_save(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "STOP").touch()
    (tmp_path / "status.json.part").mkdir()
    with stop.listening():
        assert stop.requested()
    assert "cannot write status.json" in capfd.readouterr().err


def test_a_lead_time_that_is_too_short_is_told() -> None:
    assert stop.warn_if_short(120, 20, 20) is None
    assert stop.warn_if_short(None, 1000, 0) is None, "a job without an end"
    assert stop.warn_if_short(120, 20.5, 20) == (
        "120 s before the time limit this job is told to save, but two steps of 20.5 s, a save of "
        "20.0 s and a minute to end are 121 s: set requeue.lead_time to 130 or more"
    )


def test_the_lead_time_of_an_outer_job_is_not_taken_over() -> None:
    from slurmkit.render.script import render
    from slurmkit.spec.model import JobSpec

    job = {"name": "j", "entrypoint": {"command": ["true"]}}
    plain, back = (
        render(JobSpec.model_validate(job | more)) for more in ({}, {"requeue": {"lead_time": 90}})
    )
    assert "export SLURMKIT_LEAD_TIME=90\n" in back
    for script in (plain, back):
        unset = script[script.index("unset ") : script.index("\n\n", script.index("unset "))]
        command = unset.split("# A")[0] + '\necho "<${SLURMKIT_LEAD_TIME-unset}>"'
        environment = {**os.environ, "SLURMKIT_LEAD_TIME": "1"}
        ran = subprocess.run(
            ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
        )
        assert ran.stdout.endswith("<unset>\n"), ran.stderr
