"""What a job's script and ranks have written: merged by time, and followed while it grows.

    for line in read(entry, View(everything=True)): ...
    state = follow(entry, View(), write=sys.stdout.buffer.write)

An entry is that of the list of jobs; `Job.entry` has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from slurmkit.observe.logs.elsewhere import located
from slurmkit.observe.logs.hints import hints
from slurmkit.observe.logs.merging import Keep, merge
from slurmkit.observe.logs.sources import Sources
from slurmkit.observe.logs.text import for_terminal
from slurmkit.observe.logs.view import View, read_grep, read_ranks

if TYPE_CHECKING:
    from slurmkit.launch.registry import Entry
    from slurmkit.slurm.states import State

__all__ = [
    "View",
    "blocks",
    "follow",
    "followed",
    "hints",
    "lines",
    "located",
    "read_grep",
    "read_ranks",
]

_NOTHING = View()


def blocks(entry: Entry, view: View = _NOTHING) -> Iterator[bytes]:
    """Give what has been written up to now: whole lines, thousands at a time, as bytes."""
    for found in _present(Sources(located(entry), view), view, partial_lines=True):
        yield _text(found, view)


def lines(entry: Entry, view: View = _NOTHING, *, follow: bool = False) -> Iterator[str]:
    """Give lines, without their newlines; with `follow` until the job has ended."""
    for block in followed(entry, view) if follow else blocks(entry, view):
        yield from block.decode(errors="replace").removesuffix("\n").split("\n")


def follow(
    entry: Entry,
    view: View = _NOTHING,
    *,
    write: Callable[[bytes], object],
    say: Callable[[str], object] = lambda _: None,
) -> State:
    """Write what there is and what comes, until the job has ended; return its last state.

    Args:
        entry: the job.
        view: what to show.
        write: is given whole lines.
        say: is told, for people, what the job waits for and when an attempt begins.

    Raises:
        SlurmError: Slurm does not know this job, or could not be reached for ten minutes.
    """
    growing = followed(entry, view, say)
    while True:
        try:
            write(next(growing))
        except StopIteration as end:
            state: State = end.value
            return state


def followed(
    entry: Entry, view: View = _NOTHING, say: Callable[[str], object] = lambda _: None
) -> Generator[bytes, None, State]:
    """Give whole lines as they come until the job has ended; see `follow`."""
    from slurmkit.observe.logs.following import grow, located_soon

    entry = located_soon(entry, say)
    sources = Sources(entry, view)
    if view.lines is not None:
        for found in _present(sources, view, partial_lines=False):
            yield _text(found, view)
    growing = grow(entry, sources, _keep(view), say)
    while True:
        try:
            yield _text(next(growing), view)
        except StopIteration as end:
            state: State = end.value
            return state


def _present(sources: Sources, view: View, *, partial_lines: bool) -> Iterator[list[bytes]]:
    files = sources.look()
    if view.lines is not None and view.grep is None:
        for file in files:
            file.skip_to_tail(view.lines)
    labelled = len(files) > 1
    if view.lines is None:
        yield from merge(files, labelled=labelled, partial=partial_lines, keep=_keep(view))
        return
    for of_task in sources.by_task():
        tail: deque[bytes] = deque(maxlen=view.lines)
        for found in merge(of_task, labelled=labelled, partial=partial_lines, keep=_keep(view)):
            tail.extend(found)
        if tail:
            yield list(tail)


def _keep(view: View) -> Keep | None:
    return view.grep.search if view.grep else None


def _text(found: list[bytes], view: View) -> bytes:
    if view.colours:
        found = [for_terminal(line) for line in found]
    found.append(b"")
    return b"\n".join(found)
