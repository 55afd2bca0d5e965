"""An entrypoint inside a process of submitit's: what is called, and how it comes back.

``python -m slurmkit.train.in_process FOLDER PROGRAM [ARGUMENTS]`` lets submitit load the pickle
in FOLDER, which is a `Call`, and pickle what it returns. The program and its arguments stand on
the command line because the job's script fills in there what is known on the node only.
"""

from __future__ import annotations

import importlib
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from slurmkit.train.config_file import read_config
from slurmkit.train.entrypoint import with_result
from slurmkit.train.rundir import forget_status, wants_requeue

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

_PROGRAM = 2
"""Its place in sys.argv, behind this module and submitit's folder."""
_BEFORE = signal.getsignal(signal.SIGUSR1) or signal.SIG_DFL
"""What USR1 did before submitit: our scripts may have had it ignored."""


class EntrypointError(RuntimeError):
    """The program cannot be called, or has ended with an exit status of its own."""


@dataclass(frozen=True)
class Call:
    """The call that submitit pickles, and makes in each process."""

    kind: Literal["module", "script"]
    has_config: bool
    """Whether the arguments end with ``--config FILE``."""
    resubmits: bool
    """Whether the program has submitit requeue the job, as `requeue.by: program` says."""

    def __call__(self) -> Any:
        """Run the program; return what its main returned, or None for a script."""
        resubmit = _take_signals(self.resubmits)
        program, *arguments = sys.argv[_PROGRAM:]
        first = os.environ.get("RANK", "0") == "0"
        if first:
            forget_status()
        result = None
        if self.kind == "script":
            _run_script(program, arguments)
        else:
            result = with_result(lambda: _run_module(program, arguments, self.has_config))
        if resubmit and first and wants_requeue() and _is_running():
            resubmit(signal.SIGUSR1, None)
        return result

    def checkpoint(self) -> DelayedSubmission:
        """Return what submitit submits again: the same call, which finds its own checkpoints."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _take_signals(resubmits: bool) -> Callable[[int, None], None] | None:
    """Return submitit's handler, which requeues, if the program requeues itself.

    Until `stop.requested()` puts a handler that only notes in its place, it stands at USR1. For
    any other program submitit's handlers go: they keep TERM from ending it.
    """
    handler: Any = signal.getsignal(signal.SIGUSR1)
    if resubmits:
        return handler if callable(handler) else None
    signal.signal(signal.SIGUSR1, _BEFORE)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCONT, signal.SIG_DFL)
    return None


def _run_module(name: str, arguments: list[str], has_config: bool) -> Any:
    module = importlib.import_module(name)
    main = getattr(module, "main", None)
    if not callable(main):
        raise EntrypointError(
            f"entrypoint.module: {name} ({getattr(module, '__file__', None)}) has no function "
            "main(config): write one, or name the file as entrypoint.script"
        )
    sys.argv = [getattr(module, "__file__", None) or name, *arguments]
    config = read_config(Path(arguments[-1])) if has_config else {}
    with _exits_told(f"entrypoint.module: {name}"):
        return main(config)
    return None


def _run_script(path: str, arguments: list[str]) -> None:
    sys.argv = [path, *arguments]
    sys.path[0] = str(Path(path).resolve().parent)
    with _exits_told(f"entrypoint.script: {path}"):
        runpy.run_path(path, run_name="__main__")


@contextmanager
def _exits_told(program: str) -> Iterator[None]:
    """Take `sys.exit()` for the end of the program, and any other exit for its error."""
    try:
        yield
    except SystemExit as end:
        *_, (innermost, _) = traceback.walk_tb(end.__traceback__)
        if innermost.f_globals.get("__name__", "").startswith("submitit."):
            raise  # its handler, which has had the job requeued
        if end.code not in (None, 0):
            raise EntrypointError(f"{program} ended with {end.code!r}") from end


def _is_running() -> bool:
    """Ask Slurm: a job that was cancelled is COMPLETING by now, and must not come back."""
    if "SLURM_JOB_ID" not in os.environ or os.environ.get("SUBMITIT_EXECUTOR") == "local":
        return True
    command = ["squeue", "--noheader", f"--jobs={os.environ['SLURM_JOB_ID']}", "--format=%T"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return asked.stdout.strip() == "RUNNING"
