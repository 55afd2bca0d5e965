"""What the script loads before the launch, run for real with the least of stand-ins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.render.test_arrival import Machine, machine

__all__ = ["machine"]
PROGRAM = {"entrypoint": {"module": "m"}}


def test_a_venv_goes_first_on_the_path(machine: Machine) -> None:
    venv = machine.folder / "my venv's"
    shutil.copytree(machine.bin, venv / "bin", dirs_exist_ok=True)
    got = machine.run({**PROGRAM, "environment": {"venv": "~/my venv's"}})["environment"]
    assert got["VIRTUAL_ENV"] == str(venv)
    assert got["PATH"].startswith(f"{venv}/bin:")


def test_a_venv_that_is_not_there_is_named(machine: Machine) -> None:
    with pytest.raises(AssertionError, match="no Python in the venv nowhere on "):
        machine.run({**PROGRAM, "environment": {"venv": "nowhere"}})


@pytest.fixture
def module_command(machine: Machine) -> dict[str, str]:
    """Hand `module` on as sites do, as an exported function that writes down what it loads."""
    (machine.folder / "loaded").unlink(missing_ok=True)
    body = '() {  [[ $2 != missing ]] || return 1; echo "$*" >> "$HOME/loaded"\n}'
    return {"BASH_FUNC_module%%": body}


def test_modules_are_loaded_in_order(machine: Machine, module_command: dict[str, str]) -> None:
    modules = ["gcc/13", "it's a module", "cuda/12.6"]
    machine.run({**PROGRAM, "environment": {"modules": modules}}, **module_command)
    loaded = (machine.folder / "loaded").read_text().splitlines()
    assert loaded == [f"load {name}" for name in modules]


def test_a_module_that_does_not_load_ends_the_job(
    machine: Machine, module_command: dict[str, str]
) -> None:
    with pytest.raises(AssertionError, match="assert 1 == 0"):
        machine.run({**PROGRAM, "environment": {"modules": ["missing"]}}, **module_command)
    assert not machine.received.exists()


def test_conda_is_hooked_and_activated(machine: Machine) -> None:
    conda = machine.folder / "conda"
    conda.write_text("#!/bin/bash\necho 'conda() { export CONDA_DID=\"$*\"; }'\n")
    conda.chmod(0o755)
    job = {**PROGRAM, "environment": {"conda": "my env"}}
    got = machine.run(job, CONDA_EXE=str(conda))["environment"]
    assert got["CONDA_DID"] == "activate my env"


def test_setup_is_code(machine: Machine) -> None:
    setup = ["A=$(printf 'from %s' setup)", "export A"]
    assert (
        machine.run({**PROGRAM, "environment": {"setup": setup}})["environment"]["A"]
        == "from setup"
    )


def test_setup_that_fails_ends_the_job(machine: Machine) -> None:
    with pytest.raises(AssertionError):
        machine.run({**PROGRAM, "environment": {"setup": ["false"]}})
    assert not machine.received.exists()


@pytest.mark.parametrize(
    ("job", "name", "value"),
    [
        ({}, "OMP_NUM_THREADS", "4"),
        ({"resources": {"processes_per_node": 3}}, "OMP_NUM_THREADS", "1"),
        ({"resources": {"processes_per_node": 8}}, "OMP_NUM_THREADS", "1"),
        ({"environment": {"variables": {"OMP_NUM_THREADS": 7}}}, "OMP_NUM_THREADS", "7"),
        ({"environment": {"network_interface": "ib0"}}, "GLOO_SOCKET_IFNAME", "ib0"),
        ({"site": {"host_suffix": "-ib"}}, "MASTER_ADDR", "localhost-ib"),
        ({"launcher": {"port": 29500}}, "MASTER_PORT", "29500"),
        ({}, "MASTER_PORT", "15007"),
        ({}, "SLURMKIT_ATTEMPT", "0"),
        ({}, "SLURMKIT_END_TIME", "1893456000"),
    ],
)
def test_what_the_program_finds(
    machine: Machine, job: dict[str, Any], name: str, value: str
) -> None:
    assert machine.run({**PROGRAM, **job}, TZ="UTC")["environment"][name] == value


def test_variables_of_an_outer_job_are_gone(machine: Machine) -> None:
    outer = {
        "SLURM_CPU_BIND": "quiet,mask_cpu:0xff",
        "SLURM_MEM_PER_CPU": "200",
        "SLURM_GPUS_PER_NODE": "4",
        "SLURM_NTASKS_PER_NODE": "7",
        "SLURM_TRES_PER_TASK": "cpu=3",
        "SRUN_CPUS_PER_TASK": "3",
    }
    assert not outer.keys() & machine.run(dict(PROGRAM), **outer)["environment"].keys()


def test_the_job_is_listed_where_it_can_be_found(machine: Machine) -> None:
    machine.run({**PROGRAM, "name": 'a "b" \\ é'}, SLURM_CLUSTER_NAME="c1")
    listed = (machine.folder / ".local/state/slurmkit/jobs.jsonl").read_text().splitlines()
    last = json.loads(listed[-1])
    assert (last["id"], last["name"], last["cluster"]) == ("7", 'a "b" \\ é', "c1")
    assert Path(last["directory"]).is_dir()


def test_a_job_runs_without_a_home_to_list_it_in(machine: Machine) -> None:
    assert machine.run(dict(PROGRAM), XDG_STATE_HOME="/proc/nowhere")["args"] == ["-m", "m"]


@pytest.mark.parametrize(
    ("python", "name"),
    [
        ("/opt/venv/bin/python", "python3"),
        ("/opt/venv/bin/python3", "python3"),
        ("/usr/bin/python3.12", "python3.12"),
        ("${env:HOME}/bin/python3", "python3"),
    ],
)
def test_the_interpreter_is_found_by_its_name(python: str, name: str) -> None:
    job = {"name": "x", "environment": {"python": python}, **PROGRAM}
    script = render(JobSpec.model_validate(job))
    assert f"exec {name} -m torch.distributed.run" in script
    assert f"exec {name} -m m" in script
