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


def test_directives_of_another_scheduler() -> None:
    found = imported("#PBS -l nodes=2\n# PBS is told of\n" + LAUNCH)
    assert "under `resources`" in why(found, "changed", "#PBS -l nodes=2")
    assert len([note for note in found.notes if "PBS" in note.what]) == 1


@pytest.mark.parametrize(
    ("loop", "kind", "told"),
    [
        ("while read -r line; do\n{}done < runs.txt\n", "changed", "a loop around the launch"),
        ("for i in {{a,b}}; do\n{}done\n", "changed", "a loop around the launch"),
        ("for n in $NODES; do\n{}done\n", "moved", "a loop over the nodes"),
    ],
)
def test_loops_around_the_launch(loop: str, kind: str, told: str) -> None:
    found = imported(loop.format(LAUNCH))
    assert told in why(found, kind, loop.partition("\n")[0].format())


def test_a_loop_that_setup_reads_is_a_sweep() -> None:
    body = "IFS=, read -r A B <<< $pair\necho $pair\n" + LAUNCH
    found = imported(f"pairs=(1,2 3,4)\nfor pair in ${{pairs[@]}}; do\n{body}done\n")
    assert yaml.safe_load(found.text)["sweep"] == {"environment.variables.pair": ["1,2", "3,4"]}
    said = imported(f"for i in 1 2; do\necho $i\n{LAUNCH}done\n")
    assert "sweep" not in yaml.safe_load(said.text)


def test_an_array_of_sbatchs_command_line() -> None:
    found = imported("source p/$SLURM_ARRAY_TASK_ID.env\n" + LAUNCH)
    assert "the script has no --array" in why(found, "changed", "SLURM_ARRAY_TASK_ID")
    assert "source p/$ARRAY_TASK_ID.env" in yaml.safe_load(found.text)["environment"]["setup"]


def test_programs_in_the_background() -> None:
    found = imported("python a.py &\npython b.py &\nwait\n")
    assert "runs beside the job's own program" in why(found, "changed", "python a.py")


def test_branches_in_shells_of_their_own() -> None:
    text = f'if [ $N -gt 1 ]; then\nsrun bash -c "{LAUNCH}"\nelse\ntorchrun a.py\nfi\n'
    assert "another branch" in why(imported(text), "changed", "torchrun a.py")


def test_what_the_submitting_script_puts_in() -> None:
    inner = "#!/bin/bash\n#SBATCH -J run_$name -N 2\nmkdir -p $name\n" + LAUNCH
    found = imported(f"for name in $(ls); do\nsbatch <<EOF\n{inner}EOF\ndone\n")
    assert "write its value" in why(found, "changed", "--job-name=run_$name")
    data = yaml.safe_load(found.text)
    assert (data["name"], data["environment"]["setup"]) == ("job", ["mkdir -p $name"])


def test_a_site_s_other_network_in_the_rendezvous() -> None:
    meet = "--rdzv-endpoint=$(scontrol show hostnames $SLURM_NODELIST | head -n1)"
    assert yaml.safe_load(imported(f"srun torchrun {meet}i:29500 t.py\n").text)["site"] == {
        "host_suffix": "i"
    }
    assert "site" not in yaml.safe_load(imported(f"srun torchrun {meet}:29500 t.py\n").text)


@pytest.mark.parametrize("again", ["scontrol requeue $SLURM_JOB_ID", "sbatch again.sh"])
def test_a_trap_that_brings_the_job_back(again: str) -> None:
    trap = f"again() {{\n  {again}\n}}\ntrap again USR1\ntrap again TERM\n"
    found = imported(f"#SBATCH --signal=B:USR1@240 -t 60\n{trap}{LAUNCH}")
    data = yaml.safe_load(found.text)
    assert data["requeue"] == {"lead_time": 240}
    assert "setup" not in data.get("environment", {})
    assert why(found, "moved", "trap again TERM") == "see `requeue`"


@pytest.mark.parametrize(
    ("line", "entrypoint", "what"),
    [
        ('srun python -u "$@"', {"script": "${env:ARG_1}"}, "$@"),
        ("source ./run.sh -a 1", {"command": ["bash", "./run.sh", "-a", "1"]}, "source"),
    ],
)
def test_a_program_that_is_none_to_be_started(
    line: str, entrypoint: dict[str, object], what: str
) -> None:
    found = imported(line + "\n")
    assert yaml.safe_load(found.text)["entrypoint"] == entrypoint
    assert what in [note.what for note in found.notes]


def test_a_heredoc_s_own_arguments_are_not_sbatchs() -> None:
    for begin, word in (("EOF", r"\$*"), ("'EOF'", "$*")):
        found = imported(f"cat <<{begin} > go\nexec {word}\nEOF\nsrun ./go python t.py\n")
        assert yaml.safe_load(found.text)["entrypoint"] == {"script": "t.py"}
        assert not [note for note in found.notes if "set --" in note.why]
    read = imported("cat <<EOF > go\necho $1\nEOF\n" + LAUNCH)
    assert [note for note in read.notes if "set --" in note.why]
