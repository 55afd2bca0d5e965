"""Real probes of pretend nodes on this machine, and what is wrong between them."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import pytest

from slurmkit.probe.look import storage
from slurmkit.probe.look.place import Place
from tests.preflight.nodes import NODE, found, run_here

PORT = 21863


def test_three_sound_nodes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("same")
    report = run_here(
        3, "hosts", "network", "versions", "data", "storage", "entrypoint",
        data=[str(tmp_path / "data")], storage=[str(tmp_path / "new" / "run")], interface="lo",
        entrypoint={"script": __file__}, master_port=PORT,
    )  # fmt: skip
    assert report.code == 0, report.lines()
    assert report.lines()[-1].startswith("preflight: 3 nodes are fine")
    checks = [column.check for column in report.columns]
    assert checks == [
        "answers", "names", "clock", "interface", "port", "links", "versions", "data", "storage",
        "entrypoint",
    ]  # fmt: skip
    assert [len(column.cells) for column in report.columns] == [0] + 9 * [3]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("count", [1, pytest.param(3, marks=pytest.mark.proof)])
def test_ranks_come_together(count: int) -> None:
    report = run_here(count, "ranks", processes_per_node=2, master_port=PORT + count)
    assert report.code == 0, report.lines()
    assert all(cell.text.endswith("it/s") for cell in report.columns[1].cells.values())


def test_the_masters_port_is_taken() -> None:
    with socket.create_server(("", PORT + 7)):
        report = run_here(2, "network", master_port=PORT + 7)
    assert found(report) == [("master-port-taken", "n0")]
    assert "Address already in use" in "\n".join(report.lines())
    assert report.exclude == ()


def test_data_that_differ_are_named(tmp_path: Path) -> None:
    for name, text in (("0", "right"), ("1", "right"), ("2", "wrong")):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_text(text)
        (tmp_path / name / "same").write_text("same")
        os.mkfifo(tmp_path / name / "pipe")  # which nobody writes to

    def command(number: int) -> list[str]:
        return [*NODE, str(number), "--path", "DATA", str(tmp_path / str(number))]

    report = run_here(3, "data", command=command, data=["DATA"])
    assert found(report) == [("data-differs", "n2")]
    text = "\n".join(report.lines())
    assert "sub/file" in text
    assert "same" not in text.replace("the same", "")
    assert text.endswith("--exclude=n2")


@pytest.mark.proof
def test_nodes_that_hang_die_or_never_were_cost_their_time_only(tmp_path: Path) -> None:
    say = "import sys; print('no module named envs', file=sys.stderr); sys.exit(3)"
    kinds = ([*NODE, "0"], ["sleep", "60"], [sys.executable, "-c", say], [*NODE, "3"])
    started = time.monotonic()
    report = run_here(4, "hosts", "network", command=kinds.__getitem__, timeout=8)
    assert time.monotonic() - started < 15
    assert found(report) == [("no-answer", "n1"), ("no-answer", "n2")]
    text = "\n".join(report.lines())
    assert "no answer in 4 s" in text
    assert "its probe ended: no module named envs; exit code 3" in text
    assert report.exclude == ("n1", "n2")
    links = next(column for column in report.columns if column.check == "links")
    assert sorted(links.cells) == [0, 3]


def test_a_node_that_hangs_is_named() -> None:
    kinds = ([*NODE, "0"], ["sleep", "60"])
    report = run_here(2, "versions", command=kinds.__getitem__, timeout=5)
    assert found(report) == [("no-answer", "n1")]
    assert "no answer in 2.5 s" in "\n".join(report.lines())
    assert report.exclude == ("n1",)


def test_the_imports_of_a_program_without_running_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    ran = tmp_path / "ran"
    text = f"import json\nfrom os import path, nothing_such\nopen({str(ran)!r}, 'w').close()\n"
    program.write_text(text)
    report = run_here(2, "entrypoint", entrypoint={"script": str(program)})
    assert found(report) == [("import-fails", "n0"), ("import-fails", "n1")]
    assert "import os: ModuleNotFoundError: No module named 'os.nothing_such'" in "\n".join(
        report.lines()
    )
    assert not ran.exists()
    assert report.exclude == ()  # it is nobody's in particular


LATE = "import json\nimport sys\n\nsys.path.insert(0, '..')\nfrom nothing_such import a\n"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (LATE, []),  # who knows where it looks from there on
        ("import os\nROOT = os.path.sep\n" + LATE, []),
        ("def f():\n    sys.path.clear()\nimport nothing_such\n", ["import-fails"]),
        ("import nothing_such\n" + LATE, ["import-fails"]),
        ("import os\nROOT = os.path.sep\nimport nothing_such\n", ["import-fails"]),
        (LATE + "import broken\n", ["import-fails"]),
    ],
)
def test_imports_of_a_program_that_changes_where_they_are_found(
    tmp_path: Path, text: str, codes: list[str]
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "program.py").write_text(text)
    report = run_here(1, "entrypoint", entrypoint={"script": str(tmp_path / "program.py")})
    assert [code for code, _ in found(report)] == codes, report.lines()


def test_imports_that_take_too_long_are_slow_and_no_dead_node(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import endless\n")
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(60)\n")
    program = {"script": str(tmp_path / "program.py")}
    report = run_here(1, "entrypoint", entrypoint=program, timeout=5)
    assert [finding.code for _, finding in report.findings] == ["import-slow"]
    assert report.code == 0
    assert report.lines()[-1].startswith("preflight: 1 node is fine, with 1 warning (")


def test_a_look_at_a_disk_leaves_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote: list[int] = []
    real = storage.write

    def write(path: Path, blocks: int) -> float:
        wrote.append(blocks)
        return real(path, blocks)

    monkeypatch.setattr(storage, "write", write)
    for nodes in (1, 1000, 10**9):
        found = storage.look(Place(0), str(tmp_path), "token", nodes)
        assert "speed" in found
        assert wrote[-1] * nodes << 20 <= found["free"] / 2
    assert wrote[-1] == 0  # of which one block is written all the same


def test_a_swept_program_is_shown_as_not_tried() -> None:
    report = run_here(1, "entrypoint", entrypoint=None)
    assert "swept: not tried" in "\n".join(report.lines())


def test_a_file_in_the_place_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    report = run_here(2, "storage", storage=[str(tmp_path / "file" / "checkpoints")])
    assert {code for code, _ in found(report)} == {"disk-not-writable"}
    assert f"{tmp_path}/file is no directory" in "\n".join(report.lines())


def test_a_node_on_which_nothing_can_be_looked_at() -> None:
    bare = "from slurmkit.probe import node, rounds; import sys; "
    bare += "node.ROUNDS['look'] = lambda *_: sys.stdout.buffer.nothing(); "
    bare += "node.serve(1, sys.stdin.buffer, sys.stdout.buffer)"
    kinds = ([*NODE, "0"], [sys.executable, "-c", bare])
    report = run_here(2, "versions", "hosts", command=kinds.__getitem__)
    assert found(report) == [("no-answer", "n1")]
    assert "its probe fails: " in "\n".join(report.lines())
