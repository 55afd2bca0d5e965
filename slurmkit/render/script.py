"""A job as the batch script that an expert would have written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from slurmkit import __version__
from slurmkit.render import container, directives, entrypoint, launcher, quoting
from slurmkit.render.templates import job_template
from slurmkit.spec.dump import dump_job
from slurmkit.spec.errors import Place, Problem, SpecError
from slurmkit.spec.sweep import count_points

if TYPE_CHECKING:
    from slurmkit.render.preflight import Preflight
    from slurmkit.render.sweep import Sweep
    from slurmkit.spec.model import JobSpec

LONGEST_SCRIPT = 4 * 2**20  # what Slurm takes: max_script_size, by default


def render(spec: JobSpec, *, job_file: JobSpec | None = None, checks_only: bool = False) -> str:
    """Return the sbatch script of a job. Pure: the same job and template give the same bytes.

    Args:
        spec: the job.
        job_file: the job that the run directory keeps, where `spec` was made from another one.
        checks_only: whether the script ends behind the preflight checks.

    Raises:
        SpecError: the job asks for what this version cannot render, or its template is wrong.
    """
    known = context(spec, job_file) | {"checks_only": checks_only}
    if spec.template is None:
        return _checked(job_template().render(known), spec)
    from slurmkit.render.user_template import render_user_template

    return _checked(render_user_template(spec, spec.template, known), spec)


def context(spec: JobSpec, job_file: JobSpec | None) -> dict[str, Any]:
    """Return what the templates read; `job_file` is the job that the run directory keeps."""
    environment, kind = spec.environment, spec.launcher.kind
    swept = _sweep(spec)
    here, on_node = _variables(spec, swept)
    requeue = spec.requeue if spec.requeue and spec.requeue.by == "script" else None
    config = spec.entrypoint.config
    tasks, cpus = directives.tasks_per_node(spec), directives.cpus_per_task(spec)
    srun_options = [quoting.word(option) for option in directives.srun(spec)]
    return {
        "version": __version__,
        "directives": directives.sbatch(spec),
        "template": spec.template,
        "job_yaml": _job_yaml(job_file or spec),
        "config": _config(config, swept),
        "sweep": swept,
        "id": '"$id"' if swept or requeue else '"$SLURM_JOB_ID"',
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
        "program": _program(spec, swept),
        "tasks": tasks,
        "cpus": f" --cpus-per-task={cpus}" if cpus else "",
        "srun_options": srun_options + container.srun_options(spec),
        "container": spec.container,
        "mounts": container.mounts(spec),
        "container_command": container.command(spec),
        "restarts": spec.launcher.restarts,
        "port": spec.launcher.port,
        "join_timeout": spec.launcher.join_timeout,
        "ports": spec.site.port_range,
        "preflight": _preflight(spec, job_file or spec, on_node),
        "requeue": spec.requeue,
        "watched": requeue is not None,
        "signal_workers": requeue is not None and "time_limit" in requeue.when,
        "no_gpus": directives.no_gpus(spec),
        "reasons": _reasons(spec),
        "stays": _stays(spec),
    }


def _variables(
    spec: JobSpec, swept: Sweep | None
) -> tuple[list[tuple[str, str]], list[tuple[str, str | None]]]:
    """Return what the batch shell exports, and what each node exports because it reads it there.

    In the order of the job file, for one may read another; None is for the value of a point.
    """
    values = {"PYTHONUNBUFFERED": "1"}
    if interface := spec.environment.network_interface:
        values |= {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    if spec.requeue is not None:
        values["SLURMKIT_LEAD_TIME"] = str(spec.requeue.lead_time)
        if spec.launcher.kind != "srun":
            # Time to save between SIGTERM and torchrun's SIGKILL.
            values["PET_SHUTDOWN_TIMEOUT"] = str(spec.requeue.lead_time)
    values |= spec.environment.variables
    here: list[tuple[str, str]] = []
    on_node: list[tuple[str, str | None]] = []
    by_point = {choice.name for choice in swept.node_exports} if swept else set()
    for name, value in values.items():
        if f"environment.variables.{name}" in spec.sweep:
            on_node += [(name, None)] if name in by_point else []
            continue
        # An image may set the same variable and win, so that a container's are set inside.
        inside = spec.container is not None or "${env:" in value.replace("$${", "")
        word = quoting.node_word(value, f"environment.variables.{name}")
        if inside:
            on_node.append((name, word))
        else:
            here.append((name, word))
    return here, on_node


def _sweep(spec: JobSpec) -> Sweep | None:
    if not spec.sweep:
        return None
    from slurmkit.render.sweep import sweep

    return sweep(spec)


def _preflight(
    spec: JobSpec, job_file: JobSpec, on_node: list[tuple[str, str | None]]
) -> Preflight | None:
    if spec.preflight is None:
        return None
    from slurmkit.render.preflight import preflight

    # The user's own program, also where submitit starts it.
    return preflight(spec.model_copy(update={"entrypoint": job_file.entrypoint}), on_node)


def _job_yaml(spec: JobSpec) -> entrypoint.Document:
    if not spec.sweep:
        return entrypoint.verbatim("JOB_YAML", dump_job(spec))
    from slurmkit.render.sweep import point_yaml

    return point_yaml(spec)


def _config(config: dict[str, Any] | None, swept: Sweep | None) -> entrypoint.Document | None:
    holes = swept.config_holes if swept else {}
    return None if config is None and not holes else entrypoint.config(config or {}, holes)


def _program(spec: JobSpec, swept: Sweep | None) -> str:
    if swept is None:
        return entrypoint.program(spec)
    return entrypoint.program(spec, swept.swept, has_config=bool(swept.config_holes))


def _reasons(spec: JobSpec) -> str:
    """Return the bash test for the ends that the job comes back from."""
    when = spec.requeue.when if spec.requeue else []
    tests = {"time_limit": "[[ -n $signalled ]]", "preemption": "terminated"}
    return " || ".join([*(test for name, test in tests.items() if name in when), "stopped"])


def _stays(spec: JobSpec) -> str:
    """Return the reasons, as an expression of grep, that a program may stop for and stay away."""
    when = spec.requeue.when if spec.requeue else []
    words = {"time_limit": "time limit", "preemption": "SIGTERM"}  # train/stop.py's
    return "|".join(word for name, word in words.items() if name not in when)


def _path(text: str | None, field: str) -> str | None:
    return None if text is None else quoting.path_word(text, field)


def _checked(script: str, spec: JobSpec) -> str:
    """Refuse a sweep that Slurm would not take, and say so before anybody waits for it."""
    if spec.sweep and len(script.encode()) > LONGEST_SCRIPT:
        what = f"{count_points(spec)} points make a script that is too long for Slurm"
        fix = "sweep fewer points at once, or let long values be names of files"
        expected = f"at most {LONGEST_SCRIPT // 2**20} MiB (max_script_size, by default)"
        raise SpecError([Problem(what, Place("render"), "sweep", expected=expected, fix=fix)])
    return script
