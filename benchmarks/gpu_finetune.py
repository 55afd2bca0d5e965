"""LoRA on GLM-4.5-Air's layers on one GPU: python benchmarks/gpu_finetune.py [--layers N] [--tiny].

The full width and a few of the 46 layers, with random weights that are made on the device; one
sequence of 16,384 tokens a step, r=16. What is timed is the fine-tuning job's own step, with its
checks, FSDP, loss and optimizer. It prints a table in Markdown.

Without a GPU it says so and ends well. `--tiny` runs the same on a tiny model, CPUs included.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks._timing import Bar, alternate, report

if TYPE_CHECKING:
    import torch

    from slurmkit.train.control import Control
    from slurmkit.train.distributed import World
    from slurmkit.train.finetune.config import FinetuneConfig
    from slurmkit.train.finetune.step import Ready, Stepper

GIB = 2**30
MFU, MEMORY = 0.4, 20.0
AIR = {
    "vocab_size": 151552,
    "hidden_size": 4096,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_attention_heads": 96,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 8,
    "first_k_dense_replace": 1,
    "attention_bias": True,
    "max_position_embeddings": 131072,
}
"""huggingface.co/zai-org/GLM-4.5-Air, config.json; there are 46 layers."""
TINY = AIR | {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
}


@dataclass(frozen=True)
class Row:
    """One way of training, measured."""

    way: str
    seconds: float
    tokens: int
    tflop: float
    peak: float
    """Bytes of the GPU at most; 0 on CPUs."""
    weights: float
    """Bytes that were there before the first step."""

    def mfu(self, peak_tflops: float | None) -> float | None:
        """The share of the GPU's dense peak; None where that is not known."""
        return self.tflop / self.seconds / peak_tflops if peak_tflops else None

    def line(self, peak_tflops: float | None) -> str:
        """A line of the table."""
        mfu = self.mfu(peak_tflops)
        cells = [
            self.way,
            f"{self.seconds:.3f}",
            f"{self.tokens / self.seconds:,.0f}",
            f"{self.tflop / self.seconds:,.1f}",
            f"{mfu:.1%}" if mfu else "unknown",
            f"{self.peak / GIB:.1f}",
            f"{(self.peak - self.weights) / GIB:.1f}",
        ]
        return f"| {' | '.join(cells)} |"


HEAD = """| | s a step | tokens/s | TFLOP/s | LoRA-MFU | peak memory, GiB | above the weights, GiB |
|---|---|---|---|---|---|---|"""


@dataclass
class Bench:
    """A device, a shape of model, and the length of its sequences."""

    world: World
    control: Control
    shape: Any
    length: int
    steps: int

    def stepper(self, **model: Any) -> Stepper:
        """Build the model anew, with settings of the config's `model`, and what trains it."""
        from slurmkit.train.experts import ExpertUsage
        from slurmkit.train.finetune import model as models
        from slurmkit.train.finetune.optimizer import adamw
        from slurmkit.train.finetune.plan import Plan
        from slurmkit.train.finetune.step import Stepper
        from slurmkit.train.flops import Flops

        with tempfile.TemporaryDirectory() as name, patch.object(models, "_read", self._made):
            self.shape.save_pretrained(name)
            config = _config(name, model)
            built = models.build(config, self.world, self.control)
        none: Any = ()  # the batch is made here
        return Stepper(
            config=config,
            plan=Plan(1, 1, 1, 1, 10**6),
            built=built,
            samples=none,
            optimizer=adamw(built.trainable.values(), config.training),
            control=self.control,
            device=self.world.device,
            pad_id=0,
            experts=ExpertUsage.of(built.model),
            flops=Flops.count(built.model.get_base_model()),
        )

    def _made(self, *_: object) -> Any:
        """Stands in for reading the model from disk: random weights, on the device at once."""
        import torch
        from transformers import AutoModelForCausalLM

        make: Any = AutoModelForCausalLM.from_config
        with self.world.device:
            causal = make(self.shape, dtype=torch.bfloat16)
        for name, buffer in causal.named_buffers():
            if name.endswith("e_score_correction_bias"):  # as from_pretrained(dtype=…) leaves it
                buffer.data = buffer.data.float()
        return causal.requires_grad_(False)

    def ready(self) -> Ready:
        """A step's batch: one sequence of random tokens, all of them to be learnt."""
        import torch

        from slurmkit.train.finetune.data.batch import Sample, collate
        from slurmkit.train.finetune.step import Ready

        tokens = torch.randint(self.shape.vocab_size, (self.length,)).tolist()
        batch = collate([Sample(tokens, tokens, None)], 0, self.world.device)
        return Ready([batch], batch.tokens, None, 0.0)

    def measure(self, way: str, stepper: Stepper) -> Row:
        """Take two steps unseen, then the median of some."""
        ready, weights = self.ready(), _memory(self.world.device, "memory_allocated")
        for _ in range(2):
            _take(stepper, ready)
        _memory(self.world.device, "reset_peak_memory_stats")
        taken = [_take(stepper, ready) for _ in range(self.steps)]
        seconds = statistics.median(each.seconds for each in taken)
        peak = _memory(self.world.device, "max_memory_allocated")
        return Row(way, seconds, self.length, taken[0].flops / 1e12, peak, weights)

    def hooks(self, stepper: Stepper) -> str:
        """What counting the experts costs: steps with it and without, in turns."""
        ready, counting = self.ready(), stepper.experts

        def step(experts: Any) -> None:
            stepper.experts = experts
            _take(stepper, ready)

        pair = alternate(lambda: step(counting), lambda: step(None), self.steps)
        stepper.experts = counting
        return f"counting experts: {pair.ratio - 1:+.1%} ({pair})"

    def save(self, stepper: Stepper) -> str:
        """What a full checkpoint of it takes."""
        from slurmkit.train.checkpoint import Checkpoints
        from slurmkit.train.finetune.keeper import Keeper

        with tempfile.TemporaryDirectory() as name:
            place = stepper.built.place
            checkpoints = Checkpoints(Path(name), self.control, place, 1, 0, "stop")
            training, plan = stepper.config.training, stepper.plan
            files = {"adapter_config.json": stepper.built.adapter_config()}
            parts = (stepper.built, stepper.optimizer, checkpoints, files)
            keeper = Keeper(training, plan, *parts, fingerprint="none", lora_alpha=32, attempt=0)
            saved = [keeper.save(step, None) for step in (1, 2, 3)]
            size = sum(file.stat().st_size for file in Path(name).rglob("*") if file.is_file())
        seconds = statistics.median(each.seconds for each in saved if each)
        return f"full checkpoint: {seconds:.3f} s, {size / 2**20:.1f} MiB"


