"""Jobs by sbatch: the rendered script, handed to Slurm."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.paths import check_paths
from slurmkit.launch.refusals import THE_JOB
from slurmkit.launch.registry import Entry
from slurmkit.launch.remains import records_of
from slurmkit.launch.rundir import RunDirectory
from slurmkit.launch.sbatch_call import call_sbatch, how_to_look
from slurmkit.render.quoting import slug
from slurmkit.render.script import render
from slurmkit.slurm.commands import SlurmError, call
from slurmkit.slurm.queue import find_records
from slurmkit.slurm.states import State, combined
from slurmkit.spec.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmkit.slurm.records import Record
    from slurmkit.spec.model import JobSpec

_ID = re.compile(r"^(\d+)(?:;(\S+))?\s*$", re.M)
_START = re.compile(
    r"Job \d+ to start at (\S+)(?: using (\d+) processors)?"
    r"(?: on (?:nodes )?(\S+))?(?: in partition (\S+))?"
)


@dataclass(frozen=True, slots=True)
class Start:
    """When a job would start, as `sbatch --test-only` has it."""

    said: str
    """Slurm's own words."""
    time: str = ""
    """Local time: `2026-11-21T08:15:30`; the next three are empty, too, where Slurm says none."""
    processors: str | None = None
    nodes: str | None = None
    partition: str | None = None


def submit(spec: JobSpec, options: Sequence[str] = (), *, script: str | None = None) -> Entry:
    """Hand a job's script to sbatch, from the present directory.

    sbatch is asked once, unless it could not even reach the controller: a second try after a
    lost answer might make a second job.

    Args:
        spec: the job.
        options: further options of sbatch, such as `--hold`.
        script: what to run in the place of the job's own script.

    Raises:
        SpecError: the job cannot be rendered; something of it is missing here; or Slurm refuses
            one of its fields.
        SlurmError: sbatch refuses it, or Slurm cannot be reached.
    """
    check_here(spec, os.environ)
    answer = call_sbatch(spec, ["--parsable", *options], script or render(spec))
    found = _ID.search(answer.out)
    if found is None:
        said = f"{answer.out}\n{answer.err}"
        raise SlurmError("sbatch named no job", said=said, fix=how_to_look(spec))
    if answer.err.strip():  # a word of the site's to its users
        print(answer.err.strip(), file=sys.stderr)
    return Entry(found[1], spec.name, str(run_directory(spec, found[1])), found[2] or "")


def would_start(spec: JobSpec, options: Sequence[str] = ()) -> Start:
    """Ask Slurm when a job would start, and submit nothing; see `submit` for the errors."""
    check_here(spec, os.environ)
    said = call_sbatch(spec, ["--test-only", *options], render(spec)).err
    found = _START.search(said)
    return Start(said.strip(), *found.groups()) if found else Start(said.strip())


def check_here(spec: JobSpec, environment: Mapping[str, str]) -> None:
    """Refuse a job of which something is missing where it is submitted.

    Raises:
        SpecError: paths that are not here, variables of `environment.pass` that are not set.
    """
    problems = [
        Problem(
            f"{name} is not set here",
            THE_JOB,
            f"environment.pass[{index}]",
            fix=f"export {name} in this shell before you submit, or take it out of pass",
        )
        for index, name in enumerate(spec.environment.pass_)
        if name not in environment
    ]
    try:
        check_paths(spec, {}, environment, otherwise="submit")
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError(problems)


def run_directory(spec: JobSpec, id: str) -> Path:
    """Return where a job's script makes its run directory."""
    start = Path(spec.sbatch.get("chdir", "")).expanduser()
    return Path.cwd() / start / "runs" / slug(spec.name) / id


def records(entry: Entry) -> list[Record]:
    """Return what Slurm tells of a job: one record, or one for each task of an array.

    Raises:
        SlurmError: Slurm cannot be reached, or knows no such job.
    """
    found = find_records([entry.id], each_task=True) or records_of(entry)
    if not found:
        raise SlurmError(
            f"Slurm knows no job {entry.id}",
            fix="ids of your jobs: slurmkit status",
        )
    return found


def state(entry: Entry) -> State:
    """Ask Slurm for the state of a job; of an array, for that of all its tasks together."""
    return combined([record.state for record in records(entry)])


def cancel(entry: Entry, signal: str | None = None) -> None:
    """End a job by scancel, or send a signal to its script or its steps."""
    from slurmkit.launch import control

    if signal is None:
        control.end([entry])
    else:
        control.send([entry], signal)


def release(entry: Entry) -> None:
    """Let a job go that was submitted with `--hold`."""
    answer = call(["scontrol", "release", entry.id])
    if answer.code != 0:
        raise SlurmError(f"job {entry.id} was not released", said=answer.err)


def results(entry: Entry) -> list[Any]:
    """Return the results of an array's tasks, in their order, or the one of a job."""
    tasks = sorted(
        (record.id for record in records(entry) if "_" in record.id),
        key=lambda id: int(id.partition("_")[2]),
    )
    directory = Path(entry.directory)
    paths = [directory.with_name(id) for id in tasks] or [directory]
    return [RunDirectory(path).result() for path in paths]
