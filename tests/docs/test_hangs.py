"""The traps of docs/hangs.md do what the page says, and their cures cure, on a real Slurm."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import slurmkit
from tests.docs import traps
from tests.docs.pages import ROOT
from tests.docs.traps import Bench, lines, script
from tests.testbed.cluster import SlurmCluster

FORMS = ("Wrong", "Right")
# Stands for whatever opens MASTER_PORT on the first node.
OPEN_PORT = """python3 - << 'END'
import os, socket
socket.create_server(("", int(os.environ["MASTER_PORT"])))
END
"""
OCCUPY = """python3 -c 'import socket, time
s = socket.create_server(("", 29500))
time.sleep(9)' 2> /dev/null &
sleep 1
"""


@pytest.fixture
def bench(slurm: SlurmCluster, tmp_path: Path) -> Iterator[Bench]:
    yield Bench(slurm, tmp_path)
    slurm.reset()


@pytest.mark.slurm
def test_the_batch_shell_reads_the_rank(bench: Bench) -> None:
    trap = "Every node waits for the others"
    (bench.work / "torchrun").write_text('#!/bin/bash\necho "$SLURMD_NODENAME: $*"\n')
    (bench.work / "torchrun").chmod(0o755)
    here = f"{traps.MEET}PATH={bench.work}:$PATH\n"
    told = []
    for form in FORMS:
        bench.run(script(trap, form, before=here))
        told.append(sorted(re.findall(r"(node\d): .*--node-rank=(\d)", bench.log())))
    assert told == [[("node1", "0"), ("node2", "0")], [("node1", "0"), ("node2", "1")]]


@pytest.mark.proof
@pytest.mark.parametrize(
    ("trap", "says"),
    [
        ("Every node waits for the others", ""),
        ("Each node waits for a master of its own", ""),
        ("Address already in use, each time", "EADDRINUSE|address already in use"),
    ],
)
@pytest.mark.slurm
def test_no_world_comes_about(bench: Bench, trap: str, says: str) -> None:
    (bench.work / "train.py").write_text(traps.WORLD)
    wrong = script(trap, "Wrong", before=traps.MEET)
    if says:
        bench.start(wrong, lambda: re.search(says, bench.log(), re.I) is not None)
    else:
        assert bench.run(wrong, patience=30) in ("RUNNING", "FAILED")
    assert "world 4" not in bench.log()
    bench.slurm.reset()
    assert bench.run(script(trap, "Right", before=traps.MEET), patience=90) == "COMPLETED"
    assert bench.log().count("world 4") == 4


@pytest.mark.proof
@pytest.mark.slurm
def test_torchrun_dies_of_the_signal_that_its_workers_handle(bench: Bench) -> None:
    trap = "The signal kills the program that should have saved"
    (bench.work / "train.py").write_text(traps.SAVES)
    for form, state in zip(FORMS, ("FAILED", "COMPLETED"), strict=True):
        text = script(trap, form, before=traps.MEET)
        bench.start(text, lambda: bench.log().count("started") == 4)
        bench.slurm.run(["scancel", "--signal=USR1", bench.job])
        assert bench.end(30) == state, bench.log()
        assert ("User defined signal 1" in bench.log()) == (form == "Wrong")
    assert bench.log().count("saved") == 4


@pytest.mark.slurm
def test_a_port_that_all_use_is_taken(bench: Bench) -> None:
    trap = "Address already in use, now and then"
    for form, state in zip(FORMS, ("FAILED", "COMPLETED"), strict=True):
        assert bench.run(script(trap, form, before=OCCUPY, after=OPEN_PORT)) == state, bench.log()
        assert ("Address already in use" in bench.log()) == (form == "Wrong")


@pytest.mark.slurm
def test_srun_lets_the_others_wait_for_a_dead_rank(bench: Bench) -> None:
    trap = "One rank is dead, and the job goes on"
    bench.program(traps.RANK_1_FAILS)
    variables = {"PATIENCE": "60"}
    assert bench.run(script(trap, "Wrong"), patience=5, variables=variables) == "RUNNING"
    assert bench.run(script(trap, "Right"), variables=variables) == "FAILED"


@pytest.mark.proof
@pytest.mark.slurm
def test_wait_kills_a_healthy_rank(bench: Bench) -> None:
    trap = "A healthy rank is killed while it saves"
    bench.program(traps.RANK_1_IS_FIRST)
    bench.run(script(trap, "Wrong").replace("--wait=60", "--wait=2"))
    assert "rank 0 saved" not in bench.log()
    assert bench.run(script(trap, "Right")) == "COMPLETED"
    assert "rank 0 saved" in bench.log()


@pytest.mark.slurm
def test_a_pipe_hides_the_crash(bench: Bench) -> None:
    trap = "COMPLETED, although the program crashed"
    bench.program("exit 3\n")
    assert [bench.run(script(trap, form)) for form in FORMS] == ["COMPLETED", "FAILED"]


@pytest.mark.proof
@pytest.mark.slurm
def test_a_trap_waits_for_the_command_in_front(bench: Bench) -> None:
    trap = "The signal before the time limit does nothing"
    bench.program("echo started\n" + traps.UNTIL_TOLD)

    def tell() -> None:
        bench.slurm.run(["scancel", "--batch", "--signal=USR1", bench.job])

    bench.run(script(trap, "Wrong", nodes=1), after_start=tell)
    assert "saved" not in bench.log()
    bench.run(script(trap, "Right", nodes=1), after_start=tell)
    assert "saved" in bench.log()


@pytest.mark.proof
@pytest.mark.slurm
def test_a_cancelled_job_is_requeued(bench: Bench) -> None:
    trap = "A cancelled job comes back"
    bench.program("echo started\nsleep 60\n")
    states = [
        bench.run(
            script(trap, form, before="#SBATCH --requeue\n", after="sleep 9\n"),
            after_start=lambda: bench.slurm.run(["scancel", bench.job]) and None,
        )
        for form in FORMS
    ]
    assert states == ["PENDING", "CANCELLED"], bench.log()


@pytest.mark.proof
@pytest.mark.slurm
def test_a_requeue_empties_the_log(bench: Bench) -> None:
    trap = "After a requeue the log is empty"
    twice = 'echo "run ${SLURM_RESTART_COUNT:-0}"\n'
    twice += "[[ $SLURM_RESTART_COUNT ]] || { scontrol requeue $SLURM_JOB_ID; sleep 30; }\n"
    for form in FORMS:
        assert bench.run(script(trap, form, after=twice, nodes=1), patience=90) == "COMPLETED"
        assert ("run 0" in bench.log(), "run 1" in bench.log()) == (form == "Right", True)


@pytest.mark.slurm
def test_options_below_a_command_are_comments(bench: Bench) -> None:
    trap = "An `#SBATCH` line has no effect"
    nodes = []
    for form in FORMS:
        bench.run(script(trap, form, after="echo nodes $SLURM_JOB_NUM_NODES\n"))
        (log,) = bench.work.glob("slurm-*.out")
        nodes.append(log.read_text())
    assert nodes == ["nodes 1\n", "nodes 2\n"]


@pytest.mark.slurm
def test_options_know_no_variables(bench: Bench) -> None:
    trap = "The log is called `$USER`"
    names = []
    for form in FORMS:
        bench.run(script(trap, form, after="echo ran\n"))
        names += [path.name for path in bench.work.glob("*.out")]
    assert names == ["$USER.out", "root.out"]


@pytest.mark.slurm
def test_a_log_in_no_directory(bench: Bench) -> None:
    trap = "FAILED, and no log anywhere"
    version = bench.slurm.run(["sinfo", "--version"]).stdout
    major, minor = map(int, re.findall(r"\d+", version)[:2])
    says = script(trap, "Wrong", after="echo ran\n")
    assert bench.run(says) == ("FAILED" if (major, minor) < (23, 2) else "COMPLETED")
    assert bool(list(bench.work.glob("logs/*.out"))) == ((major, minor) >= (23, 2))
    assert bench.run(script(trap, "Right", after="echo ran\n")) == "COMPLETED"


@pytest.mark.slurm
def test_an_outer_job_hands_on_its_options(bench: Bench) -> None:
    trap = "srun says that options exclude each other"
    bench.program("echo ran\n")
    outer = {"SLURM_MEM_PER_CPU": "10"}
    states = [bench.run(script(trap, form), variables=outer) for form in FORMS]
    assert states == ["FAILED", "COMPLETED"], bench.log()


@pytest.mark.slurm
def test_export_none_holds_for_steps(bench: Bench) -> None:
    trap = "The step knows none of my variables"
    assert bench.run(script(trap, "Wrong")) == "FAILED"
    assert bench.run(script(trap, "Right")) == "COMPLETED"
    assert bench.log() == "DATA is /data\n" * 2


@pytest.mark.parametrize(("form", "code"), [("Wrong", 141), ("Right", 0)])
def test_head_ends_a_long_pipe(form: str, code: int) -> None:
    names = "scontrol() { seq -f node%g 100000; }\n"
    text = names + lines("The script ends with code 141", form) + 'echo "$MASTER_ADDR"\n'
    ran = subprocess.run(["bash", "-c", text], check=False, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (code, "" if code else "node1\n")


def test_every_trap_is_run_or_says_that_it_is_not() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    words = r"\*[^*]*(no test|text|long test)[^*]*\*"
    silent = [
        trap
        for trap in traps.TRAPS[:-1]
        if f'"{trap}"' not in here and not re.search(words, traps.PAGE.section(trap), re.S)
    ]
    assert not silent


def rendered(*overrides: str) -> str:
    job = ROOT / "tests" / "render" / "golden" / "minimal.yaml"
    return slurmkit.render(slurmkit.load(job, overrides=overrides, profile="none"))


@pytest.mark.parametrize(
    ("overrides", "cures"),
    [
        ("launcher.rendezvous=c10d", "is_host=$((SLURM_NODEID == 0))"),
        ("launcher.restarts=1", "--max-restarts=0"),
        ("resources.nodes=2", '--local-addr="${nodes[SLURM_NODEID]}"'),
        ("environment.network_interface=ib0", "export GLOO_SOCKET_IFNAME=ib0"),
        ("resources.cpus_per_node=16", "--cpus-per-task=16"),
        ("resources.nodes=2", "OMP_NUM_THREADS"),
        ("requeue={}", "squeue -h -j \"$SLURM_JOB_ID\" -o '%A %i'"),
        ("requeue={}", "terminated"),
        ("resources.gpus_per_node=4", "#SBATCH --gpus-per-node=4"),
    ],
)
def test_the_cures_that_are_not_run_are_in_the_script(overrides: str, cures: str) -> None:
    assert cures in rendered(overrides)


def test_gpus_are_asked_for_in_one_way() -> None:
    for way in ("gpus-per-node", "gres"):
        text = rendered("resources.gpus_per_node=4", f"site.gpu_request={way}")
        assert len(set(re.findall(r"--(gpus\S*|gres)=\S*4", text))) == 1
