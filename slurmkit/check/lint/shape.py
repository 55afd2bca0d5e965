"""What a launch comes to on the job's nodes: agents, processes, and what is left open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slurmkit.check.lint.job import Job, gpu_count
from slurmkit.check.script.launches import Launch, LaunchOption, around
from slurmkit.check.script.shell import Command
from slurmkit.check.script.variables import expand, resolve
from slurmkit.check.script.words import Piece, Word

NODE_RANKS = frozenset({"SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID"})
"""Variables that differ from task to task, and are 0 in the batch script."""
_NODES = ("nnodes", "num-machines", "num-nodes", "num_nodes")
_ADDRESSES = ("master-addr", "main-process-ip")
_ARGUMENTS = re.compile(
    r"ARG|OPT|FLAG|PARAM|CONF|LAUNCH|DIST|CMD|COMMAND|EXTRA|RDZV|TORCHRUN|^[@*]$|^\d$",
    re.IGNORECASE,
)
_PROGRAMS = re.compile(r"SCRIPT|FILE|PROG|MAIN|PY|ENTRY|EXE|TRAIN|PATH|DIR|ROOT|MODULE|HOME", re.I)
_TASK_OF_NODE = re.compile(r"SLURM_(LOCALID|PROCID|NODEID)|LOCAL_RANK|\bRANK\b")


def is_many(job: Job, launch: Launch) -> bool | None:
    """Tell whether a launch runs on several nodes at once; None where that is not known."""
    nodes = step_nodes(job, launch)
    return None if nodes is None else nodes > 1


def step_nodes(job: Job, launch: Launch) -> int | None:
    """Return the nodes of the step that a launch runs in; None where they are not known."""
    if launch.through == "ssh":
        return 1
    if launch.through == "mpirun":
        return said_nodes(job)
    if launch.srun is None or launch.srun_command is None:
        return 1 if not launch.through else None
    command = launch.srun_command
    for name in ("nodelist", "relative"):
        option = launch.srun_option(name)
        if option is not None and name == "nodelist" and "," not in (option.value or ","):
            return 1
    option = launch.srun_option("nodes")
    if option is not None:
        return srun_number(job, launch, "nodes")
    tasks = launch.srun_option("ntasks")
    if tasks is not None and tasks.value == "1":
        return 1
    is_loop = bool(command.context.loops) and command.context.in_background
    return None if is_loop else said_nodes(job)


def srun_number(job: Job, launch: Launch, name: str) -> int | None:
    """Return an option of the launch's srun as a number; None where it is not known."""
    option, command = launch.srun_option(name), launch.srun_command
    if option is None or command is None:
        return None
    return job.count(option, command.order, command.context)


def said_nodes(job: Job) -> int | None:
    """Return the nodes that the directives themselves ask for; None where they do not say."""
    return job.nodes if job.value("nodes") is not None else None


def launcher_nodes(job: Job, launch: Launch) -> int | None:
    """Return the node count that a launcher is given; None where it is not, or not known."""
    return launch.number(*_NODES, known=job.numbers)


def node_option(launch: Launch) -> LaunchOption | None:
    """Return the option that tells a launcher the number of nodes."""
    return launch.option(*_NODES)


def elastic(job: Job, launch: Launch) -> tuple[int, int] | None:
    """Return least and most of `--nnodes=1:4`."""
    option = node_option(launch)
    if option is None:
        return None
    text = resolve(option.value, launch.command.order, launch.command.context, job.numbers)
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text or "")
    return (int(match[1]), int(match[2])) if match else None


def processes_per_node(job: Job, launch: Launch) -> int | None:
    """Return the processes that a launcher starts on a node; None where that is not known."""
    known = job.numbers
    if launch.kind == "accelerate":
        total = launch.number("num-processes", known=known)
        nodes = launcher_nodes(job, launch) if node_option(launch) else 1
        return total // nodes if total and nodes and total % nodes == 0 else None
    if launch.kind == "deepspeed":
        return launch.number("num-gpus", known=known)
    return launch.number("nproc-per-node", known=known)


