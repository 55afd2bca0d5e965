"""The drafted job files: right as they stand, with and without a cluster, and readable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import slurmkit
from slurmkit.init.cluster import Cluster, read_cluster
from slurmkit.init.draft import draft_job, draft_profile, suggest
from slurmkit.init.gallery import STARTS
from slurmkit.init.place import Place
from slurmkit.spec.document import parse
from slurmkit.spec.load import resolve
from slurmkit.spec.model import JobSpec
from slurmkit.spec.schema import json_schema
from slurmkit.spec.shape import ANYTHING, to_data
from slurmkit.spec.warnings import warnings
from tests.init import clusters

GOLDEN = Path(__file__).parent / "golden"
HINT = "read the difference; if it is meant: UPDATE_GOLDEN=1 pytest tests/init"
PLACES = {
    "empty": Place("my project"),
    "script": Place("llm", "train.py", None, ".venv", None, True),
    "conda": Place(None, None, None, None, "no", False),
}
KINDS = {
    "nowhere": None,
    "mixed": clusters.mixed(),
    "cpus": clusters.cluster(clusters.CPU_ONLY),
    "one": clusters.cluster(clusters.ONE_NODE),
}


def job(text: str) -> JobSpec:
    Path("job.yaml").write_text(text)
    return resolve("job.yaml", profile="none").spec


def recorded(name: str, text: str) -> None:
    record = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        record.write_text(text, encoding="utf-8")
    assert text == record.read_text(encoding="utf-8"), HINT


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("cluster", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("template", STARTS)
def test_it_is_right_as_it_stands(template: str, cluster: Cluster | None, place: Place) -> None:
    text = draft_job(template, cluster, place)
    spec = job(text)
    assert warnings(spec, paths=False) == []
    assert slurmkit.render(spec).startswith("#!")
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert max(map(len, text.splitlines())) <= 110
    assert "  \n" not in text


@pytest.mark.parametrize("template", STARTS)
def test_editors_accept_it(template: str) -> None:
    text = draft_job(template, clusters.mixed(), PLACES["script"])
    assert text.startswith("# yaml-language-server: $schema=job.schema.json\n# ")
    root = parse(text, "job.yaml")
    assert root is not None
    errors = Draft202012Validator(json_schema()).iter_errors(to_data(root, ANYTHING, (), {}))
    assert [error.message for error in errors] == []


@pytest.mark.parametrize("template", STARTS)
def test_what_stands_in_comments_is_right_too(template: str) -> None:
    """Take the # off every commented field: each must be a legal line at its place."""
    text = draft_job(template, None, PLACES["empty"])
    offered = [line for line in text.splitlines() if line.lstrip().startswith("# ")]
    fields = [line.replace("# ", "", 1) for line in offered if line[:2] == "  " and ": " in line]
    known = ("partition", "account", "venv", "conda", "modules", "pass", "args")
    named = [line for line in fields if line.strip().partition(":")[0] in known]
    assert len(named) >= 2
    for line in named:
        old = line[:2] + "# " + line[2:]
        assert old in text
        script = line.replace("args", "script: a.py\n  args") if "args" in line else line
        changed = text.replace(old, script)
        if "args" in line:
            changed = changed.replace("  module: slurmkit.train.all_reduce\n", "")
        job(changed)


def test_what_the_cluster_says_is_in_it() -> None:
    spec = job(draft_job("torchrun", clusters.mixed(), PLACES["script"]))
    asked = spec.resources
    assert (asked.nodes, asked.gpus_per_node, asked.gpu_type) == (2, 4, "a100")
    assert (asked.cpus_per_node, asked.partition, asked.account) == (64, "gpu", "physics")
    assert asked.time == "12:00:00"
    assert (spec.name, spec.entrypoint.script, spec.environment.venv) == (
        "llm",
        "train.py",
        ".venv",
    )


