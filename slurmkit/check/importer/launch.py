"""The launch line into `launcher` and `entrypoint`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from slurmkit.check.importer import names
from slurmkit.check.importer.directives import asked_tasks, int_of, node_count
from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import HOME, Values, World
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, LaunchOption, reads_python
from slurmkit.check.script.layers import is_python, program_name
from slurmkit.check.script.variables import expand
from slurmkit.check.script.words import Word, joined
from slurmkit.spec.reserved import reserved_option

_KINDS = {
    "torchrun": "torchrun",
    "torch.distributed.launch": "torchrun",
    "deepspeed": "torchrun",
    "accelerate": "accelerate",
    "direct": "srun",
}
_MEETING = ("rdzv_endpoint", "master_addr", "main_process_ip")
_FOLLOWS = "it follows from the allocation"
_LOGS = "slurmkit keeps a log file a rank"
_OF_LOGS = ("tee", "t", "redirects", "r", "log-dir", "role", "local-ranks-filter",
            "logs-specs", "log-line-prefix-template")  # fmt: skip
_SILENT = (
    "m",
    "module",
    "no-python",
    "standalone",
    "use-env",
    "no-local-rank",
    "multi-gpu",
    "multi-cpu",
    "tpu",
)


def processes_per_node(job: Job, launch: Launch) -> int:
    """Return how many processes of the program run on a node."""
    if launch.kind == "direct":
        a_gpu = int_of(job.value("ntasks-per-gpu"))
        if launch.srun is None:
            return _of_mpirun(job, launch) if launch.through == "mpirun" else 1
        if a_gpu and job.gpus_per_node and job.value("ntasks-per-node") is None:
            return a_gpu * job.gpus_per_node
        return job.step_tasks_per_node(launch) or _step_tasks(job, launch)
    known = World(job.nodes or 1, job.gpus_per_node or 1).known
    if job.tasks_per_node:
        known["SLURM_NTASKS_PER_NODE"] = job.tasks_per_node
    if launch.kind == "accelerate":
        total = launch.number("num-processes", known=known)
        machines = launch.number("num-machines", known=known)
        if total:
            return max(1, total // (machines or job.nodes or 1))
    given = launch.number("nproc-per-node", "num-gpus", known=known)
    return given or job.gpus_per_node or 1


def _of_mpirun(job: Job, launch: Launch) -> int:
    """`mpirun -np 8`: how many processes a node that is."""
    words = [word.literal for word in launch.layers.words[: launch.at]]
    for before, count in pairwise(words):
        if before in ("-np", "-n", "--np") and int_of(count):
            return max(1, int_of(count) // (node_count(job) or 1))
    return asked_tasks(job)


def _step_tasks(job: Job, launch: Launch) -> int:
    """Return how many tasks a node a step has, where the directives leave the nodes to Slurm."""
    tasks, command = launch.srun_option("ntasks"), launch.srun_command
    if tasks is None or command is None:
        return asked_tasks(job)
    count = job.count(tasks, command.order, command.context)
    return max(1, count // (node_count(job) or 1)) if count else asked_tasks(job)


def read_launch(
    job: Job, launch: Launch, draft: Draft, values: Values, prelude: Sequence[str]
) -> None:
    """Put the launch where it belongs.

    Args:
        job: The script.
        launch: The launch that is the training.
        draft: The job file in the making.
        values: How words are written.
        prelude: Lines of bash that each process runs before the program.
    """
    line = job.script.source.place(launch.span.start)[0]
    kind = _KINDS[launch.kind]
    if kind != "torchrun":
        draft.put("launcher", "kind", kind)
    is_old = launch.kind in ("deepspeed", "torch.distributed.launch")
    if is_old and launch.option("use-env", "no-local-rank") is None:
        lost = "--local_rank is no argument any more, the program reads LOCAL_RANK"
        draft.note(line, "changed", launch.kind, f"started by torchrun: {lost}")
    count = processes_per_node(job, launch)
    if job.gpus_per_node and count > job.gpus_per_node:
        why = f"{count} processes a node for {job.gpus_per_node} GPUs: a job file has one a GPU"
        draft.note(line, "changed", launch.command.source.splitlines()[0], why)
    elif count != (job.gpus_per_node or 1):
        draft.put("resources", "processes_per_node", count)
    _nodes(job, draft, launch, line)
    _options(job, draft, launch, values, line)
    _interpreter(draft, launch)
    _program(draft, launch, values, line, prelude)


def _nodes(job: Job, draft: Draft, launch: Launch, line: int) -> None:
    """A launch over some of the nodes: a job file's runs on all of them."""
    text = launch.text("nnodes", "num-machines") or ""
    if ":" in text:
        low, _, high = text.partition(":")
        if low != high:
            why = "elastic: slurmkit starts on all nodes at once"
            draft.note(line, "changed", f"--nnodes={text}", why)
    elif 0 < int_of(text) < (job.nodes or 0):
        why = f"the job has {job.nodes} nodes, and slurmkit starts on all: set resources.nodes"
        draft.note(line, "changed", f"{text} nodes", why)
    nodes, command = launch.srun_option("nodes"), launch.srun_command
    if nodes is not None and command is not None and not command.context.loops:
        count = job.count(nodes, command.order, command.context)
        if count and job.nodes and count < job.nodes:
            why = f"the job has {job.nodes} nodes, and slurmkit starts on all: set resources.nodes"
            draft.note(line, "changed", f"srun on {count} of the nodes", why)


