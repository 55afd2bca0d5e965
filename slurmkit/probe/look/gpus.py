"""The GPUs of a node, as nvidia-smi and the kernel's log tell of them."""

from __future__ import annotations

import os
import re
import shutil
import xml.etree.ElementTree as Xml
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..timed import output

_XID = re.compile(
    r"\[\s*(?P<at>\d+\.\d+)\].*?NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F:.]+)\): "
    r"(?P<xid>\d+)(?P<rest>.*)"
)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_HARMFUL = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown")
_UNCORRECTED = (
    "ecc_errors/volatile/dram_uncorrectable",
    "ecc_errors/volatile/sram_uncorrectable",
    "ecc_errors/volatile/sram_uncorrectable_parity",
    "ecc_errors/volatile/sram_uncorrectable_secded",
    "ecc_errors/volatile/double_bit/total",  # before the A100
)


def look(seconds: float) -> dict[str, Any]:
    """Return the GPUs that the job sees, and the Xid errors since the start of the system."""
    if shutil.which("nvidia-smi") is None:
        return {"missing": "no nvidia-smi", "devices": len(list(Path("/dev").glob("nvidia[0-9]*")))}
    text = output(["nvidia-smi", "-q", "-x"], seconds)
    if not text:
        said = output(["sh", "-c", "nvidia-smi 2>&1 | tail -n 1"], seconds).strip()
        return {"missing": f"nvidia-smi fails: {said}" if said else "nvidia-smi does not answer"}
    return {**read(text), "xids": xids()}


def read(text: str) -> dict[str, Any]:
    """Read what `nvidia-smi -q -x` prints; its tags differ a little from driver to driver."""
    log = Xml.fromstring(text)  # noqa: S314  from the driver's own tool
    every = [read_gpu(gpu, at) for at, gpu in enumerate(log.iter("gpu"))]
    return {
        "driver": log.findtext("driver_version"),
        "cuda": log.findtext("cuda_version"),
        "gpus": visible(every, os.environ.get("CUDA_VISIBLE_DEVICES")),
        "all": len(every),
    }


def read_gpu(gpu: Xml.Element, index: int) -> dict[str, Any]:
    """Read one GPU."""
    reasons = gpu.find("clocks_event_reasons")
    reasons = gpu.find("clocks_throttle_reasons") if reasons is None else reasons
    active = [
        re.sub(r"^clocks_\w+?_reason_", "", reason.tag)
        for reason in (reasons if reasons is not None else ())
        if (reason.text or "").strip() == "Active"
    ]
    counts = [_number(gpu.findtext(path)) for path in _UNCORRECTED]
    pending = [
        _text(gpu, "remapped_rows/remapped_row_pending"),
        _text(gpu, "retired_pages/pending_retirement")
        or _text(gpu, "retired_pages/pending_blacklist"),
    ]
    link = gpu.find("pci/pci_gpu_link_info/link_widths")
    return {
        "index": index,
        "pci": gpu.get("id", ""),
        "uuid": _text(gpu, "uuid"),
        "name": _text(gpu, "product_name"),
        "memory": _number(gpu.findtext("fb_memory_usage/total")),
        "used": _number(gpu.findtext("fb_memory_usage/used")),
        "temperature": _number(gpu.findtext("temperature/gpu_temp")),
        "uncorrected": sum(int(count) for count in counts if count),
        "pending": "Yes" in pending,
        "unfit": unfit(gpu),
        "throttled": [name for name in active if name in _HARMFUL],
        "fabric": _text(gpu, "fabric/state"),
        "width": _text(link, "current_link_width") if link is not None else "",
        "width_max": _text(link, "max_link_width") if link is not None else "",
        "mig": _text(gpu, "mig_mode/current_mig") == "Enabled",
        "processes": [
            {
                "pid": _text(process, "pid"),
                "name": _text(process, "process_name"),
                "memory": _number(process.findtext("used_memory")),
            }
            for process in gpu.iter("process_info")
            if _text(process, "type") != "G"  # a desktop's
        ],
    }


def unfit(gpu: Xml.Element) -> list[str]:
    """Return what the driver itself says against using a card."""
    said = {
        "no spare rows are left for broken memory": "remapped_rows/remapped_row_failure",
        "its memory cannot be repaired": "ecc_errors/unrepairable_memory",
        "too many memory errors in its caches": "ecc_errors/aggregate/sram_threshold_exceeded",
    }
    words = [what for what, path in said.items() if _text(gpu, path) == "Yes"]
    action = _text(gpu, "gpu_recovery_action")
    return words if action in ("", "None", "N/A") else [*words, f"the driver asks for: {action}"]


def visible(every: list[dict[str, Any]], chosen: str | None) -> list[dict[str, Any]]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names: numbers, or beginnings of uuids."""
    if chosen is None:
        return every
    words = [word.strip() for word in chosen.split(",") if word.strip()]
    found = [
        gpu
        for word in words
        for gpu in every
        if (word.isdigit() and gpu["index"] == int(word))
        or (word.startswith("GPU-") and gpu["uuid"].startswith(word))
    ]
    return found if len(found) == len(words) or not words else every


def xids() -> list[dict[str, Any]]:
    """Return the driver's errors in the kernel's log with their age in seconds, where readable."""
    text = output(["dmesg"], 5) or output(
        ["journalctl", "-k", "-b", "-q", "--no-pager", "-o", "short-monotonic"], 8
    )
    uptime = 0.0
    with suppress(OSError, ValueError):
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    return read_xids(text, uptime)


def read_xids(text: str, uptime: float) -> list[dict[str, Any]]:
    """Read the last of them from the kernel's log, whose lines bear seconds since the start."""
    found = [
        {
            "xid": int(match["xid"]),
            "pci": match["pci"],
            "age": max(uptime - float(match["at"]), 0.0),
            "text": match["rest"].strip(" ,")[:200],
        }
        for match in _XID.finditer(text)
    ]
    return found[-20:]


def _text(element: Xml.Element | None, path: str) -> str:
    return (element.findtext(path) or "").strip() if element is not None else ""


def _number(text: str | None) -> float | None:
    found = _NUMBER.search(text or "")
    return float(found[0]) if found else None
