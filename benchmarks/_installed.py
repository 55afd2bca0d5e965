"""slurmkit as its users have it: the wheel, built and installed away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def build_wheel(directory: Path) -> Path:
    """Builds this checkout's wheel into the directory, without network."""
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", directory)
    (wheel,) = directory.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, environment: Path) -> Path:
    """Makes a virtual environment with the wheel in it and gives its `bin`.

    The other packages are those of the running interpreter, through a .pth file. An editable
    slurmkit is not among them: the .pth file that makes one is read in its own environment only.
    """
    venv.create(environment, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "requirements.pth").write_text("\n".join(packages) + "\n", encoding="utf-8")
    programs = environment / "bin"
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    options = ("--no-index", "--no-deps", "--ignore-installed")
    _run(programs / "python", *pip, "install", *options, wheel)
    return programs


def plain_environment() -> dict[str, str]:
    """The environment without Python's own settings.

    Under PYTHONDONTWRITEBYTECODE, for one, pip compiles nothing that it installs, and every
    process compiles its modules anew.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _run(*arguments: str | Path) -> None:
    done = subprocess.run(
        arguments,
        cwd=CHECKOUT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(map(str, arguments))
        raise RuntimeError(f"{shown}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
