"""What the shell offers on the Tab key for a verb's arguments. Imports nothing of weight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

_PATTERNS = ("*.yaml", "*.yml", "*/*.yaml", "*/*.yml")


def complete_job(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer YAML files, and those one directory further down; where there are none, every file."""
    from click.shell_completion import CompletionItem

    folder, slash, name = begun.rpartition("/")
    try:
        place = Path(folder + slash).expanduser()
    except RuntimeError:  # ~nobody
        return []
    found = [path.relative_to(place) for pattern in _PATTERNS for path in place.glob(pattern)]
    offered = [
        CompletionItem(f"{folder}{slash}{path}")
        for path in sorted(found)
        if str(path).startswith(name) and (name or path.parts[0][0] != ".")
    ]
    if not offered or any(" " in item.value for item in offered):  # the shell knows how to quote
        return [CompletionItem(begun, type="file")]
    return offered


def complete_profile(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    """Offer the profiles of this directory and of the user."""
    from slurmkit.spec.profile import NONE, folders

    names = {path.stem for folder in folders() for path in folder.glob("*.yaml")}
    return [name for name in sorted({*names, NONE}) if name.startswith(begun)]


def complete_start(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Offer the templates of the gallery; after --profile its profiles."""
    from click.shell_completion import CompletionItem

    from slurmkit.init.gallery import STARTS, profiles

    about = {name: start.about for name, start in STARTS.items()}
    if context.params.get("profile"):
        about = profiles()
    return [CompletionItem(k, help=text) for k, text in about.items() if k.startswith(begun)]
