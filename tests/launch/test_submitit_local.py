"""`--via submitit` on a machine without Slurm: submitit's local executor, really started."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurmkit.api import Job, JobFailedError, SlurmError, SpecError, load
from tests.slurm.test_submitit import POLLS

COMMANDS = "bash cat date env grep mkdir mv nproc pgrep pkill rm sed setsid sh sleep uname"
Submit = Callable[..., Job]

WAITS = """
import os, pathlib, time
def main(config):
    pathlib.Path(os.environ["SLURMKIT_RUN_DIR"], "here-" + os.environ["RANK"]).touch()
    if os.environ["RANK"] == config.get("fails_on"):
        raise ValueError("no such expert")
    time.sleep(600)
"""
SCRIPT = """
import helper, os, sys
if __name__ == "__main__":
    print("arguments", sys.argv[1:], helper.WORD, flush=True)
    sys.exit(int(os.environ["CODE"]))
"""


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Submit]:
    """Write a program and submit it as a job of two processes; end what is left of them."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in COMMANDS.split():
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    jobs: list[Job] = []

    def do(program: str, entrypoint: str = "{module: program}", **fields: object) -> Job:
        (tmp_path / "program.py").write_text(program)
        (tmp_path / "job.yaml").write_text(
            "name: local\nresources: {processes_per_node: 2, time: 5}\n"
            f"launcher: {{kind: srun}}\nentrypoint: {entrypoint}\n"
        )
        jobs.append(load("job.yaml", profile="none").replace(fields).submit(via="submitit"))
        return jobs[-1]

    yield do
    for job in jobs:
        if str(job.state()) == "RUNNING":
            job.cancel()
            job.wait(60, show=False)
        assert not processes_of(job), "nothing goes on"


def processes_of(job: Job) -> list[str]:
    ran = subprocess.run(
        ["pgrep", "-af", str(job.directory)], capture_output=True, text=True, check=False
    )
    return ran.stdout.splitlines()


def log(job: Job, rank: int) -> str:
    return next(each.path for each in job.run.rank_logs() if each.rank == rank).read_text()


def test_it_says_so_and_gives_results(submit: Submit, capsys: pytest.CaptureFixture[str]) -> None:
    program = "import os\ndef main(config): return {'rank': os.environ['RANK'], **config}\n"
    job = submit(program, "{module: program, config: {home: '${env:PWD}'}}")
    assert "submitit's local executor runs the job on this machine" in capsys.readouterr().err
    assert job.result(60) == {"rank": "0", "home": str(Path.cwd())}
    assert [each["rank"] for each in job.results()] == ["0", "1"]
    assert str(Job.from_id(job.id).state()) == "COMPLETED"
    assert sorted(path.name for path in job.run.path.iterdir()) == [
        *("config.yaml", "events", "job.yaml", "logs", "result.json", "script.sh", "submitit")
    ]


def test_what_json_cannot_hold_comes_by_pickle_and_is_said(submit: Submit) -> None:
    job = submit("def main(config): return {1, 2}\n")
    assert job.result(60) == {1, 2}
    assert not (job.run.path / "result.json").exists()
    assert "no result.json: main(config) returned what JSON cannot hold" in log(job, 0)


def test_a_script_runs_as_itself(submit: Submit, tmp_path: Path) -> None:
    folder = tmp_path / "its own"
    folder.mkdir()
    (folder / "helper.py").write_text("WORD = 'helped'\n")
    (folder / "a script.py").write_text(SCRIPT)
    entrypoint = "{script: its own/a script.py, args: [--x, 'two words']}"
    job = submit("", entrypoint, environment={"variables": {"CODE": "0"}})
    assert job.results(60) == [None, None]
    assert "arguments ['--x', 'two words'] helped" in log(job, 1)
    job = submit("", entrypoint, environment={"variables": {"CODE": "3"}})
    with pytest.raises(JobFailedError, match=r"a script\.py ended with 3"):
        job.result(60)


def test_one_rank_that_fails_ends_the_others(submit: Submit) -> None:
    job = submit(WAITS, "{module: program, config: {fails_on: '1'}}")
    started = time.monotonic()
    with pytest.raises(JobFailedError, match=r"rank 1 raised:(?s:.*)ValueError: no such expert"):
        job.result(60)
    assert time.monotonic() - started < 30, "rank 0 sleeps for 600 s"


