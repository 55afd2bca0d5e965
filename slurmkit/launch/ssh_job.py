"""One job on hosts: its plan, its run directory on this machine, its run, what is fetched after."""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch import ssh_fetch
from slurmkit.launch.failure import first_failure
from slurmkit.launch.registry import Entry, remember
from slurmkit.launch.rundir import RunDirectory
from slurmkit.launch.ssh_client import Ssh, address_of
from slurmkit.launch.ssh_output import Output
from slurmkit.launch.ssh_run import Part, Run
from slurmkit.render import quoting
from slurmkit.render.hosts import (
    Session,
    grace,
    node_addresses,
    over_ssh,
    port_of,
    render_hosts,
)
from slurmkit.spec.dump import dump_job
from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from slurmkit.launch.hosts import Host
    from slurmkit.spec.model import JobSpec

_IDS = range(100_000_000, 1_000_000_000)
"""Above the largest id that Slurm gives (67,043,328)."""


@dataclass(frozen=True)
class Plan:
    """A job, its hosts, and where its files go."""

    spec: JobSpec
    hosts: Sequence[str]
    """As ssh takes them."""
    nodes: Sequence[str]
    """Their addresses, as they reach each other."""
    master: str
    job_id: int
    start: str
    """The directory on the hosts, as a word of bash."""
    local_start: Path
    """The directory on this machine."""
    secrets: dict[str, str] = field(repr=False)
    """What environment.pass takes along."""

    @property
    def port(self) -> int:
        """Where the processes meet."""
        return port_of(self.spec, self.job_id)

    @property
    def run(self) -> RunDirectory:
        """The run directory on this machine."""
        return RunDirectory(
            self.local_start / "runs" / quoting.slug(self.spec.name) / str(self.job_id)
        )

    @property
    def output(self) -> Path:
        """What the job prints, as a file: where Slurm would have it."""
        return self.local_start / f"slurmkit-{self.job_id}.out"

    @property
    def entry(self) -> Entry:
        """The job's entry in the list of jobs."""
        return Entry(str(self.job_id), self.spec.name, str(self.run.path), "", "ssh")


def make_plan(
    spec: JobSpec,
    hosts: Sequence[Host],
    *,
    options: Sequence[str] = (),
    master: str | None = None,
    job_id: int | None = None,
) -> Plan:
    """Settle where everything is.

    Raises:
        SpecError: a variable of environment.pass is not set here.
    """
    names = [host.name for host in hosts]
    nodes = node_addresses(spec, [address_of(name, options) for name in names])
    chdir = spec.sbatch.get("chdir", "")
    anywhere = chdir.startswith(("/", "~"))
    start = chdir if anywhere else str(Path.cwd() / chdir)
    local = Path(start).expanduser()
    local = local if local.is_dir() else Path.cwd()
    while job_id is None or (job_id not in _IDS):
        job_id = random.choice(_IDS)  # noqa: S311  no secret
    word = quoting.path_word(start, "sbatch.chdir") if anywhere else quoting.word(start)
    return Plan(spec, names, nodes, master or nodes[0], job_id, word, local, _passed(spec))


def prepare(plan: Plan) -> None:
    """Make the run directory on this machine, and note the job in the list."""
    run = plan.run
    run.events.mkdir(parents=True, exist_ok=True)
    plan.output.touch()
    run.job_file.write_text(dump_job(plan.spec), encoding="utf-8")
    (run.path / ssh_fetch.MARK).write_text(secrets.token_hex(8))
    remember(plan.entry)
    note(run, "submitted", hosts=list(plan.hosts), launcher=f"{socket.gethostname()}:{os.getpid()}")


def hold(run: RunDirectory) -> int:
    """Lock the run directory: as long as the lock is held, the job lives. Give the lock."""
    lock = os.open(run.path / "launch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def run_job(plan: Plan, ssh: Ssh, output: Output) -> tuple[str, str | None]:
    """Run the job to its end, and fetch its files.

    Returns:
        The state in Slurm's words; who failed first, and how.
    """
    scripts = render_hosts(
        plan.spec, plan.nodes, master=plan.master, job_id=plan.job_id, started_there=True
    )
    session = Session(plan.job_id, plan.start, plan.secrets, ssh.patience)
    parts = [
        Part(host, node, over_ssh(plan.spec, script, rank, session))
        for rank, (host, node, script) in enumerate(
            zip(plan.hosts, plan.nodes, scripts.values(), strict=True)
        )
    ]
    note(plan.run, "started")
    control = Control(plan.run.path / "control")
    run = Run(ssh, parts, output, grace(plan.spec), control.read)
    state = run.run()
    try:
        for told in ssh_fetch.fetch(ssh, parts, plan.start, plan.run):
            output.say(told)
    except KeyboardInterrupt:
        output.say("not all logs were fetched; they are on the hosts")
    # Node 0's script has ended with the code of being stopped; this is the job's.
    note(plan.run, "ended", file="batch.jsonl", code=run.code)
    first = run.first
    if state == "FAILED" and (first is None or "rank" not in first):
        found = first_failure(plan.run) if not (first and "lost" in first) else None
        first = found.text if found else first
    return state, first


def note(run: RunDirectory, event: str, *, file: str = "launch.jsonl", **fields: object) -> None:
    """Write down what happens to the job, seen from the machine that launches it."""
    line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, ensure_ascii=False)
    with (run.events / file).open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


@dataclass
class Control:
    """A file into which other processes write signals for the job, a line each."""

    path: Path
    _read: int = 0

    def read(self) -> list[str]:
        """Return the lines that are new."""
        try:
            words = self.path.read_text(encoding="utf-8").split()
        except OSError:
            return []
        new, self._read = words[self._read :], len(words)
        return new


def _passed(spec: JobSpec) -> dict[str, str]:
    missing = [name for name in spec.environment.pass_ if name not in os.environ]
    if missing:
        fix = f"export {' '.join(missing)} here, or drop it from environment.pass"
        what = f"{', '.join(missing)} not set where the job is launched"
        raise SpecError([Problem(what, Place("environment"), "environment.pass", fix=fix)])
    return {name: os.environ[name] for name in spec.environment.pass_}
