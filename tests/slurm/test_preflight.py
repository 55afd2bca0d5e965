"""The preflight on a real Slurm, with real faults: each is found, and blamed on its node."""

from __future__ import annotations

import json
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.test_end_to_end import work
from tests.testbed.cluster import SlurmCluster
from tests.testbed.process import ROOT

__all__ = ["work"]
PORT = 21987
COORDINATE = """
nodes=$(scontrol show hostnames | tr '\\n' ' ')
export MASTER_ADDR=${nodes%% *} MASTER_PORT=$PORT
exec "$PYTHON" -m slurmkit.probe coordinate --settings settings.json --output out.json \
  --nodes "$nodes" -- \
  srun --overlap --nodes=2 --ntasks-per-node=1 --kill-on-bad-exit=0 --wait=0 bash -c "$NODE"
"""
NODE = 'exec "$PYTHON" -m slurmkit.probe node'


def preflight(
    slurm: SlurmCluster, work: Path, *checks: str, node: str = NODE, **settings: Any
) -> dict[str, Any]:
    """Run one in an allocation of both nodes; give its report, with what it printed."""
    told = {"checks": checks, "timeout": 60, **settings}
    (work / "settings.json").write_text(json.dumps(told))
    variables = {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "PORT": str(PORT), "NODE": node}
    allocate = ["salloc", "--quiet", "--nodes=2", "--exclusive", "bash", "-c", COORDINATE]
    ran = slurm.run(allocate, cwd=work, env=variables, timeout=100)
    report: dict[str, Any] = json.loads((work / "out.json").read_text())
    assert ran.returncode == (0 if report["ok"] else 1), ran
    assert ran.stdout, ran
    return {**report, "printed": ran.stdout}


