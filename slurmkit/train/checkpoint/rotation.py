"""Which checkpoints of a directory stay, and what killed jobs have left in it. No torch."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from slurmkit.train.checkpoint import files, metadata
from slurmkit.train.checkpoint.metadata import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

_LEFTOVER = re.compile(r"\.(saving|deleted|replaced)-(checkpoint-[0-9]+)\..*|\.rank[0-9]+-.*")


def steps(directory: Path) -> list[int]:
    """Return the steps of the checkpoints in a directory, whole or not, rising."""
    if not directory.is_dir():
        return []
    found = [metadata.step_of(path.name) for path in directory.iterdir()]
    return sorted(step for step in found if step is not None)


def rotate(directory: Path, newest: int, keep: int | None, token: str) -> None:
    """Delete old checkpoints until `keep` are left; never the newest, nor the best.

    Those of later steps are neither counted nor deleted: the job has gone back behind them,
    because they were broken or because it was told to.

    Args:
        directory: holds the checkpoints.
        newest: the step that has just been saved.
        keep: number of checkpoints to keep, and the best may be one more; None: all.
        token: of this process, for the names of folders on their way out.
    """
    if keep is None:
        return
    older = [step for step in steps(directory) if step < newest]
    best = _best(directory, [*older, newest])
    for step in older[: max(0, len(older) - keep + 1)]:
        if step != best:
            _try_remove(directory / metadata.folder_name(step), token)


def sweep(directory: Path, token: str) -> None:
    """Clear what dead jobs left, and finish or undo the replacement that one was killed in.

    Args:
        directory: holds the checkpoints.
        token: of this process, whose own folders stay.
    """
    for path in list(directory.iterdir()):
        match = _LEFTOVER.fullmatch(path.name)
        if match is None or token in path.name:
            continue
        if match[1] is None:
            path.unlink(missing_ok=True)
        elif match[1] == "replaced" and not (directory / match[2]).exists():
            path.rename(directory / match[2])
        else:
            _try_remove(path, token)


def _best(directory: Path, among: list[int]) -> int | None:
    metrics: list[tuple[float, int]] = []
    for step in among:
        try:
            found = metadata.read(directory / metadata.folder_name(step)).metric
        except CheckpointError:
            continue
        if found is not None:
            metrics.append((found, -step))
    return -min(metrics)[1] if metrics else None


def _try_remove(folder: Path, token: str) -> None:
    try:
        files.remove(folder, token)
    except OSError as error:  # the checkpoint that was to be saved is saved
        print(f"slurmkit: {folder} cannot be deleted: {error.strerror}", file=sys.stderr)
