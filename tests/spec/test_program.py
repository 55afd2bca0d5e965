"""The config of slurmkit's own programs is checked with the job, by the program's model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from slurmkit.spec.errors import SpecError
from slurmkit.spec.load import replace
from slurmkit.spec.program import config_model, program_config, programs
from slurmkit.spec.warnings import missing_paths, warnings
from tests.spec.jobs import job, refused, the_problem

TINY = "model: {name_or_path: 'tiny:llama'}, data: {dataset_path: 'tiny:9'}"
ALL = "name: x\nentrypoint: {module: slurmkit.train.all_reduce, config: {%s}}\n"
FINETUNE = "name: x\nentrypoint: {module: slurmkit.train.finetune, config: {%s}}\n"
GUIDE = """\
name: guide
resources: {nodes: 2, gpus_per_node: 8}
entrypoint:
  module: slurmkit.train.finetune
  config:
    model:
      name_or_path: zai-org/GLM-4.5-Air
    data:
      dataset_path: data/train.jsonl
      max_length: 16384
    training:
      num_train_epochs: 3
      learning_rate: 1e-4
      per_device_train_batch_size: 1
      gradient_accumulation_steps: 8
      eval_dataset_type: subset
      eval_subset_size: 200
      eval_steps: 50
      checkpoint_mode: lite
      save_steps: 100
      save_total_limit: 3
    lora:
      r: 64
      lora_alpha: 128
      target_modules: [q_proj, k_proj, v_proj, o_proj]
