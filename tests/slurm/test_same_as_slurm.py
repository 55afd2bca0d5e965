"""The same scripts on a real Slurm and in a simulation: variables, output, events and states.

What must differ is put into the same words first: job ids, times, and the names of nodes, which
are node1 and node2 on the test bed, node0 and node1 in a simulation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.simulate import simulation
from tests.slurm.test_end_to_end import work
from tests.slurm.test_requeue import poll
from tests.testbed.cluster import SlurmCluster

__all__ = ["work"]

HEAD = "#SBATCH --job-name=demo --time=10\n"
TWO_NODES = HEAD + "#SBATCH --nodes=2 --ntasks-per-node=2 --cpus-per-task=1\n"

# Those that scripts and programs read. Of the rest, some are a cluster's own affair.
JOB_IDS = ("SLURM_JOB_ID", "SLURM_JOBID")
COMPARED = [
    *JOB_IDS,
    *("SLURM_JOB_NAME", "SLURM_JOB_NODELIST", "SLURM_NODELIST"),
    *("SLURM_JOB_NUM_NODES", "SLURM_NNODES", "SLURM_NTASKS", "SLURM_NPROCS"),
    *("SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE", "SLURM_CPUS_PER_TASK"),
    *("SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE", "SLURM_GPUS_ON_NODE"),
    *("SLURM_GPUS_PER_NODE", "SLURM_MEM_PER_NODE", "SLURM_RESTART_COUNT"),
    *("SLURM_NODEID", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_GTIDS", "SLURMD_NODENAME"),
    *("SLURM_STEP_ID", "SLURM_STEPID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_NODES"),
    *("SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_SUBMIT_DIR"),
    *("SLURM_JOB_USER", "SLURM_JOB_UID", "SLURM_TOPOLOGY_ADDR", "ENVIRONMENT"),
]


@dataclass(frozen=True)
class Ran:
    """What a script did in one of the two places, in words that are the same in both."""

    state: str
    code: int
    log: list[str]
    """The lines of its standard output."""
    folder: Path
    job_id: str

    def variables(self, name: str) -> dict[str, str]:
        """Read what `env -0` wrote into a file, as far as it is compared."""
        text = (self.folder / f"{name}.env").read_text(encoding="utf-8")
        pairs = dict(pair.split("=", 1) for pair in text.split("\0") if pair)
        found = {key: pairs[key] for key in COMPARED if key in pairs}
        found |= {name: "JOB" for name in JOB_IDS if found.get(name) == self.job_id}
        return {key: value.replace(str(self.folder), "HERE") for key, value in found.items()}


def _one_less(text: str) -> str:
    """Call the nodes of the test bed as those of a simulation."""
    text = text.replace("node[1-2]", "node[0-1]")
    return re.sub(r"\bnode(\d)\b", lambda found: f"node{int(found[1]) - 1}", text)


def really(slurm: SlurmCluster, work: Path, body: str, directives: str, *options: str) -> Ran:
    """Run a script on the test bed."""
    folder = work / "really"
    folder.mkdir()
    script = f"#!/bin/bash\n{directives}{body}\n"
    job_id = slurm.submit(script, "--output=out", "--error=err", *options, cwd=folder)
    state, code = ended(slurm, job_id)
    for file in folder.iterdir():
        file.write_text(_one_less(file.read_text(encoding="utf-8")), encoding="utf-8")
    lines = (folder / "out").read_text(encoding="utf-8").splitlines()
    return Ran(state, code, lines, folder, job_id)


def ended(slurm: SlurmCluster, job_id: str, timeout: float = 120) -> tuple[str, int]:
    """Wait for the end of a job; return its state and exit code, as the controller has them."""
    final = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
    poll(slurm, lambda: slurm.job_state(job_id) in final, f"end of {job_id}", timeout)
    shown = slurm.run(["scontrol", "--oneliner", "show", "job", job_id], check=True).stdout
    fields = dict(word.split("=", 1) for word in shown.split() if "=" in word)
    return fields["JobState"], int(fields["ExitCode"].split(":")[0])


def pretended(work: Path, body: str, directives: str, **trouble: Any) -> Ran:
    """Run a script in a simulation."""
    folder = work / "pretended"
    folder.mkdir()
    done = simulation.simulate(
        folder, body, directives=directives, gpus=list("0123"), trouble=trouble
    )
    assert done.outcome, done.stderr
    job_id = str(done.outcome["job_id"])
    text = re.sub(r"^node\d \| ", "", done.stdout, flags=re.MULTILINE)  # its one addition
    lines = text.splitlines()
    (folder / "err").write_text(done.stderr)
    return Ran(done.outcome["state"], done.outcome["code"], lines, folder, job_id)


def both(slurm: SlurmCluster, work: Path, body: str, directives: str = TWO_NODES) -> list[Ran]:
    return [really(slurm, work, body, directives), pretended(work, body, directives)]


@pytest.mark.parametrize(
    ("directives", "options"),
    [
        ("--nodes=2 --ntasks-per-node=1 --cpus-per-task=2", ""),
        ("--nodes=2 --ntasks-per-node=4 --cpus-per-task=2", ""),
        (
            "--nodes=2 --ntasks-per-node=4 --cpus-per-task=2",
            "--ntasks-per-node=4 --cpus-per-task=2",
        ),
        ("--nodes=2 --ntasks-per-node=1 --cpus-per-task=4", "--nodes=2 --ntasks-per-node=4"),
        ("--nodes=2 --ntasks-per-node=1 --cpus-per-task=4 --gpus-per-node=2", "-c4"),
        ("-N 2 -n 3 --mem=100", ""),
        ("--nodes=2 --ntasks-per-node=2 --cpus-per-task=2", "--exact -n1"),
        ("--nodes=2", "--overlap --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 --mem=0"),
        ("--nodes=2", "-n3"),
        ("--ntasks=4", ""),
    ],
)
def test_variables(slurm: SlurmCluster, work: Path, directives: str, options: str) -> None:
    body = f"env -0 > batch.env; srun {options} bash -c 'env -0 > task$SLURM_PROCID.env'; echo $?"
    real, pretend = both(slurm, work, body, f"{HEAD}#SBATCH {directives}\n")
    names = sorted(path.stem for path in real.folder.glob("*.env"))
    assert names == sorted(path.stem for path in pretend.folder.glob("*.env"))
    for name in names:
        assert pretend.variables(name) == real.variables(name), name
    assert pretend.log == real.log


def test_our_launcher_of_a_task_a_process(slurm: SlurmCluster, work: Path) -> None:
    """As scripts of `launcher.kind: srun` do: what sbatch was asked for is cleared first."""
    body = (
        'unset "${!SLURM_NTASKS@}" SLURM_{CPUS_PER_TASK,DISTRIBUTION,NPROCS,TASKS_PER_NODE}\n'
        "srun --export=ALL --nodes=2 --ntasks-per-node=4 --cpus-per-task=1 --kill-on-bad-exit=1 "
        "--wait=0 bash -c 'env -0 > task$SLURM_PROCID.env'"
    )
    real, pretend = both(slurm, work, body, f"{HEAD}#SBATCH --nodes=2 --ntasks-per-node=4\n")
    for rank in range(8):
        variables = real.variables(f"task{rank}")
        assert pretend.variables(f"task{rank}") == variables
        assert variables["SLURM_NTASKS_PER_NODE"] == "4"
        assert (int(variables["SLURM_NODEID"]), int(variables["SLURM_LOCALID"])) == divmod(rank, 4)


# A signal may end a `sleep` before it comes to its shell: then `wait` would not meet the trap.
SCRIPTS = {
    "exit codes": """
        for command in 'exit $SLURM_PROCID' 'kill -9 $$' 'kill -USR1 $$' 'exit 255' true; do
          srun bash -c "$command"; echo $?
        done
        srun ./nothing; echo $?
        srun -n9 true; echo $?
        srun; echo $?
        exit 7
    """,
    "one bad exit": """
        srun -K bash -c '((SLURM_PROCID == 1)) && exit 3; sleep 60'; echo $?
        srun bash -c '((SLURM_PROCID == 1)) && exit 3; sleep 1; echo goes on'; echo $?
    """,
    "set -e": "set -e\nsrun bash -c 'exit 4'\necho not reached",
    "background and wait": """
        srun --exact -n1 bash -c 'sleep 1; exit 5' & first=$!
        srun --exact -n1 bash -c 'exit 6' & second=$!
        wait $first; echo $?; wait $second; echo $?
    """,
    "steps one after another, for want of CPUs": """
        srun bash -c 'sleep 2; echo first' & sleep 1
        srun -n1 echo second; wait
        srun bash -c 'sleep 2; echo third' & sleep 1
        srun --overlap -n1 echo meanwhile; wait
    """,
    "many steps": """
        for i in 1 2 3; do srun -n1 --exact bash -c 'echo $SLURM_STEP_ID.$SLURM_NTASKS'; done
    """,
    "a pipe": "printf 'a\\nb\\n' | srun -N1 -n1 cat; seq 3 | srun -n2 tail -n1",
    "host names": """
        scontrol show hostnames | wc -l
        scontrol show hostnames "$SLURM_JOB_NODELIST" | wc -l
        srun -N2 -n2 --ntasks-per-node=1 bash -c 'echo $SLURMD_NODENAME'
    """,
    "squeue": """
        [[ $(squeue -h -j $SLURM_JOB_ID -o '%i %A') == "$SLURM_JOB_ID $SLURM_JOB_ID" ]] && echo id
        squeue -h -j $SLURM_JOB_ID -o %T
        [[ $(date -d "$(squeue -h -j $SLURM_JOB_ID -o %e)" +%s) -gt $(date +%s) ]] && echo later
        squeue -h -j $SLURM_JOB_ID -O restartcnt | tr -d ' '
    """,
    "a signal to srun": """
        srun bash -c 'trap "echo told; exit 0" USR1; touch up$SLURM_PROCID
                      while :; do sleep 0.2; done' &
        until [[ -e up0 && -e up1 && -e up2 && -e up3 ]]; do sleep 0.1; done; sleep 1
        kill -USR1 $!; wait $!; echo $?
    """,
    "a term to srun": """
        srun bash -c 'touch up$SLURM_PROCID; sleep 60' &
        until [[ -e up0 && -e up1 && -e up2 && -e up3 ]]; do sleep 0.1; done
        kill $!; wait $!; echo $?
    """,
    "requeue": """
        echo "${SLURM_RESTART_COUNT-none}" >> runs.txt
        [[ -n ${SLURM_RESTART_COUNT-} ]] && { cat runs.txt; exit 3; }
        srun sleep 60 &
        sleep 1; scontrol requeue $SLURM_JOB_ID; sleep 30; echo not reached
    """,
    "scancel": """
        trap 'squeue -h -j $SLURM_JOB_ID -o %T; exit 9' TERM
        srun bash -c 'trap "echo task; exit 0" TERM; while :; do sleep 0.2; done' &
        sleep 2; scancel $SLURM_JOB_ID; sleep 30
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_that_people_write(slurm: SlurmCluster, work: Path, name: str) -> None:
    real, pretend = both(slurm, work, SCRIPTS[name])
    assert sorted(pretend.log) == sorted(real.log)
    assert pretend.state == real.state
    if real.state != "CANCELLED":  # accounting keeps no code of the script's then
        assert pretend.code == real.code
