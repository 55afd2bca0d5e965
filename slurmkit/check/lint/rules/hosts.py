"""Names of nodes: cut out of the list, asked for in a container, quoted (SK308, 313, 315…317)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.edits import FIRST_NODE, is_top, said
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.reads import reads
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.script.launches import after_equals, around
from slurmkit.check.script.shell import Assignment, Command
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import assigned, resolve
from slurmkit.check.script.words import Piece, Word

_LISTS = ("SLURM_JOB_NODELIST", "SLURM_NODELIST", "SLURM_STEP_NODELIST")
_CUTS = re.compile(r":\s*-?\(?\d|%|#.|/")
_CUTTERS = ("cut", "sed", "awk", "gawk", "tr", "grep", "head", "tail", "perl")
_IMAGE = re.compile(r"[\w.+-]+\.(?:sqsh|squashfs|sqfs)")
_ASKS = re.compile(rb"\b(?:command -[vV]|which|type|hash)\s+scontrol\b")
_ONE_LINE = re.compile(r"\|\s*(?:head|tail|sed\s+-n|awk\s+.NR)\b")
_OUTPUT = re.compile(rb"[ \t]*(?:2>&1|&>[ \t]*/dev/stdout)")


@rule("SK308")
def list_cut(job: Job) -> Iterator[Found]:
    """`${SLURM_NODELIST:0:9}`, `echo $SLURM_NODELIST | cut -d, -f1`."""
    if job.value("nodes") is not None and job.nodes == 1:
        return
    told = set()
    for read in reads(job):
        line = job.script.source.place(read.whole.start)[0]
        if read.name not in _LISTS or not _CUTS.match(read.operation) or line in told:
            continue
        told.add(line)
        what = f"{read.name} is a short form such as n[01-04,07]: characters of it are no name"
        yield job.found("SK308", read.whole, what, edits=_first(job, read.whole))
    for command in job.script.commands:
        if _feeds_a_cutter(command):
            what = "the node list is a short form such as n[01-04,07]: no text tool splits it right"
            yield job.found("SK308", command.span, what)


def _first(job: Job, span: Span) -> tuple[Edit, ...]:
    """The whole value of a variable that is to be the first node."""
    for name, values in job.script.batch.assignments.items():
        if not re.search(r"MASTER|HEAD|MAIN|FIRST", name, re.IGNORECASE):
            continue
        for value in values:
            word = value.value
            if word is not None and len(word.pieces) == 1 and word.pieces[0].span == span:
                is_same = said(job, word.span).strip(b'"').startswith(b"${SLURM")
                return (Edit(word.span, FIRST_NODE),) if is_same else ()
    return ()


def _feeds_a_cutter(command: Command) -> bool:
    """Tell whether a command is `echo $SLURM_NODELIST | cut …`, or `cut … <<< $SLURM_NODELIST`."""
    is_list = any(
        piece.text in _LISTS and not piece.operation
        for word in command.words[1:]
        for piece in word.variables
    )
    if command.name in ("echo", "printf"):
        if not is_list or command.at_in_pipeline + 1 >= len(command.pipeline):
            return False
        following = command.pipeline[command.at_in_pipeline + 1]
        text = (following.text or b"").split()
        return bool(text) and text[0].decode(errors="replace") in _CUTTERS
    is_split = command.name == "read" and any(v.name == "IFS" for v in command.variables)
    if command.name not in _CUTTERS and not is_split:
        return False
    return any(
        piece.text in _LISTS
        for redirect in command.redirects
        if redirect.operator == "<<<" and redirect.target is not None
        for piece in redirect.target.variables
    )


@rule("SK313")
def scontrol_in_a_container(job: Job) -> Iterator[Found]:
    """`srun --container-image=… bash -c '… $(scontrol show hostnames …)'`."""
    for command in job.script.commands:
        layers = job.script.layers[command]
        inside = command.shell.in_container or layers.in_container
        if layers.program != "scontrol" or not inside or command.context.is_guarded:
            continue
        if _ASKS.search(command.shell.text.data):
            continue
        words = [w.shown for _, outer in around(job.script, command) for w in outer.words]
        if any("/scontrol" in w or "/slurm" in w or "slurm:" in w for w in words):
            continue  # it is mounted
        what = "scontrol runs in the container, which seldom has it: the name it gives is empty"
        yield job.found("SK313", command.span, what)


@rule("SK315")
def quoted_list(job: Job) -> Iterator[Found]:
    """`nodes_array=("$nodes")`."""
    if job.value("nodes") is not None and job.nodes == 1:
        return
    for shell in job.script.shells:
        for name, values in shell.assignments.items():
            for value in values:
                item = value.items[0] if value.items and len(value.items) == 1 else None
                if item is None or value.is_appended or not _is_quoted_list(item, value):
                    continue
                if not _is_indexed(job, name):
                    continue
                what = f"the quotes make {name} an array of one word with all the names in it"
                written = said(job, item.span)
                edits: tuple[Edit, ...] = ()
                if is_top(shell) and re.fullmatch(rb'"\$\{?\w+\}?"', written):
                    edits = (Edit(item.span, written.strip(b'"').decode()),)
                yield job.found("SK315", value.span, what, edits=edits)


def _is_quoted_list(item: Word, value: Assignment) -> bool:
    piece = item.pieces[0] if len(item.pieces) == 1 else None
    if piece is None or not piece.is_quoted:
        return False
    origin = _origin(piece, value)
    return "hostname" in origin and not _ONE_LINE.search(origin)


def _origin(piece: Piece, value: Assignment) -> str:
    """Return the command that a piece's text comes from: `scontrol show hostnames …`."""
    if piece.kind == "substitution":
        return piece.text
    if piece.kind != "variable" or piece.operation:
        return ""
    found = assigned(piece.text, piece.shell, value.order, value.context)
    pieces = found.value.pieces if found is not None and found.value is not None else ()
    if len(pieces) == 1 and pieces[0].kind == "substitution" and "scontrol" in pieces[0].text:
        return pieces[0].text
    return ""


