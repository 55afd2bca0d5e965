"""The checks before the launch, as the script carries and calls them; the probe is a stand-in."""

from __future__ import annotations

import base64
import gzip
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from slurmkit.launch.in_process import in_process
from slurmkit.render.hosts import preflight_scripts
from slurmkit.render.preflight import packed
from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.render import runtimes
from tests.render.test_arrival import NASTY, Machine

PYTHON = """#!/bin/bash
[[ $1 != -u ]] || shift
case $2 in
  coordinate)
    echo coordinate >> "$HOME/calls"
    printf '%s\\n' "$@" > "$HOME/coordinator"
    while [[ $1 != -- ]]; do shift; done
    "${@:2}" < /dev/null || exit
    exit "${VERDICT:-0}" ;;
  node) RECEIVED=$RECEIVED.node exec "$REPORT" "$@" ;;
esac
echo launch >> "$HOME/calls"
[[ $2 != torch.distributed.run ]] || RANK=0 exec bash -c slurmkit_worker
exec "$REPORT" "$@"
"""


class Checked(Machine):
    """A machine whose python3 knows the roles of the probe."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (self.bin / "python3").write_text(PYTHON)

    def check(
        self, preflight: Any, job: dict[str, Any] | None = None, *, only: bool = False, **env: str
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        """Run a job that asks for checks; return how it went, and what a node's probe was told."""
        for name in ("received.json", "received.json.node", "calls"):
            (self.folder / name).unlink(missing_ok=True)
        whole = {"name": "arrival", "entrypoint": {"module": "m"}, "preflight": preflight}
        whole |= job or {}
        whole.setdefault("environment", {})["python"] = str(self.bin / "python3")
        script = render(JobSpec.model_validate(whole), checks_only=only)
        ran = subprocess.run(
            ["bash"],
            check=False,
            input=script,
            capture_output=True,
            cwd=self.work,
            timeout=60,
            text=True,
            env=self.environment(**env),
        )
        told = self.folder / "received.json.node"
        return ran, json.loads(told.read_text()) if told.exists() else {}

    @property
    def calls(self) -> list[str]:
        """What was started, in its order."""
        return (self.folder / "calls").read_text().split()

    def events(self) -> list[tuple[str, int | None]]:
        """The events of the last run, with their codes."""
        lines = map(json.loads, self.file("events/batch.jsonl").splitlines())
        return [(line["event"], line.get("code")) for line in lines]


@pytest.fixture
def machine(tmp_path: Path) -> Checked:
    return Checked(tmp_path)


def test_paths_are_read_on_the_node_byte_for_byte(machine: Checked) -> None:
    nasty = [text for text in NASTY if text.isprintable() and text and text[0] != "~"]
    read = {"~/x y": f"{machine.folder}/x y"}
    read |= {f"${{env:WHERE}}{text}": f"/it's{text}" for text in nasty if "{" not in text}
    literal = [text.replace("${", "$${") for text in nasty]
    preflight = {"checks": ["data"], "data": [*read, *literal]}
    ran, told = machine.check(preflight, WHERE="/it's")
    assert ran.returncode == 0, ran.stderr
    words = told["args"][2:]
    assert words[::3] == ["--path"] * len(read)
    assert dict(zip(words[1::3], words[2::3], strict=True)) == read
    settings = json.loads(machine.file("preflight-settings.json"))
    assert settings["data"] == [*read, *nasty]
    assert {path.name for path in machine.work.iterdir()} == {"runs"}, "something ran"


def test_directories_that_the_job_writes_to(machine: Checked) -> None:
    preflight = {"checks": ["storage"], "storage": ["/scratch/$${x}", "${env:WHERE}/c"]}
    _, told = machine.check(preflight, WHERE="/it's")
    assert told["args"][2:] == ["--path", "${env:WHERE}/c", "/it's/c"]
    settings = json.loads(machine.file("preflight-settings.json"))
    run, *others = settings["storage"]
    assert run.startswith("runs/")
    assert others == ["/scratch/${x}", "${env:WHERE}/c"]


def test_a_variable_that_a_path_reads_must_be_set(machine: Checked) -> None:
    ran, _ = machine.check({"data": ["${env:WHERE}/z"]})
    assert ran.returncode == 1
    assert "WHERE: is not set on this node, and preflight.data[0] reads it" in ran.stderr


