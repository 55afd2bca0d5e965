"""Whatever the script: a job file and what is told of it, or a reason; never a crash."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.check.importer.refuse import NotImportedError
from slurmkit.check.importer.run import Imported, import_script

SCRIPTS = [p.read_bytes() for p in sorted((Path(__file__).parent / "scripts").glob("*.sbatch"))]
LINES = st.sampled_from(sorted({line for script in SCRIPTS for line in script.splitlines()}))
ODD = st.sampled_from(
    [b"$(", b'"', b"'", b"`", b"\\", b"<<EOF", b"EOF", b"${x", b"$@", b"}", b"done", b"\xff", b"&"]
)


def imported(script: bytes) -> Imported | None:
    try:
        return import_script(script, "script")
    except NotImportedError:
        return None


@given(st.lists(LINES | ODD, max_size=30))
@settings(max_examples=60, deadline=None)
def test_lines_in_any_order(lines: list[bytes]) -> None:
    found = imported(b"#!/bin/bash\n" + b"\n".join(lines))
    if found is not None:
        assert yaml.safe_load(found.text)["name"]


@given(st.sampled_from(SCRIPTS), st.integers(0), st.binary(max_size=5))
@settings(max_examples=60, deadline=None)
def test_a_script_with_a_hole(script: bytes, place: int, put_in: bytes) -> None:
    at = place % len(script)
    imported(script[:at] + put_in + script[at + 3 :])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)


@given(st.lists(WORDS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_quoted_words_arrive_as_they_are(words: list[str]) -> None:
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    found = imported(f"#!/bin/bash\nsrun torchrun train.py {quoted}\n".encode())
    assert found is not None
    arguments = yaml.safe_load(found.text)["entrypoint"]["args"]
    assert [text.replace("$${", "${") for text in arguments] == words
