"""The whole job: a run that is continued is the run that was never interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.train.launch import Ended, ranks

STEPS = 14
CONFIG: dict[str, Any] = {
    "model": {"name_or_path": "tiny:glm4_moe", "dtype": "float32"},
    "data": {"dataset_path": "tiny:60", "max_length": 64},
    "training": {
        "max_steps": STEPS,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "gradient_accumulation_steps": 2,
        "eval_steps": 7,
        "save_steps": 4,
        "save_total_limit": 10,
    },
    "lora": {"r": 4, "lora_alpha": 8},
    "logging": {"tensorboard": False},
}
DROPOUT = {"lora": {"lora_dropout": 0.2}}


def train(
    directory: Path,
    world_size: int,
    *changes: dict[str, Any],
    expect: int = 0,
    attempt: int = 0,
) -> Ended:
    """Run the job in a run directory; return what rank 0 left."""
    config = json.loads(json.dumps(CONFIG))
    for change in changes:
        for part, fields in change.items():
            config[part] |= fields
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    ended = ranks(
        world_size,
        *("-m", "slurmkit.train.finetune", "--config", str(directory / "config.yaml")),
        SLURMKIT_RUN_DIR=str(directory),
        SLURMKIT_ATTEMPT=str(attempt),
    )
    for rank in ended:
        assert rank.status == expect, rank.stdout + rank.stderr
    return ended[0]


def rows(directory: Path, name: str = "train_log") -> list[dict[str, Any]]:
    """Return a log's rows without what differs from run to run."""
    text = (directory / "metrics" / f"{name}.jsonl").read_text(encoding="utf-8")
    measured = {"time", "seconds", "peak_memory_gib", "slowest_rank", "data_wait", "step_time"}
    return [
        {
            key: value
            for key, value in json.loads(line).items()
            if key not in measured and not key.startswith("tokens_per")
        }
        for line in text.splitlines()
    ]


def losses(directory: Path) -> dict[int, float]:
    """Return the loss of each step."""
    return {row["step"]: row["loss"] for row in rows(directory)}


def tensors(directory: Path, step: int) -> dict[str, bytes]:
    """Return the bytes of all tensors of a checkpoint, the random states among them."""
    folder = directory / "checkpoints" / f"checkpoint-{step}"
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")
    }


