"""`slurmkit doctor` as people and programs call it, and the verdict in status and simulate."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLURMKIT = Path(sys.executable).with_name("slurmkit")
JOB = """\
name: broken
resources: {nodes: 2, processes_per_node: 2, cpus_per_node: 2, time: 5}
launcher: {kind: srun}
entrypoint: {script: train.py}
"""
TRAIN = """\
import os, time
print("step 1", flush=True)
if os.environ["SLURM_PROCID"] == "3":
    {}["train"]
time.sleep(60)
"""
LOG = """\
step 1 loss 2.0
3: torch.OutOfMemoryError: CUDA out of memory. Tried
srun: error: n2: task 3: Exited with exit code 1
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}


def kit(folder: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SLURMKIT, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_simulated_job_by_name_by_directory_and_as_the_last(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "train.py").write_text(TRAIN)
    ran = kit(tmp_path, environment, "simulate", "job.yaml")
    assert ran.returncode == 1
    verdict = "D50 the program raised an exception (rank 3 on node1): KeyError: 'train'"
    assert verdict in ran.stderr.splitlines()[-2], "the last line is the job's end"
    (directory,) = (tmp_path / "runs" / "broken").iterdir()
    for named in ([], ["broken"], [directory.name], [str(directory)]):
        found = kit(tmp_path, environment, "doctor", *named, "--json")
        assert found.returncode == 0, found.stderr
        data = json.loads(found.stdout)
        first = data["findings"][0]
        assert (first["cause"], first["rank"], first["node"]) == ("D50", 3, "node1")
        assert [line["text"] for line in first["evidence"]] == [
            "KeyError: 'train'",
            f'File "{tmp_path}/train.py", line 4, in <module>',
        ]
        assert data["job"] == directory.name
    told = kit(tmp_path, environment, "status", "broken")
    assert f"  cause      {verdict}" in told.stdout.splitlines()
    data = json.loads(kit(tmp_path, environment, "status", "broken", "--json").stdout)
    assert (data["cause"]["cause"], data["cause"]["confidence"]) == ("D50", "high")


def test_a_job_that_still_runs_has_not_failed(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "train.py").write_text("import time\ntime.sleep(60)\n")
    command = [str(SLURMKIT), "simulate", "job.yaml"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            give_up = time.monotonic() + 30
            while not list(tmp_path.glob("runs/broken/*/logs/*.log")):
                assert time.monotonic() < give_up
                time.sleep(0.1)
            data = json.loads(kit(tmp_path, environment, "doctor", "broken", "--json").stdout)
            last = kit(tmp_path, environment, "doctor")
        finally:
            running.send_signal(signal.SIGINT)
    assert (data["state"], data["findings"]) == ("RUNNING", [])
    assert "none of the last 1 jobs from here failed" in last.stderr


def test_the_verdict_comes_first_with_its_line_what_it_means_and_what_to_do(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "slurm-7.out").write_text(LOG)
    for words in (["--log", "slurm-7.out"], ["slurm-7.out"]):
        told = kit(tmp_path, environment, "doctor", *words)
        lines = told.stdout.splitlines()
        assert lines[:4] == [
            "D27: out of GPU memory",
            "  who       rank 3 on n2",
            "  line      slurm-7.out:2",
            "              3: torch.OutOfMemoryError: CUDA out of memory. Tried",
        ]
        names = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
        assert names == ["who", "line", "meaning", "fix", "sure"]
        assert lines[-1] == "more on it: slurmkit doctor --explain D27"


def test_several_files_and_one_without_a_failure(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "a.log").write_text("step 1 loss 2\n")
    (tmp_path / "b.rank5.log").write_text(LOG.partition("\n")[2].partition(" ")[2])
    told = kit(tmp_path, environment, "doctor", "--log", "a.log", "b.rank5.log", "--json")
    first = json.loads(told.stdout)["findings"][0]
    assert (first["cause"], first["rank"]) == ("D27", 5)
    told = kit(tmp_path, environment, "doctor", "--log", "a.log")
    assert told.stdout == "no sign of a failure in 1 file\n"


def test_packed_files_and_standard_input(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "a.out.gz").write_bytes(gzip.compress(LOG.encode()))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LOG.encode() + os.urandom(9999))[:5000])
    for name in ("a.out.gz", "cut.gz", "-", "/dev/stdin"):
        ran = subprocess.run(
            [SLURMKIT, "doctor", "--log", name, "--json"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, input=LOG,
        )  # fmt: skip
        told = json.loads(ran.stdout)
        (line,) = told["findings"][0]["evidence"]
        assert (told["files"], told["findings"][0]["cause"]) == ([name], "D27")
        assert (line["file"], line["line"]) == (name, 2)


def test_packed_files_of_a_directory_and_other_encodings(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "slurm-1.out.gz").write_bytes(gzip.compress(LOG.encode()))
    for words in (["--log", "logs"], ["logs"]):
        told = json.loads(kit(tmp_path, environment, "doctor", *words, "--json").stdout)
        assert told["files"] == ["logs/slurm-1.out.gz"]
        assert told["findings"][0]["cause"] == "D27"
    (tmp_path / "from-windows.txt").write_bytes(LOG.encode("utf-16"))
    assert kit(tmp_path, environment, "doctor", "from-windows.txt").stdout.startswith("D27")
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + os.urandom(99))
    told_badly = kit(tmp_path, environment, "doctor", "--log", "a.zst")
    assert told_badly.returncode == 2
    assert "cannot read a.zst: packed by zstd; unpack it first: zstd -d a.zst" in told_badly.stderr


