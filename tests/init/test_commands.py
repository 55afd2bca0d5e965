"""Slurm's commands: their text, or None when they are away, fail or take too long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slurmkit.slurm.commands import ask, describe_cluster, has_pyxis


def test_each_gives_its_text_or_nothing() -> None:
    commands = [["echo", "a"], ["false"], ["no-such-command"], ["printf", "\\377"]]
    assert ask(*commands) == ["a\n", None, None, "\ufffd"]


def test_none_is_waited_for_longer_than_told() -> None:
    begin = time.monotonic()
    assert ask(["sleep", "60"], ["echo", "b"], ["sleep", "60"], patience=0.3) == [None, "b\n", None]
    assert time.monotonic() - begin < 30


def test_the_users_own_formats_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sinfo", "scontrol", "sacctmgr", "srun"):
        program = tmp_path / name
        program.write_text('#!/bin/sh\necho "$0 $* ${SINFO_FORMAT-unset} $LC_ALL"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SINFO_FORMAT", "%N")
    monkeypatch.delenv("LC_ALL", raising=False)
    nodes, config, accounts = describe_cluster("me")
    assert nodes is not None
    assert nodes.endswith("--format=%P|%a|%l|%s|%D|%c|%G|%T unset C.UTF-8\n")
    assert config is not None
    assert "show config" in config
    assert accounts is not None
    assert "show user me withassoc" in accounts
    assert not has_pyxis()
