"""Stand-ins for apptainer and pyxis that check their options, then run the command right here.

As the real ones do they keep parts of the host's environment away from the program: an image's own
variables win, PATH and HOME are the image's, and apptainer keeps LD_LIBRARY_PATH out. They are
stricter in one thing: exported functions never arrive, which depends on the runtime's version.
Sources: apptainer 1.4.5, `apptainer exec --help` and internal/pkg/util/env/clean.go; NVIDIA/pyxis,
args.c and tests/env.bats.

An image is a folder; `environment.json` in it holds the variables that the image sets.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

VALUES = (
    "add-caps app apply-cgroups bind cwd drop-caps env env-file fusemount home hostname mount "
    "network network-args no-mount overlay pwd scratch security workdir"
)
FLAGS = (
    "cleanenv compat contain containall fakeroot ipc keep-privs net no-eval no-home no-init no-pid "
    "no-privs no-umask nv nvccli pid rocm sharens unsquash userns uts writable writable-tmpfs"
)
SHORT = {"B": "bind", "H": "home", "S": "scratch", "W": "workdir", "o": "overlay"}
PYXIS_VALUES = "image mounts workdir name save env"
PYXIS_FLAGS = "mount-home remap-root entrypoint entrypoint-log writable readonly"
Options = list[tuple[str, str]]


def write_apptainer(folder: Path, name: str = "apptainer") -> None:
    """Write the stand-in under the name of the command: apptainer, or singularity."""
    _write(folder / name, ["apptainer"])


def write_pyxis(folder: Path, srun: str) -> None:
    """Write an srun that knows pyxis's options, and hands the others to the `srun` given."""
    _write(folder / "srun", ["pyxis", srun])


def write_image(folder: Path, path: str, **variables: str) -> Path:
    """Make an image, with its PATH and other variables; return its folder."""
    folder.mkdir()
    (folder / "environment.json").write_text(json.dumps({"PATH": path, **variables}))
    return folder


def _write(path: Path, words: list[str]) -> None:
    command = shlex.join([sys.executable, "-I", __file__, *words])
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def _fail(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(255)


def _apptainer(args: list[str]) -> None:
    if args[:1] != ["exec"]:
        _fail(f"unknown command {args[:1]}")
    options: Options = []
    rest = args[1:]
    while rest and rest[0].startswith("-"):
        name, equals, value = rest.pop(0).partition("=")
        name = name.removeprefix("--") if name.startswith("--") else SHORT.get(name[1:], name)
        if name in VALUES.split():
            options.append((name, value if equals else rest.pop(0)))
        elif name in FLAGS.split() and not equals:
            options.append((name, ""))
        else:
            _fail(f"unknown flag: {name}")
    if len(rest) < 2:
        _fail("requires at least 2 arg(s)")
    binds = [bind for name, value in options if name == "bind" for bind in value.split(",")]
    start = next((value for name, value in options if name in {"pwd", "cwd"}), "")
    _inside(rest[0], [_mount(bind, {"ro", "rw"}) for bind in binds], start, "LD_LIBRARY_PATH")
    os.environ["OPTIONS"] = json.dumps(options)
    os.execvp(rest[1], rest[1:])


def _mount(text: str, flags: set[str]) -> str:
    source, _, rest = text.partition(":")
    target, _, flag = rest.partition(":")
    if not Path(source).exists():
        _fail(f"mount source {source} doesn't exist")
    if flag and not set(flag.split("+")) <= flags:
        _fail(f"{flag} is not a valid bind option")
    return target or source


def _pyxis(srun: str, args: list[str]) -> None:
    options: Options = []
    others: list[str] = []
    while args and args[0].startswith("-"):
        word = args.pop(0)
        name, equals, value = word.removeprefix("--no").lstrip("-").partition("=")
        name = name.removeprefix("container-")
        if not word.startswith(("--container-", "--no-container-")):
            others.append(word)
        elif (equals and name in PYXIS_VALUES.split()) or (
            not equals and name in PYXIS_FLAGS.split()
        ):
            options.append((name, value))
        else:
            _fail(f"srun: unrecognized option '{word}'")
    if not options:
        os.execv(srun, [srun, *others, *args])
    if len(names := [name for name, _ in options]) != len(set(names)):
        _fail("pyxis: an option specified multiple times")
    me = [sys.executable, "-I", __file__, "inside", json.dumps(options)]
    os.execv(srun, [srun, *others, *me, *args])


def _enter_pyxis(given: str, args: list[str]) -> None:
    options = dict(json.loads(given))
    mounts = options["mounts"].split(",")
    if any(mount.count(":") < 1 or " " in mount for mount in mounts):
        _fail(f"pyxis: --container-mounts: invalid format: {mounts}")
    targets = [_mount(mount, {"ro", "rw", "rprivate", "rslave"}) for mount in mounts]
    _inside(options["image"], targets, options["workdir"])
    os.execvp(args[0], args)


def _inside(image: str, targets: list[str], start: str, *hidden: str) -> None:
    """Give this process what a program in the image would see."""
    environment = Path(image, "environment.json")
    if not environment.exists():
        _fail(f"no image {image}")
    if not any(Path(start).is_relative_to(target) for target in targets):
        _fail(f"chdir {start}: no such file or directory")
    for name in list(_functions()) + list(hidden):
        os.environ.pop(name, None)
    os.environ |= json.loads(environment.read_text())
    os.environ["INSIDE"] = image
    os.chdir(start)


def _functions() -> Iterator[str]:
    return (name for name in os.environ if name.startswith("BASH_FUNC_"))


if __name__ == "__main__":
    role, *words = sys.argv[1:]
    if role == "apptainer":
        _apptainer(words)
    elif role == "pyxis":
        _pyxis(words[0], words[1:])
    else:
        _enter_pyxis(words[0], words[1:])
