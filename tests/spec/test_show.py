"""`validate --show`: the resolved job, the origin of each value, and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from slurmkit.spec.load import resolve
from slurmkit.spec.show import show_resolved
from slurmkit.spec.warnings import missing_paths, warnings
from tests.spec.jobs import BASE, job, resolved
from tests.spec.strategies import JOBS


def test_every_value_has_its_origin() -> None:
    Path("site.yaml").write_text("resources: {partition: gpu}\n")
    text = show_resolved(
        resolved(
            BASE
            + "resources: {gpus_per_node: 4}\nenvironment: {variables: {A-b: c}}\n".replace(
                "-", "_"
            ),
            profile="./site.yaml",
            overrides=["resources.nodes=2"],
        )
    )
    rows = {line.split("#")[0].strip(): line.split("#")[-1].strip() for line in text.splitlines()}
    assert rows['name: "x"'] == "job.yaml:1:1"
    assert rows["nodes: 2"] == "--set resources.nodes"
    assert rows["gpus_per_node: 4"] == "job.yaml:3:13"
    assert rows["processes_per_node: 4"] == "one a GPU"
    assert rows['partition: "gpu"'] == "site.yaml:1:13"
    assert rows["account: null"] == "default"
    assert rows['A_b: "c"'] == "job.yaml:4:27"
    assert [origin for row, origin in rows.items() if row.startswith("python:")] == [
        "the Python that runs slurmkit"
    ]


@settings(max_examples=60, deadline=None)
@given(JOBS)
def test_what_is_shown_is_the_job(data: dict[str, Any]) -> None:
    from slurmkit.spec.dump import dump_yaml

    first = resolved(dump_yaml(data))
    shown = show_resolved(first)
    second = resolved(shown)
    assert (
        first.spec.replace({"resources": {"processes_per_node": first.spec.processes_per_node}})
        == second.spec
    )


def told(text: str) -> str:
    return "\n".join(warnings(job(BASE + text + "\n")))


@pytest.mark.parametrize(
    "name", ["TOKEN", "HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "db_password", "APIKEY"]
)
def test_what_looks_like_a_secret(name: str) -> None:
    text = told(f"environment: {{variables: {{{name}: sekret}}}}")
    assert f"pass: [{name}]" in text
    assert "sekret" not in text


@pytest.mark.parametrize(
    "variable",
    ["TOKENIZERS_PARALLELISM: a", "MAX_TOKENS: a", "TOKEN_FILE: a", "HF_TOKEN: ''", "KEYS: a",
     "HF_TOKEN: '${env:HF_TOKEN}'", "MONKEY: a"],
)  # fmt: skip
def test_what_does_not(variable: str) -> None:
    assert told(f"environment: {{variables: {{{variable}}}}}") == ""


@pytest.mark.parametrize(
    "value", ["hf_" + "a" * 30, "sk-" + "a" * 40, "${env:A:-ghp_" + "a" * 36 + "}"]
)
def test_values_that_are_known_tokens(value: str) -> None:
    text = told(f"environment: {{variables: {{HARMLESS: '{value}'}}}}")
    assert "HARMLESS" in text
    assert value not in text


def test_idle_gpus_and_few_cpus() -> None:
    text = told("resources: {gpus_per_node: 8, processes_per_node: 6, cpus_per_node: 4}")
    assert "no process for 2 of the GPUs" in text
    assert "4 CPUs for 6 processes" in text


def test_a_name_that_confuses_lightning() -> None:
    assert "Lightning" in "\n".join(warnings(job("name: bash\nentrypoint: {module: m}\n")))


def test_missing_paths(tmp_path: Path) -> None:
    (tmp_path / "there.py").touch()
    text = f"sbatch: {{chdir: '{tmp_path}'}}\nenvironment: {{venv: nowhere}}\n"
    spec = job("name: x\nentrypoint: {script: there.py}\n" + text)
    assert missing_paths(spec) == [("environment.venv", tmp_path / "nowhere")]
    gone = job("name: x\nentrypoint: {script: gone.py}\n")
    assert missing_paths(gone) == [("entrypoint.script", Path("gone.py"))]
    assert "entrypoint.script: gone.py does not exist here" in warnings(gone)


@pytest.mark.parametrize("script", ["${env:HOME}/a.py", "$${x}.py"])
def test_paths_that_only_the_node_knows(script: str) -> None:
    assert missing_paths(job(f"name: x\nentrypoint: {{script: '{script}'}}\n")) == []


def test_paths_that_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    missing_paths(job("name: x\nentrypoint: {script: " + "x" * 5000 + "}\n"))
    monkeypatch.setenv("HOME", "")
    missing_paths(job("name: x\nentrypoint: {script: ~/a.py}\n"))


def test_the_job_files_of_the_repository_raise_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = Path(__file__).parents[2]
    monkeypatch.chdir(checkout)
    found = {
        path.name: warnings(resolve(path, profile="none").spec)
        for path in checkout.glob("jobs/*.yaml")
    }
    data = "entrypoint.config.data.dataset_path: data/train.jsonl does not exist here"
    assert found.pop("finetune_glm.yaml") == [data], "which everybody brings"
    assert {name: told for name, told in found.items() if told} == {}
