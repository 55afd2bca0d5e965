"""From the texts of sinfo, scontrol and sacctmgr to a cluster, and to where a job goes."""

from __future__ import annotations

import pytest

from slurmkit.init.choose import choose, list_partitions
from slurmkit.init.cluster import read_cluster, read_gpus
from tests.init import clusters


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("", {}),
        ("gpu:4", {"": 4}),
        ("gpu:h200:4", {"h200": 4}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0,2),gpu:a100_3g.20gb:4(S:1),nvme:1", {"a100": 2, "a100_3g.20gb": 4}),
        ("nvme:1,gpu:no_consume:8", {"": 8}),
        ("gpu:v100:0,mps:400,shard:8", {}),
        ("gpu:many", {}),
    ],
)
def test_gpus(gres: str, gpus: dict[str, int]) -> None:
    assert read_gpus(gres) == gpus


def test_what_is_read() -> None:
    cluster = clusters.mixed()
    assert (cluster.name, cluster.version) == ("big", "23.11.10")
    assert cluster.select_type == "select/cons_tres"
    assert [part.name for part in cluster.partitions] == ["cpu", "debug", "gpu", "long"]
    assert [part.default for part in cluster.partitions] == [True, False, False, False]
    gpu = cluster.partitions[2]
    assert (gpu.time_limit, gpu.seconds, gpu.max_nodes) == ("1-00:00:00", 86400, 32)
    assert [(kind.count, kind.cpus, dict(kind.gpus)) for kind in gpu.kinds] == [
        (120, 64, {"a100": 4}),
        (16, 96, {"h100": 8}),
    ]
    assert cluster.gpu_types == {"a100": 4, "h100": 8}


def test_accounts_are_those_of_this_cluster_the_default_first() -> None:
    assert clusters.mixed().accounts == ("physics", "chemistry")
    one = read_cluster(clusters.MIXED, None, clusters.ACCOUNTS)
    assert one is not None
    assert one.accounts == ("physics", "chemistry", "elsewhere")


def test_a_limit_that_is_none() -> None:
    (partition,) = clusters.cluster(clusters.CPU_ONLY).partitions
    assert (partition.time_limit, partition.max_nodes) == (None, None)
    assert (partition.kinds[0].count, partition.kinds[0].cpus) == (40, 64)


@pytest.mark.parametrize("nodes", [None, "", "slurm_load_partitions: error\n", "a|b\n", "|" * 7])
def test_without_slurm(nodes: str | None) -> None:
    assert read_cluster(nodes, None, None) is None


def test_text_that_nobody_meant() -> None:
    rows = ["p*|up|n/a|n/a|x|1", "p\x1b[0m|up|1:00|1-2|2|8", "q|up|n/a|n/a|2|8"]
    text = "".join(f"{row}|gpu:1|idle\n" for row in rows)
    found = read_cluster(text, "nonsense", "a|b|c|d\n||\n\nnonsense\n")
    assert found is not None
    assert [part.name for part in found.partitions] == ["q"]
    assert found.partitions[0].time_limit is None
    assert (found.name, found.version) == (None, None)


def test_a_gpu_job_goes_where_the_gpus_are() -> None:
    choice = choose(clusters.mixed(), gpus=True)
    assert choice is not None
    assert (choice.partition.name, choice.nodes) == ("gpu", 2)
    assert (choice.gpu_type, choice.gpus, choice.kind.cpus) == ("a100", 4, 64)
    assert choice.other_gpus == (("h100", 8),)
    assert list_partitions(choice.others) == "long (14-00:00:00), debug (30:00)"


def test_a_cpu_job_goes_to_the_default_partition() -> None:
    choice = choose(clusters.mixed(), gpus=False)
    assert choice is not None
    assert (choice.partition.name, choice.gpus, choice.gpu_type) == ("cpu", 0, None)


def test_no_gpus_anywhere() -> None:
    assert choose(clusters.cluster(clusters.CPU_ONLY), gpus=True) is None


def test_a_single_node_is_all_that_is_asked_for() -> None:
    choice = choose(clusters.cluster(clusters.ONE_NODE), gpus=True)
    assert choice is not None
    assert (choice.nodes, choice.gpus, choice.gpu_type) == (1, 2, None)


def test_long_lists_are_cut() -> None:
    lines = "".join(f"p{i}|up|1:00:00|1-infinite|4|8|(null)|idle\n" for i in range(9))
    shown = list_partitions(clusters.cluster(lines).partitions)
    assert shown == "p0 (1:00:00), p1 (1:00:00), p2 (1:00:00), p3 (1:00:00), …"


def test_nodes_that_are_out_of_use_do_not_count() -> None:
    rows = ("4|8|gpu:a100:4|idle", "3|8|gpu:a100:4|mixed", "9|8|gpu:a100:4|drained*")
    text = "".join(f"main*|up|1:00:00|1-infinite|{row}\n" for row in rows)
    (partition,) = clusters.cluster(text).partitions
    assert [kind.count for kind in partition.kinds] == [7]
    (in_maintenance,) = clusters.cluster(text.splitlines()[2] + "\n").partitions
    assert in_maintenance.kinds[0].count == 9


@pytest.mark.parametrize(
    ("gres", "chosen"),
    [
        ("gpu:a100_1g.5gb:28,gpu:a100:2", (2, "a100", 2)),
        ("gpu:1g.10gb:14,gpu:3g.40gb:4", (1, "1g.10gb", 1)),
    ],
)
def test_a_slice_of_a_gpu_is_no_gpu(gres: str, chosen: tuple[int, str, int]) -> None:
    choice = choose(clusters.cluster(f"main*|up|1:00:00|1-infinite|4|8|{gres}|idle\n"), gpus=True)
    assert choice is not None
    assert (choice.nodes, choice.gpu_type, choice.gpus) == chosen
