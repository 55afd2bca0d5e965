"""Slurm's states, reasons and exit codes are known, and told in words."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.slurm.exit_code import ExitCode, read_exit_code, read_wait_status
from slurmkit.slurm.reasons import known_reasons, read_reason
from slurmkit.slurm.states import combined, known_states, read_state

NAMES = (Path(__file__).parent / "recorded" / "reasons.txt").read_text().split()
"""What Slurm 22.05's and 26.05's libraries can write as a reason."""


@pytest.mark.parametrize("name", NAMES)
def test_every_reason_of_slurm_has_words(name: str) -> None:
    reason = read_reason(name)
    assert reason.name == name
    assert " " in reason.words
    assert "{" not in reason.words


def test_families_name_the_resource() -> None:
    words = read_reason("QOSMaxGRESPerUser").words
    assert words == "you use all the GPUs that its quality of service allows you"
    assert "hours of CPUs" in read_reason("AssocGrpCPUMinutesLimit").words
    assert "fewer CPUs" in read_reason("QOSMinCpuNotSatisfied").words
    assert "memory" in read_reason("AssocGrpMemRunMinutes").words


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("(Priority)", "Priority", "other jobs go first"),
        ("RaisedSignal:9(Killed)", "RaisedSignal", "a signal ended it (9(Killed))"),
        ("(ReqNodeNotAvail, UnavailableNodes:n[1-2])", "ReqNodeNotAvail", "Nodes:n[1-2])"),
        ("launch failed requeued held", "launch_failed_requeued_held", "now held"),
        ("BrandNewReason", "BrandNewReason", "Brand New Reason"),
        ("Nodes required for job are DOWN", "Nodes required for job are DOWN", "are DOWN"),
        ("", "", ""),
    ],
)
def test_reasons_as_squeue_writes_them(text: str, name: str, words: str) -> None:
    reason = read_reason(text)
    assert reason.name == name
    assert words in reason.words


@given(st.text())
def test_any_reason_is_read(text: str) -> None:
    read_reason(text)


def test_every_row_is_whole() -> None:
    for name, reason in known_reasons().items():
        assert name == reason.name
        assert reason.words == reason.words.strip() != ""
    for state in known_states().values():
        assert state.phase in ("waiting", "live", "good", "bad")
        assert state.words


def test_states_as_sacct_writes_them() -> None:
    assert read_state("CANCELLED by 1000").name == "CANCELLED"
    assert read_state("CANCELLED+").name == "CANCELLED"
    assert not read_state("BRAND_NEW").is_final
    assert read_state("").name == "UNKNOWN"


def test_an_array_is_as_lively_as_its_liveliest_task() -> None:
    def of(*names: str) -> str:
        return combined([read_state(name) for name in names]).name

    assert of("COMPLETED", "PENDING", "RUNNING", "FAILED") == "RUNNING"
    assert of("COMPLETED", "PENDING", "FAILED") == "PENDING"
    assert of("COMPLETED", "TIMEOUT") == "TIMEOUT"
    assert of("COMPLETED", "COMPLETED") == "COMPLETED"


@given(st.integers(0, 255), st.integers(0, 64))
def test_exit_codes_come_back(code: int, number: int) -> None:
    assert read_exit_code(f"{code}:{number}") == ExitCode(code, number)
    assert read_wait_status(str(code << 8)) == ExitCode(code, 0)
    if number:
        assert read_wait_status(str(number | 128)) == ExitCode(0, number), "with a core dumped"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0:0", "exit code 0"),
        ("127:0", "no such program"),
        ("137:0", "SIGKILL"),
        ("0:9", "memory"),
        ("0:15", "SIGTERM"),
        ("0:53", "could not be opened"),
        ("200:0", "exit code 200"),
        ("138:0", signal.Signals(10).name),
    ],
)
def test_exit_codes_in_words(text: str, words: str) -> None:
    code = read_exit_code(text)
    assert code is not None
    assert words in code.words


def test_sacct_takes_128_off_a_code() -> None:
    assert "137 (sacct takes 128 off): ended by SIGKILL" in ExitCode(9, folded=True).words
    assert ExitCode(9).words == "exit code 9"
    assert ExitCode(3, folded=True).words == "exit code 3"


def test_no_exit_code() -> None:
    assert read_exit_code("") is None
    assert read_wait_status("0:0") is None
