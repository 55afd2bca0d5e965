"""Texts that another shell reads: `bash -c '…'`, heredocs, files that the script writes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from slurmkit.check.script.layers import SHELLS, Layers, peel
from slurmkit.check.script.shell import Command, Shell, Submitted
from slurmkit.check.script.source import Source, Text
from slurmkit.check.script.variables import expand
from slurmkit.check.script.words import Piece, Word, in_heredoc, placeholder, read_word

if TYPE_CHECKING:
    from tree_sitter import Node

    from slurmkit.check.script.read import Script
    from slurmkit.check.script.walk import Functions

DEEP = 5  # shells within shells


def heredoc(node: Node, text: Text, shell: Shell) -> tuple[Text, bool]:
    r"""Return a heredoc's body, and whether the shell that holds it expands variables in it.

    With an unquoted delimiter the body is what comes out of that: `\$` has become `$`, and what
    is put in stands as placeholders.
    """
    start = next((c for c in node.children if c.type == "heredoc_start"), None)
    body = next((c for c in node.children if c.type == "heredoc_body"), None)
    delimiter = (start.text or b"").decode(errors="replace") if start else ""
    expanded = not any(char in delimiter for char in "'\"\\")
    if body is None:
        return Text(text.source, b""), expanded
    data = text.data[body.start_byte : body.end_byte]
    if not expanded:
        span = range(body.start_byte, body.end_byte)
        origins = array("l", (text.span(at, at + 1).start for at in span))
        return Text(text.source, data, origins), expanded
    pieces: list[Piece] = []
    at = body.start_byte
    for child in (*body.children, None):
        until = child.start_byte if child is not None else body.end_byte
        pieces += in_heredoc(text, shell, at, until)
        if child is not None:
            pieces += read_word(child, text, shell).pieces
            at = child.end_byte
    return as_text(text.source, pieces), expanded


def as_text(source: Source, pieces: Iterable[Piece]) -> Text:
    """Return a text for an inner shell: what is known, and placeholders for the rest."""
    text = Text(source, b"", array("l"), [])
    parts: list[bytes] = []
    origins = array("l")
    for piece in pieces:
        if piece.kind == "text":
            data = piece.text.encode(errors="replace")
            is_same = len(data) == piece.span.end - piece.span.start
        else:
            data, is_same = placeholder(text, piece).encode(), False
        parts.append(data)
        start = piece.span.start
        origins.extend(range(start, start + len(data)) if is_same else [start] * len(data))
    return Text(source, b"".join(parts), origins, text.placeholders)


def start_shells(script: Script, command: Command, functions: Functions) -> None:
    """Walk through the shells that a command starts, and note the files that it writes."""
    layers = peel(command)
    script.layers[command] = layers
    _note_file(script, command)
    if depth(command.shell) >= DEEP:
        return
    if layers.program == "sbatch":
        _submit(script, command)
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
        handles=_signals(layers) if layers.program == "trap" else (),
    )
    command.nested.append(shell)
    script.walk(shell, functions)


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


def _submit(script: Script, command: Command) -> None:
    """`sbatch <<EOT`: a script of its own."""
    for redirect in command.redirects:
        if redirect.heredoc is not None:
            script.submitted.append(Submitted(command, redirect.heredoc))


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
        script.files[target.shown.removeprefix("./")] = body


def depth(shell: Shell) -> int:
    """Return how many shells are around one."""
    count, at = 0, shell.parent
    while at is not None:
        count, at = count + 1, at.parent
    return count
