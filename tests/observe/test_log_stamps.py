"""Times that log lines carry, of every kind that is promised."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import accumulate

import pytest

from slurmkit.observe.logs.stamps import BEFORE_ALL, Clock

NOW = datetime(2026, 11, 21, 12).timestamp()


@pytest.fixture(autouse=True)
def zone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()  # that of the tests after this one


def times(*lines: str) -> list[str]:
    return Clock(NOW).times([line.encode() for line in lines], BEFORE_ALL)


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-21 08:15:30,123 text",
        "2026-11-21T08:15:30.123 text",
        "2026-11-21T07:15:30.123Z text",
        "2026-11-21T16:15:30.123+09:00 text",
        "2026-11-21 02:15:30.123-0500 text",
        "[2026-11-21 08:15:30,123][__main__][INFO] - text",
        "[2026-11-21 08:15:30,123] [INFO] [engine.py:12] text",
        "[INFO|trainer.py:2128] 2026-11-21 08:15:30,123 >> text",
        "INFO 2026-11-21 08:15:30,123 text",
        "WARNING: 2026-11-21 08:15:30,123 text",
        "[NeMo I 2026-11-21 08:15:30.123 megatron:17] text",
        "I1121 08:15:30.123 139 elastic.py:12] text",
        "E20261121 08:15:30.123 139 file.cc:12] text",
        "[rank0]:[W1121 08:15:30.123 ProcessGroupNCCL.cpp:1250] text",
        "[rank3] 2026-11-21 08:15:30,123 text",
        "[rank3] [rank3]:[W1121 08:15:30.123 x.cpp:1] text",
        "11/21/2026 08:15:30.123 - INFO - text",
        "1795245330.123 text",
        '{"time": 1795245330.123, "loss": 2.5}',
        '{"loss": 2.5, "ts": 1795245330123}',
        '{"event": "x", "timestamp": "2026-11-21T07:15:30.123Z"}',
    ],
)
def test_a_time(line: str) -> None:
    assert times(line) == ["2026-11-21 08:15:30,123"]


def test_logs_are_followed_for_days() -> None:
    clock, line = Clock(NOW), b"2026-11-24 08:15:30 text"
    assert clock.times([line], BEFORE_ALL) == [BEFORE_ALL], "not a time that can have been"
    clock.advance(NOW + 3 * 86400)
    assert clock.times([line], BEFORE_ALL) == ["2026-11-24 08:15:30"]


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-21 08:15:30 text",
        "2026/11/21 08:15:30 text",
        "Nov 21 08:15:30 node1 slurmd[1]: text",
        "Sat Nov 21 08:15:30 2026",
        "Sat Nov 21 08:15:30 CET 2026",
        "11/21/2026 08:15:30 - INFO - text",
        '{"time": 1795245330, "event": "started"}',
    ],
)
def test_a_time_in_whole_seconds(line: str) -> None:
    assert times(line) == ["2026-11-21 08:15:30"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "text",
        "saved at 2026-11-21 08:15:30",
        "this job ends 2027-01-01 00:00:00",
        "2027-01-01 00:00:00 lies in the future",
        "2026-13-45 99:00:00",
        "1795245330 tokens",
        "{'loss': 2.5}",
        "X1399 99:99:99.1",
        "12:30:00",
    ],
)
def test_no_time(line: str) -> None:
    assert times(line) == [BEFORE_ALL]


def test_a_missing_year_is_the_last_one_in_which_it_is_past() -> None:
    assert times("I1231 23:59:59.5 x") == ["2025-12-31 23:59:59,5"]


def test_lines_without_a_time_belong_to_the_line_above() -> None:
    found = times("first", "2026-11-21 08:15:30 a", "Traceback", "2026-11-21 08:15:31 b")
    assert found == ["", "2026-11-21 08:15:30", "2026-11-21 08:15:30", "2026-11-21 08:15:31"]


def test_a_clock_that_goes_back_does_not_disturb_the_order_of_a_file() -> None:
    found = times("2026-11-21 08:15:31 a", "2026-11-21 08:15:30 b", "2026-11-21 08:15:32 c")
    assert found == ["2026-11-21 08:15:31"] * 2 + ["2026-11-21 08:15:32"]


def test_a_zone_is_heeded_among_lines_without() -> None:
    lines = [f"2026-11-21 08:15:{second:02} text" for second in range(30)]
    lines += ["2026-11-21 08:15:40Z text", "2026-11-21 09:15:40.5 text"]
    assert times(*lines)[-2:] == ["2026-11-21 09:15:40", "2026-11-21 09:15:40,5"]


def test_all_at_once_and_one_by_one_agree() -> None:
    moments = [datetime.fromtimestamp(NOW - 9 + n / 8, timezone.utc) for n in range(60)]
    for lead in ("", "[", "INFO "):
        for form in ("%Y-%m-%dT%H:%M:%S.%f", "%Y/%m/%d %H:%M:%S"):
            lines = [f"{lead}{moment:{form}} text" for moment in moments]
            assert times(*lines) == [times(line)[0] for line in lines]
            mixed = ["short", *lines[:20], "", "Traceback (most recent call last):", *lines[20:40]]
            mixed += [f"2099{lines[40][4:]}", "I1121 11:59:59.5 x", *lines[40:]]
            found = [times(line)[0] for line in mixed]
            clock = Clock(NOW)
            clock.times([line.encode() for line in lines], BEFORE_ALL)
            texts = [line.encode() for line in mixed]
            for known in (clock, Clock(NOW)):
                assert known.times(texts, BEFORE_ALL) == list(accumulate(found, max))
