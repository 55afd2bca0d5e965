from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from slurmkit.check.importer.run import import_script
from slurmkit.check.script.read import read
from slurmkit.render.script import render
from slurmkit.slurm.grammar import parse_time
from slurmkit.spec.load import loads
from tests.simulate.simulation import simulate

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.sbatch"))
SLOW = (
    "torchrun_in_bash",
    "loop_over_nodes",
    "accelerated",
)  # torch is imported on each node, twice
VARIABLES = ("GREETING", "LEVEL", "PLACE", "NCCL_DEBUG")
TELL = f"""
import json, os, pathlib, sys
rank = os.environ.get("RANK", os.environ["SLURM_PROCID"])
size = os.environ.get("WORLD_SIZE", os.environ["SLURM_NTASKS"])
variables = {{name: os.environ.get(name) for name in {VARIABLES}}}
told = {{"arguments": sys.argv[1:], "world size": size, "variables": variables}}
pathlib.Path("out", rank + ".json").write_text(json.dumps(told))
"""


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.stem, marks=[pytest.mark.proof] if p.stem in SLOW else [])
        for p in SCRIPTS
    ],
)
def test_the_same_program_runs_in_the_same_way(path: Path, tmp_path: Path) -> None:
    script = path.read_text()
    imported = import_script(script.encode(), path.name)
    rendered = render(loads(imported.text, "job.yaml"))
    before, after = run(tmp_path / "before", script), run(tmp_path / "after", rendered)
    assert len(before) > 1
    assert after == before
    assert directives(rendered) == directives(script)


def run(directory: Path, script: str) -> dict[str, Any]:
    """Return what each process tells, by its rank."""
    directory.mkdir()
    (directory / "tell.py").write_text(TELL)
    body = script.partition("\n")[2]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {"HOME": str(directory.parent), "PATH": path}
    done = simulate(directory, body, directives="", variables=variables)
    said = done.stdout + done.stderr
    assert done.outcome["state"] == "COMPLETED", said
    assert (directory / "out").is_dir(), said
    assert any((directory / "out").iterdir()), said
    here = str(directory)
    told = {p.stem: p.read_text().replace(here, "HERE") for p in (directory / "out").iterdir()}
    return {rank: json.loads(text) for rank, text in told.items()}


def directives(script: str) -> dict[str, str | None]:
    """Return what a script asks Slurm for, apart from where its output goes."""
    ours = ("output", "no-requeue")
    options = read(script.encode()).directives.options
    found = {option.name: option.value for option in options if option.name not in ours}
    found["time"] = str(parse_time(found["time"] or "0"))
    return found
