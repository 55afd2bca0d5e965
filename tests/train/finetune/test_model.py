"""Building the model: what is refused, how ranks share it, what a checkpoint needs of it."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor
from transformers import AutoModelForCausalLM, T5Config

from slurmkit.train.config_file import ConfigError
from slurmkit.train.control import Control
from slurmkit.train.distributed import World
from slurmkit.train.finetune import checks, tiny
from slurmkit.train.finetune.config import ParallelismConfig
from slurmkit.train.finetune.model import build, mesh_shape
from tests.train import world
from tests.train.finetune.truth import TARGETS, Case, config, fill


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.model("llama", tmp_path_factory.mktemp("models"))


def _alone(ranks: int, ranks_of_a_node: int) -> World:
    cpu = torch.device("cpu")
    return World(0, ranks, 0, ranks_of_a_node, 0, "node0", "gloo", cpu)


class _Nodes(Control):
    """A control whose ranks have the given numbers of ranks on their nodes."""

    def __init__(self, *ranks: int) -> None:
        self.local = ranks

    def rows(self, numbers: Any) -> list[list[float]]:
        return [[float(each)] for each in self.local]


@pytest.mark.parametrize(
    ("shard", "replicas", "shape"),
    [
        (None, None, (2, 8)),
        (4, None, (4, 4)),
        (None, 16, (16, 1)),
        (16, 1, (1, 16)),
    ],
)
def test_a_node_holds_a_copy_unless_told_otherwise(
    shard: int | None, replicas: int | None, shape: tuple[int, int]
) -> None:
    parallelism = ParallelismConfig(shard=shard, replicas=replicas)
    assert mesh_shape(parallelism, _alone(16, 8), _Nodes(*[8] * 16)) == shape


@pytest.mark.parametrize(
    ("shard", "replicas", "message"),
    [
        (3, None, "shard 3, but there are 5 ranks"),
        (None, 6, "replicas 6, but there are 5 ranks"),
        (8, 2, "shard 8, replicas 2, but there are 5 ranks"),
        (None, None, r"different numbers of ranks \(\[2, 3\]\).*set `parallelism.shard: 5`"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    shard: int | None, replicas: int | None, message: str
) -> None:
    parallelism = ParallelismConfig(shard=shard, replicas=replicas)
    with pytest.raises(ConfigError, match=message):
        mesh_shape(parallelism, _alone(5, 3), _Nodes(3, 3, 3, 2, 2))


def _refused(here: World, names: list[str]) -> list[str]:
    said = []
    for name in names:
        try:
            build(config(Case(Path(name))), here, Control())
        except ConfigError as error:
            said.append(str(error))
    return said


def test_what_is_no_causal_language_model_is_refused(llama: Path, tmp_path: Path) -> None:
    empty, other, less = tmp_path / "empty", tmp_path / "t5", tmp_path / "less"
    empty.mkdir()
    T5Config().save_pretrained(other)
    shutil.copytree(llama, less)
    model = AutoModelForCausalLM.from_pretrained(llama)
    weights = model.state_dict()
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, less / "model.safetensors", {"format": "pt"})
    names = [str(tmp_path / "nowhere"), str(empty), str(other), str(less)]
    (said,) = world.run(1, _refused, names)
    expected = [
        "nowhere`: there is no such directory on this node",
        "empty`: the directory has no config.json",
        "t5`: a t5 is no causal language model",
        "less`: the files lack 1 of the model's weights, model.layers.1.self_attn.q_proj.weight",
    ]
    assert len(said) == 4
    for text, part in zip(said, expected, strict=True):
        assert part in text


def _built(here: World, path: Path, shapes: list[tuple[int, int]]) -> list[dict[str, Any]]:
    answers = []
    for shape in shapes:
        built = build(config(Case(path, *shape)), here, Control())
        causal: Any = built.model.get_base_model()
        whole = {name: each.full_tensor().detach() for name, each in built.trainable.items()}
        start = checks.digest(whole)
        fill(built.trainable)
        ids = torch.arange(3, 40)[None]
        answers.append(
            {
                "place": built.place,
                "start": start,
                "shapes": {name: tuple(each.shape) for name, each in whole.items()},
                "random": float(torch.rand(())),
                "logits": causal.eval()(input_ids=ids).logits.detach().numpy().copy(),
                "weights": {
                    name: each.full_tensor().detach().numpy().copy()
                    for name, each in built.trainable.items()
                },
                "mode": (built.model.training, causal.config.use_cache),
                "sharded": isinstance(causal.model.embed_tokens.weight, DTensor),
                "adapter_config": built.adapter_config(),
            }
        )
    return answers


def test_every_mesh_builds_the_same_model(llama: Path) -> None:
    first, second = world.run(2, _built, llama, [(2, 1), (1, 2)])
    (alone,) = world.run(1, _built, llama, [(1, 1)])[0]
    answers = [alone, *first, *second]
    assert len({answer["start"] for answer in answers}) == 1
    assert {answer["mode"] for answer in answers} == {(True, False)}
    assert [answer["sharded"] for answer in first] == [False, True]
    places = [(each["place"].shard, each["place"].replica) for each in [*first, *second]]
    assert places == [(0, 0), (0, 0), (0, 1), (1, 0)]
    assert first[0]["random"] != second[0]["random"]  # dropout differs between ranks
    for answer in answers:
        assert answer["logits"] == pytest.approx(alone["logits"], abs=1e-5)


def test_what_is_saved_is_an_adapter_of_peft(llama: Path, tmp_path: Path) -> None:
    (built,) = world.run(1, _built, llama, [(1, 1)])[0]
    lora = LoraConfig(r=3, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    plain = get_peft_model(AutoModelForCausalLM.from_pretrained(llama), lora)
    theirs = get_peft_model_state_dict(plain)
    assert built["shapes"] == {name: tuple(each.shape) for name, each in theirs.items()}

    (tmp_path / "adapter_config.json").write_bytes(built["adapter_config"])
    weights = {name: torch.tensor(each) for name, each in built["weights"].items()}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    written = json.loads(built["adapter_config"])
    assert (written["base_model_name_or_path"], written["inference_mode"]) == (str(llama), True)
    causal = AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(causal, tmp_path).eval()
    logits = loaded(input_ids=torch.arange(3, 40)[None]).logits.detach().numpy()
    assert (logits == built["logits"]).all()


_M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""


class _Peak(threading.Thread):
    """The most memory of its own that this process has had: what no file stands behind, in bytes.

    Mapped pages of the model's files are the kernel's cache, are shared, and go when memory is
    short; those that were read count as resident all the same, in pages of 2 MiB.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.start_bytes = self.highest = self._now()
        self.ended = False

    def run(self) -> None:
        while not self.ended:
            self.highest = max(self.highest, self._now())
            time.sleep(0.002)

    @staticmethod
    def _now() -> int:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return int(found[1]) * 1024


