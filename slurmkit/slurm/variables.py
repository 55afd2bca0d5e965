"""The SLURM_ variables that a batch script or a step may find set: `variables.tsv`.

Sources: OUTPUT and INPUT ENVIRONMENT VARIABLES in the man pages of sbatch and srun 22.05, and names
in the programs of that release. Rows with the note `later` are names of later releases; they were
not compared with a man page, and are there so that no script is blamed for them.
`option` is filled where the variable is only there if that option was given; `present_name` where
the man pages keep a name for compatibility; rows with the note `site` are no names of Slurm's, but
set on clusters by their prolog.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

_OPEN_ENDED = re.compile(
    r"SLURM_(?:SPANK_|PMIX|PMI2_|PMI_|MPI_|TOPOLOGY_|ARCHIVE_|TRES_)|\w+_(?:HET|PACK)_GROUP_"
)


class Variable(NamedTuple):
    """A row of the table."""

    name: str
    option: str = ""
    """The option without which it is not set."""
    present_name: str = ""
    """What the man pages call it now."""
    note: str = ""


@cache
def load_variables() -> dict[str, Variable]:
    """Return the variables by name."""
    lines = Path(__file__).with_suffix(".tsv").read_text(encoding="utf-8").splitlines()
    rows = (Variable(*line.split("\t")) for line in lines[1:])
    return {row.name: row for row in rows}


def is_variable(name: str) -> bool:
    """Tell whether Slurm, or a plugin of it, sets a variable of this name."""
    return name in load_variables() or _OPEN_ENDED.match(name) is not None
