"""YAML text to a tree of nodes that remember how and where each scalar was written.

The tree is built from PyYAML's events, not by its composer: scalars keep their text, so that a
field which holds text can take `010` as it stands; nesting and aliases are bounded, so that no
file can exhaust the machine; and nothing recurses in C.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from slurmkit.spec.errors import Place, Problem, SpecError, shown

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 50
MAX_NODES = 100_000

_PROGRAM = re.compile(r"#!|(import|from) \w+|#SBATCH")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null")}


@dataclass(slots=True)
class Scalar:
    """A scalar as it was written; `tag` is "plain" for one that nothing marks as text."""

    place: Place
    text: str
    tag: str


@dataclass(slots=True)
class Sequence:
    """A list of nodes."""

    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys and values in the order of the file; keys are scalars."""

    place: Place
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)


Node = Scalar | Sequence | Mapping


def parse(data: bytes | str, source: str) -> Node | None:
    """Read one YAML document.

    Args:
        data: the text; bytes must be UTF-8.
        source: the name that errors show, such as `job.yaml` or `--set`.

    Returns:
        The root node, or None for an empty document.

    Raises:
        SpecError: the text is no single, well-formed, reasonably sized YAML document.
    """
    text = _decode(data, source) if isinstance(data, bytes) else _whole(data, source)
    builder = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, mark.line + 1, mark.column + 1) if mark else Place(source, 1, 1)
        _refuse_program(text, source)
        what = error.problem or error.context or "not well-formed"
        begin = error.context_mark.line + 1 if error.context_mark else place.line
        if begin != place.line:
            what += f" ({error.context} that begins in line {begin})"
        _fail(f"YAML does not parse: {what}", place, _syntax_fix(what, text, place))
    except yaml.reader.ReaderError:
        _refuse_character(text, source)
    if not isinstance(builder.root, Mapping):
        _refuse_program(text, source)
    return builder.root


class _Builder:
    """Assemble nodes from parser events with an explicit stack."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.root: Node | None = None
        self.anchors: dict[str, Node] = {}
        self.stack: list[Sequence | Mapping] = []
        self.keys: list[Scalar | None] = []
        self.documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the parser's next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._place_node(self._scalar(event), event.anchor)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.stack.pop()
            self.keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                _fail("a second YAML document begins", self._at(event), "keep one document a file")

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        place = self._at(event)
        if len(self.stack) >= MAX_DEPTH:
            _fail(f"nested deeper than {MAX_DEPTH} levels", place, "flatten it")
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{'map' if mapping else 'seq'}"):
            _refuse_tag(event.tag, place)
        node: Mapping | Sequence = Mapping(place) if mapping else Sequence(place)
        self._place_node(node, event.anchor)
        self.stack.append(node)
        self.keys.append(None)

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place = self._at(event)
        if event.tag is None or event.tag == "!":
            return Scalar(place, event.value, "plain" if event.implicit[0] else "str")
        if event.tag not in _CORE_TAGS:
            _refuse_tag(event.tag, place)
        return Scalar(place, event.value, _CORE_TAGS[event.tag])

    def _alias(self, event: yaml.AliasEvent) -> None:
        place, name = self._at(event), event.anchor or ""
        node = self.anchors.get(name)
        if node is None:
            fix = f"put the value in quotes, or mark another one with &{name[:80]}"
            _fail(f"*{name[:80]} refers to no anchor", place, fix)
        if any(node is open_node for open_node in self.stack):
            _fail(f"*{name[:80]} contains itself", place, "write the value out")
        self._place_node(node, None)

    def _place_node(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif (key := self.keys[-1]) is None:
            if not isinstance(node, Scalar):
                _fail("a list or mapping as a key", node.place, "put it in quotes if it is text")
            self.keys[-1] = node
        else:
            parent.pairs.append((key, node))
            self.keys[-1] = None

    def _at(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1) if mark else Place(self.source)


def check_bounds(root: Node) -> None:
    """Refuse a tree that aliases blow up beyond `MAX_NODES` nodes or `MAX_DEPTH` levels."""
    seen = 0
    stack: list[Iterator[Node]] = [iter([root])]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
            continue
        seen += 1
        if seen > MAX_NODES or len(stack) > MAX_DEPTH:
            what = f"more than {MAX_NODES} values or {MAX_DEPTH} levels, with aliases written out"
            _fail(
                what, root.place, "write fewer aliases of aliases; keep data in a file of its own"
            )
        if isinstance(node, Sequence):
            stack.append(iter(node.items))
        elif isinstance(node, Mapping):
            stack.append(value for _, value in node.pairs)


def _decode(data: bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        _fail("over 4 MiB: no job file is that long", Place(source), "name the job file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        _fail("the file is UTF-16", Place(source, 1, 1), "save the file as UTF-8")
    if b"\0" in data:
        _fail("this is no text file: it holds NUL bytes", Place(source), "name the job file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        place = Place(source, before.count(b"\n") + 1, column)
        _fail(f"byte 0x{data[error.start]:02x} is not UTF-8", place, "save the file as UTF-8")


def _whole(text: str, source: str) -> str:
    """Refuse what Python makes of bytes on the command line that are not UTF-8: surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = _place_of(text, error.start, source)
        _fail("text that is not UTF-8", place, "type it in a terminal that is set to UTF-8")
    return text