def _is_indexed(job: Job, name: str) -> bool:
    pattern = rf"\$\{{#?{re.escape(name)}(?:\[|\}})|\${re.escape(name)}\b"
    return re.search(pattern.encode(), job.script.source.data) is not None


@rule("SK316")
def image_without_a_path(job: Job) -> Iterator[Found]:
    """`--container-image=pytorch.sqsh`."""
    what = "is looked up in a registry: without a slash it is no file to pyxis"
    for option in job.script.directives.options:
        if option.name == "container-image" and _IMAGE.fullmatch(option.value or ""):
            fix = f"Write `./{option.value}`, or the whole path."
            yield job.found("SK316", option.origins[0].span, f"{option.value} {what}", fix)
    for command, layers in job.script.layers.items():
        for given in layers.srun.options if layers.srun is not None else ():
            if given.name != "container-image":
                continue
            word = given.origins[-1]
            value = after_equals(word) if len(given.origins) == 1 else word
            text = resolve(value, command.order, command.context)
            if text is not None and _IMAGE.fullmatch(text):
                fix = f"Write `./{text}`, or the whole path."
                yield job.found("SK316", word.span, f"{text} {what}", fix)


@rule("SK317")
def messages_in_the_output(job: Job) -> Iterator[Found]:
    """`$(srun … 2>&1)`."""
    for command in job.script.commands:
        if job.script.layers[command].srun is None or not command.context.in_substitution:
            continue
        if not any(r.operator in (">&", "&>", "&>>", "|&") for r in command.redirects):
            continue
        if any(r.operator == ">&" and (r.descriptor or "1") == "1" for r in command.redirects):
            continue
        if any(r.operator in (">", "&>") and not _is_output(r.target) for r in command.redirects):
            continue
        rest = command.pipeline[command.at_in_pipeline + 1 :]
        words = [(node.text or b"").split() for node in rest]
        is_last = bool(words) and words[-1][:1] == [b"tail"]
        what = "srun's own messages, such as `srun: Step created for StepId=…`, get into the value"
        severity = "info" if is_last else None
        yield job.found(
            "SK317",
            command.span,
            what,
            severity=severity,  # type: ignore[arg-type]
            edits=_without(job, command),
        )


def _is_output(target: Word | None) -> bool:
    return target is not None and target.shown in ("1", "2", "/dev/stdout")


def _without(job: Job, command: Command) -> tuple[Edit, ...]:
    if not is_top(command.shell):
        return ()
    data = job.script.source.data
    until = data.find(b"\n", command.span.end)
    match = _OUTPUT.match(data, command.span.end, until if until >= 0 else len(data))
    return (Edit(Span(*match.span()), ""),) if match else ()
