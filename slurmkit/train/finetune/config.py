"""The config of the fine-tuning job: every field, its default and what it means. No torch here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class ModelConfig(_Part):
    """Which model, and how it computes."""

    name_or_path: str = Field(
        min_length=1,
        description="Directory or hub name; `tiny:glm4_moe` or `tiny:llama`: a tiny random one, "
        "made in the run directory.",
    )
    dtype: Literal["bfloat16", "float32"] = Field(
        default="bfloat16", description="Type of the frozen weights and of the arithmetic."
    )
    attn_implementation: str | None = Field(
        default=None, description="transformers' name: sdpa, eager, flash_attention_2, …"
    )
    experts_implementation: str | None = Field(
        default=None, description="transformers' name: grouped_mm, batched_mm, eager."
    )
    activation_checkpointing: bool = Field(
        default=True, description="Recompute each layer in backward, to save memory."
    )
    compile: bool = Field(
        default=False, description="torch.compile of the parts of each decoder layer."
    )
    chunked_loss: int = Field(
        default=1024,
        ge=0,
        description="Supervised tokens whose logits are held at a time; 0: all of them.",
    )


class DataConfig(_Part):
    """Which samples, and how they become batches."""

    dataset_path: str = Field(
        min_length=1,
        description="JSONL file, or a directory with train.jsonl and maybe eval.jsonl; "
        "`tiny:N`: N samples made in the run directory.",
    )
    eval_dataset_path: str | None = Field(
        default=None, min_length=1, description="JSONL file for evaluation."
    )
    eval_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.05,
        description="Share of dataset_path held out for evaluation where there is no such file.",
    )
    max_length: int = Field(default=4096, ge=2, description="Tokens a sample may have.")
    long_samples: Literal["truncate", "drop"] = Field(
        default="truncate", description="What happens to longer ones; they are counted."
    )
    bad_lines: Literal["stop", "skip"] = Field(
        default="stop", description="What a line that is no sample does; skipped ones are told."
    )
    packing: bool = Field(
        default=False, description="Several samples in one sequence of max_length, kept apart."
    )
    chat_template: str | None = Field(
        default=None, min_length=1, description="File with a Jinja chat template, for `messages`."
    )
    cache_dir: str | None = Field(
        default=None, min_length=1, description="Tokenised data; ~/.cache/slurmkit/data if unset."
    )


class TrainingConfig(_Part):
    """How long, how fast, how often to look and to save. Names are transformers' own."""

    num_train_epochs: Positive = Field(default=1, description="Times through the data.")
    max_steps: Positive | None = Field(
        default=None, description="Optimizer steps in all; stands above num_train_epochs."
    )
    per_device_train_batch_size: Positive = Field(
        default=1, description="Samples a rank computes at a time."
    )
    gradient_accumulation_steps: Positive = Field(
        default=1, description="Times it does so before an optimizer step."
    )
    per_device_eval_batch_size: Positive = Field(default=1, description="The same in evaluation.")
    learning_rate: float = Field(default=1e-4, gt=0, description="The highest of the schedule.")
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="How it falls after the warm-up."
    )
    warmup_steps: int | None = Field(
        default=None, ge=0, description="Steps in which it rises; stands above warmup_ratio."
    )
    warmup_ratio: Share = Field(default=0.0, description="The same as a share of all steps.")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's.")
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.9, description="AdamW's.")
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.999, description="AdamW's.")
    adam_epsilon: float = Field(default=1e-8, gt=0, description="AdamW's.")
    max_grad_norm: float = Field(default=1.0, ge=0, description="Clip to this norm; 0: never.")
    seed: int = Field(default=42, ge=0, description="Of the data's order, LoRA's start, dropout.")
    eval_dataset_type: Literal["subset", "full"] = Field(
        default="subset", description="Evaluate on eval_subset_size samples or on all."
    )
    eval_subset_size: Positive = Field(default=200, description="Drawn once, by the seed.")
    eval_steps: Positive | None = Field(
        default=None, description="Steps between evaluations; unset: at the end only."
    )
    checkpoint_mode: Literal["full", "lite"] = Field(
        default="full",
        description="full: the job can continue as if nothing had happened; lite: adapter only.",
    )
    save_steps: Positive | None = Field(
        default=None,
        description="Steps between checkpoints; unset: when asked to stop, and at the end.",
    )
    save_total_limit: Positive | None = Field(
        default=3, description="Checkpoints to keep; the newest and the best stay in any case."
    )
    when_save_fails: Literal["continue", "stop"] = Field(
        default="continue", description="Train on, with the previous checkpoint, or leave."
    )
    resume: str = Field(
        default="auto",
        min_length=1,
        description="auto: from the newest whole checkpoint; never; or a checkpoint's directory.",
    )
    output_dir: str | None = Field(
        default=None, min_length=1, description="Checkpoints; unset: in the run directory."
    )


