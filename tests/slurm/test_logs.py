"""`slurmkit logs` of jobs on a real Slurm: read, followed, requeued, in arrays."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from subprocess import Popen

import pytest

from tests.slurm.test_end_to_end import SLURMKIT, run_directory, submit, work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]
pytestmark = pytest.mark.usefixtures("slurm")

# Each rank says when and who it is; the last one fails in the second run.
TALK = """
import os, sys, time
from datetime import datetime
rank, attempt = int(os.environ["RANK"]), os.environ["SLURMKIT_ATTEMPT"]
for step in range(3):
    sys.stdout.buffer.write(b"%s step %d of %d in %s\\n" % (
        datetime.now().isoformat(" ").encode(), step, rank, attempt.encode()))
    print("x" * 3000)
    sys.stdout.buffer.write(b"\\xff bytes\\n1%\\r2%\\r3%\\n")
    sys.stdout.flush()
    time.sleep(0.2)
while attempt == "0" and os.environ["WAITS"] == "1":
    time.sleep(0.1)
if rank == 3:
    time.sleep(0.5)
    raise RuntimeError("this rank is broken")
print("the end", end="")
"""


def talking_job(work: Path, waits: int, *more: str) -> Path:
    (work / "talk.py").write_text(TALK)
    lines = [
        "name: talks",
        "resources: {nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 5}",
        "launcher: {kind: srun}",
        f"environment: {{variables: {{WAITS: {waits}}}}}",
        f"entrypoint: {{command: [{sys.executable}, {work / 'talk.py'}]}}",
        *more,
    ]
    (work / "job.yaml").write_text("\n".join(lines) + "\n")
    return work / "job.yaml"


def logs(slurm: SlurmCluster, work: Path, *words: str) -> tuple[int, list[str], str]:
    """Type `slurmkit logs …`; the exit code, the lines, and what it says to people."""
    line = f'{SLURMKIT} logs "$@" | iconv -f latin1; exit ${{PIPESTATUS[0]}}'
    ran = slurm.run(["bash", "-c", line, "logs", *words], cwd=work, env=state(work), timeout=90)
    return ran.returncode, ran.stdout.splitlines(), ran.stderr


def state(work: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(work / "state")}


def follow(slurm: SlurmCluster, work: Path, *words: str) -> Popen[str]:
    (work / "followed").touch()
    line = f'{SLURMKIT} logs --follow "$@" > followed 2> said'
    return slurm.start(["bash", "-c", line, "logs", *words], cwd=work, env=state(work))


def finish(process: Popen[str], timeout: float = 60) -> int:
    with process:
        process.communicate(timeout=timeout)
    return process.returncode


def test_read_followed_and_requeued(slurm: SlurmCluster, work: Path) -> None:
    job = talking_job(work, 1, "requeue: {lead_time: 60}")
    id = submit(slurm, work, job, wait=False, env=state(work))
    following = follow(slurm, work, "--all", id)
    followed = work / "followed"
    steps = re.compile(rb"step 2 of \d in 0$", re.M)
    poll(slurm, lambda: len(steps.findall(followed.read_bytes())) == 4, "first run")
    slurm.run(["scontrol", "requeue", id], check=True)

    def runs_again() -> bool:
        time.sleep(2)  # a node that has not done with the first run would not begin the second
        slurm.run(["scontrol", "update", f"jobid={id}", "starttime=now"])
        return b"in 1" in followed.read_bytes()

    poll(slurm, runs_again, "second run")
    assert finish(following) == 1
    said = (work / "said").read_text()
    assert f"job {id}: attempt 1 begins" in said
    assert f"job {id} is FAILED" in said

    seen = followed.read_bytes().splitlines()
    for rank in range(4):
        node = rank // 2 + 1
        (path,) = run_directory(work, id).glob(f"logs/node{node}.rank{rank}.log")
        written = path.read_bytes().replace(b"1%\r2%\r", b"").splitlines()
        label = b"node%d rank%d | " % (node, rank)
        assert [line.removeprefix(label) for line in seen if line.startswith(label)] == written
        assert b"x" * 3000 in written
    script = [line for line in seen if line.startswith(b"script      | ")]
    assert sum(b"processes meet at" in line for line in script) == 2
    assert not any(b"xxx" in line for line in script)
    assert len(script) + sum(line.startswith(b"node") for line in seen) == len(seen)

    code, lines, said = logs(slurm, work)
    assert code == 0
    assert {line.partition(" |")[0] for line in lines} == {"script     ", "node1 rank0"}
    assert "first to fail: rank 3 on node2 (exit code 1): RuntimeError: this rank is broken" in said
    assert "not shown: 3 more ranks" in said

    _, lines, _ = logs(slurm, work, "--all", "--grep", r"step \d of", id)
    times = [line.split(" | ")[1][:26] for line in lines]
    assert times == sorted(times)
    assert len(times) == 24

    _, lines, _ = logs(slurm, work, "--rank", "3", "-n", "1", "talks")
    assert lines == ["RuntimeError: this rank is broken"]
    _, lines, _ = logs(slurm, work, "--node", "node2", "--grep", "the end", id)
    assert lines == ["node2 rank2 | the end"]
    head = slurm.run(
        ["bash", "-c", f"{SLURMKIT} logs --all {id} | head -1"], cwd=work, env=state(work)
    )
    assert (head.returncode, head.stderr) == (0, "")


def test_from_elsewhere_and_mistakes(slurm: SlurmCluster, work: Path) -> None:
    id = submit(slurm, work, talking_job(work, 0), wait=False, env=state(work))
    other = {"XDG_STATE_HOME": str(work / "nothing")}
    ran = slurm.run(
        [SLURMKIT, "logs", "-f", "--rank", "0", "--grep", "end", id], cwd="/", env=other
    )
    assert (ran.returncode, ran.stdout) == (1, "the end\n")
    none = slurm.run([SLURMKIT, "logs"], cwd=work, env=other)
    assert (none.returncode, none.stdout) == (2, "")
    assert "no job was submitted from here" in none.stderr
    plain = slurm.submit("#!/bin/bash\nsleep 60\n", cwd=work)
    slurm.wait(plain, "RUNNING")
    for words, told in (
        (["-f", plain], f"Slurm writes its output to {work}/slurm-{plain}.out"),
        (["999999"], "Slurm does not know it"),
        ([id, "--rank", "x"], "no list of ranks"),
        ([id, "--grep", "("], "no regular expression"),
        ([id, "--rank", "9"], "nothing to show; there are logs of ranks 0 to 3"),
    ):
        ran = slurm.run([SLURMKIT, "logs", *words], cwd=work, env=state(work))
        assert told in ran.stderr
        assert ran.returncode == (0 if "9" in words else 2)


def test_ctrl_c_is_quiet(slurm: SlurmCluster, work: Path) -> None:
    id = slurm.submit(
        "#!/bin/bash\n#SBATCH --output=slurmkit-%j.out\necho begun; sleep 60", cwd=work
    )
    following = follow(slurm, work, id)
    poll(slurm, lambda: "begun" in (work / "followed").read_text(), "output")
    os.killpg(following.pid, signal.SIGINT)
    finish(following)
    assert "Traceback" not in (work / "said").read_text()
    assert "Aborted" not in (work / "said").read_text()


def array(slurm: SlurmCluster, work: Path, tasks: int, lines: int) -> str:
    """Submit an array by hand, whose tasks write as those of a sweep do."""
    script = f"""#!/bin/bash
