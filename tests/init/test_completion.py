"""The Tab key in real shells: verbs, options, job files, profiles, templates."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
CTRL_X = "\x18"
RC = {
    "bash": 'bind -x \'"\\C-x": printf "<<%s>>" "$READLINE_LINE"\'\n',
    "zsh": (
        "autoload -Uz compinit && compinit -u -D\n"
        "show() { print -rn -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^X' show\n"
    ),
}
ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}
CASES = [
    ("slurmkit val", "slurmkit validate "),
    ("slurmkit render --prof", "slurmkit render --profile "),
    ("slurmkit render exp", "slurmkit render experiment.yaml "),
    ("slurmkit simulate jobs/", "slurmkit simulate jobs/small.yaml "),
    ("slurmkit validate job.yaml --profile ou", "slurmkit validate job.yaml --profile ours "),
    ("slurmkit init lig", "slurmkit init lightning "),
    ("slurmkit init --profile rav", "slurmkit init --profile raven "),
]


def missing(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell} here")


@pytest.fixture(autouse=True)
def files(empty_place: Path) -> None:
    for name in ("experiment.yaml", "jobs/small.yaml", "profiles/ours.yaml", "train.py"):
        (empty_place / name).parent.mkdir(exist_ok=True)
        (empty_place / name).touch()


class Terminal:
    """An interactive shell behind a pseudo terminal."""

    def __init__(self, shell: str) -> None:
        self.process, self.master = pty.fork()
        if self.process == 0:
            path = f"{BIN}:{os.environ['PATH']}"
            environment = {**os.environ, "PATH": path, "TERM": "dumb", "PS1": "$ "}
            os.execvpe(shell, [shell, *ARGUMENTS[shell]], environment)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, pattern: str, seconds: float = 60) -> str:
        """Read until the pattern has come; what is typed is echoed, so it must not match that."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen, re.S)):
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no {pattern} in {self.seen!r}"
            self.seen += os.read(self.master, 4096).decode(errors="replace")
        self.seen = self.seen[found.end() :]
        return found[1]

    def close(self) -> None:
        os.close(self.master)
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


@pytest.fixture(scope="module", params=[pytest.param(s, marks=missing(s)) for s in RC])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def terminal(shell: str) -> Iterator[Terminal]:
    opened = Terminal(shell)
    try:
        opened.type(RC[shell] + f'eval "$(_SLURMKIT_COMPLETE={shell}_source slurmkit)"\n')
        opened.type("echo re''ady\n")
        opened.wait_for("(ready)")
        yield opened
    finally:
        opened.close()


def test_tab(terminal: Terminal) -> None:
    for begun, finished in CASES:
        terminal.type(f"{begun}\t{CTRL_X}")
        assert terminal.wait_for("<<(.*?)>>") == finished
        terminal.type("\x15")  # clears the line


@missing("fish")
@pytest.mark.parametrize(("begun", "finished"), CASES)
def test_tab_in_fish(begun: str, finished: str) -> None:
    program = f"_SLURMKIT_COMPLETE=fish_source slurmkit | source; complete -C '{begun}'"
    ran = subprocess.run(
        ["fish", "--no-config", "-c", program],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    offered = [line.partition("\t")[0] for line in ran.stdout.splitlines()]
    assert offered == [finished.rsplit(maxsplit=1)[-1]]


def offered(*words: str) -> list[str]:
    """Ask as bash does."""
    environment = {
        **os.environ,
        "_SLURMKIT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["slurmkit", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ran = subprocess.run(
        [BIN / "slurmkit"], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def test_job_files_nearby_are_offered_and_no_others() -> None:
    Path(".hidden.yaml").touch()
    Path("runs/x/1").mkdir(parents=True)
    Path("runs/x/1/job.yaml").touch()
    names = ["experiment.yaml", "jobs/small.yaml", "profiles/ours.yaml"]
    assert offered("render", "") == [f"plain,{name}" for name in names]
    assert offered("render", "runs/x/") == ["plain,runs/x/1/job.yaml"]
    assert offered("render", "runs/") == ["file,runs/"]
    assert offered("render", "../nowhere/") == ["file,../nowhere/"]


def test_names_with_blanks_are_left_to_the_shell() -> None:
    Path("my job.yaml").touch()
    assert offered("render", "my") == ["file,my"]


def test_after_a_mistake_nothing_breaks() -> None:
    assert "plain,render" in offered("bogus", "")
    assert offered("render", "--no-such-option", "exp") == ["plain,experiment.yaml"]


def test_completion_imports_nothing_of_weight() -> None:
    program = (
        "import os, sys\n"
        "from slurmkit.cli import main\n"
        "try: main(prog_name='slurmkit')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'pydantic', 'jinja2', 'yaml', 'rich', 'submitit'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for words in ("slurmkit init ", "slurmkit render a --profile ", "slurmkit render "):
        environment = {
            **os.environ,
            "_SLURMKIT_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split())),
        }
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout
