"""Directives behind the first command: Slurm ignored them, and their author meant them."""

from __future__ import annotations

from dataclasses import replace

from slurmkit.check.importer.draft import Draft
from slurmkit.check.lint.job import Job
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.options import Argument, Given, parse


def with_late(job: Job, draft: Draft) -> Job:
    """Return the job with these directives among the others, and tell of each."""
    from slurmkit.check.lint.rules.directives import ignored

    directives = job.script.directives
    early = {option.name: option.value for option in directives.options if not option.problem}
    taken: list[Given[Piece]] = []
    for line in ignored(job):
        said = job.script.source.line_text(line.number).strip()
        words = [Argument(word.text, word) for word in line.words]
        options = parse("sbatch", words, permute=True).options
        against = [option for option in options
                   if early.get(option.name, option.value) != option.value]  # fmt: skip
        taken += [option for option in options if option not in against]
        why = "stood behind the first command, where Slurm ignores it; in the job file it counts"
        if against:
            names = ", ".join(f"--{option.name}" for option in against)
            why = f"stood behind the first command, where Slurm ignores it: {names} is as above it"
        draft.note(line.number, "changed", said, why)
    if not taken:
        return job
    first, *others = directives.components
    now = replace(directives, components=((*first, *taken), *others))
    return replace(job, script=replace(job.script, directives=now))
