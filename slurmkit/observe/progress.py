"""What `job.wait()` shows: a line in a terminal, the card in a notebook, elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slurmkit.observe.facts import Facts

Show = Callable[["Facts"], object]


@contextmanager
def progress(card: Callable[[Facts], str], *, wanted: bool = True) -> Iterator[Show | None]:
    """Give what is to be called with news of a job; None where nobody would see it.

    Args:
        card: writes the HTML of a notebook's display.
        wanted: whether to show anything.
    """
    if wanted and in_notebook():
        yield _in_notebook(card)
    elif wanted and sys.stderr.isatty():
        with _in_terminal() as show:
            yield show
    else:
        yield None


def in_notebook() -> bool:
    """Tell whether this runs in a notebook's kernel, where HTML is shown."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def line(facts: Facts) -> str:
    """Return what there is to say in one line."""
    words = [f"job {facts.id}" + (f" ({facts.name})" if facts.name else ""), facts.state.name]
    words += [facts.tasks, facts.reason, facts.elapsed]
    words += [] if facts.loss is None else [f"loss {facts.loss:.6g}"]
    return "  ".join(filter(None, words))


def _in_notebook(card: Callable[[Facts], str]) -> Show:
    # One output, updated in place: a card for each look would fill the notebook.
    import IPython.display

    display: Any = IPython.display.display  # which has no types
    handle: Any = None

    def show(facts: Facts) -> None:
        nonlocal handle
        picture = {"text/html": card(facts), "text/plain": line(facts)}
        if handle is None:
            handle = display(picture, display_id=True, raw=True)
        else:
            handle.update(picture, raw=True)

    return show


@contextmanager
def _in_terminal() -> Iterator[Show]:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    last: list[Facts] = []

    def show(facts: Facts) -> None:
        last[:] = [facts]
        status.update(Text(line(facts)))

    with console.status("waiting for news of the job") as status:
        yield show
    if last and last[0].state.is_final:
        console.print(Text(line(last[0])))
