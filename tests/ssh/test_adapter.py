"""Shards on the hosts' own disks are brought together over ssh."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.ssh.hosts import Hosts
from tests.train.shards import some_tensors, write_checkpoint


def test_shards_come_from_the_hosts_disks(hosts: Hosts, tmp_path: Path) -> None:
    whole = write_checkpoint(tmp_path / "checkpoint-5", some_tensors(), shards=3)
    shards = [whole / f"adapter_model.rank{number}.safetensors" for number in range(3)]
    for box in ("box1", "box2"):
        folder = hosts.disk(box) / "it's local" / "checkpoint-5"
        shutil.copytree(whole, folder)
        for path in (shards[2] if box == "box1" else shards[0], shards[1]):
            (folder / path.name).unlink()
    (hosts.disk("box2") / "it's local" / "checkpoint-5" / shards[1].name).write_bytes(b"torn")
    place = f"{hosts.work}/it's local/checkpoint-5"
    words = ["adapter", "merge", f"box1:{place}", "-o", "out"]

    lost = hosts.slurmkit(*words, "--from", "nobody@nowhere:x", "--from", "box2:missing")
    assert lost.returncode == 1
    asked = f"missing: asked box1:{place}, nobody@nowhere:x, box2:missing"
    assert lost.stderr.splitlines()[:2] == [f"{path.name}: {asked}" for path in shards[1:]]
    assert "nobody@nowhere:x: not reachable: ssh: Could not resolve" in lost.stderr
    assert "box2:missing: there is no such directory\n" in lost.stderr

    torn = hosts.slurmkit(*words, "--from", f"box2:{place}")
    assert torn.returncode == 1
    assert f"{shards[1].name}: missing: asked box1:{place}, box2:{place}\n" in torn.stderr
    assert f"box2:{place}/{shards[1].name}: damaged: has 4 bytes" in torn.stderr
    assert list(hosts.disk("desk").iterdir()) == []

    for path in (shards[0], shards[2]):
        path.unlink()
    shutil.move(whole, hosts.disk("desk") / "here")
    words[2] = "here"
    done = hosts.slurmkit(*words, "--from", f"box1:{place}", "--from", f"alias:{place}")
    assert done.returncode == 0, done.stderr
    assert f"slurmkit: {shards[0].name} from box1:{place}\n" in done.stderr
    assert f"slurmkit: {shards[2].name} from alias:{place}\n" in done.stderr
    found = load_file(hosts.disk("desk") / "out" / "adapter_model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in some_tensors().items())
    assert sorted(path.name for path in hosts.disk("desk").iterdir()) == ["here", "out"]