def _place_of(text: str, position: int, source: str) -> Place:
    before = text[:position]
    return Place(source, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _refuse_character(text: str, source: str) -> NoReturn:
    match = yaml.reader.Reader.NON_PRINTABLE.search(text)
    position, code = (match.start(), ord(match[0])) if match else (0, 0)
    _fail(
        f"YAML does not parse: the character U+{code:04X} is not allowed",
        _place_of(text, position, source),
        f'remove it, or write it in double quotes as "\\u{code:04x}"',
    )


def _refuse_program(text: str, source: str) -> None:
    """Say so when somebody names the script itself instead of the job file."""
    match = _PROGRAM.match(text)
    if match is None:
        return
    what = "this is a script, and no job file"
    if "#SBATCH" in text:
        what = "this is a batch script, and no job file"
        fix = f"submit it as it is: `sbatch {shlex.quote(source)}`; or name the job file"
    else:
        fix = "name the job file, which names this script: `slurmkit init` writes one"
    _fail(what, Place(source, 1, 1), fix)


def _syntax_fix(what: str, text: str, place: Place) -> str:
    line = "".join(text.splitlines()[place.line - 1 : place.line]) if place.line else ""
    column = place.column or 1
    if "\\t" in what or "\t" in line[:column]:
        return "indent with spaces: YAML does not allow tabs there"
    if line[column - 1 : column] in ("`", "@", "%"):
        return f"put the value in quotes: none begins with {line[column - 1]}"
    if glued := re.match(r"\s*(?:- )?([A-Za-z_]\w*):(\S.*)", _line_above(text, place)):
        return f"put a space after the colon above: `{glued[1]}: {glued[2][:60]}`"
    if "expected ':'" in what or ("mapping values" in what and _no_colon(text, place)):
        return f"put a colon behind `{_line_above(text, place).strip()[:60]}` in the line above"
    if "did not find expected key" in what:
        return "begin this line below the first letter of the one that it belongs with"
    if "mapping values" in what:
        return (
            "put the value in quotes if it contains `: `; "
            "else look for wrong indentation, or a missing colon just above"
        )
    if "escape" in what:
        return r"write \\ for a backslash, or use single quotes"
    if "quoted scalar" in what:
        return "close the quotes"
    if "flow mapping" in what or "flow sequence" in what:
        return "close the bracket, and put a comma between its entries"
    return "check quotes, brackets and indentation at and just above this line"


def _line_above(text: str, place: Place) -> str:
    """Return the nearest line above that is neither empty nor a comment."""
    lines = text.splitlines()[: (place.line or 1) - 1]
    return next((line for line in reversed(lines) if line.strip() and line.strip()[0] != "#"), "")


def _no_colon(text: str, place: Place) -> bool:
    return re.fullmatch(r"\s*[A-Za-z_]\w*\s*", _line_above(text, place)) is not None


def _refuse_tag(tag: str, place: Place) -> NoReturn:
    name = shown(tag.replace("tag:yaml.org,2002:", "!!"))
    _fail(f"the tag {name} is not allowed", place, "remove it: job files hold plain data")


def _fail(what: str, place: Place, fix: str) -> NoReturn:
    raise SpecError([Problem(what, place, fix=fix)])
