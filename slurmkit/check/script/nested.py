"""Texts that another shell reads: `bash -c '…'`, heredocs, files that the script writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from slurmkit.check.script.assignments import positional
from slurmkit.check.script.heredoc import as_text
from slurmkit.check.script.layers import SHELLS, Layers, peel
from slurmkit.check.script.shell import Command, Context, Shell
from slurmkit.check.script.source import Text
from slurmkit.check.script.submitted import note_submitted
from slurmkit.check.script.variables import expand
from slurmkit.check.script.words import Piece, Word

if TYPE_CHECKING:
    from slurmkit.check.script.read import Script
    from slurmkit.check.script.walk import Functions

DEEP = 5  # shells within shells


def start_shells(script: Script, command: Command, functions: Functions) -> None:
    """Walk through the shells that a command starts, and note the files that it writes."""
    layers = peel(command)
    script.layers[command] = layers
    _note_file(script, command)
    if depth(command.shell) >= DEEP:
        return
    if layers.program == "sbatch":
        note_submitted(script, command, layers)
        return
    text = _text(script, command, layers)
    if text is None or not text.data.strip():
        return
    where = "node" if layers.through else command.shell.where
    if layers.program == "trap":
        where = command.shell.where
    shell = Shell(
        text,
        where,
        command,
        layers.in_container or command.shell.in_container,
        layers.through or command.shell.through,
        handles=_signals(layers) if layers.program == "trap" else command.shell.handles,
    )
    command.nested.append(shell)
    if (words := _positional(script, layers)) is not None:
        positional(shell, words, script.next_order(), Context(), command)
    script.walk(shell, functions)


def _positional(script: Script, layers: Layers) -> tuple[Word, ...] | None:
    """Return the words behind `bash -c '…' NAME`, which are `$1`, `$2`, … in there."""
    if layers.program not in SHELLS:
        is_file = _file(layers.words[layers.at : layers.at + 1]) in script.files
        return layers.arguments if is_file else None
    for at, word in enumerate(layers.arguments):
        if word.shown.startswith("-") and not word.shown.startswith("--") and "c" in word.shown:
            return layers.arguments[at + 3 :]
        if not word.shown.startswith("-"):
            return layers.arguments[at + 1 :]
    return None


def _text(script: Script, command: Command, layers: Layers) -> Text | None:
    """Return what an inner shell reads: words, a heredoc, or a file that the script has written."""
    words = layers.words[layers.at + 1 :]
    if layers.remote:
        return _joined(script, command, layers.remote)
    if layers.program in ("eval", "trap"):
        return _joined(script, command, words[:1] if layers.program == "trap" else words)
    if layers.program not in SHELLS:
        written = script.files.get(_file(layers.words[layers.at : layers.at + 1]))
        return written if layers.through else None
    at = 0
    while at < len(words) and words[at].shown[:1] in "-+" and words[at].pieces:
        option = words[at].shown
        if not option.startswith("--") and "c" in option:
            return _joined(script, command, words[at + 1 : at + 2])
        at += 2 if option in ("-o", "+o", "-O", "--rcfile", "--init-file") else 1
    if at < len(words):
        return script.files.get(_file(words[at : at + 1]))
    for redirect in command.redirects:
        if redirect.heredoc is not None:
            return redirect.heredoc
        if redirect.operator == "<<<" and redirect.target is not None:
            return _joined(script, command, [redirect.target])
    return None


def _file(words: Sequence[Word]) -> str:
    return words[0].shown.removeprefix("./") if words else ""


def _joined(script: Script, command: Command, words: Iterable[Word]) -> Text:
    pieces: list[Piece] = []
    for word in words:
        for part in expand(word, command.order, command.context):
            if pieces:
                pieces.append(Piece("text", " ", part.span, True, command.shell))
            pieces += part.pieces
    return as_text(script.source, pieces)


def _signals(layers: Layers) -> tuple[str, ...]:
    words = (word.shown.upper().removeprefix("SIG") for word in layers.words[layers.at + 2 :])
    return tuple(words)


def _note_file(script: Script, command: Command) -> None:
    """`cat > FILE <<EOF`: what a later command may run."""
    if command.name not in ("cat", "tee"):
        return
    body = next((r.heredoc for r in command.redirects if r.heredoc is not None), None)
    if body is None:
        return
    targets = [r.target for r in command.redirects if r.operator.startswith(">") and r.target]
    if command.name == "tee":
        targets += list(command.words[1:])
    for target in targets:
        for word in expand(target, command.order, command.context):
            script.files[word.shown.removeprefix("./")] = body


def depth(shell: Shell) -> int:
    """Return how many shells are around one."""
    count, at = 0, shell.parent
    while at is not None:
        count, at = count + 1, at.parent
    return count
