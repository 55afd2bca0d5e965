"""``python -m slurmkit.train.in_process FOLDER PROGRAM [ARGUMENTS]``: one process of a job."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from slurmkit.train.config_file import ConfigError
from slurmkit.train.entrypoint import failed
from slurmkit.train.variables import DistributedError


def main(folder: str) -> int:
    """Let submitit make the call that is pickled in a folder; return the exit status."""
    try:
        import submitit
        from submitit.core.submission import process_job
    except ImportError:
        print(
            f"slurmkit: {sys.executable} has no submitit: install slurmkit-torch into the job's "
            "Python, or submit without --via submitit",
            file=sys.stderr,
        )
        return 1
    os.environ["SUBMITIT_FOLDER"] = folder
    _remove_result(submitit.JobEnvironment().paths.result_pickle)
    try:
        process_job(folder)
    except ConfigError:  # in submitit's pickle with its traceback; here in words
        print(f"error in the config:\n{sys.exc_info()[1]}", file=sys.stderr)
        return 2
    except DistributedError as error:
        print(f"error: {error}", file=sys.stderr)
        return failed()
    except Exception:
        traceback.print_exc()
        return failed()
    return 0


def _remove_result(pickle: Path) -> None:
    """Remove what an earlier run of this job left; submitit stops at a half-written one."""
    pickle.unlink(missing_ok=True)
    pickle.with_suffix(pickle.suffix + ".save_tmp").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
