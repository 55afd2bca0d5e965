"""slurmkit adapter: look at LoRA checkpoints, check them, and merge their shards."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slurmkit.cli.arguments import late_imports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from slurmkit.launch.ssh_client import Ssh
    from slurmkit.train.checkpoint.collect import Source


@click.group("adapter")
def command() -> None:
    """Look at the checkpoints of a LoRA run, check them, and merge their shards."""


def _checkpoints(function: Callable[..., Any]) -> Callable[..., Any]:
    argument = click.argument(
        "places", metavar="CHECKPOINT...", nargs=-1, required=True, type=click.Path()
    )
    return argument(function)


@command.command("merge")
@click.argument("checkpoint", type=click.Path())
@click.option(
    "-o", "--output", required=True, metavar="DIR", type=click.Path(), help="Write it here."
)
@click.option(
    "--from",
    "others",
    multiple=True,
    metavar="[HOST:]DIR",
    help="Look here, too, for shards that are missing; again for more.",
)
@click.option("--force", is_flag=True, help="Replace an adapter that is there.")
def merge_command(checkpoint: str, output: str, others: tuple[str, ...], force: bool) -> None:
    """Merge the shards of CHECKPOINT into an adapter that PEFT loads.

    slurmkit adapter merge node1:/local/checkpoint-100 --from node2:/local/checkpoint-100 -o adapter

    All of the checkpoint is verified first.
    """
    with late_imports():
        from slurmkit.train.checkpoint.merge import merge, refuse_to_overwrite

    into = Path(output)
    try:
        refuse_to_overwrite(into.resolve(), replace=force)
        if not others and _split(checkpoint) is None:
            done = merge(_folder(checkpoint), into, replace=force)
        else:
            collected = into.resolve().with_name(f".{into.resolve().name}.collected")
            shutil.rmtree(collected, ignore_errors=True)  # of a merge that was killed
            try:
                collected.mkdir(parents=True)
                _collect([checkpoint, *others], collected)
                done = merge(collected, into, replace=force)
            finally:
                shutil.rmtree(collected, ignore_errors=True)
    except FileExistsError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or into}: {error.strerror}") from None
    told = f"{done.parameters:,} parameters in {done.tensors} tensors, step {done.step}"
    click.echo(f"slurmkit: {output}: {told}", err=True)


@command.command("verify")
@_checkpoints
@click.option("--json", "as_json", is_flag=True, help="For another program.")
def verify_command(places: tuple[str, ...], as_json: bool) -> None:
    """Check that every CHECKPOINT is whole, or every one in a directory; 1 where one is not."""
    with late_imports():
        from slurmkit.train.checkpoint.check import Problem, check
        from slurmkit.train.checkpoint.metadata import NAME, CheckpointError, read

    answer = []
    for folder in _folders(places):
        step = None
        try:
            metadata = read(folder)
            step, problems = metadata.step, check(folder, metadata)
        except CheckpointError as error:
            problems = [Problem(NAME, str(error).removeprefix(f"{folder / NAME}: "))]
        for problem in problems:
            click.echo(f"{folder}/{problem}", err=True)
        if not problems:
            click.echo(f"{folder}: whole: {_count(len(metadata.files), 'file')}", err=True)
        found = [{"file": each.file, "problem": each.what} for each in problems]
        answer.append({"checkpoint": str(folder), "step": step, "problems": found})
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    sys.exit(1 if any(each["problems"] for each in answer) else 0)


@command.command("info")
@_checkpoints
@click.option("--json", "as_json", is_flag=True, help="For another program.")
def info_command(places: tuple[str, ...], as_json: bool) -> None:
    """Tell what CHECKPOINT holds, or list those in a directory."""
    found = [_facts(folder) for folder in _folders(places)]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif len(found) == 1:
        rows = [(name, text) for name, text in _texts(found[0]) if text]
        width = max(len(name) for name, _ in rows)
        click.echo("\n".join(f"{name:<{width}}  {text}" for name, text in rows))
    else:
        from slurmkit.observe import table

        header = ("checkpoint", "saved", "mode", "ranks", "metric", "size")
        rows_ = [[dict(_texts(facts))[name] for name in header] for facts in found]
        click.echo("\n".join(table.lines([name.upper() for name in header], rows_)))


def _facts(folder: Path) -> dict[str, Any]:
    """Return what the files of a checkpoint say of it."""
    from math import prod

    with late_imports():
        from slurmkit.train.checkpoint.merge import CONFIG
        from slurmkit.train.checkpoint.metadata import read

    metadata = read(folder)
    facts: dict[str, Any] = {"checkpoint": str(folder)}
    facts |= metadata.model_dump(include={"step", "time", "mode", "world_size", "mesh"})
    facts |= metadata.model_dump(include={"num_shards", "global_batch", "metric", "slurmkit"})
    facts["parameters"] = sum(prod(tensor.shape) for tensor in metadata.tensors.values())
    facts["tensors"] = len(metadata.tensors)
    facts["bytes"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        targets = config.get("target_modules")
        targets = sorted(targets) if isinstance(targets, list) else targets
        facts |= {"base_model": config.get("base_model_name_or_path"), "r": config.get("r")}
        facts |= {"lora_alpha": config.get("lora_alpha"), "target_modules": targets}
    except (OSError, ValueError, AttributeError) as error:
        click.echo(f"slurmkit: warning: {folder / CONFIG} cannot be read: {error}", err=True)
    return facts


def _texts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    mesh, targets = facts["mesh"], facts.get("target_modules")
    metric, batch = facts["metric"], facts["global_batch"]
    shards = f"{_count(facts['num_shards'], 'shard')}, {_count(mesh['replicate'], 'replica')}"
    return [
        ("checkpoint", facts["checkpoint"]),
        ("step", str(facts["step"])),
        ("saved", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(facts["time"]))),
        ("by", f"slurmkit {facts['slurmkit']}"),
        ("mode", facts["mode"]),
        ("ranks", f"{facts['world_size']} ({shards})"),
        ("global batch", "" if batch is None else str(batch)),
        ("metric", "" if metric is None else f"{metric:.6g}"),
        ("parameters", f"{facts['parameters']:,} in {_count(facts['tensors'], 'tensor')}"),
        ("size", _size(facts["bytes"])),
        ("base model", facts.get("base_model") or ""),
        ("r", str(facts.get("r", ""))),
        ("lora_alpha", str(facts.get("lora_alpha", ""))),
        ("targets", ", ".join(targets) if isinstance(targets, list) else targets or ""),
    ]


def _collect(places: Iterable[str], into: Path) -> None:
    """Bring a checkpoint together from this machine's directories and from hosts."""
    from slurmkit.launch.ssh_client import Ssh

    with late_imports():
        from slurmkit.train.checkpoint.collect import collect, local

    with Ssh() as ssh:
        sources = []
        for place in places:
            split = _split(place)
            sources.append(local(Path(place)) if split is None else _remote(ssh, place, *split))
        for line in collect(sources, into):
            click.echo(f"slurmkit: {line}", err=True)