def _options(job: Job, draft: Draft, launch: Launch, values: Values, line: int) -> None:
    kind = _KINDS[launch.kind]
    for option in launch.options:
        shown = joined(option.words)
        name = option.name.replace("-", "_")
        if name == "rdzv_backend":
            text = launch.text("rdzv-backend")
            if text == "c10d" and launch.kind == "torchrun" and (job.nodes or 2) > 1:
                draft.put("launcher", "rendezvous", "c10d")
        elif name == "max_restarts":
            _restarts(draft, launch, shown, line)
        elif option.name in _OF_LOGS:
            draft.note(line, "dropped", shown, _LOGS)
        elif option.name in _SILENT:
            continue
        elif launch.kind == "deepspeed":
            draft.note(line, "dropped", shown, _FOLLOWS)
        elif name in _MEETING and option.value is not None:
            _host_suffix(draft, option.value, launch, line)
        elif reserved_option(kind, name) is None:
            draft.set("launcher", "options", name, _value(option, launch, values))


def _host_suffix(draft: Draft, value: Word, launch: Launch, line: int) -> None:
    """`--rdzv_endpoint=${node}i:29500`: names on another network."""
    words = expand(value, launch.command.order, launch.command.context)
    for before, piece in pairwise(words[0].pieces if len(words) == 1 else ()):
        found = names.SUFFIX.match(piece.text) if piece.kind == "text" else None
        if found and before.kind != "text" and not draft.get("site", "host_suffix"):
            draft.put("site", "host_suffix", found[1])
            draft.note(
                line, "changed", value.shown, "site.host_suffix: all nodes meet by these names"
            )


def _restarts(draft: Draft, launch: Launch, shown: str, line: int) -> None:
    restarts = launch.number("max-restarts")
    if restarts:
        draft.put("launcher", "restarts", restarts)
        why = "launcher.restarts starts all processes again, over all nodes"
        draft.note(line, "moved", shown, why)


def _value(option: LaunchOption, launch: Launch, values: Values) -> str | bool:
    if option.value is None:
        return True
    return " ".join(values.texts([option.value], launch.command))


def _interpreter(draft: Draft, launch: Launch) -> None:
    """A path to python or torchrun says which environment it is."""
    text = launch.layers.words[launch.at].literal or ""
    if "/" in text and re.search(r"/bin/(python[\d.]*|torchrun|accelerate|deepspeed)$", text):
        draft.put("environment", "python", f"{text.rpartition('/')[0]}/python3")


