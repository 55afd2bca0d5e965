"""What a simulation replaces in a job, and that its script differs in nothing else."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import pytest

from slurmkit.launch.paths import check_paths
from slurmkit.launch.simulate.jobid import port_of
from slurmkit.launch.simulate.machine import Machine
from slurmkit.launch.simulate.plan import Replacement, plan
from slurmkit.render.script import render
from slurmkit.spec.errors import Path as FieldPath
from slurmkit.spec.errors import Place, SpecError
from slurmkit.spec.model import JobSpec
from tests.simulate.simulation import simulate

LAPTOP = Machine(cpus=8)
BIG: dict[str, Any] = {
    "name": "big",
    "resources": {
        **{"nodes": 16, "gpus_per_node": 8, "gpu_type": "h200", "cpus_per_node": 96},
        **{"time": "12:00:00", "partition": "gpu", "nodelist": "rack[01-16]"},
        **{"exclude": "rack17"},
    },
    "environment": {
        "modules": ["cuda/12.6"],
        "network_interface": "ib0",
        "variables": {"NCCL_DEBUG": "INFO", "GLOO_SOCKET_IFNAME": "eth7"},
    },
    "site": {"host_suffix": "-ib"},
    "entrypoint": {"module": "my.train", "config": {"steps": 3}},
    "launcher": {"restarts": 2},
    "requeue": {"lead_time": 120},
}


def spec(**changes: Any) -> JobSpec:
    return JobSpec.model_validate(BIG).replace(changes)


def script_lines(job: JobSpec) -> list[str]:
    """The script without the copy of the job file that it carries."""
    return re.sub(r"<< 'JOB_YAML'.*?\nJOB_YAML\n", "", render(job), flags=re.DOTALL).splitlines()


def changed_lines(before: JobSpec, after: JobSpec) -> list[str]:
    found = difflib.ndiff(script_lines(before), script_lines(after))
    return [line for line in found if line[:2] in ("- ", "+ ") and line[2:].strip()]


def test_the_list_of_replacements() -> None:
    planned, replacements = plan(spec(), 2, 2, LAPTOP)
    assert [str(replacement) for replacement in replacements][:-1] == [
        "nodes: 16 -> 2",
        "processes a node: 8 -> 2",
        "nodelist: rack[01-16] -> left out",
        "exclude: rack17 -> left out",
        "GPUs a node: 8 -> none (this machine has none for 4 ranks)",
        "CPUs a node: 96 -> 4",
        "node addresses: from Slurm -> 127.0.0.1 (shown as node0), 127.0.0.2 (node1)",
        "suffix of node names: -ib -> none",
        "network interface: ib0 -> lo",
        "GLOO_SOCKET_IFNAME: eth7 -> lo",
        "modules: cuda/12.6 -> skipped; what they bring must be there already",
    ]
    assert replacements[-1].what == "Python"  # no module brings one
    assert (planned.resources.nodes, planned.processes_per_node) == (2, 2)
    assert planned.resources.gpus_per_node == 0


def test_the_script_differs_in_nothing_else() -> None:
    job = spec()
    planned, _ = plan(job, 2, 2, LAPTOP)
    explained = [
        r"#SBATCH --(nodes|gpus-per-node|cpus-per-task|nodelist|exclude)=",
        r"# A batch shell is no login shell|type -t module|module load",
        r"(python|PATH)=.*",
        r"export (NCCL|GLOO)_SOCKET_IFNAME=",
        r"nodes=\(\"\$\{nodes\[@\]/%/-ib\}\"\)",
        r"\s*srun .*--(cpus-per-task|gpus-per-node)=",
        r"\s*--cpus-per-task=1 (--gpus-per-node=0 )?--mem=0 ",
        r"\s*--gpus-per-node=",
        r"\s*export OMP_NUM_THREADS=",
        r".*--nproc-per-node=\d",
        r"\s*echo \"slurmkit: .* \d processes",
    ]
    unexplained = [
        line
        for line in changed_lines(job, planned)
        if not any(re.match(pattern, line[2:]) for pattern in explained)
    ]
    assert unexplained == []


def test_a_job_made_for_a_laptop_keeps_its_script() -> None:
    job = spec(
        resources={"nodes": 2, "gpus_per_node": 0, "gpu_type": None, "processes_per_node": 2}
        | {"nodelist": None, "exclude": None, "cpus_per_node": 2},
        environment={"modules": [], "network_interface": "lo", "variables": {}},
    ).replace({"site": {"host_suffix": ""}})
    job = job.replace({"environment": {"variables": {"GLOO_SOCKET_IFNAME": "lo"}}})
    planned, replacements = plan(job, None, None, LAPTOP)
    assert [replacement.what for replacement in replacements] == ["node addresses"]
    assert changed_lines(job, planned) == []


def test_gpus_only_with_one_for_every_rank() -> None:
    job = spec(resources={"nodes": 2, "nodelist": "rack[01-02]"})
    planned, replacements = plan(job, 2, 2, Machine(8, list("0123")))
    assert planned.resources.gpus_per_node == planned.processes_per_node == 2
    assert Replacement("GPUs a node", "8", "2") in replacements
    planned, replacements = plan(job, 2, 2, Machine(8, list("012")))
    assert planned.resources.gpus_per_node == 0
    assert Replacement("GPUs a node", "8", "none (this machine has 3 for 4 ranks)") in replacements


def test_every_process_keeps_a_cpu() -> None:
    planned, _ = plan(spec(), 8, 4, LAPTOP)
    assert planned.resources.cpus_per_node == 4


def test_a_container_is_left_out() -> None:
    job = spec(environment={"modules": []}, container={"runtime": "pyxis", "image": "./train.sqsh"})
    planned, replacements = plan(job, 2, 2, LAPTOP)
    assert planned.container is None
    skipped = "skipped; the program runs outside it"
    assert Replacement("container", "./train.sqsh", skipped) in replacements
    render(planned)


@pytest.mark.parametrize("launcher", [{"port": "auto"}, {"port": 29500}])
def test_the_port_is_the_one_that_the_script_takes(
    tmp_path: Path, launcher: dict[str, Any]
) -> None:
    job = spec(
        launcher={**launcher, "restarts": 0},
        site={"port_range": [20000, 20999]},
        entrypoint={"module": None, "command": ["true"], "config": None},
    )
    planned, _ = plan(job, 1, 1, LAPTOP)
    script = render(planned).replace("#!/bin/bash\n", "")
    done = simulate(tmp_path, f"python3() {{ echo; }}; export -f python3\n{script}", directives="")
    meeting = re.search(r"127\.0\.0\.1:(\d+)", done.stdout)
    assert meeting, done.stderr
    assert int(meeting[1]) == port_of(planned, done.outcome["job_id"])


def test_missing_paths_are_errors_with_place_and_fix(tmp_path: Path) -> None:
    job = spec(
        environment={"modules": [], "venv": "~/no venv"},
        entrypoint={"module": None, "script": "train.py"},
        sbatch={"chdir": str(tmp_path)},
    )
    places: dict[FieldPath, Place] = {("entrypoint", "script"): Place("job.yaml", 7, 11)}
    with pytest.raises(SpecError) as error:
        check_paths(job, places, {"HOME": str(tmp_path)})
    text = str(error.value)
    assert f"job.yaml:7:11: entrypoint.script: no file {tmp_path}/train.py" in text
    assert f"environment.venv: no directory {tmp_path}/no venv" in text
    assert "fix:" in text
    (tmp_path / "train.py").touch()
    (tmp_path / "no venv").mkdir()
    check_paths(job, places, {"HOME": str(tmp_path)})


def test_paths_are_read_as_the_script_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.out").touch()

    def check(first: str, **environment: str) -> None:
        entrypoint = {"module": None, "config": None, "command": [first, "--x"]}
        check_paths(spec(entrypoint=entrypoint), {}, {"HOME": "/", **environment})

    check("${env:HERE}/a.out", HERE=str(tmp_path))
    check("${env:HERE:-" + str(tmp_path) + "}/a.out")
    check("${env:UNSET}/a.out")  # the script says so
    check("on-path")
    with pytest.raises(SpecError, match=r"entrypoint\.command"):
        check("./nothing")
