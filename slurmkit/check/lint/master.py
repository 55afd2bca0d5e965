"""Where a script says at which address and port the processes meet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.settings import Setting
from slurmkit.check.lint.shape import step_nodes
from slurmkit.check.lint.work import works
from slurmkit.check.script.launches import Launch, LaunchOption, after_equals
from slurmkit.check.script.shell import Assignment, Command, Context, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import assigned, expand
from slurmkit.check.script.words import Piece, Word

ADDRESS_OPTIONS = ("master-addr", "main-process-ip", "rdzv-endpoint")
PORT_OPTIONS = ("master-port", "main-process-port", "rdzv-endpoint")
_URL = re.compile(r"(?:^|=)tcp://")


@dataclass(frozen=True, eq=False)
class Given:
    """A place where the master's address, or port, is given."""

    label: str
    """MASTER_ADDR, --master-addr…"""
    word: Word
    order: int
    context: Context
    shell: Shell
    """The shell that the place belongs to."""
    span: Span
    launch: Launch | None = None
    assignment: Assignment | None = None
    option: LaunchOption | None = None
    is_endpoint: bool = False
    """Whether it is HOST:PORT, perhaps as a URL."""

    def pieces(self) -> list[Piece]:
        """Return what the value comes to."""
        return [p for word in expand(self.word, self.order, self.context) for p in word.pieces]


@lru_cache(maxsize=4)
def addresses(job: Job) -> tuple[Given, ...]:
    """Return the places that give the master's address to a launch, or to the environment."""
    return tuple(_given(job, ADDRESS_OPTIONS, ("MASTER_ADDR",)))


@lru_cache(maxsize=4)
def ports(job: Job) -> tuple[Given, ...]:
    """Return the places that give the master's port."""
    return tuple(_given(job, PORT_OPTIONS, ("MASTER_PORT",)))


def _given(job: Job, options: Sequence[str], names: Sequence[str]) -> Iterator[Given]:
    used: set[int] = set()
    handed = _handed_over(job, names)
    for launch in job.launches:
        command = launch.command
        for name in options:
            option = launch.option(name)
            if option is not None and option.value is not None:
                yield Given(
                    f"--{name.replace('-', '_')}", option.value, command.order, command.context,
                    command.shell, option.span, launch, None, option, "endpoint" in name,
                )  # fmt: skip
        if launch.is_launcher:
            continue
        for name in names:
            own = next((v for v in command.variables if v.name == name), None)
            found = own or assigned(name, command.shell, command.order, command.context)
            if found is not None and found.value is not None and _is_seen(job, found):
                used.add(id(found))
                yield _of_assignment(found, job, launch)
        for starter in {command, launch.srun_command}:
            for setting in handed.get(starter, ()):
                yield _of_setting(setting, launch)
        for word in launch.arguments:
            if _URL.search(word.shown):
                value = word if word.shown.startswith("tcp:") else after_equals(word)
                yield Given(
                    "tcp://", value, command.order, command.context, command.shell, word.span,
                    launch, None, None, True,
                )  # fmt: skip
    for name in names:
        yield from _for_unknown_programs(job, name, used)


def _handed_over(job: Job, names: Sequence[str]) -> dict[Command | None, list[Setting]]:
    """`srun --export=ALL,MASTER_ADDR=n1 python …`, `env MASTER_ADDR=n1 python …`."""
    found: dict[Command | None, list[Setting]] = {}
    for setting in job.settings:
        if setting.name in names and setting.command is not None and setting.statement is None:
            found.setdefault(setting.command, []).append(setting)
    return found


def _of_setting(setting: Setting, launch: Launch) -> Given:
    word = setting.value or Word((), setting.span)
    return Given(
        setting.name, word, setting.order, setting.context, setting.shell, setting.span, launch
    )


def _for_unknown_programs(job: Job, name: str, used: set[int]) -> Iterator[Given]:
    """An exported value that `srun bash run.sh` may read."""
    if not _starts_unknown(job):
        return
    known = [a for a in job.script.batch.assignments.get(name, ()) if a.value is not None]
    if not known or known[-1].context.blocks or known[-1].context.functions:
        return
    last = known[-1]
    if id(last) not in used and _is_seen(job, last):
        yield _of_assignment(last, job, None)


def _starts_unknown(job: Job) -> bool:
    """Tell whether srun starts a program here that the reader does not know."""
    if any(work.launch is None for work in works(job)):
        return True
    layers = job.script.layers
    return any(
        (command.shell.where == "node" or layers[command].srun is not None)
        and not layers[command].program
        and not command.context.in_substitution
        for command in job.script.commands
    )


def _is_seen(job: Job, found: Assignment) -> bool:
    return found.is_exported or found.name in job.script.exports


def _of_assignment(found: Assignment, job: Job, launch: Launch | None) -> Given:
    assert found.value is not None
    shell = found.value.pieces[0].shell if found.value.pieces else job.script.batch
    return Given(
        found.name, found.value, found.order, found.context, shell, found.span, launch, found
    )


def origin(job: Job, given: Given, pieces: Sequence[Piece]) -> tuple[str, Span]:
    """Return what the value is called where it stands in the end, and where that is.

    `MASTER_ADDR=localhost` is the place to mend, not each `--master_addr=$MASTER_ADDR`.
    """
    span = given.option.span if given.option is not None else given.span
    first = pieces[0] if pieces else None
    if first is None or first.via is None:
        return given.label, span
    written = job.script.source.data[first.span.start : first.span.end]
    is_value = first.kind != "text" or written == first.text.encode()
    return (first.via.text, first.span) if is_value else (given.label, span)


def host_of(given: Given) -> tuple[str, bool] | None:
    """Return the host that a place names, and whether it is only a default; None if not plain."""
    text, is_default = "", False
    for piece in given.pieces():
        if piece.kind == "text":
            text += piece.text
        elif piece.kind == "variable" and piece.default is not None and "$" not in piece.default:
            text, is_default = text + piece.default, True
        else:
            if ":" not in text.removeprefix("tcp://"):
                return None
            break
    text = text.strip().strip("\"'")
    if given.is_endpoint:
        text = text.removeprefix("tcp://").removeprefix("env://")
        text = text.partition(":")[0] if text.count(":") < 2 else text
    return (text, is_default) if text else None


def port_pieces(given: Given) -> list[Piece]:
    """Return the pieces of the port that a place names; of HOST:PORT those behind the colon."""
    pieces = given.pieces()
    if not given.is_endpoint:
        return pieces
    for index in range(len(pieces) - 1, -1, -1):
        piece = pieces[index]
        if piece.kind == "text" and ":" in piece.text:
            after = piece.text.rpartition(":")[2]
            end = Span(piece.span.end - len(after.encode()), piece.span.end)
            head = [Piece("text", after, end, piece.is_quoted, piece.shell)] if after else []
            return [*head, *pieces[index + 1 :]]
    return []


def runs_on_many(job: Job, given: Given) -> bool:
    """Tell whether the place surely serves a launch on several nodes at once."""
    if not job.is_multi_node or job.is_het:
        return False
    if given.launch is None:
        return True
    if not given.launch.through:
        return False
    nodes = step_nodes(job, given.launch)
    return nodes is None or nodes > 1 or given.launch.command.context.in_background
