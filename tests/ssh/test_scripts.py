"""`slurmkit render --hosts`: scripts that people start by hand, each on its host, in any order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import slurmkit
from slurmkit.render.hosts import left_out, render_hosts
from tests.render.conftest import shellcheck
from tests.ssh.hosts import Hosts, slurmkit_path
from tests.ssh.jobs import shell_job

__all__ = ["shellcheck"]
GOLDEN = Path(__file__).parents[1] / "render" / "golden"
NOT_HERE = {"pyxis", "pyxis_requeue"}
TORCHRUN = "name: boxes\nresources: {processes_per_node: 2}\nentrypoint: {script: train.py}\n"
# Speaks up after a real all-reduce, so that a wrong world cannot pass for a right one.
TRAIN = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor(1)
dist.all_reduce(total)
here = os.uname().nodename
print(f"world {total.item()} rank {dist.get_rank()} on {here} omp", os.environ["OMP_NUM_THREADS"])
dist.barrier()
dist.destroy_process_group()
"""


def render(work: Path, job: str, *words: str) -> Path:
    (work / "job.yaml").write_text(job)
    ran = subprocess.run(
        [slurmkit_path(), "render", "job.yaml", "--profile", "none", "-o", "launch/", *words],
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not ran.stdout
    return work / "launch"


def test_scripts_of_every_recorded_job_are_clean(
    shellcheck: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    written = []
    for job in sorted(GOLDEN.glob("*.yaml")):
        spec = slurmkit.load(job)
        if job.stem in NOT_HERE or spec.sweep or spec.depends_on:
            with pytest.raises(slurmkit.SpecError, match=r"container.runtime|sweep|depends_on"):
                render_hosts(spec, ["a", "b"])
            continue
        scripts = render_hosts(spec, ["a", "b"])
        assert scripts == render_hosts(spec, ["a", "b"]), "the same job, the same bytes"
        for name, text in scripts.items():
            assert not re.search(r"\$\{?SLURM(D)?_[A-Z_]+[^@]", text.split("JOB_YAML")[2]), job
            written.append(tmp_path / f"{job.stem}-{name}")
            written[-1].write_text(text)
    assert len(written) > 20
    found = subprocess.run([shellcheck, *written], check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_files_and_their_words(tmp_path: Path) -> None:
    job = "name: x\nresources: {gpus_per_node: 8, cpus_per_node: 96}\nentrypoint: {script: t.py}\n"
    words = ["--hosts", "me@10.0.1.100,10.0.1.101", "--master-addr", "10.11.7.50"]
    launch = render(tmp_path, job, *words, "--set", "launcher={port: 29600, join_timeout: 3600}")
    assert sorted(path.name for path in launch.iterdir()) == ["launch_node0.sh", "launch_node1.sh"]
    first, second = ((launch / f"launch_node{n}.sh").read_text() for n in (0, 1))
    shape = "master 10.11.7.50:29600, 2 nodes, 8 GPUs a node"
    assert f"MASTER NODE (node 0), {shape}" in first
    assert f"WORKER NODE (node 1), {shape}" in second
    assert "nodes=(10.0.1.100 10.0.1.101)" in first
    for script in (first, second):
        assert "--rdzv-conf=timeout=3600" in script
        assert script.isascii()
        assert os.access(launch / "launch_node1.sh", os.X_OK)


def test_both_agree_on_a_port_in_the_site_s_range(tmp_path: Path) -> None:
    ports = set()
    for name in "abcdefgh":
        spec = load(tmp_path, f"name: {name}\nsite: {{port_range: [20000, 20003]}}\n")
        scripts = render_hosts(spec, ["one", "two", "three"]).values()
        (port,) = {re.findall(r"MASTER_PORT=(\d+)", script)[0] for script in scripts}
        ports.add(int(port))
    assert len(ports) > 1
    assert ports <= set(range(20000, 20004))


def load(work: Path, text: str) -> slurmkit.JobSpec:
    (work / "job.yaml").write_text(text + "profile: none\nentrypoint: {script: t.py}\n")
    return slurmkit.load(work / "job.yaml")


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    spec = load(
        tmp_path,
        "name: x\nrequeue: {}\nresources: {time: 10:00}\nsbatch: {switches: 1}\n"
        "launcher: {restarts: 1}\n",
    )
    fields = [text.partition(":")[0] for text in left_out(spec)]
    assert fields == ["requeue", "launcher.restarts", "sbatch.switches", "resources.time"]


def test_torchrun_by_hand_the_second_node_first(hosts: Hosts) -> None:
    hosts.put("train.py", TRAIN)
    launch = render(hosts.disk("desk"), TORCHRUN, "--hosts", "box1,box2")
    for box in ("box1", "box2"):
        for path in launch.iterdir():
            hosts.put(path.name, path.read_text(), [box])
    second = hosts.start(["bash", "launch_node1.sh"], on="box2")
    assert second.stdout is not None
    assert "WORKER NODE (node 1), master box1:" in second.stdout.readline()
    assert "waiting for the master at box1:" in second.stdout.readline()
    time.sleep(1)
    first = hosts.run(["bash", "launch_node0.sh"], on="box1", timeout=120)
    out, err = second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + err
    told = sorted(re.findall(r"world 4 rank (\d) on (box\d)", first.stdout + out))
    assert told == [("0", "box1"), ("1", "box1"), ("2", "box2"), ("3", "box2")]
    (run,) = hosts.disk("box1").glob("runs/boxes/*")
    assert {path.name for path in run.iterdir()} >= {"job.yaml", "logs", "events"}
    assert (run / "launch_node0.sh").read_text() == (launch / "launch_node0.sh").read_text()
    listed = hosts.state / "home-box1/.local/state/slurmkit/jobs.jsonl"
    assert json.loads(listed.read_text().splitlines()[-1])["via"] == "ssh"


def test_signals_to_a_script_that_was_started_by_hand(hosts: Hosts) -> None:
    stop = "trap 'echo saved; exit 3' TERM; echo here; for ((;;)); do sleep 0.1; done"
    launch = render(hosts.disk("desk"), shell_job(stop), "--hosts", "box1,box2")
    hosts.put("launch_node0.sh", (launch / "launch_node0.sh").read_text(), ["box1"])
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        script = hosts.start(["bash", "launch_node0.sh"], on="box1")
        assert script.stdout is not None
        seen = 0
        while seen < 2:
            seen += "] here" in script.stdout.readline()
        name = number.name.removeprefix("SIG")
        hosts.run(["pkill", f"-{name}", "-of", "^bash launch_node0.sh"], on="box1")
        hosts.wait_until_gone("sleep 0.1", 15)
        out, err = script.communicate(timeout=30)
        assert script.returncode == code, err
        assert out.count("] saved") == 2


def test_no_master_is_told_after_join_timeout(hosts: Hosts) -> None:
    words = ["--hosts", "box1,box2", "--set", "launcher.join_timeout=2"]
    launch = render(hosts.disk("desk"), TORCHRUN, *words)
    hosts.put("launch_node1.sh", (launch / "launch_node1.sh").read_text(), ["box2"])
    ran = hosts.run(["bash", "launch_node1.sh"], on="box2")
    assert ran.returncode == 1
    assert "for 2 s: is launch_node0.sh running there, and the port open?" in ran.stderr


def test_scripts_need_a_directory(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(TORCHRUN)
    ran = subprocess.run(
        [slurmkit_path(), "render", "job.yaml", "--profile", "none", "--hosts", "a,b"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert "give a directory, -o launch/" in ran.stderr
