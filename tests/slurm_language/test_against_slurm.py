"""The grammars and the option table against the Slurm that is installed; no daemon needed.

Without Slurm these tests skip; with SLURMKIT_REQUIRE_SLURM=1 they fail instead.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.slurm.grammar import GrammarError, expand_nodelist, parse_memory, parse_time
from slurmkit.slurm.options import TOOLS, Tool, check_option, load_options
from slurmkit.slurm.scalars import parse_version
from tests.testbed.left_out import leave_out

from .test_hostlist import GOOD as GOOD_NODELISTS
from .test_scalars import BAD_MEMORY, BAD_TIMES, MEMORY, TIMES

STRICTER_TIMES = {"1-", "-5", "2147483647", "24855-03:14:08", "9" * 5000}
"""Texts that Slurm takes for something which nobody means."""
LIBRARIES = (
    "/usr/lib/*/slurm*",
    "/usr/lib*/slurm",
    "/usr/local/lib*/slurm",
    "/opt/slurm/lib/slurm",
)


def _missing(what: str) -> NoReturn:
    leave_out(f"{what} is not installed: nothing to compare with")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which Slurm's commands read a configuration of one node."""
    for command in ("scontrol", *TOOLS):
        if shutil.which(command) is None:
            _missing(command)
    conf = tmp_path_factory.mktemp("slurm") / "slurm.conf"
    conf.write_text("ClusterName=test\nSlurmctldHost=localhost\nNodeName=n1\n")
    return {"PATH": os.environ["PATH"], "SLURM_CONF": str(conf), "LC_ALL": "C"}


def _run(slurm: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=slurm,
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture(scope="module")
def version(slurm: dict[str, str]) -> str:
    return _run(slurm, "sbatch", "--version").stdout.split()[-1]


def _compare_nodelist(slurm: dict[str, str], text: str) -> None:
    real = _run(slurm, "scontrol", "show", "hostnames", text)
    if not real.stderr:
        assert expand_nodelist(text) == real.stdout.split()
    else:
        # Old releases refuse a name that goes on after its last bracket.
        assert re.search(r"\][^\[,]+(,|$)", text), real.stderr


@pytest.mark.parametrize("text", GOOD_NODELISTS)
def test_nodelists(slurm: dict[str, str], text: str) -> None:
    _compare_nodelist(slurm, text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.from_regex(
        r"([a-c]{1,2}(\[[0-9]{1,2}(-[0-9]{1,2})?\]){1,3},){0,2}[a-c0-9]+", fullmatch=True
    )
)
def test_random_nodelists(slurm: dict[str, str], text: str) -> None:
    try:
        expand_nodelist(text)
    except GrammarError:
        return
    _compare_nodelist(slurm, text)


@pytest.fixture(scope="module")
def library(slurm: dict[str, str]) -> ctypes.CDLL:
    """Slurm's own library, whose functions read what users write."""
    found = [
        path
        for pattern in LIBRARIES
        for path in sorted(Path("/").glob(f"{pattern.lstrip('/')}/libslurmfull.so"))
    ]
    if not found:
        _missing("libslurmfull.so")
    library = ctypes.CDLL(str(found[0]))
    library.slurm_time_str2secs.restype = ctypes.c_int32
    library.str_to_mbytes.restype = ctypes.c_uint64
    return library


def test_times(library: ctypes.CDLL) -> None:
    for text in [*TIMES, *BAD_TIMES]:
        if text in STRICTER_TIMES:
            continue
        real = library.slurm_time_str2secs(text.encode())
        try:
            ours = parse_time(text)
        except GrammarError:
            assert real == -2, text
        else:
            assert real == ours or (ours is None and real in (0, -1)), text


@given(text=st.from_regex(r"([0-9]{1,4}-)?[0-9]{0,4}(:[0-9]{0,3}){0,3}", fullmatch=True))
def test_random_times(library: ctypes.CDLL, text: str) -> None:
    real = library.slurm_time_str2secs(text.encode())
    try:
        ours = parse_time(text)
    except GrammarError:
        assert real == -2 or re.fullmatch("[0-9]+-", text)
    else:
        assert real == (ours or 0)


def test_memory(library: ctypes.CDLL) -> None:
    for text in [*MEMORY, *BAD_MEMORY]:
        real = library.str_to_mbytes(text.encode())
        try:
            assert parse_memory(text) == real, text
        except GrammarError:
            assert real == 2**64 - 2 or len(text) > 17, text


@pytest.mark.parametrize("tool", TOOLS)
def test_help_names_options_of_the_table(slurm: dict[str, str], version: str, tool: Tool) -> None:
    listed = set(re.findall(r"^ +(?:-\w,? +)?--([\w-]+)", _run(slurm, tool, "--help").stdout, re.M))
    assert len(listed) > 80
    unknown = {name for name in listed if _kind(tool, name, version) is None}
    assert unknown <= {"power"}  # the help of 24.11 and later still prints it; they refuse it


@pytest.mark.parametrize("tool", TOOLS)
def test_every_option_takes_what_the_table_says(
    slurm: dict[str, str], version: str, tool: Tool
) -> None:
    wrong = {}
    for name in load_options():
        ours = _kind(tool, name, version)
        longer = [n for n in load_options() if n.startswith(name) and _kind(tool, n, version)]
        if ours is None and longer:
            continue  # getopt takes it for an abbreviation
        real = _probe(slurm, tool, name)
        # srun of 22.05 and older still takes uid and gid, for root.
        if real != ours and not (tool == "srun" and name in ("uid", "gid")):
            wrong[name] = f"table {ours}, {tool} {version} {real}"
    assert wrong == {}


def _kind(tool: Tool, name: str, version: str) -> str | None:
    option = load_options().get(name)
    if option is None:
        return None
    kind = None
    for change in option.use(tool).history:
        if not change.since or parse_version(change.since) <= parse_version(version):
            kind = None if change.kind == "removed" else change.kind
    return kind


def _probe(slurm: dict[str, str], tool: str, name: str) -> str | None:
    """What argument the option takes; nothing is submitted, for the last option is unknown."""
    with_value = _run(slurm, tool, f"--{name}=zzz", "--no-such-1").stderr
    if f"unrecognized option '--{name}" in with_value or f"option '--{name}=zzz' is" in with_value:
        return None
    if "doesn't allow an argument" in with_value:
        return "none"
    eaten = (
        "'--no-such-1'" not in _run(slurm, tool, f"--{name}", "--no-such-1", "--no-such-2").stderr
    )
    return "required" if eaten else "optional"


def test_written_options_are_accepted(slurm: dict[str, str], version: str) -> None:
    values: dict[str, str | bool] = {
        "switches": "1",
        "comment": "two words",
        "mail-type": "END,FAIL",
        "hold": True,
    }
    written = [check_option("sbatch", name, value, version) for name, value in values.items()]
    stderr = _run(slurm, "sbatch", *filter(None, written), "--no-such-1").stderr
    assert "unrecognized option '--no-such-1'" in stderr
    assert stderr.count("\n") == 2
