"""Times at the beginning of log lines, of the kinds that training programs write.

2026-11-21 08:15:30,123 · [2026-11-21T08:15:30.5Z] · INFO 2026/11/21 08:15:30 · 11/21/2026 08:15:30
I1121 08:15:30.123456 (glog, torch) · [rank0]:[W1121 08:15:30.1 · Nov 21 08:15:30 (syslog) · date
1795248930.25 (seconds since 1970) · {"loss": 2.5, "time": 1795248930} (JSON, also with ISO times)
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Sequence
from itertools import accumulate

BEFORE_ALL = ""
"""The time of lines above the first one that carries one."""
AFTER_ALL = "~"

_DAY = 86400.0
_NAMES = b"Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_MONTHS = _NAMES.split(b"|")
_CLOCK = rb"\d\d:\d\d:\d\d"
_FRACTION = rb"(?:[.,]\d{1,9})?"
_ZONE = rb"(?:Z|[+-]\d\d:?\d\d)?"
_JSON_KEY = rb'"(?:@?timestamp|time|ts|asctime|datetime|created)" ?: ?"?'
_LEVEL = rb"DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|TRACE"
_LEAD = (
    # [rank0]:, then a level or one thing in brackets: [INFO|trainer.py:32], [NeMo W, <34>
    rb"(?:\[rank\d+\]:? ?){0,2}"
    rb"(?:(?:\[[A-Za-z][^\]\n\d]{0,30}(?::\d+)?\]|" + _LEVEL + rb"|<\d+>)[:|\t ]*)?"
    rb" ?[\[(]?(?:NeMo [A-Z] )?"
    rb"|\{[^\n]{0,2000}?" + _JSON_KEY
)
_STAMP = b"|".join(
    (
        rb"\d{4}[-/]\d\d[-/]\d\d[T ]" + _CLOCK + _FRACTION + _ZONE,
        rb"[A-Z](?:\d{4})?\d{4} " + _CLOCK + rb"\.\d{1,9}",
        rb"\d\d/\d\d/\d{4} " + _CLOCK + _FRACTION,
        rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?(?:"
        + _NAMES
        + rb") [ \d]\d "
        + _CLOCK
        # date prints a zone before the year, or AM and PM; then the year is guessed
        + rb"(?: [A-Z]{3,4})?(?: \d{4}\b)?",
        rb"1\d{9}\.\d{1,9}(?!\d)",
        rb'(?<=[: "])1\d{9}(?:\d{3})?(?![\d.])',
    )
)
_STAMPED = re.compile(rb"(?:" + _LEAD + rb")(" + _STAMP + rb")")
_ISO = re.compile(rb"(\d{4})[-/](\d\d)[-/](\d\d).(\d\d):(\d\d)(:\d\d)(?:[.,](\d+))?(.*)")
_GLOG = re.compile(rb"[A-Z](\d{4})?(\d\d)(\d\d) (\d\d):(\d\d)(:\d\d)\.(\d+)")
_US = re.compile(rb"(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d)(:\d\d)(?:[.,](\d+))?")
_NAMED = re.compile(rb"(?:\w{3} )?(\w{3}) ([ \d]\d) (\d\d):(\d\d)(:\d\d)(?: [A-Z]+)?(?: (\d{4}))?")
_PLAIN = re.compile(rb"[^\d\n]{0,40}0000[-/]00[-/]00[ T]00:00:00(?:[.,]0+)?")
_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_COMMON = bytes.maketrans(b"/T.", b"- ,")
_LONGEST_LEAD = 70


class Clock:
    """Reads stamps as texts that sort: `2026-11-21 08:15:30,123`, this machine's local time.

    Stamps without a zone are local time already.
    """

    def __init__(self, latest: float) -> None:
        """Take the time after which nothing of the log can have been written, give or take a day.

        It supplies missing years, and tells a time that a line talks of from one that it carries.
        """
        self._known: dict[object, str] = {}
        self._head: tuple[bytes, int, int] | None = None
        self.advance(latest)

    def advance(self, latest: float) -> None:
        """Go on to a later time: logs may be followed for days."""
        self._latest = _text(latest + _DAY)

    def times(self, lines: Sequence[bytes], last: str, start: int = 0) -> list[str]:
        """Return the time of each line of a file.

        A line without a time, as of a traceback, has that of the line above it; so has one with an
        earlier time, for a file's lines stay in their order.

        Args:
            lines: the lines, without their newlines.
            last: the time of the line above the first one.
            start: where in each line to begin.
        """
        times = self._alike(lines, start)
        if not times or (times[0] >= last and times == sorted(times)):
            return times
        return list(accumulate(times, max, initial=last))[1:]

    def _alike(self, lines: Sequence[bytes], at: int) -> list[str]:
        """Read lines most of which begin alike, with an ISO time: all at once."""
        if not lines:
            return []
        head = self._find_head(lines[0][at : at + _LONGEST_LEAD]) or self._head
        if head is None:
            return [self._time(line, at) for line in lines]
        self._head = head
        zeros, start, width = head
        end = len(zeros)
        upto = at + end
        heads = b"".join([line[at:upto] for line in lines])
        shape = heads.translate(_ZEROS)
        all_alike = shape == zeros * len(lines)
        if not all_alike:
            heads = b"".join([line[at:upto].ljust(end) for line in lines])
            shape = heads.translate(_ZEROS)
        text = heads.translate(_COMMON).decode("latin-1")
        latest = self._latest
        times = [text[place : place + width] for place in range(start, len(text), end)]
        if all_alike and max(times) <= latest:
            return times
        return [
            time
            if shape[n * end : (n + 1) * end] == zeros and time <= latest
            else self._time(line, at)
            for n, (time, line) in enumerate(zip(times, lines, strict=True))
        ]

    @staticmethod
    def _find_head(line: bytes) -> tuple[bytes, int, int] | None:
        """Return how a line with an ISO time begins, digits being 0, and where the time stands."""
        zeros = line.translate(_ZEROS)
        found = _PLAIN.match(zeros)
        stamped = _STAMPED.match(line)
        if not found or not stamped or stamped.end(1) != found.end() or len(line) == found.end():
            return None
        start, end = stamped.span(1)
        return zeros[: end + 1], start, end - start  # what follows must not be of the time, as Z is

    def _time(self, line: bytes, start: int) -> str:
        """Return the time that a line carries; the one before all when there is none."""
        match = _STAMPED.match(line, start)
        if match is None:
            return BEFORE_ALL
        try:
            time = self._parse(match[1])
        except (ValueError, OverflowError):  # 2026-02-31
            return BEFORE_ALL
        return time if time <= self._latest else BEFORE_ALL

    def _parse(self, stamp: bytes) -> str:
        if match := _ISO.match(stamp):
            *fields, seconds, fraction, zone = match.groups()
            return self._minute(*fields, zone) + _rest(seconds, fraction)
        if match := _GLOG.match(stamp):
            *fields, seconds, fraction = match.groups()
            return self._minute(*fields, b"") + _rest(seconds, fraction)
        if match := _US.match(stamp):
            month, day, year, hour, minute, seconds, fraction = match.groups()
            return self._minute(year, month, day, hour, minute, b"") + _rest(seconds, fraction)
        if match := _NAMED.match(stamp):
            name, day, hour, minute, seconds, year = match.groups()
            month = b"%02d" % (_MONTHS.index(name) + 1)
            return self._minute(year, month, day, hour, minute, b"") + _rest(seconds, None)
        whole, _, fraction = stamp.partition(b".")
        if len(whole) == 13:  # milliseconds
            whole, fraction = whole[:10], whole[10:]
        minute, second = divmod(int(whole), 60)
        if minute not in self._known:
            self._known[minute] = _text(minute * 60)[:16]
        return self._known[minute] + _rest(b":%02d" % second, fraction)

    def _minute(self, *fields: bytes | None) -> str:
        """Return year, month, day, hour, minute and zone as a local time."""
        if fields not in self._known:
            self._known[fields] = self._local(*fields)
        return self._known[fields]

    def _local(self, year: bytes | None, *rest: bytes | None) -> str:
        *digits, zone = rest
        month, day, hour, minute = (int(text or b"") for text in digits)
        if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60):
            raise ValueError("no such time")
        if zone:
            seconds = calendar.timegm((int(year or 1970), month, day, hour, minute, 0))
            return _text(seconds - _offset(zone))[:16]
        if year is None:  # the last one in which it is past
            year = self._latest[:4].encode()
            if f"{month:02}-{day:02}" > self._latest[5:10]:
                year = b"%d" % (int(year) - 1)
        return f"{year.decode()}-{month:02}-{day:02} {hour:02}:{minute:02}"


def _text(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _rest(seconds: bytes, fraction: bytes | None) -> str:
    return (seconds + b"," + fraction if fraction else seconds).decode()


def _offset(zone: bytes) -> float:
    digits = zone[1:].replace(b":", b"")
    if not digits:  # Z
        return 0
    return (int(digits[:2]) * 3600 + int(digits[2:]) * 60) * (-1 if zone[:1] == b"-" else 1)