class LoraConfig(_Part):
    """The adapter, in peft's words."""

    r: Positive = Field(default=16, description="Rank.")
    lora_alpha: Positive = Field(default=32, description="Scale: alpha / r.")
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.0, description="Dropout.")
    target_modules: Names = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj"),
        description="Linear modules that get an adapter, by the end of their names.",
    )

    @field_validator("target_modules")
    @classmethod
    def _experts_are_no_modules(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "all-linear" in names:
            raise ValueError(
                "all-linear never reaches the experts of a mixture, which are no linear modules "
                "(peft#3080): name the modules, such as [q_proj, k_proj, v_proj, o_proj]"
            )
        return names


class ParallelismConfig(_Part):
    """How the ranks share the model: shards x replicas is their number."""

    shard: Positive | None = Field(
        default=None,
        description="Ranks that hold one copy together; unset: those of a node, or all / replicas.",
    )
    replicas: Positive | None = Field(
        default=None, description="Copies; unset: as many as there are nodes, or all / shard."
    )

    def mesh(self, world_size: int, local_world_size: int) -> tuple[int, int]:
        """Return (replicas, ranks that share one) for a number of ranks, and of those of a node.

        Raises:
            ValueError: the product is another number; in the words `what: fix`.
        """
        shard = self.shard or (world_size // self.replicas if self.replicas else local_world_size)
        replicas = self.replicas or max(world_size // shard, 1)
        if replicas * shard != world_size:
            given = {"shard": self.shard, "replicas": self.replicas}
            said = ", ".join(f"{name} {value}" for name, value in given.items() if value)
            raise ValueError(
                f"{said or f'{local_world_size} ranks a node'}, but there are {world_size} ranks: "
                "leave parallelism out, or make shard x replicas the number of ranks"
            )
        return replicas, shard


class LoggingConfig(_Part):
    """What is written down."""

    logging_steps: Positive = Field(default=1, description="Steps between lines of train_log.")
    tensorboard: bool = Field(default=True, description="TensorBoard events too.")
    expert_usage: bool = Field(
        default=True, description="Which experts were chosen, for mixtures of experts."
    )
    peak_tflops: float | None = Field(
        default=None, gt=0, description="A GPU's dense peak, for MFU; unset: by its name."
    )


class FinetuneConfig(_Part):
    """Fine-tune a causal language model with LoRA on any number of nodes."""

    model: ModelConfig
    data: DataConfig
    training: TrainingConfig = TrainingConfig()
    lora: LoraConfig = LoraConfig()
    parallelism: ParallelismConfig = ParallelismConfig()
    logging: LoggingConfig = LoggingConfig()
    timeout: Positive = Field(
        default=1800, description="Seconds to wait for other ranks in a collective."
    )

    @model_validator(mode="after")
    def _packing_isolates(self) -> FinetuneConfig:
        flash = (self.model.attn_implementation or "").startswith("flash")
        if self.data.packing and flash and self.training.per_device_train_batch_size > 1:
            raise ValueError(
                "`data.packing` with flash attention needs "
                "`training.per_device_train_batch_size: 1`: transformers keeps documents apart in "
                "batches of one row only; pack more by `data.max_length`, or use sdpa"
            )
        return self

    def misfits(
        self, nodes: int, processes_per_node: int
    ) -> Iterator[tuple[tuple[str, ...], str, str]]:
        """Find what cannot work in a job of this shape: the field, what is wrong, and the fix."""
        try:
            self.parallelism.mesh(nodes * processes_per_node, processes_per_node)
        except ValueError as error:
            what, _, fix = str(error).partition(": ")
            yield ("parallelism",), what, fix

    def doubts(self, requeues: Collection[str]) -> Iterator[tuple[str, str]]:
        """Find what is legal and probably not meant: the field, and a sentence.

        Args:
            requeues: the ends after which the job comes back, such as `node_failure`.
        """
        training = self.training
        if requeues and training.resume == "never":
            yield "training.resume", "never: the job comes back, and begins anew each time"
        elif requeues and training.checkpoint_mode == "lite":
            yield (
                "training.checkpoint_mode",
                "lite: the job comes back, and cannot continue from checkpoints that hold the "
                "adapter alone: leave it out, for full costs 0.2 s more a save",
            )
        if "node_failure" in requeues and training.save_steps is None:
            yield (
                "training.save_steps",
                "unset: a checkpoint is written when the job is told to stop; what a dead node "
                "ends is lost from the start",
            )

    def paths(self) -> dict[str, str]:
        """Return the files and directories that must be there, by their fields."""
        named = {
            "model.name_or_path": self.model.name_or_path,
            "data.dataset_path": self.data.dataset_path,
            "data.eval_dataset_path": self.data.eval_dataset_path,
            "data.chat_template": self.data.chat_template,
        }
        if not self.model.name_or_path.startswith((".", "/", "~")):
            del named["model.name_or_path"]  # of the hub, or tiny:
        return {name: path for name, path in named.items() if path and not path.startswith("tiny:")}
