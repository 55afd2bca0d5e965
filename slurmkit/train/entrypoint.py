"""The command line of every entrypoint: ``python -m slurmkit.train.NAME [--config FILE]``.

Exit status: 0 done, 1 failed, 2 the config is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slurmkit.train.config_file import ConfigError, read_config
from slurmkit.train.ranks import read_environment
from slurmkit.train.rundir import forget_result, write_result
from slurmkit.train.variables import DistributedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Main = Callable[[Mapping[str, Any]], Any]
    _Call = Callable[[Main, Path | None], int | None]


def run(main: Main, name: str, arguments: Sequence[str] | None = None) -> int:
    """Call an entrypoint's ``main(config)`` with the config that the command line names.

    What it returns on rank 0 becomes the run directory's result.json.

    Args:
        main: the entrypoint.
        name: its module, for the help text.
        arguments: the command line; ``sys.argv`` by default.

    Returns:
        The exit status. An error is printed: the user's in words, any other as a traceback.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=main.__doc__)
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML; defaults without it")
    options = parser.parse_args(arguments)
    try:
        return _reported_to_torchrun(_in_words)(main, options.config) or 0
    except Exception:  # so that a rank which has failed ends, and its job with it
        traceback.print_exc()
        return failed()


def with_result(call: Callable[[], Any]) -> Any:
    """Call an entrypoint, and leave what it returns on rank 0 in result.json."""
    first = _is_first_rank()
    if first:
        forget_result()
    result = call()
    if first:
        write_result(result)
    return result


def failed(status: int = 1) -> int:
    """Return the status, or end the process here if its way out could wait for other ranks.

    A process group that is still there (nccl's, after an error) is torn down by the interpreter
    as it exits, and that can hang for as long as another rank is inside a collective.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed and distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _in_words(main: Main, config: Path | None) -> int:
    """Call the entrypoint, and print what is wrong with its input without a traceback."""
    try:
        values = read_config(config) if config else {}
        with_result(lambda: main(values))
    except ConfigError as error:
        print(f"error in {config or 'the config'}:\n{error}", file=sys.stderr)
        return failed(2)
    except DistributedError as error:
        print(f"error: {error}", file=sys.stderr)
        return failed()
    return 0


def _is_first_rank() -> bool:
    try:
        return read_environment(os.environ).rank == 0
    except DistributedError:  # an entrypoint that needs its rank says so itself
        return False


def _reported_to_torchrun(call: _Call) -> _Call:
    """Let torchrun's summary of failures show the traceback of the rank that failed first."""
    if "TORCHELASTIC_ERROR_FILE" not in os.environ:
        return call
    from torch.distributed.elastic.multiprocessing.errors import record

    recorded: _Call = record(call)
    return recorded
