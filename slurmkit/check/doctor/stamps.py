"""Times that stand in log lines, wherever in them, as seconds that can be compared."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_KINDS = tuple(
    re.compile(text)
    for text in (
        # 2026-11-21 08:15:30,123, 2026/11/21T08:15:30Z, torchrun's 2026-11-21_08:15:30
        r"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T _]+" + _CLOCK,
        # I1121 08:15:30.123456 (glog), I626 (torch leaves out a zero), also with the year
        r"\b[EWIFDV](?P<year>\d{4})?(?P<month>\d{1,2})(?P<day>\d\d) +" + _CLOCK,
        r"\b(?P<month>\d\d)/(?P<day>\d\d)/(?P<year>\d{4}|\d\d) " + _CLOCK,
        r"\b(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +(?P<day>\d{1,2}) "
        + _CLOCK
        + r"(?: [A-Z]{2,4})?(?: (?P<year>20\d\d))?\b",
        r"\b(?P<month>\d\d)-(?P<day>\d\d) " + _CLOCK,
    )
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ASTRAY = timedelta(days=2)  # as far as clocks and time zones may be apart
_ANY = re.compile(r"\d\d:\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A moment that a log names."""

    seconds: float
    """Of the clock that the log was written by; only differences mean something."""
    text: str
    """For people: `2026-11-21 08:15:30`."""
    is_whole: bool = False
    """Whether it has no fraction: any moment of that second, then."""


def find_stamp(line: str, latest: datetime | None = None) -> Stamp | None:
    """Return the first time that a line names; None where it names none.

    Args:
        line: the line.
        latest: when its file was written last; of times that do not say their year, none is later.
            Now otherwise.
    """
    if _ANY.search(line) is None:
        return None
    found = [match for kind in _KINDS if (match := kind.search(line)) is not None]
    for match in sorted(found, key=lambda match: (match.start(), -match.end())):
        try:
            return _stamp(match.groupdict(), latest or datetime.now())
        except (ValueError, OverflowError):  # 2026-02-31
            continue
    return None


def _stamp(part: dict[str, str | None], latest: datetime) -> Stamp:
    name = part.get("name")
    month = _MONTHS.index(name) + 1 if name else int(part["month"] or 0)
    day = int(part["day"] or 0)
    told = int(part.get("year") or latest.year)
    told += 2000 if told < 100 else 0
    hour, minute, second = (int(text) for text in (part["clock"] or "").split(":"))
    moment = datetime(told, month, day, hour, minute, second)
    if not part.get("year") and moment - latest > _ASTRAY:
        told -= 1
        moment = moment.replace(year=told)
    seconds = calendar.timegm(moment.timetuple())
    fraction = float(f"0.{part['fraction']}") if part.get("fraction") else 0.0
    text = f"{told}-{month:02}-{day:02} {part['clock']}"
    return Stamp(seconds + fraction, text, is_whole=not part.get("fraction"))
