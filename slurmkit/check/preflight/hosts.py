"""The checks before a job starts on hosts: each compares what the hosts have said.

Reachable, the same code, the same versions, a port that is free and open. All that is wrong is
found at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from slurmkit.check.finding import Finding
from slurmkit.check.preflight.probes import Meeting, Seen, look

if TYPE_CHECKING:
    from slurmkit.launch.ssh_client import Ssh
    from slurmkit.spec.model import JobSpec

_SHOWN = 5
_CLOSED = {
    "timed out": "a firewall between them drops it",
    "Connection refused": "a firewall on the master refuses it",
    "No route to host": "a firewall refuses it, or no network joins them",
    "Network is unreachable": "no network joins them",
}


def check_hosts(ssh: Ssh, spec: JobSpec, meeting: Meeting) -> list[Finding]:
    """Look at all hosts; return everything that would keep the job from running."""
    seen = look(ssh, spec, meeting)
    return [
        *_reachable(seen),
        *_same_code(seen),
        *(() if spec.container else _same_versions(seen)),
        *(() if spec.container or spec.launcher.kind == "srun" else _torch(seen)),
        *_port(seen, meeting),
        *_reaching(seen, meeting),
        *_network(seen, spec),
        *_gpus(seen, spec),
    ]


def _reachable(seen: Seen) -> Iterator[Finding]:
    for host, why in seen.unreachable.items():
        fix = f"make `ssh {host} true` work without a question: a key, ssh-agent, known_hosts"
        yield Finding("host-unreachable", host, "ssh does not get there", fix, why)
    for host, why in seen.broken.items():
        fix = f"try it there: ssh {host}. The directory, modules, venv must be as on this machine"
        yield Finding("environment-broken", host, "the job's environment is not there", fix, why)


def _same_code(seen: Seen) -> Iterator[Finding]:
    (reference, first), *others = _both(seen, "files") or [("", {})]
    for host, files in others:
        every = sorted(set(first) | set(files))
        differing = [name for name in every if first.get(name) != files.get(name)]
        if not differing:
            continue
        absent = [name for name in differing if name not in files]
        text = ", ".join(differing[:_SHOWN]) + (" and more" if len(differing) > _SHOWN else "")
        commits = [seen.facts[h].get("commit") for h in (reference, host)]
        evidence = f"{len(differing)} of {len(every)} Python files: {text}"
        evidence += f"; {len(absent)} missing there" if absent else ""
        if all(commits) and commits[0] != commits[1]:
            evidence += f"; commit {commits[1]} there, {commits[0]} on {reference}"
        fix = f"git pull on both, or from {reference}: rsync -a ./ {host}:<the same directory>/"
        yield Finding("code-differs", host, f"not the code of {reference}", fix, evidence)


def _same_versions(seen: Seen) -> Iterator[Finding]:
    versions = {
        host: {"python": facts["python"].rpartition(".")[0], **facts["packages"]}
        for host, facts in seen.facts.items()
    }
    for name in sorted({name for known in versions.values() for name in known}):
        have = {host: known.get(name, "none") for host, known in versions.items()}
        usual, _ = Counter(have.values()).most_common(1)[0]
        for host, version in have.items():
            if version != usual:
                what = f"{name} {version}, where other hosts have {usual}"
                fix = f"install the same on all hosts, in {seen.facts[host]['executable']}"
                evidence = ", ".join(f"{h} {v}" for h, v in have.items())
                yield Finding("version-differs", host, what, fix, evidence)


def _torch(seen: Seen) -> Iterator[Finding]:
    for host, facts in seen.facts.items():
        if "torch" not in facts["packages"]:
            fix = "set environment.venv or conda to one that each host has, with torch in it"
            yield Finding(
                "torch-missing",
                host,
                "no torch, which starts the processes",
                fix,
                facts["executable"],
            )


def _port(seen: Seen, meeting: Meeting) -> Iterator[Finding]:
    host, port = meeting.hosts[0], meeting.port
    state = seen.facts.get(host, {}).get("port", "free")
    if state == "taken":
        fix = f"see who has it: ssh {host} ss -ltnp 'sport = :{port}'; or set launcher.port"
        yield Finding("port-taken", host, f"port {port}, the master's, is taken", fix)
    elif state == "elsewhere":
        fix = "give --master-addr, an address of that host which the others reach (ip -br address)"
        what = f"{meeting.master} is no address of this host, the master"
        yield Finding("master-address", host, what, fix)
    elif state != "free":
        fix = "give --master-addr with an address, or mend /etc/hosts there"
        what = f"nothing can listen at {meeting.master}:{port}"
        yield Finding("master-address", host, what, fix, state)


def _reaching(seen: Seen, meeting: Meeting) -> Iterator[Finding]:
    for host, how in seen.reached.items():
        if how == "ok":
            continue
        what = f"does not reach the master at {meeting.master}:{meeting.port}"
        reason = _CLOSED.get(how)
        if reason:
            fix = f"open TCP port {meeting.port} on {meeting.hosts[0]} for {host} (ufw, nft, the "
            fix += "cloud's security group), or set launcher.port to one that is open"
        else:
            fix = "give --master-addr with an address that all hosts reach"
        evidence = f"{how}: {reason}" if reason else how
        yield Finding("port-blocked", host, what, fix, evidence)


def _network(seen: Seen, spec: JobSpec) -> Iterator[Finding]:
    for host, facts in seen.facts.items():
        if there := facts.get("interfaces"):
            what = f"no interface {spec.environment.network_interface}"
            fix = "set environment.network_interface to one that all hosts have, or leave it out"
            yield Finding("interface-missing", host, what, fix, f"there are {', '.join(there)}")


def _gpus(seen: Seen, spec: JobSpec) -> Iterator[Finding]:
    wanted = spec.resources.gpus_per_node
    for host, facts in seen.facts.items():
        count = facts.get("gpus")
        if count is not None and count < wanted:
            fix = f"see nvidia-smi there, or --set resources.gpus_per_node={max(count, 1)}"
            yield Finding("gpus-missing", host, f"{count} GPUs, the job wants {wanted}", fix)


def _both(seen: Seen, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    return [(host, facts[key]) for host, facts in seen.facts.items()]
