"""slurmkit init: a first job file, or a profile, that already knows this cluster."""

from __future__ import annotations

import getpass
import json
import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slurmkit.cli.arguments import late_imports
from slurmkit.cli.completion import complete_start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slurmkit.init.cluster import Cluster
    from slurmkit.init.place import Place

_SCHEMA = "job.schema.json"
_TINY = ("model.name_or_path=tiny:glm4_moe", "data.dataset_path=tiny:200")
"""What makes a rehearsal of a fine-tuning small."""


@click.command("init")
@click.argument("name", metavar="[NAME]", required=False, shell_complete=complete_start)
@click.option("--list", "list_", is_flag=True, help="Name the templates, or with --profile those.")
@click.option("--profile", is_flag=True, help="Write a profile: of this cluster, or the one NAMEd.")
@click.option("-o", "--output", type=click.Path(), help="Write here (- is standard output).")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(name: str | None, list_: bool, profile: bool, output: str | None, force: bool) -> None:
    """Write job.yaml from the template NAME, filled with what can be found out here.

    Without NAME the template follows from the script in this directory and the cluster's nodes.
    """
    with late_imports():
        from slurmkit.init import gallery

    about = gallery.profiles() if profile else {n: s.about for n, s in gallery.STARTS.items()}
    if list_:
        width = max(map(len, about))
        click.echo("\n".join(f"{known:<{width}}  {text}" for known, text in about.items()))
        return
    if name is not None and name not in about:
        raise click.UsageError(_unknown(name, about, profile))
    if profile:
        _write_profile(name, output, force)
    else:
        _write_job(name, output, force)


def _write_job(name: str | None, output: str | None, force: bool) -> None:
    with late_imports():
        from slurmkit.init.draft import draft_job, suggest
        from slurmkit.init.place import look_around
        from slurmkit.slurm.commands import has_pyxis

    path = Path(output or "job.yaml")
    _refuse_to_overwrite(path, force)
    cluster, place = _ask_slurm(), look_around(Path.cwd(), os.environ)
    template = name or suggest(cluster, place)
    runtime = "pyxis"
    if template == "container" and not has_pyxis() and shutil.which("apptainer"):
        runtime = "apptainer"
    profile = _own_profile(cluster)
    text = draft_job(template, cluster, place, profile=profile, runtime=runtime)
    _write(path, text, force)
    if output == "-":
        return
    schema = _write_schema(path.parent)
    click.echo(f"{path}: {_found(template, cluster, place)}{_why(name, place)}", err=True)
    click.echo(f"{schema}\n{_next(path, template, cluster, place)}", err=True)


def _write_profile(name: str | None, output: str | None, force: bool) -> None:
    from slurmkit.init import gallery
    from slurmkit.spec.profile import folders

    if name:
        text = gallery.profile_path(name).read_text(encoding="utf-8")
    else:
        name, text = _drafted_profile()
    path = Path(output) if output else folders()[-1] / f"{name}.yaml"
    _refuse_to_overwrite(path, force)
    _write(path, text, force, parents=True)
    if output == "-":
        return
    used = path.stem if path.absolute().parent in [f.absolute() for f in folders()] else str(path)
    click.echo(
        f"{path}: written; read it, and answer the questions in its comments.\n"
        f"Used by `profile: {used}` in a job, by --profile {shlex.quote(used)}, or by "
        f"SLURMKIT_PROFILE={shlex.quote(used)}; named default.yaml, by every job.",
        err=True,
    )


def _drafted_profile() -> tuple[str, str]:
    """Return the name and the text of a profile of this cluster."""
    with late_imports():
        from slurmkit.init.draft import draft_profile

    cluster = _ask_slurm()
    if cluster is None:
        raise click.UsageError(
            "no Slurm answers here, so there is no cluster to draft a profile of: run this on its "
            "login node, or copy one that `slurmkit init --profile --list` names"
        )
    return cluster.name or "cluster", draft_profile(cluster)


