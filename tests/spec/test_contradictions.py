"""Parts of a job that contradict each other: what is wrong, where, and what to do."""

from __future__ import annotations

import re

import pytest

from slurmkit.render.templates import templates_directory
from slurmkit.spec.reserved import reserved
from tests.spec.jobs import BASE, job, refused, the_problem

PROGRAM = "name: x\nentrypoint: "
CASES = [
    (BASE + "resources: {memory_per_node: 1G, memory_per_cpu: 1G}",
     "resources.memory_per_cpu", "keep one of them"),
    (BASE + "launcher: {port: 40000}", "launcher.port", "write auto"),
    (BASE + "launcher: {port: 80}", "launcher.port", "write auto"),
    (BASE + "site: {port_range: [30000, 40000]}", "site.port_range", "[15000, 31999]"),
    (BASE + "site: {port_range: [20000, 19000]}", "site.port_range", "[15000, 31999]"),
    (BASE + "resources: {time: 2}\nrequeue: {lead_time: 120}", "requeue.lead_time", "time longer"),
    (BASE + "container: {runtime: pyxis}", "container.image", "add `image:`"),
    (BASE + "resources: {nodes: 2, nodelist: n1}", "resources.nodelist", "write nodes: 1"),
    (BASE + "resources: {nodes: 2, nodelist: 'n1,n1'}", "resources.nodelist", "write nodes: 1"),
    (BASE + "resources: {nodes: 2, nodelist: 'n[1-2]', exclude: n2}",
     "resources.exclude", "take n2"),
    (BASE + "resources: {gpus_per_node: 4, processes_per_node: 8}",
     "resources.processes_per_node", "it is then 4"),
    (BASE + "resources: {gpu_type: a100}", "resources.gpu_type", "write gpus_per_node"),
    (BASE + "resources: {gpu_type: a10, gpus_per_node: 1}\nsite: {gpu_types: {a100: 4}}",
     "resources.gpu_type", "did you mean a100?"),
    (BASE + "resources: {gpu_type: a100, gpus_per_node: 8}\nsite: {gpu_types: {a100: 4}}",
     "resources.gpus_per_node", "ask for 4"),
    (BASE + "environment: {venv: a, conda: b}", "environment.conda", "keep one"),
    (BASE + "environment: {venv: a, python: b}", "environment.python", "python: null"),
    (BASE + "environment: {variables: {A: b}, pass: [A]}", "environment.pass[0]",
     "keep it in pass"),
    (BASE + "environment: {pass: [A, B]}\nsbatch: {export: NONE}",
     "sbatch.export", "write export: A,B"),
    (BASE + "environment: {pass: [A, B]}\nsbatch: {export: 'A,C'}",
     "sbatch.export", "write export: A,B"),
    (BASE + "sweep: {resources.node: [1]}", "sweep.resources.node",
     "did you mean resources.nodes?"),
    (BASE + "sweep: {entrypoint.config.lr: [1]}", "sweep.entrypoint.config.lr", "write entrypoint"),
    (BASE + "sweep: {container.image: [a]}", "sweep.container.image", "write container in the job"),
    (BASE + "sweep: {entrypoint.args.0: [a]}", "sweep.entrypoint.args.0", "as a whole"),
    (BASE + "sweep: {sweep.x: [1]}", "sweep.sweep.x", "sweep other fields"),
    (BASE + "sweep: {profile: [a]}", "sweep.profile", "sweep other fields"),
    (BASE + "sweep_limit: 2", "sweep_limit", "write a sweep"),
    (BASE + "requeue: {by: program}", "requeue.by", "launcher.kind: srun"),
    (BASE + "requeue: {by: program}\nlauncher: {kind: accelerate}", "requeue.by", "by: script"),
    (BASE + "requeue: {by: program}\nlauncher: {kind: srun, restarts: 1}",
     "launcher.restarts", "drop restarts"),
    (BASE + "launcher: {kind: srun, rendezvous: c10d}", "launcher.rendezvous", "leave it out"),
    (BASE + "site: {host_suffix: '-ib$(x)'}", "site.host_suffix", "such as -ib"),
    (BASE + "site: {host_suffix: 'a b'}", "site.host_suffix", "such as -ib"),
    (BASE + "site: {slurm_version: newest}", "site.slurm_version", "sbatch --version"),
    (BASE + "sbatch: {gres: 'gpu:4'}", "sbatch.gres", "resources.gpus_per_node"),
    (BASE + "sbatch: {gres: 'nvme:1,gpu:a100:4'}", "sbatch.gres", "resources.gpus_per_node"),
    (BASE + "sbatch: {ntasks: 4}", "sbatch.ntasks", "resources.processes_per_node"),
    (BASE + "sbatch: {output: x}", "sbatch.output", "leave output out"),
    (BASE + "sbatch: {mail-usr: x}", "sbatch.mail-usr", "did you mean mail-user?"),
    (BASE + "sbatch: {mail_user: x}", "sbatch.mail_user", "write mail-user"),
    (BASE + "sbatch: {hold: 3}", "sbatch.hold", "true"),
    (BASE + "launcher: {srun: {cpu-bnd: x}}", "launcher.srun.cpu-bnd", "did you mean cpu-bind?"),
    (BASE + "launcher: {srun: {async: true}}\nsite: {slurm_version: '22.05'}",
     "launcher.srun.async", "leave async out"),
    (BASE + "depends_on: {afterok: [x]}", "depends_on.afterok[0]", "squeue --me"),
    (BASE + "depends_on: {afterok: ['1,afterany:2']}", "depends_on.afterok[0]", "entry of its own"),
    (BASE + "depends_on: {afterok: ['1:2']}", "depends_on.afterok[0]", "entry of its own"),
    (PROGRAM + "{}", "entrypoint", "write one of"),
    (PROGRAM + "{module: a, script: b}", "entrypoint", "keep one"),
    (PROGRAM + "{command: []}", "entrypoint.command", "its name"),
    (PROGRAM + "{command: ['']}", "entrypoint.command", "its name"),
    (PROGRAM + "{command: [a], args: [b]}", "entrypoint.args", "into command"),
    (PROGRAM + "{command: [a], config: {b: c}}", "entrypoint.config", "module or script"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "fix"), CASES)
