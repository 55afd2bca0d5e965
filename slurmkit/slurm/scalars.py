"""Slurm's single values: time limits, memory sizes, versions, names; and the error of all grammars.

What is accepted is what sbatch accepts, minus the texts that it takes for something which nobody
means: `-5` (minus five days), `1-` (a day), a time beyond 2^31 seconds (it wraps around).
"""

from __future__ import annotations

_LONGEST_SHOWN = 80
_DIGITS = 9
_MAX_SECONDS = 2**31 - 1
_MAX_MEGABYTES = 2**63 - 1
_MEGABYTES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME_FORMS = (
    "minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes, "
    "days-hours:minutes:seconds, or UNLIMITED"
)
_MEMORY_FORMS = "a whole number with K, M, G or T (M when left out); 0 = all memory of the node"


class GrammarError(ValueError):
    """A text that Slurm would not understand, with what it expects and what to write instead."""

    def __init__(self, value: str, expected: str, fix: str) -> None:
        self.value = value
        self.expected = expected
        self.fix = fix
        super().__init__(f"{shown(value)}: expected {expected}; {fix}")


def shown(value: str) -> str:
    """A value as an error shows it: quoted, and cut when it is very long."""
    cut = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 3] + "..."
    return repr(cut)


def is_number(text: str) -> bool:
    """Whether the text is made of the digits 0-9 only (`str.isdigit` takes others too)."""
    return text.isascii() and text.isdigit()


def whole(text: str | None) -> int | None:
    """Read a whole number of at most nine digits, such as a count; None where it is none."""
    return int(text) if text is not None and len(text) <= _DIGITS and is_number(text) else None


def is_word(text: str, punctuation: str) -> bool:
    """Whether the text is ASCII letters, digits and this punctuation only, and not empty."""
    return text != "" and text.isascii() and all(c.isalnum() or c in punctuation for c in text)


def parse_time(text: str) -> int | None:
    """Read a time limit as sbatch's --time does: seconds, or None for no limit.

    `90` is 90 minutes and `24:00` is 24 minutes, not hours; parts may be over 59. A limit of zero
    means no limit, as for sbatch.
    """
    if text.upper() in ("UNLIMITED", "INFINITE", "-1"):
        return None
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    if len(parts) > 3 or not all(map(is_number, (days, *parts) if dash else parts)):
        raise GrammarError(text, _TIME_FORMS, _time_fix(text))
    if max(map(len, (days, *parts))) > 18:
        raise _too_long(text)
    numbers = [int(part) for part in parts]
    if not dash and len(numbers) < 3:
        numbers.insert(0, 0)  # without days, one or two numbers are minutes and seconds
    hours, minutes, seconds = (*numbers, 0, 0)[:3]
    total = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if total > _MAX_SECONDS:
        raise _too_long(text)
    return total or None


def _too_long(text: str) -> GrammarError:
    return GrammarError(text, "at most 24855 days (Slurm counts in 32 bits)", "write UNLIMITED")


