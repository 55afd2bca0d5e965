"""The checks before a launch: all that is wrong at once, each with what to do."""

from __future__ import annotations

import json

from tests.ssh.hosts import Hosts
from tests.ssh.jobs import BOTH, put_job

PROGRAM = "print('hello')\n"
JOB = "name: two boxes\nentrypoint: {script: train.py}\n"


def codes(hosts: Hosts, *words: str, hosts_option: str = "box1,box2") -> dict[str, str]:
    """Run the checks; give the findings' codes and hosts."""
    ran = hosts.slurmkit(
        "launch", "job.yaml", "--hosts", hosts_option, "--dry-run", "--json", *words
    )
    found = json.loads(ran.stdout)
    assert ran.returncode == (1 if found else 0), ran.stderr
    assert all(finding["fix"] for finding in found)
    return {f"{finding['code']} {finding['place']}": finding["evidence"] for finding in found}


def test_hosts_that_agree_pass(hosts: Hosts) -> None:
    hosts.put("job.yaml", JOB, ["desk"])
    hosts.put("train.py", PROGRAM)
    assert codes(hosts) == {}


def test_all_that_differs_is_told_at_once(hosts: Hosts) -> None:
    hosts.put("job.yaml", JOB, ["desk"])
    hosts.put("train.py", PROGRAM, ["box1"])
    hosts.put("train.py", PROGRAM + "# changed\n", ["box2"])
    hosts.put("only_here.py", "", ["box1"])
    found = codes(
        hosts,
        "--set",
        "environment.network_interface=ib0",
        "--set",
        "launcher.port=22000",
        hosts_option="box1,box2,me@nowhere",
    )
    assert set(found) == {
        "host-unreachable me@nowhere",
        "code-differs box2",
        "interface-missing box1",
        "interface-missing box2",
    }
    assert "2 of 2 Python files: only_here.py, train.py" in found["code-differs box2"]
    assert "eth0" in found["interface-missing box2"]


def test_a_blocked_port_is_found_and_the_job_not_started(hosts: Hosts) -> None:
    put_job(hosts, "echo ran")
    chain = "chain c { type filter hook input priority 0; tcp dport 22000 drop; };"
    rules = f"table inet t {{ {chain} }}"
    assert hosts.run(["nft", rules], on="box1").returncode == 0
    ran = hosts.slurmkit("launch", "job.yaml", *BOTH, "--set", "launcher.port=22000")
    assert ran.returncode == 1
    assert "box2: does not reach the master at box1:22000 [port-blocked]" in ran.stderr
    assert "timed out: a firewall between them drops it" in ran.stderr
    assert "open TCP port 22000 on box1 for box2" in ran.stderr
    assert "ran" not in ran.stdout


def test_a_port_that_is_taken_and_addresses_that_are_wrong(hosts: Hosts) -> None:
    put_job(hosts, "true")
    with hosts.start(["python3", "-m", "http.server", "22000"], on="box1"):
        try:
            hosts.run(
                ["bash", "-c", "until ss -ltn | grep -q :22000; do sleep 0.1; done"], on="box1"
            )
            assert set(codes(hosts, "--set", "launcher.port=22000")) == {"port-taken box1"}
        finally:
            hosts.run(["pkill", "-f", "http.server 22000"], on="box1")
    assert set(codes(hosts, "--master-addr", "10.98.0.12")) == {"master-address box1"}
    assert set(codes(hosts, "--master-addr", "127.0.0.1")) == {"port-blocked box2"}


def test_a_host_without_the_environment(hosts: Hosts) -> None:
    put_job(hosts, "true")
    venv = hosts.disk("box1") / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python3").symlink_to("/usr/bin/python3")
    found = codes(hosts, "--set", f"environment={{venv: {hosts.work}/venv}}")
    assert set(found) == {"environment-broken box2"}
    assert found["environment-broken box2"].endswith("venv on box2")