def test_an_id_is_a_jobs_and_not_a_directorys(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.log").write_text(LOG)
    env = {**environment, "PATH": str(tmp_path)}
    told = kit(tmp_path, env, "doctor", "1")
    assert told.returncode == 1
    assert "squeue cannot be run" in told.stderr
    assert kit(tmp_path, env, "doctor", "./1").stdout.startswith("D27")
    (tmp_path / "1" / "events").mkdir()
    (tmp_path / "1" / "logs").mkdir()
    (tmp_path / "1" / "logs" / "n1.rank0.log").write_text("KeyError: 'a'\n")
    data = json.loads(kit(tmp_path, env, "doctor", "1", "--json").stdout)
    assert (data["job"], data["findings"][0]["cause"]) == ("1", "D50")


def test_a_cause_is_explained(tmp_path: Path, environment: dict[str, str]) -> None:
    told = kit(tmp_path, environment, "doctor", "--explain", "d27")
    assert told.stdout.startswith("D27: out of GPU memory\n  meaning")
    listed = kit(tmp_path, environment, "doctor", "--explain", "XX").stderr.splitlines()
    codes = [line.split()[0] for line in listed if line.startswith("  D")]
    assert "  D27   out of GPU memory" in listed
    assert codes == sorted(codes, key=lambda code: int(code[1:]))


def test_a_job_of_checks_alone_is_not_the_last_that_failed(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = []
    for number, name in enumerate(("a", "a-preflight")):
        run = tmp_path / "runs" / name / str(number)
        (run / "events").mkdir(parents=True)
        (run / "events" / "batch.jsonl").write_text('{"time": 1, "event": "ended", "code": 1}\n')
        (run / "status.json").write_text('{"state": "failed", "reason": "KeyError: 1"}')
        rows.append({"id": str(number), "name": name, "directory": str(run), "via": "ssh"})
    listed = tmp_path / "state" / "slurmkit" / "jobs.jsonl"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = kit(tmp_path, environment, "doctor", "--json")
    assert json.loads(told.stdout)["name"] == "a", told.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--explain", "D00"], "no cause 'D00'"),
        (["--explain", "A01"], "no cause 'A01'"),
        (["--log", "none.log"], "no file none.log"),
        (["--log", "empty"], "no logs in empty"),
        (["empty"], "no logs in empty"),
        ([""], "JOB is empty"),
        (["runs/a"], "2 runs in runs/a: name one, such as runs/a/"),
        (["nobody"], "no job named 'nobody'"),
        ([], "no job was submitted from here yet"),
    ],
)
def test_mistakes_are_told_in_a_line(
    tmp_path: Path, environment: dict[str, str], words: list[str], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    for number in "12":
        (tmp_path / "runs" / "a" / number / "events").mkdir(parents=True)
    found = kit(tmp_path, environment, "doctor", *words)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert "Traceback" not in found.stderr


def write_program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", ["slurm-7.out", "logs/my-7.txt"])
def test_a_job_that_slurmkit_did_not_submit(
    tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / name).write_text(LOG)
    known = "StdOut" if name.startswith("logs") else "none"
    answers = (
        f'case "$*" in *{known}*) printf "{tmp_path}\\037my\\037ann\\037logs/%%x-%%j.txt\\037\\n";;'
    )
    answers += f'*StdOut*) exit 1;; *WorkDir*) printf "{tmp_path}\\037my\\037ann\\n";; esac'
    programs = tmp_path / "programs"
    programs.mkdir()
    write_program(programs, "squeue", "exit 0")
    write_program(programs, "sacct", answers)
    env = {**environment, "PATH": str(programs)}
    told = kit(tmp_path, env, "doctor", "7", "--json")
    assert told.returncode == 0, told.stderr
    (first,) = json.loads(told.stdout)["findings"]
    assert (first["cause"], first["evidence"][0]["file"]) == ("D27", str(tmp_path / name))

    (tmp_path / name).unlink()
    gone = kit(tmp_path, env, "doctor", "7")
    assert gone.returncode == 2
    assert f"job 7 left no output that can be read here (looked for {tmp_path}" in gone.stderr
