"""`slurmkit lint` as it is called: what goes where, exit codes, --fix and --diff."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from slurmkit.cli import main

BAD = "#!/bin/bash\n#SBATCH --nodes = 1\n#SBATCH --time=1:00\nset -euo pipefail\n./hello\n"
MENDED = BAD.replace(" = ", "=")
GOOD = "#!/bin/bash\n#SBATCH --nodes=1\n#SBATCH --time=1:00:00\nset -euo pipefail\n./hello\n"
NOTED = "#!/bin/bash\n##SBATCH --nodes=1\n#SBATCH --time=1:00:00\nset -euo pipefail\n./hello\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("bad", BAD), ("good", GOOD), ("noted", NOTED)):
        (tmp_path / name).write_text(text)


def lint(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["lint", *words], input=stdin)


def test_findings_are_the_answer() -> None:
    ran = lint("bad")
    assert ran.exit_code == 1
    assert ran.stdout.startswith(
        "bad:2:9: error SK107: `--nodes = 1` gives --nodes the value `=`\n"
        "  2 | #SBATCH --nodes = 1\n"
        "    |         ^^^^^^^^^^^\n"
        "    why:  "
    )
    assert (
        "\n    fix:  Write --nodes=1, without blanks around =.\n\nbad:3:9: warning " in ran.stdout
    )
    assert ran.stderr.startswith("1 script: 1 error, 1 warning")


def test_exit_codes() -> None:
    assert lint("good").exit_code == 0
    (Path("warned")).write_text(MENDED)
    assert lint("warned").exit_code == 0
    assert lint("warned", "--strict").exit_code == 1
    assert lint("good", "bad").exit_code == 1


def test_infos_only_when_asked_for() -> None:
    ran = lint("noted")
    assert (ran.stdout, ran.exit_code) == ("", 0)
    assert ran.stderr.startswith("1 script: nothing wrong; ")
    assert "noted:2:1: info SK105: " in lint("noted", "--info").stdout
    assert lint("noted", "--info", "--strict").exit_code == 0


def test_json() -> None:
    first, second = json.loads(lint("bad", "--json").stdout)
    assert first == {
        "code": "SK107",
        "severity": "error",
        "line": 2,
        "column": 9,
        "end_line": 2,
        "message": "`--nodes = 1` gives --nodes the value `=`",
        "fix": "Write --nodes=1, without blanks around =.",
    }
    assert second["severity"] == "warning"
    several = json.loads(lint("good", "bad", "--json").stdout)
    assert [row["file"] for row in several] == ["bad", "bad"]
    assert json.loads(lint("good", "--json").stdout) == []


def test_standard_input() -> None:
    assert lint("-", stdin=BAD).stdout.startswith("stdin:2:9: error SK107: ")
    ran = lint("-", "--fix", stdin=BAD)
    assert ran.stdout == MENDED
    assert "stdin:2:9: fixed SK107: " in ran.stderr
    assert ran.exit_code == 0


def test_fix_mends_the_file_and_keeps_its_mode() -> None:
    Path("bad").chmod(0o754)
    Path("link").symlink_to("bad")
    ran = lint("link", "--fix")
    assert Path("bad").read_text() == MENDED
    assert Path("bad").stat().st_mode & 0o777 == 0o754
    assert Path("link").is_symlink()
    assert ran.stderr.splitlines()[0].startswith("link:2:9: fixed SK107: ")
    assert ran.stderr.endswith("; mended 1\n")
    assert sorted(path.name for path in Path().iterdir()) == ["bad", "good", "link", "noted"]


def test_a_sound_script_is_not_touched() -> None:
    before = Path("good").stat()
    assert lint("good", "--fix").exit_code == 0
    assert Path("good").stat() == before


@pytest.mark.parametrize("also", [[], ["--fix"]])
def test_diff_changes_nothing(also: list[str]) -> None:
    ran = lint("bad", "--diff", *also)
    assert ran.stdout.startswith("--- a/bad\n+++ b/bad\n@@ ")
    assert "\n-#SBATCH --nodes = 1\n+#SBATCH --nodes=1\n" in ran.stdout
    assert Path("bad").read_text() == BAD
    assert ran.exit_code == 1
    assert lint("good", "--diff").stdout == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["gone"], "slurmkit: gone cannot be read: No such file or directory"),
        (["."], "slurmkit: . cannot be read: Is a directory"),
        ([], "name a script, or - for standard input"),
        (["--explain", "SK1O1"], "no rule 'SK1O1': did you mean SK101?"),
        (["--explain", "x"], "no rule 'x': codes go from SK101 to "),
        (["bad", "--slurm-version", "new"], "--slurm-version 'new': expected a Slurm version"),
        (["bad", "--diff", "--json"], "--diff goes without --json"),
    ],
)
def test_mistakes(words: list[str], told: str) -> None:
    ran = lint(*words)
    assert ran.exit_code == 2
    assert told in ran.stderr
    assert "Traceback" not in ran.output


def test_an_unreadable_file_does_not_hide_the_others() -> None:
    assert "0 scripts" not in lint("gone").stderr
    ran = lint("gone", "bad")
    assert ran.exit_code == 2
    assert "bad:2:9: error SK107" in ran.stdout


@pytest.mark.parametrize("code", ["SK107", "sk107", "107"])
def test_explain(code: str) -> None:
    told = lint("--explain", code).stdout
    assert told.startswith("SK107 (error): malformed directive\n\n")
    assert "\n\nFix (slurmkit lint --fix does it)\n  Write `--option=value`" in told
    assert "\n\nBad\n    #!/bin/bash\n    #SBATCH --nodes = 2\n" in told


def test_a_long_line_is_cut_around_the_place() -> None:
    padding = "--comment=" + "x" * 200
    Path("long").write_text(f"#!/bin/bash\n#SBATCH {padding} --nodes = 2 -J {'y' * 99}\n./a\n")
    _, line, caret, *_ = lint("long").stdout.splitlines()
    at = caret.index("^")
    assert line[at : at + caret.count("^")] == "--nodes = 2"
    assert len(line) < 100
    assert (line[6], line[-1]) == ("…", "…")


def test_the_reason_is_that_of_the_case() -> None:
    Path("odd").write_text(
        "#!/bin/bash\n#SBATCH --cpu-per-task=8\n#SBATCH --nodes=two\n"
        "#SBATCH --mail-type=END,FIAL\n./a\n"
    )
    reasons = [row for row in lint("odd").stdout.splitlines() if row.startswith("    why:")]
    assert ["--mail-type" in row for row in reasons[:3]] == [False, False, True]


def test_a_nested_script_is_told_by_the_lines_of_the_file() -> None:
    Path("outer").write_text("#!/bin/bash\nsbatch <<EOF\n\n#!/bin/bash\n./a\nEOF\n")
    told = lint("outer").stdout
    assert "`#!/bin/bash` stands in line 4, not in the first of the inner script" in told


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    Path("evil").write_bytes(b"#!/bin/bash\n#SBATCH --time=\x1b]0;x\x07h\n./a\n")
    assert "\x1b" not in lint("evil").output


def test_it_imports_neither_pydantic_nor_jinja2(tmp_path: Path) -> None:
    script = tmp_path / "a.sbatch"
    script.write_text("#!/bin/bash\n#SBATCH --mem=64\nsrun python a.py\n")
    program = (
        "import sys\nfrom slurmkit.cli import main\n"
        f"try:\n    main(['lint', {str(script)!r}])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pydantic', 'jinja2', 'rich', 'torch') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"
