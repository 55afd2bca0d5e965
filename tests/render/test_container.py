"""Scripts that start containers, run with stand-ins for the runtimes; see `runtimes`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slurmkit.render.script import render
from slurmkit.spec.model import JobSpec
from tests.render import runtimes
from tests.render.test_arrival import NASTY, Machine, literal

RUNTIMES = ("pyxis", "apptainer", "singularity")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Return a machine with all the runtimes and an image."""
    machine = Machine(tmp_path_factory.mktemp("host"))
    for name in ("apptainer", "singularity"):
        runtimes.write_apptainer(machine.bin, name)
    (machine.bin / "srun").rename(machine.bin / "srun.real")
    runtimes.write_pyxis(machine.bin, str(machine.bin / "srun.real"))
    path = f"{machine.bin}:/usr/bin:/bin"
    runtimes.write_image(machine.folder / "image", path, NCCL_DEBUG="WARN", TORCH_HOME="/opt/torch")
    return machine


def job(runtime: str, **container: Any) -> dict[str, Any]:
    return {
        "container": {"runtime": runtime, "image": "~/image", **container},
        "entrypoint": {"module": "m"},
    }


def run(host: Machine, job: dict[str, Any], **variables: str) -> dict[str, Any]:
    received = host.run(job, **variables)
    assert received["environment"]["INSIDE"] == str(host.folder / "image")
    return received


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_hostile_text_arrives_in_the_container(host: Machine, runtime: str) -> None:
    variables = {f"V{index}": literal(text) for index, text in enumerate(NASTY)}
    nasty = job(runtime)
    nasty["entrypoint"]["args"] = [literal(text) for text in NASTY]
    nasty["environment"] = {"variables": variables}
    got = run(host, nasty)
    assert got["args"] == ["-m", "m", *NASTY]
    assert [got["environment"][f"V{index}"] for index in range(len(NASTY))] == NASTY


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_the_job_sets_wins_over_the_image(host: Machine, runtime: str) -> None:
    wanted = job(runtime)
    wanted["environment"] = {"variables": {"NCCL_DEBUG": "INFO", "A": "${env:TORCH_HOME}/a"}}
    got = run(host, wanted, TORCH_HOME="/home/me", PLAIN="from outside")["environment"]
    assert (got["NCCL_DEBUG"], got["PYTHONUNBUFFERED"]) == ("INFO", "1")
    assert got["A"] == "/opt/torch/a", "read in the container, where the image's value wins"
    assert got["PLAIN"] == "from outside"
    assert got["MASTER_ADDR"] == "localhost"
    assert got["SLURMKIT_RUN_DIR"] == str(host.work / "runs/arrival/7")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_mounts_and_options_are_understood(host: Machine, runtime: str) -> None:
    (host.folder / "data").mkdir(exist_ok=True)
    option = "--no-container-mount-home" if runtime == "pyxis" else "--writable-tmpfs"
    mounts = ["~/data", "~/data:/data:ro", "${env:HOME}/data:/again", "/usr"]
    run(host, job(runtime, mounts=mounts, options=[option]))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"mounts": ["/no/such"]}, "mount source /no/such doesn't exist"),
        ({"image": "./nowhere"}, "no image ./nowhere"),
        ({"options": ["--container-typo"]}, "unknown flag|unrecognized option"),
    ],
)
def test_what_the_runtime_refuses_fails_the_job(
    host: Machine, runtime: str, container: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        host.run(job(runtime, **container))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_venv_of_the_image(host: Machine, runtime: str) -> None:
    venv = host.folder / "venv/bin"
    venv.mkdir(parents=True, exist_ok=True)
    if not (venv / "python3").exists():
        (venv / "python3").symlink_to(host.bin / "python3")
    got = run(host, {**job(runtime), "environment": {"venv": "~/venv"}})["environment"]
    assert got["VIRTUAL_ENV"] == str(venv.parent)
    assert got["PATH"].startswith(f"{venv}:")
    with pytest.raises(AssertionError, match="no Python in the venv /no/such on "):
        host.run({**job(runtime), "environment": {"venv": "/no/such"}})


@pytest.mark.parametrize(
    ("gpus", "options", "expected"),
    [(0, [], []), (2, [], ["nv"]), (2, ["--rocm"], ["rocm"]), (2, ["--nvccli"], ["nvccli"])],
)
def test_gpus_are_handed_into_the_container(
    host: Machine, gpus: int, options: list[str], expected: list[str]
) -> None:
    wanted = {**job("apptainer", options=options), "resources": {"gpus_per_node": gpus}}
    got = json.loads(run(host, wanted)["environment"]["OPTIONS"])
    assert [name for name, _ in got if name in {"nv", "rocm", "nvccli"}] == expected


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ("train.sqsh", "./train.sqsh"),
        ("images/train.sqsh", "./images/train.sqsh"),
        ("/images/train.sqsh", "/images/train.sqsh"),
        ("~/train.sqsh", '"$HOME"/train.sqsh'),
        ("nvcr.io#nvidia/pytorch:25.01-py3", "'nvcr.io#nvidia/pytorch:25.01-py3'"),
    ],
)
def test_pyxis_takes_a_file_for_a_file(image: str, word: str) -> None:
    spec = JobSpec.model_validate({"name": "n", **job("pyxis", image=image)})
    assert f"--container-image={word} \\\n" in render(spec)


def test_without_conda_in_the_image_the_job_does_not_run_under_another_python(
    host: Machine,
) -> None:
    job_ = {**job("apptainer"), "environment": {"conda": "train"}}
    with pytest.raises(AssertionError, match="no conda in the container"):
        host.run(job_, CONDA_EXE="/host/conda")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_master_is_the_jobs_and_not_the_images(host: Machine, runtime: str) -> None:
    path = f"{host.bin}:/usr/bin:/bin"
    image = host.folder / f"with-a-master-{runtime}"
    runtimes.write_image(image, path, MASTER_ADDR="other", MASTER_PORT="61000")
    got = host.run(job(runtime, image=str(image)))["environment"]
    assert (got["MASTER_ADDR"], got["MASTER_PORT"]) == ("localhost", "15007")
