"""The options of torchrun, accelerate launch and deepspeed, as argparse reads them.

`launchers.tsv` has a row an option. Sources: the parsers of torch 2.13 and accelerate 1.15,
deepspeed's launcher/runner.py, and the flags that older ones had.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_SHORT_FLAGS = ("m", "h")


def full_name(launcher: str, written: str) -> str:
    """Return an option's name, with dashes; argparse takes the beginning of one for it.

    >>> full_name("torchrun", "--nnode")
    'nnodes'
    """
    name = written.lstrip("-").replace("_", "-")
    known = _kinds().get(launcher, {})
    if name in known or not written.startswith("--"):
        return name
    near = [option for option in known if option.startswith(name)]
    return near[0] if len(near) == 1 else name


def takes_value(launcher: str, name: str, following: str) -> bool:
    """Tell whether the word that follows an option is its value."""
    if name in _SHORT_FLAGS or _kinds().get(launcher, {}).get(name) == "flag":
        return False
    return re.match(r"-(?!\d+$|\d*\.\d+$|$)", following) is None


@cache
def _kinds() -> dict[str, dict[str, str]]:
    text = (resources.files(__package__) / "launchers.tsv").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines()[1:]:
        launcher, option, kind = line.split("\t")
        found.setdefault(launcher, {})[option] = kind
    return found
