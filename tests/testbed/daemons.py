"""Start munged, MariaDB, slurmdbd, slurmctld and slurmd, each as it must be started."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from tests.testbed.layout import LOGIN_ADDRESS
from tests.testbed.process import Daemon, ask, call, start

if TYPE_CHECKING:
    from tests.testbed.layout import Layout

DATABASE_PORT, SLURMDBD_PORT = 3306, 6819

GRANT = """\
create user slurm@'127.0.0.1' identified by 'slurm';
grant all on slurm.* to slurm@'127.0.0.1';
"""


def listens(address: str, port: int) -> bool:
    """Tell whether something listens there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def start_munged(layout: Layout, host: str) -> None:
    """Start this host's own munged: a credential decoded twice by one is refused as a replay."""
    directory = layout.munge_socket.parent
    call(layout, "mount", "-t", "tmpfs", "-o", "mode=755", "munge", directory)
    key = directory / "key"
    key.touch(mode=0o400)
    key.write_bytes((layout.etc / "munge.key").read_bytes())
    files = [f"--pid-file={directory}/pid", f"--seed-file={directory}/seed"]
    command = ["munged", "--foreground", f"--key-file={key}", *files]
    socket_option = f"--socket={layout.munge_socket}"
    munged = start(layout, f"munged on {host}", f"munged-{host}.log", *command, socket_option)
    munged.wait_until(layout.munge_socket.exists)


def start_database(layout: Layout) -> Daemon:
    """Make an empty MariaDB in memory, in the bed's own network, and start it."""
    data = layout.database
    call(layout, "mount", "-t", "tmpfs", "-o", "mode=700", "database", data)
    options = ["--no-defaults", f"--datadir={data}", "--user=root", "--innodb-log-file-size=4M"]
    # Beds that come up at one time would meet in /tmp: temporary tables go by process id, which
    # each bed counts for itself.
    temporary = data.with_name("database-tmp")
    temporary.mkdir(exist_ok=True)
    options.append(f"--tmpdir={temporary}")
    authentication = "--auth-root-authentication-method=socket"
    call(layout, "mariadb-install-db", *options, "--skip-test-db", authentication)
    grant = data / "grant.sql"
    grant.write_text(GRANT)
    files = [f"--socket={data}/socket", f"--pid-file={data}/pid", f"--init-file={grant}"]
    network = ["--bind-address=127.0.0.1", f"--port={DATABASE_PORT}"]
    return start(layout, "mariadbd", "mariadb.log", "mariadbd", *options, *files, *network)


def start_slurmdbd(layout: Layout, database: Daemon) -> None:
    """Start the accounting daemon and make the cluster known to it."""
    database.wait_until(lambda: listens("127.0.0.1", DATABASE_PORT))
    slurmdbd = start(layout, "slurmdbd", "slurmdbd.out", "slurmdbd", "-D")
    slurmdbd.wait_until(lambda: listens(LOGIN_ADDRESS, SLURMDBD_PORT))
    call(layout, "sacctmgr", "--immediate", "add", "cluster", "bed")


def start_slurmctld(layout: Layout) -> Daemon:
    """Start the controller."""
    slurmctld = start(layout, "slurmctld", "slurmctld.out", "slurmctld", "-D")
    slurmctld.wait_until(lambda: "is UP" in ask(layout, "scontrol", "ping").stdout)
    return slurmctld


def start_slurmd(layout: Layout, node: str) -> None:
    """Start the daemon of the node we are on."""
    slurmd = start(layout, f"slurmd on {node}", f"slurmd-{node}.out", "slurmd", "-D")
    slurmd.wait_until(lambda: ask(layout, "scontrol", "show", "slurmd").returncode == 0)


def wait_idle(layout: Layout, slurmctld: Daemon) -> None:
    """Wait until the controller calls every node idle."""
    look = ["sinfo", "--noheader", "--Node", "--partition=main", "--format=%T"]
    all_idle = ["idle"] * layout.node_count
    slurmctld.wait_until(lambda: ask(layout, *look).stdout.split() == all_idle)
