"""The pages of lint's rules and of doctor's causes, made from their tables when the site is built.

A hook of mkdocs (see mkdocs.yml): nothing of it is kept in docs/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from slurmkit.check.doctor.cause import Cause, causes
from slurmkit.check.lint.explain import FIXABLE, visible
from slurmkit.check.lint.rule import Rule, rules

_SECTIONS = {
    "SK1": "How Slurm reads the script",
    "SK2": "The shape of the job",
    "SK3": "Rendezvous and addresses",
    "SK4": "Shell, steps, signals",
    "SK5": "The environment",
    "SK6": "Programs and frameworks",
}
_HEAD = """# The rules of lint

What `slurmkit lint` looks for; [how to use it](lint.md). An **error** means that the job cannot
work, or does something else than the script says; a **warning**, that it works by luck, on some
sites, or hides failures; an **info** is told only with `--info`. `slurmkit lint --explain CODE`
says the same as these pages.
"""
_CAUSES = """# Why jobs die

The causes that `slurmkit doctor` names, with what each means and what to do. Each has its lines in
the logs; the first cause in time and in logic is the verdict, not the loudest line.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to the site."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def pages() -> dict[str, str]:
    """Return the pages by their path below docs/."""
    found = {f"rules/{rule.code}.md": rule_page(rule) for rule in rules().values()}
    return {"rules.md": index(), **found, "causes.md": causes_page()}


def index() -> str:
    """Write the list of all rules."""
    parts = [_HEAD]
    for prefix, title in _SECTIONS.items():
        rows = [rule for rule in rules().values() if rule.code.startswith(prefix)]
        if rows:
            parts.append(f"## {title}\n")
            parts.append("| code | | what | `--fix` |\n|---|---|---|---|")
            parts += [_row(rule) for rule in rows]
            parts.append("")
    return "\n".join(parts)


def _row(rule: Rule) -> str:
    link = f"[{rule.code}](rules/{rule.code}.md)"
    title = _text(rule.title).replace("|", "\\|")
    return f"| {link} | {rule.severity} | {title} | {'yes' * (rule.fixable == 'yes')} |"


def rule_page(rule: Rule) -> str:
    """Write the page of a rule."""
    parts = [
        f"# {rule.code}: {_text(rule.title)}",
        f"**{rule.severity}** · {FIXABLE[rule.fixable]}",
        _text(rule.why),
        "## What to do",
        _text(rule.fix),
        "## Example",
        _script("Wrong", rule.bad),
        _script("Right", rule.good),
    ]
    if rule.exceptions:
        parts += ["## Not reported", _text(rule.exceptions)]
    parts += _sources(rule.sources)
    parts.append(f"To silence it on a line: `# slurmkit: ignore={rule.code}`.")
    return "\n\n".join(part for part in parts if part) + "\n"


def causes_page() -> str:
    """Write the page of all causes."""
    return "\n\n".join([_CAUSES, *(part for cause in causes() for part in _cause(cause))]) + "\n"


def _cause(cause: Cause) -> Iterator[str]:
    if not cause.meaning:
        return  # a kind of line that is no cause
    yield f"## {cause.code}: {_text(cause.title)}"
    yield _sentence(cause.meaning)
    if cause.fix:
        yield f"What to do: {_text(cause.fix)}"
    if cause.sources:
        yield f"Source: {', '.join(map(_link, cause.sources))}"


def _sentence(words: str) -> str:
    return _text(words[:1].upper() + words[1:])


def _script(title: str, code: str) -> str:
    return f"{title}:\n\n```bash\n{visible(code).rstrip()}\n```" if code else ""


def _sources(sources: Iterable[str]) -> list[str]:
    rows = [f"- {_link(source)}" for source in sources]
    return ["## Sources", "\n".join(rows)] if rows else []


def _link(source: str) -> str:
    address, _, more = source.partition(" ")
    return f"<{address}> {_text(more)}".rstrip() if address.startswith("http") else _text(source)


def _text(words: str) -> str:
    """Return text that Markdown leaves as it is, but for the code in it."""
    parts = words.split("`")
    for at in range(0, len(parts), 2):
        for char in "\\*_<[#":
            parts[at] = parts[at].replace(char, f"\\{char}")
    return "`".join(parts)
