"""`slurmkit launch` over two real hosts by SSH, as a user types it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from tests.ssh.hosts import Hosts
from tests.ssh.jobs import BOTH, put_job, shell_job

HELLO = (
    'echo "rank $RANK/$WORLD_SIZE local $LOCAL_RANK/$LOCAL_WORLD_SIZE on $(hostname) $SECRET_ID"'
)


def run_directory(hosts: Hosts, host: str = "desk") -> Path:
    (found,) = hosts.disk(host).glob("runs/two-boxes/*")
    return found


def test_a_job_over_two_hosts(hosts: Hosts) -> None:
    result = '[ "$RANK" != 0 ] || echo \'{"loss": 1.5}\' > "$SLURMKIT_RUN_DIR/result.json"'
    program = f"{HELLO}; {result}; echo $OMP_NUM_THREADS > $SLURMKIT_RUN_DIR/metrics-$RANK"
    put_job(hosts, program, environment="{pass: [SECRET_ID]}")
    ran = hosts.slurmkit(
        "launch",
        "job.yaml",
        "--hosts",
        "box1,alias",
        "--set",
        "resources.cpus_per_node=6",
        env={"SECRET_ID": "it's a $ecret"},
    )
    assert ran.returncode == 0, ran.stderr
    for rank in range(4):
        node, box = ("box1", "box1") if rank < 2 else ("10.98.0.12", "box2")
        line = f"rank {rank}/4 local {rank % 2}/2 on {box} it's a $ecret"
        assert f"{node} | [rank{rank}] {line}\n" in ran.stdout
        # The hosts have disks of their own: their logs have been fetched.
        log = run_directory(hosts) / "logs" / f"{node}.rank{rank}.log"
        assert log.read_text() == f"{line}\n"
    title = r"MASTER NODE \(node 0\), master box1:\d+, 2 nodes, 2 processes a node"
    assert re.search(rf"^box1 \| {title}$", ran.stdout, re.M)
    assert "COMPLETED; logs in runs/two-boxes/" in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
    run = run_directory(hosts)
    assert json.loads((run / "result.json").read_text()) == {"loss": 1.5}
    events = [json.loads(line)["event"] for line in (run / "events/batch.jsonl").open()]
    assert events == ["started", "ended", "ended"], "node 0's script, and the launcher"
    for box in ("box1", "box2"):
        kept = run_directory(hosts, box)
        assert (kept / "metrics-0").exists() == (box == "box1")
        assert "ecret" not in "".join(path.read_text() for path in kept.glob("*.sh"))
    assert (run_directory(hosts, "box2") / "metrics-3").read_text() == "3\n", "OMP_NUM_THREADS"
    output = (hosts.disk("desk") / f"slurmkit-{run.name}.out").read_text()
    assert "box1 | [rank0] rank 0/4" in output


def test_hosts_of_the_job_file_and_of_a_hostfile(hosts: Hosts) -> None:
    hosts.put("hostfile", "# boxes\nbox2 slots=2\n\nbox1 slots=2 # the second\n", ["desk"])
    text = shell_job(HELLO, hosts="[box2]").replace("resources: {processes_per_node: 2}\n", "")
    hosts.put("job.yaml", text, ["desk"])
    by_file = hosts.slurmkit("launch", "job.yaml", "--hostfile", "hostfile", "--no-checks")
    assert "box2 | [rank0] rank 0/4" in by_file.stdout, by_file.stderr
    assert "box1 | [rank3] rank 3/4" in by_file.stdout
    # In a directory that all see: nothing is fetched, and nothing doubled.
    shared = hosts.state / "shared"
    shared.mkdir()
    by_job = hosts.slurmkit("launch", "job.yaml", "--no-checks", "--set", f"sbatch.chdir={shared}")
    assert by_job.stdout.count("box2 | [rank0] rank 0/1") == 1, by_job.stderr
    assert "fetched" not in by_job.stderr
    (log,) = shared.glob("runs/two-boxes/*/logs/*")
    assert log.read_text() == "rank 0/1 local 0/1 on box2 \n"


def test_a_rank_that_fails_ends_the_others_and_is_named(hosts: Hosts) -> None:
    put_job(hosts, '((RANK != 3)) || { echo "broken" >&2; exit 7; }; sleep 600')
    started = time.monotonic()
    ran = hosts.slurmkit("launch", "job.yaml", *BOTH, "--no-checks")
    assert ran.returncode == 1
    assert time.monotonic() - started < 20
    assert "first to fail: rank 3 on box2 (exit code 7); logs in" in ran.stderr
    assert "ending the job on box1" in ran.stderr
    ended = (run_directory(hosts) / "events/batch.jsonl").read_text().splitlines()[-1]
    assert json.loads(ended)["code"] == 7
    assert (run_directory(hosts) / "logs/box2.rank3.log").read_text() == "broken\n"
    hosts.wait_until_gone("sleep 600", 1)


def test_in_the_background_by_the_handle(hosts: Hosts) -> None:
    stop = "trap 'echo got USR1; exit 0' USR1; echo here; for ((;;)); do sleep 0.1; done"
    put_job(hosts, stop, hosts="[box1, box2]")
    hosts.put(
        "program.py",
        "import slurmkit, time\n"
        "from slurmkit.launch import ssh\n"
        "spec = slurmkit.load('job.yaml')\n"
        "for words in ('USR1', None):\n"
        "    entry = ssh.submit(spec)\n"
        "    print(entry.via, ssh.state(entry), flush=True)\n"
        "    while open(f'slurmkit-{entry.id}.out').read().count('] here') < 4: time.sleep(0.1)\n"
        "    print(ssh.state(entry))\n"
        "    ssh.cancel(entry, words)\n"
        "    while not ssh.state(entry).is_final: time.sleep(0.1)\n"
        "    print(ssh.state(entry), flush=True)\n",
        ["desk"],
    )
    ran = hosts.run(["python", "program.py"])
    words = ran.stdout.split()
    assert words[0] == words[4] == "ssh", ran.stderr
    assert words[2:4] == ["RUNNING", "COMPLETED"]
    assert words[6:] == ["RUNNING", "CANCELLED"]
    hosts.wait_until_gone("sleep 0.1", 1)


def test_what_is_wrong_with_the_hosts_is_told_with_its_place(hosts: Hosts) -> None:
    put_job(hosts, "true", requeue="{}", sweep="{entrypoint.command: [[a], [b]]}")
    hosts.put("hostfile", "box1\nbox2 slots=x\n", ["desk"])
    for words, code, told in (
        (["--hosts", "box1,box1"], 2, "box1 stands there twice"),
        (["--hosts", "box1,-oX"], 2, "'-oX' is no host"),
        (["--hostfile", "hostfile"], 2, "hostfile:2:1: 'slots=x' is not known here"),
        ([], 2, "no hosts to run on"),
        ([*BOTH, "--set", "resources.nodes=3"], 2, "nodes: 3, but 2 hosts"),
        ([*BOTH], 2, "sweep: a sweep is many jobs"),
    ):
        ran = hosts.slurmkit("launch", "job.yaml", *words)
        assert ran.returncode == code, ran.stderr
        assert told in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not (hosts.disk("desk") / "runs").exists()
