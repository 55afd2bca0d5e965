"""The option table and what it lets a user write."""

from __future__ import annotations

import pytest

from slurmkit.slurm.grammar import GrammarError, parse_version
from slurmkit.slurm.options import (
    NEWEST,
    OLDEST,
    TOOLS,
    OptionError,
    Tool,
    check_option,
    load_options,
)

WRITTEN: list[tuple[Tool, str, str | bool, str | None, str | None]] = [
    ("sbatch", "switches", "1", None, "--switches=1"),
    ("sbatch", "contiguous", True, None, "--contiguous"),
    ("sbatch", "contiguous", "true", None, "--contiguous"),
    ("sbatch", "contiguous", False, None, None),
    ("sbatch", "contiguous", "false", None, None),
    ("sbatch", "comment", False, None, None),
    ("sbatch", "comment", "true", None, "--comment=true"),
    ("sbatch", "comment", 'it\'s $(a) "b"', None, '--comment=it\'s $(a) "b"'),
    ("sbatch", "nice", True, None, "--nice"),
    ("sbatch", "nice", "100", None, "--nice=100"),
    ("sbatch", "error", "err-%j", None, "--error=err-%j"),
    ("sbatch", "export", "NONE", None, "--export=NONE"),
    ("sbatch", "chdir", "/data", None, "--chdir=/data"),
    ("sbatch", "gres", "nvme:1", None, "--gres=nvme:1"),
    ("sbatch", "tres-per-task", "license/matlab:1", None, "--tres-per-task=license/matlab:1"),
    ("sbatch", "segment", "4", "24.05.2", "--segment=4"),
    ("sbatch", "power", "level", "23.11", "--power=level"),
    ("sbatch", "get-user-env", "10L", "24.11", "--get-user-env=10L"),
    ("sbatch", "get-user-env", "10L", None, "--get-user-env=10L"),
    ("sbatch", "get-user-env", True, "26.05", "--get-user-env"),
    ("srun", "cpu-bind", "cores", "20.02", "--cpu-bind=cores"),
    ("srun", "mpi", "pmix", None, "--mpi=pmix"),
    ("srun", "distribution", "block:block", None, "--distribution=block:block"),
    ("srun", "gres", "none", None, "--gres=none"),
    ("srun", "unbuffered", True, None, "--unbuffered"),
]

REFUSED: list[tuple[Tool, str, str | bool, str | None, str]] = [
    ("sbatch", "swiches", "1", None, "did you mean switches?"),
    ("sbatch", "qqqqqqqq", "1", None, "see https://slurm.schedmd.com/sbatch.html"),
    ("sbatch", "", "1", None, "see https://"),
    ("sbatch", "mail_type", "END", None, "write mail-type"),
    ("sbatch", "--mail-type", "END", None, "write mail-type"),
    ("sbatch", "cpus_per_task", "4", None, "set resources.cpus_per_node"),
    ("sbatch", "N", "2", None, "set resources.nodes"),
    ("sbatch", "-p", "gpu", None, "set resources.partition"),
    ("sbatch", "L", "matlab", None, "write licenses"),
    ("sbatch", "W", True, None, "leave it out: it belongs on sbatch's command line"),
    ("sbatch", "nodes", "2", None, "set resources.nodes instead"),
    ("sbatch", "job-name", "x", None, "set name instead"),
    ("sbatch", "gpus-per-node", "8", None, "set resources.gpus_per_node"),
    ("sbatch", "gres", "nvme:1,gpu:a100:4", None, "set resources.gpus_per_node"),
    ("sbatch", "gres", "GPU", None, "set resources.gpus_per_node"),
    ("sbatch", "tres-per-task", "gres/gpu=1", None, "set resources.gpus_per_node"),
    ("sbatch", "ntasks-per-node", "8", None, "follow from launcher.kind"),
    ("sbatch", "array", "0-3", None, "set sweep"),
    ("sbatch", "dependency", "afterok:1", None, "set depends_on"),
    ("sbatch", "signal", "USR1@60", None, "set requeue"),
    ("sbatch", "requeue", True, None, "set requeue"),
    ("sbatch", "output", "x", None, "slurmkit-%j.out"),
    ("sbatch", "wrap", "id", None, "set entrypoint.command"),
    ("sbatch", "test-only", True, None, "command line"),
    ("sbatch", "cpu-bind", "cores", None, "write launcher.srun.cpu-bind"),
    ("sbatch", "kill-on-bad-exit", True, None, "leave it out: it is an option of srun"),
    ("srun", "batch", "x", None, "write sbatch.batch"),
    ("srun", "array", "0-3", None, "set sweep"),
    ("srun", "mail-type", "END", None, "set sbatch.mail-type instead: inside a job srun ignores"),
    ("srun", "export", "ALL", None, "set environment.variables"),
    ("srun", "cpu_bind", "cores", None, "write cpu-bind"),
    ("srun", "cpu-bnd", "cores", None, "did you mean cpu-bind?"),
    ("srun", "container-image", "x", None, "set the container field"),
    ("sbatch", "no-container-mount-home", True, None, "set the container field"),
    ("sbatch", "no-shell", True, None, "only salloc has it"),
    ("sbatch", "segment", "4", "23.11.1", "came with Slurm 24.05"),
    ("sbatch", "power", "x", "24.05", "removed in Slurm 24.05"),
    ("sbatch", "get-user-env", "10L", "25.05", "write sbatch.get-user-env: true"),
    ("sbatch", "contiguous", "yes", None, "write sbatch.contiguous: true"),
    ("sbatch", "switches", True, None, "write sbatch.switches: VALUE"),
    ("srun", "mpi", "", None, "write launcher.srun.mpi: VALUE"),
    ("sbatch", "nice", "", None, "write sbatch.nice: true"),
    ("sbatch", "comment", "a\nb", None, "line break"),
    ("sbatch", "comment", "a\0b", None, "line break"),
]


