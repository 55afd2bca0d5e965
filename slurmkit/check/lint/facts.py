"""What values of environment variables come to, in a script and in a job file alike."""

from __future__ import annotations

import re

from slurmkit.check.lint.names import names

LEAST_MEMORY = 1024  # megabytes: Python with torch takes more before it does anything
ON = ("1", "true", "yes", "on")
_TIMEOUT = re.compile(
    r"(?:TORCH_)?NC[CL]L_(?:COMM_|COLL_|COLLECTIVE_|SOCKET_|OP_|OPERATION_)?TIMEOUT"
    r"(?:_(?:MS|MSEC|S|SEC|SECS|SECOND|SECONDS|MIN|MINS|MINUTES))?"
)
_DEBUG = {
    "CUDA_LAUNCH_BLOCKING": (ON, "makes every kernel launch wait for its end"),
    "TORCH_DISTRIBUTED_DEBUG": (("detail",), "checks every collective among all ranks"),
    "NCCL_DEBUG": (("trace",), "logs every call of every rank"),
    "NCCL_DEBUG_SUBSYS": (("all",), "logs all parts of NCCL on every rank"),
}
_TRANSPORTS = {
    "NCCL_IB_DISABLE": "traffic between the nodes goes over TCP sockets, without InfiniBand",
    "NCCL_P2P_DISABLE": "traffic between the GPUs of a node goes through the host's memory",
}
INTERFACES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
_REASON = re.compile(
    r"\b(because|since|must|otherwise|without|bug|slow|no|not|doesn't|don't|cannot|can't|only|known"
    r"|see|https?|work ?around|(avoid|prevent|fix|need|requir|hang|crash|deadlock|fail|issue|error"
    r"|broke|fast|stab|unstab|support|ensur|help|compatib)\w*)\b|#\d+",
    re.IGNORECASE,
)
_CODE = re.compile(r"\s*(SBATCH\b|(export\s+)?[A-Za-z_]\w*=|(module|srun|python|source|set)\s)")


def is_unread_timeout(name: str) -> bool:
    """Tell whether a variable is meant for a time-out, and nobody reads it."""
    return _TIMEOUT.fullmatch(name) is not None and name not in names()


def debugging(name: str, value: str) -> str:
    """Say what a variable that is for debugging costs; empty where it is none."""
    values, what = _DEBUG.get(name, ((), ""))
    return what if value.strip().lower() in values else ""


def transport_off(name: str, value: str) -> str:
    """Say what it means that a transport of NCCL's is switched off; empty where none is."""
    return _TRANSPORTS.get(name, "") if value.strip().lower() in ON else ""


def unknown_value(name: str, value: str) -> tuple[str, ...]:
    """Return the values that a variable may have, where this is none of them."""
    row = names().get(name)
    known = row.values if row is not None else ()
    return known if value.strip() and value.strip().upper() not in known else ()


def says_why(behind: str, above: str) -> bool:
    """Tell whether a comment gives a reason: behind a setting, or on the line above it.

    Args:
        behind: What stands behind the line's #.
        above: The line above.
    """
    above = above.strip()
    above = above.lstrip("#") if above.startswith("#") else ""
    return any(_REASON.search(text) and not _CODE.match(text) for text in (behind, above))
