"""What the judges make of facts: who is at fault, who is not, and when nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurmkit.probe.facts import Facts, Interval, Trial
from slurmkit.probe.judge import data, hosts, links, odd, ranks, storage, versions
from slurmkit.probe.look.links import reach
from slurmkit.probe.verdict import judged
from tests.preflight.nodes import codes, facts

GIGABYTE = 1e9


def looked_up(*own: str, **wrong: Any) -> dict[str, Any]:
    """What a node sees that resolves n0, n1, n2 rightly but for some."""
    right: dict[str, Any] = {f"10.0.0.{number}": [f"10.0.0.{number}"] for number in range(3)}
    right |= {f"10.0.0.{name[1:]}": value for name, value in wrong.items()}
    identity = {"host": "x", "own": [own[0]], "addresses": [*own, "127.0.0.1"]}
    return {"names": right, "identity": identity}


def three(**wrong: Any) -> Facts:
    """Three nodes, of which the last may see something else."""
    own = [f"10.0.0.{number}" for number in range(3)]
    return facts(looked_up(own[0]), looked_up(own[1]), looked_up(own[2], **wrong))


def test_names() -> None:
    assert codes(hosts.names(three())) == []
    bad = three(n0={"error": "Name or service not known"})
    assert codes(hosts.names(bad)) == [("name-unresolved", 2, (2,))]
    late = hosts.names(three(n1={"timeout": 8}))
    assert "no answer from the name server in 8 s" in late.findings[0].evidence
    assert codes(hosts.names(three(n1=["127.0.1.1"]))) == [("name-loopback", 2, (2,))]
    elsewhere = three(n1=["10.9.9.9"])
    assert codes(hosts.names(elsewhere)) == [("name-elsewhere", 2, (2,))]
    elsewhere.links = {(2, 1): {"rate": GIGABYTE}}
    assert [finding.severity for finding in hosts.names(elsewhere).findings] == ["warning"]


def test_a_name_that_resolves_nowhere_is_its_own_nodes_fault() -> None:
    gone = {"n1": {"error": "Name or service not known"}}
    bad = facts(*(looked_up(f"10.0.0.{number}", **gone) for number in range(3)))
    assert codes(hosts.names(bad)) == [("name-unresolved", 1, (1,))]


@pytest.mark.parametrize(("gpus", "severity"), [(0, "error"), (8, "warning")])
def test_a_nodes_own_name_on_loopback_matters_to_gloo(gpus: int, severity: str) -> None:
    looks = [looked_up("127.0.1.1", f"10.0.0.{number}") for number in range(3)]
    column = hosts.names(facts(*looks, gpus_per_node=gpus))
    assert [(f.code, f.severity) for f in column.findings] == 3 * [("name-loopback", severity)]
    assert not hosts.names(facts(*looks, interface="ib0")).findings


@pytest.mark.parametrize("number", [0, 1, 2])
def test_clocks(number: int) -> None:
    seen = three()
    # An answer may have been slow to come: then nothing is sure.
    seen.clocks = {0: Interval(-0.1, 0.1), 1: Interval(-5, 0.1), 2: Interval(-0.1, 2)}
    assert codes(hosts.clock(seen)) == []
    seen.clocks[number] = Interval(4, 4.2)
    assert codes(hosts.clock(seen)) == [("clock-off", number, (number,))]


def wired(
    rates: Mapping[tuple[int, int], float | str], count: int, speed: int | None = None
) -> Facts:
    said = {
        link: {"error": rate} if isinstance(rate, str) else {"rate": rate}
        for link, rate in rates.items()
    }
    interface = {"name": "eth0", "speed": speed, "address": "10.0.0.0"}
    return facts(*({"interface": interface} for _ in range(count)), links=said)


def every_way(count: int, rate: float) -> dict[tuple[int, int], float | str]:
    return {(a, b): rate for a in range(count) for b in range(count) if a != b}


def test_links() -> None:
    rates = every_way(4, GIGABYTE)
    assert codes(links.links(wired(rates, 4))) == []
    mixed = {link: GIGABYTE * (1 + number % 3) for number, link in enumerate(rates)}
    assert codes(links.links(wired(mixed, 4))) == []
    one = wired({**rates, (1, 2): GIGABYTE / 50}, 4)
    assert codes(links.links(one)) == [("link-slow", 1, (1, 2))]
    assert {n for n, c in links.links(one).cells.items() if c.state == "bad"} == {1, 2}
    sick = wired({link: 1e7 if 3 in link else rate for link, rate in rates.items()}, 4)
    assert codes(links.links(sick)) == [("link-slow", 3, (3,))]
    cut = wired({link: "timed out" if 0 in link else rate for link, rate in rates.items()}, 4)
    assert codes(links.links(cut)) == [("link-blocked", 0, (0,))]
    closed = wired(dict.fromkeys(rates, "Connection refused"), 4)
    assert codes(links.links(closed)) == [("link-blocked", 0, ())]


@pytest.mark.parametrize(
    ("rate", "back", "speed", "severity"),
    [
        (12e6, 12e6, None, "error"),  # 100 Mbit/s, and nothing to hold it against
        (125e6, 125e6, None, ""),  # a network of 1 Gbit/s is one
        (117e6, 117e6, 1000, ""),
        (117e6, 117e6, 100_000, "warning"),  # 1 Gbit/s where 100 are promised
        (12e6, 117e6, 1000, "error"),
        (1e9, 1.5e9, 100_000, ""),  # what Python can do is not what the network can
        (2e8, 2e9, None, "error"),  # one way only
    ],
)
def test_links_of_two_nodes(rate: float, back: float, speed: int | None, severity: str) -> None:
    column = links.links(wired({(0, 1): rate, (1, 0): back}, 2, speed))
    assert [(f.code, f.severity, f.blame) for f in column.findings] == (
        [("link-slow", severity, (0, 1))] if severity else []
    )


def test_the_masters_port() -> None:
    seen = three()
    seen.hello = {0: {"master": "ok"}}
    seen.master = {0: "ok", 1: "ok", 2: "ok"}
    assert codes(links.port(seen)) == []
    seen.master[2] = "timed out"
    assert codes(links.port(seen)) == [("port-blocked", 2, (2,))]
    seen.master[1] = "timed out"
    assert [blame for _, _, blame in codes(links.port(seen))] == [(0,), (0,)]
    seen.hello = {0: {"master": "Address already in use"}}
    assert codes(links.port(Facts(seen.settings, hello=seen.hello))) == [
        ("master-port-taken", 0, ())
    ]


def versioned(*torch: str, python: str = "3.11.2") -> Facts:
    return facts(
        *(
            {
                "versions": {
                    "versions": {"torch": version, "python": python} if version else {},
                    "machine": "x86_64",
                    "executable": "/venv/bin/python",
                }
            }
            for version in torch
        )
    )


def test_versions() -> None:
    assert codes(versions.versions(versioned("2.9", "2.9", "2.9"))) == []
    assert codes(versions.versions(versioned("2.9", "2.8", "2.9"))) == [
        ("version-differs", 1, (1,))
    ]
    (finding,) = versions.versions(versioned("2.9", "2.8")).findings
    assert finding.blame == (0, 1)
    assert "n0 2.9, n1 2.8" in finding.evidence
    patched = facts(*(versioned("2.9", python=p).look[0] for p in ("3.11.2", "3.11.9", "3.11.2")))
    assert [f.severity for f in versions.versions(patched).findings] == ["warning"]
    newer = facts(*(versioned("2.9", python=p).look[0] for p in ("3.11.2", "3.12.1", "3.11.2")))
    assert [f.severity for f in versions.versions(newer).findings] == ["error"]


def test_data() -> None:
    one = {"files": 2, "bytes": 10, "listing": "a", "sums": "a", "late": False}
    other = {**one, "sums": "b"}
    seen = facts(*({"data 0": one} for _ in range(3)), data=("d",))
    assert codes(data.data(seen)) == []
    seen.look[1] = {"data 0": other}
    assert codes(data.data(seen)) == [("data-differs", 1, (1,))]
    seen.look[1] = {"data 0": {**other, "late": True}}
    assert [(f.code, f.severity) for f in data.data(seen).findings] == [("data-late", "warning")]
    seen.look[1] = {"data 0": {"error": "No such file or directory"}}
    assert codes(data.data(seen)) == [("data-missing", 1, (1,))]
    seen.look[1] = {"data 0": {"timeout": 60}}
    assert codes(data.data(seen)) == [("no-answer", 1, (1,))]
    nowhere = facts(*({"data 0": {"error": "No such file"}} for _ in range(2)), data=("d",))
    assert [blame for *_, blame in codes(data.data(nowhere))] == [(), ()]


def stored(
    *found: dict[str, Any], unseen: dict[int, list[int]] | None = None, free: int = 1 << 30
) -> Facts:
    usual = {"directory": "/d", "type": "nfs4", "free": 10**12, "inodes": 10**6, "speed": 1e9}
    looks = [{"storage 0": {**usual, **one}, "temporary": {"/tmp": 10**9}} for one in found]
    seen = facts(*looks, storage=("/d",), free=free)
    seen.unseen = {node: [missing] for node, missing in (unseen or {}).items()}
    return seen


def test_storage() -> None:
    fine: dict[int, list[int]] = {0: [], 1: [], 2: []}
    assert codes(storage.storage(stored({}, {}, {}, unseen=fine))) == []
    full = {"error": "No space left on device", "errno": 28, "free": 0}
    assert codes(storage.storage(stored({}, full, {}))) == [("disk-full", 1, (1,))]
    quota = {"error": "Disk quota exceeded", "errno": 122}
    (finding,) = storage.storage(stored({}, quota)).findings
    assert "you are" in finding.fix
    assert codes(storage.storage(stored({"free": 5}, {"free": 5}))) == [
        ("disk-low", 0, ()), ("disk-low", 1, ()),
    ]  # fmt: skip
    (finding,) = storage.storage(stored({}, free=900 << 40)).findings
    assert "900T are wanted" in finding.what
    apart = {0: [2], 1: [2], 2: [0, 1]}
    assert codes(storage.storage(stored({}, {}, {}, unseen=apart))) == [("not-shared", 2, (2,))]
    local = {0: [1, 2], 1: [0, 2], 2: [0, 1]}
    (finding,) = storage.storage(stored({}, {"type": "tmpfs"}, {}, unseen=local)).findings
    assert (finding.code, finding.blame) == ("not-shared", ())
    assert "n0 (nfs4) does not see n1, n2, n1 (tmpfs) does not" in finding.evidence


def trial(nodes: tuple[int, ...], *broken: int) -> Trial:
    good = {"ranks": [{"seconds": 0.01, "bytes": 10**6}]}
    bad = {"ranks": [{"error": "hangs after 20 s", "hangs": True}]}
    return Trial(nodes, {node: bad if node in broken else good for node in nodes})


def test_ranks() -> None:
    seen = facts({}, {}, {}, {})
    seen.trials = [trial((0, 1, 2, 3))]
    assert codes(ranks.ranks(seen)) == []
    alone = [trial((0,)), trial((1,)), trial((2,), 2), trial((3,))]
    seen.trials = [trial((0, 1, 2, 3), 0, 1, 2, 3), *alone]
    assert codes(ranks.ranks(seen)) == [("ranks-fail", 2, (2,))]
    pairs = [trial((0, 1)), trial((2, 3), 2, 3), trial((1, 2), 1, 2), trial((3, 0))]
    seen.trials = [trial((0, 1, 2, 3), 0, 1, 2, 3), *(trial((n,)) for n in range(4)), *pairs]
    assert codes(ranks.ranks(seen)) == [("ranks-fail", 2, (2,))]
    seen.trials[-2] = trial((1, 2))
    assert codes(ranks.ranks(seen)) == [("ranks-fail", 2, (2, 3))]


@pytest.mark.parametrize(
    ("lacking", "torch", "severity"),
    [((0, 1), True, "error"), ((0, 1), False, "warning"), ((1,), False, "error")],
)
def test_torch_that_is_not_there(lacking: tuple[int, ...], torch: bool, severity: str) -> None:
    none = {"torch": {"error": "import torch: ModuleNotFoundError: No module named 'torch'"}}
    fine = {"torch": {"ready": 1.0}}
    seen = facts(*(none if node in lacking else fine for node in range(2)), torch=torch)
    assert {finding.severity for finding in ranks.ranks(seen).findings} == {severity}


@pytest.mark.parametrize(
    ("slow", "severity"), [((0,), "error"), ((0, 1, 2), "warning"), ((0, 1), "warning")]
)
def test_torch_that_takes_long(slow: tuple[int, ...], severity: str) -> None:
    late = ({"timeout": 60}, {"error": "import torch is not done in 59.5 s", "hangs": True})
    looks = [{"torch": late[n % 2] if n in slow else {"ready": 1.0}} for n in range(3)]
    found = ranks.ranks(facts(*looks)).findings
    assert [(one.node, one.severity) for one in found] == [(node, severity) for node in slow]


def test_links_to_a_name_that_is_not_known() -> None:
    lost = reach(64 * "a", 1, "")
    assert lost.startswith("name not resolved (")
    seen = three()
    seen.master = {1: lost}
    assert links.port(seen).findings[0].fix.startswith("have the nodes' names in DNS")
    (finding,) = links.links(wired({(0, 1): lost, (1, 0): 1e9}, 2)).findings
    assert finding.fix.startswith("have the nodes' names in DNS")


@given(st.integers(3, 12), st.data())
def test_a_single_sick_node_is_always_the_culprit(count: int, data: st.DataObject) -> None:
    sick = data.draw(st.integers(0, count - 1))
    bad = [(sick, other) for other in range(count) if other != sick]
    assert odd.culprits(bad) == ([sick], [])


def test_nobody_is_left_out_where_that_would_leave_none() -> None:
    report = judged(Facts(three().settings, silent=dict.fromkeys(range(3), "dead")), 1)
    assert report.code == 1
    assert report.exclude == ()
    assert [finding.evidence for _, finding in report.findings] == 3 * ["dead"]