def _program(
    draft: Draft, launch: Launch, values: Values, line: int, prelude: Sequence[str]
) -> None:
    launch = _behind_options(draft, launch, line)
    if launch.program is None:
        draft.note(line, "changed", joined(launch.layers.words[launch.at :]), "starts no program")
        return
    without_python = any(option.name == "no-python" for option in launch.options)
    if launch.is_launcher and _is_python(launch.program) and launch.arguments:
        launch, without_python = _behind_python(launch), False
    by_python = launch.is_launcher or starts_python(launch.layers.words[launch.at])
    begin = launch.layers.words[launch.at]
    is_alone = not launch.is_launcher and launch.program is begin and _is_python(begin)
    by_python &= not (without_python or is_alone)
    assert launch.program is not None
    program = " ".join(values.texts([launch.program], launch.command))
    if not program:  # `python "$@"`: nobody knows
        program = "${env:ARG_1}"
        why = "the program is one of sbatch's own arguments: set ARG_1 under environment.variables"
        draft.note(line, "changed", launch.program.shown, why)
    elif program in ("source", "."):
        program = "bash"
        draft.note(line, "changed", "source", "as a program of its own, no part of the script")
    values.needs_shell &= any(piece.kind == "substitution" for piece in launch.program.pieces)
    arguments = values.texts(launch.arguments, launch.command)
    if values.needs_shell or prelude:
        _by_bash(draft, launch, values, line, prelude, by_python=by_python)
        return
    flags = [flag for flag in launch.python_options if flag not in ("-u", "-m")]
    if not by_python:
        draft.put("entrypoint", "command", [program, *arguments])
    elif flags:
        module = ["-m"] if launch.is_module else []
        draft.put("entrypoint", "command", ["python3", *flags, *module, program, *arguments])
    else:
        if program.startswith(f"{HOME}/") and not launch.is_module:
            program = f"~/{program.removeprefix(f'{HOME}/')}"
        draft.put("entrypoint", "module" if launch.is_module else "script", program)
        if arguments:
            draft.put("entrypoint", "args", arguments)


def _behind_options(draft: Draft, launch: Launch, line: int) -> Launch:
    """`torchrun $OPTIONS train.py`, where the script sets OPTIONS in a branch: no program."""
    word = launch.program
    if not launch.is_launcher or word is None or not launch.arguments or not _holds_options(word):
        return launch
    why = "options of the launcher, as the script sets it: write launcher.options"
    draft.note(line, "changed", word.shown, why)
    return replace(launch, program=launch.arguments[0], arguments=launch.arguments[1:])


def _holds_options(word: Word) -> bool:
    """Tell whether a word is a variable without quotes that comes to options, or to nothing."""
    piece = word.pieces[0] if len(word.pieces) == 1 else None
    if piece is None or piece.kind != "variable" or piece.is_quoted:
        return False
    given = piece.shell.assignments.get(piece.text, ())
    begins = [
        one.value.pieces[0].text for one in given if one.value is not None and one.value.pieces
    ]
    return bool(begins) and all(begin.lstrip().startswith("-") for begin in begins)


def _is_python(word: Word) -> bool:
    return is_python(program_name(word))


def _behind_python(launch: Launch) -> Launch:
    """`torchrun … python -u train.py`: the program is train.py."""
    words, flags = launch.arguments, []
    while len(words) > 1 and (words[0].literal or "").startswith("-") and words[0].literal != "-m":
        flags.append(words[0].shown)
        words = words[1:]
    is_module = words[0].literal == "-m" and len(words) > 1
    words = words[1:] if is_module else words
    return replace(
        launch, program=words[0], arguments=tuple(words[1:]), is_module=is_module,
        python_options=tuple(flags),
    )  # fmt: skip


def _by_bash(  # noqa: PLR0913  the parts of a command line
    draft: Draft, launch: Launch, values: Values, line: int, prelude: Sequence[str], *,
    by_python: bool,
) -> None:  # fmt: skip
    """A variable without quotes that may be empty, or several words: bash has to read it."""
    assert launch.program is not None
    words = values.line([launch.program, *launch.arguments], launch.command)
    python = "python3 " if by_python else ""
    flags = "".join(f"{flag} " for flag in launch.python_options if flag not in ("-u", "-m"))
    module = "-m " if launch.is_module else ""
    run = f"exec {python}{flags}{module}{words}"
    lists = [f'eval "{name}=(${name})"' for name in dict.fromkeys(values.lists)]
    between = "\n" if any("\n" in line for line in prelude) else "; "
    draft.put("entrypoint", "command", ["bash", "-c", between.join([*prelude, *lists, run])])
    if not prelude:
        why = "by bash: a variable without quotes comes to no word where it is empty"
        draft.note(line, "changed", "the program", why)


def starts_python(word: Word) -> bool:
    """Tell whether a direct launch is that of a Python program."""
    name = program_name(word)
    return is_python(name) or name.endswith(".py") or reads_python(word)