def format_time(seconds: int) -> str:
    """Write seconds as a time limit that cannot be misread: `12:00:00`, `1-06:30:00`."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{minute:02}:{second:02}"
    return f"{days}-{hour:02}:{clock}" if days else f"{hour}:{clock}"


def _time_fix(text: str) -> str:
    seconds = _seconds_with_units(text)
    if seconds is not None and 0 < seconds <= _MAX_SECONDS:
        return f"write {format_time(seconds)}"
    parts = text.strip().split(":")
    if len(parts) == 4 and all(is_number(part) and len(part) < 5 for part in parts):
        return f"write {int(parts[0])}-{':'.join(part.zfill(2) for part in parts[1:])}"
    if text.endswith("-") and is_number(text[:-1]):
        return f"write {text}0"
    if is_number(text.strip()):
        return f"write {text.strip()}"
    return "write for example 12:00:00 (twelve hours) or 2-00:00:00 (two days)"


def _seconds_with_units(text: str) -> int | None:
    """Read `2h`, `1.5 hours`, `1d12h30m`; None when it is not of that kind."""
    total, number, unit = 0.0, "", ""
    for char in text.lower().replace(" ", "")[:40] + "0":
        if unit and (char.isdigit() or char == "."):
            scale = _UNIT_SECONDS.get("" if unit.startswith("mo") else unit[0])
            if scale is None or not is_number(number.replace(".", "", 1)):
                return None
            total, number, unit = total + float(number) * scale, char, ""
        elif char.isalpha():
            unit += char
        else:
            number += char
    return round(total) if number == "0" else None


def parse_memory(text: str) -> int:
    """Read a memory size as sbatch's --mem does: megabytes, rounded up; 0 is all of the node.

    K, M, G and T in either case, with or without a B. Slurm knows no P and no fractions.
    """
    body = text[:-1] if text[-1:] in ("B", "b") and text[-2:-1].isalpha() else text
    unit = body[-1:].upper()
    number = body[:-1] if unit in _MEGABYTES else body
    if not is_number(number) or len(number) > 18:
        raise GrammarError(text, _MEMORY_FORMS, _memory_fix(text))
    if unit == "K":
        return (int(number) + 1023) // 1024
    megabytes = int(number) * int(_MEGABYTES.get(unit, 1))
    if megabytes > _MAX_MEGABYTES:
        raise GrammarError(text, "less than 2^63 megabytes", "write 0 for all memory of the node")
    return megabytes


def _memory_fix(text: str) -> str:
    body = text.strip().upper().replace(" ", "").removesuffix("B").removesuffix("I")
    number, unit = body[:-1], body[-1:]
    if unit == "P" and is_number(number) and len(number) < 6:
        return f"write {int(number) * 1024}T"
    if unit in _MEGABYTES and is_number(number) and len(number) < 18:
        return f"write {number}{unit}"
    if unit in _MEGABYTES and len(number) < 12 and is_number(number.replace(".", "", 1)):
        return f"write {round(float(number) * _MEGABYTES[unit])}M"
    if text.strip().lower() in ("all", "max"):
        return "write 0"
    return "write for example 500G"


def check_environment_name(text: str) -> str:
    """Check the name of an environment variable: letters, digits, underscores, no leading digit."""
    if is_word(text, "_") and not text[0].isdigit():
        return text
    legal = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in text[:64])
    legal = f"_{legal}" if legal[:1].isdigit() else legal
    fix = f"write {legal}" if legal.strip("_") else "write a name such as MY_VARIABLE"
    raise GrammarError(text, "letters, digits and underscores, not starting with a digit", fix)


def check_name_list(text: str) -> tuple[str, ...]:
    """Check a comma-separated list of names (partitions, accounts): no blanks, no empty name."""
    names = tuple(text.split(","))
    if all(name.isprintable() and name and " " not in name and name[0] != "-" for name in names):
        return names
    parts = [part for part in text.replace(",", " ").split() if part.isprintable()]
    fix = ",".join(part.lstrip("-") for part in parts).strip(",")[:_LONGEST_SHOWN]
    raise GrammarError(text, "names joined by commas, without blanks", f"write {fix or 'a name'}")


def parse_version(text: str) -> tuple[int, int]:
    """Read a Slurm version (`22.05`, `24.11.3`) as (year, month), the pair that orders releases."""
    year, month, *patch = (*text.split("."), "")[:-1] if "." in text else (text, "")
    two_digits = all(is_number(part) and len(part) == 2 for part in (year, month))
    if two_digits and 1 <= int(month) <= 12 and len(patch) <= 1 and all(map(is_number, patch)):
        return int(year), int(month)
    raise GrammarError(
        text, "a Slurm version such as 22.05 or 24.11.3", "write what `sbatch --version` prints"
    )
