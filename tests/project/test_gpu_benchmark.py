"""The benchmark for GPUs works: tried on the CPU with a tiny model, and silent without a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.project.test_makefile import CHECKOUT


def bench(*arguments: str) -> str:
    # Without a GPU, and torch.compile without its compiler, which takes a minute.
    hidden = {"CUDA_VISIBLE_DEVICES": "", "TORCHDYNAMO_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "benchmarks/gpu_finetune.py", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **hidden},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_without_a_gpu_it_says_so() -> None:
    assert bench() == (
        "gpu_finetune: no GPU here, nothing measured (--tiny tries the code on the CPU)\n"
    )


def test_the_table_on_a_tiny_model() -> None:
    printed = bench("--tiny", "--layers", "2", "--steps", "1")
    rows = re.findall(r"^\| (\w+, [\w ]+) \| [\d.]+ \| [\d,]+ \| [\d.]+ \|", printed, re.M)
    assert rows == [
        f"{a}, {b}" for a in ("eager", "compiled") for b in ("chunked loss", "all logits")
    ]
    assert re.search(r"^counting experts: [+-][\d.]+%", printed, re.M)
    assert re.search(r"^full checkpoint: [\d.]+ s, [\d.]+ MiB$", printed, re.M)
