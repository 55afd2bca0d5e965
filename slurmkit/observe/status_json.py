"""Jobs as other programs read them: durations in seconds, what is not known is null."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from slurmkit.launch.failure import first_failure
from slurmkit.observe.lost import lost
from slurmkit.observe.points import point_of, swept_values
from slurmkit.observe.status import last_metrics
from slurmkit.observe.times import read_duration

if TYPE_CHECKING:
    from slurmkit.launch.registry import Entry
    from slurmkit.launch.rundir import RunDirectory
    from slurmkit.observe.status import Detail, Overview
    from slurmkit.slurm.records import Record


def overview_data(overview: Overview) -> list[dict[str, Any]]:
    """Return one object a job, or an array."""
    return [
        {**job_data(seen.record, seen.entry), **({"tasks": seen.tasks} if seen.tasks else {})}
        for seen in overview.jobs
    ]


def detail_data(detail: Detail) -> dict[str, Any]:
    """Return one job with its files; an array with its tasks."""
    if detail.is_array:
        swept = swept_values(detail)
        tasks = [
            {
                **record_data(record),
                "point": point_of(record, swept) or None,
                "metrics": last_metrics(detail.run_of(record)),
            }
            for record in detail.records
        ]
        return {
            **{"id": detail.entry.id, "name": detail.entry.name, "state": detail.state.name},
            **_place(detail.entry),
            "tasks": tasks,
        }
    run = detail.run
    cost = lost(run) if run else None
    return {
        **job_data(detail.records[0], detail.entry),
        "script": str(run.script) if run else None,
        "output": str(run.output) if run else None,
        "logs": [str(log.path) for log in run.rank_logs()] if run else [],
        "status": run.status() if run else None,
        "metrics": last_metrics(run),
        "lost": asdict(cost) if cost else None,
        "first_failure": _failed_first(run) if detail.state.name == "FAILED" else None,
        "cause": _cause(run, detail) if run and detail.state.phase == "bad" else None,
        "events": run.batch_events() if run else [],
    }


def _failed_first(run: RunDirectory | None) -> dict[str, Any] | None:
    failure = first_failure(run) if run else None
    if failure is None:
        return None
    log = str(failure.log) if failure.log else None
    return {"rank": failure.rank, "text": failure.text, "log": log, "ends": failure.last_words()}


def _cause(run: RunDirectory, detail: Detail) -> dict[str, Any] | None:
    from slurmkit.check.doctor.glance import glance

    verdict = glance(run, detail.state.name)
    return verdict.data() if verdict else None


def job_data(record: Record, entry: Entry) -> dict[str, Any]:
    """Return what Slurm tells of a job, and where its files are."""
    return {**record_data(record), "name": entry.name or record.name, **_place(entry)}


def record_data(record: Record) -> dict[str, Any]:
    """Return what Slurm tells of a job."""
    waits, ended = record.state.phase == "waiting", record.state.is_final
    code = record.exit_code
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state.name,
        "phase": record.state.phase,
        "reason": None if record.reason.is_none else record.reason.name,
        "why": None if record.reason.is_none else record.reason.words,
        "partition": record.partition or None,
        "nodes": record.nodes or None,
        "node_list": record.node_list or None,
        "submitted": record.submitted or None,
        "expected_start": (record.started or None) if waits else None,
        "started": None if waits else record.started or None,
        "ended": (record.ended or None) if ended else None,
        "elapsed": read_duration(record.elapsed),
        "limit": read_duration(record.limit),
        "left": read_duration(record.left) if not ended else None,
        "restarts": record.restarts,
        "exit_code": None if code is None else code.code,
        "signal": None if code is None else code.signal,
        "dependency": record.dependency or None,
    }


def _place(entry: Entry) -> dict[str, Any]:
    return {"directory": entry.directory or None, "via": entry.via}
