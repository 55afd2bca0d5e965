"""A job as the batch script that an expert would have written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slurmkit import __version__
from slurmkit.render import container, directives, entrypoint, launcher, quoting
from slurmkit.render.templates import job_template
from slurmkit.spec.dump import dump_job
from slurmkit.spec.errors import Place, Problem, SpecError

if TYPE_CHECKING:
    from slurmkit.spec.model import JobSpec


def render(spec: JobSpec) -> str:
    """Return the sbatch script of a job. Pure: the same job and template give the same bytes.

    Raises:
        SpecError: the job asks for what this version cannot render, or its template is wrong.
    """
    _refuse_unsupported(spec)
    if spec.template is None:
        return job_template().render(_context(spec))
    from slurmkit.render.user_template import render_user_template

    return render_user_template(spec, spec.template, _context(spec))


def _context(spec: JobSpec) -> dict[str, Any]:
    environment, kind = spec.environment, spec.launcher.kind
    here, on_node = _variables(spec)
    requeue = spec.requeue if spec.requeue and spec.requeue.by == "script" else None
    config = spec.entrypoint.config
    tasks, cpus = directives.tasks_per_node(spec), directives.cpus_per_task(spec)
    srun_options = [quoting.word(option) for option in directives.srun(spec)]
    return {
        "version": __version__,
        "directives": directives.sbatch(spec),
        "template": spec.template,
        "job_yaml": entrypoint.verbatim("JOB_YAML", dump_job(spec)),
        "config": None if config is None else entrypoint.config(config),
        "slug": quoting.word(quoting.slug(spec.name)),
        "name_json": quoting.word(json.dumps(spec.name, ensure_ascii=False)),
        "passed": environment.pass_,
        "modules": [quoting.word(module) for module in environment.modules],
        "venv": _path(environment.venv, "environment.venv"),
        "conda": _path(environment.conda, "environment.conda"),
        "python": _path(environment.python, "environment.python"),
        "interpreter": entrypoint.interpreter(spec),
        "exports": here,
        "node_exports": on_node,
        "set_omp": "OMP_NUM_THREADS" not in environment.variables,
        "setup": environment.setup,
        "suffix": spec.site.host_suffix,
        "processes": spec.processes_per_node,
        "kind": kind,
        "on_cpu": launcher.on_cpu(spec),
        "rendezvous": launcher.rendezvous(spec),
        "launcher_options": launcher.options(spec),
        "multi_process": spec.world_size > 1,
        "program": entrypoint.program(spec),
        "tasks": tasks,
        "cpus": f" --cpus-per-task={cpus}" if cpus else "",
        "srun_options": srun_options + container.srun_options(spec),
        "container": spec.container,
        "mounts": container.mounts(spec),
        "container_command": container.command(spec),
        "restarts": spec.launcher.restarts,
        "port": spec.launcher.port,
        "ports": spec.site.port_range,
        "requeue": spec.requeue,
        "watched": requeue is not None,
        "signal_workers": requeue is not None and "time_limit" in requeue.when,
        "no_gpus": directives.no_gpus(spec),
        "reasons": _reasons(spec),
    }


def _variables(spec: JobSpec) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what the batch shell exports, and what each node exports because it reads it there."""
    values = {"PYTHONUNBUFFERED": "1"}
    if interface := spec.environment.network_interface:
        values |= {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    if spec.requeue is not None and spec.launcher.kind != "srun":
        # Time to save between SIGTERM and torchrun's SIGKILL.
        values["PET_SHUTDOWN_TIMEOUT"] = str(spec.requeue.lead_time)
    values |= spec.environment.variables
    here: list[tuple[str, str]] = []
    on_node: list[tuple[str, str]] = []
    for name, value in values.items():
        # An image may set the same variable and win, so that a container's are set inside.
        inside = spec.container is not None or "${env:" in value.replace("$${", "")
        where = on_node if inside else here
        where.append((name, quoting.node_word(value, f"environment.variables.{name}")))
    return here, on_node


def _reasons(spec: JobSpec) -> str:
    """Return the bash test for the ends that the job comes back from."""
    when = spec.requeue.when if spec.requeue else []
    tests = {"time_limit": "[[ -n $signalled ]]", "preemption": "terminated"}
    return " || ".join([*(test for name, test in tests.items() if name in when), "stopped"])


def _path(text: str | None, field: str) -> str | None:
    return None if text is None else quoting.path_word(text, field)


def _refuse_unsupported(spec: JobSpec) -> None:
    if spec.sweep:
        what = "this version of slurmkit does not render it yet"
        fix = "leave it out, and give the values with --set"
        raise SpecError([Problem(what, Place("render"), "sweep", fix=fix)])
