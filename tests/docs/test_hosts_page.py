"""The commands of docs/hosts.md, typed at a desk from which two hosts are reached by ssh."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, Page
from tests.docs.test_commands import ON_HOSTS, follow
from tests.ssh.conftest import hosts, session_hosts
from tests.ssh.hosts import Hosts

__all__ = ["hosts", "session_hosts"]


@pytest.mark.slurm
@pytest.mark.parametrize("name", sorted(ON_HOSTS))
def test_page_on_hosts(name: str, hosts: Hosts) -> None:
    def run(command: str) -> str:
        ran = hosts.run(["bash", "-c", f"{{ {command}\n}} 2>&1"])
        assert ran.returncode == 0, f"{command}\n{ran.stdout}"
        return ran.stdout

    follow(Page(ROOT / name), hosts.disk("desk"), False, run)
