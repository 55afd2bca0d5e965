"""Launchers over pretend nodes. Those of jobs/ run as docs/launchers.md shows them, in its test."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page
from tests.simulate.test_command import slurmkit
from tests.slurm import programs

JOB = """
name: demo
resources: {{nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 10}}
launcher: {{kind: {kind}}}
environment: {{variables: {variables}}}
requeue: {requeue}
entrypoint: {{script: {script}}}
"""


def simulate(
    directory: Path, program: str, kind: str, *words: str, requeue: str = "null", **variables: str
) -> subprocess.CompletedProcess[str]:
    script = programs.write(directory, "program.py", program)
    given = json.dumps(variables)
    text = JOB.format(kind=kind, variables=given, requeue=requeue, script=script)
    return slurmkit(directory, "simulate", "-", *words, text=text)


@pytest.mark.proof
def test_srun_starts_one_task_a_process(tmp_path: Path) -> None:
    done = simulate(tmp_path, programs.SURROUNDINGS + programs.HELLO, "srun")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^node(\d) \| \[rank(\d)\] found (.*)$", done.stdout, re.M)
    assert sorted((node, rank) for node, rank, _ in found) == [
        (str(rank // 2), str(rank)) for rank in range(4)
    ]
    for node, rank, text in found:
        task = json.loads(text)
        assert (task["RANK"], task["LOCAL_RANK"]) == (rank, str(int(rank) % 2))
        assert task["GROUP_RANK"] == node
        assert (task["WORLD_SIZE"], task["LOCAL_WORLD_SIZE"]) == ("4", "2")
        assert (task["SLURM_NTASKS"], task["SLURM_NTASKS_PER_NODE"]) == ("4", "2")
    assert len(set(re.findall(r"world 4 rank \d", done.stdout))) == 4


def test_under_srun_the_signal_reaches_each_task_once(tmp_path: Path) -> None:
    tell = {"LEAVE_WITH": "0", "TELL": "1"}
    requeue = "{lead_time: 60}"
    words = ("--signal", "USR1@5s")
    done = simulate(tmp_path, programs.STOPPABLE, "srun", *words, requeue=requeue, **tell)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("saved on SIGUSR1") == 4
    assert done.stdout.count("resumed 1") == 4


@pytest.mark.proof
def test_lightning_saves_and_requeues_itself(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    words = ("--signal", "USR1@15s", "--set", "entrypoint.args=[--steps=5, --seconds=5]")
    requeue = "{by: program, lead_time: 60}"
    done = simulate(tmp_path, programs.LIGHTNING, "srun", *words, requeue=requeue)
    assert done.returncode == 0, done.stdout + done.stderr
    starts = re.findall(r"training: rank \d/4 local rank \d from step (\d+)$", done.stdout, re.M)
    assert len(starts) == 8
    assert starts.count("0") == 4, "it goes on where it was"
    assert done.stdout.count("ended at step 5") == 4


@pytest.mark.proof
def test_the_callback_of_the_page(tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    page = Page(ROOT / "docs" / "launchers.md")
    for block in page.blocks:
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    done = slurmkit(tmp_path, "simulate", "patient.yaml", "--preempt", "15s")
    assert done.returncode == 0, done.stdout + done.stderr
    starts = re.findall(r"\] from step (\d+)$", done.stdout, re.M)
    assert len(starts) == 8
    assert starts.count("0") == 4, "it goes on where it was"
