"""Data as users have it: linked, unreadable, of very many files, or written as a pattern."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slurmkit.probe.judge.data import data as judge
from slurmkit.probe.look import data
from slurmkit.probe.report import Report
from tests.preflight.nodes import NODE, codes, facts, found, run_here


def three(tmp_path: Path, last: str) -> Report:
    """Have three nodes look at `right`, but for the last."""

    def command(number: int) -> list[str]:
        return [*NODE, str(number), "--path", "D", str(tmp_path / ("right", last)[number == 2])]

    return run_here(3, "data", command=command, data=["D"])


def files(top: Path) -> dict[str, int]:
    return dict(data.files_in(str(top), time.monotonic() + 9, {}))


def test_linked_directories_are_followed(tmp_path: Path) -> None:
    for name in ("right", "wrong"):
        (tmp_path / f"disk-{name}").mkdir()
        (tmp_path / f"disk-{name}" / "file").write_text(name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "train").symlink_to(tmp_path / f"disk-{name}")
    report = three(tmp_path, "wrong")
    assert found(report) == [("data-differs", "n2")]
    assert "train/file" in "\n".join(report.lines())


def test_links_that_lead_back_or_nowhere_end(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "twice").symlink_to(tmp_path / "a" / "b")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "x").touch()
    (tmp_path / "a" / "file").write_text("12")
    assert files(tmp_path) == {"gone": data.NOWHERE, "a/file": 2}


def test_one_of_very_many_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slurmkit.probe.coordinator._LISTED", 40)
    for name in ("right", "wrong"):
        (tmp_path / name).mkdir()
        for number in range(600):
            (tmp_path / name / f"{number:03}").write_text("x")
    (tmp_path / "wrong" / "577").write_text("longer")
    ((_, finding),) = three(tmp_path, "wrong").findings
    assert finding.evidence.endswith(": 577")


@pytest.mark.parametrize(
    ("lost", "files", "severity"),
    [((0, 1), 2, "warning"), ((0, 1), 1, "error"), ((1,), 2, "error")],
)
def test_what_cannot_be_read(lost: tuple[int, ...], files: int, severity: str) -> None:
    sound = {
        "files": files, "bytes": 2, "listing": "a", "sums": "a", "late": False, "unreadable": [],
        "lost": 0, "top": "/d/",
    }  # fmt: skip
    bad = {**sound, "unreadable": [["x", "Permission denied"]], "lost": 1}
    seen = facts(*({"data 0": bad if node in lost else sound} for node in range(2)), data=("d",))
    column = judge(seen)
    assert codes(column) == [("data-missing", node, (1,) if lost == (1,) else ()) for node in lost]
    assert {finding.severity for finding in column.findings} == {severity}


def test_rights_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "file").touch()
    monkeypatch.setattr(data, "checksum", refuse)
    told, _ = data.look(str(tmp_path), 9)
    assert (told["unreadable"], told["lost"]) == ([("file", "Permission denied")], 1)


def test_a_pattern_is_no_path(tmp_path: Path) -> None:
    report = run_here(2, "data", data=[str(tmp_path / "*.bin")])
    assert {code for code, _ in found(report)} == {"data-missing"}
    text = "\n".join(report.lines())
    assert "patterns are not expanded" in text
    assert f"No such file or directory: {tmp_path}/*.bin" in text


def test_no_files_at_all_is_a_mount_that_is_missing(tmp_path: Path) -> None:
    report = run_here(2, "data", data=[str(tmp_path)])
    assert [(one.code, one.severity) for _, one in report.findings] == 2 * [
        ("data-empty", "warning")
    ]
