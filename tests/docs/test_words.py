"""The tables of docs/follow.md are those of slurmkit; UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os

from tests.docs.words import PAGE, with_tables


def test_the_page_has_the_tables() -> None:
    page = PAGE.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(with_tables(page), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == with_tables(page)
