"""Scripts made from hostile jobs are run, and what the program received is compared byte for byte.

Slurm's commands and torchrun are replaced by the shortest stand-ins that start one worker; the
shell code that carries the values is the rendered script's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec

STAND_INS = {
    "scontrol": "echo localhost",
    "squeue": "echo 2030-01-01T00:00:00",
    # srun [options] bash -c node: runs the task once, here
    "srun": 'while [[ $1 == --* ]]; do shift; done; SLURM_NODEID=0 SLURMD_NODENAME=n0 exec "$@"',
    # stands for torchrun (which starts the worker) and for the program (which says what it got)
    "python3": "[[ $2 != torch.distributed.run ]] || RANK=0 exec bash -c slurmkit_worker\n"
    'exec "$REPORT" "$@"',
}
REPORT = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["RECEIVED"], "w") as file:
    json.dump({{"args": sys.argv[1:], "environment": dict(os.environ)}}, file)
"""


class Machine:
    """A directory with the stand-ins, in which scripts are run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work, self.bin = folder, folder / "work", folder / "bin"
        self.received = folder / "received.json"
        self.bin.mkdir()
        self.work.mkdir()
        for name, body in {**STAND_INS, "report": ""}.items():
            text = REPORT if name == "report" else f"#!/bin/bash\n{body}\n"
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(0o755)

    def run(self, job: dict[str, Any], **variables: str) -> dict[str, Any]:
        """Render and run a job; return the arguments and the environment of its program."""
        environment = job.setdefault("environment", {})
        if not {"venv", "conda"} & environment.keys():
            environment["python"] = str(self.bin / "python3")
        script = render(JobSpec.model_validate({"name": "arrival", **job}))
        assert "\r" not in script, "sbatch refuses DOS line breaks"
        self.received.unlink(missing_ok=True)
        ran = subprocess.run(
            ["bash"],
            check=False,
            input=script.encode(),
            capture_output=True,
            cwd=self.work,
            timeout=60,
            env=self.environment(**variables),
        )
        assert ran.returncode == 0, ran.stderr.decode(errors="replace")
        assert self.received.exists(), script
        assert {path.name for path in self.work.iterdir()} <= {"runs"}, "something ran"
        received: dict[str, Any] = json.loads(self.received.read_text())
        return received

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment that Slurm would give the script."""
        return {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "REPORT": str(self.bin / "report"),
            "RECEIVED": str(self.received),
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "n0",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_CPUS_ON_NODE": "4",
            **variables,
        }

    def file(self, name: str) -> str:
        """Return a file of the last run's directory."""
        (found,) = self.work.glob(f"runs/*/7/{name}")
        return found.read_text()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("machine"))


NASTY = [
    "", " ", "-", "--", "-n", "a b", "*", "?", "~", "~/x", "{a,b}", "!x", "%j", "#x", "a#b", "a=b",
    "$HOME", "${HOME}", "$(touch RAN)", "`touch RAN`", "; touch RAN", "| touch RAN", "& touch RAN",
    "> RAN", "'", '"', "'\"'\"'", "\\", "\\n", "\n", "a\nb", "\n\n", "\r\n", "\t",
    "\x01\x1b[1m\x7f", "JOB_YAML", "\nJOB_YAML\ntouch RAN\n",
    "\nCONFIG_YAML\ntouch RAN\n", "}\ntouch RAN", "EOF",
    "日本語", "é", "e\u0301", "\U0001f600", "\u2028", "\u0085", "\ufeff", "a" * 5000,
]  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
HOSTILE = st.one_of(st.sampled_from(NASTY), TEXT).filter(lambda text: "${env:" not in text)


def literal(text: str) -> str:
    """Write text so that the job file means it literally."""
    return text.replace("${", "$${").replace("$$${", "$$$${") if "${" in text else text


def test_nasty_arguments_arrive(machine: Machine) -> None:
    job = {"entrypoint": {"module": "m", "args": [literal(text) for text in NASTY]}}
    assert machine.run(job)["args"] == ["-m", "m", *NASTY]


def test_nasty_variables_arrive(machine: Machine) -> None:
    variables = {f"V{index}": literal(text) for index, text in enumerate(NASTY)}
    got = machine.run({"entrypoint": {"module": "m"}, "environment": {"variables": variables}})
    assert {name: got["environment"][name] for name in variables} == {
        f"V{index}": text for index, text in enumerate(NASTY)
    }


