"""The states of this process's random number generators, as tensors: nothing is pickled."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def rng_state() -> dict[str, Tensor]:
    """Return the states of Python, of numpy if it is in use, of torch and of this rank's GPU."""
    _, words, gauss = random.getstate()
    state = {
        "python": torch.tensor(words, dtype=torch.int64),
        "python.gauss": torch.tensor([gauss is not None, gauss or 0.0], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if "numpy" in sys.modules:
        import numpy as np

        _, keys, position, has_gauss, cached = np.random.get_state()
        state["numpy"] = torch.tensor([*keys, position, has_gauss], dtype=torch.int64)
        state["numpy.gauss"] = torch.tensor([cached], dtype=torch.float64)
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Tensor]) -> None:
    """Put the generators back to where they were; what this process has not is passed over."""
    has_gauss, gauss = state["python.gauss"].tolist()
    random.setstate((3, tuple(state["python"].tolist()), gauss if has_gauss else None))
    torch.set_rng_state(state["torch"])
    if "numpy" in state:
        import numpy as np

        *keys, position, has_gauss = state["numpy"].tolist()
        cached = state["numpy.gauss"].item()
        words = np.array(keys, dtype=np.uint32)
        np.random.set_state(("MT19937", words, position, has_gauss, cached))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
