"""Between which numbers an expression such as `$((10000 + SLURM_JOB_ID % 20000))` lies."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from slurmkit.check.script.words import Piece

Interval = tuple[int, int]

_VARIABLES: dict[str, Interval] = {
    "RANDOM": (0, 32767),
    "UID": (0, 2**31),
    "EUID": (0, 2**31),
    "PPID": (1, 2**22),
    "BASHPID": (1, 2**22),
    "SLURM_JOB_ID": (1, 2**26),
    "SLURM_JOBID": (1, 2**26),
    "SLURM_ARRAY_JOB_ID": (1, 2**26),
    "SLURM_LOCALID": (0, 63),
    "SLURM_NODEID": (0, 1023),
    "SLURM_PROCID": (0, 1023),
    "SLURM_RESTART_COUNT": (0, 100),
}
"""What Slurm and bash set. Job ids end at 67,043,327 (MaxJobId of slurm.conf)."""
_TAIL = re.compile(
    r"(?:echo|printf)(?: -n| '?%s'?)? \"?\$\{?SLURM_(?:ARRAY_)?JOB_?ID\}?\"? *\| *tail -c *(\d)"
)
_ENDLESS = 10**18
_SHUF = re.compile(r"shuf (?:-n ?1 )?-i ?(\d{1,9})-(\d{1,9})(?: -n ?1)?")


def interval(pieces: Sequence[Piece], array_most: int) -> Interval | None:
    """Return the least and the most that pieces can be together; None where that is not known.

    Args:
        pieces: Of a word.
        array_most: The highest array task id.
    """
    parts = [_of_piece(piece, array_most) for piece in pieces]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if len(known) == 1:
        return _shown(known[0][0])
    low = high = 0
    for (least, most), digits in known:  # side by side: `1${SLURM_JOB_ID: -4}`
        if digits is None:
            return None
        low, high = low * 10**digits + least, high * 10**digits + most
    return _shown((low, high))


def _shown(found: Interval) -> Interval | None:
    """Return it unless its numbers are longer than anybody wants to read."""
    return found if max(map(abs, found)) < _ENDLESS else None


def _of_piece(piece: Piece, array_most: int) -> tuple[Interval, int | None] | None:
    """Return the numbers of a piece, and how many digits it has where that is fixed."""
    if piece.kind == "text":
        text = piece.text.strip()
        return ((int(text), int(text)), len(text)) if re.fullmatch(r"\d{1,9}", text) else None
    if piece.kind == "variable":
        return _of_variable(piece, array_most)
    if piece.kind == "substitution":
        return _of_substitution(piece.text)
    found = _of_text(piece.text, array_most)
    return (found, None) if found is not None else None


def _of_variable(piece: Piece, array_most: int) -> tuple[Interval, int | None] | None:
    cut = re.fullmatch(r": +-(\d)", piece.operation) or re.fullmatch(r":\(-(\d)\)", piece.operation)
    if cut is not None and piece.text.endswith(("JOB_ID", "JOBID")):
        return (0, 10 ** int(cut[1]) - 1), int(cut[1])
    if piece.operation and piece.default is None:
        return None
    found = _variable(piece.text, array_most)
    return (found, None) if found is not None else None


def _of_substitution(text: str) -> tuple[Interval, int | None] | None:
    tail = _TAIL.fullmatch(text.strip())
    if tail is not None:
        digits = int(tail[1])
        digits -= 0 if " -n" in text or "printf" in text else 1  # the line break
        return (0, 10**digits - 1), digits
    sum_ = re.fullmatch(r"expr\s+(.+)", text.strip())
    if sum_ is not None:
        found = _of_text(sum_[1].replace("\\*", "*").replace("'*'", "*"), 0)
        return (found, None) if found is not None else None
    shuf = _SHUF.fullmatch(text.strip())
    return ((int(shuf[1]), int(shuf[2])), None) if shuf is not None else None


def _variable(name: str, array_most: int) -> Interval | None:
    if name in ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MAX"):
        return (0, array_most)
    return _VARIABLES.get(name)


def _of_text(text: str, array_most: int) -> Interval | None:
    """Work out what stands between `$((` and `))`."""
    plain = re.sub(r"\$\{?([A-Za-z_]\w*)(?::-\d+)?\}?", r"\1", text).replace("$$", "BASHPID")
    try:
        return _calculated(
            ast.parse(plain.replace("/", "//").strip(), mode="eval").body, array_most
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _calculated(node: ast.expr, array_most: int) -> Interval:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value, node.value
    if isinstance(node, ast.Name):
        found = _variable(node.id, array_most)
        if found is None:
            raise ValueError(node.id)
        return found
    if not isinstance(node, ast.BinOp):
        raise ValueError(ast.dump(node))
    (a, b), (c, d) = _calculated(node.left, array_most), _calculated(node.right, array_most)
    if isinstance(node.op, ast.Add):
        return a + c, b + d
    if isinstance(node.op, ast.Sub):
        return a - d, b - c
    if isinstance(node.op, ast.Mult) and a >= 0 and c >= 0:
        return a * c, b * d
    if isinstance(node.op, ast.Mod) and a >= 0 and c > 0:
        return (a, b) if b < c else (0, min(b, d - 1))
    if isinstance(node.op, ast.FloorDiv) and a >= 0 and c > 0:
        return a // d, b // c
    raise ValueError(ast.dump(node))
