"""What the `#SBATCH` lines say of values that a reader may take for something else."""

from __future__ import annotations

import pytest

from slurmkit.render.directives import sbatch
from slurmkit.spec.model import JobSpec


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        ("time", "10:00", "--time=0:10:00"),
        ("time", "90", "--time=1:30:00"),
        ("time", "12:00:00", "--time=12:00:00"),
        ("time", "1-12", "--time=1-12"),
        ("time", "UNLIMITED", "--time=UNLIMITED"),
        ("memory_per_node", "64", "--mem=64M"),
        ("memory_per_node", "64G", "--mem=64G"),
        ("memory_per_node", "0", "--mem=0"),
        ("memory_per_cpu", "512", "--mem-per-cpu=512M"),
    ],
)
def test_times_and_memory_have_their_units(field: str, value: str, option: str) -> None:
    data = {"name": "x", "resources": {field: value}, "entrypoint": {"script": "a.py"}}
    assert option in sbatch(JobSpec.model_validate(data))
