"""Texts within a script that another shell reads: where they run, and who expands what in them."""

from __future__ import annotations

import pytest

from slurmkit.check.script.launches import Launch, launches
from slurmkit.check.script.read import read
from slurmkit.check.script.variables import reads


def _launches(text: str) -> list[Launch]:
    return launches(read(f"#!/bin/bash\n{text}\n".encode()))


def _expanded_on(launch: Launch, option: str) -> list[tuple[str, str]]:
    """Return the variables that an option comes to, each with where it is expanded."""
    found = launch.option(option)
    assert found is not None
    assert found.value is not None
    pieces = reads(found.value, launch.command.order, launch.command.context)
    return [(piece.text, piece.shell.where) for piece in pieces]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("srun torchrun --node_rank=$R a.py", "batch"),
        ('srun torchrun --node_rank="$R" a.py', "batch"),
        ("srun bash -c 'torchrun --node_rank=$R a.py'", "node"),
        ('srun bash -c "torchrun --node_rank=$R a.py"', "batch"),
        ('srun bash -c "torchrun --node_rank=\\$R a.py"', "node"),
        ("srun bash -lc 'torchrun --node_rank=$R a.py'", "node"),
        ("srun sh -xeuc 'torchrun --node_rank=$R a.py'", "node"),
        ("srun --label bash -c '\ntorchrun \\\n  --node_rank=$R a.py\n'", "node"),
        ("srun bash <<EOF\ntorchrun --node_rank=$R a.py\nEOF", "batch"),
        ("srun bash <<EOF\ntorchrun --node_rank=\\$R a.py\nEOF", "node"),
        ("srun bash <<'EOF'\ntorchrun --node_rank=$R a.py\nEOF", "node"),
        ("srun bash <<-'EOF'\n\ttorchrun --node_rank=$R a.py\n\tEOF", "node"),
        ("srun bash <<< 'torchrun --node_rank=$R a.py'", "node"),
        ("cat > x.sh <<EOF\ntorchrun --node_rank=\\$R a.py\nEOF\nsrun bash x.sh", "node"),
        ("cat <<'EOF' > x.sh\ntorchrun --node_rank=$R a.py\nEOF\nsrun ./x.sh", "node"),
        ("f() { torchrun --node_rank=$R a.py; }\nexport -f f\nsrun bash -c f", "node"),
        ('f() { torchrun --node_rank=$R a.py; }\nsrun bash -c "$(declare -f f); f"', "node"),
        ('C="torchrun --node_rank=$R a.py"\nsrun $C', "batch"),
        ("C='torchrun --node_rank=$R a.py'\nsrun bash -c \"$C\"", "node"),
        ('C="torchrun --node_rank=\\$R \\\n a.py"\nsrun bash -c "$C"', "node"),
        ("C=$(cat <<'EOF'\ntorchrun --node_rank=$R a.py\nEOF\n)\nsrun bash -c \"$C\"", "node"),
        ("read -r -d '' C <<'EOF'\ntorchrun --node_rank=$R a.py\nEOF\nsrun bash -c \"$C\"", "node"),
        ('L="torchrun"\nsrun bash -c "$L --node_rank \\$R a.py" 2>&1 | tee log', "node"),
        ("eval \"srun bash -c 'torchrun --node_rank=\\$R a.py'\"", "node"),
        ('eval "srun torchrun --node_rank=\\$R a.py"', "batch"),
        ("singularity exec a.sif bash -c 'torchrun --node_rank=$R a.py'", "batch"),
        ("srun apptainer exec a.sif bash -c 'torchrun --node_rank=$R a.py'", "node"),
        ("ssh $H \"torchrun --node_rank=$R a.py\"", "batch"),
        ("ssh $H 'torchrun --node_rank=$R a.py'", "node"),
    ],
)  # fmt: skip
def test_which_shell_expands(text: str, where: str) -> None:
    (launch,) = _launches(text)
    assert _expanded_on(launch, "node-rank") == [("R", where)]


def test_quotes_within_quotes() -> None:
    text = """srun bash -c 'echo "it'"'"'s"; torchrun --node_rank="$R" a.py'"""
    (launch,) = _launches(text)
    assert _expanded_on(launch, "node-rank") == [("R", "node")]


def test_a_substitution_in_a_string_keeps_its_beginning() -> None:
    (launch,) = _launches('C=" \\\n   `pwd`/train.py --lr 1"\nsrun bash -c "python $C"')
    assert launch.program is not None
    assert launch.program.shown == "$(pwd)/train.py"
    assert [word.shown for word in launch.arguments] == ["--lr", "1"]


def test_in_the_background_of_an_inner_shell() -> None:
    (launch,) = _launches("ssh $H 'cd x && nohup torchrun a.py > log 2>&1 &'")
    assert launch.command.context.in_background
    assert launch.through == "ssh"


def test_the_container_is_known_inside() -> None:
    (launch,) = _launches("srun --container-image=a.sqsh bash -c 'torchrun a.py'")
    assert launch.in_container
    (launch,) = _launches("srun bash -c 'torchrun a.py'")
    assert not launch.in_container


def test_places_are_those_of_the_file() -> None:
    text = "srun bash -c '\n  torchrun a.py\n'"
    (launch,) = _launches(text)
    data = f"#!/bin/bash\n{text}\n".encode()
    assert data[launch.span.start : launch.span.end] == b"torchrun"