def _ask_slurm() -> Cluster | None:
    from slurmkit.init.cluster import read_cluster
    from slurmkit.slurm.commands import describe_cluster

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        user = str(os.getuid())
    return read_cluster(*describe_cluster(user))


def _own_profile(cluster: Cluster | None) -> str | None:
    """Return the name of the user's profile of this cluster, if there is one."""
    from slurmkit.spec.profile import folders

    name = cluster.name if cluster else None
    return name if name and any((at / f"{name}.yaml").is_file() for at in folders()) else None


def _refuse_to_overwrite(path: Path, force: bool) -> None:
    if str(path) != "-" and not force and os.path.lexists(path):
        raise click.UsageError(
            f"{path} is there already: -o FILE writes another, --force writes over it"
        )


def _write(path: Path, text: str, force: bool, *, parents: bool = False) -> None:
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise click.UsageError(
            f"{path} cannot be written: {error.strerror}; name another with -o FILE"
        ) from None


def _write_schema(directory: Path) -> str:
    """Put the schema beside the job, for editors; say what was done."""
    with late_imports():
        from slurmkit.spec.schema import json_schema

    path = directory / _SCHEMA
    text = json.dumps(json_schema(), indent=2) + "\n"
    if not os.path.lexists(path):
        _write(path, text, force=False)
        return f"{path}: written, for your editor"
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return f"{path}: is there already, for your editor"
    return f"{path}: left as it is; this version's is `slurmkit schema > {shlex.quote(str(path))}`"


def _unknown(name: str, about: Iterable[str], profile: bool) -> str:
    from slurmkit.init import gallery
    from slurmkit.spec.errors import nearest, shown

    kind, option = ("profile", " --profile") if profile else ("template", "")
    if not profile and name in gallery.profiles():
        fix = f"it is a profile: slurmkit init --profile {name}"
    else:
        like = nearest(name, about)
        fix = f"did you mean {like}?" if like else f"see slurmkit init{option} --list"
    return f"no {kind} {shown(name)} in the gallery: {fix}"


def _found(template: str, cluster: Cluster | None, place: Place) -> str:
    script = None if template == "finetune" else place.script
    found = [cluster.name if cluster else None, place.venv or place.conda, script]
    used = ", ".join(name for name in found if name)
    return f"written from the template {template}" + (f", with {used}" if used else "")


def _why(name: str | None, place: Place) -> str:
    if name is not None:
        return ""
    found = f", which imports {place.framework}" if place.framework else ""
    return f"{found} (others: slurmkit init --list)"


def _next(path: Path, template: str, cluster: Cluster | None, place: Place) -> str:
    """Say what to type next: commands that work as they stand."""
    job = shlex.quote(str(path))
    small = "" if template == "cpu" else " --processes-per-node 2"
    if template == "finetune":
        small += "".join(f" --set entrypoint.config.{field}" for field in _TINY)
    there = "" if cluster else "on the cluster; no Slurm answers here"
    steps = [
        (f"slurmkit validate {job}", "is it right?"),
        (f"slurmkit simulate {job}{small}", "a rehearsal here, over pretend nodes"),
        (f"slurmkit submit {job}", there),
    ]
    width = max(len(text) for text, _ in steps)
    lines = [f"  {text:<{width}}  {note}".rstrip() for text, note in steps]
    if template == "finetune":
        lines.insert(0, "  (put your samples into data/train.jsonl)")
    elif place.script is None and (place.venv or place.conda or template == "container"):
        lines.insert(0, "  (write the script that entrypoint names)")
    if not place.has_torch:
        python = place.venv or place.conda or "the Python that runs slurmkit"
        who = "simulate needs" if template == "container" else "The job and simulate need"
        lines.append(f"{who} torch, which {python} does not seem to have.")
    return "\n".join(["Next:", *lines])
