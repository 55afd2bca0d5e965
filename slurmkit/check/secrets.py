"""Finds secrets in a script's text, wherever they stand: a comment or a heredoc tells them too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from slurmkit.check.script.source import Span
from slurmkit.spec.secret import secret_name

_TOKENS = re.compile(
    rb"(?<![\w-])(?:"
    rb"(?P<huggingface>hf_[A-Za-z0-9]{30,})|(?P<github>gh[opsur]_\w{30,}|github_pat_\w{22,})"
    rb"|(?P<gitlab>glpat-[\w-]{20,})|(?P<openai>sk-[\w-]{20,})|(?P<slack>xox[abprs]-[\w-]{10,})"
    rb"|(?P<aws>AKIA[A-Z0-9]{16})|(?P<google>AIza[\w-]{35}))(?![\w-])"
)
_NAMED = re.compile(
    rb"""(?<![\w$])([A-Za-z_]\w*)=(?=(["']?)((?:(?!,[A-Za-z_]\w*=)[^\s"'`;|&<>()$\\])+))""",
)
_DEFAULT = re.compile(rb"""\$\{([A-Za-z_]\w*):?[-=](["']?)([^\s"'`;|&<>()${}\\]+)""")
_OPTION = re.compile(
    rb"""--?([A-Za-z][\w-]*)[ \t=]+(["']?)([A-Za-z0-9_+/=.-]{16,})""",
)
_LOGIN = re.compile(
    rb"\bwandb[ \t]+login\b[^\n#;|&]*?(?<![\w/.-])((?:local-)?[0-9a-f]{40}|wandb_v1_\w{20,})"
)
_ADDRESS = re.compile(rb"\bhttps?://[^\s/:@$]*:([^\s/:@$]{8,})@")
_STANDS_FOR_ONE = (
    r"your|my[_-]|x{4}|\.{3}|\*{3}|change|replace|insert|enter|here|example|dummy|none|null|empty|"
    r"fake|placeholder|fill|put_|add_|todo|abc-?123|^123456|anonymous|redacted|secret|false|true"
)
_WORDS = re.compile(_STANDS_FOR_ONE, re.IGNORECASE)
_PLACEHOLDER = re.compile(rf"{_STANDS_FOR_ONE}|key$|token$|^[A-Z_]+$", re.IGNORECASE)
_SERVICES = {
    "huggingface": "a Hugging Face token", "github": "a GitHub token", "gitlab": "a GitLab token",
    "openai": "an API key", "slack": "a Slack token", "aws": "an AWS access key",
    "google": "a Google API key",
}  # fmt: skip
_HEX = re.compile(r"[0-9a-f]{40}")
_LEAST = 8  # characters of a password or key


@dataclass(frozen=True, slots=True)
class Secret:
    """A place where a secret is written out."""

    span: Span
    """The secret itself: never to be shown."""
    what: str
    """What it is."""


def secrets(data: bytes) -> Iterator[Secret]:
    """Return the secrets in a text, each once."""
    seen: set[int] = set()
    for secret in _all(data):
        if secret.span.start not in seen:
            seen.add(secret.span.start)
            yield secret


def _all(data: bytes) -> Iterator[Secret]:
    for match in (*_NAMED.finditer(data), *_DEFAULT.finditer(data)):
        name, value = match[1].decode(), match[3].decode(errors="replace")
        if secret_name(name) and _is_meant(value, is_key=_is_key(name)):
            yield Secret(Span(*match.span(3)), f"the value of {name}")
    for match in _TOKENS.finditer(data):
        kind = match.lastgroup or ""
        text = match[0].decode().partition("_" if b"_" in match[0] else "-")[2] or "-"
        if _is_random(text) or (kind == "huggingface" and _is_lettered(text)):
            yield Secret(Span(*match.span()), _SERVICES[kind])
    for match in _LOGIN.finditer(data):
        yield Secret(Span(*match.span(1)), "a wandb key")
    for match in _ADDRESS.finditer(data):
        if _is_meant(match[1].decode(errors="replace"), is_key=False):
            yield Secret(Span(*match.span(1)), "a password in an address")
    for match in _OPTION.finditer(data):
        name, value = match[1].decode().replace("-", "_"), match[3].decode()
        if secret_name(name) and _is_meant(value, is_key=True):
            yield Secret(Span(*match.span(3)), f"the value of --{match[1].decode()}")


def _is_key(name: str) -> bool:
    """Tell whether it names something that a machine has drawn, unlike a password."""
    return not re.search(r"pass(word|wd|phrase)?(_|$)", name, re.IGNORECASE)


def _is_meant(value: str, *, is_key: bool) -> bool:
    """Tell whether a value is a secret, and no word that stands for one."""
    if _HEX.fullmatch(value):
        return len(set(value)) > 2
    if len(value) < _LEAST or _PLACEHOLDER.search(value) or value.startswith(("/", "~", "./")):
        return False
    return _is_random(value) if is_key else True


def _is_random(text: str) -> bool:
    """Tell whether a text looks drawn: long, letters and digits, few of them twice."""
    letters = sum(char.isalpha() for char in text)
    digits = sum(char.isdigit() for char in text)
    return len(text) >= 16 and letters > 0 and digits > 0 and len(set(text)) >= 8


def _is_lettered(text: str) -> bool:
    """Tell whether a text looks drawn from letters alone, as Hugging Face's tokens are."""
    is_mixed = not text.isupper() and not text.islower()
    return is_mixed and len(set(text)) >= 12 and _WORDS.search(text) is None


def excerpt(text: str, most: int) -> str:
    """Return the beginning of a text's first line, with stars for the secrets in it."""
    return without_secrets(text.partition("\n")[0])[:most]


def without_secrets(line: str) -> str:
    """Return a line with stars for the secrets in it, as long as before."""
    data = line.encode("latin-1", errors="replace")
    hidden = list(line)
    for secret in secrets(data):
        for at in range(*secret.span):
            hidden[at] = "*"
    return "".join(hidden)
