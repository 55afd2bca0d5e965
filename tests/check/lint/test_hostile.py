"""Any bytes, any mangled script: lint says something or nothing, and never stumbles."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.report import as_data, text
from slurmkit.check.lint.rule import Found, rules
from slurmkit.check.lint.run import lint
from slurmkit.check.script.source import Source

GOLDEN = sorted((Path(__file__).parents[2] / "render" / "golden").glob("*.sbatch"))
SCRIPTS = [path.read_bytes() for path in GOLDEN[:6]]
SCRIPTS += [example.encode() for rule in rules().values() for example in (rule.bad, rule.good)]
NUMBERS = ["²".encode(), "٣".encode(), b"9" * 5000, b"0", b"-1", b"00", b"99999999999"]
PIECES = [
    b"'", b'"', b"`", b"$(", b"${", b"\\", b"\n", b"\r\n", b"<<EOF\n", b"EOF\n", b"(", b"}", b"\0",
    b"\xff", b"#SBATCH ", b"srun ", b"bash -c '", b"if ", b"fi\n", b"$SLURM_PROCID", b"&", b"|",
    b"\xc2\xb2", b"\xd9\xa3", b"9" * 5000, b"0",
    b"sbatch <<-E\n\t#!/bin/sh\n", b"=", b"--nodes", b"\xee\x80\x80", b"\xe2\x80\x93", b"#PBS -x\n",
]  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A script from which some was cut, and into which some was put."""
    data = draw(st.sampled_from(SCRIPTS))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        data = data[:start] + draw(st.sampled_from([b"", *PIECES])) + data[end:]
    return data


def with_number(data: bytes, pick: int, number: bytes) -> bytes:
    """Put another number in for one of a script's."""
    places = list(re.finditer(rb"\d+", data))
    start, end = places[pick % len(places)].span() if places else (0, 0)
    return data[:start] + number + data[end:]


def check(data: bytes) -> None:
    source = Source(data, "x")
    for finding in lint(data, "x"):
        assert 0 <= finding.span.start <= finding.span.end <= len(data)
        assert finding.what
        assert finding.fix
        assert len(text(finding, source)) >= 3
        row = as_data(finding, source)
        assert (finding.place) == f"x:{row['line']}:{row['column']}"


def mends_once(data: bytes) -> None:
    def look(script: bytes) -> list[Found]:
        return lint(script, "x")

    after = fix(data, look).data
    assert fix(after, look).data == after


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    check(data)
    check(b"#!/bin/bash\n#SBATCH " + data)


@settings(max_examples=100, deadline=None)
@given(mangled())
def test_mangled_scripts(data: bytes) -> None:
    check(data)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SCRIPTS), st.integers(0, 99), st.sampled_from(NUMBERS))
def test_any_numbers(data: bytes, pick: int, number: bytes) -> None:
    check(with_number(data, pick, number))


@pytest.mark.parametrize("number", NUMBERS)
def test_counts_that_are_none(number: bytes) -> None:
    counts = (
        b"nodes", b"ntasks", b"ntasks-per-node", b"cpus-per-task", b"gpus-per-node", b"gpus",
        b"gpus-per-task", b"mem", b"time", b"array", b"signal", b"cpus-per-gpu",
    )  # fmt: skip
    command = b"srun -n %b --wait=%b torchrun --nnodes=%b --nproc_per_node=%b --max_restarts=%b x\n"
    command += b"export MASTER_PORT=$((%b * %b))\nsrun python x.py ${A[%b]} ${@:%b}\n"
    command = command.replace(b"%b", number)
    for name in counts:
        check(b"#!/bin/bash\n#SBATCH --%b=%b\n#SBATCH --gres=gpu:4\n" % (name, number) + command)


@pytest.mark.parametrize("value", [b'"$A%d $A%d"', b"$((A%d + B%d))", b'"$A%d${A%d}"'])
def test_variables_that_double(value: bytes) -> None:
    rows = [b"A%d=%b" % (at + 1, value % (at, at)) for at in range(13)]
    start = time.perf_counter()
    check(b"#!/bin/bash\nA0=1\n" + b"\n".join(rows) + b"\nsrun torchrun --nnodes=2 $A13 x.py\n")
    assert time.perf_counter() - start < 3


def test_many_scripts_in_one() -> None:
    inner = b"sbatch <<E\n#!/bin/bash\n#SBATCH -N2\nsrun torchrun --nnodes=2 $F x.py\nE\n"
    counted = []
    for count in (50, 200):
        start = time.perf_counter()
        lint(b"#!/bin/bash\n" + inner * count)
        counted.append(time.perf_counter() - start)
    assert counted[1] < 8 * counted[0]


@settings(max_examples=40, deadline=None)
@given(mangled())
def test_fixing_twice_changes_no_more(data: bytes) -> None:
    mends_once(data)


def test_a_file_that_ends_within_a_command() -> None:
    for data in (b"sbatch <<EOT \\", b"sbatch <<EOT", b"#!/bin/bash\nsrun \\\n<<EOT \\"):
        check(data)


def test_all_kinds_of_nesting() -> None:
    deep = b"$(" * 2000 + b")" * 2000
    for data in (deep, b"(" * 3000, b"if true; then\n" * 800, b"'" * 999, b"a=$a" * 2000):
        check(b"#!/bin/bash\n" + data)
