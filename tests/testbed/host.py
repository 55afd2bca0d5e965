"""The first process of a host: sets it up, starts its daemons, then collects the dead.

`python -m tests.testbed.host STATE NODES NAME` is process 1 of its own process namespace, and
writes one line, "ready" or what went wrong. The login host makes the nodes, so they end with it,
and it ends when its input closes: the kernel then ends every process on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from tests.testbed import daemons, network
from tests.testbed.layout import LOGIN, Layout
from tests.testbed.process import NEW_HOST, BedError, environment, module


def start_host(layout: Layout, name: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Make a host. `read_line` gives its one line; closing its input ends the login host."""
    command = [*prefix, "unshare", *NEW_HOST]
    with (layout.log / "hosts.log").open("a") as errors:
        return subprocess.Popen(
            [*command, *module("host", layout.state, layout.node_count, name)],
            env=environment(layout),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def read_line(host: subprocess.Popen[str]) -> str:
    """Wait for the one line that a host writes."""
    assert host.stdout is not None
    return host.stdout.readline().strip() or "its first process died without a word"


def bring_up_login(layout: Layout) -> None:
    """Bring up the login host, which also runs the controller, and from it the nodes."""
    network.become(layout, LOGIN)
    network.make_bridge(layout)
    database = daemons.start_database(layout)
    daemons.start_munged(layout, LOGIN)
    nodes = {node: start_host(layout, node) for node in layout.nodes}
    daemons.start_slurmdbd(layout, database)
    slurmctld = daemons.start_slurmctld(layout)
    for node, host in nodes.items():
        _tell(host.stdin, "slurmctld is up")
        if (line := read_line(host)) != "ready":
            raise BedError(f"{node}: {line}")
    daemons.wait_idle(layout, slurmctld)


def bring_up_node(layout: Layout, node: str) -> None:
    """Bring up a node; its slurmd starts when slurmctld is there to register with."""
    network.become(layout, node)
    network.plug_in(layout, node)
    daemons.start_munged(layout, node)
    sys.stdin.readline()
    daemons.start_slurmd(layout, node)


def _tell(stream: IO[str] | None, line: str) -> None:
    assert stream is not None
    stream.write(line + "\n")
    stream.flush()


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Bring this host up, say so, and stay until the pipe closes."""
    state, count, name = sys.argv[1:]
    layout = Layout(Path(state), int(count))
    os.umask(0o022)
    try:
        if name == LOGIN:
            threading.Thread(target=_end_with_input, daemon=True).start()
            bring_up_login(layout)
        else:
            bring_up_node(layout, name)
    except (BedError, OSError) as error:
        print(" ".join(str(error).split()), flush=True)
        sys.exit(1)
    print("ready", flush=True)
    while True:
        os.wait()


if __name__ == "__main__":
    main()
