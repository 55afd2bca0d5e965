"""A sweep is one script: each point's values arrive byte for byte, and its job file is its own."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import slurmkit
from slurmkit.render.script import render
from slurmkit.render.sweep import cell
from slurmkit.spec.dump import dump_yaml
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import load
from slurmkit.spec.model import JobSpec
from slurmkit.spec.sweep import at_point, count_points
from tests.hostile.scripts import read_directives
from tests.hostile.test_arrival import _TEXTS as TEXTS
from tests.hostile.test_arrival import GIVEN, meant
from tests.render.test_arrival import Machine, machine
from tests.spec.strategies import SCALAR, TEXT

__all__ = ["machine"]
Data = dict[str, Any]
VALUES = st.recursive(
    SCALAR | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=3)


@st.composite
def sweeps(draw: st.DrawFn) -> Data:
    """Give a job that sweeps several fields at once."""
    axes: Data = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "entrypoint.config.a": several(VALUES),
                "entrypoint.config.b.c": several(VALUES),
                "entrypoint.args": several(st.lists(TEXTS, max_size=4)),
                "entrypoint.module": several(st.sampled_from(["m", "m.n", "it's", "a b", "$x"])),
                "environment.variables.V": several(TEXTS),
                "environment.variables.W": several(TEXTS),
            },
        ).filter(bool)
    )
    return {
        "name": "swept",
        "entrypoint": {
            "module": "m",
            "args": draw(st.lists(TEXTS, max_size=2)),
            "config": {"a": 1, "b": {"c": draw(VALUES), "d": draw(VALUES)}, "z": 0},
        },
        "environment": {"variables": {"V": draw(TEXTS), "W": "w"}},
        "launcher": {"kind": draw(st.sampled_from(["torchrun", "srun"]))},
        "requeue": draw(st.sampled_from([None, {}])),
        "resources": {"time": "1:00:00"},
        "sweep": axes,
    }


def run_point(machine: Machine, job: Data, number: int) -> Data:
    """Run a task of the array."""
    return machine.run(
        job,
        SLURM_PROCID="0",
        SLURM_LOCALID="0",
        SLURM_ARRAY_JOB_ID="70",
        SLURM_ARRAY_TASK_ID=str(number),
        GIVEN=GIVEN,
        EMPTY="",
    )


def arrives(machine: Machine, job: Data, number: int) -> None:
    """Run a point, and compare what its program got with the point's own plain job."""
    known = {"GIVEN": GIVEN, "EMPTY": "", "HOME": str(machine.folder)}
    got = run_point(machine, job, number)
    spec = JobSpec.model_validate(job)
    point = at_point(spec, number)
    assert point.entrypoint.module is not None
    assert point.entrypoint.config is not None
    words = ["-m", point.entrypoint.module, *point.entrypoint.args]
    *args, flag, file = got["args"]
    assert flag == "--config"
    assert args == meant(words, known)
    config = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    expected = meant(point.entrypoint.config, known)
    assert config == expected
    assert repr(config) == repr(expected), "types as well"
    for name, value in point.environment.variables.items():
        assert got["environment"][name] == meant(value, known)
    directory = Path(got["environment"]["SLURMKIT_RUN_DIR"])
    assert directory.name == f"70_{number}"
    again = load(directory / "job.yaml")
    assert again == point.model_copy(update={"profile": "none"})
    assert render(again) == render(point.model_copy(update={"profile": "none"}))
    check_table(directory.with_name("70") / "sweep.tsv", spec)


