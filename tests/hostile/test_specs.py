"""Two thousand valid jobs and five hundred hostile ones, from the job file to the script."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.render import directives
from slurmkit.render.script import render
from slurmkit.slurm.grammar import parse_time
from slurmkit.slurm.options import check_option
from slurmkit.spec.dump import dump_job, dump_yaml
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import resolve
from slurmkit.spec.model import JobSpec
from tests.hostile.scripts import check_scripts, read_directives
from tests.hostile.specs import Data, hostile_jobs, valid_jobs

Check = Callable[[Data], str | None]


def many(jobs: st.SearchStrategy[Data], count: int, check: Check) -> list[str]:
    """Put `count` jobs through a check; give the scripts that came of them."""
    scripts: list[str] = []

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(jobs)
    def each(data: Data) -> None:
        if (script := check(data)) is not None:
            scripts.append(script)

    each()
    return scripts


def load(text: str) -> JobSpec:
    """Load a job file of this text; every problem of it has a place, and a fix."""
    Path("job.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return resolve("job.yaml").spec
    except SpecError as error:
        for problem in error.problems:
            assert problem.place.line, problem
            assert problem.fix, problem
            assert "\n" not in f"{problem.what}{problem.value}{problem.expected}", problem
        raise


def valid(data: Data) -> str:
    """Check all that holds for a valid job; give its script."""
    spec = load(dump_yaml(data))
    if "environment" in data and spec.environment.python is None:
        assert spec == JobSpec.model_validate(data), "YAML says the same as Python"
    return whole(spec)


def whole(spec: JobSpec) -> str:
    """Check that a job survives its own dump, and its options the `#SBATCH` lines."""
    script = render(spec)
    assert render(spec) == script, "pure"
    assert "\r" not in script, "sbatch refuses DOS line breaks"
    script.encode()
    text = dump_job(spec)
    again = load(text)
    assert again == spec.model_copy(update={"profile": "none"}), "the dump needs no profile"
    assert dump_job(again) == text
    assert render(again) == script
    _check_directives(spec, read_directives(script))
    return script


def _check_directives(spec: JobSpec, words: list[str]) -> None:
    resources, version = spec.resources, spec.site.slurm_version
    assert words[0] == f"--job-name={spec.name}"
    assert f"--nodes={resources.nodes}" in words
    times = [word.partition("=")[2] for word in words if word.startswith("--time=")]
    assert [parse_time(time) for time in times] == (
        [] if resources.time is None else [parse_time(resources.time)]
    )
    for name in ("partition", "account", "qos", "constraint", "reservation", "exclude"):
        value = getattr(resources, name)
        assert (f"--{name}={value}" in words) == (value is not None), name
    gres = spec.sbatch.get("gres")
    for name, value in spec.sbatch.items():
        written = check_option("sbatch", name, value, version)
        if written and not (gres and name == "gres" and resources.gpus_per_node):
            assert written in words
    assert len(words) == len(directives.sbatch(spec)), "each line is one option"
    assert all(word.startswith("--") for word in words)
    assert len(words) == len({word.partition("=")[0] for word in words}), "and each stands once"


def hostile(data: Data) -> str | None:
    """Check that a job is refused with a place, or is whole; give its script if there is one."""
    try:
        spec = load(json.dumps(data))
    except SpecError:
        return None
    if not spec.template:
        return whole(spec)
    with pytest.raises(SpecError) as refused:
        render(spec)
    assert {problem.path for problem in refused.value.problems} == {"template"}
    return None


def test_valid_jobs_become_clean_scripts(shellcheck: str) -> None:
    check_scripts(many(valid_jobs(), 150, valid), shellcheck)


def test_hostile_jobs_are_refused_or_become_clean_scripts(shellcheck: str) -> None:
    scripts = many(hostile_jobs(), 200, hostile)
    assert scripts, "some are valid"
    check_scripts(scripts, shellcheck)


@pytest.mark.proof
def test_two_thousand_valid_jobs_become_clean_scripts(shellcheck: str) -> None:
    scripts = many(valid_jobs(), 2_000, valid)
    assert len(scripts) >= 2_000
    check_scripts(scripts, shellcheck)


@pytest.mark.proof
def test_five_hundred_hostile_jobs(shellcheck: str) -> None:
    check_scripts(many(hostile_jobs(), 500, hostile), shellcheck)


def test_the_reader_of_directives_stops_where_slurm_does() -> None:
    script = (
        '#!/bin/bash\n#SBATCH --a="b \\" c" -d \'e#f\' # --not\n\n # x\n'
        "# SBATCH --no\n#SBATCH\t--g=\\#h\nset -e\n#SBATCH --late\n"
    )
    assert read_directives(script) == ['--a=b " c', "-d", "e#f", "--g=#h"]
