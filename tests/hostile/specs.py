"""Whole jobs for hypothesis: all parts at once, valid ones and ones meant to break something."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from slurmkit.slurm.options import Tool, load_options
from slurmkit.slurm.scalars import parse_version
from slurmkit.spec.reserved import reserved
from tests.hostile.texts import HOSTILE_NUMBER, HOSTILE_TEXT
from tests.spec import strategies as some

Data = dict[str, Any]
Strategy = st.SearchStrategy[Any]

_VARIABLE = some.VARIABLE.map(lambda name: f"_{name}" if reserved(name) else name)
_WORD = st.one_of(some.WORD, st.sampled_from(["a b", "it's", '"', "$(id)", "#", "\\", "%j", "é"]))
_PATH = some.PATH.filter(lambda path: not path.startswith("~") or path in ("~", "~/a b"))
_RELEASES = ("20.11", "22.05", "23.02.7", "24.11.5", "25.11", "26.05")
_SETUP = st.sampled_from(
    ["ulimit -c 0", "export X='a b'", 'echo "$HOME" > /dev/null', ": é # why", "true &&\n  true"]
)
_INDICES = st.sampled_from(["node1", "n1,n2", "rack[1-2]node[03-10,12]", "a[1-3,7]b"])


def _choice(*values: object) -> Strategy:
    return st.sampled_from(values)


def _optional(**fields: Strategy) -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries({}, optional=fields)


def _options(tool: Tool, version: str) -> Strategy:
    """Give options of a tool as its table has them, with any text where a value belongs."""
    release = parse_version(version)
    values: dict[str, Strategy] = {}
    for name, option in load_options().items():
        use = option.use(tool)
        past = [c.kind for c in use.history if not c.since or parse_version(c.since) <= release]
        kind = past[-1] if past else "removed"
        if kind == "removed" or use.why or (use.field and not use.field.startswith("gpu:")):
            continue
        text = _WORD.map(lambda word: word.replace("gpu", "x"))
        flag = _choice("true", "false")
        values[name] = flag if kind == "none" else text if kind == "required" else flag | text
    if tool == "sbatch":
        values["export"] = _choice("ALL", "NONE", "ALL,X=a b")
    names = st.lists(st.sampled_from(sorted(values)), max_size=4, unique=True)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: values[name] for name in chosen})
    )


_RESOURCES = _optional(
    nodes=st.integers(1, 65535),
    gpus_per_node=_choice(0, 1, 4, 8),
    processes_per_node=_choice(None, 1, 2, 8),
    gpu_type=_choice(None, "a100", "h200_141gb"),
    cpus_per_node=_choice(None, 1, 72, 65535),
    memory_per_node=_choice(None, "0", "500G", "1024", "3T", "512MB"),
    memory_per_cpu=_choice(None, "4G", "100"),
    time=_choice(None, "90", "30:00", "12:00:00", "1-12", "2-03:04:05", "UNLIMITED"),
    partition=_choice(None, "gpu", "gpu,big", "été"),
    account=_choice(None, "me", "proj.x"),
    qos=_choice(None, "normal"),
    constraint=_choice(None, "a100", "a&b", "[rack1|rack2]", "[a*2&b*3]"),
    reservation=_choice(None, "maint"),
    exclusive=st.booleans(),
    exclude=st.none() | _INDICES,
)
_LAUNCHER = _optional(
    kind=_choice("torchrun", "srun", "accelerate"),
    rendezvous=_choice("static", "c10d"),
    restarts=_choice(0, 0, 1, 100),
    port=_choice("auto", 1024, 32767),
    options=st.dictionaries(
        _choice("monitor-interval", "log-dir", "use_fsdp", "config_file"),
        some.NODE_TEXT | st.just("true"),
        max_size=2,
    ),
)
_CONTAINER = st.one_of(
    st.fixed_dictionaries(
        {"runtime": st.just("pyxis"), "image": some.PATH},
        optional={
            "mounts": st.lists(some.MOUNT, max_size=2),
            "options": st.lists(some.NODE_TEXT.map("--container-x=".__add__), max_size=2),
        },
    ),
    st.fixed_dictionaries(
        {"runtime": _choice("apptainer", "singularity"), "image": some.PATH},
        optional={
            "mounts": st.lists(some.MOUNT, max_size=2),
            "options": st.lists(some.NODE_TEXT.map("--x=".__add__), max_size=2),
        },
    ),
)
_ENVIRONMENT = _optional(
    modules=st.lists(_WORD, max_size=2),
    setup=st.lists(_SETUP, max_size=2),
    variables=st.dictionaries(_VARIABLE, some.NODE_TEXT, max_size=3),
    network_interface=st.none() | _WORD,
    **{"pass": st.lists(some.VARIABLE.map("P_".__add__), max_size=2)},
)
_PYTHON: Strategy = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"venv": _PATH}),
    st.fixed_dictionaries({"conda": _PATH.filter(lambda text: not text.startswith("-"))}),
    st.fixed_dictionaries({"python": _PATH}),
)
_REQUEUE = _optional(
    when=st.lists(_choice("time_limit", "preemption", "node_failure"), max_size=3),
    by=_choice("script", "program"),
    lead_time=st.integers(60, 600),
    max_requeues=_choice(0, 1, 65535),
)
_SITE = _optional(
    gpu_request=_choice("gpus-per-node", "gres"),
    gpu_types=_choice({}, {"a100": 8, "h200_141gb": 8}),
    host_suffix=_choice("", "-ib", "i", ".cluster.example"),
    port_range=_choice([15000, 31999], [1024, 1024]),
    price_per_gpu_hour=st.none() | st.floats(0, 100),
)
_DEPENDS = _optional(
    afterok=_choice(["1234", "5_6"]), after=_choice(["7+10"]), aftercorr=_choice(["8"])
)


@st.composite
def valid_jobs(draw: st.DrawFn) -> Data:
    """Give a job as plain data, correct by construction, with all that the render room takes."""
    version = draw(_choice(None, *_RELEASES))
    job = {
        "name": draw(_WORD | some.WORD),
        "profile": "none",
        "resources": draw(_RESOURCES),
        "sbatch": draw(_options("sbatch", version or "22.05")),
        "launcher": draw(_LAUNCHER) | {"srun": draw(_options("srun", version or "22.05"))},
        "environment": draw(_ENVIRONMENT) | draw(_PYTHON),
        "container": draw(st.none() | _CONTAINER),
        "entrypoint": draw(some.ENTRYPOINT),
        "requeue": draw(st.none() | _REQUEUE),
        "depends_on": draw(_DEPENDS),
        "site": draw(_SITE) | {"slurm_version": version},
    }
    _agree(job)
    return draw(some.swept(job))


def _agree(job: Data) -> None:
    """Take out what contradicts something else in the job."""
    resources, launcher, requeue = job["resources"], job["launcher"], job["requeue"]
    gpus = resources.get("gpus_per_node", 0)
    if not gpus:
        resources.pop("gpu_type", None)
    if gpus and (resources.get("processes_per_node") or 0) > gpus:
        resources.pop("processes_per_node")
    if resources.get("memory_per_node") is not None:
        resources.pop("memory_per_cpu", None)
    if resources.get("exclusive"):
        job["sbatch"].pop("oversubscribe", None)
    if job["environment"].get("pass"):
        job["sbatch"].pop("export", None)
    if launcher.get("kind") == "srun":
        launcher.pop("rendezvous", None)
        launcher.pop("options", None)
        if (resources.get("cpus_per_node") or 99) < (resources.get("processes_per_node") or gpus):
            resources.pop("cpus_per_node")
    elif requeue is not None:
        requeue.pop("by", None)
    if requeue is not None and requeue.get("by") == "program":
        launcher.pop("restarts", None)


FREE_PLACES = [
    ("name",), ("sbatch", "comment"), ("sbatch", "mail-user"), ("sbatch", "chdir"),
    ("launcher", "srun", "cpu-bind"), ("environment", "venv"), ("environment", "network_interface"),
    ("environment", "modules", 0), ("environment", "variables", "A"),
    ("environment", "variables", "B"), ("entrypoint", "module"), ("entrypoint", "args", 0),
    ("entrypoint", "args", 1), ("entrypoint", "config", "a"), ("entrypoint", "config", "b"),
    ("resources", "account"), ("resources", "partition"), ("container", "mounts", 0),
    ("launcher", "options", "log-dir"),
]  # fmt: skip
"""Where nearly any text may stand."""
STRICT_PLACES = [
    ("profile",), ("template",), ("resources", "time"), ("resources", "memory_per_node"),
    ("resources", "constraint"), ("resources", "nodelist"), ("resources", "exclude"),
    ("resources", "gpu_type"), ("resources", "nodes"), ("resources", "gpus_per_node"),
    ("resources", "cpus_per_node"), ("launcher", "kind"), ("launcher", "port"),
    ("launcher", "restarts"), ("launcher", "options", "x"), ("environment", "conda"),
    ("environment", "python"),
    ("environment", "pass", 0), ("environment", "variables"), ("container", "runtime"),
    ("container", "image"), ("container", "options", 0), ("entrypoint",),
    ("entrypoint", "command", 0), ("requeue", "lead_time"),
    ("requeue", "max_requeues"), ("depends_on", "afterok", 0), ("hosts", 0),
    ("site", "slurm_version"), ("site", "host_suffix"), ("site", "port_range", 0),
    ("site", "port_range", 1), ("site", "gpu_types", "a"), ("site", "price_per_gpu_hour"),
    ("sweep", "name"), ("sweep", "entrypoint.args", 0), ("sweep", "entrypoint.config", 0),
    ("sweep", "environment.variables.A", 0), ("sweep", "entrypoint.module", 0),
    ("sweep_limit",), ("preflight", 0),
]  # fmt: skip
"""Where few values may stand."""


@st.composite
def hostile_jobs(draw: st.DrawFn) -> Data:
    """Give a job with hostile values in it: about half of them are valid all the same."""
    job: Data = {"name": "x", "profile": "none", "entrypoint": {"module": "m"}}
    for place in draw(st.lists(st.sampled_from(FREE_PLACES), max_size=2, unique=True)):
        _put(job, place, draw(HOSTILE_TEXT))
    if draw(st.booleans()):
        value: Strategy = st.one_of(HOSTILE_TEXT, HOSTILE_NUMBER, st.builds(list), st.builds(dict))
        for place in draw(st.lists(st.sampled_from(STRICT_PLACES), max_size=2, unique=True)):
            _put(job, place, draw(value))
    if draw(st.booleans()):
        key = draw(HOSTILE_TEXT)
        _put(job, ("entrypoint", "config", key), draw(HOSTILE_TEXT))
    return job


def _put(job: Data, place: tuple[str | int, ...], value: object) -> None:
    """Put a value into the job, making what lies above it."""
    here: Any = job
    for part, following in pairwise(place):
        below: Any = [] if isinstance(following, int) else {}
        here = here.setdefault(part, below) if isinstance(here, dict) else below
    if isinstance(here, list):
        here.append(value)
    elif isinstance(here, dict):
        here[place[-1]] = value
