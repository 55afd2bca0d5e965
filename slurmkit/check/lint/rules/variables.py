"""Rules on the environment variables that torch, NCCL and CUDA read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.facts import INTERFACES, debugging, is_unread_timeout, transport_off
from slurmkit.check.lint.job import Job
from slurmkit.check.lint.names import meant, names
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.settings import Setting, has_reason, is_conditional

_DEVICES = re.compile(r"\s*\d+(?:\s*,\s*\d+)*\s*,?\s*")


@rule("SK502")
def interface(job: Job) -> Iterator[Found]:
    """The interface is named."""
    for setting in job.settings:
        if setting.name not in INTERFACES:
            continue
        text = setting.text
        if text == "lo" and job.nodes == 1:
            continue
        if setting.is_exported and text and not text.startswith("^"):
            yield job.found("SK502", setting.span, f"{setting.name} is {text.lstrip('=')} here")


@rule("SK503")
def timeout(job: Job) -> Iterator[Found]:
    """A time-out that nobody reads."""
    for setting in job.settings:
        name = setting.name
        if is_unread_timeout(name) and name not in job.names_read:
            what = f"neither NCCL nor torch reads {name}: the time-out stays as it was"
            yield job.found("SK503", setting.span, what)


@rule("SK504")
def old_name(job: Job) -> Iterator[Found]:
    """A name that torch has given up."""
    given = {setting.name for setting in job.settings}
    for setting in job.settings:
        row = names().get(setting.name)
        if row is None or not row.instead or setting.name in job.names_read:
            continue
        span = setting.name_span
        is_there = job.script.source.data[span.start : span.end].decode() == row.name
        is_safe = is_there and row.instead not in given and row.name not in job.script.exports
        yield job.found(
            "SK504", setting.span, f"torch now calls {row.name} {row.instead}",
            f"Write {row.instead}." if row.instead not in given else f"Drop {row.name}.",
            edits=[Edit(span, row.instead)] if is_safe else (),
        )  # fmt: skip


@rule("SK505")
def debugging_left_on(job: Job) -> Iterator[Found]:
    """Debugging left on."""
    for setting in job.settings:
        what = debugging(setting.name, setting.text or "")
        if what and setting.is_exported and not _is_meant(job, setting):
            yield job.found("SK505", setting.span, f"{setting.name}={setting.text} {what}")


@rule("SK506")
def no_transport(job: Job) -> Iterator[Found]:
    """A transport of NCCL's switched off."""
    for setting in job.settings:
        what = transport_off(setting.name, setting.text or "")
        is_alone = job.nodes if setting.name == "NCCL_IB_DISABLE" else job.gpus_per_node
        if what and setting.is_exported and is_alone != 1 and not _is_meant(job, setting):
            yield job.found("SK506", setting.span, f"{setting.name}={setting.text}: {what}")


def _is_meant(job: Job, setting: Setting) -> bool:
    return is_conditional(setting) or has_reason(job.script, setting.span)


@rule("SK507")
def devices(job: Job) -> Iterator[Found]:
    """CUDA_VISIBLE_DEVICES set by hand."""
    if not job.script.directives.lines and b"SLURM" not in job.script.source.data:
        return
    found = [s for s in job.settings if s.name == "CUDA_VISIBLE_DEVICES" and s.is_exported]
    literals = {s.text for s in found if s.command is not None}
    for setting in found:
        text = setting.literal if setting.literal is not None else setting.text
        if text is None or not _DEVICES.fullmatch(text) or _is_default(setting):
            continue
        if setting.command is not None and (len(literals) > 1 or setting.context.in_background):
            continue  # several programs share the job's GPUs
        count = len({device.strip() for device in text.strip(", ").split(",")})
        is_whole = job.is_exclusive and count == job.gpus_per_node
        if is_whole or has_reason(job.script, setting.span):
            continue
        yield job.found(
            "SK507", setting.span, f"CUDA_VISIBLE_DEVICES={text} takes the place of Slurm's own",
            edits=_drop(job, setting),
        )  # fmt: skip


def _is_default(setting: Setting) -> bool:
    """Tell whether it is set only where Slurm has not done so."""
    if any(piece.default is not None for piece in setting.value.pieces) if setting.value else False:
        return True
    node = setting.statement
    while node is not None:
        if node.type in ("if_statement", "list") and b"$" in (node.text or b""):
            head = (node.text or b"").partition(b"then")[0]
            if re.search(rb"\$\{?#?CUDA_VISIBLE_DEVICES|-v CUDA_VISIBLE", head):
                return True
        node = node.parent
    return False


def _drop(job: Job, setting: Setting) -> list[Edit]:
    """Return the edit that takes a line with nothing else on it out."""
    source = job.script.source
    line = source.place(setting.span.start)[0]
    text = source.line_text(line)
    is_plain = not setting.context.blocks and not setting.context.functions
    written = re.escape(source.data[slice(*setting.span)].decode(errors="replace"))
    if is_plain and re.fullmatch(rf"[ \t]*(?:export[ \t]+)?{written}[ \t]*;?[ \t]*(?:#.*)?", text):
        above = source.line_text(line - 1) if line > 1 else ""
        if setting.shell is job.script.batch and not above.endswith("\\"):
            return [Edit(source.line_span(line), "")]
    return []


@rule("SK511")
def misspelt(job: Job) -> Iterator[Found]:
    """A name that nobody reads, near to one that somebody does."""
    for setting in job.settings:
        name = setting.name
        if not setting.is_exported or name in job.names_read or is_unread_timeout(name):
            continue
        found = meant(name, setting.text)
        if found is None:
            continue
        right, value = found
        shown = right if value is None or value == setting.text else f"{right}={value}"
        yield job.found(
            "SK511", setting.span, f"{names()[right].reader} reads no {name}; {shown} is near",
            f"Write {shown}, if that is meant.",
        )  # fmt: skip
