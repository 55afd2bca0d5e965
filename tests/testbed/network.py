"""Join the hosts of a bed by a bridge of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.testbed.layout import BRIDGE, LOGIN, LOGIN_ADDRESS
from tests.testbed.process import call

if TYPE_CHECKING:
    from tests.testbed.layout import Layout


def become(layout: Layout, host: str) -> None:
    """Give the host we are on its name, its /etc/hosts and its /etc/slurm, for itself alone."""
    call(layout, "hostname", host)
    call(layout, "mount", "--bind", layout.etc / "hosts", "/etc/hosts")
    if Path("/etc/slurm").is_dir():  # so that jobs without SLURM_CONF find their cluster too
        call(layout, "mount", "--bind", layout.etc, "/etc/slurm")
    call(layout, "ip", "link", "set", "lo", "up")


def make_bridge(layout: Layout) -> None:
    """On the login host: make the bridge, and show this network to the nodes as a file."""
    call(layout, "ip", "link", "add", BRIDGE, "type", "bridge")
    call(layout, "ip", "address", "add", f"{LOGIN_ADDRESS}/24", "dev", BRIDGE)
    call(layout, "ip", "link", "set", BRIDGE, "up")
    call(layout, "mount", "--bind", "/proc/self/ns/net", layout.login_network)


def plug_in(layout: Layout, node: str) -> None:
    """On a node: lay a cable, one end here, the other in the bridge under the node's name."""
    assert node != LOGIN
    there = ["nsenter", f"--net={layout.login_network}", "ip", "link", "set", node]
    peer = ["peer", "name", node, "netns", layout.login_network]
    call(layout, "ip", "link", "add", "eth0", "type", "veth", *peer)
    call(layout, "ip", "address", "add", f"{layout.address(node)}/24", "dev", "eth0")
    call(layout, "ip", "link", "set", "eth0", "up")
    call(layout, *there, "master", BRIDGE, "up")