@pytest.mark.parametrize(("tool", "name", "value", "version", "text"), WRITTEN)
def test_option_is_written(
    tool: Tool, name: str, value: str | bool, version: str | None, text: str | None
) -> None:
    assert check_option(tool, name, value, version) == text


@pytest.mark.parametrize(("tool", "name", "value", "version", "fix"), REFUSED)
def test_refused_option_says_what_to_do(
    tool: Tool, name: str, value: str | bool, version: str | None, fix: str
) -> None:
    with pytest.raises(OptionError) as caught:
        check_option(tool, name, value, version)
    assert fix in caught.value.fix
    assert caught.value.expected


def test_version_is_checked() -> None:
    with pytest.raises(GrammarError, match=r"24\.11\.3"):
        check_option("sbatch", "switches", "1", "latest")
    with pytest.raises(OptionError, match=r"slurm_version is 22\.05"):
        check_option("sbatch", "segment", "4", "22.05")


def test_table_is_whole_and_well_formed() -> None:
    options = load_options()
    assert len(options) == 167
    assert list(options) == sorted(options)
    assert options is load_options()
    for name, option in options.items():
        assert name == option.name
        assert len(option.short) < 2
        for tool in TOOLS:
            use = option.use(tool)
            kinds = [change.kind for change in use.history]
            assert set(kinds) <= {"none", "required", "optional", "removed"}
            assert "removed" not in kinds[:-1]
            versions = [parse_version(change.since or OLDEST) for change in use.history]
            assert versions == sorted(set(versions))
            assert all(version <= parse_version(NEWEST) for version in versions)
            if not use.history:
                assert use.field + use.why == ""


def test_letters_name_one_option_of_a_tool() -> None:
    for tool in TOOLS:
        letters = [o.short for o in load_options().values() if o.short and o.use(tool).history]
        assert len(letters) == len(set(letters))


def test_fields_are_named_that_exist() -> None:
    fields = {use.field for o in load_options().values() for use in (o.sbatch, o.srun)} - {""}
    assert {field for field in fields if not field.startswith(("resources.", "sbatch."))} == {
        "container",
        "depends_on",
        "entrypoint.command",
        "environment.variables",
        "gpu:resources.gpus_per_node",
        "launcher.kind",
        "name",
        "requeue",
        "sweep",
    }
    for field in fields:
        if field.startswith("sbatch."):
            use = load_options()[field.removeprefix("sbatch.")].sbatch
            assert use.history
            assert use.field + use.why == ""
