"""Which files a user's template is read from, and whether they are built as they must be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from jinja2 import BaseLoader, Environment, FileSystemLoader, nodes

from slurmkit.render.templates import JOB_TEMPLATE, templates_directory
from slurmkit.spec.errors import nearest

BESIDE = "./"
"""Before the names of the user's files, so that they never hide ours."""
_LONGEST_FILE = 2**20
_WITHOUT_TEXT = (nodes.Assign, nodes.AssignBlock, nodes.Macro, nodes.Import, nodes.FromImport)
_OTHER_COMMENT = re.compile(r"(?<![\w$])\{#.*?#\}", re.S)


class RefusedError(Exception):
    """What a template may not do: what, how instead, and where if it is known."""

    def __init__(
        self, what: str, fix: str | None = None, line: int | None = None, source: str | None = None
    ) -> None:
        super().__init__(what)
        self.fix, self.line, self.source = fix, line, source


class FilesBeside(BaseLoader):
    """Reads our templates, the user's, and files in the directory of the user's."""

    def __init__(self, main: Path) -> None:
        self._main = main
        self._ours = FileSystemLoader(templates_directory())
        self.read: set[str] = set()
        """The user's files that were read, for the places of errors."""

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Read a template; one of the user's is checked as well."""
        if not template.startswith(BESIDE):
            return self._ours.get_source(environment, template)
        path = self._path(template.removeprefix(BESIDE))
        self.read.add(str(path))
        text = _read(path)
        self._check(environment, environment.parse(text, template, str(path)), path)
        return text, str(path), None

    def _path(self, name: str) -> Path:
        if name == self._main.name:
            return self._main
        fix = f"name {JOB_TEMPLATE}, or a file in the directory of {self._main.name}"
        directory = self._main.parent.resolve()
        path = self._main.parent / name
        if "\0" in name or not path.resolve().is_relative_to(directory):
            raise RefusedError(f"{name!r} leads out of the directory of the template", fix)
        if not path.is_file():
            raise RefusedError(f"no file {name!r} beside the template", fix)
        return path

    def _check(self, environment: Environment, tree: nodes.Template, path: Path) -> None:
        for data in tree.find_all(nodes.TemplateData):
            if comment := _OTHER_COMMENT.search(data.data):
                line = data.lineno + data.data.count("\n", 0, comment.start())
                raise RefusedError("{# #} is no comment here: {# is bash", "<# #>", line, str(path))
        parents = list(tree.find_all(nodes.Extends))
        if not parents and path != self._main:
            return
        first = next((node for node in tree.body if isinstance(node, nodes.Extends)), None)
        if len(parents) != 1 or first is None or not isinstance(first.template, nodes.Const):
            what = "the template must extend one template, by its name and unconditionally"
            fix = f'begin with {{% extends "{JOB_TEMPLATE}" %}}, and write blocks'
            raise RefusedError(what, fix, parents[0].lineno if parents else 1, str(path))
        try:
            known = set(self._blocks(environment, str(first.template.value), {path.name}))
        except RefusedError as error:
            error.line, error.source = error.line or first.lineno, error.source or str(path)
            raise
        for node in tree.body:
            if isinstance(node, nodes.Block) and node.name not in known:
                near = nearest(node.name, known)
                fix = f"did you mean {near}?" if near else f"blocks are {', '.join(sorted(known))}"
                raise RefusedError(
                    f"no block {node.name!r} to replace", fix, node.lineno, str(path)
                )
            if not isinstance(node, (nodes.Extends, nodes.Block, *_WITHOUT_TEXT)):
                _check_blank(node, path)

    def _blocks(self, environment: Environment, name: str, seen: set[str]) -> Iterator[str]:
        """Name the blocks of a template and of those that it extends."""
        if name in seen:
            raise RefusedError("templates that extend each other in a circle", "end it")
        ours = name == JOB_TEMPLATE
        text = self._ours.get_source(environment, name)[0] if ours else _read(self._path(name))
        tree = environment.parse(text, name, None if ours else str(self._path(name)))
        yield from (block.name for block in tree.find_all(nodes.Block))
        for parent in tree.find_all(nodes.Extends):
            if isinstance(parent.template, nodes.Const):
                yield from self._blocks(environment, str(parent.template.value), seen | {name})


def _check_blank(node: nodes.Node, path: Path) -> None:
    """Raise for text outside of blocks, which Jinja drops, or puts above the first line."""
    if isinstance(node, nodes.Output):
        texts = [part for part in node.nodes if isinstance(part, nodes.TemplateData)]
        blank = len(texts) == len(node.nodes) and not any(text.data.strip() for text in texts)
        if blank:
            return
    line = node.lineno
    if isinstance(node, nodes.Output) and isinstance(node.nodes[0], nodes.TemplateData):
        data = node.nodes[0].data
        line += data.count("\n", 0, len(data) - len(data.lstrip()))
    what = "this stands outside of the blocks, and would not be in the script"
    raise RefusedError(what, "move it into a block, such as preflight", line, str(path))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST_FILE + 1)
        text = data.decode()
    except OSError as error:
        what = f"{path} cannot be read: {error.strerror}"
        raise RefusedError(what, "name a file that you may read", 1, str(path)) from None
    except UnicodeDecodeError:
        raise RefusedError("this is no text in UTF-8", "save it as UTF-8", 1, str(path)) from None
    if len(data) > _LONGEST_FILE or "\0" in text:
        what = "this is no template: longer than 1 MiB, or with zero bytes"
        raise RefusedError(what, "name a template", 1, str(path))
    return text
