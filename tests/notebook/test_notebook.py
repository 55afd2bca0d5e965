"""docs/notebook.ipynb runs on a real Slurm and prints what is committed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebook.clean import NOTEBOOK, cleaned, committed, run, without_pictures
from tests.testbed.cluster import SlurmCluster


@pytest.mark.slurm
def test_the_committed_outputs_are_those_of_a_fresh_run(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    ran = run(slurm, tmp_path)
    fresh, kept = without_pictures(cleaned(ran, tmp_path)), without_pictures(committed())
    assert fresh == kept, "python -m tests.notebook.refresh, and look at the difference"
    cells = {cell["id"]: cell for cell in ran["cells"]}
    (shown,) = cells["wait"]["outputs"]  # one display, updated in place
    assert "COMPLETED" in "".join(shown["data"]["text/html"])
    assert "  COMPLETED  " in "".join(shown["data"]["text/plain"])


def test_the_committed_notebook_is_clean() -> None:
    notebook = committed()
    assert cleaned(notebook, Path("/nowhere")) == notebook
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [cell["id"] for cell in code if cell["metadata"]]
    errors = [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]
    assert not errors
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.findall(r"/tmp/|/root|pytest|20\d\d-\d\d-\d\dT|stderr", text)
    assert len(text) < 60_000
