"""What sbatch refuses, told with the field that is the cause and with what the cluster has."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurmkit.cli.arguments import told_with_places
from slurmkit.launch import sbatch
from slurmkit.launch.acceptable import accepted, fits
from slurmkit.launch.offer import read_offer
from slurmkit.launch.refusals import bare, refusals, refused
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.options import load_options
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import resolve
from tests.launch.test_sbatch import fake, job, write_sbatch

__all__ = ["fake"]

PARTITIONS = """\
PartitionName=gpu AllowGroups=ALL AllowAccounts=phys,chem AllowQos=ALL Default=YES MaxNodes=4 \
MaxTime=1-00:00:00 MinNodes=2 State=UP MaxMemPerNode=UNLIMITED New=thing
PartitionName=cpu AllowAccounts=ALL Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP
"""
NODES = """\
gpu*|6|64+|512000+|gpu:a100:4(S:0-1),nvme:1|ib,a100|gpu[1-6]
gpu*|2|96|1024000|gpu:h100:8|ib,h100|gpu[7-8]|a column more
cpu|50|128|256000|(null)|(null)|cpu[01-50]
nonsense
"""


def test_an_offer_is_read_from_slurms_answers() -> None:
    offer = read_offer(None, NODES, PARTITIONS, "phys|normal,long\nbio|normal\n", {})
    assert accepted(offer, "resources.partition") == "gpu, cpu"
    assert accepted(offer, "resources.account") == "phys"
    assert accepted(offer, "resources.qos") == "long, normal"
    assert accepted(offer, "resources.nodes") == "2 to 4 in partition gpu"
    assert accepted(offer, "resources.time") == "at most 1-00:00:00 in partition gpu"
    assert accepted(offer, "resources.gpu_type") == "a100, h100"
    assert accepted(offer, "resources.gpus_per_node") == "at most 8 a node in partition gpu"
    assert accepted(offer, "resources.constraint") == "a100, h100, ib"
    assert accepted(offer, "resources.nodelist") == "gpu[1-6], gpu[7-8]"
    assert accepted(offer, "resources.reservation") is None, "it was not asked for"
    for field, good, bad in (
        ("resources.nodes", 4, 5),
        ("resources.nodes", 2, 1),
        ("resources.time", "24:00:00", "1-01"),
        ("resources.account", "phys", "bio"),
        ("resources.memory_per_node", "1000G", "1001G"),
        ("resources.constraint", "[a100|h100]&ib*2", "v100"),
        ("resources.nodelist", "gpu[1-2]", "cpu01"),
        ("resources.exclude", "gpu[1-7]", "gpu[1-8]"),
        ("resources.gpu_type", "h100", "v100"),
    ):
        assert fits(offer, field, good), field
        assert fits(offer, field, bad) is False, field


def test_a_cluster_that_tells_nothing_is_no_reason_to_fail() -> None:
    offer = read_offer("gpu", None, None, None, {"resources.reservation": None})
    for field in {field for row in refusals() for field in row.fields}:
        assert accepted(offer, field) is None or field == "depends_on"
        assert (
            fits(offer, field, 3 if field.endswith("_node") or "nodes" in field else "3")
            is not False
        )


def test_the_table_of_refusals_is_whole() -> None:
    data = job().model_dump(by_alias=True)
    for row in refusals():
        assert row.fix, row.says.pattern
        for field in row.fields:
            part, _, name = field.partition(".")
            assert part in {*data, "*"}, field
            assert part == "sbatch" or not name or name in data[part], field
            if part == "sbatch":
                assert name in load_options(), field


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("error: Batch job submission failed: Invalid partition name specified", "partition"),
        ("allocation failure: Requested node configuration is not available", "gpus_per_node"),
        ("error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting", "time"),
        ("error: QOSMaxGRESPerUser\nsbatch: error: Job violates accounting/QOS", "gpus_per_node"),
        ("error: AssocMaxNodePerJobLimit", "nodes"),
        ("error: Requested partition configuration not available now", "nodes"),
        ("error: Invalid QOS specification, relative QOS can only be used in a single", "qos"),
    ],
)
def test_texts_of_several_versions(said: str, field: str, fake: Path) -> None:
    error = refused(job(resources={"gpus_per_node": 1}), f"sbatch: {said}", {})
    assert isinstance(error, SpecError)
    assert error.problems[0].path == f"resources.{field}"
    assert "sbatch:" not in str(error)


def test_an_unknown_text_is_shown_as_it_is() -> None:
    error = refused(job(), "sbatch: error: a site's own: 42\nsbatch: error: no", {})
    assert isinstance(error, SlurmError)
    assert error.said == "a site's own: 42; no"
    assert bare("sbatch: error: Batch job submission failed: X\nsbatch: error: X\n") == "X"


def test_places_come_from_the_job_file(tmp_path: Path, fake: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: n\nentrypoint: {command: ['true']}\nresources:\n  partition: nope\n")
    resolved = resolve(path, profile="none")
    write_sbatch(fake, "echo 'sbatch: error: Invalid partition name specified' >&2; exit 1")
    with pytest.raises(SpecError) as caught, told_with_places(resolved):
        sbatch.submit(resolved.spec)
    (problem,) = caught.value.problems
    assert (str(problem.place), problem.value) == (f"{path}:4:3", "nope")
