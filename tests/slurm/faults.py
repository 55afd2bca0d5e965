"""What is done to a training job on the test bed, and what must be true of it afterwards."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.test_end_to_end import log_of, run_directory, submit
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster
from tests.testbed.install import SYSTEM_PATH

PROGRAM = Path(__file__).with_name("paced_finetune.py")
STEPS = 24
SAVE_STEPS = 5
JOB = f"""
name: fault matrix
resources: {{nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 10}}
launcher: {{restarts: {{restarts}}}}
environment: {{variables: {{variables}}}}
entrypoint:
  script: {PROGRAM}
  config:
    model: {{name_or_path: "tiny:glm4_moe", dtype: float32}}
    data: {{dataset_path: "tiny:64", max_length: 64}}
    training: {{max_steps: {STEPS}, save_steps: {SAVE_STEPS}, learning_rate: 0.01}}
    lora: {{lora_dropout: 0.1}}
    logging: {{tensorboard: false}}
requeue: {{lead_time: 60}}
"""
ORPHANS_AFTER = 60
"""Seconds from a job's end, or a cut node's return, after which nothing of it may be left."""
STATE = re.compile(r"^\[rank(\d+)\] (.*)$", re.M)


@dataclass
class Training:
    """A job that trains on the test bed."""

    slurm: SlurmCluster
    work: Path
    id: str

    @classmethod
    def start(
        cls,
        slurm: SlurmCluster,
        work: Path,
        *options: str,
        restarts: int = 0,
        **variables: object,
    ) -> Training:
        """Submit it; variables in capitals go to `paced_finetune.py`."""
        path = work / "job.yaml"
        path.write_text(job_text(restarts, **variables), encoding="utf-8")
        return cls(slurm, work, submit(slurm, work, path, *options, wait=False))

    @property
    def run(self) -> Path:
        """Its run directory."""
        return run_directory(self.work, self.id)

    def rows(self) -> list[dict[str, float]]:
        """The rows of its log of steps."""
        return read_rows(self.run)

    def events(self) -> list[str]:
        """What the batch script says happened."""
        lines = (self.run / "events" / "batch.jsonl").read_text().splitlines()
        return [json.loads(line)["event"] for line in lines]

    def until_step(self, step: int, attempt: int = 0, timeout: float = 120) -> None:
        """Wait until a step is written down, in this attempt or a later one."""
        poll(
            self.slurm,
            lambda: (
                self.events().count("started") > attempt
                and any(row["step"] >= step for row in self.rows())
            ),
            f"step {step} in attempt {attempt} of {self.id}\n{self.tail()}",
            timeout,
        )

    def until_event(self, event: str, count: int = 1, timeout: float = 150) -> None:
        """Wait until the batch script has said it."""
        what = f"{event} of job {self.id}"
        poll(self.slurm, lambda: self.events().count(event) >= count, what, timeout)

    def until_state(self, state: str, timeout: float = 240) -> None:
        """Wait for a state, which the accounting has heard of, too."""
        end = time.monotonic() + timeout
        while (now := self.slurm.sacct(self.id)["job"]["State"]) != state:
            assert time.monotonic() < end, f"{self.id} is {now}, not {state}\n{self.tail()}"
            time.sleep(0.5)

    def pids(self) -> list[int]:
        """The job's processes on all nodes, the batch script and srun among them."""
        mark = f"SLURM_JOB_ID={self.id}\0".encode()
        place = f"={self.work}\0".encode()
        return [pid for pid, text in environments() if mark in text and place in text]

    def rank_pid(self, rank: int) -> int:
        """The process of one rank."""
        for pid in self.pids():
            with suppress(OSError):
                program = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")
                text = (Path("/proc") / str(pid) / "environ").read_bytes()
                if b"\0RANK=%d\0" % rank in text and str(PROGRAM).encode() in program:
                    return pid
        raise AssertionError(f"no process of rank {rank}")

    def tail(self) -> str:
        """The end of its output."""
        with suppress(OSError):
            return "\n".join(log_of(self.work, self.id).splitlines()[-40:])
        return ""

    def check_logs(self) -> None:
        """Each line of a rank that is in Slurm's log is in its own, which has all steps."""
        files = {path.name: path.read_text() for path in (self.run / "logs").iterdir()}
        own = {
            rank: text for name, text in files.items() for rank in re.findall(r"rank(\d+)", name)
        }
        for rank, line in STATE.findall(log_of(self.work, self.id)):
            assert line in own[rank], f"rank {rank} lost {line!r}"
        shown = {int(step) for step in re.findall(r"\bstep (\d+)\b", own["0"])}
        assert set(range(1, STEPS + 1)) <= shown, own["0"]

    def check_no_orphans(self, since: float) -> None:
        """Nothing of it is left 60 s after a moment."""
        while self.pids() and time.monotonic() < since + ORPHANS_AFTER:
            time.sleep(1)
        left = [(Path("/proc") / str(pid) / "cmdline").read_bytes() for pid in self.pids()]
        assert not left, f"{len(left)} orphans: {left}"


