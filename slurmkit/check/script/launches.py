"""The launches of a script: what starts the training's processes, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from slurmkit.check.script.launcher_options import full_name, takes_value
from slurmkit.check.script.layers import Layers, is_python, program_name
from slurmkit.check.script.options import Given, Parsed
from slurmkit.check.script.read import Script
from slurmkit.check.script.shell import Command
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import number, resolve
from slurmkit.check.script.words import Word

Kind = Literal["torchrun", "torch.distributed.launch", "accelerate", "deepspeed", "direct"]
"""`direct`: the program itself, a process a task of srun (or one process, without it)."""

_MODULES: dict[str, Kind] = {
    "torch.distributed.run": "torchrun",
    "torch.distributed.launch": "torch.distributed.launch",
    "accelerate.commands.launch": "accelerate",
    "accelerate.commands.accelerate_cli": "accelerate",
    "deepspeed.launcher.runner": "deepspeed",
}
_PYTHON_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


@dataclass(frozen=True, eq=False)
class LaunchOption:
    """An option of a launcher."""

    name: str
    """With dashes: `nproc-per-node`, however it was written."""
    value: Word | None
    span: Span
    words: tuple[Word, ...]
    """The words that it stands in."""

    @property
    def written(self) -> str:
        """Its name as it is written: `--nproc_per_node`."""
        return self.words[0].shown.partition("=")[0]


@dataclass(frozen=True, eq=False)
class Launch:
    """One command that starts processes of a program."""

    kind: Kind
    command: Command
    """The innermost command."""
    layers: Layers
    at: int
    """The index in `layers.words` of the launcher's first word."""
    options: tuple[LaunchOption, ...]
    program: Word | None
    """The script, or with `is_module` the module."""
    arguments: tuple[Word, ...]
    is_module: bool
    python_options: tuple[str, ...] = ()
    """Of a direct launch: what stands between python and the program, such as `-u`."""
    srun: Parsed[Word] | None = None
    """The options of the nearest srun around it."""
    srun_command: Command | None = None
    through: str = ""
    """srun, mpirun or ssh: how it gets to the nodes; empty where only the batch host runs it."""
    in_container: bool = False

    def option(self, *names: str) -> LaunchOption | None:
        """Return the last option of these names (with dashes), which counts."""
        return next((o for o in reversed(self.options) if o.name in names), None)

    def text(self, *names: str) -> str | None:
        """Return the value of an option; None where it is not given, or not known."""
        option = self.option(*names)
        if option is None:
            return None
        return resolve(option.value, self.command.order, self.command.context)

    def number(self, *names: str, known: Mapping[str, int] = {}) -> int | None:
        """Return the value of an option as a whole number; None where it is not known."""
        option = self.option(*names)
        if option is None:
            return None
        return number(option.value, self.command.order, self.command.context, known)

    @property
    def is_launcher(self) -> bool:
        """Tell whether it is one agent that starts the processes of a node."""
        return self.kind != "direct"

    @property
    def span(self) -> Span:
        """The launcher's word itself."""
        return self.layers.words[self.at].span

    def srun_option(self, name: str) -> Given[Word] | None:
        """Return the last option of that name of its srun."""
        return self.srun.last(name) if self.srun else None


def launches(script: Script) -> list[Launch]:
    """Return the launches of a script, in the order of execution.

    Not those of inner scripts, and not those in functions that nobody calls here.
    """
    found = []
    for command in script.commands:
        layers = script.layers.get(command)
        is_known = command.shell.where != "unknown"
        if layers is not None and layers.words and not layers.remote and is_known:
            launch = _launch(script, command, layers)
            if launch is not None:
                found.append(launch)
    return found


def around(script: Script, command: Command) -> Iterator[tuple[Command, Layers]]:
    """Return a command and those that start the shells around it, from the inside."""
    at: Command | None = command
    while at is not None:
        yield at, script.layers[at]
        at = at.shell.starter


def _launch(script: Script, command: Command, layers: Layers) -> Launch | None:
    found = _kind(layers)
    if found is None:
        return None
    kind, begin = found
    srun, starter, through = None, None, command.shell.through
    for outer, peeled in around(script, command):
        if peeled.srun is not None:
            srun, starter = peeled.srun, outer
            break
    through = layers.through or through
    in_container = layers.in_container or command.shell.in_container
    if kind == "direct":
        program, arguments, is_module, given = _python(layers.words, layers.at + 1)
        if program is None:
            return None
        return Launch(
            kind, command, layers, layers.at, (), program, arguments, is_module, given,
            srun, starter, through, in_container,
        )  # fmt: skip
    options, rest = _options(kind, layers.words, begin)
    words = layers.words[rest:]
    is_module = any(o.name in ("m", "module") for o in options)
    program = words[0] if words else None
    return Launch(
        kind, command, layers, layers.at, options, program, tuple(words[1:]), is_module, (),
        srun, starter, through, in_container,
    )  # fmt: skip


