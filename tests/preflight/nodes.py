"""Made facts of nodes, and real probes of pretend nodes on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slurmkit.probe.channels import Channel, Channels
from slurmkit.probe.coordinator import preflight
from slurmkit.probe.facts import Facts
from slurmkit.probe.judge.finding import Column
from slurmkit.probe.report import Report
from slurmkit.probe.settings import Node, Settings

NODE = (sys.executable, "-m", "slurmkit.probe", "node", "--node")


def settings(count: int, **values: Any) -> Settings:
    """Settings for nodes n0, n1, … at 10.0.0.0, 10.0.0.1, …"""
    nodes = tuple(Node(f"n{number}", f"10.0.0.{number}") for number in range(count))
    return Settings(nodes, master_address="10.0.0.0", master_port=21000, **values)


def facts(
    *looks: Mapping[str, Any], links: Mapping[Any, Any] | None = None, **values: Any
) -> Facts:
    """What nodes have said, each being given what it sees alone."""
    seen = Facts(settings(len(looks), **values))
    seen.look = {number: dict(said) for number, said in enumerate(looks)}
    seen.links = dict(links or {})
    return seen


def codes(column: Column) -> list[tuple[str, int | None, tuple[int, ...]]]:
    """What is wrong, where, and who is to blame."""
    return [(finding.code, finding.node, finding.blame) for finding in column.findings]


def run_here(
    count: int,
    *checks: str,
    command: Callable[[int], Sequence[str]] = lambda number: (*NODE, str(number)),
    **values: Any,
) -> Report:
    """Have real probes on 127.0.0.1, 127.0.0.2, … look at each other."""
    nodes = [Node(f"n{number}", f"127.0.0.{number + 1}") for number in range(count)]
    chosen = Settings.from_json({"checks": checks, "local": True, **values}, nodes, {})
    channels = [
        Channel(
            subprocess.Popen(
                command(number),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            ),
            (number,),
        )
        for number in range(count)
    ]
    report = preflight(chosen, Channels(channels, chosen.names))
    for channel in channels:
        assert channel.process.poll() is not None
        for stream in (channel.process.stdout, channel.process.stderr):
            if stream is not None:
                stream.close()
    return report


def found(report: Report) -> list[tuple[str, str]]:
    """Codes and nodes of a report's errors."""
    return [
        (finding.code, "" if finding.node is None else report.names[finding.node])
        for _, finding in report.findings
        if finding.severity == "error"
    ]
