"""Submitting by sbatch, as far as it goes without Slurm: the call and its environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmkit.launch import sbatch, sbatch_call
from slurmkit.launch.registry import Entry
from slurmkit.slurm.commands import SlurmError
from slurmkit.spec.errors import SpecError
from slurmkit.spec.model import JobSpec


def job(**fields: object) -> JobSpec:
    return JobSpec.model_validate({"name": "a job", "entrypoint": {"command": ["true"]}, **fields})


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory first on PATH, where only `sbatch` of the caller's making is Slurm's."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    for name in ("SBATCH_EXPORT", "SBATCH_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    return programs


def write_sbatch(programs: Path, body: str) -> None:
    """Write an sbatch that counts its calls and does what `body` says."""
    path = programs / "sbatch"
    path.write_text(f"#!/bin/bash\necho >> {programs.parent}/calls\n{body}\n")
    path.chmod(0o755)


def calls(programs: Path) -> int:
    return len((programs.parent / "calls").read_text().splitlines())


def test_sbatch_is_given_the_script_on_standard_input_and_a_clean_environment(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sbatch(fake, 'cat > got; echo "$@" > options; env > given; echo 7')
    monkeypatch.setenv("SLURM_NTASKS", "64")
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    monkeypatch.delenv("LC_ALL", raising=False)
    entry = sbatch.submit(job(), ["--hold"])
    assert Path("options").read_text() == "--parsable --hold\n"
    assert Path("got").read_text().startswith("#!/bin/bash\n#SBATCH")
    given = Path("given").read_text()
    assert "SLURM_NTASKS" not in given
    assert "LC_ALL" not in given, "the job would inherit it"
    assert "SBATCH_ACCOUNT=mine" in given
    assert entry == Entry("7", "a job", str(fake.parent / "runs" / "a-job" / "7"), "")


def test_the_sites_word_and_the_cluster_are_kept(
    fake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sbatch(fake, 'echo "sbatch: lua: this costs 3 hours" >&2; echo welcome; echo "12;big"')
    entry = sbatch.submit(job())
    assert (entry.id, entry.cluster) == ("12", "big")
    assert "this costs 3 hours" in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller "
        "(receive failure)",
    ],
)
def test_a_lost_answer_is_not_asked_for_again(fake: Path, said: str) -> None:
    write_sbatch(fake, f"echo '{said}' >&2; exit 1")
    with pytest.raises(SlurmError, match="may be in the queue all the same") as caught:
        sbatch.submit(job())
    assert calls(fake) == 1
    assert caught.value.fix.endswith("squeue --user=$USER --name='a job'")


def test_a_controller_that_was_not_reached_is_asked_again(
    fake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sbatch_call, "_PAUSES", (0.01, 0.01))
    away = "Batch job submission failed: Unable to contact slurm controller (connect failure)"
    write_sbatch(fake, f"(($(wc -l < calls) > 2)) && exec echo 5; echo '{away}' >&2; exit 1")
    assert sbatch.submit(job()).id == "5"
    assert calls(fake) == 3
    assert "Slurm's controller is away; trying again" in capsys.readouterr().err
    write_sbatch(fake, f"echo '{away}' >&2; exit 1")
    with pytest.raises(SlurmError, match="does not reach") as caught:
        sbatch.submit(job())
    assert calls(fake) == 6
    assert "may be in the queue" not in str(caught.value)


def test_no_sbatch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlurmError, match="no sbatch on this machine"):
        sbatch.submit(job())


def test_an_answer_without_an_id(fake: Path) -> None:
    write_sbatch(fake, "echo fine")
    with pytest.raises(SlurmError, match="named no job"):
        sbatch.submit(job())


def test_what_is_missing_here_is_told_before_sbatch_is_called(fake: Path) -> None:
    write_sbatch(fake, "echo 1")
    spec = job(
        environment={"pass": ["NOT_SET_HERE"], "venv": "no/venv"},
        entrypoint={"script": "nowhere.py"},
    )
    with pytest.raises(SpecError) as caught:
        sbatch.submit(spec)
    fields = [problem.path for problem in caught.value.problems]
    assert fields == ["environment.pass[0]", "entrypoint.script", "environment.venv"]
    assert not (fake.parent / "calls").exists()


def test_a_directory_to_start_in_must_be_here(fake: Path) -> None:
    write_sbatch(fake, "echo 1")
    for start in ("nowhere", "~/nowhere"):  # Slurm would start the job in /tmp
        with pytest.raises(SpecError, match=r"sbatch\.chdir: no directory .*nowhere"):
            sbatch.submit(job(sbatch={"chdir": start}))
    Path("sub dir").mkdir()
    entry = sbatch.submit(job(sbatch={"chdir": "sub dir"}))
    assert entry.directory == str(fake.parent / "sub dir" / "runs" / "a-job" / "1")


def test_a_containers_own_files_are_not_looked_for_here(fake: Path) -> None:
    write_sbatch(fake, "echo 1")
    container = {"runtime": "apptainer", "image": "./no.sif"}
    entrypoint = {"script": "/opt/in/the/image/train.py"}
    with pytest.raises(SpecError) as caught:
        sbatch.submit(job(container=container, entrypoint=entrypoint))
    assert [problem.path for problem in caught.value.problems] == ["container.image"]


@pytest.mark.parametrize(
    ("site", "option"),
    [
        ("", []),
        ("all", []),
        ("ALL,A=1", []),
        ("NONE", ["--export=KEY"]),
        ("A,B=1", ["--export=A,B=1,KEY"]),
        ("KEY,A", []),
    ],
)
def test_passed_variables_are_added_to_what_the_site_hands_on(site: str, option: list[str]) -> None:
    spec, environment = job(environment={"pass": ["KEY"]}), {"SBATCH_EXPORT": site}
    assert sbatch_call.export_option(spec, environment) == option
    assert sbatch_call.export_option(job(), environment) == []
