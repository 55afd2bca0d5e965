"""Whether the program's imports are there: what it imports at its top, without running it.

Importing the program itself would start it, where it has no `if __name__ == "__main__"`.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from . import imports as imports_of

_MOVES = {
    "sys.path",
    "sys.meta_path",
    "sys.path_hooks",
    "sys.modules",
    "site.addsitedir",
    "os.chdir",
}
"""By which a program changes where its imports are found."""
_SHOWN = 400  # characters of a reason


def look(entry: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return `fine`, or what is `missing`, of which `kind`, and about what.

    The kinds: a `program` or `path` of a command, a `file`, a `module`, `syntax`, what `exits`, and
    `other`.
    """
    command = entry.get("command")
    if command:
        found = shutil.which(os.path.expanduser(command[0]))  # noqa: PTH111
        kind = "path" if "/" in command[0] else "program"
        return {"fine": found} if found else missing(f"no program {command[0]}", kind, command[0])
    try:
        source, directory, package = find(entry)
    except ImportError as error:
        cause = error.__cause__ or ModuleNotFoundError()
        classes = [kind.__name__ for kind in type(cause).__mro__]
        known = {key: getattr(cause, key, None) for key in ("filename", "lineno", "name")}
        return missing(str(error), *kind_of(str(entry["module"]), classes, known))
    except (OSError, ValueError) as error:
        return missing(str(error), "file")
    try:
        tree = ast.parse(source.read_bytes(), str(source))
    except (SyntaxError, ValueError) as error:
        python = "Python {}.{}".format(*sys.version_info)
        line = getattr(error, "lineno", None) or 1
        return missing(f"{source} is no {python}: {error}", "syntax", source, line)
    except OSError as error:
        return missing(f"{source}: {error.strerror}", "file")
    wanted = [*([(0, package, [])] if package else []), *imports(tree, package)]
    late = sum(line < moved(tree) for line, *_ in wanted)
    modules = [(module, names) for _, module, names in wanted]
    return told(imports_of.try_all(str(source), directory, modules, late, seconds))


def missing(why: str, kind: str, *about: Any) -> dict[str, Any]:
    """Return what a program lacks."""
    return {"missing": why[:_SHOWN], "kind": kind, "about": [str(one) for one in about]}


def kind_of(module: str, classes: list[str], known: dict[str, Any]) -> list[Any]:
    """Return of which kind the failure to import a module is, and about what.

    Args:
        module: which one.
        classes: the names of the error's class and those above it.
        known: what the error says of itself.
    """
    if "SyntaxError" in classes:
        return ["syntax", known.get("filename") or module, known.get("lineno") or 1]
    if "ModuleNotFoundError" in classes:
        return ["module", known.get("name") or module]
    if "SystemExit" in classes:
        return ["exits", module]
    return ["other", module]


def find(entry: dict[str, Any]) -> tuple[Path, str, str]:
    """Return the program's file, the directory that leads its sys.path, and its package."""
    if entry.get("script"):
        path = Path(str(entry["script"])).expanduser()
        if not path.is_file():
            raise OSError(f"no file {path.absolute()}")
        return path, str(path.absolute().parent), ""
    name = str(entry["module"])
    if os.getcwd() not in sys.path:  # noqa: PTH109  where `python -m` looks first
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        spec = located(name)
        if spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = located(name)
    except Exception as error:
        raise ImportError(f"{name}: {type(error).__name__}: {error}") from error
    if not spec.origin or not spec.origin.endswith(".py"):
        raise ImportError(f"no module {name}")
    return Path(spec.origin), os.getcwd(), name.rpartition(".")[0]  # noqa: PTH109


def located(name: str) -> ModuleSpec:
    """Find a module without importing the packages that it is in: they may do anything."""
    above, *parts = name.split(".")
    spec = importlib.util.find_spec(above)
    for part in parts:
        if spec is None:
            break
        above += f".{part}"
        spec = PathFinder.find_spec(above, spec.submodule_search_locations or [])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {above!r}", name=above)
    return spec


def imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str, list[str]]]:
    """Give what stands at a program's top level: line, module, and names that it wants of it."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, []
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            names = [alias.name for alias in node.names if alias.name != "*"]
            module = absolute(node, package)
            if module:
                yield node.lineno, module, names


def moved(tree: ast.Module) -> float:
    """Return the line from which on a program may find its imports elsewhere; infinity for none."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if any(_named(part) in _MOVES for part in ast.walk(node)):
            return node.lineno
    return float("inf")


def _named(part: ast.AST) -> str:
    """Return `sys.path` for what says so, and nothing for anything less plain."""
    if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
        return f"{part.value.id}.{part.attr}"
    return ""


def absolute(node: ast.ImportFrom, package: str) -> str | None:
    """Return the full name of what is imported from, also of `from . import x`."""
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])]) or None


def told(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the trial of all imports comes to."""
    if "failed" in found:
        why, *what = found["failed"]
        return missing(why, *kind_of(*what))
    if "ended" in found:
        return missing(f"import {found['at']} ends Python; {found['ended']}", "other", found["at"])
    return found
