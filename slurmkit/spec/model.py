"""The job file as pydantic models: every field, its meaning and its default.

Names are Slurm's and torchrun's own. The user states the shape once; tasks, world size, ranks
and ports follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from slurmkit.spec.contradictions import check_entrypoint, check_job
from slurmkit.spec.fields import (
    Code,
    Constraint,
    Host,
    Line,
    Memory,
    Names,
    NodeList,
    NodeText,
    PathText,
    Time,
    VariableName,
    Word,
)
from slurmkit.spec.part import MOST, Count, Part
from slurmkit.spec.plain import Config, Plain
from slurmkit.spec.preflight import PreflightField

if TYPE_CHECKING:
    from slurmkit.api import Job


class Resources(Part):
    """The shape of the job, and what else it asks Slurm for."""

    nodes: Count = Field(1, description="Number of nodes (machines).")
    gpus_per_node: int = Field(0, ge=0, le=MOST, description="GPUs a node; 0 makes a CPU job.")
    processes_per_node: Count | None = Field(
        None, description="Training processes a node; by default one a GPU, or 1 on CPU."
    )
    gpu_type: Word | None = Field(
        None, description="GPU type in the cluster's words, such as `a100`."
    )
    cpus_per_node: Count | None = Field(
        None, description="CPUs a node, shared by its processes; the site's default is often one."
    )
    memory_per_node: Memory | None = Field(
        None, description="Memory a node, such as `500G` (a bare number is MiB); 0 is all of it."
    )
    memory_per_cpu: Memory | None = Field(None, description="Memory a CPU, such as `4G`.")
    time: Time | None = Field(
        None, description="Time limit: `12:00:00`, `1-12` (days-hours), `90` or `90:00` (minutes)."
    )
    partition: Names | None = Field(None, description="Partition (queue), or several with commas.")
    account: Names | None = Field(None, description="Account that is charged for the hours.")
    qos: Names | None = Field(None, description="Quality of service, such as `long`.")
    constraint: Constraint | None = Field(None, description="Node features, such as `a100&ib`.")
    reservation: Names | None = Field(None, description="Reservation to run in.")
    exclusive: bool = Field(False, description="Share the nodes with no other job.")
    nodelist: NodeList | None = Field(None, description="Nodes to run on, such as `node[01-02]`.")
    exclude: NodeList | None = Field(None, description="Nodes to stay away from, such as `node07`.")


class Launcher(Part):
    """How the processes are started on the nodes."""

    kind: Literal["torchrun", "srun", "accelerate"] = Field(
        "torchrun", description="torchrun, accelerate (one agent a node) or srun (a task a GPU)."
    )
    rendezvous: Literal["static", "c10d"] = Field(
        "static", description="static: ranks in Slurm's node order, ports known; or c10d."
    )
    restarts: int = Field(
        0,
        ge=0,
        le=100,
        description="After a crash, start all processes again this often, in the same allocation.",
    )
    srun: dict[Line, Line] = Field(
        {}, description="Other srun options by their long names, such as `cpu-bind: cores`."
    )
    options: dict[Line, NodeText] = Field(
        {},
        description="Other options of torchrun or `accelerate launch` by their long names, such "
        "as `mixed_precision: bf16`; `true` for an option without a value.",
    )
    port: int | Literal["auto"] = Field(
        "auto",
        description="Port at which the processes meet; `auto` derives it from the job id.",
    )
    join_timeout: Count | None = Field(
        None,
        description="Seconds for which nodes wait for one another at the start; else 600 or more.",
    )


class Environment(Part):
    """What is loaded and set before the program starts."""

    modules: list[Word] = Field(
        [], description="Environment modules to load, in this order, such as `cuda/12.6`."
    )
    venv: PathText | None = Field(
        None, description="Python virtual environment to use, such as `~/envs/train`."
    )
    conda: PathText | None = Field(None, description="Conda environment, by name or path.")
    python: PathText | None = Field(
        None,
        description="Python whose directory goes first on PATH. Without venv, conda, modules or "
        "container slurmkit fills in the one that it runs under.",
    )
    setup: list[Code] = Field(
        [], description="Lines of bash, run on the first node before the launch. This is code."
    )
    variables: dict[VariableName, NodeText] = Field(
        {}, description="Environment variables to export, such as `NCCL_DEBUG: INFO`."
    )
    pass_: list[VariableName] = Field(
        [],
        alias="pass",
        description="Variables taken along from the submitting shell, never written down: secrets.",
    )
    network_interface: Word | None = Field(
        None, description="Interface that NCCL and gloo use, such as `ib0`."
    )


class Container(Part):
    """The container that the program runs in."""

    runtime: Literal["pyxis", "apptainer", "singularity"] = Field(
        description="pyxis (options of srun), apptainer, or singularity, its older name."
    )
    image: PathText = Field(description="Image: a file (`./train.sqsh`) or a registry's name.")
    mounts: list[PathText] = Field(
        [], description="Mounts, such as `/data:/data:ro`. The start directory is always mounted."
    )
    options: list[NodeText] = Field(
        [],
        description="Other options, a word each: of srun for pyxis (`--no-container-mount-home`), "
        "of `apptainer exec` else (`--writable-tmpfs`).",
    )


class Entrypoint(Part):
    """The program: exactly one of module, script and command."""

    module: Line | None = Field(
        None, description="Python module, run as `python -m`, such as `my.train`."
    )
    script: PathText | None = Field(None, description="Python script, such as `train.py`.")
    command: list[NodeText] | None = Field(
        None, description="Any program and its arguments, a word each: `[./a.out, --steps, 10]`."
    )
    args: list[NodeText] = Field([], description="Arguments of the module or script.")
    config: Config | None = Field(
        None, description="Becomes a YAML file, handed over as `--config FILE`."
    )

    @model_validator(mode="after")
    def _check(self) -> Entrypoint:
        check_entrypoint(self)
        return self


class Requeue(Part):
    """When and how the job puts itself back into the queue."""

    when: list[Literal["time_limit", "preemption", "node_failure"]] = Field(
        ["time_limit", "preemption", "node_failure"],
        description="Which ends the job comes back from.",
    )
    by: Literal["script", "program"] = Field(
        "script", description="Who requeues: the batch script, or the program (Lightning)."
    )
    lead_time: int = Field(
        120,
        ge=60,
        le=MOST,
        description="Seconds before the time limit at which the program is told to save, by USR1.",
    )
    max_requeues: int = Field(
        10, ge=0, le=MOST, description="Stop coming back after this many requeues."
    )


class Site(Part):
    """The cluster's own ways."""

    slurm_version: Line | None = Field(
        None,
        description="Slurm's version, such as `23.11`; options that it lacks are then refused.",
    )
    gpu_request: Literal["gpus-per-node", "gres"] = Field(
        "gpus-per-node",
        description="How the site wants GPUs requested: `--gpus-per-node`, or `--gres=gpu:…`.",
    )
    gpu_types: dict[Line, Count] = Field(
        {}, description="GPU types and how many a node has, such as `{a100: 4}`."
    )
    host_suffix: Line = Field(
        "", description="Appended to node names for the fast network, such as `-ib`."
    )
    port_range: tuple[int, int] = Field(
        (15000, 31999), strict=False, description="First and last port that jobs may use."
    )
    price_per_gpu_hour: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Price of a GPU-hour.",
    )