def _growth(here: World, small: Path, large: Path) -> tuple[int, int]:
    # A model of real size has tensors of more than 32 MB, which malloc gives back when they are
    # freed; here it has to be told to.
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)
    settings = {"dtype": "bfloat16"}
    control = Control()
    build(config(Case(small, 1, here.world_size, settings=settings)), here, control)
    peak = _Peak()
    peak.start()
    built = build(config(Case(large, 1, here.world_size, settings=settings)), here, control)
    peak.ended = True
    peak.join()
    pieces = [cast("Any", each).to_local() for each in built.model.parameters()]
    return peak.highest - peak.start_bytes, sum(piece.nbytes for piece in pieces)


@pytest.mark.proof
def test_a_rank_needs_hardly_more_memory_than_its_shard(tmp_path: Path) -> None:
    from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

    small = tiny.model("glm4_moe", tmp_path)
    large = tmp_path / "large"  # 540 MB
    shape = Glm4MoeConfig.from_pretrained(small).to_dict() | {
        "vocab_size": 16000,
        "hidden_size": 512,
        "intermediate_size": 1536,
        "moe_intermediate_size": 1024,
        "n_routed_experts": 16,
        "num_hidden_layers": 12,
        "head_dim": 64,
    }
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        Glm4MoeForCausalLM(Glm4MoeConfig(**shape)).save_pretrained(large)
    finally:
        torch.set_default_dtype(before)
    for growth, own in world.run(4, _growth, small, large):
        assert growth < 1.3 * own, f"{growth / own:.2f} times a shard of {own} bytes"