#SBATCH --array=0-{tasks - 1} --output=slurmkit-%A_%a.out --mem=1 --cpus-per-task=1
task=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID run=$PWD/runs/sweep/$task
mkdir -p "$run"/logs "$run"/events
echo "slurmkit: task $SLURM_ARRAY_TASK_ID"
for ((line = 0; line < {lines}; line++)); do
  echo "$(date '+%F %T.%N') line $line of $task" >> "$run/logs/$SLURMD_NODENAME.rank0.log"
done
"""
    return slurm.submit(script, cwd=work)


def check_array(slurm: SlurmCluster, work: Path, tasks: int, lines: int) -> float:
    id = array(slurm, work, tasks, lines)
    following = follow(slurm, work, id)
    assert finish(following, timeout=110) == 0
    ended = time.time()
    seen = (work / "followed").read_text().splitlines()
    counts = Counter(line.split()[-1] for line in seen if " line " in line)
    assert counts == {f"{id}_{task}": lines for task in range(tasks)}
    for task in range(tasks):
        own = [line for line in seen if line.startswith(f"{id}_{task} ")]
        numbers = [int(line.split()[-3]) for line in own if " line " in line]
        assert numbers == list(range(lines))
        assert sum(f"slurmkit: task {task}" in line for line in own) == 1
    return ended


def test_an_array_followed(slurm: SlurmCluster, work: Path) -> None:
    check_array(slurm, work, tasks=3, lines=3)


@pytest.mark.proof
def test_two_hundred_array_tasks_followed_at_once(slurm: SlurmCluster, work: Path) -> None:
    check_array(slurm, work, tasks=200, lines=20)


def test_a_task_goes_by_the_name_of_its_array(slurm: SlurmCluster, work: Path) -> None:
    (work / "job.yaml").write_text(
        """name: talks
resources: {nodes: 1, cpus_per_node: 1, time: 5}
launcher: {kind: srun}
entrypoint: {command: [bash, -c, 'printf "%s\\n" 1 2 3; sleep 100']}
environment: {variables: {SEED: 0}}
sweep: {environment.variables.SEED: [0, 1]}
"""
    )
    id = submit(slurm, work, work / "job.yaml", wait=False, env=state(work))

    def have_said_all() -> bool:
        texts = [path.read_text() for path in work.glob(f"runs/talks/{id}_?/logs/*.rank0.log")]
        return len(texts) == 2 and all("3" in text for text in texts)

    poll(slurm, have_said_all, "output")
    _, lines, _ = logs(slurm, work, "talks", "-n", "2", "--rank", "0")
    ends = [f"{line.split()[0]} {line[-1]}" for line in lines]
    assert ends == [f"{id}_{task} {text}" for task in (0, 1) for text in "23"]
    _, lines, _ = logs(slurm, work, "talks_1", "--rank", "0")
    assert lines == ["1", "2", "3"]

    def type_in(*words: str) -> str:
        ran = slurm.run([SLURMKIT, *words], cwd=work, env=state(work), check=True)
        return ran.stdout + ran.stderr

    assert "job " + id + "_1 (talks) is cancelled" in type_in("cancel", "talks_1")
    slurm.wait(f"{id}_1", "CANCELLED", timeout=60)
    assert type_in("exec", "talks_0", "--", "echo", "alive").endswith("alive\n")
    assert "RUNNING" in type_in("status", "talks_0")
    assert "CANCELLED" in type_in("status", "talks_1")
