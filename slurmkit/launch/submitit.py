"""Jobs by submitit: the entrypoint's main(config) is called in-process, in each task of the job.

submitit pickles the call, makes it in each task and pickles what it returns. Everything else is
our script's, as for any other job: resources, environment, run directory, ports, requeue. On a
machine without Slurm submitit's local executor runs the tasks; see `submitit_local`.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.launch import sbatch
from slurmkit.launch.in_process import in_process, refuse_directory, say_launcher
from slurmkit.launch.registry import Entry
from slurmkit.launch.rundir import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurmkit.slurm.records import Record
    from slurmkit.slurm.states import State
    from slurmkit.spec.model import JobSpec

LOCAL = "local"
"""The cluster, in the list of jobs, of a job that runs on this machine without Slurm."""
_PATIENCE = 15.0  # seconds until a file that a node wrote is seen here; submitit's own


def submit(spec: JobSpec, options: Sequence[str] = ()) -> Entry:
    """Submit a job whose entrypoint runs in-process.

    Args:
        spec: the job.
        options: further options of sbatch, such as `--hold`.

    Raises:
        SpecError: names the fields that cannot be honoured this way.
        SlurmError: sbatch refuses the job, or Slurm cannot be reached.
    """
    if shutil.which("sbatch") is None:
        from slurmkit.launch import submitit_local

        return submitit_local.submit(spec, options)
    from slurmkit.render.script import render

    refuse_directory(sbatch.run_directory(spec, "0"))
    script = render(in_process(spec), job_file=spec)
    say_launcher(spec)
    entry = sbatch.submit(spec, options, script=script)
    by_program = spec.requeue is not None and spec.requeue.by == "program"
    write_call(spec, _folder(entry), entry.id, resubmits=by_program)
    return Entry(entry.id, entry.name, entry.directory, entry.cluster, "submitit")


def state(entry: Entry) -> State:
    """Tell the state of a job."""
    told: State = _by(entry).state(entry)
    return told


def cancel(entry: Entry, signal: str | None = None) -> None:
    """End a job, or send it a signal."""
    _by(entry).cancel(entry, signal)


def records(entry: Entry) -> list[Record]:
    """Return what Slurm tells of a job; nothing of one that runs without Slurm."""
    return [] if entry.cluster == LOCAL else sbatch.records(entry)


def result(entry: Entry) -> Any:
    """Return what rank 0's main returned: from result.json, or what JSON cannot hold as it was."""
    run = RunDirectory(Path(entry.directory))
    return run.result() if (run.path / "result.json").exists() else _value(entry, 0)


def results(entry: Entry) -> list[Any]:
    """Return what main(config) returned on every rank, from submitit's pickles.

    Raises:
        RuntimeError: a rank has left no result, or an error; with its traceback.
    """
    return [_value(entry, rank) for rank in range(_world_size(entry))]


def remote_traceback(entry: Entry) -> str:
    """Return the traceback of the rank that failed first; empty where none is known."""
    failed = []
    for path in _folder(entry).glob(f"{entry.id}_*_result.pkl"):
        outcome, text = _read(path)
        if outcome == "error":
            failed.append((path.stat().st_mtime, path.name, str(text).rstrip()))
    if not failed:
        return ""
    _, name, text = min(failed)
    return f"rank {name.split('_')[-2]} raised:\n{text}"


def write_call(spec: JobSpec, folder: Path, id: str, *, resubmits: bool) -> None:
    """Pickle the call for a job, which waits up to a minute for it.

    Args:
        spec: the job.
        folder: submitit's folder.
        id: the job's id.
        resubmits: whether submitit requeues the job, not its script.
    """
    from submitit.core.utils import DelayedSubmission, JobPaths, temporary_save_path

    from slurmkit.slurm.scalars import parse_time
    from slurmkit.train.in_process import Call

    call = Call(
        "module" if spec.entrypoint.module else "script",
        has_config=spec.entrypoint.config is not None,
        resubmits=resubmits,
    )
    delayed = DelayedSubmission(call)
    seconds = parse_time(spec.resources.time) if spec.resources.time else None
    delayed.set_timeout((seconds or 10**9) // 60, spec.requeue.max_requeues if spec.requeue else 0)
    path = JobPaths(folder, id).submitted_pickle
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_save_path(path) as part:
        delayed.dump(part)


def _folder(entry: Entry) -> Path:
    """Return submitit's folder in a job's run directory."""
    return Path(entry.directory) / "submitit"


def _by(entry: Entry) -> Any:
    if entry.cluster != LOCAL:
        return sbatch
    from slurmkit.launch import submitit_local

    return submitit_local


def _world_size(entry: Entry) -> int:
    from slurmkit.spec.load import load

    return load(RunDirectory(Path(entry.directory)).job_file, profile="none").world_size


def _value(entry: Entry, rank: int) -> Any:
    from submitit.core.utils import JobPaths

    outcome, value = _read(JobPaths(_folder(entry), entry.id, rank).result_pickle)
    if outcome != "success":
        raise RuntimeError(f"rank {rank} of job {entry.id} has left no result:\n{value}")
    return value


def _read(path: Path) -> tuple[str, Any]:
    from submitit.core.utils import pickle_load

    end = time.monotonic() + _PATIENCE
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.2)
    if not path.exists():
        return "error", f"{path} is missing"
    outcome, value = pickle_load(path)
    return str(outcome), value