@pytest.mark.parametrize(
    ("entrypoint", "told", "read"),
    [
        ({"module": "my.train"}, {"module": "my.train"}, []),
        ({"script": "~/a b.py"}, {"script": "~/a b.py"}, ["--path", "~/a b.py", "{home}/a b.py"]),
        ({"command": ["./a.out", "-x"]}, {"command": ["./a.out"]}, []),
    ],
)
def test_the_probe_knows_the_program(
    machine: Checked, entrypoint: dict[str, Any], told: dict[str, Any], read: list[str]
) -> None:
    _, got = machine.check(["entrypoint"], {"entrypoint": entrypoint})
    assert got["args"][2:] == [word.format(home=machine.folder) for word in read]
    assert json.loads(machine.file("preflight-settings.json"))["entrypoint"] == told


def test_it_runs_in_the_environment_of_the_program(machine: Checked) -> None:
    job = {"environment": {"network_interface": "ib0", "variables": {"A": "1", "B": "${env:A}2"}}}
    _, told = machine.check(["hosts"], job)
    got = told["environment"]
    assert (got["NCCL_SOCKET_IFNAME"], got["A"], got["B"]) == ("ib0", "1", "12")
    assert (got["MASTER_ADDR"], got["MASTER_PORT"]) == ("localhost", "15007")
    settings = json.loads(machine.file("preflight-settings.json"))
    assert (settings["checks"], settings["interface"]) == (["hosts"], "ib0")


def test_a_failed_check_stops_the_job(machine: Checked) -> None:
    ran, _ = machine.check(["hosts"], VERDICT="1")
    assert ran.returncode == 1
    assert machine.calls == ["coordinate"]
    assert machine.events()[-2:] == [("preflight", 1), ("ended", 1)]
    assert "nothing was launched; preflight.on_failure: warn" in ran.stderr


def test_a_failed_check_may_be_a_warning(machine: Checked) -> None:
    ran, _ = machine.check({"on_failure": "warn"}, VERDICT="1")
    assert ran.returncode == 0
    assert machine.calls == ["coordinate", "launch", "launch"], "torchrun and the program"
    assert machine.events() == [("preflight", 1), ("started", None), ("ended", 0)]
    assert "the preflight checks failed" in ran.stderr


@pytest.mark.parametrize("verdict", [0, 1])
def test_checks_alone_launch_nothing(machine: Checked, verdict: int) -> None:
    ran, _ = machine.check({"on_failure": "warn"}, only=True, VERDICT=str(verdict))
    assert ran.returncode == verdict
    assert machine.calls == ["coordinate"]


def test_once_a_run_of_the_script_and_not_at_each_restart(machine: Checked) -> None:
    failing = machine.bin / "report"
    failing.write_text(failing.read_text() + 'sys.exit("m" in sys.argv)\n')
    ran, told = machine.check(["hosts"], {"launcher": {"restarts": 2}}, SLURM_RESTART_COUNT="1")
    assert ran.returncode == 1
    assert machine.calls == ["coordinate", *["launch"] * 6], "torchrun and the program, thrice"
    # The port of this run's first attempt, which is the fourth of all.
    assert told["environment"]["MASTER_PORT"] == str(15007 + 3 * 1009)


@pytest.mark.parametrize("runtime", ["pyxis", "apptainer"])
def test_probes_run_in_the_container_and_the_coordinator_on_the_host(
    machine: Checked, runtime: str
) -> None:
    runtimes.write_apptainer(machine.bin)
    (machine.bin / "srun").rename(machine.bin / "srun.real")
    runtimes.write_pyxis(machine.bin, str(machine.bin / "srun.real"))
    path = f"{machine.bin}:/usr/bin:/bin"
    runtimes.write_image(machine.folder / "image", path, MASTER_ADDR="the image's", A="image")
    container = {"runtime": runtime, "image": "~/image", "mounts": ["/usr"]}
    job = {"container": container, "environment": {"variables": {"B": "${env:A}"}}}
    ran, told = machine.check(["hosts"], job)
    assert ran.returncode == 0, ran.stderr
    got = told["environment"]
    assert got["INSIDE"] == str(machine.folder / "image")
    assert (got["MASTER_ADDR"], got["B"]) == ("localhost", "image")
    assert machine.calls == ["coordinate", "launch", "launch"]


