"""slurmkit launch: a job on hosts without Slurm, by SSH."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.arguments import (
    host_arguments,
    job_arguments,
    late_imports,
    point_option,
    warn,
)

if TYPE_CHECKING:
    from slurmkit.check.finding import Finding
    from slurmkit.launch.ssh_client import Ssh
    from slurmkit.launch.ssh_job import Plan
    from slurmkit.launch.ssh_output import Output


@click.command("launch")
@job_arguments
@point_option
@host_arguments
@click.option("--no-checks", is_flag=True, help="Start without looking at the hosts first.")
@click.option("--checks-only", "--dry-run", is_flag=True, help="Look at the hosts, start nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --checks-only: the findings as JSON.")
@click.option(
    "--patience",
    type=click.IntRange(3),
    default=60,
    show_default=True,
    help="Seconds without word from a host, or of a host from here, until it counts as lost.",
)
@click.option(
    "--ssh-option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option as in ~/.ssh/config, such as Port=2222; again for more.",
)
@click.option("--job-id", type=int, hidden=True)
@click.option("--lock", type=int, hidden=True)
def command(
    job: str,
    overrides: tuple[str, ...],
    profile: str | None,
    patience: int,
    options: tuple[str, ...],
    **given: Any,
) -> None:
    """Run JOB.yaml (- reads standard input) on hosts that you reach by ssh.

    slurmkit launch job.yaml --hosts 10.0.1.100,10.0.1.101

    All hosts start at once. When one fails, and on Ctrl-C, the job ends on all of them.
    """
    with late_imports():
        from slurmkit.launch.hosts import choose_hosts, on_hosts
        from slurmkit.launch.ssh_client import Ssh
        from slurmkit.launch.ssh_job import make_plan
        from slurmkit.render.hosts import left_out, refuse_unsupported
        from slurmkit.spec.load import resolve
        from slurmkit.spec.warnings import warnings

    spec = resolve(job, overrides=overrides, profile=profile, point=given["point"]).spec
    chosen = choose_hosts(spec, hosts=given["hosts"], hostfile=given["hostfile"])
    spec = on_hosts(spec, chosen)
    refuse_unsupported(spec)
    warn([*warnings(spec, slurm=False), *left_out(spec)])
    plan = make_plan(
        spec, chosen, options=options, master=given["master_addr"], job_id=given["job_id"]
    )
    with Ssh(patience, options) as ssh:
        if given["checks_only"]:
            findings = _check(ssh, plan)
            _print(findings, given["as_json"])
            sys.exit(1 if any(finding.severity == "error" for finding in findings) else 0)
        sys.exit(_launch(ssh, plan, checks=not given["no_checks"], lock=given["lock"]))


def _launch(ssh: Ssh, plan: Plan, *, checks: bool, lock: int | None) -> int:
    from slurmkit.launch.ssh_job import hold, note, prepare, run_job
    from slurmkit.launch.ssh_output import Output

    if lock is None:  # else a process that is gone has done this, and handed on the lock
        prepare(plan)
        lock = hold(plan.run)
    state, first = "CANCELLED", None
    output = Output(plan.output)
    try:
        output.say(f"job {plan.job_id}: {_hosts(plan)}; files in {_shown(plan.run.path)}")
        failed = _refused(ssh, plan, output, checks)
        if failed is None:
            state, first = run_job(plan, ssh, output)
        else:
            state, first = "FAILED", failed
    except KeyboardInterrupt:
        output.say("stopped before the start")
    finally:
        note(plan.run, "ended", state=state, first=first)
        os.close(lock)
    output.say(_summary(plan, state, first))
    return 0 if state == "COMPLETED" else 1


def _refused(ssh: Ssh, plan: Plan, output: Output, checks: bool) -> str | None:
    """Look at the hosts, or only connect; return why the job is not started."""
    from slurmkit.check.finding import has_errors
    from slurmkit.launch.ssh_client import each

    if not checks:
        opened = each(plan.hosts, ssh.connect)
        lost = {h: r.why for h, r in zip(plan.hosts, opened, strict=True) if r.code}
        for host, why in lost.items():
            output.say(f"{host}: ssh does not get there: {why}")
        return f"{next(iter(lost))} (not reachable)" if lost else None
    findings = _check(ssh, plan)
    for finding in findings:
        output.say(str(finding))
    if not has_errors(findings):
        meet = "meets" if len(plan.hosts) == 1 else "meet"
        output.say(f"checks passed: {_hosts(plan)} {meet} at {plan.master}:{plan.port}")
        return _unfit(ssh, plan, output) if plan.spec.preflight else None
    output.say("not started; --no-checks starts in spite of it")
    return f"{findings[0].place} ({findings[0].what})"


def _unfit(ssh: Ssh, plan: Plan, output: Output) -> str | None:
    """Run the checks of the job's `preflight`; return why it is not started."""
    from slurmkit.check.preflight.by_ssh import check_over_ssh
    from slurmkit.launch.ssh_job import note

    report = check_over_ssh(ssh, plan)
    for line in filter(None, report.lines()):
        output.say(line)
    note(plan.run, "preflight", file="batch.jsonl", code=report.code)
    if report.code == 0 or (plan.spec.preflight and plan.spec.preflight.on_failure == "warn"):
        return None
    output.say("not started; preflight.on_failure: warn, or --no-checks, starts in spite of it")
    note(plan.run, "ended", file="batch.jsonl", code=1)
    reason = f"preflight: {report.summary}"
    status = json.dumps({"state": "failed", "reason": reason})
    (plan.run.path / "status.json").write_text(status + "\n", encoding="utf-8")
    return reason


def _check(ssh: Ssh, plan: Plan) -> list[Finding]:
    from slurmkit.check.preflight.hosts import check_hosts
    from slurmkit.check.preflight.probes import Meeting

    meeting = Meeting(plan.hosts, plan.nodes, plan.master, plan.port, plan.start)
    return check_hosts(ssh, plan.spec, meeting)


def _print(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
        return
    for finding in findings:
        click.echo(str(finding), err=True)
    if not findings:
        click.echo("slurmkit: checks passed", err=True)


def _summary(plan: Plan, state: str, first: str | None) -> str:
    text = f"job {plan.job_id} {state}"
    if first and state == "FAILED":
        text += f"; first to fail: {first}"
    where = plan.run.logs if plan.run.logs.is_dir() else plan.run.path
    return f"{text}; {'logs' if where == plan.run.logs else 'files'} in {_shown(where)}"


def _hosts(plan: Plan) -> str:
    return f"{len(plan.hosts)} {'host' if len(plan.hosts) == 1 else 'hosts'}"


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
