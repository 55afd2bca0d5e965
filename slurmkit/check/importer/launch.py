"""The launch line into `launcher`, `container` and `entrypoint`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import Values
from slurmkit.check.lint.job import Job
from slurmkit.check.script.launches import Launch, LaunchOption, reads_python
from slurmkit.check.script.layers import is_python, program_name
from slurmkit.check.script.words import Word, joined
from slurmkit.spec.reserved import reserved_option

_KINDS = {
    "torchrun": "torchrun",
    "torch.distributed.launch": "torchrun",
    "deepspeed": "torchrun",
    "accelerate": "accelerate",
    "direct": "srun",
}
_AUTO = ("gpu", "auto", "cpu")
_FOLLOWS = "it follows from the allocation"
_OWN_OPTIONS = {
    "torchrun": ("m", "module", "no-python", "tee", "t", "redirects", "r", "log-dir", "standalone"),
    "deepspeed": (),
    "accelerate": ("m", "module", "no-python", "multi-gpu", "tpu", "main-training-function"),
}
_SRUN_SAME = ("nodes", "ntasks", "ntasks-per-node", "cpus-per-task", "nodelist", "gpus-per-node",
              "gres", "gpus", "gpus-per-task", "export", "jobid", "job-name", "output", "error",
              "label", "unbuffered", "kill-on-bad-exit", "wait", "relative", "time", "mem",
              "partition", "account", "overlap", "exclusive", "exact", "mem-per-cpu", "verbose",
              "quiet", "input", "chdir")  # fmt: skip
_RUNTIMES = ("apptainer", "singularity")
_BINDS = ("--bind", "-B")


def processes_per_node(job: Job, launch: Launch | None) -> int:
    """Return how many processes of the program run on a node."""
    if launch is None:
        return 1
    if launch.kind == "direct":
        if launch.srun is None:
            return 1
        return job.step_tasks_per_node(launch) or 1
    if launch.kind == "accelerate":
        total, machines = launch.number("num-processes"), launch.number("num-machines")
        if total:
            return max(1, total // (machines or job.nodes or 1))
    names = ("nproc-per-node", "num-gpus")
    given = launch.number(*names)
    return given or job.gpus_per_node or 1


def read_launch(job: Job, launch: Launch, draft: Draft, values: Values) -> None:
    """Put the launch where it belongs."""
    line = job.script.source.place(launch.span.start)[0]
    kind = _KINDS[launch.kind]
    if kind != "torchrun":
        draft.put("launcher", "kind", kind)
    if launch.kind in ("deepspeed", "torch.distributed.launch"):
        lost = "--local_rank is no argument any more, the program reads LOCAL_RANK"
        draft.note(line, "changed", launch.kind, f"started by torchrun: {lost}")
    count = processes_per_node(job, launch)
    if count != (job.gpus_per_node or 1):
        draft.put("resources", "processes_per_node", count)
    _options(draft, launch, values, line)
    _srun(draft, launch, line)
    _container(draft, launch, values, line)
    _interpreter(draft, launch)
    _program(draft, launch, values, line)


def _options(draft: Draft, launch: Launch, values: Values, line: int) -> None:
    kind = _KINDS[launch.kind]
    own = _OWN_OPTIONS.get(kind, ())
    for option in launch.options:
        shown = joined(option.words)
        name = option.name.replace("-", "_")
        if name == "rdzv_backend":
            if launch.text("rdzv-backend") == "c10d" and launch.kind == "torchrun":
                draft.put("launcher", "rendezvous", "c10d")
        elif name == "max_restarts":
            restarts = launch.number("max-restarts")
            if restarts:
                draft.put("launcher", "restarts", restarts)
                why = "launcher.restarts starts all processes again, over all nodes"
                draft.note(line, "moved", shown, why)
        elif launch.kind == "deepspeed" or option.name in own:
            if option.name not in ("m", "module", "no-python", "standalone"):
                draft.note(line, "dropped", shown, _of_launcher(launch, option))
        elif reserved_option(kind, name) is None:
            value = values.text(option.value, launch.command.order, launch.command.context) \
                if option.value is not None else True  # fmt: skip
            draft.set("launcher", "options", name, value)


def _of_launcher(launch: Launch, option: LaunchOption) -> str:
    if launch.kind == "deepspeed":
        return _FOLLOWS
    return "slurmkit keeps a log file a rank" if option.name[0] in "trl" else _FOLLOWS


def _srun(draft: Draft, launch: Launch, line: int) -> None:
    from slurmkit.slurm.options import OptionError, check_option

    if launch.srun is None:
        if launch.through:
            why = "srun starts the processes, as steps of the job"
            draft.note(line, "changed", launch.through, why)
        return
    for option in launch.srun.options:
        shown = f"--{option.name}" + (f"={option.value}" if option.value is not None else "")
        if option.name.startswith("container-"):
            continue
        if option.problem:
            draft.note(line, "changed", shown, "srun has no such option; a plugin of the site may")
        elif option.name not in _SRUN_SAME:
            value: str | bool = True if option.value is None else option.value
            try:
                check_option("srun", option.name, value)
            except OptionError as error:
                draft.note(line, "dropped", shown, str(error))
                continue
            draft.set("launcher", "srun", option.name, value)
        elif option.name in ("output", "error", "label", "unbuffered", "time", "mem", "chdir",
                             "input"):  # fmt: skip
            why = "slurmkit keeps a log file a rank" if option.name[0] in "oelu" else "of the step"
            kind = "dropped" if option.name[0] in "oelu" else "changed"
            draft.note(line, kind, shown, why)  # type: ignore[arg-type]


def _container(draft: Draft, launch: Launch, values: Values, line: int) -> None:
    if launch.srun is not None and launch.srun_command is not None:
        for option in launch.srun.options:
            word = option.origins[-1]
            if not option.name.startswith(("container-", "no-container-")):
                continue
            text = values.text(word, launch.srun_command.order, launch.srun_command.context)
            text = text.partition("=")[2] if len(option.origins) == 1 else text
            draft.put("container", "runtime", "pyxis")
            if option.name == "container-image":
                draft.put("container", "image", text)
            elif option.name == "container-mounts":
                draft.put("container", "mounts", text.split(","))
            elif option.name != "container-workdir":
                said = f"--{option.name}" + (f"={text}" if text else "")
                draft.add("container", "options", [said])
    for at, word in enumerate(launch.layers.words[: launch.at]):
        name, words = program_name(word), launch.layers.words[at + 1 : launch.at]
        if name in _RUNTIMES:
            _apptainer(draft, name, words, values, launch)
        elif name in ("docker", "podman", "shifter", "enroot"):
            why = f"slurmkit has no {name}: write container: with pyxis or apptainer"
            draft.note(line, "changed", joined((word, *words)), why)


def _apptainer(
    draft: Draft, runtime: str, words: Sequence[Word], values: Values, launch: Launch
) -> None:
    texts = values.texts(words, launch.command)
    draft.put("container", "runtime", runtime)
    at = 1 if texts and texts[0] in ("exec", "run") else 0
    while at < len(texts) and texts[at].startswith("-"):
        name, equals, value = texts[at].partition("=")
        if name in _BINDS:
            if not equals:
                at += 1
                value = texts[at] if at < len(texts) else ""
            draft.add("container", "mounts", value.split(","))
        elif name in ("--pwd", "--cwd"):
            at += 0 if equals else 1
        elif name not in ("--nv", "--rocm"):
            draft.add("container", "options", [texts[at]])
            takes = name in ("--env", "--overlay", "--home", "-H", "--workdir", "-W", "--scratch")
            if takes and not equals and at + 1 < len(texts):
                at += 1
                draft.add("container", "options", [texts[at]])
        at += 1
    if at < len(texts):
        draft.put("container", "image", texts[at])


def _interpreter(draft: Draft, launch: Launch) -> None:
    """A path to python or torchrun says which environment it is."""
    text = launch.layers.words[launch.at].literal or ""
    if "/" in text and re.search(r"/bin/(python[\d.]*|torchrun|accelerate|deepspeed)$", text):
        draft.put("environment", "python", f"{text.rpartition('/')[0]}/python3")


def _program(draft: Draft, launch: Launch, values: Values, line: int) -> None:
    if launch.program is None:
        draft.note(line, "changed", joined(launch.layers.words[launch.at :]), "starts no program")
        return
    program = " ".join(values.texts([launch.program], launch.command))
    values.needs_shell = False
    arguments = values.texts(launch.arguments, launch.command)
    if values.needs_shell:
        _by_bash(draft, launch, values, line)
        return
    if launch.kind == "direct" and not starts_python(launch.layers.words[launch.at]):
        draft.put("entrypoint", "command", [program, *arguments])
        return
    without_python = any(option.name == "no-python" for option in launch.options)
    if without_python:
        if arguments and re.fullmatch(r"python[\d.]*", program.rpartition("/")[2]):
            arguments = [a for a in arguments if a != "-u"]
            program, arguments = arguments[0], arguments[1:]
        else:
            draft.put("entrypoint", "command", [program, *arguments])
            return
    flags = [flag for flag in launch.python_options if flag not in ("-u", "-m")]
    if flags:
        module = ["-m"] if launch.is_module else []
        draft.put("entrypoint", "command", ["python3", *flags, *module, program, *arguments])
        return
    draft.put("entrypoint", "module" if launch.is_module else "script", program)
    if arguments:
        draft.put("entrypoint", "args", arguments)


def _by_bash(draft: Draft, launch: Launch, values: Values, line: int) -> None:
    """A variable without quotes that may be empty, or several words: bash has to read it."""
    assert launch.program is not None
    words = values.line([launch.program, *launch.arguments], launch.command)
    by_python = launch.is_launcher or starts_python(launch.layers.words[launch.at])
    by_python &= not any(option.name == "no-python" for option in launch.options)
    python = "python3 " if by_python else ""
    flags = "".join(f"{flag} " for flag in launch.python_options if flag not in ("-u", "-m"))
    module = "-m " if launch.is_module else ""
    draft.put("entrypoint", "command", ["bash", "-c", f"exec {python}{flags}{module}{words}"])
    why = "by bash: a variable without quotes comes to no word where it is empty"
    draft.note(line, "changed", "the program", why)


def starts_python(word: Word) -> bool:
    """Tell whether a direct launch is that of a Python program."""
    name = program_name(word)
    return is_python(name) or name.endswith(".py") or reads_python(word)