def found(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What is wrong: codes and nodes, but for warnings of a busy machine."""
    return [(one["code"], one["node"]) for one in report["findings"] if one["severity"] == "error"]


@contextmanager
def broken(slurm: SlurmCluster, node: str, do: str, undo: str) -> Iterator[None]:
    """Have something broken on a node, as root there, for the time of a block."""
    there = ["srun", "--quiet", f"--nodelist={node}", "--nodes=1", "bash", "-ec"]
    slurm.run([*there, do], check=True)
    try:
        yield
    finally:
        slurm.run([*there, undo], check=True)


def test_sound_nodes_are_fine_within_seconds(slurm: SlurmCluster, work: Path) -> None:
    (work / "data").mkdir()
    (work / "data" / "a").write_text("same")
    report = preflight(
        slurm, work, "hosts", "network", "versions", "data", "storage", "entrypoint", "ranks",
        data=["data"], storage=[str(work)], entrypoint={"module": "slurmkit.train.all_reduce"},
        processes_per_node=4, interface="eth",
    )  # fmt: skip
    assert report["ok"], report["printed"]
    states = {cell["state"] for cells in report["checks"].values() for cell in cells.values()}
    assert states <= {"ok", "warning"}, report["printed"]
    assert not list(work.glob(".slurmkit-preflight*"))
    assert report["seconds"] < 15
    assert not slurm.run(["pgrep", "-f", "slurmkit.probe"]).stdout


def firewall(rule: str) -> tuple[str, str]:
    """Commands that put up a firewall with one rule, and take it down."""
    up = "nft add table ip bad; nft add chain ip bad in '{ type filter hook input priority 0; }'; "
    return f"{up}nft add rule ip bad in {rule}", "nft delete table ip bad"


def test_a_port_that_one_host_blocks(slurm: SlurmCluster, work: Path) -> None:
    with broken(slurm, "node1", *firewall(f"ip saddr 10.99.0.12 tcp dport {PORT} drop")):
        report = preflight(slurm, work, "hosts", "network")
    assert found(report) == [("port-blocked", "node2")], report["printed"]
    assert "timed out: a firewall drops it" in report["printed"]
    assert report["exclude_one_of"] == ["node1", "node2"]


@pytest.mark.proof
def test_all_other_ports_that_one_host_refuses(slurm: SlurmCluster, work: Path) -> None:
    new = f"ip saddr 10.99.0.11 tcp dport != {PORT} tcp flags '& (syn|ack) == syn'"
    with broken(slurm, "node2", *firewall(f"{new} reject with tcp reset")):
        report = preflight(slurm, work, "network", "ranks", processes_per_node=2)
    assert found(report) == [("link-blocked", "node1")], report["printed"]
    assert "node1 to node2: Connection refused" in report["printed"]
    assert "node2 to node1" not in report["printed"]
    assert report["checks"]["node1"]["ranks"]["state"] == "skipped"


def test_one_host_with_another_torch(slurm: SlurmCluster, work: Path) -> None:
    for name, version in (("one", "2.13.0"), ("other", "2.9.1")):
        venv.create(work / name, with_pip=False)
        (packages,) = (work / name).glob("lib/python*/site-packages")
        (packages / "torch").mkdir()
        (packages / "torch" / "__init__.py").touch()
        text = f"__version__ = '{version}+cu128'\ncuda: Optional[str] = '12.8'\n"
        (packages / "torch" / "version.py").write_text(text)
    node = (
        "a=(one other); PATH=$PWD/${a[SLURM_NODEID]}/bin:$PATH; exec python -m slurmkit.probe node"
    )
    report = preflight(slurm, work, "versions", node=node)
    assert found(report) == [("version-differs", "node2")], report["printed"]
    assert "torch 2.9.1+cu128, where other nodes have 2.13.0+cu128" in report["printed"]
    assert str(work / "other" / "bin" / "python") in report["printed"]
    assert "--exclude=node1 or --exclude=node2" in report["printed"]


def test_other_data_on_one_node(slurm: SlurmCluster, work: Path) -> None:
    for name in ("data", "old"):
        (work / name / "inside").mkdir(parents=True)
        (work / name / "inside" / "large").write_bytes(bytes(6 << 20))
        (work / name / "inside" / "small").write_text(name)
    data = work / "data"
    with broken(slurm, "node2", f"mount --bind {work}/old {data}", f"umount {data}"):
        report = preflight(slurm, work, "data", data=[str(data)])
    assert found(report) == [("data-differs", "node2")], report["printed"]
    assert "inside/small" in report["printed"]
    assert "inside/large" not in report["printed"]


@pytest.mark.proof
def test_two_faults_at_once_one_of_them_the_masters(slurm: SlurmCluster, work: Path) -> None:
    (work / "data").write_text("x")
    ahead = "import time, runpy, sys; now = time.time; time.time = lambda: now() + 300; "
    ahead += f"sys.argv = ['probe', 'node', '--path', 'D', '{work}/data']; "
    ahead += "runpy.run_module('slurmkit.probe', run_name='__main__')"
    node = f'[ $SLURM_NODEID = 1 ] || {NODE} --path D {work}/gone; exec "$PYTHON" -c "{ahead}"'
    report = preflight(slurm, work, "hosts", "data", node=node, data=["D"])
    told = [("clock-off", "node2"), ("data-missing", "node1")]
    assert found(report) == told, report["printed"]
    assert "its clock is 300 s ahead" in report["printed"]
    assert f"No such file or directory: {work}/gone" in report["printed"]
    assert report["exclude"] == ["node1"]


def test_a_host_whose_name_does_not_resolve(slurm: SlurmCluster, work: Path) -> None:
    hosts = work / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.99.0.1 login\n10.99.0.12 node2\n")
    with broken(slurm, "node2", f"mount --bind {hosts} /etc/hosts", "umount /etc/hosts"):
        report = preflight(slurm, work, "hosts", "network")
    assert ("name-unresolved", "node2") in found(report), report["printed"]
    assert report["exclude"] == ["node2"]
    assert "does not resolve node1" in report["printed"]


@pytest.mark.proof
def test_a_slow_link(slurm: SlurmCluster, work: Path) -> None:
    slow = "tc qdisc add dev eth0 root tbf rate 100mbit burst 64kb latency 50ms"
    with broken(slurm, "node2", slow, "tc qdisc del dev eth0 root"):
        report = preflight(slurm, work, "network")
    assert {code for code, _ in found(report)} == {"link-slow"}, report["printed"]
    assert "node2 to node1: 9" in report["printed"]
    assert "node1 to node2" not in report["printed"]


@pytest.mark.proof
def test_a_full_disk(slurm: SlurmCluster, work: Path) -> None:
    (work / "store").mkdir()
    full = f"mount -t tmpfs -o size=2m full {work}/store; cd {work}/store; "
    full += "dd if=/dev/zero of=x bs=1M status=none || true"
    with broken(slurm, "node2", full, f"umount {work}/store"):
        report = preflight(slurm, work, "storage", storage=[str(work / "store")])
    assert ("disk-full", "node2") in found(report), report["printed"]
    assert report["exclude"] == ["node2"]
    assert "the disk is full" in report["printed"]


@pytest.mark.proof
def test_a_node_that_hangs_and_one_without_python(slurm: SlurmCluster, work: Path) -> None:
    started = time.monotonic()
    node = f"[ $SLURM_NODEID = 0 ] || exec sleep 100; {NODE}"
    report = preflight(slurm, work, "hosts", "network", node=node, timeout=8)
    assert found(report) == [("no-answer", "node2")], report["printed"]
    assert "no answer in 4 s" in report["printed"]
    assert report["exclude"] == ["node2"]
    assert "--exclude=node2" in report["printed"].splitlines()
    node = f"[ $SLURM_NODEID = 0 ] || exec no-such-python; {NODE}"
    report = preflight(slurm, work, "hosts", node=node)
    assert found(report) == [("no-answer", "node2")], report["printed"]
    assert "no-such-python: not found" in report["printed"]
    assert time.monotonic() - started < 40