def test_a_contradiction_says_what_to_do(text: str, path: str, fix: str) -> None:
    problem = the_problem(text + "\n")
    assert problem.path == path
    assert fix in (problem.fix or ""), problem
    assert problem.place.line is not None


HARMLESS = [
    "resources: {memory_per_node: 0}",
    "resources: {nodes: 2, nodelist: 'n[1-2]', exclude: n3}",
    "resources: {gpus_per_node: 8, processes_per_node: 4}",
    "resources: {time: 2}\nrequeue: {when: [preemption]}",
    "resources: {time: UNLIMITED}\nrequeue: {}",
    "resources: {gpu_type: a100, gpus_per_node: 4}\nsite: {gpu_types: {a100: 4}}",
    "launcher: {kind: srun}\nrequeue: {by: program}",
    "launcher: {port: 29500}",
    "site: {port_range: [20000, 20000], host_suffix: -ib0.cluster_a}",
    "environment: {pass: [A]}\nsbatch: {export: 'A,B'}",
    "environment: {pass: [A]}\nsbatch: {export: 'ALL,B=c'}",
    "sbatch: {gres: 'nvme:1', switches: 1, comment: 'a b'}",
    "depends_on: {afterok: [1, 2_3], after: [4+5]}",
    "entrypoint: {module: m, config: {a: {lr: 1}}}\nsweep: {entrypoint.config.a.lr: [1, 2]}",
    "environment: {variables: {A: x}}\nsweep: {environment.variables.A: [1, 2]}\nsweep_limit: 1",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_contradiction(text: str) -> None:
    job(("name: x\n" if text.startswith("entrypoint:") else BASE) + text + "\n")


def test_contradictions_are_told_together_in_the_order_of_the_file() -> None:
    problems = refused(
        BASE + "launcher: {port: 40000}\n"
        "resources: {nodes: 2, nodelist: n1, memory_per_node: 1, memory_per_cpu: 1}\n"
        "sweep_limit: 2\n"
    )
    assert [problem.path for problem in problems] == [
        "launcher.port",
        "resources.nodelist",
        "resources.memory_per_cpu",
        "sweep_limit",
    ]


@pytest.mark.parametrize(
    "name", ["SLURM_JOB_ID", "SLURMKIT_RUN_DIR", "MASTER_ADDR", "RANK", "UID", "code", "SRUN_X"]
)
def test_variables_that_something_else_sets_are_refused(name: str) -> None:
    assert reserved(name)
    assert not reserved(f"MY_{name}")


def test_the_scripts_own_names_are_all_reserved() -> None:
    """A user's variable of that name would be overwritten, and exported so."""
    templates = [*templates_directory().glob("*.j2"), *templates_directory().glob("launch/*.j2")]
    text = "".join(path.read_text() for path in templates)
    assigned = set(re.findall(r"(?:^|[\s({&])([a-z_]+)=", text)) | set(
        re.findall(r"\b(?:read -r|read -ra|mapfile -t|local) ((?:[a-z_]+ ?)+)", text)
    )
    assigned.discard("disable")  # of a comment for shellcheck
    names = {name for words in assigned for name in words.split()}
    assert {name for name in names if not reserved(name)} == set()
