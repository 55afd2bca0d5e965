"""Durations as Slurm writes them, read and shown."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)(?:\.\d+)?")


def read_duration(text: str) -> int | None:
    """Return the seconds of `1-02:03:04`, `02:03:04` or `3:04`; None for `UNLIMITED` and others."""
    match = _DURATION.fullmatch(text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def show_duration(text: str) -> str:
    """Return one of Slurm's durations without leading zeros: `1-02:03:04`, `2:03:04`, `3:04`."""
    seconds = read_duration(text)
    return text.lower() if seconds is None else show_seconds(seconds)


def show_seconds(seconds: float) -> str:
    """Return a number of seconds in the same way."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}-{hour:02}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def show_time(text: str) -> str:
    """Return one of Slurm's times as people write it: `2026-11-21 08:15:30`."""
    return text.replace("T", " ")
