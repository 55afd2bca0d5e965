"""Rules on settings that come to nothing: not exported, no value that is known, half a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.check.lint.facts import unknown_value
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.names import names
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.settings import Setting
from slurmkit.check.script.source import Span

if TYPE_CHECKING:
    from tree_sitter import Node

_OWN = ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_DIR", "CUDA_VERSION", "RANK", "LOCAL_RANK")
"""Names that scripts use for themselves, or that are exported already where they matter."""
_DECLARING = ("export", "declare", "local", "readonly")
_MARK = re.compile(r"[\w.+-]*[^\w=+\[][^=]*|--?\w[\w-]*(?:=.*)?")
_AGENTS = ("torchrun", "torch.distributed.launch", "accelerate", "deepspeed")
_MEETING = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE")


@rule("SK606")
def not_exported(job: Job) -> Iterator[Found]:
    """A variable for a library, which only the shell sees."""
    text = job.script.source.data
    last = {setting.name: setting for setting in job.settings}
    exported = {setting.name for setting in job.settings if setting.is_exported}
    if all(launch.kind in _AGENTS for launch in job.launches):  # which set them in each process
        exported |= set(_MEETING)
    for name, setting in last.items():
        row = names().get(name)
        if row is None or row.reader in ("login", "site") or name.startswith(_OWN):
            continue
        if name in exported or name in job.names_read:
            continue
        if setting.statement is None or not job.launches or setting.shell.where == "unknown":
            continue
        if re.search(rb"(?:--export|--env|-x|declare -x|typeset -x)\S*[ =,]" + name.encode(), text):
            continue
        yield job.found(
            "SK606", setting.span, f"{name} is not exported, so {row.reader} does not see it",
            f"Write `export {name}=…`.", edits=_export(job, setting),
        )  # fmt: skip


def _export(job: Job, setting: Setting) -> list[Edit]:
    """Return the edit that exports an assignment which stands alone on its line."""
    node, start = setting.statement, setting.span.start
    is_plain = node is not None and node.parent is not None and node.parent.type == "program"
    if not is_plain or setting.shell is not job.script.batch:
        return []
    return [Edit(Span(start, start), "export ")]


@rule("SK610")
def value(job: Job) -> Iterator[Found]:
    """A value that the variable's reader does not know."""
    for setting in job.settings:
        known = unknown_value(setting.name, setting.text or "")
        if known and setting.is_exported:
            yield job.found(
                "SK610", setting.span,
                f"{names()[setting.name].reader} knows no {setting.name}={setting.text}",
                f"Write one of {', '.join(known)}.",
                severity="error" if setting.name == "TORCH_DISTRIBUTED_DEBUG" else "warning",
            )  # fmt: skip


@rule("SK609")
def half_exported(job: Job) -> Iterator[Found]:
    """`export NAME=value more`: only the first word is the value."""
    for shell, root in job.script.trees:
        nodes = [root]
        while nodes:
            node = nodes.pop()
            if node.type != "declaration_command":
                nodes += [child for child in node.children if child.child_count]
            elif (said := _left_over(node)) is not None:
                name, word = said
                span = shell.text.span(node.start_byte, node.end_byte)
                yield job.found("SK609", span, f"{name} ends in front of `{word}`")


def _left_over(node: Node) -> tuple[str, str] | None:
    """Return the name that is set first, and the first word behind it that cannot be a name."""
    kind = node.children[0].type if node.children else ""
    words = [child for child in node.children[1:] if child.is_named]
    if kind not in _DECLARING or not words or words[0].type != "variable_assignment":
        return None
    written = node.text or b""
    for word in words[1:]:
        start = word.start_byte - node.start_byte
        begin = max(written.rfind(blank, 0, start) for blank in (b" ", b"\t", b"\n")) + 1
        said = written[begin : word.end_byte - node.start_byte].decode(errors="replace")
        if word.type in ("word", "number", "variable_assignment") and _MARK.fullmatch(said):
            return (words[0].text or b"").decode(errors="replace").partition("=")[0], said
    return None
