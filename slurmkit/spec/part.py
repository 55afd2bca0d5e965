"""What all parts of a job file share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

MOST = 65535
"""What Slurm counts up to: nodes, tasks a node, seconds of warning."""

Count = Annotated[int, Field(ge=1, le=MOST)]


class Part(BaseModel):
    """A part of a job file: frozen, strict, unknown keys refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="forbid")
