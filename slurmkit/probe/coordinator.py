"""The rounds of a preflight in their order, from the first word of the nodes to the verdict."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .channels import Channels, Heard, Silence, StoppedError
from .facts import Facts, Interval
from .judge import odd
from .judge.links import suspicious
from .report import Report
from .settings import Settings
from .trials import reduce_all
from .verdict import judged

_MOMENT = 0.2  # seconds for which a link is measured
_SECOND_LOOK = 0.8  # ... and measured again where it seems slow
_DISTRUSTED = 8  # links that are measured again at most
_ALL_PAIRS = 16  # nodes up to which every pair is tried
_LEAST = 2.0  # seconds below which a round is not begun
_LOOKING = 65.0  # seconds, of which each check alone takes no more than 60
_READING = 600.0  # ... but for the reading of data
_LISTED = 5000  # files that are named where data differ
_OWN_ERRORS = "ranks"
"""The round whose judge tells of errors itself."""


def preflight(
    settings: Settings, channels: Channels, absent: Mapping[int, str] | None = None
) -> Report:
    """Do all rounds, and judge. Nothing that a node does or leaves undone is an exception.

    Args:
        settings: what is wanted.
        channels: the lines to the nodes; they are closed at the end.
        absent: nodes that cannot be asked at all, and why.
    """
    coordinator = Coordinator(settings, channels, absent or {})
    try:
        coordinator.run()
    except StoppedError:
        coordinator.stop()
    finally:
        channels.close()
    return judged(coordinator.facts, time.monotonic() - coordinator.started)


class Coordinator:
    """Asks, and keeps what it is told."""

    def __init__(self, settings: Settings, channels: Channels, absent: Mapping[int, str]) -> None:
        self.settings = settings
        self.facts = Facts(settings, silent=dict(absent))
        self.started = time.monotonic()
        self._channels = channels
        self._token = secrets.token_hex(8)
        self._doing = ""

    def run(self) -> None:
        """Do the rounds that the wanted groups need."""
        wants = self.settings.checks
        self.facts.hello = self._ask_all("hello", self._left(0.5, 60), **self._master())
        if "hosts" in wants:
            self._clocks()
        if self._left(1.0) < _LEAST:
            self.facts.late += wants
            return
        most = _READING if self.settings.data else _LOOKING
        self.facts.look = self._ask_all("look", self._left(0.6, most), wanted=self._wanted())
        for group, rounds in (
            ("network", self._network),
            ("storage", self._shared),
            ("data", self._differing),
            ("ranks", self._ranks),
        ):
            if group in wants and self._nodes():
                if self._left(1.0) < _LEAST:
                    self.facts.late.append(group)
                else:
                    rounds()

    def stop(self) -> None:
        """Keep what is known when the rounds are ended: also of nodes that have looked already."""
        self.facts.stopped = tuple(self._channels.waited_for)
        if self._doing == "look":
            self.facts.look = dict(self._channels.heard)

    def _nodes(self) -> list[int]:
        return [node for node in self._channels.nodes if node not in self.facts.silent]

    def _left(self, share: float, most: float = 1e9) -> float:
        """Return the seconds that a round may take: a share of those that are left."""
        left = self.started + self.settings.timeout - time.monotonic()
        return max(min(left * share, most), 0.5)

    def _ask(
        self, what: str, seconds: float, nodes: Sequence[int] | None = None, **more: Any
    ) -> dict[int, Any]:
        """Do a round; a node that is silent is not asked again.

        One whose round fails, for want of files or memory, has said nothing that can be judged.
        """
        asked = self._nodes() if nodes is None else list(nodes)
        self._doing = what
        arguments = {"token": self._token, "deadline": self._left(1.0) + 10, **more}
        answers = {}
        for node, word in self._channels.run(what, arguments, seconds, asked).items():
            if isinstance(word, Silence):
                self.facts.silent.setdefault(node, word.reason)
            elif what != _OWN_ERRORS and _error(word.value):
                self.facts.failed.setdefault(node, f"{what}: {_error(word.value)}")
            else:
                answers[node] = word.value
        return answers

    def _ask_all(self, what: str, seconds: float, **more: Any) -> dict[int, Any]:
        """Do a round that no node can do without; one that fails is as good as silent."""
        answers = self._ask(what, seconds, **more)
        for node in set(self.facts.failed) - set(self.facts.silent):
            self.facts.silent[node] = f"its probe fails: {self.facts.failed.pop(node)}"
        return answers

    def _master(self) -> dict[str, Any]:
        settings = self.settings
        port = settings.master_port if {"network", "ranks"} & set(settings.checks) else 0
        return {"master_address": settings.master_address, "master_port": port}

    def _clocks(self) -> None:
        """Compare clocks: a node's stood between what ours said before and after."""
        arguments = {"token": self._token}
        before = time.time()
        words = self._channels.run("ping", arguments, self._left(0.2, 10), self._nodes())
        for node, word in words.items():
            if isinstance(word, Heard) and isinstance(word.value, float):
                self.facts.clocks[node] = Interval(word.value - word.at, word.value - before)

    def _wanted(self) -> dict[str, Any]:
        settings = self.settings
        return {
            "checks": settings.checks,
            "addresses": [node.address for node in settings.nodes],
            "interface": settings.interface,
            "gpus_per_node": settings.gpus_per_node,
            "data": settings.data,
            "storage": settings.storage,
            "entrypoint": settings.entrypoint,
        }

    def _network(self) -> None:
        if self.facts.hello.get(0, {}).get("master") == "ok":
            self.facts.master = self._ask("master", self._left(0.3, 8), **self._master())
        for distance in distances(len(self._nodes())):
            if self._left(1.0) < _LEAST:
                self.facts.late.append("network")
                return
            self._measure(ring(self._nodes(), distance), _MOMENT)
        if self.settings.local:
            return
        for sender, receiver in suspicious(self.facts)[:_DISTRUSTED]:
            if self._left(1.0) > 4:  # alone now: others' traffic is no longer in the way
                self._measure({sender: receiver}, _SECOND_LOOK)

    def _measure(self, pairs: Mapping[int, int], moment: float) -> None:
        dials: dict[str, dict[str, Any]] = {}
        for sender, receiver in pairs.items():
            port = self.facts.hello.get(receiver, {}).get("port")
            if port:
                dials[str(sender)] = {str(receiver): [self._address(receiver), port]}
        senders = [node for node in self._nodes() if str(node) in dials]
        answers = self._ask("transfer", self._left(0.5, 8), senders, dials=dials, moment=moment)
        for sender, said in answers.items():
            for receiver, outcome in said.items():
                place = (sender, int(receiver))
                known = self.facts.links.get(place, {})
                if outcome.get("rate", 0) >= known.get("rate", 0):
                    self.facts.links[place] = outcome

    def _address(self, node: int) -> str:
        """Return where a node is dialled: at the chosen interface, else as all others do."""
        interface = self.facts.look.get(node, {}).get("interface", {})
        own = interface.get("address") if interface.get("wanted") else None
        return str(own or self.settings.nodes[node].address)

    def _shared(self) -> None:
        if self.settings.storage and self.settings.shared and not self.settings.local:
            checks = [f"storage {at}" for at in range(len(self.settings.storage))]
            wrote = [
                node for node in self._nodes()
                if all("speed" in self.facts.look[node].get(check, ()) for check in checks)
            ]  # fmt: skip
            paths = list(self.settings.storage)
            self.facts.unseen = self._ask("shared", self._left(0.5, 10), wrote, storage=paths)

    def _differing(self) -> None:
        """Where data differ, ask one usual node and some others which files do."""
        compared = ("files", "bytes", "listing", "sums")
        for at, path in enumerate(self.settings.data):
            seen = {
                node: tuple(said[key] for key in compared)
                for node, said in self.facts.of(f"data {at}").items()
                if "sums" in said
            }
            if not seen:
                continue
            usual, others = odd.ones(seen)
            first = [node for node, value in seen.items() if value == usual][:1]
            if others:
                asked = [*first, *sorted(others)[:3]]
                known = self._ask("parts", self._left(0.3, 20), asked, path=path)
                parts = [at for at, sums in enumerate(zip(*known.values())) if len(set(sums)) > 1]
                more = {"path": path, "parts": parts, "most": _LISTED}
                told = self._ask("checksums", self._left(0.3, 20), list(known), **more)
                self.facts.checksums[path] = told

    def _ranks(self) -> None:
        facts = self.facts
        blocked = any("error" in said for said in facts.links.values())
        if blocked or any(how != "ok" for how in facts.master.values()):
            return  # they would wait for each other until their time is over
        ready = [node for node, said in facts.of("torch").items() if "ready" in said]
        reduce_all(self.facts, [node for node in self._nodes() if node in ready], self._ask,
                   self._left)  # fmt: skip


def _error(said: Any) -> str:
    """Return why a round has failed on a node; nothing where it has not."""
    return str(said["error"]) if isinstance(said, dict) and set(said) == {"error"} else ""


def distances(count: int) -> list[int]:
    """Return between which places of a ring links are tried: all, or powers of two both ways."""
    if count <= _ALL_PAIRS:
        return list(range(1, count))
    near = [1 << power for power in range((count // 2).bit_length())]
    return sorted({*near, *(count - step for step in near)})


def ring(nodes: Sequence[int], distance: int) -> dict[int, int]:
    """Return whom each node dials: the one so far behind it, so that each is dialled once."""
    return {node: nodes[(at + distance) % len(nodes)] for at, node in enumerate(nodes)}
