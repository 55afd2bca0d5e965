"""GPUs: nvidia-smi's XML of several drivers is read, and sick or busy cards are found."""

from __future__ import annotations

from typing import Any

import pytest

from slurmkit.probe.judge.gpus import gpus
from slurmkit.probe.look.gpus import read, read_xids, visible
from tests.preflight.nodes import codes, facts

CARD = """
<gpu id="00000000:{bus}:00.0">
  <product_name>NVIDIA H100 80GB HBM3</product_name>
  <uuid>GPU-{bus}</uuid>
  <mig_mode><current_mig>Disabled</current_mig></mig_mode>
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
  <fabric><state>{fabric}</state></fabric>
  <temperature><gpu_temp>31 C</gpu_temp></temperature>
  <processes>{processes}</processes>
</gpu>"""
SOUND = {
    "width": "16x", "used": "4", "slow": "Not Active", "ecc": "0", "pending": "No",
    "failure": "No", "fabric": "Completed", "processes": "", "action": "None",
    "reasons": "clocks_event_reasons", "prefix": "clocks_event_reason",
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
        ({"width": "4x"}, "gpu-link"),
    ],
)  # fmt: skip
def test_a_bad_card_is_its_nodes_fault(other: dict[str, str], code: str) -> None:
    assert judge(seen("18", "2A"), seen("18", "2A", **other)) == [(code, 1, (1,))]


def test_cards_that_are_missing_or_others() -> None:
    assert judge(seen("18", "2A"), seen("18")) == [("gpus-missing", 1, (1,))]
    assert judge(seen("18", "2A"), {"missing": "no nvidia-smi"}) == [("gpus-missing", 1, (1,))]
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


def test_xids_in_the_kernels_log() -> None:
    lines = [
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
