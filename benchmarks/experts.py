"""What counting the chosen experts costs: python benchmarks/experts.py [ROUNDS].

Bar: a training step (LoRA, activation checkpointing, on the CPU) takes at most 1.03 times as long
with the counting, read after every step, as without; two equal models in turns. Measured is the
processor's time for this one thread: other programs that run do not count.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks._timing import Bar, Pair, report

LIMIT = 1.03
ROUNDS, WARM_UP = 21, 2
TOKENS = 512
SHAPE: dict[str, Any] = {
    **{"vocab_size": 512, "hidden_size": 256, "intermediate_size": 512, "head_dim": 32},
    **{"num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2},
    **{"n_routed_experts": 32, "num_experts_per_tok": 4, "moe_intermediate_size": 128},
}


def training_step(*, counted: bool) -> Callable[[], object]:
    """A model of its own, and one step of it as a call."""
    import peft
    import torch
    from transformers import AutoModelForCausalLM, Glm4MoeConfig

    from slurmkit.train.control import Control
    from slurmkit.train.experts import ExpertUsage

    torch.manual_seed(1)
    base: Any = AutoModelForCausalLM
    adapter = peft.LoraConfig(r=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    model: Any = peft.get_peft_model(base.from_config(Glm4MoeConfig(**SHAPE)), adapter)
    model.train().gradient_checkpointing_enable({"use_reentrant": False})
    tokens = torch.randint(0, SHAPE["vocab_size"], (1, TOKENS))
    valid = torch.ones_like(tokens, dtype=torch.bool)
    usage = ExpertUsage.of(model) if counted else None
    control = Control()

    def step() -> None:
        if usage is None:
            loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        else:
            with usage.counting(valid):
                loss = model(input_ids=tokens, labels=tokens, use_cache=False).loss
        loss.backward()
        if usage is not None:
            assert usage.read(control)["tokens"] == TOKENS

    return step


def worked(call: Callable[[], object]) -> float:
    """Seconds of processor time that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main(rounds: int) -> int:
    """Measures and reports."""
    counted, plain = training_step(counted=True), training_step(counted=False)
    times = [(worked(counted), worked(plain)) for _ in range(WARM_UP + rounds)][WARM_UP:]
    pair = Pair([a for a, _ in times], [b for _, b in times])
    what = f"a step of {TOKENS} tokens, 3 layers of 32 experts: counted / not counted"
    return report([Bar(what, pair.ratio, LIMIT, "x", str(pair))])


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"  # more threads spin while they wait for each other
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
