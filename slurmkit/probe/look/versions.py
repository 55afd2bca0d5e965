"""The versions that nodes must share: read from files, so that torch need not be imported."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

COMPARED = (
    "torch", "numpy", "triton", "transformers", "accelerate", "datasets", "tokenizers", "peft",
    "safetensors", "deepspeed", "lightning", "pytorch-lightning", "flash-attn", "xformers",
    "torchvision", "torchaudio", "megatron-core", "transformer-engine", "mpi4py",
)  # fmt: skip
_ASSIGNED = re.compile(r"^(__version__|cuda|hip)\b[^=\n]*=\s*(?:\w+\()?['\"]([^'\"]+)['\"]", re.M)
_DRIVER = re.compile(r"Kernel Module\D*?\s(\d+\.\d+(?:\.\d+)?)")


def versions() -> dict[str, Any]:
    """Return the versions of Python, torch and its companions, by name, and which Python it is."""
    found = {"python": platform.python_version(), **torch_versions()}
    for name in COMPARED:
        with suppress(metadata.PackageNotFoundError):
            found.setdefault(name, metadata.version(name))
    for edition in ("cu11", "cu12", "cu13", "cu14"):
        with suppress(metadata.PackageNotFoundError):
            found.setdefault("NCCL", metadata.version(f"nvidia-nccl-{edition}"))
    with suppress(OSError):
        driver = _DRIVER.search(Path("/proc/driver/nvidia/version").read_text())
        if driver:
            found["driver"] = driver[1]
    return {
        "versions": found,
        "executable": sys.executable,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "path": os.environ.get("PYTHONPATH", ""),
    }


def torch_versions() -> dict[str, str]:
    """Return the versions that torch says of itself in its version.py."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return {}
    names = {"__version__": "torch", "cuda": "CUDA", "hip": "ROCm"}
    for directory in (spec.submodule_search_locations or []) if spec else []:
        with suppress(OSError):
            text = Path(directory, "version.py").read_text(errors="replace")
            return {names[name]: version for name, version in _ASSIGNED.findall(text)}
    return {}
