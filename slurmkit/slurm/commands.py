"""The only place that runs Slurm's commands: each gives its text, or says why it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

PATIENCE = 5.0
"""Seconds. Slurm's own commands wait up to minutes for a controller that is away."""
LONG_PATIENCE = 60.0
"""Seconds, for what a job depends on: a busy controller may need this long."""

_NODES = ("sinfo", "--noheader", "--exact", "--format=%P|%a|%l|%s|%D|%c|%G|%T")
_CONFIG = ("scontrol", "show", "config")
_ASSOCIATIONS = "format=Cluster,Account,DefaultAccount"
_PASSING = re.compile(
    r"unable to contact slurm controller|socket timed out|zero bytes were transmitted"
    r"|connection (refused|reset|timed out)|transport endpoint|resource temporarily unavailable"
    r"|unable to connect to database|slurm_persist_conn_open",
    re.IGNORECASE,
)
_NO_CLUSTER = re.compile(
    r"could not establish a configuration source|resolve_ctls_from_dns_srv"
    r"|unable to process configuration file",
    re.IGNORECASE,
)
_ELSEWHERE = (
    "run this on a machine of the cluster, a login node for instance; "
    "`slurmkit simulate job.yaml` rehearses a job here"
)
_OUTER_JOB = re.compile(r"SLURM_|SLURMD_|SRUN_|SQUEUE_|SACCT_|SINFO_|SCANCEL_|TORCHELASTIC_|PET_")
_KEPT = {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT", "SLURM_EXPORT_ENV", "SLURM_CONF_SERVER"}


class SlurmError(RuntimeError):
    """Slurm refused, or could not be asked: what happened, Slurm's own words, what to do."""

    def __init__(self, what: str, *, said: str = "", fix: str = "", passing: bool = False) -> None:
        self.what = what
        self.passing = passing  # whether it may be over in a while: a controller that is away
        self.said = said.strip()
        self.fix = fix
        rows = (("Slurm says", self.said.replace("\n", "\n" + " " * 16)), ("fix", fix))
        super().__init__("\n".join([what, *(f"    {k + ':':<12}{v}" for k, v in rows if v)]))


class NoClusterError(SlurmError):
    """Slurm's commands are here, and no configuration: they belong to no cluster."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command wrote, and how it ended."""

    code: int
    out: str
    err: str


def describe_cluster(user: str) -> tuple[str | None, str | None, str | None]:
    """Ask for the partitions and their nodes, the configuration, and the accounts of a user."""
    accounts = (
        *("sacctmgr", "--noheader", "--parsable2", "show", "user", user),
        *("withassoc", _ASSOCIATIONS),
    )
    nodes, config, known = ask(_NODES, _CONFIG, accounts)
    return nodes, config, known


def has_pyxis() -> bool:
    """Tell whether srun has the options of pyxis, which is a plug-in of the site's."""
    (options,) = ask(("srun", "--help"))
    return "--container-image" in (options or "")


def ask(*commands: Sequence[str], patience: float = PATIENCE) -> list[str | None]:
    """Run commands side by side; give what each wrote to standard output.

    None stands for a command that is not there, failed, or took longer than `patience` seconds.
    """
    with ThreadPoolExecutor(len(commands)) as threads:
        return list(threads.map(lambda command: _output(command, patience), commands))


def call(
    command: Sequence[str],
    *,
    input: str | None = None,
    environment: Mapping[str, str] | None = None,
    patience: float = LONG_PATIENCE,
    tries: int = 4,
) -> Answer:
    """Run one of Slurm's commands; wait and try again while the controller does not answer.

    Args:
        command: the words, the command's name first.
        input: its standard input; none when not given.
        environment: its environment; by default this process's own, see `clean_environment`.
        patience: seconds for all tries together.
        tries: how often at most; 1 for what must not happen twice.

    Raises:
        SlurmError: no such command, no answer in time, or a controller that stays away. A
            refusal raises nothing: it is an answer whose code is not 0.
    """
    end = time.monotonic() + patience
    pause = 0.5
    while True:
        tries -= 1
        answer = _once(command, input, environment, end - time.monotonic(), patience)
        if answer.code != 0 and _NO_CLUSTER.search(answer.err):
            raise NoClusterError("no Slurm cluster answers on this machine", fix=_ELSEWHERE)
        away = answer.code != 0 and _PASSING.search(answer.err)
        if not away:
            return answer
        if not tries or time.monotonic() + pause >= end:
            raise SlurmError(
                f"{command[0]} does not reach Slurm's controller",
                said=answer.err,
                fix="try again in a minute; `scontrol ping` shows whether the controller is up",
                passing=True,
            )
        time.sleep(pause)
        pause *= 2


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what a job, or a notebook in one, hands on to what it submits.

    The names of the configuration and of the cluster stay, and so does SBATCH_…, which a site
    sets for its users.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not _OUTER_JOB.match(name)
    }
    return {**kept, "LC_ALL": environment.get("LC_ALL", "C.UTF-8")}


def _once(
    command: Sequence[str],
    input: str | None,
    environment: Mapping[str, str] | None,
    seconds: float,
    patience: float,
) -> Answer:
    try:
        ran = subprocess.run(
            command,
            env=clean_environment(os.environ) if environment is None else environment,
            input=None if input is None else input.encode(),
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            check=False,
            timeout=max(seconds, 0.1),
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(
            f"{command[0]} gave no answer within {patience:g} s",
            fix="try again in a minute; `scontrol ping` shows whether the controller is up",
            passing=True,
        ) from None
    except OSError as error:
        raise SlurmError(
            f"{command[0]} cannot be run: {error.strerror}",
            fix=_ELSEWHERE,
        ) from None
    out, err = (text.decode(errors="replace") for text in (ran.stdout, ran.stderr))
    return Answer(ran.returncode, out, err)


def _output(command: Sequence[str], patience: float) -> str | None:
    try:
        answer = call(command, patience=patience, tries=1)
    except SlurmError:
        return None
    return answer.out if answer.code == 0 else None
