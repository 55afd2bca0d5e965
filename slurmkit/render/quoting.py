"""Text into bash, `#SBATCH` lines and here-documents, such that it arrives byte for byte."""

from __future__ import annotations

import re

from slurmkit.spec.fields import references

_PLAIN = re.compile(r"[A-Za-z0-9_@%+:,./-][A-Za-z0-9_@%+=:,./-]*\Z")
_KEYWORDS = {"case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if"}
_KEYWORDS |= {"in", "select", "then", "time", "until", "while"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN_OPTION = re.compile(r"[A-Za-z0-9_@%+=:,./()\[\]&|*-]*\Z")
_ANSI_C = {"\n": r"\n", "\t": r"\t", "\r": r"\r", "\\": r"\\", "'": r"\'"}


def word(text: str) -> str:
    r"""Quote text as one word of bash.

    >>> print(word("two words"), word("it's $HOME"), word("a\nb"))
    'two words' "it's \$HOME" $'a\nb'

    Control characters are written as `$'\r'`: sbatch refuses a script with DOS line breaks, and
    a line break inside a word would spread it over lines of the script.
    """
    if _PLAIN.match(text) and text not in _KEYWORDS:
        return text
    if text.startswith("~"):  # quoted, shellcheck takes it for somebody's home
        return rf"\~{word(text[1:]) if text[1:] else ''}"
    if _CONTROL.search(text):
        return "$'" + re.sub(r"[\x00-\x1f\x7f\\']", _ansi_c, text) + "'"
    if re.search(r"['$`\\]", text):
        return f'"{_in_double_quotes(text)}"'
    return f"'{text}'"


def node_word(text: str, field: str) -> str:
    """Quote text as one word whose `${env:NAME}` bash reads where the word stands.

    Args:
        text: the text as the job file has it.
        field: the field it stands in, named by the message when a variable is not set.
    """
    if "${" not in text:
        return word(text)
    return "".join(
        word(literal) if name is None else reference(name, default, field)
        for literal, name, default in references(text)
    )


def path_word(text: str, field: str) -> str:
    """Quote a path: like `node_word`, with a leading `~/` as the home directory on the node."""
    if text == "~":
        return '"$HOME"'
    if text.startswith("~/"):
        rest = text[2:]
        return '"$HOME"/' + (node_word(rest, field) if rest else "")
    return node_word(text, field)


def reference(name: str, default: str | None, field: str) -> str:
    """Write `"${NAME?…}"`, which ends the shell with a clear message when NAME is not set."""
    if default is not None:
        # Within "${…}" bash looks for the partner of a single quote: it goes in quotes of its own.
        text = _in_double_quotes(default).replace("'", '"\'"')
        return f'"${{{name}:-{text}}}"'
    message = re.sub(r"[\x00-\x1f\x7f{}']", "_", f"is not set on this node, and {field} reads it")
    return f'"${{{name}?{_in_double_quotes(message)}}}"'


def option_value(text: str) -> str:
    """Quote a value for an `#SBATCH` line.

    sbatch splits these lines itself: quotes group, a backslash escapes even within quotes, an
    unquoted `#` starts a comment (`_get_argument` in Slurm's src/sbatch/opt.c). It expands nothing,
    and a backslash before `$`, `~` or a backtick tells people so.
    """
    if _PLAIN_OPTION.match(text):
        return text
    return '"' + re.sub(r'[\\"$`~]', r"\\\g<0>", text) + '"'


def terminator(word: str, text: str) -> str:
    """Return `word`, lengthened until no line of `text` is that word and ends it early."""
    lines = {line.strip() for line in text.split("\n")}
    while word in lines:
        word += "_"
    return word


def heredoc_text(text: str) -> str:
    """Escape text for a here-document in which bash expands `$`."""
    return re.sub(r"([\\$`])", r"\\\1", text)


def slug(name: str) -> str:
    """Make a directory's name from a job's name: letters, digits, `.`, `_` and `-`."""
    text = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    return text.encode()[:120].decode(errors="ignore") or "job"


def _in_double_quotes(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)


def _ansi_c(match: re.Match[str]) -> str:
    return _ANSI_C.get(match[0]) or f"\\x{ord(match[0]):02x}"
