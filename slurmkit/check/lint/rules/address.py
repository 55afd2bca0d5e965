"""The master's address (SK303, SK304, SK309, SK310) and the endpoint that is left out (SK305)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.finding import Severity
from slurmkit.check.lint.edits import FIRST_NODE, PORT, instead, instead_in_option, is_top, said
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.master import Given, addresses, host_of, origin, runs_on_many
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.shape import (
    address_option,
    asks_which_task,
    backend,
    has_variable,
    is_open,
    launcher_nodes,
    said_nodes,
    step_nodes,
)
from slurmkit.check.script.shell import Assignment
from slurmkit.check.script.source import Span
from slurmkit.check.script.variables import assigned

_LOCAL = re.compile(r"localhost(?:\.localdomain)?|127(?:\.\d+){3}|0\.0\.0\.0|\[?::1?\]?")
_HOST = re.compile(r"(?=.*[A-Za-z\d])[A-Za-z\d](?:[\w.-]*[A-Za-z\d])?")
_OWN_NAME = re.compile(
    r"\$\(\s*(?:hostname|uname -n)(?:\s+-\w+|\s+--[\w-]+)*\s*(?:\||\))|"
    r"\$\{?(?:HOSTNAME|SLURMD_NODENAME)\b"
)
_OWN_ADDRESS = re.compile(r"\bhostname\s+(?:-[iI]\b|--ip-address|--all-ip-addresses|-\w*[iI]\b)")
_ABOUT_MASTER = re.compile(r"MASTER|HEAD|ADDR|RDZV|ENDPOINT|MAIN|HOST|(?:^|_)IPS?(?:_|$)", re.I)

_OWN = re.compile(r"_?(?:MY|OWN|SELF|THIS|LOCAL|CURRENT)_", re.I)


@rule("SK303")
def local_master(job: Job) -> Iterator[Found]:
    """`MASTER_ADDR=localhost` in a job of several nodes."""
    for given in addresses(job):
        host = host_of(given)
        if host is None or not _LOCAL.fullmatch(host[0]) or not runs_on_many(job, given):
            continue
        label, place = origin(job, given, given.pieces())
        what = f"{label}: {host[0]} is each of the {job.nodes} nodes itself"
        severity: Severity = "warning" if host[1] else "error"
        edits = () if host[1] else _first_node(job, given, host[0])
        yield job.found("SK303", place, what, severity=severity, edits=edits)


def _place(given: Given) -> Span:
    return given.option.span if given.option is not None else given.span


def _first_node(job: Job, given: Given, old: str) -> tuple[Edit, ...]:
    if given.assignment is not None:
        return instead(job, given.assignment, FIRST_NODE)
    source = _source(given)
    if source is not None:
        return instead(job, source, FIRST_NODE)
    if given.option is not None and given.shell.where == "batch":
        return instead_in_option(job, given.option, old, FIRST_NODE)
    return ()


def _source(given: Given) -> Assignment | None:
    """Return the assignment that a value such as `$MASTER_ADDR:$PORT` comes from."""
    first = given.word.pieces[0] if given.word.pieces else None
    if first is None or first.kind != "variable" or first.operation:
        return None
    return assigned(first.text, first.shell, given.order, given.context)


@rule("SK304")
def own_name_on_every_node(job: Job) -> Iterator[Found]:
    """`srun bash -c 'export MASTER_ADDR=$(hostname) …'`."""
    for given in addresses(job):
        pieces = given.pieces()
        first = next((p for p in pieces if p.kind != "text"), None)
        if first is None or first.shell.where != "node" or not runs_on_many(job, given):
            continue
        text = first.text if first.kind == "substitution" else ""
        shown = f"$({text})" if text else f"${first.text}"
        if not _OWN_NAME.match(shown) or (given.launch and asks_which_task(given.launch)):
            continue
        if given.assignment is not None and given.assignment.context.blocks:
            continue
        edits: tuple[Edit, ...] = ()
        is_same = said(job, first.span).decode(errors="replace") == shown
        if is_same and not first.shell.in_container:
            edits = (Edit(first.span, FIRST_NODE),)
        what = f"{given.label}: {shown} runs on every node, and each takes itself for the master"
        yield job.found("SK304", _place(given), what, edits=edits)


@rule("SK305")
def no_endpoint(job: Job) -> Iterator[Found]:
    """`--rdzv_backend=c10d` without `--rdzv_endpoint`."""
    if job.is_het:
        return
    for launch in job.launches:
        if launch.kind not in ("torchrun", "torch.distributed.launch") or is_open(launch):
            continue
        if backend(launch) in ("", "static") or launch.option("rdzv-endpoint", "standalone"):
            continue
        nodes = launcher_nodes(job, launch) or said_nodes(job) or 0
        if nodes < 2 or has_variable(job, launch, "PET_RDZV_ENDPOINT"):
            continue
        option = launch.option("rdzv-backend")
        assert option is not None
        what = "no --rdzv_endpoint: with c10d each node then waits at localhost:29400 for itself"
        if address_option(launch):
            what += "; --master_addr is not used"
        edits: tuple[Edit, ...] = ()
        own = any(option.words[0].span == word.span for word in launch.command.words)
        if own and is_top(launch.command.shell) and launch.command.shell.where == "batch":
            has_master = bool(job.script.batch.assignments.get("MASTER_ADDR"))
            host = "$MASTER_ADDR" if has_master else FIRST_NODE
            has_port = has_master and bool(job.script.batch.assignments.get("MASTER_PORT"))
            endpoint = f' --rdzv_endpoint="{host}:{"$MASTER_PORT" if has_port else PORT}"'
            edits = (Edit(Span(option.span.end, option.span.end), endpoint),)
        yield job.found("SK305", option.span, what, edits=edits)


@rule("SK309")
def fixed_master(job: Job) -> Iterator[Found]:
    """`MASTER_ADDR=gpu01`."""
    nodes = " ".join(job.value(name) or "" for name in ("nodelist", "nodefile"))
    for given in addresses(job):
        host = host_of(given)
        if host is None or host[1] or _LOCAL.fullmatch(host[0]) or not _HOST.fullmatch(host[0]):
            continue
        if given.launch is not None and step_nodes(job, given.launch) == 1 and not job.launches:
            continue
        if host[0] in nodes or host[0].isdigit():
            continue
        label, place = origin(job, given, given.pieces())
        what = f"{label}={host[0]} is right only when Slurm happens to give the job that node"
        yield job.found("SK309", place, what, edits=_first_node(job, given, host[0]))


@rule("SK310")
def address_by_hostname(job: Job) -> Iterator[Found]:
    """`MASTER_ADDR=$(hostname -I)`."""
    what = "hostname may print 127.0.1.1, an IPv6 address, or several addresses"
    for shell in job.script.shells:
        for name, values in shell.assignments.items():
            if not _ABOUT_MASTER.search(name) or _OWN.match(name):
                continue
            for value in values:
                pieces = value.value.pieces if value.value is not None else ()
                for piece in pieces:
                    if piece.kind == "substitution" and _OWN_ADDRESS.search(piece.text):
                        yield job.found("SK310", piece.span, f"{name}: {what}")
    for given in addresses(job):
        for piece in given.word.pieces:
            if piece.kind == "substitution" and _OWN_ADDRESS.search(piece.text):
                yield job.found("SK310", piece.span, f"{given.label}: {what}")
