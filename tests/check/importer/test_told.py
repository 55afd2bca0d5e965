"""What a script says and a job file has no place for is told, not passed over."""

from __future__ import annotations

import pytest
import yaml

from slurmkit.check.importer.run import Imported, import_script

LAUNCH = "srun torchrun --nnodes=2 --nproc_per_node=4 train.py\n"


def imported(body: str, first: str = "#!/bin/bash") -> Imported:
    return import_script(f"{first}\n{body}".encode(), "job")


def why(found: Imported, kind: str, what: str) -> str:
    (note,) = [note for note in found.notes if (note.kind, note.what) == (kind, what)]
    return note.why


def test_directives_behind_the_first_command_count() -> None:
    late = "#SBATCH --nodes=2\necho a\n#SBATCH --time=3:00:00\n#SBATCH --nodes=4 --mem=8G\n"
    found = imported(late + LAUNCH)
    resources = yaml.safe_load(found.text)["resources"]
    assert resources["nodes"] == 2
    assert resources["time"] == "3:00:00"
    assert resources["memory_per_node"] == "8G"
    assert "in the job file it counts" in why(found, "changed", "#SBATCH --time=3:00:00")
    assert "--nodes is as above it" in why(found, "changed", "#SBATCH --nodes=4 --mem=8G")


def test_a_directive_in_a_heredoc_is_text() -> None:
    found = imported("cat > a.sh <<EOF\n#SBATCH --time=3:00:00\nEOF\n" + LAUNCH)
    assert "time" not in yaml.safe_load(found.text).get("resources", {})


@pytest.mark.parametrize(
    ("directive", "what", "told"),
    [
        ("--cpu-per-task=8", "--cpu-per-task=8", "did you mean --cpus-per-task?"),
        ("-J my job", "job", "belongs to no option"),
        ("--site-plugin=1", "--site-plugin=1", "a plugin of the site may"),
    ],
)
def test_what_sbatch_does_not_know(directive: str, what: str, told: str) -> None:
    assert told in why(imported(f"#SBATCH {directive}\n{LAUNCH}"), "changed", what)


def test_the_nodes_of_a_step() -> None:
    loop = 'for n in a b; do\n  srun -N1 -n1 -w "$n" torchrun train.py &\ndone\nwait\n'
    assert "on all nodes" in why(imported(loop), "moved", "--nodelist=$n")
    one = imported("srun -w n1 torchrun train.py\n")
    assert "on all nodes of the job" in why(one, "changed", "--nodelist=n1")


def test_a_login_shell() -> None:
    found = imported(LAUNCH, "#!/bin/bash -l")
    assert "source /etc/profile" in why(found, "changed", "#!/bin/bash -l")
    assert not [n for n in imported(LAUNCH, "#!/bin/bash -e").notes if n.line == 1]


def test_exported_functions() -> None:
    function = "go() {\n  srun torchrun train.py\n}\n"
    found = imported(f"{function}export -f go\ngo\n")
    assert "slurmkit starts the program" in why(found, "dropped", "export -f go")
    kept = imported(f"help() {{ date; }}\nexport -f help\n{LAUNCH}").text
    assert yaml.safe_load(kept)["environment"]["setup"] == ["help() { date; }", "export -f help"]
