"""Tasks, CPUs and nodes of a script: the job file asks for as many, and starts as many."""

from __future__ import annotations

from typing import Any

import pytest

from tests.check.importer.test_parts import job, notes

STEP = "srun python t.py"
ALONE = "python t.py"
AGENT = "torchrun --nproc-per-node=4 t.py"


@pytest.mark.parametrize(
    ("directives", "body", "fields"),
    [
        ("--ntasks=112", STEP, {"processes_per_node": 112, "cpus_per_node": None}),
        ("--ntasks=112 -c 2", STEP, {"processes_per_node": 112, "cpus_per_node": 224}),
        ("-N 2 --ntasks=8", STEP, {"nodes": 2, "processes_per_node": 4}),
        ("--nodes=1-4 --ntasks-per-node=4", "srun -n 4 ./a", {"processes_per_node": 4}),
        ("-N 2 -n 8", "srun -N 2 -n 2 ./a", {"processes_per_node": None, "cpus_per_node": 4}),
        ("-N 1 -n 8", ALONE, {"processes_per_node": None, "cpus_per_node": 8}),
        ("-N 1 --ntasks-per-node=4 -c 6", ALONE, {"cpus_per_node": 24}),
        ("-N 1 -n 1 -c 6", ALONE, {"cpus_per_node": 6}),
        ("-N 1", ALONE, {"cpus_per_node": None}),
        ("-N 1 --ntasks-per-node=4 --gpus-per-node=4", AGENT, {"cpus_per_node": 4}),
        ("-N 1 --ntasks-per-node=4 --gpus-per-node=4", STEP, {"cpus_per_node": None}),
        ("-N 1 --ntasks-per-node=1 --gpus-per-node=4", AGENT, {"cpus_per_node": None}),
    ],
)
def test_as_many_as_the_script(directives: str, body: str, fields: dict[str, Any]) -> None:
    resources = job(body, f"#SBATCH {directives}\n")["resources"]
    assert {name: resources.get(name) for name in fields} == fields


def test_more_processes_than_gpus_are_told() -> None:
    directives = "#SBATCH -N 1 --ntasks-per-node=4 --gpus-per-node=1\n"
    assert "processes_per_node" not in job(STEP, directives)["resources"]
    assert "4 processes a node for 1 GPUs" in notes(STEP, directives)


def test_a_step_on_some_of_the_nodes_is_told() -> None:
    directives = "#SBATCH -N 4\n"
    assert "changed srun on 2 of the nodes" in notes("srun -N 2 ./a", directives)
    assert "of the nodes" not in notes("srun -N 4 ./a", directives)
