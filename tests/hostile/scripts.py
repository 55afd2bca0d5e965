"""Check very many rendered scripts: what bash, shellcheck and Slurm's reader say of them."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BATCH = 25
"""Scripts a call of shellcheck, whose start takes as long as reading a script."""


def check_scripts(scripts: Sequence[str], shellcheck: str) -> None:
    """Fail with the first of what `bash -n` and shellcheck have to say.

    But for curly quotes within quotes: they are the user's, and meant.
    """
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        paths = []
        for number, script in enumerate(scripts):
            path = Path(folder, f"{number}.sh")
            path.write_text(script, encoding="utf-8")
            paths.append(path)
        commands = [["bash", "-n", str(path)] for path in paths]
        commands += [
            [shellcheck, "--exclude=SC1111,SC1112", *map(str, paths[first : first + BATCH])]
            for first in range(0, len(paths), BATCH)
        ]
        for ran in pool.map(_run, commands):
            assert not ran.stdout + ran.stderr, (ran.stdout + ran.stderr)[:5000]
            assert ran.returncode == 0


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def read_directives(script: str) -> list[str]:
    """Read the `#SBATCH` lines as sbatch does (`_opt_batch_script` in its src/sbatch/opt.c).

    It stops at the first line that holds a command. Within a line blanks part words, quotes keep
    them together, a backslash takes the next character as it is, and a bare # ends the line.
    """
    words: list[str] = []
    for line in script.split("\n"):
        if line.startswith("#SBATCH"):
            words += _words(line.removeprefix("#SBATCH"))
        elif line.strip(" \t\v\f\r") and not line.lstrip(" \t\v\f\r").startswith("#"):
            break
    return words


def _words(line: str) -> list[str]:
    words: list[str] = []
    word, quote, escaped, begun = "", "", False, False
    for char in line:
        if escaped:
            word, escaped = word + char, False
        elif char == "\\":
            escaped = begun = True
        elif quote:
            word, quote = (word, "") if char == quote else (word + char, quote)
        elif char in "\"'":
            quote, begun = char, True
        elif char in " \t\v\f\r":
            if begun:
                words.append(word)
            word, begun = "", False
        elif char == "#":
            break
        else:
            word, begun = word + char, True
    return [*words, word] if begun else words
