"""Submitting by sbatch, as far as it goes without Slurm: refusals, chains, the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurmkit.cli.arguments import told_with_places
from slurmkit.launch import sbatch, sbatch_call
from slurmkit.launch.acceptable import accepted, fits
from slurmkit.launch.chain import after, submit_chain
from slurmkit.launch.offer import read_offer
from slurmkit.launch.refusals import bare, refusals, refused
from slurmkit.launch.registry import Entry
from slurmkit.slurm.commands import SlurmError
from slurmkit.slurm.options import load_options
from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import resolve
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


PARTITIONS = """\
PartitionName=gpu AllowGroups=ALL AllowAccounts=phys,chem AllowQos=ALL Default=YES MaxNodes=4 \
MaxTime=1-00:00:00 MinNodes=2 State=UP MaxMemPerNode=UNLIMITED New=thing
PartitionName=cpu AllowAccounts=ALL Default=NO MaxNodes=UNLIMITED MaxTime=UNLIMITED State=UP
"""
NODES = """\
gpu*|6|64+|512000+|gpu:a100:4(S:0-1),nvme:1|ib,a100|gpu[1-6]
gpu*|2|96|1024000|gpu:h100:8|ib,h100|gpu[7-8]|a column more
cpu|50|128|256000|(null)|(null)|cpu[01-50]
nonsense
"""


def test_an_offer_is_read_from_slurms_answers() -> None:
    offer = read_offer(None, NODES, PARTITIONS, "phys|normal,long\nbio|normal\n", {})
    assert accepted(offer, "resources.partition") == "gpu, cpu"
    assert accepted(offer, "resources.account") == "phys"
    assert accepted(offer, "resources.qos") == "long, normal"
    assert accepted(offer, "resources.nodes") == "2 to 4 in partition gpu"
    assert accepted(offer, "resources.time") == "at most 1-00:00:00 in partition gpu"
    assert accepted(offer, "resources.gpu_type") == "a100, h100"
    assert accepted(offer, "resources.gpus_per_node") == "at most 8 a node in partition gpu"
    assert accepted(offer, "resources.constraint") == "a100, h100, ib"
    assert accepted(offer, "resources.nodelist") == "gpu[1-6], gpu[7-8]"
    assert accepted(offer, "resources.reservation") is None, "it was not asked for"
    for field, good, bad in (
        ("resources.nodes", 4, 5),
        ("resources.nodes", 2, 1),
        ("resources.time", "24:00:00", "1-01"),
        ("resources.account", "phys", "bio"),
        ("resources.memory_per_node", "1000G", "1001G"),
        ("resources.constraint", "[a100|h100]&ib*2", "v100"),
        ("resources.nodelist", "gpu[1-2]", "cpu01"),
        ("resources.exclude", "gpu[1-7]", "gpu[1-8]"),
        ("resources.gpu_type", "h100", "v100"),
    ):
        assert fits(offer, field, good), field
        assert fits(offer, field, bad) is False, field


def test_a_cluster_that_tells_nothing_is_no_reason_to_fail() -> None:
    offer = read_offer("gpu", None, None, None, {"resources.reservation": None})
    for field in {field for row in refusals() for field in row.fields}:
        assert accepted(offer, field) is None or field == "depends_on"
        assert (
            fits(offer, field, 3 if field.endswith("_node") or "nodes" in field else "3")
            is not False
        )


def test_the_table_of_refusals_is_whole() -> None:
    data = job().model_dump(by_alias=True)
    for row in refusals():
        assert row.fix, row.says.pattern
        for field in row.fields:
            part, _, name = field.partition(".")
            assert part in {*data, "*"}, field
            assert part == "sbatch" or not name or name in data[part], field
            if part == "sbatch":
                assert name in load_options(), field


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("error: Batch job submission failed: Invalid partition name specified", "partition"),
        ("allocation failure: Requested node configuration is not available", "gpus_per_node"),
        ("error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Job violates accounting", "time"),
        ("error: QOSMaxGRESPerUser\nsbatch: error: Job violates accounting/QOS", "gpus_per_node"),
        ("error: AssocMaxNodePerJobLimit", "nodes"),
        ("error: Requested partition configuration not available now", "nodes"),
        ("error: Invalid QOS specification, relative QOS can only be used in a single", "qos"),
    ],
)
def test_texts_of_several_versions(said: str, field: str, fake: Path) -> None:
    error = refused(job(resources={"gpus_per_node": 1}), f"sbatch: {said}", {})
    assert isinstance(error, SpecError)
    assert error.problems[0].path == f"resources.{field}"
    assert "sbatch:" not in str(error)


def test_an_unknown_text_is_shown_as_it_is() -> None:
    error = refused(job(), "sbatch: error: a site's own: 42\nsbatch: error: no", {})
    assert isinstance(error, SlurmError)
    assert error.said == "a site's own: 42; no"
    assert bare("sbatch: error: Batch job submission failed: X\nsbatch: error: X\n") == "X"


def test_a_chain_adds_to_what_a_job_depends_on() -> None:
    spec = after(job(depends_on={"afterok": ["1"], "afterany": ["2"]}), "3")
    assert spec.depends_on == {"afterok": ["1", "3"], "afterany": ["2"]}
    assert spec.sbatch["kill-on-invalid-dep"] == "yes"
    assert after(job(sbatch={"kill-on-invalid-dep": "no"}), "3").sbatch == {
        "kill-on-invalid-dep": "no"
    }


class Slurm:
    """Remembers what was done to jobs, and leaves job 1 alone."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def submit(self, name: str, before: str | None, held: bool) -> Entry:
        if name == "wrong":
            raise SlurmError("refused")
        self.done.append(f"{name} after {before}{', held' if held else ''}")
        return Entry(str(len(self.done)), name, "")

    def cancel(self, entry: Entry) -> None:
        if entry.id == "1":
            raise SlurmError("the controller is away")

    def release(self, entry: Entry) -> None:
        self.done.append(f"release {entry.id}")


def test_a_chain_is_let_go_when_it_is_whole() -> None:
    slurm = Slurm()
    submit_chain("ab", slurm.submit, slurm, print)
    assert slurm.done == ["a after None, held", "b after 1", "release 1"]
    slurm = Slurm()
    submit_chain("ab", slurm.submit, slurm, print, hold=True)
    assert slurm.done == ["a after None, held", "b after 1"]
    slurm = Slurm()
    submit_chain("a", slurm.submit, slurm, print)
    assert slurm.done == ["a after None"]


def test_a_chain_that_cannot_be_taken_back_is_named() -> None:
    told: list[str] = []
    slurm = Slurm()
    with pytest.raises(SlurmError, match="refused"):
        submit_chain(["a", "b", "wrong"], slurm.submit, slurm, told.append)
    assert told[0].startswith("job 2 (b) was cancelled")
    assert told[1] == "job 1 (a) is still in the queue: slurmkit cancel 1"


def test_places_come_from_the_job_file(tmp_path: Path, fake: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: n\nentrypoint: {command: ['true']}\nresources:\n  partition: nope\n")
    resolved = resolve(path, profile="none")
    write_sbatch(fake, "echo 'sbatch: error: Invalid partition name specified' >&2; exit 1")
    with pytest.raises(SpecError) as caught, told_with_places(resolved):
        sbatch.submit(resolved.spec)
    (problem,) = caught.value.problems
    assert (str(problem.place), problem.value) == (f"{path}:4:3", "nope")
