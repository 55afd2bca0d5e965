"""Jobs of all kinds are run for real, and what their program received is what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import Entrypoint
from tests.hostile.specs import Data
from tests.hostile.texts import HOSTILE_TEXTS, encodable
from tests.render.test_arrival import Machine, machine
from tests.spec.strategies import CONFIG, NODE_TEXT

__all__ = ["machine"]
GIVEN = 'it\'s "q" $(touch RAN) `touch RAN` ${x} \\ \n é'
"""The value of a variable that is set where the job runs."""

_REFERENCE = re.compile(r"\$\$\{|\$\{env:(\w+)(?::-([^}]*))?\}")
_SHORT = [t for t in HOSTILE_TEXTS if encodable(t) and "\0" not in t and len(t) < 10_000]
_TEXTS = st.one_of(
    NODE_TEXT,
    st.sampled_from(_SHORT).map(lambda text: text.replace("${", "$${")),
    st.sampled_from(
        ["${env:GIVEN}", "$${env:GIVEN}", "a${env:GIVEN}$${b}", "${env:NOT:-d e}", "${env:NOT:-'}",
         "${env:GIVEN:-x}${env:EMPTY:-$HOME}", "${env:EMPTY}", '"${env:GIVEN}"', "${env:NOT:-\\}"]
    ),
)  # fmt: skip


@st.composite
def runnable_jobs(draw: st.DrawFn) -> Data:
    """Give what a job of a single process can hold besides its program."""
    entrypoint: Data = draw(
        st.one_of(
            st.fixed_dictionaries(
                {"module": st.just("m")},
                optional={"args": st.lists(_TEXTS, max_size=5), "config": CONFIG},
            ),
            st.lists(_TEXTS, max_size=5).map(lambda words: {"command": ["python3", *words]}),
        )
    )
    names = st.sampled_from(["V", "V_1", "_v"])
    return {
        "entrypoint": entrypoint,
        "environment": {"variables": draw(st.dictionaries(names, _TEXTS, max_size=3))},
        "launcher": {"kind": draw(st.sampled_from(["torchrun", "srun"]))},
        "requeue": draw(st.sampled_from([None, {}, {"when": ["preemption"]}])),
        "resources": {"time": "1:00:00"},
    }


def arrives(machine: Machine, job: Data) -> None:
    """Run a job and compare."""
    variables = {"GIVEN": GIVEN, "EMPTY": ""}
    known = {**variables, "HOME": str(machine.folder)}
    got = machine.run(job, SLURM_PROCID="0", SLURM_LOCALID="0", **variables)
    entry = job["entrypoint"]
    words = entry["command"][1:] if "command" in entry else ["-m", "m", *entry.get("args", [])]
    if "config" in entry:
        *got["args"], flag, file = got["args"]
        assert flag == "--config"
        text = Path(file).read_text(encoding="utf-8")
        assert yaml.safe_load(text) == meant(entry["config"], known)
    assert got["args"] == meant(words, known)
    for name, value in job["environment"]["variables"].items():
        assert got["environment"][name] == meant(value, known)
    again = load(Path(got["environment"]["SLURMKIT_RUN_DIR"]) / "job.yaml", profile="none")
    assert again.entrypoint == Entrypoint.model_validate(entry)


def meant(value: Any, known: dict[str, str]) -> Any:
    """Say what a value of a job file comes to on the node."""
    if isinstance(value, dict):
        return {key: meant(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [meant(item, known) for item in value]
    if not isinstance(value, str):
        return value

    def read(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        return "${" if name is None else known.get(name) or default or ""

    return _REFERENCE.sub(read, value)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(runnable_jobs())
def test_what_a_job_says_arrives(machine: Machine, job: Data) -> None:
    arrives(machine, job)


@pytest.mark.proof
@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(runnable_jobs())
def test_what_very_many_jobs_say_arrives(machine: Machine, job: Data) -> None:
    arrives(machine, job)


LONGEST = {"args": 122_000, "variable": 128 * 1024 - 3}
"""Bytes: nearly all of what Linux hands over in one piece, and all of it."""


def test_the_longest_texts_arrive(machine: Machine) -> None:
    for text in ("a" * LONGEST["args"], "é" * (LONGEST["args"] // 2), "'" * (LONGEST["args"] // 2)):
        assert machine.run({"entrypoint": {"module": "m", "args": [text]}})["args"][2:] == [text]
    job = {"entrypoint": {"module": "m"}}
    text = "a" * LONGEST["variable"]
    got = machine.run({**job, "environment": {"variables": {"V": text}}})
    assert got["environment"]["V"] == text


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"entrypoint": {"module": "m", "args": ["a" * 70_000] * 2}}, "entrypoint.args"),
        ({"entrypoint": {"command": ["a", "\x01" * 40_000]}}, "entrypoint.command"),
        (
            {"environment": {"variables": {"V": "a" * (LONGEST["variable"] + 1)}}},
            "environment.variables.V",
        ),
    ],
)
def test_longer_ones_are_refused(part: Data, path: str) -> None:
    text = json.dumps({"name": "x", "entrypoint": {"module": "m"}, **part})
    Path("job.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load("job.yaml")
    assert [problem.path for problem in caught.value.problems] == [path]
    assert len(str(caught.value)) < 1_000
