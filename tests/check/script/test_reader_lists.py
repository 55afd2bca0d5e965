"""Lists that are broken, or have a comment within: they are read all the same."""

from __future__ import annotations

import pytest

from slurmkit.check.script.read import read


@pytest.mark.parametrize(
    "script",
    [
        "a && # why\n  b || c\n",
        "[a\n\nb || fail 'x'\nif [[ -z $c ]] && d=$(e -o %e); then\n  f || g\nfi\n",
    ],
)
def test_a_list_is_read(script: str) -> None:
    names = [command.name for command in read(script.encode()).commands]
    assert {"b", "fail"} & set(names)
