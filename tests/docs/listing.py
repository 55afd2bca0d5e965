"""Keep the scripts in README and docs/script.md what `slurmkit render` prints: for `make docs`.

Each piece begins with a line of the script, or the start of one, and goes to where the next piece
begins, the last one to the end.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import slurmkit
from tests.docs.pages import README, ROOT, Page

SCRIPT = Page(ROOT / "docs" / "script.md")
PAGES = (README, SCRIPT)
_PIECE = re.compile(r"(?<=^```bash\n)(.*?)(?=^```$)", re.M | re.S)


def script(page: Page) -> str:
    """Render the job that a page is about."""
    if page == README:
        job = (ROOT / "jobs" / "all_reduce.yaml").read_text(encoding="utf-8")
    else:
        job = page.block("yaml", "# job.yaml")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.yaml")
        path.write_text(job, encoding="utf-8")
        return slurmkit.render(slurmkit.load(path, profile="none"))


def up_to_date(page: Page) -> str:
    """Give the page with its pieces cut anew.

    Raises:
        ValueError: no line of the script begins as a piece does.
    """
    whole, text = script(page), page.text
    starts: list[int] = []
    for piece in _PIECE.findall(text):
        first = piece.partition("\n")[0]
        at = re.compile("^" + re.escape(first), re.M).search(whole, starts[-1] if starts else 0)
        if at is None:
            raise ValueError(f"{page.name}: no line of the script begins with {first!r}")
        starts.append(at.start())
    ends = [*starts[1:], len(whole)]
    pieces = iter([whole[a:b].rstrip("\n") + "\n" for a, b in zip(starts, ends, strict=True)])
    return _PIECE.sub(lambda _: next(pieces), text)


if __name__ == "__main__":
    for each in PAGES:
        each.path.write_text(up_to_date(each), encoding="utf-8")
