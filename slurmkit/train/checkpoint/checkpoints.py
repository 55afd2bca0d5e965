"""The checkpoints of a run: save one, find the newest whole one, load one. All ranks together."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from slurmkit.train.checkpoint import folders, loading, metadata, rotation
from slurmkit.train.checkpoint.contents import Contents, Loaded, Saved
from slurmkit.train.checkpoint.metadata import CheckpointError
from slurmkit.train.checkpoint.saving import Report, Saving
from slurmkit.train.checkpoint.verify import check_share, expected

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from slurmkit.train.checkpoint.folders import Place
    from slurmkit.train.control import Control

Value = TypeVar("Value")


class Checkpoints:
    """A directory of checkpoints; every method is a collective, to be called by all ranks.

    The directory may be one that all nodes share, or each node's own: the class finds out. In
    the second case each holds what the ranks of its node hold, and metadata.json says what is
    where.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each is a fact about the run
        self,
        directory: str | os.PathLike[str],
        control: Control,
        place: Place,
        keep: int | None = None,
        attempt: int = 0,
        when_failed: Literal["continue", "stop"] = "continue",
    ) -> None:
        """Make the directory, and clear what killed jobs have left in it.

        Args:
            directory: where ``checkpoint-N`` folders are.
            control: the ranks' common table.
            place: which piece of the sharded tensors this rank holds.
            keep: checkpoints to keep, the newest and the best in any case; None: all.
            attempt: how often this job has been started before; part of unfinished names.
            when_failed: whether a failed save raises.

        Raises:
            CheckpointError: a rank cannot write there, or the places contradict each other.
        """
        self.directory = Path(directory)
        self.keep = keep
        self.when_failed = when_failed
        self._control = control
        self._place = place
        self._folder = folders.look(self.directory, control, place)
        self._name = f"attempt{attempt}.{self._folder.token}"
        self._saves = 0
        self._whole: set[Path] = set()

    def save(self, step: int, contents: Contents, metric: float | None = None) -> Saved:
        """Save a checkpoint; it is there when this returns, or nothing has changed.

        Each rank writes what it holds: only the reports about it go between ranks. A checkpoint
        of the same step is replaced.

        Args:
            step: optimizer steps done.
            contents: what to save.
            metric: how good the model is, lower is better: the best checkpoint is kept.

        Raises:
            CheckpointError: it failed on some rank, and `when_failed` is stop.
        """
        begin = time.monotonic()
        saving = self._begin(step, contents)
        files, error = _tried(saving.write)
        written, alike = files or ({}, {})
        size = sum(file.bytes for file in (*written.values(), *alike.values()))
        mine = Report(error, time.time(), size, written)
        reports = [Report.read(text) for text in self._control.texts(mine.text())]
        problem = _first([report.error for report in reports])
        if not problem:
            metric = metric if metric is not None and math.isfinite(metric) else None
            if saving.leads:
                _, error = _tried(lambda: saving.commit(reports, alike, metric))
            problem = _first(self._control.texts(error))
        if saving.leads:
            self._settle(saving, failed=bool(problem))
        if problem:
            self._control.barrier()  # what was written is gone again before anybody goes on
            return Saved(None, time.monotonic() - begin, 0, self._failed(saving, problem))
        size = sum(report.bytes for report in reports)
        return Saved(saving.final, time.monotonic() - begin, size)

    def newest(self) -> Path | None:
        """Return the newest whole checkpoint, the same one on all ranks; None: there is none.

        Every file of it is read and compared with what was written. Those that are not whole
        are named on stderr and passed over.

        Raises:
            CheckpointError: there are checkpoints, but none is whole.
        """
        texts = self._control.texts(json.dumps(rotation.steps(self.directory)))
        lists = [json.loads(text) for text in texts]
        found = sorted({step for steps in lists for step in steps}, reverse=True)
        for step in found:
            path = self.directory / metadata.folder_name(step)
            problem = self._problem(path)
            if not problem:
                self._whole.add(path)
                return path
            self._say(f"{path} is passed over: {problem}")
        # A save that was killed may have reached some nodes' disks only, and was never reported.
        # All others were: to begin anew would throw them away.
        if found[1:] or all(found and found[0] in steps for steps in lists):
            raise CheckpointError(
                f"{self.directory} holds {len(found)} checkpoint(s), and none is whole: {problem}. "
                "Bring back what is missing, or move them away to begin anew"
            )
        return None

    def load(self, path: Path, contents: Contents) -> Loaded:
        """Fill the tensors in place, whatever the number of ranks that saved them.

        What a lite checkpoint has not, the optimizer and the state, stays as it is.

        Args:
            path: the checkpoint. Unless `newest` returned it, its files are checked first.
            contents: the tensors to fill: all that the checkpoint holds. The rest is not looked at.

        Raises:
            CheckpointError: it is not whole, or of another model; on all ranks if on one.
        """
        problem = "" if path in self._whole else self._problem(path)
        if problem:
            raise CheckpointError(problem)
        rank, ranks = self._control.rank, self._control.world_size
        loaded, error = _tried(lambda: loading.load(path, contents, rank, ranks))
        problem = _first(self._control.texts(error))
        if problem or loaded is None:
            raise CheckpointError(problem)
        return loaded

    def _begin(self, step: int, contents: Contents) -> Saving:
        # Counted: a folder that a failed save left and that could not be removed is not met again.
        self._saves += 1
        name = metadata.folder_name(step)
        rest = f"{name}.{self._name}.{self._saves}"
        return Saving(
            step=step,
            contents=contents,
            final=self.directory / name,
            staging=self.directory / f".saving-{rest}",
            replaced=self.directory / f".replaced-{rest}",
            folder=self._folder,
            place=self._place,
            rank=self._control.rank,
        )

    def _settle(self, saving: Saving, *, failed: bool) -> None:
        with suppress(OSError):  # the others do not wait for it; cleared at the next start
            if failed:
                saving.undo()
            else:
                saving.finish()
                rotation.rotate(self.directory, saving.step, self.keep, self._folder.token)

    def _failed(self, saving: Saving, problem: str) -> str:
        text = f"{saving.final} was not saved: {problem}; earlier checkpoints are untouched"
        if self.when_failed == "stop":
            raise CheckpointError(text)
        self._say(text)
        return text

    def _problem(self, path: Path) -> str:
        """Tell what is wrong with a checkpoint; empty: it is whole for every rank."""
        found, error = _tried(lambda: self._check(path))
        texts = [json.loads(text) for text in self._control.texts(json.dumps([error, found]))]
        problem = _first([error for error, _ in texts])
        if not problem and len({digest for _, digest in texts}) > 1:
            return f"{path / metadata.NAME} is not the same on all nodes"
        return problem

    def _check(self, path: Path) -> str:
        """Check this rank's share of a checkpoint; return metadata.json's digest."""
        about = metadata.read(path)
        node = self._folder.place.partition(":")[0]
        names = expected(about, f"{node}:{path.resolve().parent}")
        ours = path.parent == self.directory
        mine = names[self._share] if ours else names
        check_share(path, about, names, mine)
        return hashlib.sha256((path / metadata.NAME).read_bytes()).hexdigest()

    @property
    def _share(self) -> slice:
        ranks = self._folder.ranks
        return slice(ranks.index(self._control.rank), None, len(ranks))

    def _say(self, text: str) -> None:
        if self._control.rank == 0:
            print(f"slurmkit: {text}", file=sys.stderr, flush=True)


def _tried(action: Callable[[], Value]) -> tuple[Value | None, str]:
    """Return what an action returns, or why it failed: no rank may leave the others waiting."""
    try:
        return action(), ""
    except CheckpointError as error:
        return None, str(error)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


def _first(errors: list[str]) -> str:
    """Return the first rank's error, with its number; empty if there is none."""
    return next((f"rank {rank}: {error}" for rank, error in enumerate(errors) if error), "")
