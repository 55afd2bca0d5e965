"""The scripts that a script gives to sbatch: a heredoc, a file that it has written, `--wrap`."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from slurmkit.check.script.directives import COMMAND_LINE, Directives, Piece
from slurmkit.check.script.heredoc import as_text
from slurmkit.check.script.options import Argument, Given, parse
from slurmkit.check.script.shell import Command, Submitted
from slurmkit.check.script.source import Text
from slurmkit.check.script.variables import expand, resolve
from slurmkit.check.script.words import Word

if TYPE_CHECKING:
    from slurmkit.check.script.layers import Layers
    from slurmkit.check.script.read import Script

_WRAPPED = b"#!/bin/sh\n"  # what sbatch puts in front of the text of --wrap


def note_submitted(script: Script, command: Command, layers: Layers) -> None:
    """Note the script that a call of sbatch submits, where it can be seen here."""
    words = layers.arguments
    known = [Argument(_text(word, command), word) for word in words]
    parsed = parse("sbatch", known)
    options = tuple(o for o in parsed.options if not o.problem and o.name != "wrap")
    wrapped = next((o for o in parsed.options if o.name == "wrap"), None)
    text: Text | None
    if wrapped is not None:
        text = _wrapped(script, wrapped, command)
    elif parsed.rest < len(words):
        text = script.files.get(words[parsed.rest].shown.removeprefix("./"))
    else:
        text = _input(script, command)
    if text is not None:
        script.submitted.append(Submitted(command, text, options))


def _text(word: Word, command: Command) -> str:
    known = resolve(word, command.order, command.context)
    return known if known is not None else word.shown


def _input(script: Script, command: Command) -> Text | None:
    """Return what sbatch reads from its standard input: a heredoc, its own or that of a `cat`."""
    for redirect in command.redirects:
        if redirect.heredoc is not None:
            return redirect.heredoc
        if redirect.operator == "<<<" and redirect.target is not None:
            words = expand(redirect.target, command.order, command.context)
            return as_text(script.source, (p for word in words for p in word.pieces))
    # `cat <<EOT | sbatch`: the grammar hangs the rest of the pipeline on the heredoc.
    pipeline = command.node.parent
    while pipeline is not None and pipeline.type == "redirected_statement":
        pipeline = pipeline.parent
    begin = pipeline.parent if pipeline is not None and pipeline.type == "pipeline" else None
    if begin is None or begin.type != "heredoc_redirect" or begin.parent is None:
        return None
    body = begin.parent.child_by_field_name("body")
    for other in reversed(script.commands):
        if other.node == body and other.name == "cat":
            return next((r.heredoc for r in other.redirects if r.heredoc is not None), None)
    return None


def _wrapped(script: Script, option: Given[Word], command: Command) -> Text | None:
    """Return the script that sbatch makes of `--wrap`."""
    from slurmkit.check.script.launches import after_equals

    word = option.origins[-1]
    word = after_equals(word) if len(option.origins) == 1 else word
    pieces = [p for one in expand(word, command.order, command.context) for p in one.pieces]
    inner = as_text(script.source, pieces)
    start = word.span.start
    origins = array("l", [start] * len(_WRAPPED)) + (inner.origins or array("l"))
    return Text(script.source, _WRAPPED + inner.data, origins, inner.placeholders)


def with_options(directives: Directives, options: Sequence[Given[Word]]) -> Directives:
    """Return directives with the options of sbatch's command line, which come last and count."""
    if not options:
        return directives
    given = tuple(
        Given(
            option.name,
            option.value,
            tuple(Piece(word.shown, word.span, COMMAND_LINE) for word in option.origins),
            option.written,
        )
        for option in options
    )
    first, *others = directives.components
    return replace(directives, components=((*first, *given), *others))
