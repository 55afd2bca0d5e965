"""Every launcher's environment gives the right ranks, and every contradiction an error."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.train.ranks import Ranks, read_environment
from slurmkit.train.variables import DistributedError

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "20000",
}
ONE_AGENT_A_NODE = {
    "SLURM_JOB_ID": "7",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "2",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
}
SRUN = {
    "SLURMD_NODENAME": "rack2-07",
    "SLURM_JOB_ID": "7",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "MASTER_ADDR": "rack2-06",
    "MASTER_PORT": "20000",
}
SUBMITIT_LOCAL = {
    "SUBMITIT_EXECUTOR": "local",
    "SUBMITIT_LOCAL_JOB_ID": "4711",
    "SUBMITIT_LOCAL_NTASKS": "2",
    "SUBMITIT_LOCAL_GLOBALID": "1",
    "SUBMITIT_LOCAL_LOCALID": "1",
    "SUBMITIT_LOCAL_NODEID": "0",
    "SUBMITIT_LOCAL_JOB_NUM_NODES": "1",
}
BATCH_SCRIPT = {
    "SLURM_JOB_ID": "7",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NTASKS": "8",
    "SLURM_JOB_NUM_NODES": "2",
}


def without(environment: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}


def test_torchrun() -> None:
    expected = Ranks("torchrun", 3, 4, 1, 2, 1, "node0", 20000)
    assert read_environment(TORCHRUN) == expected


def test_torchrun_under_srun_has_as_many_tasks_as_nodes() -> None:
    assert read_environment(ONE_AGENT_A_NODE | TORCHRUN).world_size == 4


def test_torchrun_in_a_batch_script_without_srun() -> None:
    alone = TORCHRUN | {"GROUP_WORLD_SIZE": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}
    assert read_environment(BATCH_SCRIPT | alone | {"GROUP_RANK": "0"}).world_size == 4


def test_srun() -> None:
    assert read_environment(SRUN) == Ranks("slurm", 3, 4, 1, 2, 1, "rack2-06", 20000)


def test_srun_with_an_uneven_last_node() -> None:
    step = {
        "SLURM_NTASKS": "7",
        "SLURM_STEP_NUM_TASKS": "7",
        "SLURM_STEP_TASKS_PER_NODE": "3(x2),1",
    }
    last = {"SLURM_NODEID": "2", "SLURM_PROCID": "6", "SLURM_LOCALID": "0"}
    ranks = read_environment(SRUN | step | last)
    assert (ranks.local_rank, ranks.local_world_size, ranks.node_rank) == (0, 1, 2)


def test_the_steps_task_count_counts_not_the_jobs() -> None:
    assert read_environment(SRUN | {"SLURM_NTASKS": "16"}).world_size == 4


def test_srun_with_one_task_needs_no_master() -> None:
    one = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    environment = without(SRUN | one, "MASTER_ADDR", "MASTER_PORT")
    environment |= {"SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_NODEID": "0"}
    assert read_environment(environment).world_size == 1


def test_rank_exported_for_each_task_is_no_contradiction() -> None:
    exported = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}
    assert read_environment(SRUN | exported) == Ranks("variables", 3, 4, 1, 2, 1, "rack2-06", 20000)


def test_ranks_counted_by_node_under_cyclic_distribution() -> None:
    task_of_second_node = {"SLURM_PROCID": "1", "SLURM_LOCALID": "0"}
    exported = {"RANK": "2", "WORLD_SIZE": "4"}
    assert read_environment(SRUN | task_of_second_node | exported).rank == 2


def test_submitit_on_one_machine() -> None:
    ranks = read_environment(SUBMITIT_LOCAL)
    assert (ranks.source, ranks.rank, ranks.world_size) == ("submitit", 1, 2)
    assert ranks.master_addr == "127.0.0.1"
    assert ranks.master_port is not None
    assert 15000 <= ranks.master_port < 32000
    assert read_environment(SUBMITIT_LOCAL | {"RANK": "0", "WORLD_SIZE": "1"}) == ranks


def test_submitit_on_slurm_knows_the_master_itself() -> None:
    job = without(SRUN, "MASTER_ADDR", "MASTER_PORT") | {"SUBMITIT_EXECUTOR": "slurm"}
    first, requeued = read_environment(job), read_environment(job | {"SLURM_RESTART_COUNT": "1"})
    assert (first.source, first.rank, first.master_addr) == ("submitit", 3, None)
    assert first.master_port != requeued.master_port


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"MASTER_ADDR": "node0", "MASTER_PORT": "20000"},
        {"RANK": "", "WORLD_SIZE": ""},
        {"SUBMITIT_EXECUTOR": "debug"},
        BATCH_SCRIPT | {"SLURM_NTASKS": "1"},
        without(BATCH_SCRIPT, "SLURM_NTASKS"),
        without(BATCH_SCRIPT, "SLURM_PROCID"),
    ],
)
def test_alone(environment: dict[str, str]) -> None:
    ranks = read_environment(environment)
    assert (ranks.rank, ranks.world_size, ranks.master_addr) == (0, 1, None)


CONTRADICTIONS = {
    "eight worlds of one: nothing exported": (
        without(SRUN, "MASTER_ADDR", "MASTER_PORT"),
        "4 worlds of one",
    ),
    "eight worlds of one: WORLD_SIZE": (SRUN | {"WORLD_SIZE": "1"}, "4 worlds of one"),
    "eight worlds of one: RANK too": (SRUN | {"RANK": "0", "WORLD_SIZE": "1"}, "4 worlds of one"),
    "agents each in its own world": (
        ONE_AGENT_A_NODE
        | TORCHRUN
        | {"GROUP_WORLD_SIZE": "1", "WORLD_SIZE": "2", "RANK": "1", "GROUP_RANK": "0"},
        "each with a world of its own",
    ),
    "python in the batch script": (BATCH_SCRIPT, "started without srun"),
    "python in salloc's interactive step": (
        BATCH_SCRIPT | {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1"},
        "started without srun",
    ),
    "RANK exported once": (SRUN | {"RANK": "0", "WORLD_SIZE": "4"}, "exported once"),
    "RANK exported once, alone": (SRUN | {"RANK": "0"}, "exported once"),
    "RANK without WORLD_SIZE": ({"RANK": "0"}, "WORLD_SIZE is not set"),
    "WORLD_SIZE without RANK": ({"WORLD_SIZE": "4"}, "no RANK"),
    "WORLD_SIZE of another step": (SRUN | {"WORLD_SIZE": "6"}, "srun started 4 tasks"),
    "RANK behind WORLD_SIZE": (TORCHRUN | {"RANK": "4"}, "rank 4 in a world of 4"),
    "LOCAL_RANK behind the node": (TORCHRUN | {"LOCAL_RANK": "2"}, "local rank 2"),
    "node larger than the world": (TORCHRUN | {"LOCAL_WORLD_SIZE": "8"}, "8 processes"),
    "no LOCAL_RANK": (
        {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"},
        "LOCAL_RANK is not set",
    ),
    "no MASTER_PORT": (without(SRUN, "MASTER_PORT"), "MASTER_PORT not set"),
    "no MASTER_ADDR": (without(TORCHRUN, "MASTER_ADDR"), "MASTER_ADDR not set"),
    "port too large": (SRUN | {"MASTER_PORT": "65536"}, "no port"),
    "localhost on two nodes": (SRUN | {"MASTER_ADDR": "localhost"}, "look for rank 0 on itself"),
    "127.0.0.1 on two nodes": (SRUN | {"MASTER_ADDR": "127.0.0.1"}, "look for rank 0 on itself"),
    "no number": (TORCHRUN | {"RANK": "$SLURM_PROCID"}, "not a whole number"),
    "negative": (SRUN | {"SLURM_PROCID": "-1"}, "not a whole number"),
    "tasks per node of fewer nodes": (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2"}, "node number 1"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradiction(name: str) -> None:
    environment, words = CONTRADICTIONS[name]
    with pytest.raises(DistributedError, match=r"where: .*\n  fix: .") as caught:
        read_environment(environment)
    assert words in caught.value.what
    if "SLURMD_NODENAME" in environment:
        assert caught.value.where.startswith("node rack2-07, task ")


def test_loopback_is_right_for_one_node_and_for_pretended_ones() -> None:
    loopback = {"MASTER_ADDR": "127.0.0.1"}
    one_node = {
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_STEP_TASKS_PER_NODE": "4",
        "SLURM_NODEID": "0",
        "SLURM_LOCALID": "3",
    }
    assert read_environment(SRUN | loopback | one_node).world_size == 4
    assert read_environment(SRUN | loopback | {"GLOO_SOCKET_IFNAME": "lo"}).world_size == 4


def test_error_survives_pickling() -> None:
    error = DistributedError("what", "where", "fix")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.fix) == (str(error), "fix")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
def test_srun_gives_every_task_its_own_place(tasks: list[int], data: st.DataObject) -> None:
    node = data.draw(st.integers(0, len(tasks) - 1))
    local_rank = data.draw(st.integers(0, tasks[node] - 1))
    rank = sum(tasks[:node]) + local_rank
    environment = SRUN | {
        "SLURM_STEP_NUM_TASKS": str(sum(tasks)),
        "SLURM_STEP_NUM_NODES": str(len(tasks)),
        "SLURM_STEP_TASKS_PER_NODE": ",".join(map(str, tasks)),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(local_rank),
        "SLURM_NODEID": str(node),
    }
    ranks = read_environment(environment)
    assert (ranks.rank, ranks.world_size) == (rank, sum(tasks))
    assert (ranks.local_rank, ranks.local_world_size) == (local_rank, tasks[node])


NAMES = sorted({*TORCHRUN, *SRUN, *SUBMITIT_LOCAL, "SLURM_TASKS_PER_NODE", "WORLD_SIZE"})
VALUES = st.one_of(
    st.integers(-1, 5).map(str), st.text(max_size=8), st.sampled_from(["slurm", "local", "2(x2)"])
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.sampled_from([{}, TORCHRUN, SRUN]))
def test_any_environment_gives_ranks_or_a_reason(
    changes: dict[str, str], base: dict[str, str]
) -> None:
    try:
        ranks = read_environment(base | changes)
    except DistributedError:
        return
    assert 0 <= ranks.rank < ranks.world_size
    assert 0 <= ranks.local_rank < ranks.local_world_size <= ranks.world_size
