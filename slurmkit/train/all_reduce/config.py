"""The config of the all-reduce demo."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Bytes = Annotated[int, Field(gt=0)]

BYTES_OF = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


class AllReduceConfig(BaseModel):
    """Which message sizes to measure, and how often; the defaults take a second on a laptop."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    sizes: Annotated[tuple[Bytes, ...], Field(strict=False, min_length=1)] | None = Field(
        default=None, description="Message sizes in bytes; without it min_size to max_size."
    )
    min_size: Bytes = Field(default=1024, description="Smallest message, in bytes.")
    max_size: Bytes = Field(default=4 * 1024**2, description="Largest message, in bytes.")
    factor: int = Field(default=4, ge=2, description="From one message size to the next.")
    iterations: int = Field(default=20, ge=1, description="Measured all-reduces a size.")
    warmup: int = Field(default=5, ge=0, description="Unmeasured all-reduces before them.")
    dtype: Literal["float64", "float32", "bfloat16", "float16"] = Field(
        default="float32", description="Type of the numbers that are added."
    )
    timeout: int = Field(
        default=600, ge=1, description="Seconds to wait for other ranks before giving up."
    )
    json_path: str | None = Field(
        default=None, alias="json", min_length=1, description="Write the result to this file too."
    )

    @model_validator(mode="after")
    def _sizes_fit(self) -> AllReduceConfig:
        given = self.model_fields_set & {"min_size", "max_size", "factor"}
        if self.sizes is not None and given:
            raise ValueError(f"`sizes` is given: leave out {', '.join(sorted(given))}")
        if self.sizes is None and self.min_size > self.max_size:
            raise ValueError(
                f"`min_size: {self.min_size}` is larger than `max_size: {self.max_size}`: swap them"
            )
        width = BYTES_OF[self.dtype]
        odd = [size for size in self.message_sizes() if size % width]
        if odd:
            raise ValueError(
                f"{odd[0]} bytes hold no whole number of {self.dtype}: use multiples of {width}"
            )
        return self

    def message_sizes(self) -> list[int]:
        """Return the message sizes in bytes, in the order in which they are measured."""
        if self.sizes is not None:
            return list(self.sizes)
        sizes = []
        size = self.min_size
        while size <= self.max_size:
            sizes.append(size)
            size *= self.factor
        return sizes
