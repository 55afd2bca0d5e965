"""A Slurm cluster for tests: run commands on it, watch jobs, break it, mend it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testbed.bed import Bed, find_bed, new_state, start_bed, stop_bed
from tests.testbed.warden import log_tails

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import IO

    Word = str | Path

FINAL = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "DEADLINE"})
"""States that a job does not leave on its own."""


class SlurmCluster:
    """Two or more nodes, a login host that is also the controller, and their accounting.

    Use it as a context manager; it ends with this process, however that ends. Nodes share the
    machine's file system, and have names, addresses, process ids and a munged of their own. They
    reach each other and nothing else. With `root`, the folder of another Debian, that one's Slurm
    runs; see `debian.lay_out`.
    """

    def __init__(self, node_count: int = 2, root: Path | None = None) -> None:
        self._node_count = node_count
        self._root = root
        self._bed: Bed | None = None

    def __enter__(self) -> SlurmCluster:
        """Bring the cluster up."""
        self._bed = start_bed(new_state(), self._node_count, os.getpid(), self._root)
        return self

    def __exit__(self, *_: object) -> None:
        """Take it down completely."""
        if self._bed is not None:
            stop_bed(self._bed)
            self._bed = None

    @classmethod
    def attach(cls, state: Path) -> SlurmCluster:
        """Use a cluster that is up already, as by `make slurm-up`."""
        cluster = cls()
        cluster._bed = find_bed(state)
        return cluster

    @property
    def bed(self) -> Bed:
        """What the cluster is made of."""
        assert self._bed is not None, "the cluster is not up: use it in a `with` statement"
        return self._bed

    @property
    def state(self) -> Path:
        """The directory of its configuration and logs."""
        return self.bed.layout.state

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes: node1, node2, …"""
        return self.bed.layout.nodes

    @property
    def env(self) -> dict[str, str]:
        """The environment in which `run` runs a command of root."""
        return self.bed.environment("root")

    def start(
        self,
        argv: Sequence[Word],
        *,
        user: str | None = None,
        cwd: Word | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[str] = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start a command on the login host; stdout and stderr are pipes. See `run`.

        It is a session of its own: `os.killpg(process.pid, …)` reaches all of it.
        """
        name = user or "root"
        home = self.bed.home(name)
        return subprocess.Popen(
            [*self.bed.enter(name, Path(cwd or home)), *map(str, argv)],
            env={**self.bed.environment(name), **(env or {})},
            cwd="/",
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self,
        argv: Sequence[Word],
        *,
        user: str | None = None,
        cwd: Word | None = None,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        timeout: float = 60,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user (root) types it on the login host, and wait for it.

        Args:
            argv: The command and its arguments.
            user: An ordinary user; `nobody` is on every machine.
            cwd: Where it runs; the user's home directory when not given.
            env: Variables beyond those of a fresh login.
            input: Its standard input.
            timeout: Seconds; after that all it started is killed, and TimeoutExpired raised.
            check: Whether an exit code other than 0 is an AssertionError that shows the logs.
        """
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        with self.start(argv, user=user, cwd=cwd, env=env, stdin=stdin) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
        done = subprocess.CompletedProcess([*map(str, argv)], process.returncode, out, err)
        if check:
            assert done.returncode == 0, f"{done}\n{self.logs()}"
        return done

    def submit(
        self,
        script: str,
        *options: str,
        user: str | None = None,
        cwd: Word | None = None,
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Hand a batch script to sbatch on its standard input; give the job's id."""
        command = ["sbatch", "--parsable", *options]
        return self.run(
            command, user=user, cwd=cwd, env=env, input=script, check=True
        ).stdout.strip()

    def job_state(self, job_id: str) -> str:
        """Ask the controller, and failing that the accounting, for a job's state."""
        shown = self.run(["scontrol", "--oneliner", "show", "job", job_id]).stdout
        for word in shown.split():
            if word.startswith("JobState="):
                return word.removeprefix("JobState=")
        return self.sacct(job_id)["job"]["State"]

    def wait(self, job_id: str, states: str | Collection[str], timeout: float = 60) -> str:
        """Wait until a job is in one of these states; fail when it has ended in another one."""
        wanted = {states} if isinstance(states, str) else set(states)
        deadline = time.monotonic() + timeout
        while (state := self.job_state(job_id)) not in wanted:
            late = time.monotonic() > deadline
            if late or state in FINAL:
                when = f"after {timeout:g} s" if late else "and stays so"
                raise AssertionError(
                    f"job {job_id} is {state} {when}, expected {sorted(wanted)}\n{self.logs()}"
                )
            time.sleep(0.1)
        return state

    def sacct(self, job_id: str, timeout: float = 20) -> dict[str, dict[str, str]]:
        """Ask the accounting for a job: the fields of the `job`, `batch`, and steps `0`, `1`, …

        `State` is one word (`CANCELLED`, not `CANCELLED by 0`). Waits for a job that is not there
        yet, and for the rows of a job that is over to be over too.
        """
        fields = ["JobID", "JobName", "User", "State", "ExitCode", "NodeList", "Elapsed", "End"]
        query = ["sacct", "--parsable2", "--noheader", f"--format={','.join(fields)}"]
        deadline = time.monotonic() + timeout
        while True:
            rows: dict[str, dict[str, str]] = {}
            for line in self.run([*query, f"--jobs={job_id}"], check=True).stdout.splitlines():
                row = dict(zip(fields, line.split("|"), strict=True))
                row["State"] = row["State"].split()[0]
                rows[row["JobID"].partition(".")[2] or "job"] = row
            if "job" in rows and not _lags(rows):
                return rows
            if time.monotonic() > deadline:
                raise AssertionError(f"sacct says of job {job_id}: {rows}\n{self.logs()}")
            time.sleep(0.1)

    def cut(self, node: str) -> None:
        """Pull a node's network cable."""
        self.run(["ip", "link", "set", node, "down"], check=True)

    def restore(self, node: str) -> None:
        """Plug a node's network cable in again."""
        self.run(["ip", "link", "set", node, "up"], check=True)

    def logs(self, lines: int = 15) -> str:
        """Give the last lines of every daemon's log."""
        return log_tails(self.bed.layout, lines)

    def reset(self, timeout: float = 60) -> None:
        """Cancel all jobs, mend the network, and wait until every node is idle."""
        for node in self.nodes:
            self.restore(node)
        deadline = time.monotonic() + timeout
        while not self._is_quiet():
            if time.monotonic() > deadline:
                shown = self.run(["scontrol", "show", "node"]).stdout
                raise AssertionError(f"not idle {timeout:g} s after reset:\n{shown}{self.logs()}")
            time.sleep(0.1)

    def _is_quiet(self) -> bool:
        jobs = self.run(["squeue", "--noheader", "--format=%A"], check=True).stdout.split()
        if jobs:
            self.run(["scancel", "--quiet", *jobs])
            # Even `scancel --signal=KILL` grants KillWait seconds: end the tasks ourselves.
            self.run(["bash", "-c", 'pkill -KILL --parent "$(pgrep -d, -x slurmstepd)"'])
            return False
        look = ["sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T"]
        states = [line.split() for line in self.run(look, check=True).stdout.splitlines()]
        for node, state in states:
            if state.startswith(("down", "drain", "drng")):
                self.run(["scontrol", "update", f"nodename={node}", "state=resume"])
        return all(state == "idle" for _, state in states)


def _lags(rows: Mapping[str, Mapping[str, str]]) -> bool:
    """Tell whether the accounting has yet to hear of the job's name, or of the end of a step."""
    # What slurmdbd 22.05 makes up, of user root, until it hears of the job's start: up to 5 s.
    nameless = rows["job"]["JobName"] == "allocation"
    over = rows["job"]["End"] != "Unknown"
    if not over and rows.get("batch", {"End": "Unknown"})["End"] != "Unknown":
        return True  # the script is over, and the job will be
    return nameless or (over and any(row["End"] == "Unknown" for row in rows.values()))
