"""A program and dependencies that make no sense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.spec.contradictions.found import Contradiction

if TYPE_CHECKING:
    from slurmkit.spec.model import Entrypoint, JobSpec


def entrypoint(entrypoint: Entrypoint) -> Iterator[Contradiction]:
    """Find an entrypoint that is not exactly one program."""
    kinds = ("module", "script", "command")
    given = [kind for kind in kinds if getattr(entrypoint, kind) is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} together" if given else "no program to run"
        fix = "keep one of them" if given else "write one of module:, script: and command: under it"
        yield Contradiction((), what, fix, "exactly one of module, script and command")
    elif given == ["command"]:
        if not entrypoint.command or not entrypoint.command[0]:
            yield Contradiction(("command",), "a command without a program", "write its name first")
        if entrypoint.args:
            yield Contradiction(("args",), "args beside a command", "write them into command")
        if entrypoint.config is not None:
            fix = "use module or script, or write the config's path into command"
            yield Contradiction(("config",), "a command takes no config", fix)
    if entrypoint.module == "":
        yield Contradiction(("module",), "an empty module name", "write a name such as my.train")


def dependencies(spec: JobSpec) -> Iterator[Contradiction]:
    """Find what is no job id."""
    if not spec.depends_on:
        return
    from slurmkit.slurm.grammar import GrammarError, check_dependency

    for kind, jobs in spec.depends_on.items():
        for index, job in enumerate(jobs):
            path = ("depends_on", kind, index)
            if re.search("[:,?]", job):
                yield Contradiction(
                    path, "more than one job", "write each id as an entry of its own"
                )
                continue
            try:
                check_dependency(f"{kind}:{job}")
            except GrammarError as error:
                yield Contradiction(path, "no job id", error.fix, error.expected)
