"""What the stand-in srun understands, and that it refuses the rest by name."""

from __future__ import annotations

import pytest

from slurmkit.launch.simulate.cluster import Job
from slurmkit.launch.simulate.srun_options import OptionError, Options, read_options

JOB = Job(
    id=1, name="demo", nodes=3, cpus_per_node=2, tasks_per_node=1, gpus=[[], [], []], start=0, end=9
)


def read(text: str) -> Options:
    return read_options(text.split(), JOB)


def test_the_line_of_our_scripts() -> None:
    options = read(
        "--export=ALL --nodes=3 --ntasks-per-node=1 --cpus-per-task=2 "
        "--kill-on-bad-exit=1 --wait=0 bash -c node --nodes=9"
    )
    assert options.nodes == [0, 1, 2]
    assert (options.tasks, options.cpus_per_task, options.kill_on_bad_exit) == (3, 2, True)
    assert options.command == ["bash", "-c", "node", "--nodes=9"]


def test_the_helper_step_of_our_scripts() -> None:
    options = read(
        "--overlap --nodes=3 --ntasks-per-node=1 --cpus-per-task=1 --gpus-per-node=0 --mem=0 true"
    )
    assert (options.tasks, options.gpus, options.kill_on_bad_exit) == (3, False, False)


@pytest.mark.parametrize(
    ("line", "nodes", "tasks"),
    [
        ("true", [0, 1, 2], 3),
        ("-N2 true", [0, 1], 2),
        ("-N 2 -n 4 true", [0, 1], 4),
        ("-n 2 true", [0, 1], 2),
        ("-K --ntasks-per-node=2 -- true", [0, 1, 2], 6),
        ("-w node2 true", [2], 1),
        ("-w node2 -N2 true", [0, 2], 2),
        ("--nodelist node[1-2] true", [1, 2], 2),
    ],
)
def test_where_tasks_go(line: str, nodes: list[int], tasks: int) -> None:
    options = read(line)
    assert (options.nodes, options.tasks, options.command) == (nodes, tasks, ["true"])


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--multi-prog conf", "--multi-prog"),
        ("-Z true", "-Z"),
        ("--wait=30 true", "--wait=30"),
        ("--export=NONE true", "--export=NONE"),
        ("--nodes=4 true", "Only allocated 3 nodes asked for 4"),
        ("--nodes=two true", "--nodes=two"),
        ("--nodes=1-2 true", "--nodes=1-2"),
        ("--nodelist=node7 true", "node7"),
        ("--nodelist=node[1 true", "--nodelist"),
        ("-N1 -w node[0-1] true", "--nodelist"),
        ("--overlap=yes true", "--overlap"),
        ("--nodes", "--nodes"),
        ("--nodes=2", "No command"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(line: str, named: str) -> None:
    with pytest.raises(OptionError) as error:
        read(line)
    assert named in str(error.value)
