"""The traps of docs/hangs.md as scripts: the page's own lines, in a frame that can run."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.docs.pages import ROOT, Page
from tests.testbed.cluster import FINAL, SlurmCluster

PAGE = Page(ROOT / "docs" / "hangs.md")
TRAPS = re.findall(r"^## (.*)$", PAGE.text, re.M)
# Each of four processes says how many they are; what hangs says nothing.
WORLD = """import torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor(1)
dist.all_reduce(total)
print(f"world {total.item()}\\n", end="", flush=True)
dist.barrier()
dist.destroy_process_group()
"""
SAVES = """import signal, time
def save(number, frame):
    time.sleep(2)
    print("saved", flush=True)
    raise SystemExit
signal.signal(signal.SIGUSR1, save)
print("started", flush=True)
time.sleep(60)
"""
RANK_1_FAILS = 'if [[ $SLURM_PROCID == 1 ]]; then exit 1; fi\nsleep "$PATIENCE"\n'
RANK_1_IS_FIRST = 'if [[ $SLURM_PROCID == 1 ]]; then exit 0; fi\nsleep 5\necho "rank 0 saved"\n'
UNTIL_TOLD = "for ((i = 0; i < 25; i++)); do [[ ! -e SAVE ]] || exec echo saved; sleep 0.2; done\n"

MEET = """export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 1p)
export MASTER_PORT=$((15000 + SLURM_JOB_ID % 17000))
"""

_HEAD = "#!/bin/bash\n#SBATCH --time=2 --output=job.out\n"
_TWO_NODES = _HEAD + "#SBATCH --nodes=2 --ntasks-per-node=1\n"


def lines(trap: str, form: str) -> str:
    """Give the lines of a trap: `Wrong` or `Right`."""
    section = PAGE.section(trap)
    (found,) = re.findall(rf"^{form}:\n\n```bash\n(.*?)^```$", section, re.M | re.S)
    return str(found)


def script(trap: str, form: str, *, before: str = "", after: str = "", nodes: int = 2) -> str:
    """Make a batch script of a trap's lines."""
    text = lines(trap, form)
    if text.startswith("#!"):
        return text + after
    head = _TWO_NODES if nodes == 2 else _HEAD
    if "#SBATCH --output" in text:
        head = head.replace(" --output=job.out", "")
    options = "".join(re.findall(r"^#SBATCH.*\n", text, re.M))
    rest = text.replace(options, "")
    return head + options + before + rest + after


class Bench:
    """A directory and a cluster in which scripts of the page run."""

    def __init__(self, slurm: SlurmCluster, work: Path) -> None:
        self.slurm = slurm
        self.work = work
        self.job = ""

    def program(self, text: str) -> None:
        """Write the page's `train.sh`."""
        path = self.work / "train.sh"
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)

    def run(
        self,
        text: str,
        patience: float = 30,
        after_start: Callable[[], object] | None = None,
        variables: dict[str, str] | None = None,
    ) -> str:
        """Submit a script; give its state when it has ended, come back, or when patience has."""
        started = (lambda: "started" in self.log()) if after_start else None
        self.start(text, started, variables)
        if after_start:
            after_start()
        return self.end(patience, or_pending=after_start is not None)

    def start(
        self,
        text: str,
        started: Callable[[], bool] | None = None,
        variables: dict[str, str] | None = None,
    ) -> None:
        """Submit a script, and wait until it has started."""
        for old in (*self.work.glob("*.out"), self.work / "SAVE"):
            old.unlink(missing_ok=True)
        (self.work / "job.sbatch").write_text(text)
        path = f"{Path(sys.executable).parent}:{self.slurm.env['PATH']}"
        env = {"PATH": path, **(variables or {})}
        ran = self.slurm.run(["sbatch", "--parsable", "job.sbatch"], cwd=self.work, env=env)
        assert ran.returncode == 0, ran.stderr
        self.job = ran.stdout.strip()
        if started:
            self.until(started)

    def end(self, patience: float, or_pending: bool = False) -> str:
        """Give the job's state when it has ended, or when patience has."""
        over = FINAL | {"PENDING"} if or_pending else FINAL
        end = time.monotonic() + patience
        while (state := self.slurm.job_state(self.job)) not in over and time.monotonic() < end:
            time.sleep(0.2)
        return state

    def until(self, holds: Callable[[], bool], timeout: float = 30) -> None:
        """Wait for something."""
        end = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < end, f"{self.log()}\n{self.slurm.logs()}"
            time.sleep(0.1)

    def log(self) -> str:
        """Give what the job has said."""
        path = self.work / "job.out"
        return path.read_text() if path.exists() else ""
