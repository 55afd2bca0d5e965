"""The checks of `preflight` on hosts without Slurm: a probe on each, by SSH, led from here."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from slurmkit.launch.ssh_client import each
from slurmkit.probe.channels import Channel, Channels
from slurmkit.probe.coordinator import preflight
from slurmkit.probe.settings import Node, Settings
from slurmkit.render.hosts import preflight_scripts
from slurmkit.render.preflight import settings

if TYPE_CHECKING:
    from slurmkit.launch.ssh_client import Ssh
    from slurmkit.launch.ssh_job import Plan
    from slurmkit.probe.report import Report


def check_over_ssh(ssh: Ssh, plan: Plan) -> Report:
    """Look at the hosts of a job that asks for checks; the connections may be open already.

    Where the job has a run directory here, the report stands there as well.
    """
    scripts = preflight_scripts(plan.spec, plan.nodes, plan.master, plan.job_id, plan.start)
    opened = each(plan.hosts, ssh.connect)
    absent = {at: f"ssh: {ran.why}" for at, ran in enumerate(opened) if ran.code}
    nodes = [Node(name, address) for name, address in zip(plan.hosts, plan.nodes, strict=True)]
    told = {
        **settings(plan.spec),
        "master_address": plan.master,
        "master_port": plan.port,
        "shared": False,  # each host has a run directory of its own
    }
    there = [
        Channel(ssh.start(host, script).process, (at,))
        for at, (host, script) in enumerate(zip(plan.hosts, scripts, strict=True))
        if at not in absent
    ]
    channels = Channels(there, [node.name for node in nodes])
    report = preflight(Settings.from_json(told, nodes, {}), channels, absent=absent)
    if plan.run.path.is_dir():
        with suppress(OSError):
            text = json.dumps(report.json(), indent=1)
            (plan.run.path / "preflight.json").write_text(text + "\n", encoding="utf-8")
    return report
