"""The output of jobs that were not submitted by slurmkit: Slurm knows where it went."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from slurmkit.check.doctor.event import Log
from slurmkit.check.doctor.sources import logs_of_run
from slurmkit.launch.registry import UnknownJobError
from slurmkit.launch.rundir import RunDirectory
from slurmkit.slurm.places import Places, places

_NAME = re.compile(r"%(?:%|(\d*)([A-Za-z]))")


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
    start = found.start
    named = [path for text in found.outputs for path in _meant(found, text, id)]
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


def _meant(job: Places, text: str, id: str) -> list[Path]:
    """Return the files that an `--output` stands for, when Slurm has filled it in (man sbatch).

    Of what differs from node to node, all.
    """
    number, _, task = id.partition("_")
    values = {"j": number, "A": number, "a": task or "4294967294", "x": job.name, "u": job.user}
    pattern, at = "" if Path(text).is_absolute() else glob.escape(f"{job.start}/"), 0
    for match in _NAME.finditer(text):
        value = values.get(match[2], "*") if match[2] else "%"
        filled = value if value == "*" else glob.escape(value.zfill(int(match[1] or 0)))
        pattern += glob.escape(text[at : match.start()]) + filled
        at = match.end()
    pattern += glob.escape(text[at:])
    found = sorted(map(Path, glob.glob(pattern)))  # noqa: PTH207  Path.glob takes no absolute one
    return found or [Path(pattern)]
