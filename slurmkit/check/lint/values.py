"""Which values of sbatch's options it refuses before it takes a script.

Only where every release does so. Source: src/common/slurm_opt.c and proc_args.c of Slurm; tried on
22.05.
"""

from __future__ import annotations

import re

from slurmkit.slurm.scalars import GrammarError, is_number, parse_memory

MEMORY = ("mem", "mem-per-cpu", "mem-per-gpu")
_COUNTS = (
    "ntasks", "cpus-per-task", "ntasks-per-node", "cpus-per-gpu", "ntasks-per-gpu",
    "ntasks-per-socket", "ntasks-per-core",
)  # fmt: skip
_SIGNAL = re.compile(
    r"(?:[RB]+:)?(?:\d+|(?:SIG)?(?:HUP|INT|QUIT|ABRT|KILL|ALRM|TERM|USR1|USR2|URG|CONT|STOP|TSTP"
    r"|STP|TTIN|TTOU|CHLD|PIPE|XCPU))(?:@(\d{1,9}))?",
    re.IGNORECASE,
)
_TASKS = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::0*[1-9]\d*)?)?", re.ASCII)
_WORDS = {
    "hint": ("compute_bound", "memory_bound", "multithread", "nomultithread", "help"),
    "kill-on-invalid-dep": ("yes", "no"),
    "exclusive": ("user", "mcs", "topo", "allocation", "exclusive", "oversubscribe"),
}


def right_value(name: str, value: str) -> str | None:
    """Return what to write instead of a value that sbatch refuses; None where it may take it.

    >>> right_value("ntasks", "0")
    'Write a whole number from 1 up.'
    """
    if name in _COUNTS:
        return None if re.fullmatch(r"\+?0*[1-9]\d*", value) else "Write a whole number from 1 up."
    if name == "nodes":
        is_count = re.fullmatch(r"\d+[kKmM]?(-\d+[kKmM]?)?(:\d+)?|[\d,:-]+", value)
        ends = re.fullmatch(r"(\d{1,9})-(\d{1,9})", value)
        is_backwards = ends is not None and int(ends[1]) > int(ends[2])
        is_right = is_count and not is_backwards
        return None if is_right else "Write a whole number, or a range such as 2-4."
    if name in MEMORY or name == "tmp":
        try:
            parse_memory(value)
        except GrammarError as error:
            return f"{error.fix[0].upper()}{error.fix[1:]}."
        return None
    if name == "signal":
        match = _SIGNAL.fullmatch(value)
        is_right = match is not None and int(match[1] or 0) <= 65535
        return None if is_right else "Write [B:]SIGNAL[@SECONDS], such as B:USR1@120."
    if name == "array":
        return None if _is_array(value) else "Write numbers and ranges, such as 0-9%4 or 1,3,5-7:2."
    words = _WORDS.get(name)
    if words is None or value.lower() in words:
        return None
    return f"Write one of {', '.join(words)}." if name != "exclusive" else "Write --exclusive."


def _is_array(value: str) -> bool:
    """Tell whether a value is one of --array's; an empty number between commas is passed over."""
    tasks, _, most = value.partition("%")
    if most and not is_number(most):
        return False
    parts = [part for part in tasks.strip("[]").split(",") if part]
    matches = [_TASKS.fullmatch(part) for part in parts]
    return bool(parts) and all(m is not None and int(m[1]) <= int(m[2] or m[1]) for m in matches)
