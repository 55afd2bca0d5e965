"""GPUs: nvidia-smi's XML of several drivers is read, and sick or busy cards are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slurmkit.probe.facts import Trial
from slurmkit.probe.judge.gpus import gpus
from slurmkit.probe.look.gpus import look, read, read_xids, visible
from tests.preflight.nodes import codes, facts

CARD = """
<gpu id="00000000:{bus}:00.0">
  <product_name>NVIDIA H100 80GB HBM3</product_name>
  <uuid>GPU-{bus}</uuid>
  <addressing_mode>{addressing}</addressing_mode>
  <mig_mode><current_mig>{mig}</current_mig></mig_mode>
  <mig_devices>{parts}</mig_devices>
  <gpu_reset_status><reset_required>{reset}</reset_required></gpu_reset_status>
  <pci><pci_gpu_link_info><link_widths>
    <max_link_width>16x</max_link_width><current_link_width>{width}</current_link_width>
  </link_widths></pci_gpu_link_info></pci>
  <fb_memory_usage><total>81559 MiB</total><used>{used} MiB</used></fb_memory_usage>
  <{reasons}>
    <{prefix}_gpu_idle>Active</{prefix}_gpu_idle>
    <{prefix}_hw_slowdown>{slow}</{prefix}_hw_slowdown>
  </{reasons}>
  <ecc_errors><volatile><dram_uncorrectable>{ecc}</dram_uncorrectable>
    <sram_uncorrectable>N/A</sram_uncorrectable></volatile></ecc_errors>
  <remapped_rows><remapped_row_pending>{pending}</remapped_row_pending>
    <remapped_row_failure>{failure}</remapped_row_failure></remapped_rows>
  <gpu_recovery_action>{action}</gpu_recovery_action>
  <fabric><state>{fabric}</state><status>{status}</status></fabric>
  <temperature><gpu_temp>{heat}</gpu_temp></temperature>
  <processes>{processes}</processes>
