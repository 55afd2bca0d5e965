"""How fast scripts come out of one process: python benchmarks/render_throughput.py [SPECS].

Bars:

- 10,000 different specs, each checked and rendered, take at most 10 s (1 ms each); shown beside
  it, to tell a slow machine from slow code, is PyYAML's C parser on the same job file;
- rendering a spec, once the process is warm, takes at most 1 ms;
- the script of a 4,096-node job is as long as that of a 2-node job, in lines, and in bytes but
  for the digits of its numbers.
"""

from __future__ import annotations

import re
import statistics
import sys
from typing import Any

import yaml

from benchmarks._installed import CHECKOUT
from benchmarks._timing import Bar, report, timed
from slurmkit.api import load, render

JOB = CHECKOUT / "jobs" / "all_reduce.yaml"


def changes(number: int) -> dict[str, Any]:
    """What sets spec `number` apart: its name, shape, time, variables and arguments."""
    return {
        "name": f"job {number}",
        "resources": {
            "nodes": 1 + number % 64,
            "processes_per_node": 1 + number % 8,
            "time": f"{1 + number % 24}:00:00",
        },
        "environment": {"variables": {"SEED": str(number), "NCCL_DEBUG": "INFO"}},
        "entrypoint": {"args": [f"--tag=it's {number}"]},
    }


def throughput(count: int) -> list[Bar]:
    """The first two bars, over `count` different specs."""
    base = load(JOB)
    text = JOB.read_text(encoding="utf-8")
    render(base)

    checking, rendering, parsing = list[float](), list[float](), list[float]()
    scripts = set[str]()
    for number in range(count):
        took, spec = timed(base.replace, changes(number))
        checking.append(took)
        took, script = timed(render, spec)
        rendering.append(took)
        scripts.add(script)
        parsing.append(timed(yaml.load, text, yaml.CBaseLoader)[0])
    assert len(scripts) == count, "two different specs gave the same script"

    total = sum(checking) + sum(rendering)
    ratio = statistics.median(rendering) / statistics.median(parsing)
    rate = f"{count / total:,.0f} specs/s, {total / sum(parsing):.1f} times parsing the file's YAML"
    return [
        Bar(f"{count:,} specs checked and rendered", total, count / 1000, " s", rate),
        Bar(
            "a warm render",
            statistics.median(rendering) * 1000,
            1,
            " ms",
            f"{ratio:.1f} times parsing the file's YAML",
        ),
    ]


def growth() -> list[Bar]:
    """The third bar: what 4,096 nodes add to the script of 2."""
    base = load(JOB)
    few, many = (render(base.replace({"resources": {"nodes": nodes}})) for nodes in (2, 4096))
    lines = abs(many.count("\n") - few.count("\n"))
    length = abs(len(re.sub(r"\d+", "0", many).encode()) - len(re.sub(r"\d+", "0", few).encode()))
    return [
        Bar("lines that 4,096 nodes add to a script", lines, 0),
        Bar("bytes that they add, numbers apart", length, 0),
    ]


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    sys.exit(report(throughput(wanted) + growth()))