def step_gpus(job: Job, launch: Launch) -> int | None:
    """Return the GPUs that a launch's step has on a node; None where they are not known."""
    if launch.srun is not None:
        for name in ("gpus-per-node", "gres", "gpus-per-task", "gpus", "tres-per-node"):
            option = launch.srun_option(name)
            if option is None or ("gres" in name and "gpu" not in (option.value or "")):
                continue
            command = launch.srun_command
            assert command is not None
            count = job.count(option, command.order, command.context)
            if count is None:
                count = gpu_count(option.value or "") if "$" not in (option.value or "$") else None
            if count is None:
                return None
            if name == "gpus-per-task":
                tasks = job.step_tasks_per_node(launch)
                return count * tasks if tasks else None
            if name == "gpus":
                nodes = step_nodes(job, launch)
                return count // nodes if nodes and count % nodes == 0 else None
            return count
    return job.gpus_per_node


def is_open(launch: Launch) -> bool:
    """Tell whether a launcher's options may hold more than is read: `torchrun $ARGS train.py`."""
    if launch.command.node.has_error:  # not read as bash reads it
        return True
    return launch.program is not None and _hides_options(launch.program)


def _hides_options(word: Word) -> bool:
    first = word.pieces[0] if word.pieces else None
    if first is None or first.kind == "text" or len(word.pieces) > 1:
        return False
    if first.kind != "variable":
        return True
    if first.text in ("@", "*") or first.operation.startswith("["):
        return True
    if _PROGRAMS.search(first.text) and not _ARGUMENTS.search(first.text):
        return False
    return _ARGUMENTS.search(first.text) is not None or not first.is_quoted


def address_option(launch: Launch) -> LaunchOption | None:
    """Return the option that names the master's address."""
    return launch.option(*_ADDRESSES)


def backend(launch: Launch) -> str:
    """Return the rendezvous backend: `static` where none is given, empty where it is not known."""
    if launch.option("rdzv-backend") is None:
        return "static"
    return launch.text("rdzv-backend") or ""


def has_variable(job: Job, launch: Launch, name: str) -> bool:
    """Tell whether a variable has any value where a launch runs."""
    commands = (command for command, _ in around(job.script, launch.command))
    return name in job.names_given or any(v.name == name for c in commands for v in c.variables)


def may_hold_more(job: Job, launch: Launch) -> bool:
    """Tell whether srun's options may hold more than is read: `srun $OPTIONS torchrun`."""
    if launch.srun is None or launch.srun_command is None:
        return False
    layers = job.script.layers[launch.srun_command]
    known = {id(origin) for option in launch.srun.options for origin in option.origins}
    words = layers.words[layers.srun_at + 1 : layers.at]
    return any(id(w) not in known and w.pieces and w.pieces[0].kind == "variable" for w in words)


def asks_which_task(launch: Launch) -> bool:
    """Tell whether a launch stands in a branch that looks at the task's number."""
    at: Command | None = launch.command
    while at is not None:
        if at.context.blocks:
            node = at.node.parent
            while node is not None:
                if node.type in ("if_statement", "case_statement", "list", "while_statement"):
                    body = node.child_by_field_name("condition") or node.children[0]
                    text = (body.text or b"").decode(errors="replace")
                    head = text if node.type != "if_statement" else _condition(node)
                    if _TASK_OF_NODE.search(head):
                        return True
                node = node.parent
        at = at.shell.starter
    return False


def _condition(node: object) -> str:
    text: bytes = getattr(node, "text", b"") or b""
    return text.partition(b"then")[0].decode(errors="replace")


def reading(word: Word | None, launch: Launch) -> list[Word]:
    """Return the words that an option's value becomes, with the variables put in that are known."""
    if word is None:
        return []
    return expand(word, launch.command.order, launch.command.context)


def pieces(word: Word | None, launch: Launch) -> Iterator[Piece]:
    """Return the pieces of an option's value, followed through the assignments."""
    for part in reading(word, launch):
        yield from part.pieces
