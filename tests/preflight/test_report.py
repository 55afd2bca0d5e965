"""What a report says to people: the same once for several nodes, plain figures, fitting advice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.probe.facts import Facts
from slurmkit.probe.fold import folded, node_list
from slurmkit.probe.judge.common import counted, per_second, plain, size
from slurmkit.probe.judge.finding import Finding
from slurmkit.probe.look.entrypoint import look
from slurmkit.probe.report import Report
from slurmkit.probe.verdict import judged
from slurmkit.slurm.hostlist import expand_nodelist
from tests.preflight.nodes import NODE, facts, run_here, settings

GONE = {"data 0": {"error": "No such file or directory"}}
THERE = {
    "data 0": {
        "files": 1,
        "bytes": 292,
        "listing": "a",
        "sums": "a",
        "late": False,
        "top": "/a b/d",
    }
}


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["node0", "node1", "node2", "node7"], "node[0-2,7]"),
        (["node3"], "node3"),
        (["n08", "n09", "n10", "n1"], "n[1,08-10]"),
        (["n9", "n10"], "n[9-10]"),
        (["login", "gpu1", "b"], "login,gpu1,b"),
        (["rack1node1", "rack1node2", "rack2node1"], "rack1node[1-2],rack2node1"),
        (["gpu1.site.org", "gpu2.site.org"], "gpu[1-2].site.org"),
    ],
)
def test_names_stand_as_slurm_writes_them(names: list[str], text: str) -> None:
    assert node_list(names) == text
    assert sorted(expand_nodelist(text)) == sorted(names)


@given(st.lists(st.from_regex(r"[a-c]{1,2}[0-9]{0,3}(-ib)?", fullmatch=True), min_size=1))
def test_slurm_reads_back_any_list(names: list[str]) -> None:
    assert sorted(expand_nodelist(node_list(names))) == sorted(set(names))


def test_what_all_nodes_have_is_told_once() -> None:
    report = judged(facts(*8 * [GONE], data=("/d",), checks=("data",)), 1)
    text = "\n".join(report.lines())
    assert text.count("cannot read") == 1
    assert "n[0-7] (all 8): cannot read /d [data-missing]\n" in text
    assert report.summary == "n[0-7] (all 8): cannot read /d [data-missing]"
    told = report.json()["findings"]
    assert [one["node"] for one in told] == [f"n{number}" for number in range(8)]
    assert Report.from_json(report.json()).lines() == report.lines()
    some = judged(facts(GONE, THERE, GONE, data=("/d",), checks=("data",)), 1)
    assert "n[0,2]: cannot read /d [data-missing]" in some.lines()


def test_only_what_is_the_same_is_joined() -> None:
    def one(
        node: int | None, what: str = "w", evidence: str = "", severity: str = "error"
    ) -> tuple[str, Finding]:
        return "x", Finding("c", node, what, "f", evidence, severity)

    assert [f.nodes for f in folded([one(0), one(2), one(1, what="v")])] == [(0, 2), (1,)]
    assert [f.nodes for f in folded([one(None), one(0), one(None)])] == [(), (0,), ()]
    assert [f.nodes for f in folded([one(0), one(1, severity="warning")])] == [(0,), (1,)]
    names = [f"n{number}" for number in range(5)]
    (joined,) = folded(one(node, evidence=f"{node} B") for node in range(5))
    assert joined.evidence(names) == "n0: 0 B; n1: 1 B; n2: 2 B; and 2 more"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (2, "2 B"), (292, "292 B"), (2500, "2.5 kB"), (999_700, "1 MB"),
     (74.2e9, "74.2 GB"), (1.1e15, "1.1 PB"), (1.1e18, "1100 PB")],
)  # fmt: skip
def test_bytes_are_plain(count: float, text: str) -> None:
    assert size(count) == text


def test_other_figures_are_plain() -> None:
    assert [per_second(rate) for rate in (1, 4e4, 12e6, 5e9, 12.5e9)] == [
        "8 bit/s", "320 kbit/s", "96 Mbit/s", "40 Gbit/s", "100 Gbit/s",
    ]  # fmt: skip
    assert [plain(value) for value in (12345.6, 2.5, 1e-7)] == ["12346", "2.5", "0"]
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_an_unset_variable_is_told_as_such() -> None:
    said = "node{} | bash: line 1: ROOT: is not set on this node, and preflight.data[0] reads it"
    why = f"its probe ended: {said.format(0)}; {said.format(1)}; Exited with exit code 127"
    seen = Facts(settings(2, data=("${env:ROOT}/d",)), silent={0: why, 1: why})
    assert judged(seen, 1).lines()[4:7] == [
        "n[0-1] (all 2): ROOT is not set there, and preflight.data reads it [variable-unset]",
        "    fix:  export it in environment.setup, or give it a default: ${env:ROOT:-/a/path}",
        "",
    ]
    other = Facts(settings(2), silent={1: "its probe ended: no python3; exit code 127"})
    assert [finding.code for _, finding in judged(other, 1).findings] == ["no-answer"]


def test_a_run_directory_that_a_node_does_not_see_is_told_as_such() -> None:
    why = "its probe ended: python3: can't open file '/tmp/runs/a/7/preflight.pyz': [Errno 2] No "
    seen = Facts(settings(3), look={0: {}, 2: {}}, silent={1: f"{why}such file; exit code 2"})
    report = judged(seen, 1)
    (finding,) = [f for _, f in report.findings if f.severity == "error"]
    assert (finding.code, finding.blame) == ("not-shared", (1,))
    assert finding.evidence.endswith("preflight.pyz': [Errno 2] No such file")


def test_data_are_copied_from_where_they_are() -> None:
    other = {"data 0": {**THERE["data 0"], "sums": "b", "top": "/mnt/d"}}
    report = judged(facts(THERE, THERE, other, data=("${env:ROOT}/d",), checks=("data",)), 1)
    ((_, finding),) = report.findings
    assert finding.fix.endswith("rsync -a --checksum n0:'/a b/d' /mnt/d")
    assert finding.evidence == "1 file, 292 bytes; on n0 1 and 292"


@pytest.mark.parametrize(
    ("checks", "more", "nothing"),
    [
        (["gpus"], {}, "nothing to check: gpus, where there are no GPUs for the job"),
        (["gpus", "data"], {}, "; data, where preflight.data names no paths"),
        (["gpus", "data"], {"data": ("/d",)}, ""),
        (["hosts", "gpus"], {}, ""),
    ],
)
def test_nothing_checked_is_not_fine(checks: list[str], more: Any, nothing: str) -> None:
    report = judged(facts(THERE, THERE, checks=tuple(checks), **more), 1)
    assert report.checked_nothing == bool(nothing)
    text = "\n".join(report.lines())
    assert ("nodes are fine" in text) != bool(nothing)
    assert nothing in text
    assert report.code == 0, "a warning, in a job"


@pytest.mark.parametrize(
    ("program", "fix"),
    [
        ("import os\ndef f(:\n", "mend {program} at line 2, or"),
        ("import broken\n", "mend {folder}/broken.py at line 1, or"),
        ("import nothing_such.part\n", "install nothing_such in the job's environment"),
        ("from os import nothing_such\n", "install os.nothing_such in the job's environment"),
        ("import unfit\n", "see the reason: unfit cannot be imported"),
    ],
)
def test_advice_fits_why_an_import_fails(tmp_path: Path, program: str, fix: str) -> None:
    (tmp_path / "broken.py").write_text("a = = 1\n")
    (tmp_path / "unfit.py").write_text("raise ImportError('libcudart.so.12: no such file')\n")
    script = tmp_path / "program.py"
    script.write_text(program)
    _fits({"script": str(script)}, fix.format(program=script, folder=tmp_path))


@pytest.mark.parametrize(
    ("entry", "fix"),
    [
        ({"command": ["nothing_such"]}, "install nothing_such, or have PATH lead to it"),
        ({"command": ["./nothing"]}, "correct the path ./nothing, or make it executable"),
        ({"script": "nothing.py"}, "correct entrypoint.script"),
        ({"module": "nothing_such.train"}, "install nothing_such in"),
    ],
)
def test_advice_fits_why_a_program_is_missing(entry: dict[str, Any], fix: str) -> None:
    _fits(entry, fix)


def _fits(entry: dict[str, Any], fix: str) -> None:
    found = look(entry, 20)
    seen = facts({"entrypoint": found}, checks=("entrypoint",), entrypoint=entry)
    ((_, finding),) = judged(seen, 1).findings
    assert finding.code == "import-fails"
    assert finding.fix.startswith(fix)
    two = facts({"entrypoint": found}, {"entrypoint": {"fine": ""}}, entrypoint=entry,
                checks=("entrypoint",))  # fmt: skip
    ((_, finding),) = judged(two, 1).findings
    assert f"so should this one: {fix}" in finding.fix


def test_directories_are_named_as_rsync_wants_them(tmp_path: Path) -> None:
    for name, text in (("0", "a"), ("1", "b"), ("2", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)

    def command(number: int) -> list[str]:
        return [*NODE, str(number), "--path", "${env:D}", str(tmp_path / str(number))]

    report = run_here(3, "data", command=command, data=["${env:D}"])
    ((_, finding),) = report.findings
    assert finding.fix.endswith(f"n0:{tmp_path}/0/ {tmp_path}/1/")
    assert finding.evidence.endswith(": file")