def test_a_short_partition_shortens_the_job() -> None:
    spec = job(draft_job("requeue", clusters.cluster(clusters.ONE_NODE), PLACES["empty"]))
    assert (spec.resources.nodes, spec.resources.time) == (1, "2:00:00")


def test_names_that_yaml_takes_for_something_else() -> None:
    lines = "no|up|1:00:00|1-2|2|8|gpu:1e3:4|idle\n"
    place = Place("# 010", "my: script.py", None, "it's #1", None, True)
    spec = job(draft_job("torchrun", clusters.cluster(lines), place))
    assert (spec.resources.partition, spec.resources.gpu_type) == ("no", "1e3")
    assert (spec.name, spec.entrypoint.script) == ("# 010", "my: script.py")
    assert spec.environment.venv == "it's #1"


def test_a_profile_of_the_cluster_is_used() -> None:
    text = draft_job("torchrun", clusters.mixed(), PLACES["empty"], profile="big")
    Path("profiles").mkdir()
    Path("profiles/big.yaml").write_text(draft_profile(clusters.mixed()))
    Path("job.yaml").write_text(text)
    assert "partition:" not in text
    spec = slurmkit.load("job.yaml")
    assert (spec.profile, spec.resources.partition, spec.resources.account) == (
        "big",
        "gpu",
        "physics",
    )


def test_the_template_follows_from_what_is_there() -> None:
    lightning = Place("x", "train.py", "lightning")
    assert suggest(None, Place("x")) == "torchrun"
    assert suggest(None, lightning) == "lightning"
    assert suggest(clusters.mixed(), lightning) == "lightning"
    assert suggest(clusters.cluster(clusters.CPU_ONLY), lightning) == "cpu"


@pytest.mark.parametrize("runtime", ["pyxis", "apptainer"])
def test_the_container_runtime_that_is_there(runtime: str) -> None:
    spec = job(draft_job("container", None, PLACES["script"], runtime=runtime))
    assert spec.container is not None
    assert spec.container.runtime == runtime


@pytest.mark.parametrize("kind", ["nowhere", "mixed"])
def test_a_newcomer_reads(kind: str) -> None:
    recorded(f"{kind}.job.yaml", draft_job("torchrun", KINDS[kind], PLACES["script"]))


def test_a_profile_reads() -> None:
    recorded("big.profile.yaml", draft_profile(clusters.mixed()))
    page = Path(__file__).parents[2] / "docs" / "profiles.md"
    assert f"```yaml\n{draft_profile(clusters.mixed())}```" in page.read_text()
    Path("big.yaml").write_text(draft_profile(clusters.mixed()))
    Path("job.yaml").write_text("name: x\nentrypoint: {module: m}\n")
    spec = resolve("job.yaml", profile="./big.yaml").spec
    assert spec.site.slurm_version == "23.11.10"
    assert spec.site.gpu_types == {"a100": 4, "h100": 8}
    assert spec.site.gpu_request == "gpus-per-node"


@pytest.mark.parametrize(
    ("config", "request_by"), [(None, "gpus-per-node"), ("SelectType = select/linear\n", "gres")]
)
def test_a_profile_of_a_cluster_that_says_little(config: str | None, request_by: str) -> None:
    cluster = read_cluster("batch|up|infinite|1-infinite|4|8|gpu:2|idle\n", config, None)
    assert cluster is not None
    Path("own.yaml").write_text(draft_profile(cluster))
    Path("job.yaml").write_text("name: x\nentrypoint: {module: m}\n")
    site = resolve("job.yaml", profile="./own.yaml").spec.site
    assert (site.slurm_version, site.gpu_types, site.gpu_request) == (None, {}, request_by)


@pytest.mark.parametrize("template", ["requeue", "lightning"])
def test_a_short_partition_gets_a_shorter_lead_time(template: str) -> None:
    text = draft_job(
        template, clusters.cluster("main*|up|5:00|1-infinite|4|8|gpu:4|idle\n"), Place("x")
    )
    assert "lead_time: 75" in text
