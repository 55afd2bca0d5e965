"""The probe on a node: reads rounds from standard input, does them, answers on standard output.

It ends with its input, and at its deadline whatever hangs, so that it never holds up a job.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from .look.place import Place
from .rounds import ROUNDS
from .timed import reason
from .wire import lines_of

NO_PATHS: Mapping[str, str] = {}
_FIRST_WORD = 900.0
"""Seconds after which a probe that has not been told a deadline ends."""


def serve(
    number: int, source: IO[bytes], out: IO[bytes], paths: Mapping[str, str] = NO_PATHS
) -> None:
    """Do rounds until the input ends; then clean up, and end the process at once.

    Args:
        number: of this node.
        source: gives the rounds.
        out: takes the answers.
        paths: where things are on this node that the rounds call by other names.
    """
    place = Place(number)
    speaking = threading.Lock()
    deadline = [time.monotonic() + _FIRST_WORD]
    threading.Thread(target=_watch, args=(deadline, place), daemon=True).start()

    def do(request: dict[str, Any], work: Callable[[Place, dict[str, Any]], Any]) -> None:
        try:
            value = work(place, request)
        except Exception as error:
            value = {"error": reason(error)}
        with speaking:
            out.writelines(lines_of(number, request["round"], value))
            out.flush()

    for line in source:
        try:
            request = here(json.loads(line), paths)
        except ValueError:
            continue
        if isinstance(request, dict) and number in request.get("nodes", ()):
            if "deadline" in request:
                deadline[0] = time.monotonic() + float(request["deadline"])
            work = ROUNDS[request["do"]]
            threading.Thread(target=do, args=(request, work), daemon=True).start()
    _leave(place)


def here(request: Any, paths: Mapping[str, str]) -> Any:
    """Put this node's own paths where a request has what the job file calls them."""
    if isinstance(request, str):
        return paths.get(request, request)
    if isinstance(request, list):
        return [here(part, paths) for part in request]
    if isinstance(request, dict):
        return {key: here(part, paths) for key, part in request.items()}
    return request


def number_of(given: int) -> int:
    """Return this node's number: as given, else as Slurm says."""
    return given if given >= 0 else int(os.environ.get("SLURM_NODEID", "0"))


def _watch(deadline: Any, place: Place) -> None:
    while time.monotonic() < deadline[0]:
        time.sleep(0.5)
    _leave(place)


def _leave(place: Place) -> None:
    """End without waiting for threads that hang."""
    threading.Thread(target=place.leave, daemon=True).start()
    place.left.wait(2)
    sys.stderr.flush()
    os._exit(0)
