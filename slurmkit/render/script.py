"""A job as the batch script that an expert would have written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from slurmkit import __version__
from slurmkit.render import directives, quoting
from slurmkit.render.templates import job_template
from slurmkit.spec.dump import Quoted, dump_job, dump_yaml
from slurmkit.spec.errors import Place, Problem, SpecError
from slurmkit.spec.fields import references

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


class Document(NamedTuple):
    """A here-document: its text and the words that open and close it."""

    text: str
    begin: str
    end: str
    variables: list[tuple[str, str]]
    """Shell variables that the text names, and the words that fill them."""


def render(spec: JobSpec) -> str:
    """Return the sbatch script of a job. Pure: the same job gives the same bytes.

    Raises:
        SpecError: the job asks for what this version cannot render.
    """
    _refuse_unsupported(spec)
    return job_template().render(_context(spec))


def _context(spec: JobSpec) -> dict[str, Any]:
    resources, environment, launcher = spec.resources, spec.environment, spec.launcher
    here, on_node = _variables(spec)
    time_limit = spec.requeue is not None and "time_limit" in spec.requeue.when
    config = spec.entrypoint.config
    return {
        "version": __version__,
        "directives": directives.sbatch(spec),
        "job": _verbatim("JOB_YAML", dump_job(spec)),
        "config": None if config is None else _config(config),
        "slug": quoting.word(quoting.slug(spec.name)),
        "name_json": quoting.word(json.dumps(spec.name, ensure_ascii=False)),
        "passed": environment.pass_,
        "modules": [quoting.word(module) for module in environment.modules],
        "venv": _path(environment.venv, "environment.venv"),
        "conda": _path(environment.conda, "environment.conda"),
        "python": _path(environment.python, "environment.python"),
        "interpreter": _interpreter(spec),
        "exports": here,
        "node_exports": on_node,
        "set_omp": "OMP_NUM_THREADS" not in environment.variables,
        "setup": environment.setup,
        "suffix": spec.site.host_suffix,
        "processes": spec.processes_per_node,
        "rendezvous": launcher.rendezvous,
        "program": _program(spec),
        "cpus": f" --cpus-per-task={resources.cpus_per_node}" if resources.cpus_per_node else "",
        "srun_options": [quoting.word(option) for option in directives.srun(spec)],
        "restarts": launcher.restarts,
        "port": launcher.port,
        "ports": spec.site.port_range,
        "requeue": spec.requeue,
        "signal_workers": time_limit,
        "no_gpus": directives.no_gpus(spec),
        "reasons": _reasons(spec),
    }


def _variables(spec: JobSpec) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what the batch shell exports, and what each node exports because it reads it there."""
    values = {"PYTHONUNBUFFERED": "1"}
    if interface := spec.environment.network_interface:
        values |= {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    if spec.requeue is not None:  # time to save between SIGTERM and torchrun's SIGKILL
        values["PET_SHUTDOWN_TIMEOUT"] = str(spec.requeue.lead_time)
    values |= spec.environment.variables
    here: list[tuple[str, str]] = []
    on_node: list[tuple[str, str]] = []
    for name, value in values.items():
        where = on_node if "${env:" in value.replace("$${", "") else here
        where.append((name, quoting.node_word(value, f"environment.variables.{name}")))
    return here, on_node


def _program(spec: JobSpec) -> str:
    entry = spec.entrypoint
    if entry.command is not None:
        first, *rest = entry.command
        words = ["--", quoting.path_word(first, "entrypoint.command[0]")]
        words += [
            quoting.node_word(text, f"entrypoint.command[{i}]") for i, text in enumerate(rest, 1)
        ]
    else:
        if entry.module is not None:
            words = [_interpreter(spec), "-m", quoting.word(entry.module)]
        else:
            script = str(entry.script)
            script = f"./{script}" if script.startswith("-") else script
            words = [_interpreter(spec), quoting.path_word(script, "entrypoint.script")]
        words += [
            quoting.node_word(text, f"entrypoint.args[{i}]") for i, text in enumerate(entry.args)
        ]
        if entry.config is not None:
            words += ["--config", '"$SLURMKIT_RUN_DIR/config.yaml"']
    separator = " " if sum(map(len, words)) < 80 else " \\\n    "
    return separator.join(words)


def _config(config: dict[str, Any]) -> Document:
    """Write the config; the batch script fills in the texts that hold `${env:NAME}`."""
    variables: list[tuple[str, str]] = []

    def fill(value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, f"{field}.{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, f"{field}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        parts = references(value)
        if all(name is None for _, name, _ in parts):
            return parts[0][0]
        variables.append((f"config_value_{len(variables)}", quoting.node_word(value, field)))
        return Quoted(f"{mark}{len(variables) - 1}{mark}")

    mark = quoting.terminator("SLURMKIT_VALUE_", dump_yaml(config))
    while mark in dump_yaml(config):
        mark += "_"
    text = dump_yaml(fill(config, "entrypoint.config"))
    if not variables:
        return _verbatim("CONFIG_YAML", text)
    text = quoting.heredoc_text(text)
    for index, (name, _) in enumerate(variables):
        text = text.replace(f'"{mark}{index}{mark}"', f"${name}")
    end = quoting.terminator("CONFIG_YAML", text)
    return Document(text, end, end, variables)


def _verbatim(word: str, text: str) -> Document:
    end = quoting.terminator(word, text)
    return Document(text, f"'{end}'", end, [])


def _reasons(spec: JobSpec) -> str:
    """Return the bash test for the ends that the job comes back from."""
    when = spec.requeue.when if spec.requeue else []
    tests = {"time_limit": "[[ -n $signalled ]]", "preemption": "terminated"}
    return " || ".join([*(test for name, test in tests.items() if name in when), "stopped"])


def _path(text: str | None, field: str) -> str | None:
    return None if text is None else quoting.path_word(text, field)


def _interpreter(spec: JobSpec) -> str:
    """Return the name under which Python is found on PATH.

    `python3`, which every environment has; but beside /usr/bin/python3.12 that may be another one.
    """
    name = Path(spec.environment.python or "").name
    return name if re.fullmatch(r"(python|pypy)3\.[0-9]+t?", name) else "python3"


def _refuse_unsupported(spec: JobSpec) -> None:
    later = {
        "launcher.kind": (spec.launcher.kind != "torchrun", "write torchrun, or leave it out"),
        "container": (spec.container is not None, "leave it out"),
        "template": (spec.template is not None, "leave it out"),
        "sweep": (bool(spec.sweep), "leave it out, and give the values with --set"),
    }
    what = "this version of slurmkit does not render it yet"
    problems = [
        Problem(what, Place("render"), field, fix=fix)
        for field, (asked, fix) in later.items()
        if asked
    ]
    if problems:
        raise SpecError(problems)
