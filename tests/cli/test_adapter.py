"""slurmkit adapter: what it prints, its exit codes, and that it does without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from slurmkit.cli import main
from tests.train.shards import some_tensors, write_checkpoint


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkpoints of a run, in the present directory."""
    monkeypatch.chdir(tmp_path)
    for step in (10, 9):
        write_checkpoint(Path(f"checkpoints/checkpoint-{step}"), some_tensors(seed=step))


def adapter(*words: str) -> Result:
    return CliRunner().invoke(main, ["adapter", *words])


def shard(number: int, step: int = 10) -> Path:
    return Path(f"checkpoints/checkpoint-{step}/adapter_model.rank{number}.safetensors")


def test_a_whole_checkpoint_is_verified_and_merged() -> None:
    done = adapter("verify", "checkpoints/checkpoint-10")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "checkpoints/checkpoint-10: whole: 4 files\n"
    done = adapter("merge", "checkpoints/checkpoint-10", "-o", "out")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "slurmkit: out: 39 parameters in 5 tensors, step 10\n"
    assert Path("out/adapter_model.safetensors").is_file()


def test_every_missing_damaged_and_foreign_file_is_named() -> None:
    write_checkpoint(Path("checkpoints/checkpoint-11"), some_tensors(), shards=4)
    shard(0, 11).unlink()
    with shard(1, 11).open("r+b") as file:
        file.truncate(100)
    flipped = bytearray(shard(2, 11).read_bytes())
    flipped[-1] ^= 1
    shard(2, 11).write_bytes(flipped)
    shard(7, 11).write_bytes(shard(3, 11).read_bytes())
    shard(1, 9).write_bytes(shard(1, 10).read_bytes())
    done = adapter("verify", "checkpoints", "--json")
    assert done.exit_code == 1
    nine, ten, eleven = json.loads(done.stdout)
    assert ten == {"checkpoint": "checkpoints/checkpoint-10", "step": 10, "problems": []}
    other = "damaged, or of another checkpoint: its sha256 is not that of the saved file"
    assert nine["problems"] == [{"file": shard(1).name, "problem": other}]
    told = {each["file"]: each["problem"] for each in eleven["problems"]}
    assert list(told) == [shard(number).name for number in (0, 1, 2, 7)]
    assert told[shard(0).name] == "missing"
    assert told[shard(1).name].startswith("damaged: has 100 bytes, and had ")
    assert told[shard(2).name] == other
    assert told[shard(7).name] == "foreign: not in metadata.json: move it away"
    assert f"{shard(0, 11)}: missing\n" in done.stderr
    assert "checkpoints/checkpoint-10: whole: 4 files\n" in done.stderr


def test_a_checkpoint_that_is_not_whole_is_not_merged() -> None:
    shard(1).unlink()
    shard(0).write_bytes(b"")
    done = adapter("merge", "checkpoints/checkpoint-10", "-o", "out")
    assert done.exit_code == 1
    assert f"{shard(0)}: damaged: has 0 bytes" in done.stderr
    assert f"{shard(1)}: missing\n" in done.stderr
    assert not Path("out").exists()


def test_metadata_that_is_missing_or_damaged_is_named() -> None:
    Path("checkpoints/checkpoint-10/metadata.json").unlink()
    Path("checkpoints/checkpoint-9/metadata.json").write_text("{")
    done = adapter("verify", "checkpoints")
    assert done.exit_code == 1
    assert "checkpoints/checkpoint-10/metadata.json: not there" in done.stderr
    assert "checkpoints/checkpoint-9/metadata.json: the file: Invalid JSON" in done.stderr
    done = adapter("info", "checkpoints/checkpoint-9")
    assert done.exit_code == 1
    assert done.stderr.startswith("checkpoints/checkpoint-9/metadata.json: ")


def test_what_the_user_got_wrong_ends_with_2() -> None:
    Path("empty").mkdir()
    for words, told in (
        (("verify", "nowhere"), "nowhere is no directory: name a checkpoint"),
        (("info", "empty"), "empty holds no checkpoints"),
        (("merge", "checkpoints", "-o", "out"), "2 checkpoints: name one, as checkpoints/check"),
        (("merge", "checkpoints/checkpoint-9", "-o", "checkpoints"), "is no merged adapter"),
        (("merge", "nowhere", "-o", "out"), "nowhere is no directory"),
        (("merge", "checkpoints/checkpoint-9"), "Missing option '-o'"),
    ):
        done = adapter(*words)
        assert (done.exit_code, done.stdout) == (2, ""), done.stderr
        assert told in done.stderr


def test_shards_come_from_other_directories() -> None:
    Path("other").mkdir()
    shard(1).rename(Path("other") / shard(1).name)
    done = adapter("merge", "checkpoints/checkpoint-10", "-o", "out", "--from", "nowhere")
    assert done.exit_code == 1
    asked = "missing: asked checkpoints/checkpoint-10, nowhere\n"
    assert f"{shard(1).name}: {asked}nowhere: there is no such directory\n" in done.stderr
    done = adapter("merge", "checkpoints/checkpoint-10", "-o", "out", "--from", "other")
    assert done.exit_code == 0, done.stderr
    assert f"slurmkit: {shard(1).name} from other\n" in done.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["checkpoints", "other", "out"]


def test_info_of_one_and_a_list_of_all() -> None:
    done = adapter("info", "checkpoints/checkpoint-10")
    assert done.exit_code == 0
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    told = {words[0]: words[1] for words in lines}
    assert told["ranks"] == "2 (2 shards, 1 replica)"
    assert told["parameters"] == "39 in 5 tensors"
    assert (told["step"], told["mode"], told["metric"]) == ("10", "lite", "1.25")
    assert (told["r"], told["lora_alpha"], told["targets"]) == ("4", "8", "o_proj, q_proj")
    assert "global batch  8\n" in done.stdout
    assert "base model    tiny\n" in done.stdout
    assert told["size"].endswith(" kB")
    listed = adapter("info", "checkpoints").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [
        "CHECKPOINT",
        "checkpoints/checkpoint-9",
        "checkpoints/checkpoint-10",
    ]
    (facts,) = json.loads(adapter("info", "checkpoints/checkpoint-9", "--json").stdout)
    assert (facts["step"], facts["parameters"], facts["r"]) == (9, 39, 4)
    assert facts["mesh"] == {"replicate": 1, "shard": 2}


def test_an_adapter_config_that_cannot_be_read_is_a_warning() -> None:
    Path("checkpoints/checkpoint-10/adapter_config.json").write_text("[")
    done = adapter("info", "checkpoints/checkpoint-10")
    assert done.exit_code == 0
    assert "warning: checkpoints/checkpoint-10/adapter_config.json cannot be read" in done.stderr
    assert "step" in done.stdout


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], "pydantic jinja2 yaml"),
        (["merge", "--help"], "pydantic jinja2 yaml"),
        (["info", "checkpoints"], "yaml"),
        (["verify", "checkpoints"], "yaml"),
        (["merge", "checkpoints/checkpoint-9", "-o", "out"], "yaml"),
    ],
)
def test_no_verb_needs_torch(words: list[str], heavy: str) -> None:
    code = (
        "import sys; from slurmkit.cli import main\n"
        f"try: main(['adapter', *{words!r}])\n"
        f"finally: print(sorted({{*sys.modules}} & {{*'{heavy} torch safetensors rich'.split()}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
