"""slurmkit preflight on hosts without Slurm, and before a launch there."""

from __future__ import annotations

import json

import pytest

from tests.ssh.hosts import Hosts
from tests.ssh.jobs import BOTH, put_job

CHEAP = "{checks: [hosts, network, versions, data, storage], data: [data], free_space: 1M}"


def test_hosts_that_are_fit(hosts: Hosts) -> None:
    put_job(hosts, "echo rank $RANK ran", preflight=CHEAP)
    hosts.put("data", "same")
    ran = hosts.slurmkit("preflight", "job.yaml", *BOTH)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    head, *rows = ran.stdout.splitlines()
    assert head.split()[:3] == ["NODE", "NAMES", "CLOCK"]
    assert [row.split()[:2] for row in rows[:2]] == [["box1", "ok"], ["box2", "ok"]]
    assert "preflight: 2 nodes are fine" in ran.stdout
    hosts.wait_until_gone("preflight.pyz")


@pytest.mark.proof  # a port that swallows all: time-outs
def test_all_that_is_wrong_is_told_and_who_is_to_be_left_out(hosts: Hosts) -> None:
    put_job(hosts, "true", preflight="{checks: [network, data], data: [data]}")
    hosts.put("data", "same", ["box1"])
    rules = "table inet t { chain c { type filter hook input priority 0; tcp dport 22000 drop; }; }"
    assert hosts.run(["nft", rules], on="box1").returncode == 0
    ran = hosts.slurmkit("preflight", "job.yaml", *BOTH, "--set", "launcher.port=22000", "--json")
    assert ran.returncode == 1
    told = json.loads(ran.stdout)
    assert {finding["code"] for finding in told["findings"]} == {"port-blocked", "data-missing"}
    assert all(finding["fix"] for finding in told["findings"])
    assert told["checks"]["box2"]["data"]["state"] == "bad"


def test_a_host_that_cannot_be_reached(hosts: Hosts) -> None:
    put_job(hosts, "true")
    ran = hosts.slurmkit(
        "preflight", "job.yaml", "--only", "hosts", "--hosts", "box1,me@nowhere,box2"
    )
    assert ran.returncode == 1, ran.stderr
    assert "me@nowhere: no answer [no-answer]" in ran.stdout
    assert "ssh: Could not resolve hostname nowhere" in ran.stdout
    assert "--exclude=me@nowhere" in ran.stdout


def test_a_job_does_not_start_on_hosts_that_are_unfit(hosts: Hosts) -> None:
    put_job(hosts, "echo rank $RANK ran", preflight="{checks: [data], data: [data]}")
    hosts.put("data", "one", ["box1"])
    hosts.put("data", "other", ["box2"])
    ran = hosts.slurmkit("launch", "job.yaml", *BOTH)
    assert ran.returncode == 1
    assert "[data-differs]" in ran.stderr
    assert "ran" not in ran.stdout
    (run,) = (hosts.disk("desk") / "runs" / "two-boxes").iterdir()
    assert not json.loads((run / "preflight.json").read_text())["ok"]
    told = hosts.slurmkit("status", run.name).stdout
    assert "failed     preflight: box" in told
    warned = hosts.slurmkit("launch", "job.yaml", *BOTH, "--set", "preflight.on_failure=warn")
    assert warned.returncode == 0, warned.stderr
    assert "[data-differs]" in warned.stderr
    assert "rank 3 ran" in warned.stdout