def check_table(path: Path, spec: JobSpec) -> None:
    header, *rows = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    path.unlink()
    assert header.split("\t") == ["task", *spec.sweep]
    points = list(itertools.product(*spec.sweep.values()))
    assert [[yaml.safe_load(text) for text in row.split("\t")] for row in rows] == [
        [number, *values] for number, values in enumerate(points)
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(sweeps(), st.integers(0, 10**6))
def test_what_a_point_says_arrives(machine: Machine, job: Data, number: int) -> None:
    arrives(machine, job, number % count_points(JobSpec.model_validate(job)))


@pytest.mark.proof
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(sweeps(), st.integers(0, 10**6))
def test_what_very_many_points_say_arrives(machine: Machine, job: Data, number: int) -> None:
    arrives(machine, job, number % count_points(JobSpec.model_validate(job)))


@settings(suppress_health_check=list(HealthCheck))
@given(VALUES)
def test_a_cell_is_one_line_of_yaml(tmp_path: Path, value: Any) -> None:
    text = cell(value)
    assert text.isascii() or "\u2028" not in text
    assert not set("\n\r\t\x85\u2028\u2029\ufeff") & set(text)
    again = yaml.safe_load(f"k: {text}\n")["k"]
    assert (again, repr(again)) == (value, repr(value))
    assert again == slurmkit.load(written(tmp_path, value)).entrypoint.config["k"]  # type: ignore[index]


def written(folder: Path, value: Any) -> Path:
    job = {"name": "x", "entrypoint": {"module": "m", "config": "HERE"}}
    path = folder / "cell.yaml"
    path.write_text(dump_yaml(job).replace("HERE", f"{{k: {cell(value)}}}"), encoding="utf-8")
    return path


BASE: Data = {"name": "x", "entrypoint": {"module": "m", "config": {"lr": 1, "n": 2}}}


def spec_of(**fields: Any) -> JobSpec:
    return JobSpec.model_validate({**BASE, **fields})


def test_the_last_path_changes_fastest() -> None:
    spec = spec_of(sweep={"entrypoint.config.lr": [1, 2], "entrypoint.config.n": [3, 4, 5]})
    found = [at_point(spec, number).entrypoint.config for number in range(count_points(spec))]
    assert found == [{"lr": lr, "n": n} for lr in (1, 2) for n in (3, 4, 5)]
    assert not at_point(spec, 0).sweep


def test_a_point_is_a_plain_job() -> None:
    spec = spec_of(sweep={"entrypoint.config.lr": [3, 4]}, sweep_limit=1)
    plain = spec_of(entrypoint={"module": "m", "config": {"lr": 4, "n": 2}})
    assert at_point(spec, 1) == plain
    assert render(at_point(spec, 1)) == render(plain)
    with pytest.raises(SpecError, match="no point 2: the sweep has 2"):
        at_point(spec, 2)
    with pytest.raises(SpecError, match="the job has no sweep"):
        at_point(plain, 0)


def test_the_array_and_its_limit() -> None:
    sweep = {"entrypoint.config.lr": [1, 2], "entrypoint.config.n": [3, 4, 5]}
    words = read_directives(render(spec_of(sweep=sweep, sweep_limit=4)))
    assert words[1:3] == ["--array=0-5%4", "--output=slurmkit-%A_%a.out"]
    assert "--array=0-5" in read_directives(render(spec_of(sweep=sweep)))
    assert not any(word.startswith("--array") for word in read_directives(render(spec_of())))


def test_numbers_from_python_are_the_texts_that_the_job_takes() -> None:
    spec = spec_of(
        environment={"variables": {"V": 0, "T": "x"}},
        sweep={"environment.variables.V": [1, True, 0.5], "entrypoint.args": [["--n", 1]]},
    )
    script = render(spec)
    assert "export V=0.5" in script
    assert "--n 1" in script
    assert [at_point(spec, n).environment.variables["V"] for n in range(3)] == ["1", "true", "0.5"]


def test_scripts_and_commands_are_swept(machine: Machine) -> None:
    job = {
        "name": "x",
        "entrypoint": {"script": "a.py", "args": ["--x"]},
        "sweep": {
            "entrypoint.args": [["1"], []],
            "entrypoint.script": ["a b.py", "-c.py", "~/$x.py"],
        },
    }
    got = [run_point(machine, job, number)["args"] for number in range(6)]
    home = str(machine.folder)
    assert got == [
        [script, *args] for args in (["1"], []) for script in ("a b.py", "./-c.py", f"{home}/$x.py")
    ]
    report = str(machine.bin / "report")
    job = {
        "name": "x",
        "entrypoint": {"command": ["true"]},
        "sweep": {"entrypoint.command": [[report, "it's", "${env:RANK}"], [report]]},
    }
    assert run_point(machine, job, 0)["args"] == ["it's", "0"]
    assert run_point(machine, job, 1)["args"] == []


def test_a_swept_config_is_written_for_a_job_without_one(machine: Machine) -> None:
    job = {
        "name": "x",
        "entrypoint": {"module": "m"},
        "sweep": {"entrypoint.config": [{"a": 1}, {"b": "${env:HOME}"}]},
    }
    *_, flag, file = run_point(machine, job, 1)["args"]
    assert (flag, yaml.safe_load(Path(file).read_text())) == (
        "--config",
        {"b": str(machine.folder)},
    )


@pytest.mark.parametrize("missing", ["SLURM_ARRAY_TASK_ID", "too high"])
def test_outside_of_its_array_the_script_says_so(machine: Machine, missing: str) -> None:
    script = render(spec_of(sweep={"entrypoint.config.lr": [1, 2]}))
    variables = {} if missing != "too high" else {
        "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"
    }  # fmt: skip
    ran = subprocess.run(
        ["bash"],
        input=script,
        env=machine.environment(**variables),
        cwd=machine.work,
        text=True,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    expected = "the sweep has no point 2" if variables else "slurmkit render job.yaml --point N"
    assert expected in ran.stderr


def test_a_thousand_points_stay_small_and_too_many_are_refused() -> None:
    rates = [number / 1000 for number in range(1000)]
    text = render(spec_of(sweep={"entrypoint.config.lr": rates}))
    assert len(text.encode()) < 40_000
    with pytest.raises(SpecError, match="too long for Slurm"):
        render(spec_of(sweep={"entrypoint.config.lr": [f"{n}" * 1000 for n in range(1000, 3000)]}))
    with pytest.raises(ValueError, match="a job array holds at most"):
        spec_of(sweep={"entrypoint.config.lr": rates, "entrypoint.config.n": rates})


def test_every_task_writes_the_same_table_whole(machine: Machine) -> None:
    """Sixteen tasks start at once, over and over: whoever looks sees a whole table, or none."""
    rates = [number / 7 for number in range(400)]
    environment = {"python": str(machine.bin / "python3")}
    script = render(spec_of(environment=environment, sweep={"entrypoint.config.lr": rates}))
    whole = "".join(
        f"{line}\n" for line in script.split("<< 'SWEEP'\n")[1].split("\nSWEEP\n")[0].split("\n")
    )
    start = [
        subprocess.Popen(
            ["bash", "-c", script],
            cwd=machine.work,
            env=machine.environment(SLURM_ARRAY_JOB_ID="80", SLURM_ARRAY_TASK_ID=str(number)),
            stdout=subprocess.DEVNULL,
        )
        for number in range(16)
    ]
    table = machine.work / "runs" / "x" / "80" / "sweep.tsv"
    while any(process.poll() is None for process in start):
        if table.exists():
            assert table.read_text() == whole
    assert [process.returncode for process in start] == [0] * 16
    assert [path.name for path in table.parent.iterdir()] == ["sweep.tsv"]
    jobs = (machine.folder / ".local/state/slurmkit/jobs.jsonl").read_text().splitlines()
    ids = [json.loads(line)["id"] for line in jobs]
    assert {f"80_{number}" for number in range(16)} <= set(ids)
