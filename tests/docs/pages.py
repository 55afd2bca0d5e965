"""README and the pages of docs/ as data: their blocks, commands, files and links.

How a page is written, so that a test can run it:

- Each line of a `console` block that starts with `$ ` is a command. Lines below it are what it
  prints; a line `...` stands for any number of lines. Figures and paths may differ.
- A block whose first line is a comment with nothing but a file's name is that file; of a script
  the line below its `#!`. It is written when the page comes to it, so a later block can change it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.M | re.S)
_FILE = re.compile(r"(?:#!.*\n)?(?:#|<#|\{#)\s*([\w./-]+\.\w+)(?:\s*(?:#>|#\}))?\n")
_ON_SLURM = re.compile(
    r"\b(sbatch|salloc|squeue|sacct|scancel|sinfo)\b|\bslurmkit-\S*\.out\b"
    r"|\bslurmkit (submit|status|logs|exec|cancel)\b|\bpython submit\.py\b"
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str

    @property
    def file(self) -> str | None:
        """The name of the file that this block is."""
        match = None if self.kind == "console" else _FILE.match(self.text)
        return match and match[1]


@dataclass(frozen=True)
class Command:
    """A command of a page, and what the page says it prints."""

    line: str
    output: tuple[str, ...]

    @property
    def on_slurm(self) -> bool:
        """Whether it talks to Slurm; the name of an output file does not."""
        return bool(_ON_SLURM.search(re.sub(r" -o \S+|\S+\.sbatch", "", self.line)))

    @property
    def elsewhere(self) -> bool:
        """Whether a test of its own runs it: make, and the installation."""
        return self.line.startswith("make ") or "slurmkit-venv" in self.line


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the checkout."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """Its Markdown."""
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in order."""
        return [
            Block(kind, re.sub(f"^{indent}", "", text, flags=re.M))
            for indent, kind, _, text in _FENCE.findall(self.text)
        ]

    @property
    def prose(self) -> str:
        """Its text without the fenced blocks."""
        return _FENCE.sub("", self.text)

    def block(self, kind: str, first_line: str) -> str:
        """Give the text of the one block that begins so."""
        (found,) = [b.text for b in self.blocks if b.kind == kind and b.text.startswith(first_line)]
        return found

    def section(self, heading: str) -> str:
        """Give the text under a heading of the second level, up to the next one."""
        (found,) = re.findall(
            rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", self.text, re.M | re.S
        )
        return str(found)


README = Page(PAGES[0])


def commands(block: Block) -> list[Command]:
    """Read the commands of a console block."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return [Command(line, tuple(output)) for line, output in found]


def all_commands() -> dict[str, Command]:
    """Give every command of every page, by its line."""
    blocks = [block for path in PAGES for block in Page(path).blocks if block.kind == "console"]
    return {command.line: command for block in blocks for command in commands(block)}
