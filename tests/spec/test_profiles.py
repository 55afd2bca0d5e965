"""Which profile a job gets: --profile, SLURMKIT_PROFILE, the job's own, default; or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.jobs import BASE, job, refused, the_problem

NAMED = BASE + "profile: own\n"


@pytest.fixture(autouse=True)
def profiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("profiles", "config/slurmkit/profiles"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("chosen", "variable", "own", "default"):
        _write(f"profiles/{name}.yaml", name)
    _write("config/slurmkit/profiles/own.yaml", "shadowed")
    _write("config/slurmkit/profiles/home.yaml", "home")


def _write(path: str, partition: str) -> None:
    Path(path).write_text(f"resources: {{partition: {partition}}}\n")


def partition(text: str = NAMED, profile: str | None = None) -> str | None:
    return job(text, profile=profile).resources.partition


def test_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert partition(BASE) == "default"
    assert partition() == "own"
    monkeypatch.setenv("SLURMKIT_PROFILE", "variable")
    assert partition() == "variable"
    assert partition(profile="chosen") == "chosen"
    assert partition(profile="home") == "home"
    assert partition(profile="config/slurmkit/profiles/own.yaml") == "shadowed"


def test_none_is_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert partition(profile="none") is None
    assert partition(BASE + "profile: none\n") is None
    monkeypatch.setenv("SLURMKIT_PROFILE", "none")
    assert partition() is None
    monkeypatch.setenv("SLURMKIT_PROFILE", "")
    assert partition() == "own"


def test_a_set_names_a_profile_as_the_job_does() -> None:
    assert job(BASE, overrides=["profile=own"]).resources.partition == "own"


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/nonexistent")
    assert partition() == "own"


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config/slurmkit/profiles").mkdir(parents=True)
    _write(".config/slurmkit/profiles/raven.yaml", "raven")
    assert partition(profile="raven") == "raven"
    assert partition(profile="~/.config/slurmkit/profiles/raven.yaml") == "raven"


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("chosn", "did you mean chosen?"),
        ("xyz", "write that file, or use --profile none"),
        ("./nowhere.yaml", "name a file that exists"),
        ("~nosuchuser/a.yaml", "name a file that exists"),
        ("./profiles", "name a file that exists"),
        ("x" * 5000, "write that file"),
        ("a\0b", "write that file"),
    ],
)
def test_a_profile_that_is_not_there(name: str, fix: str) -> None:
    problem = the_problem(NAMED, profile=name)
    assert problem.place.source == "--profile"
    assert fix in (problem.fix or "")


def test_a_profile_that_the_job_names_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert str(the_problem(BASE + "profile: raven\n").place) == "job.yaml:3:1"
    monkeypatch.setenv("SLURMKIT_PROFILE", "raven")
    assert the_problem(BASE).place.source == "SLURMKIT_PROFILE"


def test_mistakes_in_a_profile_are_placed_there() -> None:
    Path("profiles/bad.yaml").write_text(
        "resources:\n  partitoin: gpu\nsite: {port_range: [30000, 40000]}\n"
    )
    problems = refused(BASE + "resources: {nods: 2}\n", profile="bad")
    assert [str(problem.place) for problem in problems] == [
        "job.yaml:3:13",
        "profiles/bad.yaml:2:3",
    ]
    Path("profiles/bad.yaml").write_text("site:\n  port_range: [30000, 40000]\n")
    assert str(the_problem(BASE, profile="bad").place) == "profiles/bad.yaml:2:3"
    Path("profiles/bad.yaml").write_text("site: [\n")
    assert the_problem(BASE, profile="bad").place.source == "profiles/bad.yaml"


def test_an_empty_profile_says_nothing() -> None:
    Path("profiles/empty.yaml").write_text("# all of it commented out\n")
    assert partition(BASE, profile="empty") is None


def test_a_profile_in_an_unreadable_encoding() -> None:
    Path("profiles/latin.yaml").write_bytes(b"# caf\xe9\n")
    assert "not UTF-8" in the_problem(BASE, profile="latin").what
