"""Variables by their names: Slurm's, the launcher's, those that only help to start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from slurmkit.check.script.words import Piece

ARRAY_VARIABLE = "ARRAY_TASK_ID"
MEETING = ("MASTER_ADDR", "MASTER_PORT")
_EVERYWHERE = ("HOME", "USER", "PWD", "PATH", "HOSTNAME", "TMPDIR", "LD_LIBRARY_PATH")
_OF_JOB = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", ARRAY_VARIABLE,
)  # fmt: skip
OF_A_TASK = ("SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID", "SLURMD_NODENAME", "SLURM_TASK_PID")
OF_LAUNCHER = {
    "SLURM_PROCID": "RANK", "SLURM_LOCALID": "LOCAL_RANK", "SLURM_NTASKS": "WORLD_SIZE",
    "SLURM_NPROCS": "WORLD_SIZE",
}  # fmt: skip
MAY_BE_SEVERAL = re.compile(
    r"ARG|OPT|FLAG|OVERRIDE|EXTRA|PARAM|CMD|COMMAND|LIST|FILES|DATASETS", re.IGNORECASE
)
STARTING = re.compile(
    r"(MASTER|HEAD|MAIN|RDZV|RENDEZVOUS)\w*(ADDR|PORT|NODE|IP|HOST|ENDPOINT|ID|BACKEND)\w*$"
    r"|(GPUS?|NPROC|PROCS?|TASKS|NUM|N|NODES?|MACHINES?|GLOBAL|LOCAL)_?(PER_NODE|GPUS|NODES|PROC\w*"
    r"|RANK|SIZE)\w*$|NNODES$|NODELIST$|HOSTLIST$|WORLD_SIZE$|RANK$|LOCAL_RANK$|DIST_URL$"
    r"|SLURM_CPU_BIND$|SRUN_CPUS_PER_TASK$|SLURM_KILL_BAD_EXIT$",
    re.IGNORECASE,
)
"""Names of what slurmkit works out: where the processes meet, how many they are."""
_HEAD = re.compile(
    r"((MASTER|HEAD|MAIN|FIRST|RDZV)_?(NODE_?)?(ADDR\w*|IP\w*|HOST\w*)|(MASTER|HEAD|MAIN|FIRST)_?NODE)$",
    re.IGNORECASE,
)
OF_BASH = ("RANDOM", "SECONDS", "EPOCHSECONDS", "PWD", "OLDPWD", "HOSTNAME", "BASHPID", "LINENO")
"""What bash itself gives a value, and another one each time or place."""
_FIRST = re.compile(r"scontrol show hostnames? [^|]*\| ?head -(?:n ?)?1")
SUFFIX = re.compile(r"(i|-?ib\d*|-?hsn\d*|-?opa\d*|\.[a-z][\w.-]*)(?=:|$)")
"""What a site appends to a node's name for another network."""
LINE = re.compile(r"(CMD|COMMAND|LAUNCH|RUNNER|SRUN|TORCHRUN)|(ARGS|OPTS|OPTIONS|PARAMS)$")
"""Names of what is a part of a command line, in capitals: nobody reads it but the shell."""


_OF_A_WORD = (
    "date", "hostname", "pwd", "basename", "dirname", "realpath", "readlink", "mktemp", "expr",
    "bc", "whoami", "id", "wc", "nproc", "uuidgen", "which", "shuf", "python", "python3", "git",
    "md5sum", "scontrol", "seq", "getent", "uname", "echo", "printf",
)  # fmt: skip
"""Programs that print a word, as scripts use them; others may print several, or none."""
_FILTER = re.compile(r"(tr|head|tail) |sed (?!-n)(?!.*q;d)")
"""They print about what they read."""
_FIELD = re.compile(r"awk (-F\S+ )?[\"']\{ *print \\?\$\w+;? *\}[\"']|cut .*-f *\d+\b(?![,-])")


def prints_a_word(text: str) -> bool:
    """Tell whether the output of `$(…)` is one word, as far as its programs tell."""
    for part in reversed(re.split(r"\|\|?|&&|;|\n", text.strip().rstrip(";"))):
        words = [word for word in part.split() if not re.match(r"\w+=", word)]
        name = words[0].rpartition("/")[2] if words else ""
        if not _FILTER.match(part.strip()):
            is_list = name == "seq" or (name == "echo" and len(_said(words)) > 1)
            return (name in _OF_A_WORD and not is_list) or _FIELD.search(part) is not None
    return False


def _said(words: Sequence[str]) -> list[str]:
    """Return what `echo` prints, a text in quotes as one."""
    said = [word for word in words[1:] if not re.fullmatch(r"-[neE]+", word)]
    return said[:1] if said and said[0].startswith(("'", '"')) else said


def is_head(name: str) -> bool:
    """Tell whether a variable names the first node."""
    return _HEAD.match(name) is not None


def names_head(text: str) -> bool:
    """Tell whether a command's output is the name of the first node."""
    return _FIRST.fullmatch(" ".join(text.split())) is not None


def is_argument(piece: Piece) -> bool:
    """Tell whether it is one of a script's own arguments: `$1`, `$@`."""
    return piece.kind == "variable" and (piece.text.isdigit() or piece.text in ("@", "*", "#"))


def is_of_slurm(name: str) -> bool:
    """Tell whether a variable is always there, and one word."""
    return name.startswith("SLURM") or name in _EVERYWHERE or name in _OF_JOB


def read_in(text: str) -> list[str]:
    """Return the variables that a line of bash reads, and perhaps a few more."""
    found = re.findall(r"\$\{?[!#]?([A-Za-z_]\w*)", text) + re.findall(r"\b([A-Za-z_]\w*)\[", text)
    for inner in re.findall(r"\(\((.*?)\)\)", text, re.DOTALL):
        found += re.findall(r"[A-Za-z_]\w*", inner)
    return found


def shown(names: Iterable[str]) -> str:
    """Return names for a note, each once."""
    return ", ".join(dict.fromkeys(names))
