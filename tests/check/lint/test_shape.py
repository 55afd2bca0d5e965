"""SK201 to SK218, SK301 to SK317 over short scripts: what they find, and what is sound."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from slurmkit.check.lint.fixes import fix
from slurmkit.check.lint.rule import Found
from slurmkit.check.lint.run import lint

HERE = Path(__file__).parent
SEVERITIES = ("error", "warning", "info")


def cases() -> Iterator[tuple[str, str, str, str]]:
    """Return code, script, `found` or `silent`, and the severity, if it is said."""
    for name in ("shape.yaml", "meeting.yaml"):
        for code, kinds in yaml.safe_load((HERE / name).read_text(encoding="utf-8")).items():
            for kind, scripts in kinds.items():
                for script in scripts:
                    severity, _, rest = script.partition(": ")
                    if severity in SEVERITIES:
                        yield code, rest, kind, severity
                    else:
                        yield code, script, kind, ""


CASES = [pytest.param(*case, id=f"{case[0]}-{case[1]}") for case in cases()]


def found(data: bytes, code: str, version: tuple[int, int] | None = None) -> list[Found]:
    """Return what one rule finds in a script."""
    return [finding for finding in lint(data, "job", version) if finding.code == code]


@pytest.mark.parametrize(("code", "script", "kind", "severity"), CASES)
def test_cases(code: str, script: str, kind: str, severity: str) -> None:
    seen = found(f"#!/bin/bash\n{script}".encode(), code)
    assert bool(seen) == (kind == "found"), [str(finding) for finding in seen]
    if severity:
        assert {finding.severity for finding in seen} == {severity}


def test_what_is_fixed_is_not_found_again_and_is_bash() -> None:
    """All of them in one call of bash each way: a call a script would take seconds."""
    fixed = []
    for code, script, kind, _ in cases():
        data = f"#!/bin/bash\n{script}".encode()
        if kind == "found" and any(finding.edits for finding in found(data, code)):
            after = fix(data, lambda text, code=code: found(text, code))  # type: ignore[misc]
            assert after.done
            assert not [f for f in found(after.data, code) if f.edits], after.data.decode()
            fixed.append(after.data)
    assert len(fixed) > 30
    text = b"\n".join(b"(\n" + data + b"\n)" for data in fixed)
    subprocess.run(["bash", "-n"], input=text, check=True)


@pytest.mark.parametrize(
    ("version", "severity"), [((24, 11), "warning"), ((26, 5), "error"), (None, "warning")]
)
def test_gres_beside_gpus_per_node(version: tuple[int, int] | None, severity: str) -> None:
    script = b"#!/bin/bash\n#SBATCH --gres=gpu:4 --gpus-per-node=4\nsrun python a.py\n"
    assert [finding.severity for finding in found(script, "SK209", version)] == [severity]


@pytest.mark.parametrize(
    ("code", "options", "version", "count"),
    [
        ("SK214", "-c 8", (22, 5), 1),
        ("SK214", "-c 8", (23, 2), 1),
        ("SK214", "-c 8", (21, 8), 0),
        ("SK214", "-c 8", (23, 11), 0),
        ("SK218", "--exclusive -s", (20, 11), 0),
        ("SK218", "--exclusive -s", (23, 2), 1),
        ("SK218", "-c 8 --cpus-per-gpu=8", (23, 2), 0),
        ("SK218", "-c 8 --cpus-per-gpu=8", (23, 11), 1),
    ],
)
def test_rules_of_some_versions(
    code: str, options: str, version: tuple[int, int], count: int
) -> None:
    script = f"#!/bin/bash\n#SBATCH {options}\nsrun python a.py\n".encode()
    assert len(found(script, code, version)) == count


def test_a_port_in_a_variable_is_pointed_at() -> None:
    script = b'#!/bin/bash\nL="torchrun --nproc-per-node 2 --master-port 6000 "\nsrun $L a.py\n'
    (finding,) = found(script, "SK306")
    assert script[slice(*finding.span)] == b"6000"


@pytest.mark.parametrize(("name", "has_shell"), [("SLURM_NODEID", True), ("MASTER_ADDR", False)])
def test_an_escaped_rank_needs_a_shell_on_the_node(name: str, has_shell: bool) -> None:
    script = f"#!/bin/bash\n#SBATCH -N 2\nsrun torchrun --x=\\${name} a.py\n".encode()
    (finding,) = found(script, "SK314")
    assert ("bash -c" in finding.fix) is has_shell


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"#SBATCH --gres=gpu:4\n", b""),
        (b"#SBATCH --gres=gpu:4 # four\n", b"# four\n"),
        (b"#SBATCH --gres=gpu:4   -c 8 # four\n", b"#SBATCH -c 8 # four\n"),
    ],
)
def test_a_dropped_option_leaves_no_empty_directive(before: bytes, after: bytes) -> None:
    head, tail = b"#!/bin/bash\n", b"#SBATCH -N 2 --gpus-per-node=4\nsrun python a.py\n"
    fixed = fix(head + before + tail, lambda text: found(text, "SK209")).data
    assert fixed == head + after + tail


def test_rank_is_read_on_the_node_after_the_fix(tmp_path: Path) -> None:
    """The line that `--fix` writes, run by a bash that plays srun."""
    script = (
        b"#!/bin/bash\n#SBATCH -N 2 --ntasks-per-node=1\n"
        b"srun torchrun --nnodes=2 \\\n  --node_rank=$SLURM_PROCID \\\n"
        b"  --master_addr=$A a.py 'b c'\n"
    )
    fixed = fix(script, lambda text: found(text, "SK301")).data
    for name, body in (
        ("srun", 'SLURM_PROCID=1 exec "$@"'),
        ("torchrun", "printf '<%s>' \"$@\""),
    ):
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_PROCID": "0", "A": "n1"}
    shown = subprocess.run(
        ["bash"], input=fixed, env=environment, check=True, capture_output=True
    ).stdout
    assert shown == b"<--node_rank=1><--nnodes=2><--master_addr=n1><a.py><b c>"