def main() -> int:
    """Measures what it was asked for, and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--layers", type=int, default=10, help="of 46; 10 take 43 GiB")
    parser.add_argument("--length", type=int, default=16384, help="tokens of a sequence")
    parser.add_argument("--steps", type=int, default=5, help="that are timed, each way")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, on any machine")
    options = parser.parse_args()
    import torch

    if not torch.cuda.is_available() and not options.tiny:
        print("gpu_finetune: no GPU here, nothing measured (--tiny tries the code on the CPU)")
        return 0
    from transformers import Glm4MoeConfig

    from slurmkit.train.control import Control
    from slurmkit.train.distributed import distributed

    fields = {**(TINY if options.tiny else AIR), "num_hidden_layers": options.layers}
    with distributed() as world:
        length = 64 if options.tiny else options.length
        bench = Bench(world, Control(), Glm4MoeConfig(**fields), length, options.steps)
        return _all_ways(bench)


def _all_ways(bench: Bench) -> int:
    import torch

    from slurmkit.train.gpus import peak_tflops

    on_gpu = bench.world.device.type == "cuda"
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    peak = peak_tflops(name)
    rows, notes = [], []
    for compiled in (False, True):
        stepper = bench.stepper(compile=compiled)
        word = "compiled" if compiled else "eager"
        rows.append(bench.measure(f"{word}, chunked loss", stepper))
        if not compiled:
            notes = [bench.hooks(stepper), bench.save(stepper)]
        config = stepper.config
        stepper.config = config.model_copy(
            update={"model": config.model.model_copy(update={"chunked_loss": 0})}
        )
        rows.append(bench.measure(f"{word}, all logits", stepper))
        del stepper
        gc.collect()
        torch.cuda.empty_cache()
    layers = bench.shape.num_hidden_layers
    print(f"{name}, torch {torch.__version__}, {layers} layers, {bench.length} tokens a step\n")
    print("\n".join([HEAD, *(row.line(peak) for row in rows), "", *notes]))
    return _bars(rows, peak) if on_gpu and peak else 0


def _bars(rows: list[Row], peak: float) -> int:
    best = min(rows, key=lambda row: row.seconds)
    least = min(rows, key=lambda row: row.peak)
    return report(
        [
            Bar(f"{MFU:.0%} LoRA-MFU / {best.way}", MFU / (best.mfu(peak) or 1e-9), 1.0),
            Bar(
                f"above the weights, {least.way}",
                (least.peak - least.weights) / GIB,
                MEMORY,
                " GiB",
            ),
        ]
    )


def _config(name: str, model: dict[str, Any]) -> FinetuneConfig:
    from slurmkit.train.finetune.config import DataConfig, FinetuneConfig, LoraConfig, ModelConfig

    return FinetuneConfig(
        model=ModelConfig(name_or_path=name, **model),
        data=DataConfig(dataset_path="random"),
        lora=LoraConfig(r=16, lora_alpha=32),
    )


def _take(stepper: Stepper, ready: Ready) -> Any:
    taken = stepper.take(0, ready, lambda _: False)
    assert taken is not None
    return taken


def _memory(device: torch.device, ask: str) -> Any:
    """Ask torch.cuda about its memory; 0 where there is none."""
    import torch

    return getattr(torch.cuda, ask)() if device.type == "cuda" else 0


if __name__ == "__main__":
    sys.exit(main())
