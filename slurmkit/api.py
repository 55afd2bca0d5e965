"""What `import slurmkit` offers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from slurmkit.launch import job as launch
from slurmkit.launch.job import JobFailedError
from slurmkit.launch.registry import UnknownJobError
from slurmkit.observe.metrics import LOG
from slurmkit.render.script import render
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.states import State
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import JobSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from slurmkit.observe.facts import Facts

__all__ = [
    "Job",
    "JobFailedError",
    "JobSpec",
    "SlurmError",
    "SpecError",
    "State",
    "UnknownJobError",
    "load",
    "render",
]


class Text(str):
    """Lines of text, which a notebook and an interpreter show as lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


_PATIENCE = 8.0  # seconds for which a card waits for Slurm


class Job(launch.Job):
    """A job that was submitted, with what it wrote: logs, metrics, a plot, a card."""

    def logs(
        self,
        rank: int | str | None = None,
        *,
        node: str | None = None,
        grep: str | None = None,
        follow: bool = False,
    ) -> Text:
        """Return what the script and the ranks have written, ordered by the times of the lines.

        Args:
            rank: only this rank, or these: `3`, `"0,5-7"`; `"all"` is every one, and the script.
                The script and rank 0, when neither rank nor node is given.
            node: only the ranks of this node.
            grep: only lines in which this regular expression is found.
            follow: print lines as they come until the job has ended, and return nothing.

        Raises:
            SlurmError: there is nothing yet, and Slurm does not know the job.
        """
        from slurmkit.observe import logs

        view = logs.View(
            ranks=() if rank in (None, "all") else logs.read_ranks(str(rank)),
            node=node,
            everything=rank == "all",
            grep=None if grep is None else logs.read_grep(grep),
        )
        if not follow:
            return Text("\n".join(logs.lines(self.entry, view)))
        for line in logs.lines(self.entry, view, follow=True):
            print(line, flush=True)
        return Text()

    def metrics(self, name: str = LOG) -> Any:
        """Return the job's metrics: a DataFrame where there is pandas, else a list of dicts.

        Those of an array have a column `task`, and one for each parameter of the sweep.

        Args:
            name: the file in the run directory's `metrics/`, without `.jsonl`.
        """
        from slurmkit.observe.metrics import as_table

        return as_table(self._rows(name))

    def plot(self, y: str = "loss", *, name: str = LOG, axes: Axes | None = None) -> Axes:
        """Draw the loss, or another of the job's metrics, over the steps.

        Raises:
            ImportError: there is no matplotlib.
            ValueError: there is nothing to draw yet.
        """
        from slurmkit.observe.plot import plot

        return plot(self._rows(name), y=y, axes=axes, labels=_labels(self._points()))

    def wait(
        self,
        timeout: float | None = None,
        *,
        watch: Callable[[State], object] | None = None,
        show: bool = True,
    ) -> State:
        """Wait until the job has ended, and return its last state.

        A terminal shows a line meanwhile, a notebook the job's card; elsewhere nothing is shown.
        Ctrl-C, or the notebook's stop button, ends the wait and not the job.

        Args:
            timeout: seconds; without end when not given. A slow Slurm can add a minute.
            watch: called with the state at each look.
            show: whether to show anything.

        Raises:
            TimeoutError: the job has not ended in time; it goes on.
            SlurmError: Slurm could not be reached for ten minutes, or knows no such job.
        """
        from slurmkit.observe.card import card
        from slurmkit.observe.facts import look
        from slurmkit.observe.progress import progress

        with progress(card, wanted=show) as tell:

            def seen(state: State) -> None:
                if watch is not None:
                    watch(state)
                if tell is not None:
                    with suppress(SlurmError, UnknownJobError):  # the next look will tell
                        tell(look(self))

            return super().wait(timeout, watch=seen)

    def _rows(self, name: str) -> list[dict[str, Any]]:
        from slurmkit.observe.metrics import read_metrics

        return read_metrics(self.runs(), name, self._points())

    def _points(self) -> dict[str, dict[str, Any]]:
        """Return the parameters of an array's tasks by their ids."""
        from slurmkit.observe.metrics import read_points

        directory = self.directory
        return read_points(directory.with_name(self.entry.array_id)) if directory else {}

    def __repr__(self) -> str:
        named = f" {self.name!r}" if self.name else ""
        return f"<slurmkit.Job {self.id}{named} by {self.entry.via}>"

    def _repr_html_(self) -> str:
        """Return the job's card; a Slurm that does not answer is told in it."""
        from slurmkit.observe.card import card, card_without_answer
        from slurmkit.observe.facts import look

        try:
            return card(_soon(lambda: look(self)))
        except Exception as error:  # a display that raises hides the job, and all that follows
            return card_without_answer(self.id, self.name, str(error).partition("\n")[0])


def _labels(points: dict[str, dict[str, Any]]) -> dict[int, str]:
    return {
        int(id.rpartition("_")[2]): ", ".join(f"{name}={value}" for name, value in point.items())
        for id, point in points.items()
    }


def _soon(ask: Callable[[], Facts]) -> Facts:
    """Ask, but not for longer than a notebook's reader waits."""
    from threading import Thread

    answers: list[Facts | Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # raised again below, in the thread of the reader
            answers.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    answer = answers[0] if answers else TimeoutError(f"Slurm does not answer for {_PATIENCE:g} s")
    if isinstance(answer, Exception):
        raise answer
    return answer
