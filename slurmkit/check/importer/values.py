"""Words of the script as texts of the job file, with `${env:NAME}` for what the node puts in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from slurmkit.check.importer.draft import Draft
from slurmkit.check.script.shell import Command, Context, Shell
from slurmkit.check.script.source import Source
from slurmkit.check.script.variables import expand, is_assigned, resolve
from slurmkit.check.script.words import Piece, Word

_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_EVERYWHERE = ("HOME", "USER", "PWD", "PATH", "HOSTNAME", "TMPDIR", "LD_LIBRARY_PATH")
_OF_JOB = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "ARRAY_TASK_ID")
_OF_A_TASK = ("SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID", "SLURMD_NODENAME", "SLURM_TASK_PID")
_OF_LAUNCHER = {
    "SLURM_PROCID": "RANK", "SLURM_LOCALID": "LOCAL_RANK", "SLURM_NTASKS": "WORLD_SIZE",
    "SLURM_NPROCS": "WORLD_SIZE", "SLURM_NODEID": "SLURM_NODEID",
}  # fmt: skip
ARRAY_VARIABLE = "ARRAY_TASK_ID"


class Values:
    """Writes words for the job file."""

    def __init__(self, draft: Draft, source: Source) -> None:
        self._draft = draft
        self._source = source
        self.needs_shell = False
        """Whether a word was met that may come to none, or to several: only a shell tells."""

    def texts(self, words: Sequence[Word], command: Command) -> list[str]:
        """Return the words that a launch's words become."""
        found: list[str] = []
        for word in words:
            for part in expand(word, command.order, command.context):
                text = self._text(part, command.order, command.context)
                if text is not None:
                    found.append(text)
        return found

    def text(self, word: Word, order: int, context: Context | None = None) -> str:
        """Return one word, all of it."""
        parts = (self._text(part, order, context) for part in expand(word, order, context))
        return " ".join(part for part in parts if part is not None)

    def _text(self, word: Word, order: int, context: Context | None) -> str | None:
        parts: list[str] = []
        for via, pieces in _by_variable(word.pieces):
            if via is not None and _is_worked_out(via, pieces, order, context):
                parts.append(self._variable(via) or "")
                continue
            for piece in pieces:
                said = self._piece(piece, order, context)
                if said is not None:
                    parts.append(said)
                if piece.kind == "text" and not piece.is_quoted:
                    self._tell_of_patterns(piece)
        return "".join(parts) if parts or not word.pieces else None

    def _piece(self, piece: Piece, order: int, context: Context | None) -> str | None:
        if piece.kind == "text":
            return piece.text.replace("${", "$${")
        known = resolve(Word((piece,), piece.span), order, context)
        if known is not None and (piece.kind != "variable" or piece.default is None):
            return known.replace("${", "$${")
        if piece.kind == "variable":
            return self._variable(piece)
        return self._helper(piece)

    def _variable(self, piece: Piece) -> str | None:
        name, line = piece.text, self._line(piece)
        if not _NAME.match(name):
            self._draft.note(
                line, "changed", f"${name}", "sbatch's own arguments have no place in a job file: "
                "write what they were"
            )  # fmt: skip
            return None
        if piece.operation and piece.default is None:
            return self._helper(piece)
        if name == "SLURM_ARRAY_TASK_ID":
            name = ARRAY_VARIABLE
        elif name in _OF_A_TASK and piece.shell.where == "batch":
            why = "was read on the batch host, where it is that of the first task; now on each node"
            self._draft.note(line, "changed", f"${name}", why)
        name = _OF_LAUNCHER.get(name, name)
        if name in self._draft.swept:
            return f"${{env:{name}}}"
        is_own = is_assigned(piece.text, piece.shell)
        if is_own:
            self._draft.needed.setdefault(piece.text, line)
        if piece.default is not None and not re.search(r"[$`\"'\\{}]", piece.default):
            return f"${{env:{name}:-{piece.default}}}"
        is_sure = is_own and not self._may_be_unset(piece)
        self.needs_shell |= not (piece.is_quoted or is_sure or _is_of_slurm(name))
        is_set = is_sure or _is_of_slurm(name)
        return f"${{env:{name}}}" if is_set else f"${{env:{name}:-}}"

    def _may_be_unset(self, piece: Piece) -> bool:
        at: Shell | None = piece.shell
        while at is not None:
            if any(not one.context.blocks for one in at.assignments.get(piece.text, ())):
                return False
            at = at.parent
        return True

    def line(self, words: Sequence[Word], command: Command) -> str:
        """Return words as bash reads them on the nodes, where a word may come to several."""
        parts: list[str] = []
        for word in words:
            for part in expand(word, command.order, command.context):
                said = "".join(self._in_bash(piece, command) for piece in part.pieces)
                parts.append(said or "''")
        return " ".join(parts)

    def _in_bash(self, piece: Piece, command: Command) -> str:
        said = self._piece(piece, command.order, command.context) or ""
        match = re.fullmatch(r"\$\{env:(\w+)(:-[^}]*)?\}", said)
        if match is None:
            text = shlex.quote(said.replace("$${", "${"))
            return (text if text != "''" else "").replace("${", "$${")
        read = f"$${{{match[1]}{match[2] or ''}}}"
        return f'"{read}"' if piece.is_quoted else read

    def _helper(self, piece: Piece) -> str:
        """Have setup work out what a shell puts in, into a variable of its own."""
        draft = self._draft
        said = Word((piece,), piece.span).shown
        for at, line in enumerate(draft.helpers):
            if line.partition("=")[2] == f'"{said}"':
                return f"${{env:IMPORTED_{at + 1}}}"
        name = f"IMPORTED_{len(draft.helpers) + 1}"
        draft.helpers.append(f'export {name}="{said}"')
        for read in re.findall(r"\$\{?[!#]?([A-Za-z_]\w*)|\b([A-Za-z_]\w*)\[", said):
            found = read[0] or read[1]
            if is_assigned(found, piece.shell):
                draft.needed.setdefault(found, self._line(piece))
        if piece.shell.where != "batch":
            why = "was worked out on each node; setup does it once, on the first"
            draft.note(self._line(piece), "changed", said, why)
        return f"${{env:{name}}}"

    def _tell_of_patterns(self, piece: Piece) -> None:
        if re.search(r"[*?]|\{[^{}]*(,|\.\.)[^{}]*\}", piece.text):
            why = "a pattern, which no shell expands any more: write the files, or quote it there"
            self._draft.note(self._line(piece), "changed", piece.text, why)

    def _line(self, piece: Piece) -> int:
        return self._source.place(piece.span.start)[0]


