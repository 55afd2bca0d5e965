"""Every hostile test starts in an empty directory, with no profile of its user's."""

from __future__ import annotations

from tests.render.conftest import shellcheck
from tests.spec.conftest import empty_place

__all__ = ["empty_place", "shellcheck"]
