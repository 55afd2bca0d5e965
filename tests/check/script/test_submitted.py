"""Scripts that a script gives to sbatch, in all the ways in which it is done."""

from __future__ import annotations

import pytest

from slurmkit.check.script.read import Script, read

BODY = "#!/bin/bash\n#SBATCH --time=60\nsrun hostname\n"


def inner(text: str) -> list[Script]:
    return read(text.encode()).inner


@pytest.mark.parametrize(
    "text",
    [
        f"sbatch <<EOT\n{BODY}EOT\n",
        f"sbatch <<'EOT'\n{BODY}EOT\n",
        "sbatch <<-EOT\n" + "".join(f"\t{row}\n" for row in BODY.splitlines()) + "\tEOT\n",
        f"cat <<EOT | sbatch\n{BODY}EOT\n",
        f"cat > job.sh <<EOT\n{BODY}EOT\nsbatch job.sh\n",
        f"cat <<EOT > job.sh\n{BODY}EOT\nsbatch ./job.sh a b\n",
        f'sbatch <<< "{BODY}"\n',
        f'JOB="{BODY}"\nsbatch <<< "$JOB"\n',
        f"ID=$(sbatch --parsable <<EOT\n{BODY}EOT\n)\n",
        f"for i in 1 2; do\nsbatch <<EOT\n{BODY}EOT\ndone\n",
    ],
)
def test_it_is_read(text: str) -> None:
    (script,) = inner(text)
    assert script.directives.value("time") == "60"
    assert [command.name for command in script.commands] == ["srun"]
    line = script.directives.lines[0].number
    assert text.splitlines()[line - 1].lstrip("\t") == "#SBATCH --time=60"


def test_the_command_line_counts_last() -> None:
    (script,) = inner(f"N=4\nsbatch -N $N --time=5 <<EOT\n{BODY}EOT\n")
    assert script.directives.value("time") == "5"
    assert script.directives.value("nodes") == "4"


@pytest.mark.parametrize("option", ["--wrap='{}'", '--wrap "{}"', "-t 60 --wrap='{}'"])
def test_wrap(option: str) -> None:
    text = f"sbatch -N 2 {option.format('srun torchrun train.py')}\n"
    (script,) = inner(text)
    assert script.directives.value("nodes") == "2"
    (command,) = script.commands
    assert text[slice(*command.span)] == "srun torchrun train.py"


def test_the_body_of_a_heredoc_is_what_stands_there() -> None:
    (script,) = inner(f"sbatch <<EOT\n\n  {BODY}EOT\n")
    assert script.batch.text.data.startswith(b"\n  #!/bin/bash\n")


def test_what_stands_behind_an_expansion_is_read_as_a_heredoc() -> None:
    (script,) = inner('sbatch <<EOT\n#!/bin/bash\n# $A\necho "a\\nb" \\$HOME \\\n$1 $@ c\nEOT\n')
    data = script.batch.text.data
    assert b'echo "a\\nb" $HOME ' in data
    assert [piece.text for piece in script.batch.text.placeholders] == ["A", "1", "@"]


def test_places_behind_a_continued_line() -> None:
    text = "read -r -d '' C <<EOT\ncd $A \\\n&& srun \\\n b\nEOT\nbash -c \"$C\"\n"
    (found,) = (c for c in read(text.encode()).commands if c.name == "srun")
    assert text[slice(*found.span)] == "srun \\\n b"


@pytest.mark.parametrize("text", ["sbatch job.sh\n", "sbatch < job.sh\n", "cat a | sbatch\n"])
def test_what_is_not_here_is_not_read(text: str) -> None:
    assert inner(text) == []
