"""Ask hosts, by SSH, what the checks want to know."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from slurmkit.launch.ssh_client import UNREACHABLE, Ran, Ssh, each
from slurmkit.render.hosts import probe_script

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec

_SAID = "slurmkit-probe "


@dataclass(frozen=True)
class Meeting:
    """The hosts of a job, and where they meet."""

    hosts: Sequence[str]
    """As ssh takes them; the first is the master."""
    nodes: Sequence[str]
    """Their addresses."""
    master: str
    port: int
    directory: str
    """Where the job starts, as a word of bash."""


@dataclass
class Seen:
    """What the hosts said."""

    unreachable: dict[str, str] = field(default_factory=dict)
    """Hosts without a connection, and ssh's words."""
    broken: dict[str, str] = field(default_factory=dict)
    """Hosts on which the environment cannot be set up, and why."""
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each of the others has."""
    reached: dict[str, str] = field(default_factory=dict)
    """How each host reaches the master: `ok`, or why not."""


def look(ssh: Ssh, spec: JobSpec, meeting: Meeting) -> Seen:
    """Connect to all hosts, look at each, and have each reach for the master."""
    seen = Seen()
    opened = each(meeting.hosts, ssh.connect)
    for host, ran in zip(meeting.hosts, opened, strict=True):
        if ran.code != 0:
            seen.unreachable[host] = ran.why
    there = [host for host in meeting.hosts if host not in seen.unreachable]
    program = resources.files(__package__).joinpath("on_host.py").read_text(encoding="utf-8")

    def ask(host: str) -> Ran:
        wanted = _wanted(spec, meeting, is_master=host == meeting.hosts[0])
        script = probe_script(spec, program, ["look", json.dumps(wanted)], meeting.directory)
        return ssh.run(host, script, timeout=120)

    for host, ran in zip(there, each(there, ask), strict=True):
        answer = _answer(ran)
        if answer is None and ran.code == UNREACHABLE:
            seen.unreachable[host] = ran.why
        elif answer is None:
            seen.broken[host] = ran.why
        else:
            seen.facts[host] = answer
    _reach(ssh, spec, meeting, program, seen)
    return seen


def _reach(ssh: Ssh, spec: JobSpec, meeting: Meeting, program: str, seen: Seen) -> None:
    master, others = meeting.hosts[0], [host for host in meeting.hosts[1:] if host in seen.facts]
    if not others or seen.facts.get(master, {}).get("port") != "free":
        return
    wanted = {"master": meeting.master, "port": meeting.port, "token": secrets.token_hex(8)}

    def script(verb: str) -> str:
        return probe_script(spec, program, [verb, json.dumps(wanted)], meeting.directory)

    with ssh.held(master, script("listen")) as said:
        while (line := said.readline()) and b'"listening"' not in line:
            pass
        if line:
            answers = each(others, lambda host: _answer(ssh.run(host, script("connect"))))
            seen.reached = {h: str(s) for h, s in zip(others, answers, strict=True)}


def _wanted(spec: JobSpec, meeting: Meeting, *, is_master: bool) -> Mapping[str, Any]:
    entry = spec.entrypoint
    wanted = {
        "module": entry.module,
        "script": entry.script,
        "command": entry.command or [],
        "interface": spec.environment.network_interface,
        "gpus": bool(spec.resources.gpus_per_node),
        "master": meeting.master,
        "port": meeting.port,
        "is_master": is_master,
    }
    return {key: value for key, value in wanted.items() if value}


def _answer(ran: Ran) -> Any:
    lines = [
        line for line in ran.out.decode(errors="replace").splitlines() if line.startswith(_SAID)
    ]
    return json.loads(lines[-1].removeprefix(_SAID)) if ran.code == 0 and lines else None
