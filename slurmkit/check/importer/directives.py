"""#SBATCH lines into `resources`, `sbatch`, `requeue` and their neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.names import ARRAY_VARIABLE
from slurmkit.check.lint.job import Job, gpu_count
from slurmkit.check.script.directives import Piece
from slurmkit.check.script.options import Given
from slurmkit.check.script.words import filled
from slurmkit.slurm.grammar import (
    GrammarError,
    check_array,
    check_dependency,
    count_nodelist,
    parse_time,
)
from slurmkit.slurm.scalars import whole

_SAME = {
    "time": "time", "partition": "partition", "account": "account", "qos": "qos",
    "constraint": "constraint", "reservation": "reservation", "nodelist": "nodelist",
    "exclude": "exclude", "mem": "memory_per_node", "mem-per-cpu": "memory_per_cpu",
}  # fmt: skip
_OWN_LOG = "slurmkit writes slurmkit-%j.out, and a log file a rank in the run directory"
_DROPPED = {
    "output": _OWN_LOG,
    "error": _OWN_LOG,
    "open-mode": "slurmkit appends",
    "no-requeue": "without `requeue` the job stays away",
}
_WORKED_OUT = (
    "nodes", "ntasks", "ntasks-per-node", "tasks-per-node", "cpus-per-task", "cpus-per-gpu",
    "gpus", "gpus-per-node", "gpus-per-task", "gres", "mem-per-gpu", "exclusive", "job-name",
    "requeue", "signal", "array", "dependency", "tres-per-node", "ntasks-per-gpu",
)  # fmt: skip


def read_directives(job: Job, draft: Draft, tasks_per_node: int) -> None:
    """Put the directives where they belong.

    Args:
        job: The script.
        draft: The job file in the making.
        tasks_per_node: How many tasks the CPUs and GPUs of a task are counted for.
    """
    seen: set[str] = set()
    for option in reversed(job.script.directives.options):
        line = _line(job, option)
        if option.problem and option.name in draft.handed:
            continue
        said = filled(_shown(option), job.script.batch.text)
        if said != _shown(option):
            why = "the script that submits this one puts it in: write its value"
            draft.note(line, "changed", said, why)
            continue
        if option.problem:
            _unreadable(draft, option, line)
        elif option.name == "mail-type" and option.value and option.name in seen:
            given = draft.fields["sbatch"]  # Slurm adds them up
            given[option.name] = f"{option.value},{given[option.name]}"
        elif option.name in seen:
            why = "given again further down, where it counts"
            draft.note(line, "dropped", _shown(option), why)
        else:
            seen.add(option.name)
            _place(draft, option, line)
    _shape(job, draft, tasks_per_node)
    _gpus(job, draft, tasks_per_node)
    _requeue(job, draft)


def _place(draft: Draft, option: Given[Piece], line: int) -> None:
    name, value = option.name, option.value
    if name in _SAME and value is not None:
        _checked(draft, option, line, lambda: _same(draft, name, value))
    elif name == "job-name" and value:
        draft.name = value
    elif name == "exclusive":
        if value in (None, "", "exclusive"):
            draft.put("resources", "exclusive", True)
        else:
            draft.note(line, "changed", _shown(option), "resources.exclusive is true or false")
    elif name == "dependency" and value:
        _checked(draft, option, line, lambda: _dependency(draft, value))
    elif name == "array" and value:
        _checked(draft, option, line, lambda: _array(draft, value))
    elif name in _DROPPED:
        draft.note(line, "dropped", _shown(option), _DROPPED[name])
    elif name not in _WORKED_OUT:
        _other(draft, option, line)


def _same(draft: Draft, name: str, value: str) -> None:
    if name == "time":
        parse_time(value)
    draft.put("resources", _SAME[name], value)


def _checked(draft: Draft, option: Given[Piece], line: int, put: Callable[[], None]) -> None:
    try:
        put()
    except GrammarError as error:
        draft.note(line, "changed", _shown(option), f"not in the job file: {error}")


def _other(draft: Draft, option: Given[Piece], line: int) -> None:
    from slurmkit.slurm.options import OptionError, check_option

    value: str | bool = True if option.value is None else option.value
    try:
        check_option("sbatch", option.name, value)
    except OptionError as error:
        draft.note(line, "changed", _shown(option), f"not in the job file: {error}")
        return
    draft.fields.setdefault("sbatch", {})[option.name] = value


def _unreadable(draft: Draft, option: Given[Piece], line: int) -> None:
    from slurmkit.check.lint.rules.directive_values import meant

    what = _shown(option)
    near = meant(option.name)[0] if len(option.name) > 1 else ""
    if not option.written.startswith("-"):
        why = "belongs to no option: sbatch refuses it; a value with blanks stands in quotes"
    elif option.problem in ("no value", "needless value"):
        why = f"has {option.problem}: sbatch refuses it"
    elif option.known_to:
        why = f"no directive, but an option of {option.known_to[0]}: write it under launcher.srun"
    elif option.name.startswith(("container-", "no-container-")):
        why = "an option of pyxis for the whole job: write `container:`"
    elif near:
        why = f"sbatch has no such option, and refuses it: did you mean --{near}?"
    else:
        why = "sbatch has no such option; a plugin of the site may"
    draft.note(line, "changed", what, why)


def _dependency(draft: Draft, value: str) -> None:
    found = check_dependency(value)
    if "?" in value or any(condition.kind == "singleton" for condition in found):
        raise GrammarError(value, "jobs that must all come first", "write depends_on by hand")
    jobs: dict[str, list[str]] = {}
    for condition in found:
        jobs.setdefault(condition.kind, []).extend(condition.jobs)
    draft.fields["depends_on"] = jobs


def _array(draft: Draft, value: str) -> None:
    found = check_array(value)
    draft.put("sweep", f"environment.variables.{ARRAY_VARIABLE}", list(found.indices))
    draft.set("environment", "variables", ARRAY_VARIABLE, str(found.indices[0]))
    if found.limit:
        draft.fields["sweep_limit"] = found.limit


def node_count(job: Job) -> int | None:
    """Return on how many nodes the job file's job runs; None where nothing tells."""
    if job.nodes is not None:
        return job.nodes
    text, tasks = job.value("nodes") or "", job.value("ntasks") or ""
    if match := re.match(r"(\d{1,9})-\d+$", text):
        return int(match[1])
    count = int_of(tasks)
    return max(1, count // (job.tasks_per_node or count)) if count else None


def int_of(text: str | None) -> int:
    """Return a number; 0 where it is none."""
    return whole(text) or 0


def asked_tasks(job: Job) -> int:
    """Return how many tasks a node the directives ask for."""
    return job.tasks_per_node or max(1, int_of(job.value("ntasks")) // (node_count(job) or 1))


def _shape(job: Job, draft: Draft, tasks_per_node: int) -> None:
    nodes = job.nodes
    text = job.value("nodes")
    if nodes is None and (nodes := node_count(job)) is not None:
        name = "nodes" if text else "ntasks"
        why = "a job file has one number of nodes; the least is taken"
        if not text:
            why = f"Slurm chose the nodes; here it is {nodes}: set resources.nodes"
        draft.note(_line(job, job.given(name)), "changed", f"--{name}={job.value(name)}", why)
    if nodes is None and text:
        draft.note(_line(job, job.given("nodes")), "changed", f"--nodes={text}",
                   "Slurm reads no variables there; set resources.nodes")  # fmt: skip
    if named := job.value("nodelist"):
        with suppress(GrammarError):  # Slurm takes the greater of the two
            count = count_nodelist(named)
            if nodes is not None and count > nodes and job.value("nodes"):
                why = f"names {count} nodes, more than --nodes={nodes}: all of them count"
                line = _line(job, job.given("nodelist"))
                draft.note(line, "changed", f"--nodelist={named}", why)
            nodes = max(nodes or 1, count)
    if (nodes or 1) > 1 or text:
        draft.put("resources", "nodes", nodes or 1)
    cpus = int_of(job.value("cpus-per-task"))
    count = draft.get("resources", "processes_per_node") or job.gpus_per_node or 1
    is_srun = draft.get("launcher", "kind") == "srun"
    if cpus or tasks_per_node > (count if is_srun else 1):
        draft.put("resources", "cpus_per_node", max(1, cpus) * tasks_per_node)
    per_gpu = int_of(job.value("cpus-per-gpu"))
    if per_gpu and job.gpus_per_node and not cpus:
        draft.put("resources", "cpus_per_node", per_gpu * job.gpus_per_node)


def _gpus(job: Job, draft: Draft, tasks_per_node: int) -> None:
    count = job.gpus_per_node
    per_task = job.value("gpus-per-task")
    if count is None and per_task and (one := gpu_count(per_task)) is not None:
        count = one * tasks_per_node
    if count:
        draft.put("resources", "gpus_per_node", count)
    elif job.asks_for_gpus:
        option = job.given("gpus", "gres", "gpus-per-task", "gpus-per-socket")
        draft.note(_line(job, option), "changed", _shown(option) if option else "",
                   "how many a node cannot be told: set resources.gpus_per_node")  # fmt: skip
    for name in ("gpus-per-node", "gres", "gpus", "gpus-per-task", "tres-per-node"):
        text = job.value(name) or ""
        words = re.sub(r"^(gres[/:])?gpu[:=]", "", text.split(",")[0]).split(":")
        if count and (name != "gres" or "gpu" in text) and text:
            if words[0] and not words[0].isdigit() and words[0] != "gpu":
                draft.put("resources", "gpu_type", words[0])
            if name in ("gres", "tres-per-node"):
                draft.put("site", "gpu_request", "gres")
            break
    gres = [part for part in (job.value("gres") or "").split(",") if not part.startswith("gpu")]
    if gres and gres[0]:
        draft.fields.setdefault("sbatch", {})["gres"] = ",".join(gres)
    memory = re.fullmatch(r"(\d{1,9})([KMGT]?)", job.value("mem-per-gpu") or "", re.IGNORECASE)
    if memory and count:
        draft.put("resources", "memory_per_node", f"{int(memory[1]) * count}{memory[2]}")


def _requeue(job: Job, draft: Draft) -> None:
    signal, requeue = job.given("signal"), job.given("requeue")
    traps = [c for c in job.script.commands if c.shell.handles]
    comes_back = any(re.match(r"sbatch\b|scontrol requeue\b", c.source) for c in traps)
    text = (signal and signal.value) or ""
    match = re.fullmatch(r"(?:([BR]+):)?(?:SIG)?(\w+)(?:@(\d{1,9}))?", text)
    if comes_back or (requeue and signal):
        fields: dict[str, object] = {}
        if match and match[3] and int(match[3]) != 120:
            fields["lead_time"] = max(60, int(match[3]))
        if match and not match[1] and not comes_back and draft.get("launcher", "kind") == "srun":
            fields["by"] = "program"  # the signal goes to the program, which does the rest
        draft.fields["requeue"] = fields
    elif requeue is not None:
        draft.fields["requeue"] = {"when": ["preemption", "node_failure"]}
    _too_short(job, draft)
    if signal is not None:
        told = "the processes get USR1, `requeue.lead_time` seconds before the end"
        why = told if "requeue" in draft.fields else f"see `requeue`: with it {told}"
        is_same = "requeue" in draft.fields and match and match[2] == "USR1"
        kind = "moved" if is_same else "changed"
        draft.note(_line(job, signal), kind, _shown(signal), why)  # type: ignore[arg-type]


def _too_short(job: Job, draft: Draft) -> None:
    """No time to be told beforehand in a job that lasts no longer."""
    lead = draft.get("requeue", "lead_time") or 120
    limit = draft.get("resources", "time")
    seconds = parse_time(limit) if limit else None
    if "requeue" in draft.fields and seconds is not None and seconds <= lead:
        del draft.fields["requeue"]
        why = f"the job ends before: requeue needs more than {lead} s"
        draft.note(_line(job, job.given("time")), "changed", f"--time={limit}", why)


def _line(job: Job, option: Given[Piece] | None) -> int:
    return job.script.source.place(option.origins[0].span.start)[0] if option else 1


def _shown(option: Given[Piece]) -> str:
    name = option.written if option.problem else f"--{option.name}"
    return name + (f"={option.value}" if option.value is not None else "")
