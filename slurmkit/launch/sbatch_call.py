"""One call of sbatch, which is never made twice where the first may have made a job."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from typing import TYPE_CHECKING

from slurmkit.launch.refusals import refused
from slurmkit.slurm.commands import Answer, SlurmError, call, clean_environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slurmkit.spec.model import JobSpec

_PATIENCE = 300.0
"""Seconds; more than any controller's MessageTimeout, so that sbatch itself says what happened."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
_NEVER_ARRIVED = re.compile(r"connect failure|connection refused|rate limit exceeded", re.I)
"""Of what sbatch says, that which means that the controller has made no job."""


def call_sbatch(spec: JobSpec, options: Sequence[str], script: str) -> Answer:
    """Hand a script to sbatch on its standard input, and return its answer when it took it.

    The environment is this process's own without the variables of a job that it may be in.

    Raises:
        SpecError: Slurm refuses a field of the job.
        SlurmError: it refuses the job for another reason, or cannot be reached.
    """
    if shutil.which("sbatch") is None:
        raise SlurmError(
            "there is no sbatch on this machine",
            fix="submit on a login node of the cluster; here you can rehearse the job: "
            "slurmkit simulate",
        )
    command = ["sbatch", *options, *export_option(spec, os.environ)]
    for pause in (*_PAUSES, None):
        try:
            answer = _once(spec, command, script)
        except SlurmError as error:
            if pause is None or not _NEVER_ARRIVED.search(error.said):
                raise
        else:
            if answer.code == 0:
                return answer
            if pause is None or not _NEVER_ARRIVED.search(answer.err):
                raise refused(spec, answer.err)
        print("slurmkit: Slurm's controller is away; trying again", file=sys.stderr)
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def export_option(spec: JobSpec, environment: Mapping[str, str]) -> list[str]:
    """Return the option by which the variables of `environment.pass` reach the job.

    sbatch hands on the whole environment, unless the site says otherwise by SBATCH_EXPORT, which
    also wins over the script's lines; what it says stays, and the variables are added.
    """
    said = environment.get("SBATCH_EXPORT") or "ALL"
    names = [name for name in said.split(",") if name]
    if not spec.environment.pass_ or "ALL" in (name.upper() for name in names):
        return []
    named = [name for name in names if name.upper() not in ("NONE", "NIL")]
    missing = [name for name in spec.environment.pass_ if name not in named]
    return [f"--export={','.join([*named, *missing])}"] if missing else []


def how_to_look(spec: JobSpec) -> str:
    """Say how a user finds out whether a job is in the queue, whose id sbatch did not tell."""
    name = shlex.quote(spec.name)
    return f"look before you submit again: squeue --user=$USER --name={name}"


def _once(spec: JobSpec, command: Sequence[str], script: str) -> Answer:
    environment = clean_environment(os.environ)
    if "LC_ALL" not in os.environ:  # the job would inherit it
        environment.pop("LC_ALL", None)
    what = "sbatch was interrupted"
    try:
        return call(command, input=script, environment=environment, patience=_PATIENCE, tries=1)
    except SlurmError as error:
        if not error.passing or "--test-only" in command or _NEVER_ARRIVED.search(error.said):
            raise
        what, said = "sbatch got no answer from Slurm's controller", error.said
    except KeyboardInterrupt:
        if "--test-only" in command:
            raise
        said = ""
    raise SlurmError(
        f"{what}: the job may be in the queue all the same", said=said, fix=how_to_look(spec)
    ) from None