"""


def finetune(text: str) -> str:
    return FINETUNE % f"{TINY}, {text}"


def test_each_program_has_its_model() -> None:
    assert programs() == ["slurmkit.train.all_reduce", "slurmkit.train.finetune"]
    assert [config_model(module).__name__ for module in programs()] == [
        "AllReduceConfig",
        "FinetuneConfig",
    ]


def test_the_guides_config_works_field_for_field() -> None:
    config = program_config(job(GUIDE))
    assert config.model.name_or_path == "zai-org/GLM-4.5-Air"
    assert (config.data.dataset_path, config.data.max_length) == ("data/train.jsonl", 16384)
    training = config.training.model_dump(exclude_unset=True)
    assert training == {
        "num_train_epochs": 3,
        "learning_rate": 1e-4,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "eval_dataset_type": "subset",
        "eval_subset_size": 200,
        "eval_steps": 50,
        "checkpoint_mode": "lite",
        "save_steps": 100,
        "save_total_limit": 3,
    }
    assert (config.lora.r, config.lora.lora_alpha) == (64, 128)
    assert config.lora.target_modules == ("q_proj", "k_proj", "v_proj", "o_proj")


@pytest.mark.parametrize(
    ("text", "path", "fix"),
    [
        (ALL % "dtyp: float32", "dtyp", "did you mean dtype?"),
        (ALL % "dtype: float3", "dtype", "did you mean float32?"),
        (ALL % "factor: 1", "factor", "write 2 or more"),
        (ALL % "iterations: '5'", "iterations", "write 5 without quotes"),
        (ALL % "sizes: 4096", "sizes", "write [4096]"),
        (ALL % "sizes: [4096, 0]", "sizes[1]", "write more than 0"),
        (ALL % "json: 3", "json", "put it in quotes"),
        (ALL % "sizes: [3]", "", "use multiples of 4"),
        (ALL % "min_size: 2048, max_size: 1024", "", "swap them"),
        (finetune("training: {learning_rat: 1}"), "training.learning_rat", "mean learning_rate?"),
        (finetune("learning_rate: 1"), "learning_rate", "entrypoint.config.training.learning_rate"),
        (finetune("lora: {lora_r: 1}"), "lora.lora_r", "did you mean r?"),
        (finetune("lora: {qqq: 1}"), "lora.qqq", "remove it; fields here are r, lora_alpha"),
        (finetune("training.seed: 1"), r"training.seed", "write seed under `training:`"),
        (finetune("training: {seed:1: null}"), "training.seed:1", "a space after the colon"),
        (finetune("training: {save_steps: 0}"), "training.save_steps", "write more than 0"),
        (finetune("training: {warmup_ratio: 2}"), "training.warmup_ratio", "write 1.0 or less"),
        (finetune("training: {checkpoint_mode: ful}"), "training.checkpoint_mode", "mean full?"),
        (finetune("training: 3"), "training", "indented, such as `num_train_epochs:`"),
        (finetune("lora: {target_modules: q_proj}"), "lora.target_modules", "write [q_proj]"),
        (finetune("lora: {target_modules: all-linear}"), "lora.target_modules", "[all-linear]"),
        (finetune("lora: {target_modules: [all-linear]}"), "lora.target_modules", "name the modul"),
        (finetune("parallelism: {shard: 8}"), "parallelism", "leave parallelism out"),
        (finetune("parallelism: {replicas: 2}"), "parallelism", "leave parallelism out"),
        (finetune("model: {name_or_path: a, dtype: fp8}"), "model.dtype", "bfloat16 or float32"),
        (FINETUNE % "model: {name_or_path: a}", "data", "add `data: {dataset_path: …}` under"),
        (FINETUNE % "model: {}, data: {dataset_path: a}", "model.name_or_path",
         "add `name_or_path:` under `entrypoint.config.model:`"),
        (finetune("training: {learning_rate: '${env:LR}'}"), "training.learning_rate", "--set"),
        (finetune("logging: {tensorboard: '${env:T}'}"), "logging.tensorboard", "--set"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_field_and_the_fix(text: str, path: str, fix: str) -> None:
    text = text.replace(f"{{{TINY}, model:", "{data: {dataset_path: a}, model:")
    problem = the_problem(text)
    assert problem.path == f"entrypoint.config.{path}".rstrip(".")
    assert fix in (problem.fix or ""), problem
    assert problem.place.line == 2


def test_a_whole_error() -> None:
    text = GUIDE.replace("learning_rate: 1e-4", "learning_rat: 1e-4").replace("r: 64", "r: 0")
    assert "\n".join(map(str, refused(text))) == (
        "job.yaml:13:7: entrypoint.config.training.learning_rat: unknown field\n"
        "    value:    0.0001\n"
        "    fix:      did you mean learning_rate?\n"
        "job.yaml:23:7: entrypoint.config.lora.r: wrong value\n"
        "    value:    0\n"
        "    expected: more than 0\n"
        "    fix:      write more than 0"
    )


@pytest.mark.parametrize("end", ["", ", config: {}"])
def test_a_config_that_must_not_be_left_out(end: str) -> None:
    problems = refused(f"name: x\nentrypoint: {{module: slurmkit.train.finetune{end}}}\n")
    assert [problem.path for problem in problems] == [
        "entrypoint.config.model",
        "entrypoint.config.data",
    ]
    assert {problem.place.line for problem in problems} == {2}


def test_what_is_no_mistake() -> None:
    job("name: x\nentrypoint: {module: slurmkit.train.all_reduce}\n")
    job("name: x\nentrypoint: {module: slurmkit.train.finetune, args: [--config, a.yaml]}\n")
    job(ALL % "dtype: '${env:DTYPE}', sizes: [4096], json: '${env:OUT}/a.json'")
    job(FINETUNE % "model: {name_or_path: '${env:MODEL}'}, data: {dataset_path: '${env:D}'}")
    job("name: x\nentrypoint: {module: my.train, config: {dtyp: 1}}\n")
    job("name: x\nentrypoint: {script: slurmkit.train.finetune, config: {dtyp: 1}}\n")


def test_a_program_that_there_is_not() -> None:
    problem = the_problem("name: x\nentrypoint: {module: slurmkit.train.finetun}\n")
    assert (problem.path, problem.fix) == (
        "entrypoint.module",
        "did you mean slurmkit.train.finetune?",
    )


def test_set_profile_and_replace_are_told_by_their_origin() -> None:
    (problem,) = refused(finetune("lora: {r: 4}"), overrides=["entrypoint.config.lora.r=-1"])
    assert str(problem.place) == "--set entrypoint.config.lora.r"
    Path("site.yaml").write_text("name: y\nentrypoint:\n  config:\n    lora: {rr: 1}\n")
    (problem,) = refused(FINETUNE % TINY, profile="./site.yaml")
    assert str(problem.place).endswith("site.yaml:4:12")
    with pytest.raises(SpecError, match=r"lora\.r: wrong value"):
        replace(job(FINETUNE % TINY), {"entrypoint": {"config": {"lora": {"r": 0}}}})


def test_a_secret_among_unknown_fields_is_not_shown() -> None:
    assert the_problem(finetune("hf_token: hf_sekret")).value is None


def test_a_config_of_another_shape_than_the_job() -> None:
    text = (
        finetune("parallelism: {shard: 8, replicas: 4}") + "resources: {nodes: 2, gpus_per_node: 8}"
    )
    problem = the_problem(text)
    assert problem.what == "shard 8, replicas 4, but there are 16 ranks"
    job(text.replace("replicas: 4", "replicas: 2"))
    job(text.replace(", replicas: 4", ""))
    job(text.replace("shard: 8, replicas: 4", "replicas: 16"))


SWEEP = finetune("training: {learning_rate: 1e-4, seed: 1}, lora: {r: 8}") + "sweep:\n"


@pytest.mark.parametrize(
    ("line", "path", "at", "what"),
    [
        ("training.learning_rate: [1e-4, -1]", "[1]", "-1", "wrong value"),
        ("training.seed: [1, 2, x]", "[2]", "x]", "wrong type"),
        ("lora: [{r: 8}, {rank: 8}]", "[1].rank", "rank", "unknown field"),
        ("lora: [{r: 8}, 3]", "[1]", "3", "wrong type"),
    ],
)
def test_each_swept_value_is_checked_in_its_place(line: str, path: str, at: str, what: str) -> None:
    field, line = line.partition(":")[0], f"  entrypoint.config.{line}"
    problem = the_problem(f"{SWEEP}{line}\n")
    assert problem.path == f"sweep.entrypoint.config.{field}{path}"
    assert (problem.place.line, problem.place.column) == (4, line.index(at) + 1), problem
    assert problem.what == what


def test_each_point_of_a_sweep_is_checked_as_a_whole() -> None:
    text = ALL % "dtype: float32, sizes: [4]" + (
        "sweep:\n  entrypoint.config.dtype: [float32, bfloat16]\n"
        "  entrypoint.config.sizes: [[8], [6]]\n"
    )
    problem = the_problem(text)
    assert problem.path == "sweep.entrypoint.config.sizes[1]"
    assert problem.what == (
        "6 bytes hold no whole number of float32 (with entrypoint.config.dtype: 'float32')"
    )
    assert problem.fix == "use multiples of 4"
    job(text.replace("[6]", "[12]"))


def test_what_is_wrong_at_every_point_is_told_once() -> None:
    text = finetune("training: {seed: 1}, lora: {rank: 8}")
    problem = the_problem(text + "sweep: {entrypoint.config.training.seed: [1, 2, 3]}\n")
    assert problem.path == "entrypoint.config.lora.rank"


def test_the_swept_value_alone_counts_not_what_it_replaces() -> None:
    job(ALL % "dtype: none" + "sweep: {entrypoint.config.dtype: [float32]}\n")


def test_a_swept_module_is_checked_with_the_config() -> None:
    text = ALL % "dtype: float32" + (
        "sweep: {entrypoint.module: [slurmkit.train.all_reduce, slurmkit.train.finetune, m]}\n"
    )
    assert {problem.path for problem in refused(text)} == {
        "entrypoint.config.dtype",
        "entrypoint.config.model",
        "entrypoint.config.data",
    }


@pytest.mark.parametrize(
    ("config", "requeue", "found"),
    [
        ("training: {checkpoint_mode: lite}", "requeue: {}", ["checkpoint_mode", "save_steps"]),
        ("training: {save_steps: 9}", "requeue: {}", []),
        ("training: {seed: 1}", "requeue: {}", ["save_steps"]),
        ("training: {seed: 1}", "", []),
        ("training: {resume: never, save_steps: 9}", "requeue: {}", ["resume"]),
        ("training: {checkpoint_mode: lite, save_steps: 9}", "", []),
    ],
)
def test_what_is_probably_not_meant(config: str, requeue: str, found: list[str]) -> None:
    told = [text for text in warnings(job(finetune(config) + requeue)) if "entrypoint" in text]
    assert [text.partition(":")[0] for text in told] == [
        f"entrypoint.config.training.{field}" for field in found
    ]


def test_warnings_of_a_sweep_are_those_of_its_first_point() -> None:
    text = finetune("training: {seed: 1}") + "requeue: {}\nsweep:\n  entrypoint.config.training: "
    swept = "[{save_steps: 2, checkpoint_mode: lite}, {}]"
    assert len([t for t in warnings(job(text + swept)) if "checkpoint_mode: lite" in t]) == 1


def test_data_that_is_not_here_is_told() -> None:
    assert missing_paths(job(GUIDE)) == [
        ("entrypoint.config.data.dataset_path", Path("data/train.jsonl"))
    ]
    assert not missing_paths(job(FINETUNE % TINY))
    text = FINETUNE % "model: {name_or_path: ./m}, data: {dataset_path: '${env:D}/a'}"
    assert missing_paths(job(text)) == [("entrypoint.config.model.name_or_path", Path("m"))]


def test_only_a_job_that_names_a_program_imports_its_model_and_none_imports_torch() -> None:
    Path("mine.yaml").write_text("name: x\nentrypoint: {module: my.train, config: {a: 1}}\n")
    Path("ours.yaml").write_text(GUIDE)
    program = (
        "import sys\nfrom slurmkit.spec.load import load\n"
        "from slurmkit.spec.warnings import warnings\n"
        "from slurmkit.render.script import render\n"
        "for name in ('mine.yaml', 'ours.yaml'):\n"
        "    job = load(name); warnings(job); render(job)\n"
        "    print(sorted(m for m in sys.modules if m.startswith('slurmkit.train.')),\n"
        "          {'torch', 'transformers', 'peft'} & {*sys.modules})\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert ran.stdout == (
        "[] set()\n['slurmkit.train.finetune', 'slurmkit.train.finetune.config'] set()\n"
    )
