"""Write the configuration of Slurm, munge and the hosts of one bed."""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
from typing import TYPE_CHECKING

from tests.testbed.install import SYSTEM_PATH
from tests.testbed.layout import CPUS, GPUS, LOGIN, LOGIN_ADDRESS, MEMORY_MB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbed.layout import Layout

SLURM_CONF = """\
ClusterName=bed
SlurmctldHost={login}({login_address})
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge_socket},cred_expire=5
StateSaveLocation={state}/slurmctld
SlurmdSpoolDir={state}/slurmd/%n
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd/%n.pid
SlurmctldLogFile={log}/slurmctld.log
SlurmdLogFile={log}/slurmd-%n.log

ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={login}
# Connections to slurmdbd ignore AuthInfo: with munge this "password" is the socket (slurm.conf(5)).
AccountingStoragePass={munge_socket}
AccountingStorageTRES=gres/gpu

# Claims more CPUs and memory than the machine has.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2

# Short waits, so that tests are short.
SlurmdTimeout=30
KillWait=10
MessageTimeout=10
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2

# `preemptible` yields to `main`, after its grace time.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=DEFAULT CPUs={cpus} RealMemory={memory} Gres=gpu:h200:{gpus}
NodeName=node[1-{node_count}] NodeAddr={addresses}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 PriorityTier=10
PartitionName=preemptible Nodes=ALL MaxTime=INFINITE DefaultTime=10 PriorityTier=1 GraceTime=10
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={munge_socket}
DbdHost={login}
SlurmUser=root
PidFile={state}/slurmdbd.pid
LogFile={log}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""


def slurm_version() -> tuple[int, int]:
    """Ask the installed slurmd for its version: (22, 5)."""
    said = subprocess.run(
        ["slurmd", "-V"],
        env={"PATH": SYSTEM_PATH},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found is not None, f"slurmd -V said {said!r}"
    return int(found[1]), int(found[2])


def cgroup_conf(version: tuple[int, int]) -> str:
    """Keep Slurm away from cgroups: 24.05 learnt to; before, v1 is named and never used."""
    return f"CgroupPlugin={'disabled' if version >= (24, 5) else 'cgroup/v1'}\n"


def gres_conf(layout: Layout) -> str:
    """Give every node its pretend GPUs."""
    files = f"{layout.gpu(0).parent}/gpu[0-{GPUS - 1}]"
    return f"AutoDetect=off\nNodeName=node[1-{layout.node_count}] Name=gpu Type=h200 File={files}\n"


def etc_hosts(layout: Layout) -> str:
    """Let all hosts of the bed know each other by name."""
    lines = [f"{layout.address(host)} {host}" for host in layout.hosts]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost ip6-localhost", *lines, ""])


def write_all(layout: Layout) -> None:
    """Fill a fresh state directory: readable for every user, except for the secrets."""
    values = {
        "state": layout.state,
        "log": layout.log,
        "munge_socket": layout.munge_socket,
        "login": LOGIN,
        "login_address": LOGIN_ADDRESS,
        "node_count": layout.node_count,
        "addresses": ",".join(layout.address(node) for node in layout.nodes),
        "cpus": CPUS,
        "memory": MEMORY_MB,
        "gpus": GPUS,
    }
    for name in ("etc", "log", "munge", "database", "slurmctld", "slurmd", "dev", "home"):
        (layout.state / name).mkdir(mode=0o755)
    for node in layout.nodes:
        (layout.state / "slurmd" / node).mkdir(mode=0o755)
    layout.slurm_conf.write_text(SLURM_CONF.format(**values))
    (layout.etc / "gres.conf").write_text(gres_conf(layout))
    (layout.etc / "cgroup.conf").write_text(cgroup_conf(slurm_version()))
    (layout.etc / "hosts").write_text(etc_hosts(layout))
    _write_secret(layout.etc / "slurmdbd.conf", SLURMDBD_CONF.format(**values).encode())
    _write_secret(layout.etc / "munge.key", secrets.token_bytes(128))
    layout.login_network.touch()
    for index in range(GPUS):
        os.mknod(layout.gpu(index), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        layout.gpu(index).chmod(0o666)


def _write_secret(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
