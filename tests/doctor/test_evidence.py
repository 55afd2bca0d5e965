"""What counts as evidence, and how much: warnings, quoted source, what people wrote, good ends."""

from __future__ import annotations

import pytest

from tests.doctor.said import CANCELLED, CHILD, OOM, REPORT, STEPS, TRACEBACK, Told, verdict


def test_warnings_are_causes_only_where_nothing_else_is(told: Told) -> None:
    warned = "[W socket.cpp:436] [c10d] failed to bind to [::]:29500 (errno: 98 - Address in use)."
    doubled = (
        "n1:1:2 [0] NCCL WARN Duplicate GPU detected : rank 0 and rank 4 both on CUDA device 1"
    )
    assert verdict(told(warned, CHILD)).code == "D04"
    assert verdict(told(warned, doubled, CHILD)).code == "D10"


def test_what_a_person_wrote_beside_the_output_counts_less(told: Told) -> None:
    prose = "I have seen CUDA out of memory with other models, but this is new:"
    found = verdict(told(prose, "```", f"{TRACEBACK}\nKeyError: 'x'", "```", "Any idea?"))
    assert found.code == "D50"
    for pasted in ("step 1", CHILD):
        found = verdict(told(prose, "```", pasted, "```"))
        assert (found.code, found.confidence) == ("D27", "medium")


def test_progress_of_another_pasted_text_does_not_mean_that_it_went_on(told: Told) -> None:
    oom = f"# {OOM}"
    assert verdict(told(oom, "```", STEPS)).code == "D27"
    assert told(OOM, STEPS).findings == ()


def test_a_traceback_without_its_end_is_a_failure_that_says_nothing(told: Told) -> None:
    found = verdict(told("loading data", TRACEBACK))
    assert (found.code, found.lines[-1].text) == ("unknown", "loading data")
    assert told(TRACEBACK, STEPS).findings == ()
    assert told(TRACEBACK, state="COMPLETED").findings == ()
    assert verdict(told(TRACEBACK, "KeyError: 'x'")).confidence == "medium"


@pytest.mark.parametrize("passed_over", ["Exception ignored in: <f>", "--- Logging error ---"])
def test_what_python_itself_passes_over(told: Told, passed_over: str) -> None:
    raised = f"{TRACEBACK}\nAssertionError: can only test a child process"
    assert told(STEPS, passed_over, raised).findings == ()
    assert verdict(told(STEPS, raised)).code == "D50"


def test_a_warning_is_less_sure_where_nothing_failed(told: Told) -> None:
    elsewhere = (
        "slurmstepd: error: couldn't chdir to `/home/u': No such file: going to /tmp instead"
    )
    assert verdict(told(elsewhere)).confidence == "medium"
    ended = "srun: error: n1: task 0: Exited with exit code 2"
    assert verdict(told(elsewhere, ended)).confidence == "high"


def test_what_slurm_refuses_for_a_reason_of_its_own_is_a_failure(told: Told) -> None:
    refused = "sbatch: error: Batch job submission failed: Unspecified error"
    assert verdict(told(refused)).code == "unknown"


@pytest.mark.parametrize("prefix", ["", "[rank3]: ", "node2 | [rank3] ", "ERROR: "])
@pytest.mark.parametrize(
    "quoted",
    [
        'handle("CUDA out of memory", 1)',
        'raise OSError("No space left on device")',
        'call(\n        "CUDA out of memory",\n    )\n    ~~~~^^^^^',
    ],
)
def test_the_source_that_a_traceback_quotes_says_nothing(
    told: Told, prefix: str, quoted: str
) -> None:
    text = f"{TRACEBACK}\n    {quoted}\nKeyError: 'a'"
    found = told(*(prefix + line for line in text.splitlines()), "after it", state="FAILED")
    assert [one.code for one in found.findings] == ["D50"]


def test_nor_does_the_source_in_a_box_of_rich(told: Told) -> None:
    box = ["│   86 │   # retry", '│ ❱ 88 │   raise OSError("No space left on device")  │']
    found = told(*box, "KeyError: 'a'", state="FAILED")
    assert [one.code for one in found.findings] == ["D50"]


@pytest.mark.parametrize(
    "lines",
    [
        ["step 1", f"    {OOM}"],
        [f"    {line}" for line in [*TRACEBACK.splitlines(), "    f()", OOM]],
        ['  File "<string>", line 1, in f', OOM],
        [*TRACEBACK.splitlines(), "    f()", "RuntimeError: of a worker:", f"    {OOM}"],
    ],
)
def test_an_indented_line_that_no_frame_stands_above_counts(told: Told, lines: list[str]) -> None:
    assert verdict(told(*lines, state="FAILED")).code == "D27"


def test_a_job_that_is_done_died_of_nothing(told: Told) -> None:
    text = [TRACEBACK, "    f()", OOM, "[W TCPStore.cpp:1] recvValue failed: Broken pipe"]
    assert {one.confidence for one in told(*text, state="COMPLETED").findings} == {"low"}
    assert told(CHILD, state="COMPLETED").findings == ()
    assert told(*text[:3], "simulate: job 12 COMPLETED after 2 s").findings == ()


@pytest.mark.parametrize(
    ("code", "how", "cause"),
    [(-11, "signal 11", "D49"), (-9, "signal 9", "D23"), (7, "exit code 7", "unknown")],
)
@pytest.mark.parametrize("simulated", [True, False])
def test_what_simulate_says_in_the_end_hides_nothing(
    told: Told, code: int, how: str, cause: str, simulated: bool
) -> None:
    report = REPORT.format(code=code).replace("n2", "localhost") if simulated else None
    lines = [
        "slurmkit: 2 x 2 processes meet at 127.0.0.1:25001; files in runs/oom-kill/12",
        *(f"node1 | {line}" for line in (report or REPORT.format(code=code)).splitlines()),
        "srun: error: node1: task 1: Exited with exit code 1",
        CANCELLED,
    ]
    if simulated:
        lines += [
            "slurmkit doctor 12: D27 out of GPU memory (rank 1): CUDA out of memory",
            f"simulate: job 12 FAILED with exit code 1 after 2 s; first to fail: rank 3 on node1 "
            f"({how}), see runs/oom-kill/12/logs/node1.rank3.log",
        ]
    found = verdict(told(*lines))
    assert (found.code, found.rank) == (cause, 3)
    if cause == "unknown":
        node = "node1" if simulated else "n2"
        assert f"rank 3 on {node} failed first (exit code 7)" in found.what
    else:
        assert found.node == "node1"


def test_secrets_are_no_evidence(told: Told) -> None:
    key = "hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0"
    line = f"OSError: 401 Client Error for url https://bob:hunter2-hunter2@host/x?token={key}"
    found = verdict(told(f"{TRACEBACK}\n{line}", CHILD))
    shown = f"{found.in_a_line()} {found.data()}"
    assert "https://bob:" in shown
    assert "hunter2" not in shown
    assert key not in shown
