"""Imports that hang, talk, exit, start others, or read what a launcher sets."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from slurmkit.probe.judge.data import entrypoint
from slurmkit.probe.look.entrypoint import look
from tests.preflight.nodes import facts

FINE = {"fine": 1}


def tried(tmp_path: Path, module: str, seconds: float = 9) -> dict[str, Any]:
    """What comes of a program that imports a module of some text."""
    (tmp_path / "part.py").write_text(module)
    (tmp_path / "program.py").write_text("import part\n")
    return look({"script": str(tmp_path / "program.py")}, seconds)


@pytest.mark.parametrize(
    "module",
    [
        "import argparse\nargs = argparse.ArgumentParser().parse_args()\n",
        "import os\nRANK = int(os.environ['RANK']) + int(os.environ['LOCAL_RANK'])\n",
        "import sys\nfor _ in range(99):\n    print('y' * 9999, file=sys.stderr)\n",
        "import sys\nfor _ in range(99):\n    sys.stdout.write('x' * 9999)\n",
        "import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(2)\n",
    ],
)
def test_imports_that_are_well(tmp_path: Path, module: str) -> None:
    assert tried(tmp_path, module) == FINE


def test_an_import_that_ends_the_program(tmp_path: Path) -> None:
    said = tried(tmp_path, "import sys\nsys.exit('no --config')\n")
    assert (said["kind"], said["missing"]) == ("exits", "import part: SystemExit: no --config")
    severities = [
        [finding.severity for finding in entrypoint(facts(*looks)).findings]
        for looks in (2 * [{"entrypoint": said}], [{"entrypoint": said}, {"entrypoint": FINE}])
    ]
    assert severities == [["warning", "warning"], ["error"]]


def test_an_import_that_ends_python(tmp_path: Path) -> None:
    said = tried(tmp_path, "import os, sys\nsys.stderr.write('bad ABI\\n')\nos._exit(4)\n")
    assert said["missing"] == "import part ends Python; exit code 4; bad ABI"
    said = tried(tmp_path, "import os\nos.kill(os.getpid(), 11)\n")
    assert said["missing"] == "import part ends Python; signal 11"


def test_an_import_that_hangs_leaves_nothing_behind(tmp_path: Path) -> None:
    sleep = "sleep 47.11"
    module = f"import subprocess, time\nsubprocess.Popen({sleep.split()})\ntime.sleep(50)\n"
    assert tried(tmp_path, module, 0.7) == {"slow": 0.7, "at": "part"}
    assert not subprocess.run(["pgrep", "-f", f"^{sleep}"], check=False, stdout=-1).stdout


@pytest.mark.parametrize(("seconds", "severity"), [(59.5, "error"), (9.5, "warning")])
def test_one_node_on_which_an_import_hangs(seconds: float, severity: str) -> None:
    slow = {"slow": seconds, "at": "torch"}
    (finding,) = entrypoint(facts({"entrypoint": slow}, {"entrypoint": FINE})).findings
    assert (finding.severity, finding.node) == (severity, 0)
    assert "it stood at import torch; other nodes are done" in finding.what
    both = entrypoint(facts({"entrypoint": slow}, {"entrypoint": slow}))
    assert {finding.severity for finding in both.findings} == {"warning"}


def test_packages_around_a_module_are_not_imported_by_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "rough_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit(3)\n")
    (package / "train.py").write_text("import json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = look({"module": "rough_package.train"}, 9)
    assert said["missing"] == "import rough_package: SystemExit: 3"
    said = look({"module": "rough_package.trian"}, 9)
    assert said["about"] == ["rough_package.trian"]
