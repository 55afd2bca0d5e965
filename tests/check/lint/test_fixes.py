"""What --fix does to scripts, byte for byte, and what it leaves to a person."""

from __future__ import annotations

import pytest

from slurmkit.check.lint.fixes import diff, fix
from slurmkit.check.lint.rule import Edit, Found
from slurmkit.check.lint.run import lint
from slurmkit.check.script.source import Span

HEAD = "#!/bin/bash\n"


def mended(script: str, *codes: str) -> str:
    def look(data: bytes) -> list[Found]:
        return [finding for finding in lint(data) if finding.code in codes]

    return fix(script.encode(), look).data.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# (c)\n\n#!/bin/sh -l\n#SBATCH -N 2\n", "#!/bin/sh -l\n# (c)\n\n#SBATCH -N 2\n"),
        ("#SBATCH -N 2\n", "#!/bin/bash\n#SBATCH -N 2\n"),
        ("  #!/bin/bash\n#SBATCH -N 2\n", "#!/bin/bash\n#SBATCH -N 2\n"),
        ("\ufeff#!/bin/bash\n", "#!/bin/bash\n"),
        ("#!/bin/bash\r\n#SBATCH -N 2\r\nx\r\n", "#!/bin/bash\n#SBATCH -N 2\nx\n"),
    ],
)
def test_the_beginning(before: str, after: str) -> None:
    assert mended(before, "SK101", "SK102") == after


def test_directives_move_up_in_their_order() -> None:
    before = (
        f"{HEAD}#SBATCH -N 2\n\nset -e\n#SBATCH -t 60\n#SBATCH -n 4\ncd /tmp\n#SBATCH -c 2\nx\n"
    )
    after = f"{HEAD}#SBATCH -N 2\n#SBATCH -t 60\n#SBATCH -n 4\n#SBATCH -c 2\n\nset -e\ncd /tmp\nx\n"
    assert mended(before, "SK103") == after


@pytest.mark.parametrize(
    "late",
    [
        "#SBATCH -o $HOME/x",
        "#SBATCH -N 4",
        "#SBATCH --frob=1",
        "if true; then\n#SBATCH -t 60\nfi",
    ],
)
def test_these_directives_stay_where_they_are(late: str) -> None:
    script = f"{HEAD}#SBATCH -N 2\nset -e\n{late}\nx\n"
    assert [finding.code for finding in lint(script.encode()) if finding.code == "SK103"]
    assert mended(script, "SK103") == script


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("--nodes = 2", "--nodes=2"),
        ("--nodes= 2 --mem =1G", "--nodes=2 --mem=1G"),
        ("-N=2 -t = 1:00:00 # x = y", "-N 2 -t 1:00:00 # x = y"),
        ("--job-name = 'a b'", "--job-name='a b'"),
        ("-nodes=2", "--nodes=2"),
        ("--nodes==2", "--nodes=2"),
        ("-\u2013nodes=2", "--nodes=2"),
        ("\u2013\u2013nodes=2", "--nodes=2"),
        ("--job-name=my job", "--job-name=my job"),
        ("--nodes 2", "--nodes 2"),
    ],
)
def test_words_of_directives(before: str, after: str) -> None:
    assert mended(f"{HEAD}#SBATCH {before}\nx\n", "SK107") == f"{HEAD}#SBATCH {after}\nx\n"


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    def look(data: bytes) -> list[Found]:
        return [finding for finding in lint(data) if finding.code == "SK102"]

    assert fix(b"#!/bin/sh\r\necho \xff\xfe\n", look).data == b"#!/bin/sh\necho \xff\xfe\n"


def test_a_fix_that_does_not_help_is_not_made() -> None:
    (found,) = [f for f in lint(b"#!/bin/bash\n#SBATCH --nodes = 2\nx\n") if f.code == "SK107"]

    def look(data: bytes) -> list[Found]:
        edit = Edit(Span(0, 0), "again\n")
        object.__setattr__(found, "edits", (edit,))
        return [found]

    assert fix(b"x\n", look).data == b"x\n"


def test_a_diff_without_a_last_line_break() -> None:
    assert diff("a", b"x", b"y") == (
        "--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n"
        "+y\n\\ No newline at end of file\n"
    )
