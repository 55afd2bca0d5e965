"""The tracebacks of torchrun's agents among the script's lines: a line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.launch.registry import Entry
from slurmkit.observe import logs
from slurmkit.observe.logs.folding import Folding

FRAMES = """\
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "<frozen runpy>", line 88, in _run_code
  File "/venv/lib/python3.11/site-packages/torch/distributed/run.py", line 1032, in <module>
    main()
  File "/venv/lib/python3.11/site-packages/torch/distributed/launcher/api.py", line 194, in __call__
    return launch_agent(
           ^^^^^^^^^^^^^
"""
FAILED = """\
torch.distributed.elastic.multiprocessing.errors.ChildFailedError: 
============================================================
bash FAILED
------------------------------------------------------------
Failures:
  <NO_OTHER_FAILURES>
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_07:38:00
  host      : node2
  rank      : 3 (local_rank: 1)
  exitcode  : 1 (pid: 52) 
============================================================
"""  # noqa: W291
BEGIN = "Traceback (most recent call last):\n"
TOLD = "… %d lines of torchrun's traceback: --all"
OWN = BEGIN + '  File "prepare.py", line 3, in <module>\n    download()\nStopIteration\nmore\n'


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    run = tmp_path / "runs" / "name" / "7"
    (run / "logs").mkdir(parents=True)
    # What @record of torch leaves in a rank's log looks like an agent's.
    (run / "logs" / "node1.rank0.log").write_text(BEGIN + FRAMES + "KeyError: 'train'\n")
    return Entry("7", "name", str(run))


def shown(entry: Entry, written: str, view: logs.View = logs.View()) -> list[str]:  # noqa: B008
    """Return the script's part of what is shown."""
    Path(entry.directory).parents[2].joinpath("slurmkit-7.out").write_text(written)
    lines = [line.partition(" | ") for line in logs.lines(entry, view)]
    of_rank = [text for label, _, text in lines if label == "node1 rank0"]
    assert of_rank == [*(BEGIN + FRAMES).splitlines(), "KeyError: 'train'"], "a rank's stays"
    return [text for label, _, text in lines if label == "script     "]


def test_an_agents_traceback_and_report_are_a_line(entry: Entry) -> None:
    written = "begin\n" + BEGIN + FRAMES + FAILED + "srun: error: node2: task 1: Exited\n"
    count = (BEGIN + FRAMES + FAILED).count("\n")
    assert shown(entry, written) == ["begin", TOLD % count, "srun: error: node2: task 1: Exited"]
    assert shown(entry, written, logs.View(everything=True)) == written.splitlines()


def test_agents_that_speak_at_once_and_others_in_between(entry: Entry) -> None:
    frames, report = FRAMES.splitlines(keepends=True), FAILED.splitlines(keepends=True)
    mixed = BEGIN + "".join(frames[:4]) + "E1121 07:38:00.9 50 api.py:1002] failed\n" + BEGIN
    mixed += "".join(frames[4:]) + "".join(report[:5]) + FRAMES + "[rank1] the last word\n"
    mixed += "srun: error: node2: task 1: Exited\n" + FAILED + "".join(report[5:]) + "end\n"
    others = ["E1121 07:38:00.9 50 api.py:1002] failed", "srun: error: node2: task 1: Exited"]
    count = 2 * (BEGIN + FRAMES + FAILED).count("\n")
    assert shown(entry, mixed) == [TOLD % count, *others, "end"]


def test_on_hosts_each_node_has_its_own(entry: Entry) -> None:
    one, two = (
        [f"{node} | {line}" for line in (BEGIN + FRAMES + FAILED).splitlines()]
        for node in ("box1", "box2")
    )
    mixed = [line for pair in zip(one, two, strict=True) for line in pair]
    told = [f"{node} | {TOLD % len(one)}" for node in ("box1", "box2")]
    assert shown(entry, "\n".join(mixed) + "\n") == told


def test_the_name_of_another_exception_stays(entry: Entry) -> None:
    name = "torch.distributed.DistNetworkError: address already in use"
    count = (BEGIN + FRAMES).count("\n")
    assert shown(entry, BEGIN + FRAMES + name + "\nend\n") == [TOLD % count, name, "end"]


@pytest.mark.parametrize("cut", [0, 1])
def test_all_else_stays(entry: Entry, cut: int) -> None:
    written = OWN + "=" * 60 + "\n" + OWN + BEGIN + FRAMES.splitlines(keepends=True)[0]
    lines = written.splitlines()
    assert shown(entry, written[: len(written) - cut]) == lines, "one that has not ended, too"


def test_a_traceback_that_comes_line_by_line() -> None:
    written = (OWN + BEGIN + FRAMES + FAILED + "end\n" + BEGIN).encode().splitlines()
    times = [f"{number:03}" for number in range(len(written))]
    at_once, by_line = Folding(), Folding()
    expected = at_once.fold(times, written)[1] + at_once.end("999")[1]
    seen = [by_line.fold([time], [line]) for time, line in zip(times, written, strict=True)]
    seen.append(by_line.end("999"))
    assert [line for _, lines in seen for line in lines] == expected
    assert len(expected) == 5 + 1 + 2
    given = [time for part, _ in seen for time in part]
    assert given == sorted(given), "a file's lines stay in order"
