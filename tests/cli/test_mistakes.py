"""Mistakes of a tired person, and the line that tells each one."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from slurmkit.cli import main

JOB = "name: a\nentrypoint: {script: train.py}\n"
SETUP = JOB + "environment:\n  setup:\n"

MISTAKES = [
    ("#!/bin/bash\n#SBATCH -N 2\nsrun python a.py\n", "1:1: this is a batch script, and no job"),
    ("#!/bin/bash\n#SBATCH -N 2\necho 'a: b: c'\n", "fix:      submit it as it is: `sbatch job"),
    ("import torch\nprint('a: b: c')\n", "job.yaml:1:1: this is a script, and no job file"),
    ("name:a\nentrypoint: {script: t.py}\n", "put a space after the colon above: `name: a`"),
    ("name: a\nentrypoint: {script:t.py}\n", "put a space after the colon: `script: t.py`"),
    ("name: a\nentrypoint:\n  script:t.py\n", "put a space after the colon: `script: t.py`"),
    ("name: a\nentrypoint\n  script: t.py\n", "put a colon behind `entrypoint` in the line above"),
    ("name: a\nresources:\n  nodes: 2\n time: 4\n", "below the first letter of the one that it"),
    ("name: a\n", "fix:      add `entrypoint: {script: train.py}`"),
    ("name: a\nentrypoint: train.py\n", "fix:      write `entrypoint: {script: train.py}`"),
    (JOB + "requeue: yes\n", "fix:      write `requeue: {}`"),
    (JOB + "requeue: false\n", "fix:      leave requeue out"),
    (JOB + "env: {A: b}\n", "fix:      write it as environment.variables"),
    (JOB + "environment: {NCCL_DEBUG: INFO}\n", "write it as environment.variables.NCCL_DEBUG"),
    (JOB + "resources: {gpus_per_node: 'a100:4'}\n", "write 4, and the type as gpu_type: a100"),
    (JOB + "resources: {nodes: 2, nodelist: [n1, n2]}\n", "fix:      write n1,n2"),
    (JOB + "resources: {nodes: 2, nodelist: n1 n2}\n", "fix:      write n1,n2"),
    (SETUP + "    - echo a\n    - '}'\n", "job.yaml:6:7: environment.setup[1]: bash cannot read"),
    (
        SETUP + "    - |\n      a\n      b\n    - if true; then\n",
        "environment.setup[1]: bash cannot",
    ),
]


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def _told(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, words)
    return result.exit_code, result.output


@pytest.mark.parametrize("verb", ["validate", "render"])
@pytest.mark.parametrize(("text", "line"), MISTAKES)
def test_mistakes_are_told(verb: str, text: str, line: str) -> None:
    Path("job.yaml").write_text(text, encoding="utf-8")
    code, told = _told(verb, "job.yaml")
    assert code == 2
    assert line in told


def test_setup_that_bash_reads_passes() -> None:
    lines = "    - shopt -s extglob\n    - ls !(a|b)\n    - f() {\n    - echo; }\n"
    Path("job.yaml").write_text(SETUP + lines, encoding="utf-8")
    assert _told("validate", "job.yaml")[0] == 0


@pytest.mark.parametrize("verb", ["submit", "render", "validate"])
def test_a_field_written_as_an_option(verb: str) -> None:
    code, told = _told(verb, "job.yaml", "--gpus-per-node", "8")
    assert code == 2
    assert "no option --gpus-per-node: write --set resources.gpus_per_node=VALUE\n" in told
    assert "No such option '--profil'" in _told(verb, "job.yaml", "--profil", "x")[1]


def test_a_job_file_without_a_verb() -> None:
    code, told = _told("job.yaml")
    assert (code, "did you mean slurmkit validate job.yaml?" in told) == (2, True)


def test_a_script_that_cannot_be_written_is_told_in_one_line() -> None:
    Path("job.yaml").write_text(JOB, encoding="utf-8")
    _, told = _told("render", "job.yaml", "-o", "none/a.sh")
    assert "-o none/a.sh cannot be written: No such file or directory" in told
    assert "Usage" not in told


def test_render_to_a_dash_is_standard_output() -> None:
    Path("job.yaml").write_text(JOB, encoding="utf-8")
    assert "#SBATCH" in _told("render", "job.yaml", "-o", "-")[1]
    assert not Path("-").exists()