def _by_variable(pieces: Sequence[Piece]) -> list[tuple[Piece | None, list[Piece]]]:
    """Return pieces side by side that come from the value of one variable."""
    groups: list[tuple[Piece | None, list[Piece]]] = []
    for piece in pieces:
        if groups and piece.via is not None and groups[-1][0] is piece.via:
            groups[-1][1].append(piece)
        else:
            groups.append((piece.via, [piece]))
    return groups


def _is_of_slurm(name: str) -> bool:
    """Tell whether a variable is always there, and one word."""
    return name.startswith("SLURM") or name in _EVERYWHERE or name in _OF_JOB


def _is_worked_out(
    via: Piece, pieces: Sequence[Piece], order: int, context: Context | None
) -> bool:
    """Tell whether pieces are all of a variable's value, and the job file cannot have it."""
    if all(_is_plain(piece, order, context) for piece in pieces):
        return False
    whole = expand(Word((via,), via.span), order, context)
    return len(whole) == 1 and len(whole[0].pieces) == len(pieces)


def _is_plain(piece: Piece, order: int, context: Context | None) -> bool:
    """Tell whether a piece of a value can stand in the job file, with nothing worked out."""
    if piece.kind == "text" or (piece.kind == "variable" and not piece.operation):
        return True
    return resolve(Word((piece,), piece.span), order, context) is not None