def job_text(restarts: int = 0, **variables: object) -> str:
    """Return the job; variables in capitals go to `paced_finetune.py`."""
    texts = {name: str(value) for name, value in variables.items()}
    text = JOB.replace("{restarts}", str(restarts))
    return text.replace("{variables}", json.dumps(texts))


def read_rows(run: Path) -> list[dict[str, float]]:
    """Read the log of steps of a run directory."""
    text = (run / "metrics" / "train_log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def losses(rows: list[dict[str, float]]) -> list[tuple[float, float]]:
    """The loss curve: each step with its loss, in the order of the file."""
    return [(row["step"], row["loss"]) for row in rows]


def environments() -> Iterator[tuple[int, bytes]]:
    """Every process of this machine, all nodes included, with its environment."""
    for path in Path("/proc").iterdir():
        if path.name.isdecimal() and int(path.name) != os.getpid():
            with suppress(OSError):
                yield int(path.name), (path / "environ").read_bytes()


def kill_node(slurm: SlurmCluster, node: str) -> None:
    """Kill slurmd and all that runs under it on a node, at one blow; its network stays up."""
    for pid in _processes_of(slurm, node):
        with suppress(OSError):
            if (Path("/proc") / str(pid) / "comm").read_text().strip() != "munged":
                os.kill(pid, signal.SIGKILL)


def revive_node(slurm: SlurmCluster, node: str) -> None:
    """Start slurmd again on a node, as after a reboot."""
    spaces = ["--net", "--uts", "--mount", "--pid"]
    enter = ["nsenter", f"--target={_first_process(slurm, node)}", *spaces, "--"]
    log = slurm.bed.layout.log / f"slurmd-{node}.out"
    environment = {"PATH": SYSTEM_PATH, "SLURM_CONF": str(slurm.bed.layout.slurm_conf)}
    with log.open("ab") as output:
        subprocess.Popen(
            [*enter, "slurmd", "-D"],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def resume_node(slurm: SlurmCluster, node: str) -> None:
    """Let Slurm use a node again that was down."""
    slurm.run(["scontrol", "update", f"nodename={node}", "state=resume"], check=True)


def _first_process(slurm: SlurmCluster, node: str) -> int:
    layout = slurm.bed.layout
    words = f"tests.testbed.host\0{layout.state}\0{layout.node_count}\0{node}\0".encode()
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            text = (path / "cmdline").read_bytes() if path.name.isdecimal() else b""
            if words in text and not text.startswith(b"unshare\0"):
                return int(path.name)
    raise AssertionError(f"no host {node}")


def _processes_of(slurm: SlurmCluster, node: str) -> list[int]:
    first = _first_process(slurm, node)
    space = (Path("/proc") / str(first) / "ns" / "pid").readlink()
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdecimal() and (path / "ns" / "pid").readlink() == space:
                found.append(int(path.name))
    return [pid for pid in found if pid != first]