</gpu>"""
SOUND = {
    "width": "16x", "used": "4", "slow": "Not Active", "ecc": "0", "pending": "No",
    "failure": "No", "fabric": "Completed", "processes": "", "action": "None",
    "reasons": "clocks_event_reasons", "prefix": "clocks_event_reason", "status": "Success",
    "addressing": "None", "mig": "Disabled", "parts": "None", "reset": "No", "heat": "31 C",
}  # fmt: skip
PROCESS = "<process_info><pid>77</pid><type>{}</type><process_name>python</process_name>"
PROCESS += "<used_memory>70000 MiB</used_memory></process_info>"


def seen(*buses: str, **other: str) -> dict[str, Any]:
    """What a node tells whose last card may be another."""
    cards = "".join(
        CARD.format(bus=bus, **(SOUND | (other if bus == buses[-1] else {}))) for bus in buses
    )
    text = f"<nvidia_smi_log><driver_version>570.1</driver_version>{cards}</nvidia_smi_log>"
    return {**read(text), "xids": []}


def judge(*nodes: dict[str, Any]) -> list[tuple[str, int | None, tuple[int, ...]]]:
    return codes(gpus(facts(*({"gpus": node} for node in nodes), gpus_per_node=2)))


def test_sound_cards() -> None:
    column = gpus(facts({"gpus": seen("18", "2A")}, {"gpus": seen("18", "2A")}, gpus_per_node=2))
    assert codes(column) == []
    assert column.cells[1].text == "2 x NVIDIA H100 80GB HBM3"
    desktop = seen("18", "2A", processes=PROCESS.format("G"))
    assert judge(desktop) == []


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"ecc": "3"}, "gpu-ecc"),
        ({"failure": "Yes"}, "gpu-ecc"),
        ({"pending": "Yes"}, "gpu-ecc"),
        ({"action": "Reset"}, "gpu-ecc"),
        ({"slow": "Active"}, "gpu-throttled"),
        ({"slow": "Active", "reasons": "clocks_throttle_reasons",
          "prefix": "clocks_throttle_reason"}, "gpu-throttled"),
        ({"used": "70000"}, "gpu-busy"),
        ({"processes": PROCESS.format("C"), "used": "70000"}, "gpu-busy"),
        ({"fabric": "In Progress"}, "gpu-fabric"),
        ({"status": "Insufficient Resources"}, "gpu-fabric"),
        ({"reset": "Yes"}, "gpu-ecc"),
        ({"action": "Drain and Reset"}, "gpu-ecc"),
        ({"heat": "GPU is lost"}, "gpu-ecc"),
        ({"width": "4x"}, "gpu-link"),
    ],
)  # fmt: skip
def test_a_bad_card_is_its_nodes_fault(other: dict[str, str], code: str) -> None:
    assert judge(seen("18", "2A"), seen("18", "2A", **other)) == [(code, 1, (1,))]


@pytest.mark.parametrize(
    "other",
    [
        {"fabric": "Not Supported", "status": "Not Supported"},  # a card without NVSwitches
        {"fabric": "N/A", "status": "N/A"},
        {"action": "Requested functionality has been deprecated"},
        {"reset": "Requested functionality has been deprecated"},
        {"mig": "N/A", "addressing": "N/A"},
        {"processes": PROCESS.format("C").replace("python", "/usr/bin/nvidia-cuda-mps-server")},
    ],
)
def test_what_a_sound_card_may_say(other: dict[str, str]) -> None:
    assert judge(seen("18", "2A"), seen("18", "2A", **other)) == []


def test_a_fabric_without_which_the_card_computes_is_a_warning() -> None:
    node = seen("18", "2A", fabric="In Progress")
    said = facts({"gpus": node}, gpus_per_node=2)
    assert [f.severity for f in gpus(said).findings] == ["error"]
    said.trials = [Trial((0,), {0: {"ranks": [{"flops": 1e14}, {"flops": 1e14}]}})]
    assert [f.severity for f in gpus(said).findings] == ["warning"]


def test_memory_that_the_system_shares_with_the_card() -> None:
    node = seen("18", "2A", addressing="ATS", used="70000")
    assert [f.severity for f in gpus(facts({"gpus": node}, gpus_per_node=2)).findings] == [
        "warning"
    ]


def test_parts_of_a_card_count_as_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    two = {"mig": "Enabled", "parts": 2 * "<mig_device><index>0</index></mig_device>"}
    assert judge(seen("18", **two)) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a")
    assert judge(seen("18", **two)) == [("gpus-missing", 0, ())]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b")
    assert judge(seen("18", **two)) == []


def test_cards_that_are_missing_or_others() -> None:
    assert judge(seen("18", "2A"), seen("18")) == [("gpus-missing", 1, (1,))]
    assert judge(seen("18", "2A"), {"missing": "no nvidia-smi"}) == [("gpus-missing", 1, (1,))]
    assert judge(seen("18", "2A"), {"timeout": 40}) == [("no-answer", 1, (1,))]
    old = seen("18", "2A")
    for card in old["gpus"]:
        card["name"] = "NVIDIA A100-SXM4-80GB"
    assert judge(seen("18", "2A"), old, seen("18", "2A")) == [("gpu-differs", 1, (1,))]


@pytest.mark.parametrize(
    ("xid", "age", "severity"),
    [(79, 60, "error"), (79, 10**6, "warning"), (63, 60, "warning"), (31, 60, None)],
)
def test_xids(xid: int, age: float, severity: str | None) -> None:
    node = {**seen("18", "2A"), "xids": [{"xid": xid, "pci": "0000:18:00", "age": age, "text": ""}]}
    column = gpus(facts({"gpus": node}, gpus_per_node=2))
    assert [finding.severity for finding in column.findings] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("cards", "pci", "count"),
    [
        (("18", "2A"), "0000:3b:00", 0),  # of a card that is another job's
        (("18",), "0000:3b:00", 1),  # one is missing, and this may be it
        (("18", "2A"), "0000:2a:00", 1),
        (("18", "2A"), "0009:2a:00", 0),
    ],
)
def test_xids_of_the_jobs_own_cards(cards: tuple[str, ...], pci: str, count: int) -> None:
    node = {**seen(*cards), "xids": [{"xid": 79, "pci": pci, "age": 60, "text": ""}]}
    assert [code for code, *_ in judge(node)].count("gpu-xid") == count


def test_xids_in_the_kernels_log() -> None:
    lines = [
        "[    9.5] NVRM: Xid (PCI:0000:3b:00): 48, before the card was reset",
        "[   12.5] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15",
        "[ 9940.25] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU is gone.",
        "[ 9990.0] gpu7 kernel: NVRM: Xid (0000:03:00): 48, a double bit error",  # journalctl
    ]
    found = read_xids("\n".join(lines), 10_000)
    assert [(one["xid"], one["pci"], one["age"]) for one in found] == [
        (79, "0000:3b:00", 59.75), (48, "0000:03:00", 10),
    ]  # fmt: skip


def test_the_cards_that_the_job_has_not_been_given_are_left_alone() -> None:
    every = seen("18", "2A", used="70000")["gpus"]
    assert [card["pci"][9:11] for card in visible(every, "0")] == ["18"]
    assert [card["pci"][9:11] for card in visible(every, "GPU-2A")] == ["2A"]
    assert visible(every, None) == every
    for none in ("", "-1", "NoDevFiles"):
        assert visible(every, none) == []


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, script: str) -> Any:
    """What a node says on which one of the makers' tools is, and does something."""
    if tool:
        (tmp_path / tool).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return look(10)


