"""Jobs over pretend nodes: a simulation in the background, found again by what it leaves.

While it runs, its warden does too, and its directory knows its state; when it is over, the last
line of `events/simulation.jsonl` in the run directory does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.launch.rundir import RunDirectory, read_json, read_json_lines
from slurmkit.launch.simulate.cluster import Cluster
from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.processes import find_processes, send
from slurmkit.slurm.states import State, combined, read_state

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_PATIENCE = 60.0  # seconds in which a script makes its run directory
_BETWEEN = 2.0  # seconds, at most, from one task of an array to the next
_PREFIX = "slurmkit-simulate-"  # see work_directory in simulate/standins.py


def submit(spec: JobSpec) -> Entry:
    """Simulate a job in the background, from the present directory.

    What it prints goes to `slurmkit-ID.out`, as Slurm has it.

    Raises:
        SpecError: the job cannot be rendered.
        SimulationError: it cannot be simulated here.
    """
    from slurmkit.launch.simulate.background import main
    from slurmkit.spec.dump import dump_job

    # Not `-m`, which would find a file of the user's before a module of that name.
    code = f"import sys; sys.path[:] = {sys.path!r}; from {main.__module__} import main; main()"
    start = Path(spec.sbatch.get("chdir", "")).expanduser().absolute()
    output = _new_output(start if start.is_dir() else Path.cwd())
    reading, writing = os.pipe()
    with output.open("wb") as file, os.fdopen(reading) as news, tempfile.TemporaryFile() as job:
        job.write(dump_job(spec).encode())
        job.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", code, str(writing)],
            stdin=job,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
            start_new_session=True,  # no Ctrl-C of the terminal or the notebook is for it
        )
        os.close(writing)
        told = json.loads(news.readline() or "{}")
    if "id" not in told:
        said = output.read_text(encoding="utf-8", errors="replace")
        output.unlink()
        raise SimulationError(told.get("error") or f"the simulation did not start: {said}")
    return _entry(spec, str(told["id"]), output, process)


def state(entry: Entry) -> State:
    """Tell the state of a job from its run directory, and from whether it lives.

    A simulation that was killed is like a node that died.
    """
    end = time.monotonic() + (_BETWEEN if _count(entry) > 1 else 0)
    while True:
        if (last := _last_state(entry)) is not None:  # before the long look at all processes
            return last
        if (cluster := _find(entry.id)) is not None and (live := _live(cluster)):
            return read_state(live)
        if (last := _last_state(entry)) is not None:  # it has ended meanwhile
            return last
        if time.monotonic() > end:
            return read_state("NODE_FAIL")
        time.sleep(0.05)


def cancel(entry: Entry, signal: str | None = None) -> None:
    """End a job as scancel does, or send a signal to its steps.

    Raises:
        UnknownJobError: it does not run.
        ValueError: there is no such signal.
    """
    cluster = _find(entry.id)
    if cluster is None:
        raise UnknownJobError(f"job {entry.id} does not run any more")
    if signal is None:
        cluster.request("cancel")
    else:
        from slurmkit.launch.simulate.trouble import read_signal

        number = read_signal(f"{signal}@0").signal
        for step in cluster.steps():
            send(find_processes({**cluster.marker, "SLURM_STEP_ID": step}), number)


def results(entry: Entry) -> list[Any]:
    """Return the results of an array's tasks, in their order, or the one of a job."""
    return [run.result() for run in _runs(entry)]


def _runs(entry: Entry) -> list[RunDirectory]:
    run = RunDirectory(Path(entry.directory))
    return run.tasks() or [run]


def _last_state(entry: Entry) -> State | None:
    """Return the state in which a job has ended; None where it has not said so."""
    ended = [state for run in _runs(entry) if (state := _ended(run)) is not None]
    over = ended and (len(ended) >= _count(entry) or ended[-1].name == "CANCELLED")
    return combined(ended) if over else None


def _ended(run: RunDirectory) -> State | None:
    ends = read_json_lines(run.events / "simulation.jsonl")
    return read_state(str(ends[-1].get("state", ""))) if ends else None


def _count(entry: Entry) -> int:
    """Return how many tasks a job has; 1 for one that is no array."""
    try:
        return len((Path(entry.directory) / "sweep.tsv").read_bytes().splitlines()) - 1
    except OSError:
        return 1


def _new_output(directory: Path) -> Path:
    handle, name = tempfile.mkstemp(".out", "slurmkit-new-", directory)
    os.close(handle)
    path = Path(name)
    path.chmod(0o644)
    return path


def _entry(spec: JobSpec, id: str, output: Path, process: subprocess.Popen[bytes]) -> Entry:
    """Return the job's entry as soon as its run directory is there."""
    output = output.replace(output.with_name(f"slurmkit-{id}.out"))
    end = time.monotonic() + _PATIENCE
    while True:
        over = process.poll() is not None
        runs = output.parent.glob(f"runs/*/{id}_0/events" if spec.sweep else f"runs/*/{id}/events")
        if (found := next(runs, None)) is not None:
            directory = str(found.parent.with_name(id))
            return Entry(id, spec.name, directory, "simulate", "simulate")
        if over or time.monotonic() > end:
            raise SimulationError(f"the job made no run directory: see {output}")
        time.sleep(0.02)


def _find(id: str) -> Cluster | None:
    """Return the directory of a simulation that runs: its warden names it last."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        directory = Path(os.fsdecode(words[-2])) if len(words) > 1 else Path()
        if directory.name.startswith(_PREFIX):
            job = read_json(directory / "job.json") or {}
            array, task = job.get("array"), job.get("task")
            if id in (str(job.get("id")), str(array), f"{array}_{task}"):
                return Cluster(directory)
    return None


def _live(cluster: Cluster) -> str:
    try:
        return cluster.state()
    except OSError:  # it ended just now
        return ""