def continued(directory: Path, earlier: Path, step: int) -> Path:
    """Make a run directory that has only the checkpoint of a step, and the logs as they were."""
    directory.mkdir()
    for name in ("tiny", "metrics", f"checkpoints/checkpoint-{step}"):
        shutil.copytree(earlier / name, directory / name)
    return directory


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run on four ranks without interruption; with dropout."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    train(directory, 4, DROPOUT)
    return directory


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run on four ranks without interruption; without dropout."""
    directory = tmp_path_factory.mktemp("runs") / "plain"
    train(directory, 4)
    return directory


def test_leaves_logs_checkpoints_and_its_result(whole: Path) -> None:
    assert list(losses(whole)) == list(range(1, STEPS + 1))
    assert losses(whole)[STEPS] < losses(whole)[1] - 0.5
    assert [row["step"] for row in rows(whole, "eval_log")] == [7, 14]
    assert [row["step"] for row in rows(whole, "expert_usage")] == list(range(1, STEPS + 1))
    assert sorted(path.name for path in (whole / "checkpoints").iterdir() if path.is_dir()) == [
        "checkpoint-12",
        "checkpoint-14",
        "checkpoint-4",
        "checkpoint-8",
    ]
    status = json.loads((whole / "status.json").read_text())
    assert status == {"state": "done", "reason": None, "step": STEPS}
    result = json.loads((whole / "result.json").read_text())
    assert result["loss"] == losses(whole)[STEPS]
    assert result["checkpoint"] == str(whole / "checkpoints" / "checkpoint-14")
    events = (whole / "events" / "rank0.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in events] == [
        "began",
        *["checkpointed"] * 4,
        "ended",
    ]


def test_continues_bit_for_bit(whole: Path, tmp_path: Path) -> None:
    again = continued(tmp_path / "again", whole, 4)
    said = train(again, 4, DROPOUT)
    assert "continues from the checkpoint of step 4" in said.stdout
    assert "10 steps" in said.stdout  # are lost, and taken again
    for name in ("train_log", "eval_log", "expert_usage"):
        assert rows(again, name) == rows(whole, name)
    assert tensors(again, STEPS) == tensors(whole, STEPS)


@pytest.mark.parametrize(
    "world_size",
    [pytest.param(1, marks=pytest.mark.proof), pytest.param(2, marks=pytest.mark.proof), 3],
)
def test_continues_on_another_number_of_ranks(plain: Path, tmp_path: Path, world_size: int) -> None:
    again = continued(tmp_path / "again", plain, 4)
    said = train(again, world_size)
    assert f"of 8 samples: {world_size} ranks" in said.stdout
    expected = losses(plain)
    for step, loss in losses(again).items():
        assert loss == pytest.approx(expected[step], abs=1e-6), step
    for mine, theirs in zip(rows(again), rows(plain), strict=True):
        assert mine["supervised_tokens"] == theirs["supervised_tokens"]
        assert mine["tokens"] == theirs["tokens"]
    for mine, theirs in zip(rows(again, "eval_log"), rows(plain, "eval_log"), strict=True):
        assert mine["loss"] == pytest.approx(theirs["loss"], abs=1e-6)
        assert mine["tokens"] == theirs["tokens"]


def test_a_checkpoint_of_another_run_is_refused(plain: Path, tmp_path: Path) -> None:
    again = continued(tmp_path / "again", plain, 4)
    said = train(again, 1, {"training": {"seed": 7}}, expect=2)
    assert "belongs to another run (seed: 42, now 7)" in said.stderr
    assert "`training.resume: never`" in said.stderr
    assert rows(again) == rows(plain), "the logs of the other run are not cut"


def test_a_lite_checkpoint_cannot_be_continued(tmp_path: Path) -> None:
    run = tmp_path / "lite"
    lite = {"training": {"checkpoint_mode": "lite", "max_steps": 2, "save_steps": 1}}
    train(run, 1, lite)
    assert not list(run.rglob("optimizer")), "lite saves no optimizer"
    said = train(run, 1, lite, {"training": {"max_steps": 4}}, expect=2)
    assert "holds the adapter only" in said.stderr


def test_stops_for_a_file_and_goes_on_without_it(plain: Path, tmp_path: Path) -> None:
    run = continued(tmp_path / "run", plain, 8)
    (run / "STOP").touch()
    train(run, 2)
    status = json.loads((run / "status.json").read_text())
    assert status == {"state": "stopped", "reason": "STOP file", "step": 8}
    assert list(losses(run)) == list(range(1, 9))
    (run / "STOP").unlink()
    train(run, 2)
    assert losses(run) == pytest.approx(losses(plain), abs=1e-6)


def test_a_finished_job_that_runs_again_only_evaluates(plain: Path, tmp_path: Path) -> None:
    run = continued(tmp_path / "run", plain, STEPS)
    train(run, 1)
    assert rows(run) == rows(plain)
    result = json.loads((run / "result.json").read_text())
    assert (result["state"], result["step"]) == ("done", STEPS)
    assert result["eval_loss"] == pytest.approx(rows(plain, "eval_log")[-1]["loss"], abs=1e-6)


def test_a_full_checkpoint_is_continued_in_full_also_in_lite_mode(
    plain: Path, tmp_path: Path
) -> None:
    again = continued(tmp_path / "again", plain, 12)
    train(again, 4, {"training": {"checkpoint_mode": "lite"}})
    assert losses(again) == losses(plain)


def test_a_named_checkpoint_is_where_a_job_begins_and_not_where_it_comes_back_to(
    plain: Path, tmp_path: Path
) -> None:
    named = {"training": {"resume": str(plain / "checkpoints" / "checkpoint-4")}}
    run = tmp_path / "run"
    shutil.copytree(plain / "tiny", run / "tiny")
    (run / "STOP").touch()
    assert "continues from the checkpoint of step 4" in train(run, 1, named).stdout
    (run / "STOP").unlink()
    train(run, 1, named, {"training": {"max_steps": 6}})
    said = train(run, 1, named, {"training": {"max_steps": 7}}, attempt=1).stdout
    assert "continues from the checkpoint of step 6" in said


def test_one_rank_that_cannot_read_ends_all(plain: Path, tmp_path: Path) -> None:
    run = continued(tmp_path / "run", plain, 4)
    program = tmp_path / "program.py"
    program.write_text(BROKEN.format(config=str(run / "config.yaml")), encoding="utf-8")
    (run / "config.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    ended = ranks(2, str(program), SLURMKIT_RUN_DIR=str(run))
    assert [rank.status for rank in ended] == [1, 1]
    assert "OSError: the disk is gone" in ended[1].stderr
    assert "1 other rank(s) could not read their samples" in ended[0].stderr
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], list(losses(run))) == ("failed", [1, 2, 3, 4])


BROKEN = """
import os, sys
from slurmkit.train.entrypoint import run
from slurmkit.train.finetune import main
from slurmkit.train.finetune.data.load import Samples

def broken(self, index):
    raise OSError("the disk is gone")

if os.environ["RANK"] == "1":
    Samples.__getitem__ = broken
sys.exit(run(main, "test", ["--config", "{config}"]))
"""