def test_nasty_config_arrives(machine: Machine) -> None:
    config = {"texts": NASTY, "numbers": [1e-4, 1e20, 0.5, 1, True, None], **{t: t for t in NASTY}}
    literals = {
        "texts": [literal(text) for text in NASTY],
        "numbers": config["numbers"],
        **{text: literal(text) for text in NASTY},
    }
    got = machine.run({"entrypoint": {"module": "m", "config": literals}})
    assert got["args"][-2] == "--config"
    assert yaml.safe_load(Path(got["args"][-1]).read_text()) == config


@pytest.mark.parametrize("name", [text for text in NASTY if text and text.isprintable()][:30])
def test_nasty_names_make_a_run_directory(machine: Machine, name: str) -> None:
    job = {"name": name[:200], "entrypoint": {"module": "m"}}
    directory = Path(machine.run(job)["environment"]["SLURMKIT_RUN_DIR"])
    assert directory.is_dir()
    assert directory.parent.parent == machine.work / "runs"


@pytest.mark.parametrize("script", ["a b.py", "it's.py", "$(touch RAN).py", "-x.py", "~/a b.py"])
def test_nasty_script_paths_arrive(machine: Machine, script: str) -> None:
    expected = {"-x.py": "./-x.py", "~/a b.py": f"{machine.folder}/a b.py"}.get(script, script)
    assert machine.run({"entrypoint": {"script": script}})["args"] == [expected]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    args=st.lists(HOSTILE, max_size=6),
    variables=st.dictionaries(st.sampled_from(["A", "B_1", "_c"]), HOSTILE),
    config=st.dictionaries(HOSTILE, st.recursive(HOSTILE, st.lists, max_leaves=4), max_size=4),
)
def test_any_text_arrives(
    machine: Machine, args: list[str], variables: dict[str, str], config: dict[str, Any]
) -> None:
    def literals(value: Any) -> Any:
        return literal(value) if isinstance(value, str) else [literals(item) for item in value]

    got = machine.run(
        {
            "entrypoint": {
                "module": "m",
                "args": literals(args),
                "config": {key: literals(value) for key, value in config.items()},
            },
            "environment": {"variables": {key: literal(value) for key, value in variables.items()}},
        }
    )
    assert got["args"][2:-2] == args
    assert {name: got["environment"][name] for name in variables} == variables
    assert yaml.safe_load(Path(got["args"][-1]).read_text()) == config


@pytest.mark.parametrize("value", ["x", "", "a b", 'it\'s "q" $(touch RAN) `touch RAN` \\ \n é'])
def test_env_references_are_read_on_the_node(machine: Machine, value: str) -> None:
    job = {
        "environment": {"variables": {"V": "<${env:GIVEN}>"}},
        "entrypoint": {
            "module": "m",
            "args": [
                "${env:GIVEN}",
                "a${env:GIVEN}b",
                '${env:NODE_ONLY:-d `e` "f" $g}',
                "${env:RANK}",
            ],
            "config": {"plain": "${env:GIVEN}", "mixed": "$x '${env:GIVEN}' \" $${env:GIVEN}"},
        },
    }
    got = machine.run(job, GIVEN=value)
    assert got["args"][2:6] == [value, f"a{value}b", 'd `e` "f" $g', "0"]
    assert got["environment"]["V"] == f"<{value}>"
    assert yaml.safe_load(Path(got["args"][-1]).read_text()) == {
        "plain": value,
        "mixed": f"$x '{value}' \" ${{env:GIVEN}}",
    }


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"entrypoint": {"module": "m", "args": ["${env:NOWHERE}"]}}, "entrypoint.args[0]"),
        ({"entrypoint": {"module": "m", "config": {"a": "${env:NOWHERE}"}}}, "entrypoint.config.a"),
        (
            {"entrypoint": {"module": "m"}, "environment": {"variables": {"V": "${env:NOWHERE}"}}},
            "environment.variables.V",
        ),
    ],
)
def test_an_unset_reference_fails_and_says_where(
    machine: Machine, job: dict[str, Any], field: str
) -> None:
    with pytest.raises(AssertionError, match=r"NOWHERE: is not set") as failure:
        machine.run(job)
    assert field in str(failure.value)


def test_a_missing_passed_variable_fails_at_once(machine: Machine) -> None:
    job = {"entrypoint": {"module": "m"}, "environment": {"pass": ["WANDB_API_KEY"]}}
    with pytest.raises(AssertionError, match="WANDB_API_KEY: must be set"):
        machine.run(job)
    assert machine.run(job, WANDB_API_KEY="k")["environment"]["WANDB_API_KEY"] == "k"