def _kind(layers: Layers) -> tuple[Kind, int] | None:
    """Return what a command launches, and where its options begin."""
    name, words, at = layers.program, layers.words, layers.at
    if name == "torchrun":
        return "torchrun", at + 1
    if name == "accelerate":
        is_launch = at + 1 < len(words) and words[at + 1].shown == "launch"
        return ("accelerate", at + 2) if is_launch else None
    if name == "deepspeed":
        return "deepspeed", at + 1
    if is_python(name) or reads_python(words[at] if at < len(words) else None):
        return _of_python(words, at)
    if name.endswith(".py") and (layers.through or name == words[at].shown.rpartition("/")[2]):
        return "direct", at
    return None


def reads_python(word: Word | None) -> bool:
    """`$PYTHON train.py`, where nothing says what PYTHON is."""
    if word is None or len(word.pieces) != 1 or word.pieces[0].kind != "variable":
        return False
    return "PYTHON" in word.pieces[0].text.upper() and "PATH" not in word.pieces[0].text.upper()


def _of_python(words: Sequence[Word], at: int) -> tuple[Kind, int] | None:
    at += 1
    while at < len(words):
        text = words[at].shown
        if text == "-m" and at + 1 < len(words):
            return _MODULES.get(words[at + 1].shown, "direct"), at + 2
        if text.startswith("-m") and len(text) > 2:
            return _MODULES.get(text[2:], "direct"), at + 1
        if text in _PYTHON_WITH_VALUE:
            at += 2
        elif text == "-c":
            return None
        elif text.startswith("-") and text != "-":
            at += 1
        else:
            if program_name(words[at]) in ("torchrun", "accelerate", "deepspeed"):
                name = program_name(words[at])
                return (name, at + (2 if name == "accelerate" else 1))  # type: ignore[return-value]
            return "direct", at
    return None


def _python(
    words: Sequence[Word], at: int
) -> tuple[Word | None, tuple[Word, ...], bool, tuple[str, ...]]:
    """Return program, arguments, whether it is a module, and python's own options."""
    if at > 0 and words[at - 1].shown.endswith(".py"):
        return words[at - 1], tuple(words[at:]), False, ()
    given: list[str] = []
    while at < len(words):
        text = words[at].shown
        if text == "-m" and at + 1 < len(words):
            return words[at + 1], tuple(words[at + 2 :]), True, tuple(given)
        if text in _PYTHON_WITH_VALUE:
            given += [text, *(words[at + 1].shown for _ in words[at + 1 : at + 2])]
            at += 2
        elif text == "-c":
            break
        elif text.startswith("-") and text != "-":
            given.append(text)
            at += 1
        else:
            return words[at], tuple(words[at + 1 :]), False, tuple(given)
    return None, (), False, tuple(given)


def _options(kind: Kind, words: Sequence[Word], at: int) -> tuple[tuple[LaunchOption, ...], int]:
    """Read a launcher's options; return them and where the program stands."""
    found: list[LaunchOption] = []
    launcher = "torchrun" if kind == "torch.distributed.launch" else kind
    while at < len(words):
        word = words[at]
        text = word.shown
        if not text.startswith("-") or text == "-":
            break
        if text == "--":
            at += 1
            break
        name = full_name(launcher, text.partition("=")[0])
        following = words[at + 1] if at + 1 < len(words) else None
        if "=" in text:
            found.append(LaunchOption(name, after_equals(word), word.span, (word,)))
        elif following is None or not takes_value(launcher, name, following.shown):
            found.append(LaunchOption(name, None, word.span, (word,)))
        else:
            span = Span(word.span.start, max(word.span.end, following.span.end))
            found.append(LaunchOption(name, following, span, (word, following)))
            at += 1
        at += 1
    return tuple(found), at


def after_equals(word: Word) -> Word:
    """Return the value of `--name=value` with what is put into it."""
    from dataclasses import replace

    pieces = []
    is_behind = False
    for piece in word.pieces:
        if is_behind:
            pieces.append(piece)
        elif piece.kind == "text" and "=" in piece.text:
            is_behind = True
            before, _, after = piece.text.partition("=")
            if after:
                start = piece.span.start + len(before.encode()) + 1
                start = min(start, piece.span.end)
                pieces.append(replace(piece, text=after, span=Span(start, piece.span.end)))
    start = pieces[0].span.start if pieces else word.span.end
    return Word(tuple(pieces), Span(start, max(start, word.span.end)))
