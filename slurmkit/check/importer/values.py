"""Words of the script as texts of the job file, with `${env:NAME}` for what the node puts in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from slurmkit.check.importer import names
from slurmkit.check.importer.bash import (
    in_bash,
    is_defaulted,
    is_first_node,
    is_one_word,
    may_be_unset,
)
from slurmkit.check.importer.draft import Draft
from slurmkit.check.script.shell import Command, Context
from slurmkit.check.script.source import Source
from slurmkit.check.script.variables import expand, is_assigned, reads, resolve
from slurmkit.check.script.words import Piece, Word

HOME = "${env:HOME}"
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_PLAIN_DEFAULT = re.compile(r"[^$`\"'\\{}]*\Z")


@dataclass(frozen=True)
class World:
    """How many processes the job has."""

    nodes: int = 1
    per_node: int = 1
    is_direct: bool = False
    """A task of srun is a process of the program."""

    @property
    def known(self) -> dict[str, int]:
        """Slurm's own counts."""
        tasks = self.nodes * (self.per_node if self.is_direct else 1)
        return {
            "SLURM_NNODES": self.nodes, "SLURM_JOB_NUM_NODES": self.nodes, "SLURM_NTASKS": tasks,
            "SLURM_NPROCS": tasks, "SLURM_NTASKS_PER_NODE": tasks // self.nodes,
            "SLURM_GPUS_ON_NODE": self.per_node, "SLURM_GPUS_PER_NODE": self.per_node,
        }  # fmt: skip


