"""Texts and numbers that have broken a shell, a parser or a template somewhere."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from tests.spec.strategies import NASTY

HOSTILE_TEXTS = [
    *NASTY, *map(chr, range(32)), *map(chr, range(0x7F, 0xA0)),
    "; touch RAN", "& touch RAN", "| touch RAN", "> RAN", "< /etc/passwd", "$((1/0))", "${x?}",
    "${HOME}", "${!x@}", "$'\\n'", "$\"x\"", "'; touch RAN; '", '"; touch RAN; "', "`touch RAN`",
    "{a,b}", "!!", "[[ -n", "(", ")", "()", "}", "\n}\ntouch RAN\n", "\\\n", "x\\", "#", "&&", ";;",
    "EOF", "JOB_YAML", "JOB_YAML_", "CONFIG_YAML", "\nJOB_YAML\ntouch RAN\n",
    "\nCONFIG_YAML\ntouch RAN\n", "SLURMKIT_VALUE_0SLURMKIT_VALUE_", "$config_value_0",
    "${env:HOME}", "${env:}", "${env:1}", "${env:A", "${env:A:-}", "${env:A:-${env:B}}",
    "$${env:A}", "$$${env:A}", "${env:A-b}", "${env:a b}", "${env:A:-`id`\"'\\$x}", "${env:A:-\n}",
    "${env", "${", "${env:A:-'}", "${env:A:-it's \"q\" 'x'}", "${env:A:-\\}",
    "${env:A:-$(touch RAN)}${env:B:-}",
    "then", "done", "case", "=", "==x",
    "$$", "{{ x }}", "{% if %}", "{% endblock %}", "{# x #}", "<# x #>", "{{ ''.__class__ }}", "%}",
    "a: b: c", "&a b", "*a", "!!python/object:os.system x", "- - -", "? x", "%YAML 1.1", "--- x",
    "key: [", "#SBATCH --nodes=9", "\n#SBATCH --nodes=9\n", "--nodes=9", "%x", "%%", "%j/../x",
    "../..", "/", "~", "~root/x", "a/../../b", "\\'", '\\"', "\ud800", "\udfff", "\0", "a\0b",
    "\u202e", "\u200b", "\u200d", "\ufe0f", "e\u0301" * 20, "ﷺ", "\U0010ffff", "İ", "ß", "\u017f",
    "Å", "a" * 70_000, "é" * 3_000, "'" * 300, "\\" * 301, "\n" * 300, "$(" * 200, "9" * 400, "-0",
    "NaN", "4294967296", "-1", "1e999", "0x", "18446744073709551616", "1-00:00:00:00",
    "UNLIMITED",
]  # fmt: skip

HOSTILE_TEXT = st.one_of(st.sampled_from(HOSTILE_TEXTS), st.text(max_size=40))
HOSTILE_NUMBER = st.sampled_from(
    [-1, 0, 1, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308,
     math.inf, -math.inf, math.nan, True, False, None]
)  # fmt: skip
"""Numbers at the limits, and what is none."""


def encodable(text: str) -> bool:
    """Tell whether text can stand in a file at all: half of a surrogate pair cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
