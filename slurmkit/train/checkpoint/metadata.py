"""metadata.json, which makes a folder of shards a checkpoint: what is in it, and where. No torch.

It is written last, into the staging folder, when every rank has said that its files are on disk.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NAME = "metadata.json"
STATE = "state/state.json"
"""What the ranks share: the scheduler, the place in the data."""
Count = Annotated[int, Field(ge=0)]
_FOLDER = re.compile(r"checkpoint-([0-9]+)")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or used: which file, why, and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class TensorInfo(_Part):
    """A whole tensor, of which each shard holds a piece."""

    shape: tuple[Count, ...]
    """The whole shape."""
    dtype: str
    """torch's name: float32."""


class FileInfo(_Part):
    """A file of the checkpoint."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: Count
    places: tuple[str, ...] = ()
    """``node:/directory`` of each copy; empty where all nodes share one directory: it is here."""


class Mesh(_Part):
    """How the ranks shared the tensors: replicate x shard is their number."""

    replicate: Annotated[int, Field(gt=0)]
    shard: Annotated[int, Field(gt=0)]


class Metadata(_Part):
    """All that metadata.json holds."""

    format: Literal["sharded_lora"] = "sharded_lora"
    version: Literal[1] = 1
    step: Count
    """Optimizer steps done."""
    num_shards: Annotated[int, Field(gt=0)]
    """Number of ``adapter_model.rankN.safetensors`` files."""
    world_size: Annotated[int, Field(gt=0)]
    """Ranks that saved it."""
    mesh: Mesh
    global_batch: int | None
    """Samples of one optimizer step over all ranks, where known."""
    mode: Literal["full", "lite"]
    """full: with optimizer and state; lite: the model only."""
    metric: float | None
    """How good it is; lower is better."""
    tensors: dict[str, TensorInfo]
    """The model's tensors."""
    optimizer_tensors: dict[str, TensorInfo]
    """The optimizer's, named ``PARAMETER.exp_avg`` and so on."""
    files: dict[str, FileInfo]
    """Every other file, by its path inside the checkpoint."""
    slurmkit: str
    """Version that wrote it."""
    time: float
    """Seconds since 1970."""

    def places(self) -> set[str]:
        """Return the directories that hold parts of it, ``node:/directory``; none if shared."""
        return {place for file in self.files.values() for place in file.places}


def model_file(shard: int) -> str:
    """Return the name of a shard of the model."""
    return f"adapter_model.rank{shard}.safetensors"


def optimizer_file(shard: int) -> str:
    """Return the name of a shard of the optimizer."""
    return f"optimizer/optimizer.rank{shard}.safetensors"


def rng_file(rank: int) -> str:
    """Return the name of a rank's random states."""
    return f"state/rng.rank{rank}.safetensors"


def folder_name(step: int) -> str:
    """Return the name of the checkpoint of a step."""
    return f"checkpoint-{step}"


def step_of(name: str) -> int | None:
    """Return the step in a checkpoint's name; None if it is no such name."""
    match = _FOLDER.fullmatch(name)
    return int(match[1]) if match else None


def read(folder: Path) -> Metadata:
    """Return what a checkpoint's metadata.json says.

    Raises:
        CheckpointError: it is not there, or not one of ours; the text names the file.
    """
    path = folder / NAME
    try:
        metadata = Metadata.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: not there: {folder} is no checkpoint, or its save did not end"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise CheckpointError(
            f"{path}: {field}: {first['msg']}: damaged, or written by another program or version"
        ) from error
    problem = _contradiction(metadata)
    if problem:
        raise CheckpointError(f"{path}: {problem}")
    return metadata


def text(metadata: Metadata) -> str:
    """Return the text of metadata.json."""
    return metadata.model_dump_json(indent=1) + "\n"


def _contradiction(metadata: Metadata) -> str | None:
    for name in metadata.files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return f"{name!r} is no path inside a checkpoint"
    wanted = [model_file(shard) for shard in range(metadata.num_shards)]
    if metadata.mode == "full":
        wanted += [optimizer_file(shard) for shard in range(metadata.num_shards)]
    missing = [name for name in wanted if name not in metadata.files]
    if missing:
        return f"says num_shards {metadata.num_shards} but lists no {missing[0]}"
    return None
