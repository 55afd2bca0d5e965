"""The process that clears up after a simulation, however the simulation ended.

It waits for the end of its standard input, which comes when the simulation closes it or dies, a
`kill -9` included; then it kills the simulation's processes and removes its directory.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from slurmkit.launch.simulate.cluster import Cluster
from slurmkit.launch.simulate.processes import kill_all
from slurmkit.launch.simulate.standins import python_command
from slurmkit.launch.simulate.wakeup import CANCELLING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def guarded(cluster: Cluster, environment: Mapping[str, str]) -> Iterator[None]:
    """Let no process and no file of a simulation outlive the block, or this process."""
    reading, writing = os.pipe()
    warden = subprocess.Popen(
        [*python_command("warden"), str(cluster.directory)],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
    os.close(reading)
    try:
        yield
    finally:
        os.close(writing)
        warden.wait()


def main() -> None:
    """Wait for the end, then clear up."""
    for number in CANCELLING:  # they are for the simulation
        signal.signal(number, signal.SIG_IGN)
    cluster = Cluster(Path(sys.argv[1]))
    while os.read(0, 1):
        pass
    kill_all(cluster.marker)
    shutil.rmtree(cluster.directory, ignore_errors=True)
