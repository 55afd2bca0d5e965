"""The profiles of public clusters: sourced, loadable, and what a job comes to under each."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from slurmkit.init.gallery import profile_path, profiles
from slurmkit.render.script import render
from slurmkit.spec.load import resolve

GOLDEN = Path(__file__).parent / "golden"
GPUS = {"raven": 4, "juwels-booster": 4, "perlmutter": 4, "lumi-g": 8, "aws-p5": 8}
RELEASES = ["22.05", "23.11", "26.05"]


def test_the_gallery_is_what_is_tested() -> None:
    assert profiles().keys() == GPUS.keys()
    assert all(len(about) > 40 for about in profiles().values())


@pytest.mark.parametrize("name", GPUS)
@pytest.mark.parametrize("release", RELEASES)
def test_two_nodes_on_gpus(name: str, release: str) -> None:
    """Compare what Slurm and NCCL are told; `slurm_version` checks it against that release."""
    Path("job.yaml").write_text(
        f"name: two\nresources: {{nodes: 2, gpus_per_node: {GPUS[name]}, time: 1:00:00}}\n"
        f"site: {{slurm_version: '{release}'}}\nentrypoint: {{module: m}}\n"
    )
    spec = resolve("job.yaml", profile=str(profile_path(name))).spec
    told = re.compile(r"(#SBATCH |export (NCCL|GLOO|FI)_).*|.*for node in .*")
    lines = [line for line in render(spec).splitlines() if told.fullmatch(line)]
    text = "\n".join([*lines, f"host_suffix: {spec.site.host_suffix!r}", ""])
    record = GOLDEN / f"{name}.directives"
    if os.environ.get("UPDATE_GOLDEN"):
        record.write_text(text)
    assert text == record.read_text(), (
        "read the difference; if it is meant: UPDATE_GOLDEN=1 pytest tests/init"
    )


@pytest.mark.parametrize("name", GPUS)
def test_every_value_has_its_source(name: str) -> None:
    """Each value stands under a comment, or before one, that names a source at the top."""
    text = profile_path(name).read_text()
    marks = set(re.findall(r"^# \[(\w+)\]:", text, re.M))
    assert "https://" in text
    assert marks
    comment, answered = "", False
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment, answered = ("" if answered else comment) + line, False
            continue
        answered = True
        value = re.fullmatch(r"\s+\w+: *([^#\s][^#]*)(#.*)?", line)
        if value is None:
            assert re.fullmatch(r"\s*\w+:", line), line
            continue
        cited = re.findall(r"\[([^]]*)\]", comment + (value[2] or ""))
        assert any(place.startswith((*marks, "the same")) for place in cited), line


def test_a_job_on_one_gpu_overrides_the_whole_node() -> None:
    Path("job.yaml").write_text(
        "name: one\nresources: {gpus_per_node: 1, cpus_per_node: 18, memory_per_node: 125000,\n"
        "  constraint: null, partition: gpudev}\nentrypoint: {module: m}\n"
    )
    script = render(resolve("job.yaml", profile=str(profile_path("raven"))).spec)
    assert "--gres=gpu:a100:1\n" in script
    assert "--cpus-per-task=18\n" in script
    assert "--constraint" not in script
