"""A user's own template: it extends ours by blocks, in Jinja's sandbox."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from slurmkit.render import quoting
from slurmkit.render.templates import JOB_TEMPLATE, syntax
from slurmkit.render.user_template_files import BESIDE, FilesBeside, RefusedError
from slurmkit.render.user_template_words import fix_of, what_of
from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from jinja2.runtime import Context

    from slurmkit.spec.model import JobSpec

_MOST_STEPS = 200_000
_LONGEST_SCRIPT = 4 * 2**20  # what Slurm takes: max_script_size, by default
_LONGEST_TEXT = 10**6


def render_user_template(spec: JobSpec, template: str, context: dict[str, Any]) -> str:
    """Return the script that a user's template makes of a job.

    Args:
        spec: the job.
        template: path of the template; a relative one starts where slurmkit is called.
        context: what our own template sees.

    Raises:
        SpecError: the template is missing or wrong, or does what the sandbox forbids.
    """
    main = _path(template)
    job = spec.model_dump(by_alias=True, warnings=False)
    documented = {
        "job": job,
        "processes_per_node": spec.processes_per_node,
        "world_size": spec.world_size,
    }
    # Plain data only: a model has methods that read files.
    inner = {k: v.model_dump() if hasattr(v, "model_dump") else v for k, v in context.items()}
    files = FilesBeside(main)
    try:
        script = _Sandbox(files).script(BESIDE + main.name, {**inner, **documented})
    except Exception as error:  # whatever a template does wrong, it is told as its mistake
        raise SpecError([_problem(error, main, files.read, documented)]) from None
    _check_directives(script, context, main)
    return script


def _path(template: str) -> Path:
    if "${" in template:
        fix = "write the path itself: the template is read here and now, on no node"
        raise SpecError([Problem("no variables here", Place("render"), "template", fix=fix)])
    try:
        path = Path(template).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError, ValueError):
        found = False
    if not found:
        fix = f"name a file that exists; a relative path starts at {Path.cwd()}"
        what = f"no file {template}"
        raise SpecError([Problem(what, Place("render"), "template", fix=fix)])
    return path


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which also counts steps: a loop without end ends with an error."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, files: FilesBeside) -> None:
        super().__init__(loader=files, finalize=_no_null, **syntax())
        self.steps = 0
        del self.globals["lipsum"]
        self.filters |= {"quote": _quote, "counted": self._counted}

    def script(self, name: str, context: dict[str, Any]) -> str:
        """Render a template of the user, up to the length that Slurm takes."""
        text = ""
        for part in self.get_template(name).generate(context):
            text += part
            if len(text) > _LONGEST_SCRIPT:
                raise RefusedError("the script grows beyond 4 MiB, and Slurm takes no longer one")
        return text.lstrip()

    def join_path(self, template: str, parent: str) -> str:
        """Say which file a name means: ours by its name, or one beside the user's."""
        self._step()
        if parent.startswith(BESIDE) and template != JOB_TEMPLATE:
            return BESIDE + template
        return template

    def call(self, context: Context, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, a function or a method, and count it."""
        self._step()
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, unless a short line asks for gigabytes."""
        sizes = [len(x) if hasattr(x, "__len__") else x for x in (left, right)]
        numbers = [abs(size) for size in sizes if isinstance(size, (int, float))]
        if operator == "%" and isinstance(left, str):
            numbers = [int(digits) for digits in _digits(left)]
        elif operator == "**":
            numbers = [max(numbers, default=0) ** 2]
        elif not any(hasattr(x, "__len__") for x in (left, right)):
            numbers = []
        product = 1
        for number in numbers:
            product *= max(1, int(number))
        if product > _LONGEST_TEXT:
            raise RefusedError(f"a result of {operator} that is too large")
        return super().call_binop(context, operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(
                loop.iter, "counted", [], [], None, None, lineno=loop.lineno
            ).set_environment(self)
        return tree

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._step()
            yield item

    def _step(self) -> None:
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise RefusedError(f"more than {_MOST_STEPS} steps: loops or calls without end")


def _digits(text: str) -> list[str]:
    """Find the widths in a `%` format; one given beside it counts as too large."""
    return re.findall(r"\d{1,300}", text.replace("%*", f"%{_LONGEST_TEXT + 1}"))


def _no_null(value: Any) -> Any:
    if value is None:
        raise RefusedError(
            "a value that is null would be written", 'give a default: {{ value or "" }}'
        )
    return value


def _quote(value: Any) -> str:
    """Write a value as one word of bash."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoting.word(str(_no_null(value)))


def _problem(
    error: Exception, main: Path, sources: set[str], documented: dict[str, Any]
) -> Problem:
    """Tell an error with the line of the user's file in which it happened."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [(f.filename, f.lineno or 1) for f in frames if f.filename in sources]
    source, line = inside[-1] if inside else (str(main), 1)
    if isinstance(error, TemplateSyntaxError):
        source, line = error.filename or source, error.lineno
    elif isinstance(error, RefusedError) and error.line is not None:
        source, line = error.source or source, error.line
    return Problem(what_of(error), _place(source, line), fix=fix_of(error, documented))


def _place(source: str, line: int) -> Place:
    """Give the place of a line: where its text begins."""
    try:
        text = Path(source).read_text(encoding="utf-8").splitlines()[line - 1]
    except (OSError, ValueError, IndexError):
        text = ""
    return Place(source, line, len(text) - len(text.lstrip()) + 1)


def _check_directives(script: str, context: dict[str, Any], main: Path) -> None:
    """Raise where a line `#SBATCH` is a comment to Slurm, which says nothing of it."""
    documents = [context["job_yaml"].text, context["config"].text if context["config"] else ""]
    data = Counter("\n".join([*documents, *context["setup"]]).split("\n"))
    above = True
    for line in script.split("\n"):
        bare = line.strip()
        above = above and (not bare or bare.startswith("#"))
        if not bare.startswith("#SBATCH") or line[0] not in (" \t" if above else "#"):
            continue
        if data[line] > 0:
            data[line] -= 1
            continue
        what = f"Slurm does not read the line {bare[:80]!r}: " + (
            "it begins with blanks" if above else "it stands below the first command"
        )
        fix = "write it at the start of a line, in the block directives, above every command"
        raise SpecError([Problem(what, _place(str(main), _line_with(bare, main)), fix=fix)])


def _line_with(text: str, main: Path) -> int:
    lines = main.read_text(encoding="utf-8").splitlines()
    same = [number for number, line in enumerate(lines, 1) if line.strip() == text]
    alike = [number for number, line in enumerate(lines, 1) if "#SBATCH" in line]
    return (same + alike + [1])[0]
