"""Names, addresses and ranks of the pretend cluster."""

from __future__ import annotations

import pytest

from slurmkit.launch.simulate.allocation import read_allocation
from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.launch.simulate.nodes import Task, node_address, node_list, repeated, spread
from slurmkit.slurm.hostlist import expand_nodelist


def test_addresses_count_up_through_the_loopback_network() -> None:
    assert [node_address(index) for index in (0, 1, 255)] == ["127.0.0.1", "127.0.0.2", "127.0.1.0"]


@pytest.mark.parametrize(
    ("indices", "text"),
    [([0], "node0"), ([0, 1], "node[0-1]"), ([0, 2, 3], "node[0,2-3]")],
)
def test_a_node_list_is_written_as_slurm_reads_it(indices: list[int], text: str) -> None:
    assert node_list(indices) == text
    assert expand_nodelist(text) == [f"node{index}" for index in indices]


def test_counts_are_written_as_slurm_writes_them() -> None:
    assert repeated([2]) == "2"
    assert repeated([2, 2, 1]) == "2(x2),1"


def test_tasks_are_placed_in_blocks() -> None:
    assert spread([0, 1], 3, [2, 2]) == [Task(0, 0, 0, 0), Task(1, 1, 0, 0), Task(2, 0, 1, 1)]
    placed = spread([1, 3], 2, [9, 9])
    assert placed
    assert [(task.node_rank, task.node) for task in placed] == [(0, 1), (1, 3)]


def test_tasks_go_where_there_is_room() -> None:
    placed = spread([0, 1], 8, [6, 2])
    assert placed
    assert [task.node for task in placed] == [0] * 6 + [1] * 2
    assert spread([0, 1], 9, [6, 2]) is None


def test_a_script_says_what_it_asks_for() -> None:
    allocation = read_allocation(
        '#!/bin/bash\n#SBATCH --job-name="a b # c"  # why\n\n# a comment\n'
        "#SBATCH --nodes=3 --ntasks-per-node=2\n#SBATCH --cpus-per-task=4\n"
        "#SBATCH --gres=gpu:a100:8\n#SBATCH --time=1-00\n#SBATCH --signal=B:USR1@120\n"
        "#SBATCH --chdir=/there\ntrue\n#SBATCH --nodes=9\n"
    )
    assert (allocation.name, allocation.nodes, allocation.gpus_per_node) == ("a b # c", 3, 8)
    assert (allocation.cpus_of_nodes, allocation.seconds) == ([8, 8, 8], 86400)
    assert (allocation.requeue, allocation.appends) == (True, False)
    assert allocation.directory == "/there"
    assert allocation.warning is not None
    assert (allocation.warning.signal.name, allocation.warning.lead) == ("SIGUSR1", 120)
    assert allocation.warning.batch_only


def test_the_ways_to_write_an_option() -> None:
    allocation = read_allocation(
        "#!/bin/bash\n#SBATCH -N 2 -n3 -c 2\n#SBATCH --job-name demo --no-requeue -t 5\n"
        "#SBATCH --open-mode=append --mem=2G\n"
    )
    assert (allocation.nodes, allocation.tasks, allocation.name) == (2, 3, "demo")
    assert (allocation.tasks_of_nodes, allocation.cpus_of_nodes) == ([2, 1], [4, 2])
    assert (allocation.seconds, allocation.memory) == (300, "2G")
    assert (allocation.requeue, allocation.appends) == (False, True)


def test_a_signal_that_is_none_is_refused() -> None:
    with pytest.raises(SimulationError, match="FOO"):
        read_allocation("#!/bin/bash\n#SBATCH --signal=FOO@60\n")
