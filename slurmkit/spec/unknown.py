"""What a user meant who wrote a field that does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from slurmkit.spec.errors import Path, dotted, nearest
from slurmkit.spec.model import JobSpec
from slurmkit.spec.shape import Shape, model_shape

_VERY_LIKE = 0.8
_MEANT = {
    ("launcher", "type"): "did you mean kind?",
    ("resources", "mem"): "write it as resources.memory_per_node",
    ("resources", "memory"): "write it as resources.memory_per_node",
}
_VARIABLES = ("env", "envs", "env_vars", "environment_variables", "variables")


def fix_unknown(path: Path) -> str:
    """Say what to write for the unknown field at `path`.

    What people bring from elsewhere comes first, then what is spelled like it.
    """
    job, name = model_shape(JobSpec), str(path[-1])
    if meant := _MEANT.get((str(path[0]) if len(path) > 1 else "", _plain(name))):
        return meant
    if _plain(name) in _VARIABLES:
        return "write it as environment.variables"
    if path[0] == "environment" and len(path) == 2 and name.isupper():
        return f"write it as environment.variables.{name}"
    return _by_name(job, path, "", lambda: _option(name, path))


def fix_unknown_config(path: Path, config: Shape) -> str:
    """Say what to write for the unknown field at `path` of a program's config of this shape."""
    return _by_name(config, path, "entrypoint.config.", lambda: None)


def _by_name(job: Shape, path: Path, above: str, option: Callable[[], str | None]) -> str:
    """Look for the name: spelled nearly so here, the same elsewhere, an option, a little so."""
    name = str(path[-1])
    glued = re.fullmatch(r"(\w+):(\S+)", name)
    if glued:
        return f"put a space after the colon: `{glued[1]}: {glued[2]}`"
    if index := re.fullmatch(r"(\w+)\[\d+\]", name):
        return f"write the whole list: {above}{dotted((*path[:-1], index[1]))}=[…]"
    here = job
    for part in path[:-1]:
        here = here.below(part)
    known = list(here.fields or ())
    part, _, rest = name.partition("_")
    if path[-2:-1] == (part,) and rest in known:
        return f"did you mean {rest}?"
    if like := nearest(name, known, _VERY_LIKE):
        return f"did you mean {like}?"
    if nested := _nested(job, path):
        return nested
    fields = dict(_fields(job, above))
    if home := next((full for full, last in fields.items() if last == _plain(name)), None):
        return f"write it as {home}"
    if found := option():
        return found
    if like := nearest(name, known):
        return f"did you mean {like}?"
    if like := nearest(name, fields.values(), _VERY_LIKE):
        return f"did you mean {next(full for full, last in fields.items() if last == like)}?"
    where = "" if len(path) == 1 and not above else " here"
    return f"remove it; fields{where} are {', '.join(known)}"


def _plain(name: str) -> str:
    return name.replace("-", "_").lower()


def _fields(shape: Shape, above: str) -> Iterator[tuple[str, str]]:
    """Give every field of the job, dotted, with its own name."""
    for key, inner in (shape.fields or {}).items():
        yield above + key, key
        yield from _fields(inner, f"{above}{key}.")


def _nested(job: Shape, path: Path) -> str | None:
    """Mend a dotted key, such as `resources.nodes: 2`."""
    first, dot, rest = str(path[-1]).partition(".")
    if not dot or len(path) > 1 or first not in (job.fields or {}):
        return None
    return f"write {rest} under `{first}:` (dotted keys are for --set and sweep)"


def _option(name: str, path: Path) -> str | None:
    """Say where an option of sbatch, or of srun under `launcher`, belongs."""
    from slurmkit.slurm import options

    tool: options.Tool = "srun" if path[0] == "launcher" else "sbatch"
    plain = name.lstrip("-").replace("_", "-").lower()
    option = options.load_options().get(plain)
    if option is None or not option.use(tool).history:
        return None
    use = option.use(tool)
    if use.field and not use.field.startswith("gpu:"):
        return f"write it as {use.field}"
    if use.why:
        return f"remove it: {use.why}"
    return f"write it as {dotted(('launcher', 'srun') if tool == 'srun' else ('sbatch',))}.{plain}"
