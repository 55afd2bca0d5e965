"""Whole jobs for hypothesis, full of text that breaks careless quoting."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

NASTY = [
    "", " ", "-", "--", "-n", " a", "a ", "a b", "*", "?", "&x", "!x", "%x", "@x", "`x`",
    "#x", "a #b",
    "a: b", "a:", ": a", "[a", "{a}", "]", "'", '"', "'\"'", "\\", "|", ">", ">-", "---",
    "...", "=",
    "<<", "null", "~", "true", "yes", "on", "off", "y", "N", "010", "0o17", "0x1F", "1_000", "1e-4",
    "1e5", "1.", ".5", ".", "+.inf", ".nan", "12:00:00", "190:20:30", "2001-01-01", "0b1",
    "2001-01-01 00:00:00", "$HOME", "$${x}", "$(id)", "`id`", "%j", "\n", "\n\n", "a\n",
    "\na", "a\nb",
    "a\n\n b\n", " \n", "a \nb", "\r\n", "a\rb", "\t", "\ta", "a\tb",
    "\x01\x1b[1m\x7f", "日本語", "é",
    "e\u0301", "\U0001f600", "\u2028", "a\u2028b", "\u0085", "\ufeff", "\xa0", "\ufffe", "x" * 500,
]  # fmt: skip

_CONTROL = "".join(map(chr, range(32))) + "\x7f"
_ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)

TEXT = st.one_of(st.sampled_from(NASTY), _ANY)
"""Any text that a program can receive."""
NODE_TEXT = st.one_of(
    TEXT.map(lambda text: text.replace("${", "$${")),
    st.sampled_from(["${env:HOME}", "a${env:A:-b c}d", "$${env:A}"]),
)
LINE = TEXT.map(lambda text: "".join(c for c in text if c not in _CONTROL).replace("${env:", ""))
WORD = LINE.map(lambda text: text[:200]).filter(bool)
PATH = st.one_of(
    WORD.map(lambda text: text.lstrip("~").replace("${", "") or "a"),
    st.sampled_from(["~", "~/a b", "${env:HOME}/x", "/a/b"]),
)
SCALAR = st.one_of(
    NODE_TEXT,
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=False),
)
CONFIG = st.dictionaries(
    TEXT,
    st.recursive(
        SCALAR,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
VARIABLE = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,10}\Z")
NAME = st.from_regex(r"\A[a-z][a-z0-9_.]{0,8}\Z")


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


RESOURCES = _some(
    nodes=st.integers(1, 4096),
    gpus_per_node=st.sampled_from([0, 1, 8]),
    cpus_per_node=_maybe(st.integers(1, 256)),
    memory_per_node=_maybe(st.sampled_from(["0", "500G", "1024", "3T"])),
    time=_maybe(st.sampled_from(["90", "12:00:00", "1-12", "2-03:04:05", "UNLIMITED"])),
    partition=_maybe(NAME),
    account=_maybe(NAME),
    constraint=_maybe(st.sampled_from(["a100", "a&b", "[rack1|rack2]"])),
    exclusive=st.booleans(),
    exclude=_maybe(st.sampled_from(["n1", "rack[1-2]node[03-10,12]"])),
)
LAUNCHER = _some(
    rendezvous=st.sampled_from(["static", "c10d"]),
    restarts=st.integers(0, 5),
    srun=st.just({"cpu-bind": "cores"}),
    port=st.one_of(st.just("auto"), st.integers(1024, 32767)),
    join_timeout=_maybe(st.integers(1, 7200)),
)
PYTHON = st.one_of(
    st.fixed_dictionaries({"venv": PATH}),
    st.fixed_dictionaries({"conda": PATH.filter(lambda text: not text.startswith("-"))}),
    st.fixed_dictionaries({"python": PATH}),
    st.fixed_dictionaries({"modules": st.lists(WORD, min_size=1, max_size=2)}),
)
ENVIRONMENT = st.builds(
    dict.__or__,
    _some(
        setup=st.lists(LINE, max_size=2),
        variables=st.dictionaries(VARIABLE.map(str.lower), NODE_TEXT, max_size=3),
        network_interface=_maybe(WORD),
        **{"pass": st.lists(VARIABLE.map(str.upper).map("P_".__add__), max_size=2)},
    ),
    PYTHON,
)
MOUNT = PATH.filter(lambda path: not re.search(r"[,\s]", path))
CONTAINER = st.fixed_dictionaries(
    {"runtime": st.sampled_from(["pyxis", "apptainer"]), "image": PATH},
    optional={"mounts": st.lists(MOUNT, max_size=2)},
)
ENTRYPOINT = st.one_of(
    st.fixed_dictionaries(
        {"module": WORD},
        optional={"args": st.lists(NODE_TEXT, max_size=4), "config": _maybe(CONFIG)},
    ),
    st.fixed_dictionaries(
        {"script": PATH}, optional={"args": st.lists(NODE_TEXT, max_size=4), "config": CONFIG}
    ),
    st.fixed_dictionaries(
        {"command": st.lists(NODE_TEXT, min_size=1, max_size=4).filter(lambda words: words[0])}
    ),
)
REQUEUE = _some(
    when=st.lists(st.sampled_from(["time_limit", "preemption", "node_failure"]), max_size=3),
    lead_time=st.integers(60, 600),
    max_requeues=st.integers(0, 20),
)
SITE = _some(
    slurm_version=_maybe(st.sampled_from(["22.05", "24.11.3"])),
    gpu_request=st.sampled_from(["gpus-per-node", "gres"]),
    gpu_types=st.dictionaries(WORD, st.integers(1, 16), max_size=2),
    host_suffix=st.sampled_from(["", "-ib", "i"]),
    port_range=st.just([15000, 16000]),
    price_per_gpu_hour=_maybe(st.floats(0, 100)),
)
_CHECKS = st.lists(st.sampled_from(["hosts", "gpus", "data"]), min_size=1, max_size=3)
PREFLIGHT = st.one_of(
    _CHECKS,
    _some(
        checks=_CHECKS,
        data=st.lists(PATH, max_size=2),
        storage=st.lists(PATH, max_size=2),
        free_space=st.sampled_from(["0", "500G"]),
        timeout=st.integers(1, 900),
        on_failure=st.sampled_from(["stop", "warn"]),
    ),
)
_PLAIN_JOBS = st.fixed_dictionaries(
    {
        "name": WORD,
        "profile": st.just("none"),
        "environment": ENVIRONMENT,
        "entrypoint": ENTRYPOINT,
    },
    optional={
        "resources": RESOURCES,
        "sbatch": _some(comment=WORD, switches=st.sampled_from(["1", "1@10:00"])),
        "launcher": LAUNCHER,
        "container": _maybe(CONTAINER),
        "requeue": _maybe(REQUEUE),
        "preflight": _maybe(PREFLIGHT),
        "depends_on": _some(afterok=st.just(["1234", "5_6"]), after=st.just(["7+10"])),
        "hosts": st.lists(st.sampled_from(["10.0.1.100", "me@node-1"]), max_size=2),
        "site": SITE,
    },
)


@st.composite
def swept(draw: st.DrawFn, job: dict[str, Any]) -> dict[str, Any]:
    """Give a job with, half of the time, a sweep over what it has."""
    entry = job["entrypoint"]
    fields: dict[str, st.SearchStrategy[Any]] = {}
    if entry.get("config"):
        names = sorted(name for name in entry["config"] if name and "." not in name)
        names = [name for name in names if not set(_CONTROL) & set(name) and "${env:" not in name]
        fields |= {f"entrypoint.config.{name}": SCALAR for name in names}
    elif "command" not in entry:
        fields["entrypoint.config"] = CONFIG
    if "command" in entry:
        words = st.lists(NODE_TEXT, min_size=1, max_size=4).filter(lambda words: words[0])
        fields["entrypoint.command"] = words
    else:
        fields["entrypoint.args"] = st.lists(NODE_TEXT, max_size=3)
    fields |= {"entrypoint.script": PATH} if "script" in entry else {}
    variables = job.get("environment", {}).get("variables", {})
    fields |= {f"environment.variables.{name}": NODE_TEXT for name in variables}
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True))
    if not chosen or draw(st.booleans()):
        return job
    values = {name: st.lists(fields[name], min_size=1, max_size=3) for name in chosen}
    limit = draw(st.sampled_from([{}, {"sweep_limit": 2}]))
    return {**job, "sweep": draw(st.fixed_dictionaries(values)), **limit}


JOBS = _PLAIN_JOBS.flatmap(swept)
"""Jobs as plain data, correct by construction."""
