"""The words that bash makes of a launch line are those that the imported job's program is given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slurmkit.check.importer.run import import_script
from slurmkit.render.quoting import node_word

BEFORE = "A=q\nC='two words'\nD=(one 'two three' '')\nE=\nH=~/runs\nP=x:~/a:'~/b'\nG=${U:-~/c}\n"
WORDS = (
    "a", "'a b'", '"a  b"', r"a\ b", r"\~", "~", "~/r", '"~/r"', "'~/r'", "~/'a b'", "--o=~/r",
    "o=~/r", "o=a:~/r", "a.b=~/r", "x:~/r", "a~", '$"x"', r"$'a\nb'", r"$'\x41\101\t\'\\\q'",
    r"$'\u00e9\xc3\xa9'", "$A", '"$A"', "${A}b", "$A$A", "$C", '"$C"', "x$C", "${D[@]}",
    '"${D[@]}"', '"${D[0]}"', "$E", '"$E"', "$H/a", '"$H"', "$P", '"$G"', "${U:-z}",
    '"${U:-z w}"', '"${U:-~/d}"', "${U:-~/d}", "${A%q}x", "${#A}", "${C/ /-}", "$((2*3))",
    "$(echo hi)", "$(echo hi yo)", '"$(echo hi yo)"', "$(seq 2)",
    "''", '""', '$"b"x', "{a}", "[x]", "a#b",
    r"\$A", "'$A'", r'"\${A}"', "é", "-", "--",
)  # fmt: skip
UNREAD = re.compile(r"\$[A-Z]\w|-\$\"")
"""`$A` and `a` side by side are a variable that nobody sets, which the job refuses to start with;
of `$Aé` and `-$"x"` the grammar makes something else. Nor does anybody write `$E''`."""
JOINED = (
    st.lists(st.sampled_from([word for word in WORDS if word not in ("''", '""')]), max_size=3)
    .map("".join)
    .filter(lambda word: UNREAD.search(word) is None)
)
LINES = st.lists(st.sampled_from(WORDS) | JOINED, min_size=1, max_size=4).map(" ".join)
PRINT = '#!/bin/bash\nprintf "<%s>" "$@"\n'


def run(script: str, programs: Path) -> str:
    """Return what python is given by a script of bash."""
    for name in ("python", "python3"):
        (programs / name).write_text(PRINT, encoding="utf-8")
        (programs / name).chmod(0o755)
    known = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": "/home/me", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=known, check=True, cwd=programs
    )
    return done.stdout.decode(errors="replace").removeprefix("<x.py>")


def as_imported(job: str, programs: Path) -> str:
    """Return what python is given by what a job file sets up and starts."""
    data = yaml.safe_load(job)
    words = data["entrypoint"].get("command") or [
        "python3", data["entrypoint"]["script"], *data["entrypoint"].get("args", ())
    ]  # fmt: skip
    line = " ".join(node_word(word, "entrypoint") for word in words)
    return run("\n".join([*data.get("environment", {}).get("setup", ()), line]), programs)


@pytest.mark.parametrize("words", WORDS)
def test_a_word(words: str, tmp_path: Path) -> None:
    same(words, tmp_path)


@given(LINES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_words_side_by_side(tmp_path: Path, words: str) -> None:
    same(words, tmp_path)


def same(words: str, programs: Path) -> None:
    body = f"{BEFORE}python x.py {words} end\n"
    found = import_script(f"#!/bin/bash\n#SBATCH -N 1\n{body}".encode(), "job.sh")
    assert as_imported(found.text, programs) == run(body, programs), (words, found.text)


def test_words_that_the_grammar_cuts(tmp_path: Path) -> None:
    same('\'a b\'\\$A $"y" "a`echo b`c"', tmp_path)
    body = 'L=(\'a b\'\\$A $"y")\npython x.py "${L[@]}"\n'
    found = import_script(f"#!/bin/bash\n#SBATCH -N 1\n{body}".encode(), "job.sh")
    assert as_imported(found.text, tmp_path).startswith("<a b$A><y>")


def test_homes_of_exports_and_scripts() -> None:
    body = "export HF=~/hf P=~/a:~/b Q='~/c'\nsrun env R=~/r python ~/x.py ~bob/y\n"
    found = import_script(f"#!/bin/bash\n#SBATCH -N 1\n{body}".encode(), "job.sh")
    data = yaml.safe_load(found.text)
    home = "${env:HOME}"
    variables = {"HF": f"{home}/hf", "P": f"{home}/a:{home}/b", "Q": "~/c", "R": f"{home}/r"}
    assert data["environment"]["variables"] == variables
    assert data["entrypoint"] == {"script": "~/x.py", "args": ["~bob/y"]}
    assert any(note.what == "~bob" for note in found.notes)
