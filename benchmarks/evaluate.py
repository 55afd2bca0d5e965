"""Three ways to evaluate on 4 ranks, and a subset of the data: python benchmarks/evaluate.py.

On a small mixture of experts, whole on every rank, with 32 words for each hidden unit, as
GLM-4.5-Air has 37:

- one reduction an evaluation (slurmkit.train.evaluate);
- one reduction a batch;
- the logits of each batch gathered on every rank, which then computes the loss.

Bars: the first is no slower than the second (at most 1.05 times, for the noise) nor than the
third; both losses agree with it within 1e-6. Told beside them is what a subset saves: its share
of the samples, however one reduces.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks._timing import Bar, Pair, report, timed

ROOT = Path(__file__).resolve().parents[1]
RANKS = 4
SAMPLES, SUBSET = 96, 24
LENGTH, BATCH = 64, 2
ROUNDS, WARM_UP = 9, 2
SHAPE: dict[str, Any] = {
    **{"vocab_size": 4096, "hidden_size": 128, "intermediate_size": 256, "head_dim": 32},
    **{"num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2},
    **{"n_routed_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64},
}


def make_batches(size: int | None, control: Any) -> list[Any]:
    """This rank's batches of the samples, of which uneven parts are supervised."""
    from slurmkit.train.evaluate import subset
    from slurmkit.train.finetune.data.batch import Sample, collate
    from slurmkit.train.finetune.data.order import share

    known = []
    for index in subset(SAMPLES, size, 1):
        ids = [8 + (index * 7 + place) % 300 for place in range(LENGTH)]
        masked = index % (LENGTH - 1)
        known.append(Sample(ids, [-100] * masked + ids[masked:], None))
    mine = share(range(len(known)), control.rank, control.world_size)
    samples = [None if index is None else known[index] for index in mine]
    return [collate(samples[at : at + BATCH], 0) for at in range(0, len(samples), BATCH)]


def reduce_each(model: Any, batches: Sequence[Any], control: Any) -> float:
    """One reduction a batch."""
    import torch

    from slurmkit.train.loss import summed

    loss = tokens = 0.0
    with torch.no_grad():
        for batch in batches:
            sums = control.sum([float(summed(model, batch, 0)), float(batch.tokens)])
            loss, tokens = loss + sums[0], tokens + sums[1]
    return loss / tokens


def gather_logits(model: Any, batches: Sequence[Any], control: Any) -> float:
    """All ranks' logits and labels of a batch on every rank, where the loss is computed."""
    import torch
    import torch.distributed as dist

    loss = tokens = 0.0
    with torch.no_grad():
        for batch in batches:
            logits = model(input_ids=batch.input_ids, use_cache=False).logits
            every = [torch.empty_like(logits) for _ in range(control.world_size)]
            labels = [torch.empty_like(batch.labels) for _ in range(control.world_size)]
            dist.all_gather(every, logits)
            dist.all_gather(labels, batch.labels)
            for one, its in zip(every, labels, strict=True):
                flat, targets = one[:, :-1].flatten(0, 1).float(), its[:, 1:].flatten()
                entropy = torch.nn.functional.cross_entropy
                loss += float(entropy(flat, targets, ignore_index=-100, reduction="sum"))
                tokens += int((targets != -100).sum())
    return loss / tokens


def compare(control: Any) -> dict[str, Any]:
    """The ways in turns: seconds of each round, and the losses."""
    import torch
    from transformers import AutoModelForCausalLM, Glm4MoeConfig

    from slurmkit.train.evaluate import evaluate

    torch.manual_seed(1)
    kind: Any = AutoModelForCausalLM
    model = kind.from_config(Glm4MoeConfig(**SHAPE)).eval()
    batches, few = make_batches(None, control), make_batches(SUBSET, control)
    ways: dict[str, Callable[[], float]] = {
        "once": lambda: evaluate(model, batches, control, 0).loss,
        "each": lambda: reduce_each(model, batches, control),
        "gather": lambda: gather_logits(model, batches, control),
        "subset": lambda: evaluate(model, few, control, 0).loss,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    losses = {}
    for _ in range(WARM_UP + ROUNDS):
        for name, way in ways.items():
            control.barrier()
            took, losses[name] = timed(way)
            seconds[name].append(took)
    return {
        "seconds": {name: each[WARM_UP:] for name, each in seconds.items()},
        "losses": losses,
    }


def measure() -> None:
    """One rank; rank 0 prints what was measured as JSON."""
    from slurmkit.train.control import Control
    from slurmkit.train.distributed import distributed

    with distributed() as world:
        found = compare(Control())
        if world.rank == 0:
            print(json.dumps(found), flush=True)


def start_ranks() -> dict[str, Any]:
    """The ranks by torchrun, and what rank 0 printed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={RANKS}"),
            *("--master-addr=127.0.0.1", f"--master-port={port}", "--local-addr=127.0.0.1"),
            *("-m", "benchmarks.evaluate", "--rank"),
        ],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"torchrun: exit status {done.returncode}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measures and reports."""
    found = start_ranks()
    seconds, losses = found["seconds"], found["losses"]
    each, gather = (Pair(seconds["once"], seconds[name]) for name in ("each", "gather"))
    apart = max(abs(losses[name] / losses["once"] - 1) for name in ("each", "gather"))
    status = report(
        [
            Bar("one reduction / one a batch", each.ratio, 1.05, "x", str(each)),
            Bar("one reduction / logits gathered", gather.ratio, 1, "x", str(gather)),
            Bar("greatest relative difference of the losses, x 1e-6", apart * 1e6, 1),
        ]
    )
    whole, part = statistics.median(seconds["once"]), statistics.median(seconds["subset"])
    print(
        f"      {SUBSET} of {SAMPLES} samples take {part / whole:.2f} of the time of all: it is "
        "the subset that makes evaluations short, at the price of its sampling error"
    )
    return status


if __name__ == "__main__":
    if sys.argv[1:] == ["--rank"]:
        measure()
    else:
        sys.exit(main())
