"""submitit's back end on a machine without Slurm: its local executor, one node, no queue."""

from __future__ import annotations

import os
import shlex
import signal as signals
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.in_process import in_process, note, refuse, refuse_directory
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory
from slurmkit.launch.sbatch import check_here, run_directory
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.states import State, read_state
from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.spec.model import JobSpec

_STATES = {0: "COMPLETED", 124: "TIMEOUT", 143: "CANCELLED"}
_NO_LIMIT = 365 * 86400
_TRIES = 10
_started: list[subprocess.Popen[bytes]] = []
"""This process's own, to be waited for, as every parent must."""


def submit(spec: JobSpec, options: Sequence[str] = ()) -> Entry:
    """Start a job's tasks on this machine, by submitit's local executor.

    Raises:
        SpecError: names the fields that cannot be honoured this way.
        SlurmError: sbatch was to be given options, and there is none.
    """
    from slurmkit.launch.submitit import LOCAL, write_call
    from slurmkit.render.local import render_local

    if options:
        what = f"{' '.join(options)} is an option of sbatch, and there is none here"
        raise SlurmError(what, fix="submit on a login node, or leave the option out")
    _refuse_queue(spec)
    check_here(spec, os.environ)
    script = render_local(in_process(spec, executor="local"), job_file=spec)
    note("no sbatch here: submitit's local executor runs the job on this machine, without a queue")
    for line in _left_out(spec):
        note(line)
    directory = run_directory(spec, "0").parent
    refuse_directory(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        id = _start(spec, script, directory)
        folder = directory / id / "submitit"
        if not folder.exists():  # else of a job whose number came round again; the script ends
            write_call(spec, folder, id, resubmits=spec.requeue is not None)
            return Entry(id, spec.name, str(directory / id), LOCAL, "submitit")
    raise SlurmError(
        f"no free number for a job in {directory}", fix="move the runs of old jobs away"
    )


def state(entry: Entry) -> State:
    """Tell the state of a job, by its process and by what its script left."""
    last = _ended(entry)
    if last is not None:
        return read_state(_STATES.get(last, "FAILED"))
    if _is_alive(entry):
        return read_state("RUNNING")
    time.sleep(0.2)  # it may have ended in between
    last = _ended(entry)
    return read_state("NODE_FAIL" if last is None else _STATES.get(last, "FAILED"))


def cancel(entry: Entry, signal: str | None = None) -> None:
    """End a job, or send a signal to its tasks.

    Raises:
        SlurmError: it does not run any more, or there is no such signal.
    """
    if not _is_alive(entry):
        raise SlurmError(f"job {entry.id} does not run on this machine any more")
    if signal is None:
        os.kill(int(entry.id), signals.SIGTERM)
        return
    name = signal.upper().removeprefix("SIG")
    controller = RunDirectory(Path(entry.directory)).events / "controller"
    command = ["pkill", f"-{name}", "-P", controller.read_text().strip()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SlurmError(f"signal {signal} did not reach job {entry.id}", fix=ran.stderr.strip())


def _start(spec: JobSpec, script: str, directory: Path) -> str:
    """Let submitit start its controller inside the job's script; return submitit's id."""
    from submitit.local.local import start_controller

    from slurmkit.slurm.scalars import parse_time

    path = directory / f".submitit-{uuid.uuid4().hex}.sh"
    path.write_text(script, encoding="utf-8")
    seconds = parse_time(spec.resources.time) if spec.resources.time else None
    gpus = range(spec.resources.gpus_per_node)
    # submitit's shell becomes the script, in a session of its own, which outlives the terminal.
    log = shlex.quote(f"{directory.parents[1]}/slurmkit-")
    become = f"exec setsid bash {shlex.quote(str(path))} < /dev/null > {log}$$.out 2>&1"
    process = start_controller(
        folder=directory,
        command="bash -c slurmkit_worker",
        tasks_per_node=spec.processes_per_node,
        cuda_devices=",".join(map(str, gpus)),
        timeout_min=(seconds or _NO_LIMIT) / 60,
        signal_delay_s=spec.requeue.lead_time if spec.requeue else 0,
        setup=[become],
    )
    _started.append(process)
    return str(process.pid)


def _refuse_queue(spec: JobSpec) -> None:
    refuse(spec)
    problems = []
    if spec.depends_on:
        what = "there is no sbatch here, and nothing else waits for other jobs"
        fix = "wait for those jobs, then --set depends_on={}"
        problems.append(Problem(what, Place("submitit"), "depends_on", fix=fix))
    if spec.resources.nodes > 1:
        what = f"{spec.resources.nodes} nodes, but there is no sbatch here, and submitit's local "
        fix = "rehearse all nodes here with slurmkit simulate, or --set resources.nodes=1"
        what += "executor has one"
        problems.append(Problem(what, Place("submitit"), "resources.nodes", fix=fix))
    if problems:
        raise SpecError(problems)


def _left_out(spec: JobSpec) -> list[str]:
    from slurmkit.render.hosts import for_slurm_alone

    restarts = ["launcher.restarts: left out"] if spec.launcher.restarts else []
    checks = ["preflight: left out; slurmkit preflight checks nodes"] if spec.preflight else []
    return [*restarts, *checks, *for_slurm_alone(spec)]


def _ended(entry: Entry) -> int | None:
    """Return the exit status that a job's script has written down; None while there is none."""
    events = RunDirectory(Path(entry.directory)).batch_events()
    codes = [event.get("code") for event in events if event.get("event") == "ended"]
    return codes[-1] if codes and isinstance(codes[-1], int) else None


def _is_alive(entry: Entry) -> bool:
    """Tell whether the process is there, and is this job: numbers come round again."""
    for process in _started:
        process.poll()
    runs = os.fsencode(Path(entry.directory).parent)
    process_directory = Path("/proc", entry.id)
    for _ in range(40):
        try:
            command = (process_directory / "cmdline").read_bytes()
            state = (process_directory / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            return False
        if command or state == b"Z":
            return runs in command
        time.sleep(0.05)  # it is just becoming another program: sh, setsid, bash
    return False
