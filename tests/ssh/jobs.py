"""The jobs of these tests: two processes a host, without torch but where it says so."""

from __future__ import annotations

import json

from tests.ssh.hosts import Hosts


def shell_job(program: str, /, **more: str) -> str:
    """Write a job that runs lines of bash in each process."""
    lines = [
        "name: two boxes",
        "resources: {processes_per_node: 2}",
        "launcher: {kind: srun}",
        f"entrypoint: {{command: [bash, -c, {json.dumps(program)}]}}",
        *(f"{key}: {value}" for key, value in more.items()),
    ]
    return "\n".join(lines) + "\n"


def put_job(hosts: Hosts, program: str, /, **more: str) -> None:
    """Put `job.yaml` on the desk, and nothing on the boxes."""
    hosts.put("job.yaml", shell_job(program, **more), ["desk"])


BOTH = ("--hosts", "box1,box2")