class Values:
    """Writes words for the job file."""

    def __init__(self, draft: Draft, source: Source, world: World) -> None:
        self._draft = draft
        self._source = source
        self._world = world
        self._is_split = False
        """Whether a shell splits a word that it puts in: not so in `A=$B`."""
        self._told: set[str] = set()
        self.lists: list[str] = []
        """Variables that hold an array's words, quoted."""
        self.needs_shell = False
        """Whether a word was met that may come to none, or to several: only a shell tells."""

    def texts(self, words: Sequence[Word], command: Command) -> list[str]:
        """Return the words that a launch's words become."""
        self._is_split = True
        found: list[str] = []
        for word in words:
            for part in expand(word, command.order, command.context):
                said = [text for text, _ in self._parts(part, command.order, command.context)]
                if said or (not part.pieces and _stays(word)):
                    found.append("".join(said))
                for piece in part.pieces:
                    if piece.kind == "text" and not piece.is_quoted:
                        self._tell_of_patterns(piece)
        self._is_split = False
        return found

    def text(self, word: Word, order: int, context: Context | None = None) -> str:
        """Return one word, all of it."""
        parts = expand(word, order, context)
        return " ".join("".join(t for t, _ in self._parts(p, order, context)) for p in parts)

    def line(self, words: Sequence[Word], command: Command) -> str:
        """Return words as bash reads them on the nodes, where a word may come to several."""
        self._is_split = True
        found: list[str] = []
        for word in words:
            for part in expand(word, command.order, command.context):
                parts = self._parts(part, command.order, command.context)
                said = [in_bash(text, self.lists, is_quoted=quoted) for text, quoted in parts]
                if said or (not part.pieces and _stays(word)):
                    found.append("".join(said) or "''")
        self._is_split = False
        return " ".join(found)

    def _parts(self, word: Word, order: int, context: Context | None) -> Iterator[tuple[str, bool]]:
        """Yield what a word is made of, and whether it stands in quotes."""
        for via, pieces in _by_variable(word.pieces):
            if via is not None and self._is_worked_out(via, pieces, order, context):
                named = replace(via, is_quoted=pieces[0].is_quoted)  # as the launch has it
                said = self._variable(named, pieces)
                if said is not None:
                    yield said, named.is_quoted
                continue
            for piece in pieces:
                said = self._piece(piece, order, context)
                if said is not None:
                    yield said, piece.is_quoted

    def _is_worked_out(
        self, via: Piece, pieces: Sequence[Piece], order: int, context: Context | None
    ) -> bool:
        """Tell whether pieces are all of a variable's value, and it is better named than told."""
        if all(self._is_plain(piece, order, context) for piece in pieces):
            is_given = len(pieces) == 1 and names.is_argument(pieces[0])
            is_given &= pieces[0].default is None and _is_whole(via, order, context)
            return is_given or via.text in names.MEETING
        whole = expand(Word((via,), via.span), order, context)
        return len(whole) == 1 and len(whole[0].pieces) == len(pieces)

    def _is_plain(self, piece: Piece, order: int, context: Context | None) -> bool:
        """Tell whether a piece of a value can stand in the job file, with nothing worked out."""
        if piece.kind == "text" or (piece.kind == "variable" and not piece.operation):
            return True
        if names.is_argument(piece):
            return True
        word = Word((piece,), piece.span)
        return resolve(word, order, context, self._world.known) is not None

    def _piece(self, piece: Piece, order: int, context: Context | None) -> str | None:
        if piece.kind == "text":
            return self._home(piece) if piece.is_home else piece.text.replace("${", "$${")
        word = Word((piece,), piece.span)
        if piece.kind == "arithmetic":
            known = resolve(word, order, context, self._world.known)
            world = self._world.nodes * self._world.per_node
            if known == str(world) and world > 1 and self._counts(word, order, context):
                return "${env:WORLD_SIZE}"
        else:
            known = resolve(word, order, context)
        if known is not None and (piece.kind != "variable" or piece.default is None):
            return known.replace("${", "$${")
        if piece.kind == "variable":
            return self._variable(piece)
        if names.names_head(piece.text):
            return "${env:MASTER_ADDR}"
        if piece.kind == "substitution" and not names.prints_a_word(piece.text):
            self.needs_shell |= self._may_be_several(piece)
        return self._helper(piece)

    def _home(self, piece: Piece) -> str:
        """`~`, or `~NAME`: no shell reads the job file's words."""
        if piece.text != "~":
            why = "bash puts in that user's home directory: write its path"
            self._draft.note(self._line(piece), "changed", piece.text, why)
        return HOME if piece.text == "~" else piece.text

    def _counts(self, word: Word, order: int, context: Context | None) -> bool:
        """Tell whether a product is made of what Slurm counts."""
        found = {name for piece in reads(word, order, context) for name in (piece.text,)}
        return bool(found & set(self._world.known))

    def _variable(self, piece: Piece, value: Sequence[Piece] = ()) -> str | None:
        name, line = piece.text, self._line(piece)
        if len(value) == 1 and names.is_argument(value[0]):
            if value[0].text.isdigit() and names.MAY_BE_SEVERAL.search(name):
                self.needs_shell |= self._may_be_several(piece)
            return self._argument(value[0], name)
        if not _NAME.match(name):
            return self._argument(piece, f"ARG_{name}")
        if piece.operation in ("[@]", "[*]") and value == () and self._is_split:
            return self._list(piece)
        if piece.operation and piece.default is None:
            self.needs_shell |= self._may_be_several(piece) and "+" in piece.operation[:2]
            return self._helper(piece)
        if name in self._draft.swept or name in names.MEETING:
            return f"${{env:{name}}}"
        name = self._of_slurm(piece)
        is_own = is_assigned(piece.text, piece.shell) or is_defaulted(piece.text, piece.shell)
        if is_own and (names.is_head(name) or is_first_node(piece)):
            return "${env:MASTER_ADDR}"
        if is_own:
            self._draft.needed.setdefault(piece.text, line)
            self._draft.exported.add(piece.text)
        elif not names.is_of_slurm(name):
            self._draft.foreign.add(name)
        if (piece.default or "").startswith("~/") and not (piece.is_quoted and piece.via is None):
            return self._helper(replace(piece, operation=piece.operation.replace("~", "$HOME", 1)))
        if piece.default is not None and _PLAIN_DEFAULT.match(piece.default):
            is_one = piece.default and len(piece.default.split()) == 1
            if not is_one or names.MAY_BE_SEVERAL.search(name):
                self.needs_shell |= self._may_be_several(piece)
            return f"${{env:{name}:-{piece.default}}}"
        return self._put_in(name, piece, is_own=is_own)

    def _of_slurm(self, piece: Piece) -> str:
        """Return what Slurm's variables are called in the job that slurmkit writes."""
        name = piece.text
        if name == "SLURM_ARRAY_TASK_ID":
            return names.ARRAY_VARIABLE
        if name in names.OF_A_TASK and piece.shell.where == "batch":
            why = "was read on the batch host, where it is that of the first task; now on each node"
            self._draft.note(self._line(piece), "changed", f"${name}", why)
        is_argument = (
            self._world.is_direct and self._is_split
        )  # a variable is read before it is set
        return names.OF_LAUNCHER.get(name, name) if is_argument else name

    def _put_in(self, name: str, piece: Piece, *, is_own: bool) -> str:
        """Name a variable; one that nobody is sure of is told, or left to a shell."""
        is_one = names.is_of_slurm(name) or (is_own and is_one_word(piece))
        if is_one or (is_own and not self._may_be_several(piece) and not may_be_unset(piece)):
            return f"${{env:{name}}}"
        if self._may_be_several(piece):
            if is_own or names.MAY_BE_SEVERAL.search(name):
                self.needs_shell = True
                return f"${{env:{name}:-}}"
            if name in self._told:
                return f"${{env:{name}}}"
            self._told.add(name)
            why = "comes from outside: set it where the job is submitted, or write its value"
            self._draft.note(self._line(piece), "changed", f"${name}", why)
            return f"${{env:{name}}}"
        return f"${{env:{name}:-}}"

    def _may_be_several(self, piece: Piece) -> bool:
        """Tell whether a shell would split what it puts in."""
        return self._is_split and not piece.is_quoted

    def _argument(self, piece: Piece, name: str) -> str | None:
        """`$1` of the script: sbatch hands nothing to a job file's program."""
        line, said = self._line(piece), f"${piece.text}"
        if not piece.text.isdigit() or piece.text == "0":
            why = "sbatch's own arguments have no place in a job file: write what they were"
            self._draft.note(line, "changed", said, why)
            return None
        if piece.default is not None and _PLAIN_DEFAULT.match(piece.default):
            why = "an argument of sbatch's: its default stands in the job file"
            self._draft.note(line, "changed", said, why)
            return piece.default
        why = f"an argument of sbatch's: set {name} under environment.variables"
        self._draft.note(line, "changed", said, why)
        return f"${{env:{name}}}"

    def _list(self, piece: Piece) -> str:
        """An array, which no environment holds: quoted in setup, and read again by bash."""
        self.needs_shell = True
        said = self._helper(replace(piece, operation="[*]@Q"))
        self.lists.append(said.removeprefix("${env:").removesuffix("}"))
        return said

    def _helper(self, piece: Piece) -> str:
        """Have setup work out what a shell puts in, into a variable of its own."""
        draft = self._draft
        said = Word((piece,), piece.span).shown
        for at, line in enumerate(draft.helpers):
            if line.partition("=")[2] == f'"{said}"':
                return f"${{env:IMPORTED_{at + 1}}}"
        name = f"IMPORTED_{len(draft.helpers) + 1}"
        draft.helpers.append(f'export {name}="{said}"')
        for found in names.read_in(f"(({said}))" if piece.kind == "arithmetic" else said):
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


def _is_whole(via: Piece, order: int, context: Context | None) -> bool:
    """Tell whether a variable's value is no more than one piece."""
    whole = expand(Word((via,), via.span), order, context)
    return len(whole) == 1 and len(whole[0].pieces) == 1


def _stays(word: Word) -> bool:
    """Tell whether a word that comes to nothing is a word: `""`, but not an empty `$A`."""
    return not word.pieces or any(piece.is_quoted for piece in word.pieces)


def _by_variable(pieces: Sequence[Piece]) -> list[tuple[Piece | None, list[Piece]]]:
    """Return pieces side by side that come from the value of one variable."""
    groups: list[tuple[Piece | None, list[Piece]]] = []
    for piece in pieces:
        if groups and piece.via is not None and groups[-1][0] is piece.via:
            groups[-1][1].append(piece)
        else:
            groups.append((piece.via, [piece]))
    return groups
