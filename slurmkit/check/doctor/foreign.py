"""The output of jobs that were not submitted by slurmkit: Slurm knows where it went."""

from __future__ import annotations

import re

from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.sources import logs_of_run
from slurmkit.launch.registry import UnknownJobError
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.places import places

_NAME = re.compile(r"%(\d*)([jAax])")


def logs_of_job(raw_id: str, id: str) -> list[Log]:
    """Return the files that a job wrote, as far as they can be found.

    Args:
        raw_id: Slurm's own number of it.
        id: as a user writes it, `123_4` for an array task.

    Raises:
        UnknownJobError: Slurm does not know it, or its files are not where they should be.
        SlurmError: Slurm cannot be asked.
    """
    found = places(raw_id)
    if found is None:
        raise UnknownJobError(
            f"job {id} was not submitted from here, and Slurm does not know it; name its files: "
            "slurmkit doctor --log FILE"
        )
    start, named = found.start, [found.start / _filled(text, id) for text in found.outputs]
    for path in sorted(start.glob(f"runs/*/{id}")):
        return logs_of_run(RunDirectory(path))
    usual = [start / f"slurm-{id}.out", start / f"slurmkit-{id}.out"]
    paths = list(dict.fromkeys(path for path in (*named, *usual) if path.is_file()))
    if not paths:
        looked = ", ".join(map(str, dict.fromkeys([*named, usual[0]])))
        raise UnknownJobError(
            f"job {id} left no output that can be read here (looked for {looked}); name its "
            "files: slurmkit doctor --log FILE"
        )
    return [Log(path) for path in paths]


def _filled(text: str, id: str) -> str:
    """Return a path with the numbers in it that Slurm fills in."""
    job, _, task = id.partition("_")
    values = {"j": job, "A": job, "a": task or "4294967294"}
    return _NAME.sub(lambda m: values.get(m[2], m[0]).zfill(int(m[1] or 0)), text)
