"""The Job handle, over jobs that run in the background on pretend nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import slurmkit
from slurmkit import Job, JobFailedError, SlurmError, State, UnknownJobError
from slurmkit.launch import job as launch
from slurmkit.launch import simulated
from slurmkit.launch.registry import Entry, remember
from slurmkit.launch.simulate.errors import SimulationError
from slurmkit.observe import facts
from slurmkit.slurm.states import read_state

JOB = r"""
name: two <b> & é
resources: {nodes: 2, processes_per_node: 1, cpus_per_node: 1, time: 5}
launcher: {kind: srun}
entrypoint: {command: [bash, rank.sh]}
"""
RANK = r"""
cd "$SLURMKIT_RUN_DIR"
trap 'echo "heard USR1" >> heard' USR1
mkdir -p metrics
echo "rank $RANK says hello"
if ((RANK == 0)); then
  echo '{"time": 1, "step": 1, "loss": 0.5}' >> metrics/train_log.jsonl
  echo '{"time": 2, "step": 2, "loss": 0.25}' >> metrics/train_log.jsonl
  echo '{"answer": 42}' > result.json
fi
while [[ ! -e go ]]; do sleep 0.1; done
if ((RANK == 1)); then echo "cannot go on" >&2; exit $CODE; fi
sleep 1
"""


@pytest.fixture
def submit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Job]]:
    monkeypatch.chdir(tmp_path)
    Path("job.yaml").write_text(JOB, encoding="utf-8")
    Path("rank.sh").write_text(RANK, encoding="utf-8")
    jobs: list[Job] = []

    def submit(code: int = 0, name: str = "two <b> & é") -> Job:
        spec = slurmkit.load("job.yaml")
        changed = spec.replace(name=name, environment={"variables": {"CODE": str(code)}})
        jobs.append(changed.submit(via="simulate"))
        return jobs[-1]

    yield submit
    for job in jobs:
        if not job.state().is_final:
            job.cancel()
            job.wait(30)


def go(job: Job) -> None:
    (job.run.path / "go").touch()


def until(true: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.05)


def test_a_job_that_ends_well(submit: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    job = submit()
    assert job.state().name == "RUNNING"
    until(job.run.job_file.exists)
    with pytest.raises(TimeoutError, match=f"job {job.id} has not ended after 0.3 s"):
        job.wait(0.3)
    assert job.state().phase == "live", "it goes on"
    go(job)
    seen: list[State] = []
    assert job.wait(30, watch=seen.append).name == "COMPLETED"
    assert seen[-1].name == "COMPLETED"
    with monkeypatch.context() as patch:
        patch.delattr(simulated, "_find")
        assert job.state().name == "COMPLETED", "without a look at all processes of the machine"
    assert job.result() == {"answer": 42}
    assert job.results() == [{"answer": 42}]
    assert "rank 1 says hello" in Path(f"slurmkit-{job.id}.out").read_text(encoding="utf-8")

    for again in (Job.last(), Job.from_id(job.id), Job.from_id(int(job.id)), Job.from_id(job.name)):
        assert isinstance(again, slurmkit.Job)
        assert (again.id, again.name, again.directory) == (job.id, job.name, job.directory)
        assert again.state().name == "COMPLETED"
    with pytest.raises(UnknownJobError, match="no job named 'another'"):
        Job.from_id("another")
    with pytest.raises(UnknownJobError, match="does not run any more"):
        job.cancel()

    assert list(job.metrics()["loss"]) == [0.5, 0.25]
    assert len(job.metrics("eval_log")) == 0
    html = job._repr_html_()
    assert "COMPLETED" in html
    assert ">0.25<" in html
    assert ">2<" in html, "nodes"
    assert str(job.directory) in html
    assert "two &lt;b&gt; &amp; é" in html
    assert "<script" not in html
    assert repr(job) == f"<slurmkit.Job {job.id} 'two <b> & é' by simulate>"


def test_a_job_that_fails_names_the_rank_and_its_last_words(
    submit: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    job = submit(7)
    until((job.run.path / "result.json").exists)
    go(job)
    job.logs(rank=1, follow=True)
    assert "rank 1 says hello\ncannot go on\n" in capsys.readouterr().out
    logs = job.logs(rank="0-1", grep="says")
    assert sorted(line.split("| ")[-1] for line in logs.splitlines()) == [
        "rank 0 says hello",
        "rank 1 says hello",
    ]
    assert repr(logs) == str(logs), "shown as lines"
    with pytest.raises(JobFailedError) as caught:
        job.result(30)
    text = str(caught.value)
    assert f"job {job.id} (two <b> & é) is FAILED" in text
    assert "first to fail: rank 1 on node1 (exit code 7); its log ends:" in text
    assert "    cannot go on\n" in text
    assert f"slurmkit logs {job.id} --rank 1" in text


def test_signals_cancelling_and_a_simulation_that_dies(submit: Callable[..., Job]) -> None:
    job, other = submit(name="one"), submit(name="other")
    until((job.run.path / "result.json").exists)
    job.cancel(signal="USR1")
    until((job.run.path / "heard").exists)
    assert job.state().name == "RUNNING"
    job.cancel()
    assert job.wait(30).name == "CANCELLED"
    assert "CANCELLED" in job._repr_html_()

    assert other.state().name == "RUNNING", "another job is left alone"
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in children:  # the test bed may be one as well
        if b"simulate.background" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    assert other.wait(30).name == "NODE_FAIL"


def test_a_simulation_in_the_foreground(submit: Callable[..., Job]) -> None:
    slurmkit_command = str(Path(sys.executable).with_name("slurmkit"))
    command = [slurmkit_command, "simulate", "job.yaml", "--set", "environment.variables={CODE: 7}"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as simulation:
        until(lambda: list(Path("runs").glob("*/*/result.json")))
        job = Job.last()
        assert job.entry.via == "simulate"
        assert job.state().name == "RUNNING"
        go(job)
        assert simulation.wait(30) == 1
    assert job.state().name == "FAILED"


def test_a_sweep_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write = 'echo $LR > "$SLURMKIT_RUN_DIR/result.json"'
    Path("job.yaml").write_text(
        "name: swept\nlauncher: {kind: srun}\nenvironment: {variables: {LR: 0}}\n"
        f"entrypoint: {{command: [bash, -c, {json.dumps(write)}]}}\n"
        "sweep: {environment.variables.LR: [1, 2]}\n"
    )
    job = slurmkit.load("job.yaml").submit(via="simulate")
    assert job.state().phase == "live"
    assert job.results(30) == [1, 2]
    assert job.state().name == "COMPLETED"
    assert [run.path.name for run in job.runs()] == [f"{job.id}_0", f"{job.id}_1"]
    assert Job.from_id(f"{job.id}_1").result() == 2
    with pytest.raises(ValueError, match="is an array: results"):
        job.result()


def test_what_cannot_be_simulated(submit: Callable[..., Job]) -> None:
    spec = slurmkit.load("job.yaml").replace(sbatch={"chdir": "/nowhere"})
    with pytest.raises(SimulationError, match=r"sbatch\.chdir: no directory /nowhere"):
        spec.submit(via="simulate")
    assert not list(Path().glob("*.out"))
    with pytest.raises(ValueError, match="choose one of sbatch, submitit, ssh, simulate"):
        spec.submit(via="pbs")  # type: ignore[arg-type]


class Silent(Job):
    """A job of a Slurm that is away for some looks."""

    def __init__(self, answers: list[State | SlurmError]) -> None:
        super().__init__(Entry("12", "away", ""))
        self.answers = answers

    def state(self) -> State:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, SlurmError):
            raise answer
        return answer


def test_a_controller_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_SHORTEST", 0.01)
    away = SlurmError("squeue does not reach Slurm's controller", passing=True)
    done = read_state("COMPLETED")
    assert Silent([away, read_state("RUNNING"), away, away, done]).wait(10) == done
    with pytest.raises(TimeoutError):
        Silent([away]).wait(0.1)
    with pytest.raises(SlurmError, match="knows no job"):
        Silent([SlurmError("Slurm knows no job 12"), done]).wait()
    monkeypatch.setattr(launch, "_AWAY", 0.1)
    with pytest.raises(SlurmError, match="does not reach"):
        Silent([away]).wait()


def test_a_card_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Job) -> None:
        raise SlurmError("<squeue> does not reach Slurm's controller", said="more")

    monkeypatch.setattr(facts, "look", refuse)
    html = Job.from_id(12)._repr_html_()
    assert "not known: &lt;squeue&gt; does not reach Slurm&#x27;s controller<" in html
    monkeypatch.setattr(slurmkit.api, "_PATIENCE", 0.05)
    monkeypatch.setattr(facts, "look", lambda _: time.sleep(1))
    assert "does not answer" in Job.from_id(12)._repr_html_()


def test_a_job_from_elsewhere_has_no_files_here() -> None:
    job = Job.from_id(99)
    assert (job.id, job.name, job.directory) == ("99", "", None)
    assert len(job.metrics()) == 0
    with pytest.raises(UnknownJobError, match="where the files of job 99 are"):
        _ = job.run
    with pytest.raises(UnknownJobError, match="no job was submitted from here yet"):
        Job.last()


def test_of_an_array_the_task_that_failed_is_named(tmp_path: Path) -> None:
    top = tmp_path / "runs" / "x" / "7"
    for task in (0, 1):
        (top.with_name(f"7_{task}") / "logs").mkdir(parents=True)
    (top.with_name("7_1") / "logs" / "node1.rank0.log").write_text("no data\n")
    said = "srun: error: node1: task 0: Exited with exit code 3\n"
    (tmp_path / "slurmkit-7_1.out").write_text(said)
    text = str(JobFailedError(Job(Entry("7", "x", str(top))), read_state("FAILED")))
    assert "first to fail: rank 0 on node1 (exit code 3); its log ends:" in text
    assert f"logs: {top}_1/logs\n" in text
    assert text.endswith("slurmkit logs 7_1 --rank 0")


def test_the_results_of_an_array_and_its_metrics(tmp_path: Path) -> None:
    for task, loss in ((10, 0.1), (2, 0.2)):
        run = tmp_path / "runs" / "x" / f"7_{task}"
        (run / "metrics").mkdir(parents=True)
        row = {"step": 1, "loss": loss}
        (run / "metrics" / "train_log.jsonl").write_text(json.dumps(row) + '\n{"step": 2, "lo')
    remember(Entry("7", "x", str(tmp_path / "runs" / "x" / "7")))
    job = Job.from_id("7")
    assert job.metrics().to_dict("list") == {"task": [2, 10], "step": [1, 1], "loss": [0.2, 0.1]}
    assert [run.path.name for run in job.runs()] == ["7_2", "7_10"]
    assert simulated.state(Entry("7", "x", str(tmp_path), "simulate", "simulate")).phase == "bad"
