"""The rule on variables that a launch reads and nobody sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from slurmkit.check.finding import Severity
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.names import names
from slurmkit.check.lint.rule import Found, rule
from slurmkit.check.script.launches import Launch
from slurmkit.check.script.variables import reads
from slurmkit.check.script.words import Piece

_PREFIXES = (
    "SLURM", "SBATCH_", "SRUN_", "PMI", "OMPI_", "PBS_", "LSB_", "BASH", "CONDA", "EB", "NCCL_",
    "CUDA", "ROCM_", "XDG_", "SINGULARITY", "APPTAINER", "LMOD_", "TORCH", "HF_", "PET_",
)  # fmt: skip
_OF_CONTAINER = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK")
"""Set by enroot's hook for PyTorch."""
_ACTIVATION = re.compile(r"activate|conda|mamba|bashrc|profile|modules?\b|lmod|venv")
_EXTRA = re.compile(
    r"(?:EXTRA|ADDITIONAL|OPTIONAL|MORE|OTHER|USER)_?\w*|\w+_(?:EXTRA|OVERRIDES?)", re.I
)
"""What one may add from outside; without it, nothing is missing."""
_MANY = 4
"""So many names that nothing sets are the parameters of a script that is called with them."""
_OF_MODULE = re.compile(r"[A-Z0-9_]+_(HOME|ROOT|DIR|PATH|PREFIX|LIB|INC|BIN|CONTAINER|IMAGE|SIF)")
_GIVEN = re.compile(rb"(?<![\w$./-])([A-Za-z_]\w*)(?:\[[^\]\n]*\])?\+?=")
_TAKEN = re.compile(
    rb"^.*\b(?:read|mapfile|readarray|printf|getopts|export|local|declare|typeset|readonly|let|for"
    rb"|select|unset)\b.*$|^.*(?:\(\(|\s-v\s).*$",
    re.MULTILINE,
)
_ASKED = re.compile(rb"""-[zn]\s+["']?\$\{?(\w+)|\$\{(\w+):?[?=+-]""")
_TOLD = re.compile(rb"^\s*#.*$", re.MULTILINE)
_COMMENTED_OUT = re.compile(rb"^\s*#+\s*(?:export\s+)?\w+=.*$", re.MULTILINE)
_ITSELF = re.compile(rb"""\b(\w+)=(["']?)\$\{?\1\}?\2(?![\w/.:-])""")


@rule("SK510")
def never_set(job: Job) -> Iterator[Found]:
    """A variable of the launch that the script never sets."""
    if not job.launches:
        return
    commands = {command.name for command in job.script.commands}
    is_sourced = _is_sourced(job) or "eval" in commands
    has_modules = bool(commands & {"module", "ml"})
    unset = _unset(job)
    for name, piece in unset.items():
        is_of_module = has_modules and _OF_MODULE.fullmatch(name) is not None
        is_likely = is_sourced or is_of_module or len(unset) >= _MANY
        severity: Severity = "info" if is_likely else "warning"
        what = f"the launch reads ${name}, and nothing here sets it"
        yield job.found("SK510", piece.span, what, severity=severity)


def _unset(job: Job) -> dict[str, Piece]:
    """Return the names that the launches read and nothing sets, each where it is first read."""
    known = _known(job.script.source.data)
    found: dict[str, Piece] = {}
    for launch in job.launches:
        for piece in _read(launch):
            name = piece.text
            is_told = name.startswith(_PREFIXES) or name in known or _is_of_environment(name)
            is_told = is_told or _EXTRA.fullmatch(name) is not None
            in_image = launch.in_container and (name in _OF_CONTAINER or piece.shell.in_container)
            if not is_told and not in_image and _is_plain(piece):
                found.setdefault(name, piece)
    return found


@lru_cache(maxsize=2)  # of a file with many inner scripts
def _known(text: bytes) -> frozenset[str]:
    """Return the names that a script gives a value, or knows to be given one from outside."""
    text = _ITSELF.sub(b"", _COMMENTED_OUT.sub(b"", text))
    found = {match[1] for match in _GIVEN.finditer(text)}
    found.update(match[1] or match[2] for match in _ASKED.finditer(text))
    for line in _TAKEN.finditer(text):
        found.update(re.findall(rb"(?<![\w$-])(?<!\$\{)[A-Za-z_]\w*", line[0]))
    for comment in _TOLD.finditer(text):
        found.update(re.findall(rb"\b[A-Z][A-Z0-9_]*\b", comment[0]))
    return frozenset(name.decode() for name in found)


def _is_of_environment(name: str) -> bool:
    """Tell whether a login or a site sets it."""
    row = names().get(name)
    return row is not None and row.reader in ("login", "site")


def _read(launch: Launch) -> Iterator[Piece]:
    """Return the variables that come to stand in a launch."""
    commands = [launch.command]
    if launch.srun_command is not None and launch.srun_command is not launch.command:
        commands.append(launch.srun_command)
    for command in commands:
        for word in command.words:
            yield from reads(word, command.order, command.context)


def _is_plain(piece: Piece) -> bool:
    """Tell whether it is `$NAME` or `${NAME}`, which comes to nothing where NAME is not set."""
    is_name = re.fullmatch(r"[A-Za-z_]\w*", piece.text) is not None
    return is_name and piece.operation in ("", "[@]", "[*]") and piece.shell.where != "unknown"


def _is_sourced(job: Job) -> bool:
    """Tell whether a file that is sourced may set variables."""
    sourced = (command for command in job.script.commands if command.name in ("source", "."))
    targets = (" ".join(word.shown for word in command.words[1:]) for command in sourced)
    return any(not _ACTIVATION.search(target) for target in targets)