SMI = f"<?xml version='1.0' ?><nvidia_smi_log>{CARD.format(bus='18', **SOUND)}</nvidia_smi_log>"
ROM = "WARNING: infoROM is corrupted at gpu 0000:18:00.0"


def test_a_warning_beside_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smi.xml").write_text(SMI)
    told = asked(
        tmp_path, monkeypatch, "nvidia-smi", f"cat {tmp_path}/smi.xml; echo {ROM}; exit 14"
    )
    assert [card["name"] for card in told["gpus"]] == ["NVIDIA H100 80GB HBM3"]
    assert codes(gpus(facts({"gpus": told}, gpus_per_node=1))) == []


def test_the_last_word_of_a_tool_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = "Unable to determine the device handle for GPU0: 0000:3B:00.0: GPU is lost."
    told = asked(tmp_path, monkeypatch, "nvidia-smi", f"echo '{last}'; exit 15")
    assert told == {"missing": f"nvidia-smi fails: {last}"}
    told = asked(tmp_path, monkeypatch, "nvidia-smi", "exit 9")
    assert told == {"missing": "nvidia-smi gives no answer in 0 s"}


def test_other_makers_cards_are_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asked(tmp_path, monkeypatch, "rocm-smi", "exit 0")
    column = gpus(facts({"gpus": told}, gpus_per_node=4))
    assert column.cells[0] == ("skipped", "AMD: not looked at")
    assert not column.findings


def test_cards_in_a_container_without_the_tool() -> None:
    there = gpus(facts({"gpus": {"missing": "no nvidia-smi", "devices": 4}}, gpus_per_node=4))
    assert [finding.severity for finding in there.findings] == ["warning"]
    gone = gpus(facts({"gpus": {"missing": "no nvidia-smi", "devices": 0}}, gpus_per_node=4))
    assert [finding.severity for finding in gone.findings] == ["error"]


def test_a_slow_card_beside_its_siblings() -> None:
    rates = [700e12, 690e12, 710e12, 300e12]
    said = facts({"gpus": seen("18", "2A")}, gpus_per_node=2)
    said.trials = [Trial((0,), {0: {"ranks": [{"flops": rate} for rate in rates]}})]
    (finding,) = gpus(said).findings
    assert (finding.code, finding.severity, finding.blame) == ("gpu-slow", "error", (0,))
    assert "local rank 3 multiplies at 300 TFLOP/s, others at 700" in finding.what
