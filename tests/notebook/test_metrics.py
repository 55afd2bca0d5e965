"""Metrics and plots, with and without pandas and matplotlib."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from slurmkit import Job
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory
from slurmkit.observe.metrics import read_metrics, read_points

mpl.use("agg")
TABLE = "task\tentrypoint.config.training.lr\tentrypoint.config.a.n\tentrypoint.config.b.n\n"
TABLE += '0\t1e-4\t[1, 2]\t"on"\n1\t0.5\tnull\t{"k": true}\n'
STEPS = (
    '{"time": 1, "step": 1, "loss": 2}\nno JSON\n{"time": 2, "step": 2, "loss": 1}\n{"time": 3, '
)


def write(run: Path, text: str = STEPS, name: str = "train_log") -> None:
    (run / "metrics").mkdir(parents=True)
    (run / "metrics" / f"{name}.jsonl").write_text(text, encoding="utf-8")


def test_a_file_that_is_still_growing(tmp_path: Path) -> None:
    write(tmp_path)
    rows = read_metrics([RunDirectory(tmp_path)])
    assert [row["loss"] for row in rows] == [2, 1]


def test_parameters_of_a_sweep_are_columns(tmp_path: Path) -> None:
    for task in (1, 0):
        write(tmp_path / f"7_{task}")
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "sweep.tsv").write_text(TABLE, encoding="utf-8")
    names = ("lr", "entrypoint.config.a.n", "entrypoint.config.b.n")
    first, second = (0.0001, [1, 2], "on"), (0.5, None, {"k": True})
    assert read_points(tmp_path / "7") == {
        "7_0": dict(zip(names, first, strict=True)),
        "7_1": dict(zip(names, second, strict=True)),
    }
    job = Job(Entry("7", "x", str(tmp_path / "7")))
    table = job.metrics()
    assert list(table["lr"]) == [0.0001, 0.0001, 0.5, 0.5]
    assert list(table["task"]) == [0, 0, 1, 1]
    legend = job.plot().get_legend()
    assert legend is not None
    assert [text.get_text().split(",")[0] for text in legend.get_texts()] == ["lr=0.0001", "lr=0.5"]


def test_without_pandas_and_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "7")
    job = Job(Entry("7", "x", str(tmp_path / "7")))
    axes = job.plot()
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_legend()) == ("step", "loss", None)
    assert job.plot(axes=axes) is axes
    with pytest.raises(ValueError, match="no row has step and accuracy: fields are loss, step"):
        job.plot("accuracy")
    with pytest.raises(ValueError, match="there are no metrics yet"):
        job.plot(name="eval_log")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'slurmkit-torch\[plot\]'"):
        job.plot()
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert job.metrics() == [
        {"time": 1, "step": 1, "loss": 2},
        {"time": 2, "step": 2, "loss": 1},
    ]
