"""What became of the data, in numbers and in one line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Counts over both files, training and evaluation, unless it says otherwise."""

    samples: int
    """For training."""
    tokens: int
    """Of them."""
    supervised: int
    """Tokens of them that are learnt."""
    sequences: int
    """What the samples for training were packed into; without packing, their number."""
    full: float
    """Share of the packed sequences' places that is taken; 1 without packing."""
    evaluation: int
    """Samples for evaluation."""
    truncated: int
    """Samples that lost their end."""
    too_long: int
    """Samples dropped for their length."""
    unsupervised: int
    """Samples dropped because nothing of them is learnt."""
    skipped: int
    """Lines that are no sample."""
    first_skipped: tuple[str, ...]
    """The first few of them: file, line and what is wrong."""

    def line(self) -> str:
        """Return the counts as a line for people; what is zero is left out."""
        packed = f" in {self.sequences:,} sequences ({self.full:.1%} full)"
        first = f" ({'; '.join(self.first_skipped)})" if self.first_skipped else ""
        parts = [
            f"{self.samples:,} samples to train on{packed if self.full < 1 else ''}, "
            f"{self.tokens:,} tokens, {self.supervised:,} of them supervised",
            f"{self.evaluation:,} samples to evaluate on",
            f"{self.truncated:,} cut to data.max_length" if self.truncated else "",
            f"{self.too_long:,} dropped as too long" if self.too_long else "",
            f"{self.unsupervised:,} dropped without supervised tokens" if self.unsupervised else "",
            f"{self.skipped:,} bad lines skipped{first}" if self.skipped else "",
        ]
        return "data: " + "; ".join(filter(None, parts))