def test_a_module_without_main_is_told(submit: Submit) -> None:
    with pytest.raises(JobFailedError, match=r"program.*has no function main\(config\)"):
        submit("x = 1\n").result(60)


def test_the_time_limit_ends_it(submit: Submit) -> None:
    job = submit(WAITS, resources={"time": "0:02"})
    assert str(job.wait(60, show=False)) == "TIMEOUT"


def test_told_to_stop_it_comes_back_and_cancelled_it_does_not(submit: Submit) -> None:
    for signal, state in (("USR1", "COMPLETED"), (None, "CANCELLED")):
        job = submit(POLLS, requeue={"lead_time": 60})
        end = time.monotonic() + 60
        while not all("training" in text for text in texts(job)):
            assert time.monotonic() < end, texts(job)
            time.sleep(0.1)
        job.cancel(signal)
        assert str(job.wait(60, show=False)) == state, texts(job)
        if signal:
            assert job.results() == [{"run": 2, "rank": 0}, {"run": 2, "rank": 1}]


def test_a_cancelled_rank_has_time_to_save_though_another_dies_at_once(submit: Submit) -> None:
    slow = (
        "import os, pathlib, signal, sys, time\n"
        "run = pathlib.Path(os.environ['SLURMKIT_RUN_DIR'])\n"
        "def save(*_):\n    time.sleep(2.5)\n    (run / 'saved').touch()\n    sys.exit(0)\n"
        "def main(config):\n"
        "    if os.environ['RANK'] == '0':\n        signal.signal(signal.SIGTERM, save)\n"
        "    (run / ('here-' + os.environ['RANK'])).touch()\n    time.sleep(600)\n"
    )
    job = submit(slow)
    end = time.monotonic() + 60
    while len(list(job.run.path.glob("here-*"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.1)
    job.cancel()
    assert str(job.wait(60, show=False)) == "CANCELLED"
    assert (job.run.path / "saved").exists()


def test_a_program_that_never_asks_is_called_again(submit: Submit, tmp_path: Path) -> None:
    waits = (
        "import os, pathlib, time\n"
        "if os.environ['SLURMKIT_ATTEMPT'] == '0':\n"
        "    pathlib.Path(os.environ['SLURMKIT_RUN_DIR'], 'here').touch()\n"
        "    time.sleep(600)\n"
    )
    job = submit(waits, "{script: program.py}", requeue={}, resources={"processes_per_node": 1})
    end = time.monotonic() + 60
    while not (job.run.path / "here").exists():
        assert time.monotonic() < end
        time.sleep(0.1)
    job.cancel("USR1")
    assert str(job.wait(60, show=False)) == "COMPLETED", log(job, 0)
    assert "Traceback" not in log(job, 0)


def test_a_module_that_exits(submit: Submit) -> None:
    program = "import os, sys\ndef main(config): sys.exit(int(os.environ['CODE']))\n"
    job = submit(program, environment={"variables": {"CODE": "0"}})
    assert job.results(60) == [None, None]
    job = submit(program, environment={"variables": {"CODE": "3"}})
    with pytest.raises(JobFailedError, match="module: program ended with 3"):
        job.result(60)


def texts(job: Job) -> list[str]:
    return [each.path.read_text() for each in job.run.rank_logs()] or [""]


def test_several_nodes_and_sbatchs_options_are_refused(submit: Submit) -> None:
    with pytest.raises(SpecError, match=r"resources\.nodes: 2 nodes, but there is no sbatch here"):
        submit("", resources={"nodes": 2})
    with pytest.raises(SpecError, match="depends_on: there is no sbatch here"):
        submit("", depends_on={"afterok": ["12"]})
    from slurmkit.launch import submitit

    with pytest.raises(SlurmError, match="--hold is an option of sbatch"):
        submitit.submit(load("job.yaml", profile="none"), ["--hold"])


def test_the_script_of_a_job_is_plain_bash(submit: Submit) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    job = submit(
        "def main(config): pass\n",
        "{module: program, config: {x: '${env:HOME}'}, args: [\"it's\"]}",
        environment={"variables": {"A": "it's $HOME"}, "setup": ["umask 002"]},
        sbatch={"chdir": "."},
    )
    job.result(60)
    ran = subprocess.run(
        [shellcheck, job.run.path / "script.sh"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
