"""Rounds that fail on a node, for want of files or memory: there is a report all the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from slurmkit.probe.channels import Heard
from slurmkit.probe.coordinator import preflight
from slurmkit.probe.rounds import ROUNDS
from tests.preflight.nodes import found, settings

WHY = "Too many open files"


def said(round_: str, node: int) -> Any:
    """What a sound node answers; its data are its own."""
    disk = {"directory": "/d", "free": 1 << 40, "inodes": 99_999, "type": "nfs", "speed": 1e9}
    own = {"files": 1, "bytes": 9, "listing": "l", "sums": f"s{node}", "late": False, "top": "/d"}
    look = {"data 0": own, "storage 0": disk, "torch": {"ready": 1.0}}
    answers: dict[str, Any] = {
        "hello": {"name": "x", "port": 1, "master": "ok"},
        "ping": time.time(),
        "look": look,
        "master": "ok",
        "transfer": {str(other): {"rate": 1e9} for other in range(3) if other != node},
        "shared": [[]],
        "parts": [f"s{node}"],
        "checksums": {"f": f"s{node}"},
        "ranks": {"ranks": [{"seconds": 1, "bytes": 100}]},
        "spare_ports": [5],
    }
    return answers[round_]


class Failing:
    """Lines to three nodes, some of which fail in one round."""

    nodes = (0, 1, 2)

    def __init__(self, round_: str, failing: Sequence[int]) -> None:
        self._round, self._failing = round_, failing

    def run(self, name: str, _: Any, __: float, nodes: Sequence[int]) -> dict[int, Heard]:
        bad = self._failing if name == self._round else ()
        return {
            node: Heard({"error": WHY} if node in bad else said(name, node), time.time())
            for node in nodes
        }

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("failing", [(0, 1, 2), (1,)])
@pytest.mark.parametrize("round_", ROUNDS)
def test_a_round_that_fails(round_: str, failing: Sequence[int]) -> None:
    lines: Any = Failing(round_, failing)
    checks = ("hosts", "network", "data", "storage", "ranks")
    wanted = settings(3, checks=checks, data=("/d",), storage=("/s",))
    report = preflight(wanted, lines)
    told = "\n".join(report.lines())
    assert (WHY in told) == (round_ != "ping"), "a clock that is not known is compared with none"
    lost = {node for code, node in found(report) if code == "no-answer"}
    assert lost == ({f"n{node}" for node in failing} if round_ in ("hello", "look") else set())
