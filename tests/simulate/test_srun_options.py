"""What the stand-in srun understands, and that it refuses the rest by name."""

from __future__ import annotations

import pytest

from slurmkit.launch.simulate.cluster import Job
from slurmkit.launch.simulate.placing import Placed, place
from slurmkit.launch.simulate.srun_options import OptionError, Options, read_options

JOB = Job(id=1, name="demo", nodes=3, cpus=[4, 4, 4], gpus=[[], [], []], start=0, end=9)


def read(text: str, **variables: str) -> Options:
    return read_options(text.split(), JOB, variables)


def placed(options: Options, free: list[int] | None = None) -> Placed | None:
    return place(options, JOB.cpus, free or JOB.cpus, JOB.id)


def test_the_line_of_our_scripts() -> None:
    options = read(
        "--export=ALL --nodes=3 --ntasks-per-node=1 --cpus-per-task=2 "
        "--kill-on-bad-exit=1 --wait=0 bash -c node --nodes=9"
    )
    assert (options.nodes, options.exact, options.overlap) == (3, True, False)
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
        ("-N 1-2 true", [0, 1], 2),
        ("-N2 -n1 true", [0], 1),
        ("-w node2 true", [0, 1, 2], 3),
        ("-w node2 -N1 true", [2], 1),
        ("-w node2 -N2 true", [0, 2], 2),
        ("-w node2 -n1 true", [2], 1),
    ],
)
def test_where_tasks_go(line: str, nodes: list[int], tasks: int) -> None:
    options = read(line)
    found = placed(options)
    assert found
    assert (found.nodes, len(found.tasks), options.command) == (nodes, tasks, ["true"])


def test_what_sbatch_was_asked_for_stands_in_for_options() -> None:
    """As Slurm has it: the copied `srun --ntasks-per-node=4` of a one-task job starts one."""
    inherited = {"SLURM_NTASKS": "3", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "3"}
    options = read("--nodes=3 --ntasks-per-node=4 true", **inherited)
    assert (options.tasks, options.tasks_per_node) == (3, None)
    assert read("-N1 true", **inherited).tasks == 3
    assert read("true", SLURM_KILL_BAD_EXIT="1").kill_on_bad_exit


def test_four_tasks_a_node_in_blocks() -> None:
    found = placed(read("--nodes=2 --ntasks-per-node=4 --cpus-per-task=1 true"))
    assert found
    assert [(task.node, task.rank, task.local_rank) for task in found.tasks] == [
        (rank // 4, rank, rank % 4) for rank in range(8)
    ]
    assert found.cpus == {0: 4, 1: 4}


def test_busy_cpus() -> None:
    """A step takes all CPUs of its nodes, with --exact or -c those of its tasks."""
    assert placed(read("-N1 -n1 true"), [3, 4, 4]) == placed(read("-N1 -n1 -w node1 true"))
    assert placed(read("-N3 true"), [3, 4, 4]) is None
    exact = placed(read("-N3 --exact true"), [1, 4, 4])
    assert exact
    assert exact.cpus == {0: 1, 1: 1, 2: 1}
    assert placed(read("-N3 -c2 true"), [1, 4, 4]) is None
    assert placed(read("-N3 --overlap true"), [0, 0, 0])


@pytest.mark.parametrize("line", ["-n13 true", "-N1 -n5 true", "-c5 true", "-N1 -n3 -c2 true"])
def test_more_cpus_than_the_job_has(line: str) -> None:
    with pytest.raises(OptionError, match="job 1: More processors requested than permitted"):
        placed(read(line))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--multi-prog conf", "--multi-prog"),
        ("-Z true", "-Z"),
        ("--wait=30 true", "--wait=30"),
        ("--export=NONE true", "--export=NONE"),
        ("--nodes=4 true", "Only allocated 3 nodes asked for 4"),
        ("--nodes=two true", "--nodes=two"),
        ("--nodes=1-x true", "--nodes=x"),
        ("--distribution=cyclic true", "--distribution=cyclic"),
        ("--mpi=pmix true", "--mpi=pmix"),
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
