"""The fine-tuning job from its config to its result: the parts, put together."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from slurmkit.train import stop
from slurmkit.train.checkpoint import Checkpoints
from slurmkit.train.config_file import ConfigError
from slurmkit.train.control import Control
from slurmkit.train.distributed import World, distributed
from slurmkit.train.experts import ExpertUsage
from slurmkit.train.finetune import tiny
from slurmkit.train.finetune.data.load import load
from slurmkit.train.finetune.evaluation import Evaluator
from slurmkit.train.finetune.keeper import Keeper
from slurmkit.train.finetune.loop import Loop
from slurmkit.train.finetune.model import build, checked_name
from slurmkit.train.finetune.optimizer import adamw
from slurmkit.train.finetune.plan import Plan
from slurmkit.train.finetune.report import Reporter, lost_work
from slurmkit.train.finetune.step import Stepper
from slurmkit.train.flops import Flops
from slurmkit.train.gpus import peak_tflops
from slurmkit.train.metrics import Metrics
from slurmkit.train.progress import Progress
from slurmkit.train.ranks import read_environment
from slurmkit.train.rundir import attempt, recorded_status, run_directory

if TYPE_CHECKING:
    from slurmkit.train.checkpoint import Place
    from slurmkit.train.finetune.config import FinetuneConfig, TrainingConfig


def run(config: FinetuneConfig) -> dict[str, Any]:
    """Run the job on this rank; return how it ended, the same on every rank."""
    ranks = read_environment(os.environ)
    with stop.listening(), recorded_status(ranks.rank) as status:
        config = _with_model(config, ranks.local_rank)
        with distributed(timeout=timedelta(seconds=config.timeout)) as world:
            result = _trained(config, world)
        status.state, status.reason = result["state"], result["reason"]
        status.step = result["step"]
    return result


def _trained(config: FinetuneConfig, world: World) -> dict[str, Any]:
    control = Control(timedelta(seconds=config.timeout))
    directory = run_directory() or _new_directory(control)
    tokenizer = _tokenizer(checked_name(config.model.name_or_path))
    _check_tensorboard(config)
    data = load(config.data, tokenizer, control, world, config.training.seed)
    built = build(config, world, control)
    if world.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()  # that of training is asked for
    keeper = Keeper(
        config=config.training,
        plan=Plan.of(config.training, len(data.train), world.world_size),
        built=built,
        optimizer=adamw(built.trainable.values(), config.training),
        checkpoints=_checkpoints(config.training, directory, control, built.place),
        files={"adapter_config.json": built.adapter_config(), **_files(tokenizer)},
        fingerprint=data.fingerprint,
        lora_alpha=config.lora.lora_alpha,
        attempt=attempt(),
    )
    step = keeper.resume()
    experts = ExpertUsage.of(built.model) if config.logging.expert_usage else None
    pad_id = 0  # any token: what is padded has no label, and nothing looks back at it
    stepper = Stepper(
        config=config,
        plan=keeper.plan,
        built=built,
        samples=data.train,
        optimizer=keeper.optimizer,
        control=control,
        device=world.device,
        pad_id=pad_id,
        experts=experts,
        flops=Flops.count(built.model),
    )
    evaluate = Evaluator(config, built.model, data.evaluation, control, world.device, pad_id)
    reporter = _reporter(config, stepper, directory, step)
    loop = Loop(config.training, keeper.plan, stepper, keeper, reporter, evaluate, step)
    reason = loop.run()
    reporter.end(loop.step, reason)
    return _result(loop, reason, directory)


def _checkpoints(
    config: TrainingConfig, directory: Path, control: Control, place: Place
) -> Checkpoints:
    return Checkpoints(
        Path(config.output_dir or directory / "checkpoints").expanduser(),
        control,
        place,
        keep=config.save_total_limit,
        attempt=attempt(),
        when_failed=config.when_save_fails,
    )


def _reporter(config: FinetuneConfig, stepper: Stepper, directory: Path, step: int) -> Reporter:
    """Open the logs; what they have behind `step` is counted as lost, and cut."""
    logging, plan, first = config.logging, stepper.plan, stepper.control.rank == 0
    lost = lost_work(directory, step) if first else None
    metrics = Metrics(directory if first else None, step, tensorboard=logging.tensorboard)
    reporter = Reporter(
        plan=plan,
        control=stepper.control,
        metrics=metrics,
        progress=Progress(plan.total_steps, step) if first else None,
        experts=stepper.experts,
        every=logging.logging_steps,
        peak_tflops=logging.peak_tflops or _peak_tflops(stepper.device),
    )
    reporter.begin(step, directory, lost)
    return reporter


def _result(loop: Loop, reason: str | None, directory: Path) -> dict[str, Any]:
    evaluation = loop.evaluation
    return {
        "state": "stopped" if reason else "done",
        "reason": reason,
        "step": loop.step,
        "total_steps": loop.plan.total_steps,
        "loss": loop.reporter.row.get("loss"),
        "eval_loss": evaluation.loss if evaluation else None,
        "perplexity": evaluation.perplexity if evaluation else None,
        "checkpoint": str(loop.keeper.newest) if loop.keeper.newest else None,
        "directory": str(directory),
    }


def _new_directory(control: Control) -> Path:
    """Return a directory of its own for a run that has none from a script: nothing to resume."""
    mine = f"runs/finetune/local-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    return Path(control.texts(mine)[0]).absolute()


def _with_model(config: FinetuneConfig, local_rank: int) -> FinetuneConfig:
    """Return the config with the path of a tiny model, which the first rank of a node makes.

    It does so before it joins the others, who wait for it there: among them, transformers writes
    on rank 0 alone.
    """
    name = config.model.name_or_path
    if not name.startswith("tiny:"):
        return config
    kind, directory = name.removeprefix("tiny:"), tiny.directory()
    path = tiny.model(kind, directory) if local_rank == 0 else directory / kind
    model = config.model.model_copy(update={"name_or_path": str(path)})
    return config.model_copy(update={"model": model})


def _tokenizer(name: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"`model.name_or_path: {name}`: no tokenizer: {error}") from error
    return tokenizer


def _files(tokenizer: PreTrainedTokenizerBase) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        return {
            path.name: path.read_bytes() for path in Path(directory).iterdir() if path.is_file()
        }


def _check_tensorboard(config: FinetuneConfig) -> None:
    if config.logging.tensorboard and not find_spec("tensorboard"):
        raise ConfigError(
            "`logging.tensorboard: true` needs tensorboard: pip install 'slurmkit-torch[train]', "
            "or set it to false"
        )


def _peak_tflops(device: torch.device) -> float | None:
    return peak_tflops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
