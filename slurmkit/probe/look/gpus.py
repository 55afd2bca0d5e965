"""The GPUs of a node, as nvidia-smi and the kernel's log tell of them."""

from __future__ import annotations

import os
import re
import shutil
import time
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
_LOG = re.compile(r"<nvidia_smi_log\b.*</nvidia_smi_log>", re.DOTALL)
_HARMFUL = ("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown", "sw_thermal_slowdown")
_UNCORRECTED = (
    "ecc_errors/volatile/dram_uncorrectable",
    "ecc_errors/volatile/sram_uncorrectable",
    "ecc_errors/volatile/sram_uncorrectable_parity",
    "ecc_errors/volatile/sram_uncorrectable_secded",
    "ecc_errors/volatile/double_bit/total",  # before the A100
)
_PENDING = {
    "remapped_row_pending", "pending_retirement", "pending_blacklist", "channel_repair_pending",
    "tpc_repair_pending",
}  # fmt: skip
_ACTION = re.compile(r"reset|reboot|drain", re.I)
_LOST = re.compile(r"GPU is lost|requires reset|fallen off the bus", re.I)
_NONE = ("-1", "NoDevFiles", "none", "void")
_MPS = "nvidia-cuda-mps-server"  # shares a card between programs, and waits on idle ones
_OTHERS = {"AMD": ("/dev/kfd", "amd-smi", "rocm-smi"), "Intel": ("xpu-smi",)}


def look(seconds: float) -> dict[str, Any]:
    """Return the GPUs that the job sees, and the Xid errors since the start of the system."""
    if shutil.which("nvidia-smi") is None:
        for maker, signs in _OTHERS.items():
            if any(Path(sign).exists() if "/" in sign else shutil.which(sign) for sign in signs):
                return {"maker": maker}
        return {"missing": "no nvidia-smi", "devices": len(list(Path("/dev").glob("nvidia[0-9]*")))}
    began = time.monotonic()
    text = output(["nvidia-smi", "-q", "-x"], seconds, whatever=True)
    took = time.monotonic() - began
    log = _LOG.search(text)  # warnings may stand around it, and its exit code be theirs
    if log is None:
        lines = text.strip().splitlines()
        silent = f"nvidia-smi gives no answer in {took:.0f} s"
        return {"missing": f"nvidia-smi fails: {lines[-1]}" if lines else silent}
    return {**read(log[0]), "xids": xids()}


def read(text: str) -> dict[str, Any]:
    """Read what `nvidia-smi -q -x` prints; its tags differ a little from driver to driver."""
    log = Xml.fromstring(text)  # noqa: S314  from the driver's own tool
    every = [read_gpu(gpu, at) for at, gpu in enumerate(log.iter("gpu"))]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    given = visible(every, chosen)
    parts = [word for word in (chosen or "").split(",") if word.strip().startswith("MIG-")]
    return {
        "driver": log.findtext("driver_version"),
        "cuda": log.findtext("cuda_version"),
        "gpus": given,
        "count": len(parts) or sum(gpu["parts"] for gpu in given),
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
    link = gpu.find("pci/pci_gpu_link_info/link_widths")
    mig = _text(gpu, "mig_mode/current_mig") == "Enabled"
    return {
        "index": index,
        "pci": gpu.get("id", ""),
        "uuid": _text(gpu, "uuid"),
        "name": _text(gpu, "product_name"),
        "memory": _number(gpu.findtext("fb_memory_usage/total")),
        "used": _number(gpu.findtext("fb_memory_usage/used")),
        "coherent": _text(gpu, "addressing_mode") == "ATS",
        "temperature": _number(gpu.findtext("temperature/gpu_temp")),
        "uncorrected": sum(int(count) for count in counts if count),
        "pending": any((part.text or "").strip() == "Yes" for part in gpu.iter()
                       if part.tag in _PENDING),
        "unfit": unfit(gpu),
        "throttled": [name for name in active if name in _HARMFUL],
        "fabric": fabric(gpu),
        "width": _text(link, "current_link_width") if link is not None else "",
        "width_max": _text(link, "max_link_width") if link is not None else "",
        "mig": mig,
        "parts": len(gpu.findall("mig_devices/mig_device")) if mig else 1,
        "processes": processes(gpu),
    }  # fmt: skip


def processes(gpu: Xml.Element) -> list[dict[str, Any]]:
    """Return the programs that compute on a card: neither a desktop's nor who only shares it."""
    return [
        {
            "pid": _text(process, "pid"),
            "name": _text(process, "process_name"),
            "memory": _number(process.findtext("used_memory")),
        }
        for process in gpu.iter("process_info")
        if _text(process, "type") != "G" and not _text(process, "process_name").endswith(_MPS)
    ]


def fabric(gpu: Xml.Element) -> str:
    """Return what is wrong with a card's place among NVSwitches; nothing where it has none.

    Cards without switches say N/A or Not Supported, and later drivers may find other words.
    """
    state, status = _text(gpu, "fabric/state"), _text(gpu, "fabric/status")
    if state in ("In Progress", "Not Started"):
        return state
    failed = state == "Completed" and status not in ("", "N/A", "Success")
    return f"{state}: {status}" if failed else ""


def unfit(gpu: Xml.Element) -> list[str]:
    """Return what the driver itself says against using a card."""
    said = {
        "no spare rows are left for broken memory": "remapped_rows/remapped_row_failure",
        "its memory cannot be repaired": "ecc_errors/unrepairable_memory",
        "too many memory errors in its caches": "ecc_errors/aggregate/sram_threshold_exceeded",
        "the driver asks for a reset": "gpu_reset_status/reset_required",
    }
    words = [what for what, path in said.items() if _text(gpu, path) == "Yes"]
    action = _text(gpu, "gpu_recovery_action")
    if _ACTION.search(action):
        words.append(f"the driver asks for: {action}")
    lost = next((part.text for part in gpu.iter() if _LOST.search(part.text or "")), None)
    return [*words, f"the driver says: {lost.strip()}"] if lost else words


def visible(every: list[dict[str, Any]], chosen: str | None) -> list[dict[str, Any]]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names: numbers, or beginnings of uuids."""
    if chosen is None:
        return every
    words = [word.strip() for word in chosen.split(",") if word.strip()]
    if not words or words[0] in _NONE:
        return []
    found = [
        gpu
        for word in words
        for gpu in every
        if (word.isdigit() and gpu["index"] == int(word))
        or (word.startswith("GPU-") and gpu["uuid"].startswith(word))
    ]
    return found if len(found) == len(words) else every


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
    """Read the last of them from the kernel's log, whose lines bear seconds since the start.

    What stands before the driver was loaded again is over.
    """
    found = [
        {
            "xid": int(match["xid"]),
            "pci": match["pci"],
            "age": max(uptime - float(match["at"]), 0.0),
            "text": match["rest"].strip(" ,")[:200],
        }
        for match in _XID.finditer(text.rpartition("NVRM: loading NVIDIA")[2])
    ]
    return found[-20:]


def _text(element: Xml.Element | None, path: str) -> str:
    return (element.findtext(path) or "").strip() if element is not None else ""


def _number(text: str | None) -> float | None:
    found = _NUMBER.search(text or "")
    return float(found[0]) if found else None
