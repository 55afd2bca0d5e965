"""What a job file does not show, or shows so that nobody would wonder, is told."""

from __future__ import annotations

from contextlib import suppress

import pytest
import yaml

from slurmkit.check.importer.refuse import NotImportedError
from slurmkit.check.importer.run import import_script
from slurmkit.cli.import_ import told
from tests.check.importer.test_parts import LAUNCH, imported, job, notes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("srun python x.py < in.txt", "changed < in.txt: what the program reads is left out"),
        ("yes | srun python x.py", "changed yes |: what the program reads is left out"),
        ("srun python - <<EOF\nprint(1)\nEOF", "changed <<, a heredoc: what the program reads"),
        ("srun python x.py 2> err.txt", "dropped 2> err.txt: slurmkit keeps a log file a rank"),
        ("mpirun --bind-to none -np 2 python x.py", "changed mpirun --bind-to none -np 2"),
        ("timeout 1h srun python x.py", "changed timeout 1h: left out"),
        ("srun apptainer exec --pwd /w a.sif python x.py", "changed --pwd /w: the program starts"),
        ("export HF_TOKEN=hf_abcdefghijklmnop\nsrun python x.py", "looks like a placeholder"),
        ("export HF_TOKEN=hf_aB3dE5gH7jK9mN1pQ\nsrun python x.py", "a secret, which is not copied"),
    ],
)
def test_is_told(line: str, said: str) -> None:
    assert said in notes(line)


@pytest.mark.parametrize(
    "line",
    ["srun python x.py < /dev/null", "srun python x.py 2>&1", "srun numactl -l python x.py",
     "srun apptainer exec --pwd $PWD a.sif python x.py"],
)  # fmt: skip
def test_nothing_is_lost(line: str) -> None:
    assert not [n for n in imported(line).notes if n.kind in ("changed", "dropped")]


def test_what_stays_in_front_and_behind_python() -> None:
    assert job("srun numactl -l python x.py")["entrypoint"] == {
        "command": ["numactl", "-l", "python", "x.py"]
    }
    assert job("srun python -c 'a b' c")["entrypoint"] == {"command": ["python", "-c", "a b", "c"]}


def test_warnings_that_hold_are_told_by_their_codes() -> None:
    head = "#SBATCH --nodes=2\n#SBATCH --gpus-per-node=4\n#SBATCH --time=48:00\n"
    found = imported(f"export NCCL_DEBUG=TRACE\n{LAUNCH} | tee log", head)
    lines = told("a.sh", found.notes, quiet=True)
    begin = lines.index("slurmkit import: still so in the job file, as `slurmkit lint` warned:")
    assert lines[begin + 1] == "  a.sh:4: SK108: 48:00 is minutes and seconds: 48 minutes"
    assert "SK402" not in "".join(lines)  # no pipe any more


def test_a_cd_that_fails_ends_the_run() -> None:
    command = "srun --container-image=a bash -c 'cd /w && python x.py; true'"
    assert job(command)["entrypoint"]["command"][2].startswith("cd /w || exit; exec python3 x.py")
    command = "srun --container-image=a bash -c 'cd /w; python x.py'"
    assert job(command)["entrypoint"]["command"][2] == "cd /w; exec python3 x.py"


def test_setup_reads_the_index_that_the_sweep_gives() -> None:
    data = job(f"X=(a b)\nexport M=${{X[$SLURM_ARRAY_TASK_ID]}}\n{LAUNCH}", "#SBATCH --array=0-1\n")
    assert data["environment"]["setup"][-1] == "export M=${X[$ARRAY_TASK_ID]}"


def test_every_script_that_is_handed_on_is_named() -> None:
    script = b"#!/bin/bash\nsbatch <<E\n#!/bin/bash\nsrun a\nE\nsbatch --wrap='srun b'\n"
    with pytest.raises(NotImportedError, match=r"job:2: submits jobs.*\(in line 6 as well\)"):
        import_script(script, "job")


@pytest.mark.parametrize("name", ["n\nevil: 1.sh", "b\udcff.sh"])
def test_any_name_of_a_file(name: str) -> None:
    found = import_script(f"#!/bin/bash\n#SBATCH -N 1\ncp a b\n{LAUNCH}\n".encode(), name)
    found.text.encode()
    assert "evil" not in yaml.safe_load(found.text)


@pytest.mark.parametrize("line", ['srun "$@"', "srun $@", "mpirun", 'exec "$@"'])
def test_a_launch_of_nothing_is_no_crash(line: str) -> None:
    with suppress(NotImportedError):
        import_script(f"#!/bin/bash\n{line}\n".encode(), "job")
