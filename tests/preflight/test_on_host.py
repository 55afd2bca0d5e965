"""What the checks of a launch see on a host."""

from __future__ import annotations

import pytest

from slurmkit.check.preflight.on_host import interfaces


@pytest.mark.parametrize("wanted", [None, "lo", "l", "=lo", "^nothing0", "nothing0,lo"])
def test_interfaces_that_are_there(wanted: str | None) -> None:
    assert interfaces(wanted) is None


@pytest.mark.parametrize("wanted", ["nothing0", "=l", "=nothing0"])
def test_interfaces_that_are_not(wanted: str) -> None:
    assert "lo" in (interfaces(wanted) or [])
