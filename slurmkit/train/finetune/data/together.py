"""Work that only some ranks have to do, for however long, while the others wait."""

from __future__ import annotations

import json
from threading import Thread
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError
from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slurmkit.train.control import Control

_SECONDS = 1.0


def together(control: Control, work: Callable[[], Any]) -> list[Any]:
    """Do this rank's work and return what the work of every rank returned, by rank. A collective.

    The work runs in a thread, while the ranks ask each other every second whether all are done:
    hours of it are no time-out, and signals are heard.

    Args:
        control: the ranks' common table.
        work: returns what JSON can hold.

    Raises:
        ConfigError: the work of one of the ranks raised it; all ranks raise the same.
        DistributedError: the work of another rank failed; its own error is raised there.
    """
    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    while True:
        thread.join(_SECONDS)
        if not any(control.sum([thread.is_alive()])):
            break
    return _all_of(control, done, failed)


def _all_of(control: Control, done: list[Any], failed: list[BaseException]) -> list[Any]:
    kind = "done"
    if failed:
        kind = "wrong" if isinstance(failed[0], ConfigError) else "failed"
    mine = [kind, str(failed[0]) or type(failed[0]).__name__ if failed else done[0]]
    outcomes = [json.loads(text) for text in control.texts(json.dumps(mine))]
    if kind == "failed":
        raise failed[0]
    for rank, (each, what) in enumerate(outcomes):
        if each == "failed":
            raise DistributedError(
                f"rank {rank} could not prepare the data: {what}",
                f"rank {control.rank}/{control.world_size}",
                f"read the traceback of rank {rank}",
            )
    for each, what in outcomes:
        if each == "wrong":
            raise ConfigError(what)
    return [what for _, what in outcomes]