def _remote(ssh: Ssh, name: str, host: str, directory: str) -> Source:
    from slurmkit.launch.ssh_copy import copy
    from slurmkit.train.checkpoint.collect import Source

    return Source(name, lambda names, into: copy(ssh, host, directory, names, into))


def _split(place: str) -> tuple[str, str] | None:
    """Split HOST:DIR; None where it is a directory here."""
    from slurmkit.launch.ssh_copy import split_place

    return None if Path(place).exists() else split_place(place)


def _folder(place: str) -> Path:
    """Return the one checkpoint that is meant."""
    found = _folders([place])
    if len(found) > 1:
        raise click.UsageError(f"{place} holds {len(found)} checkpoints: name one, as {found[-1]}")
    return found[0]


def _folders(places: Iterable[str]) -> list[Path]:
    """Return the checkpoints, in the order of their steps where a directory of them is named."""
    with late_imports():
        from slurmkit.train.checkpoint.metadata import NAME, folder_name, step_of
        from slurmkit.train.checkpoint.rotation import steps

    found = []
    for place in map(Path, places):
        if not place.is_dir():
            raise click.UsageError(f"{place} is no directory: name a checkpoint, or where some are")
        if (place / NAME).exists() or step_of(place.resolve().name) is not None:
            found.append(place)
            continue
        below = place / "checkpoints" if (place / "checkpoints").is_dir() else place
        inside = [below / folder_name(step) for step in steps(below)]
        if not inside:
            raise click.UsageError(f"{place} holds no checkpoints (checkpoint-100 and so on)")
        found += inside
    return found


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
