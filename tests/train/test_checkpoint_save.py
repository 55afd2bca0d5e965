"""Saves: what goes between ranks, what stays, and what is left when all are killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from benchmarks.checkpoint import received
from slurmkit.train.checkpoint import CheckpointError, Checkpoints, Contents, Place, metadata
from slurmkit.train.checkpoint.check import check
from slurmkit.train.checkpoint.headers import read_header
from slurmkit.train.control import Control
from slurmkit.train.distributed import World
from tests.train import sharded, world

SHARD, OPTIMIZER = metadata.model_file(0), metadata.optimizer_file(0)


def alone(directory: Path, keep: int | None = None) -> Checkpoints:
    return Checkpoints(directory, Control(), Place(), keep=keep)


def held(number: int) -> Contents:
    return Contents(model=sharded.truth(number), optimizer=sharded.moments(number))


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def counted_save(here: World, directory: Path) -> tuple[int, list[str]]:
    mesh = sharded.mesh_of(here.world_size)
    control = Control()
    checkpoints = sharded.opened(directory, here, mesh, control)
    contents = sharded.contents(1, mesh, here.rank, width=100_000)
    calls: list[str] = []

    def counted(name: str, collective: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return collective(*args, **options)

        return call

    for name in dir(dist):
        if name.startswith(("all_", "gather", "scatter", "broadcast", "reduce", "send", "barrier")):
            setattr(dist, name, counted(name, getattr(dist, name)))
    control.barrier()
    calls.clear()
    before = received()
    assert checkpoints.save(1, contents).path
    return received() - before, list(calls)


def test_only_the_commit_goes_between_ranks(tmp_path: Path) -> None:
    """A line about each rank's files; then the length of the longest error, which is none."""
    rows = world.run(4, counted_save, tmp_path)
    assert all(calls == ["all_reduce", "all_gather", "all_reduce"] for _, calls in rows)
    sent = sum(count for count, _ in rows)
    print(f"{sent} bytes between 4 ranks")
    assert 0 < sent < 10_000


def test_rotation_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    checkpoints = alone(tmp_path, keep=2)
    metrics = {10: 3.0, 20: 1.0, 30: 2.0, 40: float("nan"), 50: None}
    for step, metric in metrics.items():
        checkpoints.save(step, held(step), metric)
    assert names(tmp_path) == ["checkpoint-20", "checkpoint-40", "checkpoint-50"]
    checkpoints.keep = 1
    checkpoints.save(60, held(60), 0.5)
    assert names(tmp_path) == ["checkpoint-60"]
    # Gone back behind 60, which stays: it may be broken, or somebody's.
    checkpoints.save(15, held(15))
    assert names(tmp_path) == ["checkpoint-15", "checkpoint-60"]


def test_a_step_that_is_saved_again_is_replaced(tmp_path: Path) -> None:
    checkpoints = alone(tmp_path)
    checkpoints.save(1, held(1))
    checkpoints.save(1, held(2))
    target = held(0)
    checkpoints.load(tmp_path / "checkpoint-1", target)
    assert torch.equal(target.model["a"], sharded.truth(2)["a"])
    assert names(tmp_path) == ["checkpoint-1"]


def test_leftovers_are_cleared_and_an_unfinished_replacement_is_undone(tmp_path: Path) -> None:
    checkpoints = alone(tmp_path)
    checkpoints.save(1, held(1))
    (tmp_path / "checkpoint-1").rename(tmp_path / ".replaced-checkpoint-1.attempt0.abcd.1")
    for leftover in (".saving-checkpoint-2.attempt0.abcd.2", ".deleted-checkpoint-0.abcd"):
        (tmp_path / leftover / "state").mkdir(parents=True)
    (tmp_path / ".rank3-abcd").touch()
    (tmp_path / "mine.txt").touch()
    assert alone(tmp_path).newest() == tmp_path / "checkpoint-1"
    assert names(tmp_path) == ["checkpoint-1", "mine.txt"]


def test_lite_has_the_model_only(tmp_path: Path) -> None:
    checkpoints = alone(tmp_path)
    checkpoints.save(1, Contents(model=sharded.truth(1)))
    assert names(tmp_path / "checkpoint-1") == [SHARD, metadata.NAME]
    target = held(0)
    loaded = checkpoints.load(tmp_path / "checkpoint-1", target)
    assert (loaded.metadata.mode, loaded.state, loaded.rank_state) == ("lite", None, None)
    assert torch.equal(target.model["a"], sharded.truth(1)["a"])
    assert target.optimizer
    assert torch.equal(target.optimizer["a.exp_avg"], sharded.moments(0)["a.exp_avg"])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other(path: Path) -> None:
    """The same shard of another checkpoint: as long, and as sound."""
    name = str(path).rpartition("checkpoint-2/")[2]
    path.write_bytes((path.parents[name.count("/") + 1] / "checkpoint-1" / name).read_bytes())


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "damaged: has": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "its sha256": flip,
    "or of another checkpoint": other,
}


