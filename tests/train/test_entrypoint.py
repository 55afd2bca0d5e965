"""An entrypoint's command line, config file and run directory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slurmkit.spec.dump import dump_yaml
from slurmkit.train.all_reduce import main
from slurmkit.train.all_reduce.config import AllReduceConfig
from slurmkit.train.config_file import ConfigError, check_config, read_config
from slurmkit.train.entrypoint import run
from slurmkit.train.rundir import recorded_status
from slurmkit.train.variables import DistributedError
from tests.train.launch import python, torchrun

MODULE = "slurmkit.train.all_reduce"


def test_config_and_entrypoint_import_no_torch() -> None:
    ended = python(
        "-c",
        "import sys, slurmkit.train.all_reduce.config, slurmkit.train.all_reduce, "
        "slurmkit.train.ranks, slurmkit.train.entrypoint\n"
        "print([name for name in ('torch', 'submitit') if name in sys.modules])",
    )
    assert ended.stdout == "[]\n"


def test_defaults_stay_small() -> None:
    sizes = AllReduceConfig().message_sizes()
    assert sizes == [1024 * 4**power for power in range(7)]


WRONG = {
    "itertions: 3": "`itertions` is no field of this config: did you mean `iterations`?",
    "colour: red": "use one of sizes, min_size",
    "iterations: 0": "`iterations: 0` is wrong: Input should be greater than or equal to 1",
    "iterations: '3'": "valid integer",
    "sizes: []": "`sizes: []` is wrong",
    "sizes: [1024, 1.5]": "`sizes.1: 1.5` is wrong",
    "sizes: [1024]\nmax_size: 4": "`sizes` is given: leave out max_size",
    "min_size: 2048\nmax_size: 1024": "swap them",
    "sizes: [1023]": "use multiples of 4",
    "dtype: float": "'float64', 'float32', 'bfloat16' or 'float16'",
    "- 1": "write `field: value` lines",
    "a: [": "this is no YAML",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_config_exits_2_with_the_field(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    assert run(main, MODULE, ["--config", str(config)]) == 2
    assert WRONG[text] in capsys.readouterr().err


def test_several_wrong_fields_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        check_config(AllReduceConfig, {"iterations": 0, "warmup": -1, "x": 1})
    assert len(str(caught.value).splitlines()) == 3


def test_missing_config_exits_2_without_traceback(tmp_path: Path) -> None:
    ended = python("-m", MODULE, "--config", str(tmp_path / "none.yaml"))
    assert ended.status == 2
    assert "No such file" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_torchrun_shows_a_wrong_config_without_traceback(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("iterations: 0\n")
    ended = torchrun("-m", MODULE, "--config", str(config))
    assert [each.status for each in ended] == [1, 1]
    assert "`iterations: 0` is wrong" in ended[0].stderr
    assert "config_file.py" not in ended[0].stderr


def test_torchruns_summary_shows_the_first_traceback(tmp_path: Path) -> None:
    script = tmp_path / "raises.py"
    script.write_text(
        "import sys\nfrom slurmkit.train.entrypoint import run\n"
        "def main(config): raise ValueError('no such expert')\n"
        "sys.exit(run(main, 'x', []))\n"
    )
    summary = torchrun(str(script))[0].stderr.partition("Root Cause")[2]
    assert "ValueError: no such expert" in summary


def test_config_is_read_by_yaml_1_2(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("a: 1e-4\nb: on\nc: 010\nd: 12:00:00\ne: 2024-01-01\nf: 0x10\ng: 1_000\nh:\n")
    assert read_config(config) == {
        **{"a": 1e-4, "b": "on", "c": "010", "d": "12:00:00"},
        **{"e": "2024-01-01", "f": 16, "g": "1_000", "h": None},
    }


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
)


@settings(deadline=None)
@example({"a": 1e-5, "b": "on", "c": "1e-4", "d": "010", "e": "12:00:00", "f": ["null", None]})
@given(st.dictionaries(st.text(min_size=1, max_size=9), SCALARS | st.lists(SCALARS)))
def test_the_config_that_slurmkit_writes_is_read_back(value: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(dump_yaml(value), encoding="utf-8")
        assert read_config(config) == value


def test_an_error_is_printed_and_exits_1(capsys: pytest.CaptureFixture[str]) -> None:
    def raises(config: Mapping[str, Any]) -> None:
        raise KeyError("expert")

    assert run(raises, "x", []) == 1
    assert "KeyError: 'expert'" in capsys.readouterr().err


def test_a_refused_environment_exits_1_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def refuses(config: Mapping[str, Any]) -> None:
        raise DistributedError("no world", "here", "mend it")

    assert run(refuses, "x", []) == 1
    assert capsys.readouterr().err == "error: no world\n  where: here\n  fix: mend it\n"


def test_a_failed_rank_does_not_wait_for_its_process_group() -> None:
    ended = python(
        "-c",
        "import atexit, sys\n"
        "from slurmkit.train.entrypoint import run\n"
        "atexit.register(print, 'waited')\n"
        "def main(config):\n"
        "    import torch.distributed as dist\n"
        "    dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
        "    raise ValueError('no such expert')\n"
        "sys.exit(run(main, 'x', []))",
    )
    assert (ended.status, ended.stdout) == (1, "")
    assert "ValueError: no such expert" in ended.stderr


def test_what_main_returns_on_rank_0_becomes_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURMKIT_RUN_DIR", str(tmp_path))
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    result = tmp_path / "result.json"
    assert run(lambda config: {"rank": 1}, "x", []) == 0
    assert not result.exists()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert run(lambda config: {"loss": 0.5}, "x", []) == 0
    assert json.loads(result.read_text()) == {"loss": 0.5}
    assert run(lambda config: None, "x", []) == 0
    assert json.loads(result.read_text()) is None
    assert run(lambda config: {1, 2}, "x", []) == 0
    assert not result.exists(), "an earlier run's result is not this one's"
    assert "no result.json: main(config) returned what JSON cannot hold" in capsys.readouterr().err


def test_status_says_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMKIT_RUN_DIR", str(tmp_path / "run"))

    def train() -> None:
        with recorded_status(rank=0) as status:
            status.step = 7
            raise ZeroDivisionError("no tokens")

    with pytest.raises(ZeroDivisionError):
        train()
    written = json.loads((tmp_path / "run" / "status.json").read_text())
    assert written == {"state": "failed", "reason": "ZeroDivisionError: no tokens", "step": 7}


def test_only_rank_0_writes_the_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURMKIT_RUN_DIR", str(tmp_path / "run"))
    with recorded_status(rank=1):
        pass
    assert not (tmp_path / "run").exists()
