"""The Jinja templates: where they lie, and compiled only once a version."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Template
    from jinja2.bccache import Bucket

JOB_TEMPLATE = "job.sbatch.j2"


def job_template() -> Template:
    """Return the template of the batch script."""
    return template(JOB_TEMPLATE)


@cache
def template(name: str) -> Template:
    """Return one of our templates."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(  # noqa: S701  see `syntax`
        loader=FileSystemLoader(templates_directory()),
        bytecode_cache=_bytecode_cache(),
        **syntax(),
    )
    return environment.get_template(name)


def syntax() -> dict[str, Any]:
    """Return how templates are written: of batch scripts and job files, ours and those of users."""
    from jinja2 import StrictUndefined

    return {
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
        "comment_start_string": "<#",  # {# is bash: ${#nodes[@]}
        "comment_end_string": "#>",
        "autoescape": False,  # bash or YAML, not HTML: every value is quoted for it
    }


@cache
def templates_directory() -> Path:
    """Return where the templates lie: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    places = (package / "templates", package.parent / "templates")
    return next(path for path in places if path.is_dir())


def _bytecode_cache() -> BytecodeCache | None:
    """Return where compiled templates are kept, as Python keeps `__pycache__`; None if nowhere.

    Jinja names the files by template and version and checks them against the source. Compiling
    takes a tenth of what `slurmkit render` takes (benchmarks/cli_startup.py).
    """
    from jinja2 import FileSystemBytecodeCache

    class Forgiving(FileSystemBytecodeCache):
        """A file that is cut off, or a disk that is full, only costs the compilation."""

        def load_bytecode(self, bucket: Bucket) -> None:
            try:
                super().load_bytecode(bucket)
            except (OSError, EOFError, ValueError, pickle.UnpicklingError):
                bucket.reset()

        def dump_bytecode(self, bucket: Bucket) -> None:
            with suppress(OSError):
                super().dump_bytecode(bucket)

    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        directory = Path(home) / "slurmkit" / "templates"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    return Forgiving(str(directory)) if os.access(directory, os.W_OK) else None
