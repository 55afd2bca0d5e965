"""What GPUs can do at most: dense bf16 in TFLOP/s, by the names that the driver gives them."""

from __future__ import annotations

import re

# NVIDIA's data sheets; where they tell the figure "with sparsity", half of it. Longer names first:
# an H100 on PCIe is another chip than one on SXM.
_PEAKS = (
    (r"GB200", 2500.0),
    (r"B200", 2250.0),
    (r"H200 NVL", 835.5),
    (r"H[128]00 PCIe", 756.5),
    (r"H100 NVL", 835.5),
    (r"GH200|H200|H100|H800", 989.4),
    (r"H20", 148.0),
    (r"A100|A800", 312.0),
    (r"A40", 149.7),
    (r"A30", 165.0),
    (r"A10", 125.0),
    (r"L40S", 362.05),
    (r"L40", 181.05),
    (r"L4", 121.0),
)


def peak_tflops(name: str) -> float | None:
    """Return a GPU's dense bf16 peak in TFLOP/s; None where it is unknown, and for a part (MIG).

    Args:
        name: as `torch.cuda.get_device_name` gives it: `NVIDIA H100 80GB HBM3`.
    """
    if " MIG " in name:
        return None
    for pattern, peak in _PEAKS:
        if re.search(rf"\b(?:{pattern})\b", name):
            return peak
    return None
