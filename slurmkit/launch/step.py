"""A command on the nodes of a running job: a step beside the others, which takes nothing away."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from slurmkit.launch.chosen import is_on_slurm
from slurmkit.launch.control import unknown
from slurmkit.launch.registry import Entry, UnknownJobError
from slurmkit.slurm.commands import SlurmError, clean_environment
from slurmkit.slurm.hostlist import expand_nodelist
from slurmkit.slurm.queue import find_records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from slurmkit.slurm.records import Record


def running_record(entry: Entry) -> Record:
    """Return the record of a job, or of the one task of an array, that runs.

    Raises:
        UnknownJobError: nobody knows it, or several of its tasks run.
        SlurmError: it does not run, or not under Slurm, or Slurm cannot be asked.
    """
    if not is_on_slurm(entry):
        raise SlurmError(
            f"job {entry.id} does not run under Slurm ({entry.via})",
            fix="log in where it runs, and type the command there",
        )
    records = find_records([entry.id])
    if not records:
        raise UnknownJobError(unknown(entry.id))
    live = [record for record in records if record.state.name == "RUNNING"]
    if len(live) > 1:
        tasks = ", ".join(record.id for record in live[:10]) + (" …" if len(live) > 10 else "")
        raise UnknownJobError(f"{len(live)} tasks of array {entry.id} run; name one: {tasks}")
    if not live:
        state, reason = records[0].state, records[0].reason
        why = "" if reason.is_none else f" ({reason.words})"
        raise SlurmError(
            f"job {entry.id} is {state}{why}: a command runs only beside a job that runs",
            fix="wait until it runs" if state.phase == "waiting" else f"slurmkit logs {entry.id}",
        )
    return live[0]


def choose_node(record: Record, node: str) -> str:
    """Return the name of one of a job's nodes: by name, or by its number from 0.

    Raises:
        UnknownJobError: it is not one of the job's.
    """
    nodes = expand_nodelist(record.node_list)
    if node in nodes:
        return node
    if node.isdecimal() and int(node) < len(nodes):
        return nodes[int(node)]
    raise UnknownJobError(
        f"job {record.id} does not run on {node!r}: its nodes are {record.node_list}"
    )


def srun_command(record: Record, command: Sequence[str], node: str | None = None) -> list[str]:
    """Return the srun line of a step over a job's nodes, or one of them.

    It asks for no GPUs of its own: so it sees those of the job, which --overlap shares.
    """
    where = [f"--nodelist={node}", "--nodes=1"] if node else [f"--nodes={record.nodes}"]
    return [
        *("srun", f"--jobid={record.raw_id}", "--overlap", *where, "--ntasks-per-node=1"),
        *(f"--ntasks={1 if node else record.nodes}", "--cpus-per-task=1", "--mem=0"),
        *("--export=ALL", "--kill-on-bad-exit=0", "--wait=0", *([] if node else ["--label"])),
        *(["--pty"] if node and sys.stdin.isatty() and sys.stdout.isatty() else []),
        *command,
    ]


def run(record: Record, command: Sequence[str], node: str | None = None) -> int:
    """Run a command on each node, its lines led by the node's name; on one node as it is.

    Returns:
        The highest exit code.

    Raises:
        SlurmError: there is no srun here.
    """
    words = srun_command(record, command, node)
    environment = clean_environment(os.environ)
    pipe = None if node else subprocess.PIPE
    stdin = None if node else subprocess.DEVNULL
    try:
        process = subprocess.Popen(words, env=environment, stdin=stdin, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise SlurmError(
            f"srun cannot be run: {error.strerror}",
            fix="run this on a machine of the cluster, a login node for instance",
        ) from None
    nodes = [name.encode() for name in expand_nodelist(record.node_list)]
    readers = [
        threading.Thread(target=_name_lines, args=(stream, out.buffer, nodes, process))
        for stream, out in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    while True:
        try:
            for reader in readers:
                reader.join()
            return process.wait()
        except KeyboardInterrupt:  # srun has got it too: a second one within a second ends it
            continue


def _name_lines(
    stream: IO[bytes], out: IO[bytes], nodes: list[bytes], process: subprocess.Popen[bytes]
) -> None:
    """Write lines on, with the node's name in the place of srun's task number."""
    with stream:
        for line in stream:
            number, _, text = line.partition(b":")
            task = int(number) if number.strip().isdigit() else len(nodes)
            try:
                out.write(nodes[task] + b":" + text if task < len(nodes) else line)
                out.flush()
            except BrokenPipeError:  # | head: nobody reads on, so nothing need run on
                os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
                process.terminate()