Via = Literal["sbatch", "submitit", "ssh", "simulate"]
"""What runs a job."""
Dependency = Literal["after", "afterany", "afternotok", "afterok", "aftercorr", "afterburstbuffer"]


class JobSpec(Part):
    """One training job: frozen and checked. `slurmkit.load` makes it from a job file."""

    name: Line = Field(
        min_length=1,
        max_length=200,
        description="Name of the job, in the queue and of its directory under `runs/`.",
    )
    profile: Line | None = Field(None, description="Profile of the cluster; `none` for no profile.")
    template: PathText | None = Field(
        None, description="Own Jinja template, whose blocks replace parts of the script."
    )
    resources: Resources = Field(Resources(), description="What the job asks Slurm for.")
    sbatch: dict[Line, Line] = Field(
        {}, description="Other sbatch options by their long names, such as `switches: 1`."
    )
    launcher: Launcher = Field(Launcher(), description="How the processes are started.")
    environment: Environment = Field(Environment(), description="What is loaded and set first.")
    container: Container | None = Field(None, description="Container to run in.")
    entrypoint: Entrypoint = Field(description="The program to run.")
    requeue: Requeue | None = Field(None, description="When the job comes back by itself.")
    preflight: PreflightField = Field(None, description="Checks of the nodes before the launch.")
    sweep: dict[Line, Annotated[list[Plain], Field(min_length=1)]] = Field(
        {},
        description="Dotted paths and the values to try. Every combination is a task of one job "
        "array. Swept may be the program's config, args, command, script, module and variables.",
    )
    sweep_limit: Count | None = Field(None, description="Array tasks of a sweep that run at once.")
    depends_on: dict[Dependency, Annotated[list[Line], Field(min_length=1)]] = Field(
        {}, description="Jobs that must come first, such as `afterok: [1234]`."
    )
    hosts: list[Host] = Field(
        [], description="Hosts to run on without Slurm, by `slurmkit launch`; the first is node 0."
    )
    site: Site = Field(Site(), description="What the cluster fixes; usually in a profile.")

    @model_validator(mode="after")
    def _check(self) -> JobSpec:
        check_job(self)
        return self

    @property
    def processes_per_node(self) -> int:
        """Training processes a node: as stated, else one a GPU, else 1."""
        resources = self.resources
        return resources.processes_per_node or resources.gpus_per_node or 1

    @property
    def world_size(self) -> int:
        """Number of training processes in the job."""
        return self.resources.nodes * self.processes_per_node

    def replace(self, changes: Mapping[str, Any] | None = None, /, **fields: Any) -> JobSpec:
        """Return this job with changes merged in, as a mapping, as keywords, or as both.

        Mappings merge key by key, lists and scalars replace: the rule of profiles and `--set`.

        Raises:
            SpecError: the result is no valid job.
        """
        from slurmkit.spec.load import replace

        return replace(self, changes or {}, fields)

    def submit(self, via: Via = "sbatch") -> Job:
        """Have this job run, and return at once.

        Raises:
            SpecError: the job cannot be run this way.
            SlurmError: Slurm refuses it, or cannot be reached.
        """
        # The one place where this room reaches up: users look for `submit` at the job they have.
        from slurmkit.api import Job

        return Job.submit(self, via=via)
