"""The scripts that README and docs/script.md show are the ones that are rendered."""

from __future__ import annotations

import pytest

from tests.docs import listing
from tests.docs.pages import Page


@pytest.mark.parametrize("page", listing.PAGES, ids=lambda page: str(page.name))
def test_the_pieces_are_the_script(page: Page) -> None:
    assert page.text == listing.up_to_date(page), "run `make docs`, and read the change"


def test_no_line_is_left_out() -> None:
    pieces = [block.text for block in listing.SCRIPT.blocks if block.kind == "bash"]
    lines = [line for line in listing.script(listing.SCRIPT).splitlines() if line]
    assert [line for line in "".join(pieces).splitlines() if line] == lines