def test_the_step_has_what_the_job_has_and_is_bound_to_nothing(machine: Checked) -> None:
    job = {
        "resources": {"gpus_per_node": 4, "cpus_per_node": 32},
        "launcher": {"kind": "srun", "srun": {"gpu-bind": "single:1", "network": "job_vni"}},
    }
    machine.check(["hosts"], job)
    words = (machine.folder / "coordinator").read_text().splitlines()
    step = words[words.index("srun") : words.index("bash")]
    assert {"--ntasks-per-node=1", "--cpus-per-task=32", "--gpus-per-node=4"} <= set(step)
    assert "--network=job_vni" in step
    assert not [word for word in step if "bind" in word]


def test_the_probe_is_packed_the_same_every_day() -> None:
    text = packed()
    assert max(map(len, text.splitlines())) <= 110
    packed.cache_clear()
    assert packed() == text
    archive = zipfile.ZipFile(io.BytesIO(gzip.decompress(base64.b64decode(text))))
    names = set(archive.namelist())
    assert {"__main__.py", "probe/__main__.py", "probe/look/__init__.py"} <= names
    assert archive.testzip() is None


def test_the_unpacked_probe_runs_without_slurmkit(machine: Checked) -> None:
    machine.check(["hosts"])
    (probe,) = machine.work.glob("runs/*/7/preflight.pyz")
    isolated = [sys.executable, "-I", "-S", str(probe), "coordinate", "--help"]
    ran = subprocess.run(isolated, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "--settings" in ran.stdout


@pytest.mark.parametrize(
    ("kind", "runtime"), [("torchrun", None), ("accelerate", "pyxis"), ("srun", "apptainer")]
)
def test_scripts_are_clean(kind: str, runtime: str | None, shellcheck: str) -> None:
    job: dict[str, Any] = {
        "name": "clean",
        "resources": {"nodes": 2, "gpus_per_node": 4},
        "launcher": {"kind": kind, "restarts": 1},
        "requeue": {},
        "entrypoint": {"script": "a.py"},
        "preflight": {"data": ["~/a", "${env:B:-c}"]},
    }
    if runtime:
        job |= {"container": {"runtime": runtime, "image": "./i"}, "environment": {"venv": "~/v"}}
    for only in (False, True):
        script = render(JobSpec.model_validate(job), checks_only=only)
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
        found = subprocess.run(
            [shellcheck, "-"], input=script, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(("text", "count"), [("{{ super() }}", 1), ("", 0)])
def test_a_template_of_the_users_keeps_it_or_not(tmp_path: Path, text: str, count: int) -> None:
    own = tmp_path / "mine.j2"
    block = f"{{% block preflight %}}\necho mine\n{text}\n{{% endblock %}}\n"
    own.write_text(f'{{% extends "job.sbatch.j2" %}}\n{block}')
    job = {"name": "x", "template": str(own), "entrypoint": {"module": "m"}, "preflight": {}}
    script = render(JobSpec.model_validate(job))
    assert script.count("echo mine") == 1
    assert script.count(" coordinate --settings ") == count
    assert script.count("exec python3 -m torch.distributed.run") == 1


def test_scripts_of_hosts_are_clean(shellcheck: str) -> None:
    job = {
        "name": "clean",
        "resources": {"nodes": 2},
        "container": {"runtime": "apptainer", "image": "./i"},
        "environment": {"setup": ["ulimit -n 4096"], "variables": {"A": "${env:HOME}/a"}},
        "entrypoint": {"script": "~/a.py"},
        "preflight": {"data": ["~/a"]},
    }
    for more in ({}, {"container": None}):
        spec = JobSpec.model_validate({**job, **more})
        scripts = preflight_scripts(spec, ["a", "b"], "a", 100_000_000, "/work")
        assert [f"--node={rank}" in text for rank, text in enumerate(scripts)] == [True, True]
        for script in scripts:
            subprocess.run(["bash", "-n"], input=script, text=True, check=True)
            found = subprocess.run(
                [shellcheck, "--shell=bash", "-e", "SC1090,SC1091,SC2329", "-"],
                input=script, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert found.returncode == 0, found.stdout


def test_under_submitit_the_users_own_program_is_looked_at() -> None:
    job = {"name": "a", "entrypoint": {"script": "./train.py"}, "preflight": ["entrypoint"]}
    spec = JobSpec.model_validate(job)
    script = render(in_process(spec), job_file=spec)
    assert '"entrypoint": {"script": "./train.py"}' in script
