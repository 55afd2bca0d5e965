"""The table of SLURM_ variables against the man pages and the table of options."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from slurmkit.slurm.options import load_options
from slurmkit.slurm.variables import is_variable, load_variables

PAGES = [Path(f"/usr/share/man/man1/{tool}.1.gz") for tool in ("sbatch", "srun")]


def test_rows() -> None:
    table = load_variables()
    assert list(table) == sorted(table)
    assert {row.option for row in table.values()} - {""} <= set(load_options())
    assert {row.present_name for row in table.values()} - {""} <= set(table)
    assert {row.note for row in table.values()} == {"", "later", "site"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_all_names_of_the_man_pages(page: Path) -> None:
    if not page.exists():
        pytest.skip("Slurm's man pages are not installed")
    whole = gzip.decompress(page.read_bytes()).decode()
    text = whole.partition('.SH "OUTPUT ENVIRONMENT')[2]
    names = set(re.findall(r"^\\fB(SLURMD?_[A-Z_]+[A-Z])\\fR", text, re.MULTILINE))
    assert len(names) > 20
    assert {name for name in names if not is_variable(name)} == set()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("SLURM_JOB_NODELIST", True),
        ("SLURM_JOB_END_TIME", True),
        ("SLURM_JOB_ID_HET_GROUP_1", True),
        ("SLURM_PMIX_WIREUP", True),
        ("SLURM_TMPDIR", True),
        ("SLURM_JOB_NODELIS", False),
        ("SLURM_CPUS_PER_NODE", False),
        ("SLURM_HET_GROUP", False),
    ],
)
def test_names(name: str, known: bool) -> None:
    assert is_variable(name) is known