@pytest.mark.parametrize("name", [SHARD, OPTIMIZER])
@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_and_passed_over(
    what: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checkpoints = alone(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, held(step))
    folder = tmp_path / "checkpoint-2"
    DAMAGE[what](folder / name)
    assert checkpoints.newest() == tmp_path / "checkpoint-1"
    told = capfd.readouterr().err
    assert f"{folder} is passed over: " in told
    assert f"{folder / name}: " in told
    assert what in told
    with pytest.raises(CheckpointError, match=f"{name}: .*{what}"):
        checkpoints.load(folder, held(0))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file: Invalid JSON"),
        ('{"format": "x"}', "format: Input should be 'sharded_lora'"),
        (None, "not there"),
    ],
)
def test_metadata_that_is_none_is_named(text: str | None, what: str, tmp_path: Path) -> None:
    alone(tmp_path).save(1, held(1))
    path = tmp_path / "checkpoint-1" / metadata.NAME
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(CheckpointError, match=r"1 checkpoint\(s\), and none is whole"):
        alone(tmp_path).newest()
    with pytest.raises(CheckpointError, match=f"{path}: {what}"):
        alone(tmp_path).load(path.parent, held(0))


def test_foreign_shards_are_named(tmp_path: Path) -> None:
    alone(tmp_path).save(1, held(1))
    stranger = tmp_path / "checkpoint-1" / metadata.model_file(1)
    stranger.write_bytes((tmp_path / "checkpoint-1" / SHARD).read_bytes())
    with pytest.raises(CheckpointError, match=r"rank1\.safetensors: foreign"):
        alone(tmp_path).load(tmp_path / "checkpoint-1", held(0))


def wrong_place(here: World, directory: Path) -> str | None:
    """Both ranks believe to hold the only piece: what real jobs have done."""
    mesh = sharded.mesh_of(2)
    checkpoints = Checkpoints(directory, Control(), Place(replica=here.rank, replicas=2))
    return checkpoints.save(1, sharded.contents(1, mesh, here.rank)).error


def test_a_save_that_would_lack_rows_is_no_checkpoint(tmp_path: Path) -> None:
    errors = world.run(2, wrong_place, tmp_path)
    assert all("4 to 8 of dimension 0 are in no file" in error for error in errors)
    assert names(tmp_path) == []


def save_for_ever(here: World, directory: Path, first: int) -> None:
    mesh = sharded.mesh_of(here.world_size)
    checkpoints = sharded.opened(directory, here, mesh)
    checkpoints.keep = 2
    checkpoints.newest()
    for step in range(first, first + 10_000):
        # Every third step is saved twice, so that kills fall into replacements too.
        for number in (step, step)[: 1 + (step % 3 == 0)]:
            saved = checkpoints.save(step, sharded.contents(number, mesh, here.rank, width=50_000))
            assert saved.path
        if here.rank == 0:
            (directory.parent / "part").write_text(str(step))
            (directory.parent / "part").replace(directory.parent / "done")


def whole(directory: Path) -> int:
    """The newest step; every checkpoint has to be whole and of one step."""
    steps = []
    for path in directory.iterdir():
        step = metadata.step_of(path.name)
        if step is None:
            continue
        about = metadata.read(path)
        assert check(path, about) == []
        assert about.step == step
        pieces = [read_header(path / metadata.model_file(shard))["wide"] for shard in range(2)]
        for piece in pieces:
            with piece.path.open("rb") as file:
                file.seek(piece.begin)
                number = torch.frombuffer(bytearray(file.read(4)), dtype=torch.float32)
            assert int(number) == step
        steps.append(step)
    return max(steps, default=0)


def kill_and_look(directory: Path, kills: int) -> None:
    newest = 0
    done = directory.parent / "done"
    for _ in range(kills):
        started = world.start(2, save_for_ever, directory, newest + 1)
        deadline = time.monotonic() + 60
        done.unlink(missing_ok=True)
        while not done.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        random.shuffle(started)
        for process, pipe in started:
            process.kill()
            process.join()
            pipe.close()
        newest = whole(directory)
        assert newest >= int(done.read_text())


def test_killed_at_any_moment_only_whole_checkpoints_are_left(tmp_path: Path) -> None:
    kill_and_look(tmp_path / "checkpoints", 4)


@pytest.mark.proof
def test_fifty_kills(tmp_path: Path) -> None:
    kill_and_look(tmp_path / "checkpoints", 50)
