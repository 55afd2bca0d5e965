"""Rules on what a batch shell is not: interactive, a login shell, always bash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from slurmkit.check.lint.job import Job
from slurmkit.check.lint.rule import Edit, Found, rule
from slurmkit.check.lint.work import has_shebang_of_sh, is_job, statement
from slurmkit.check.script.layers import SHELLS
from slurmkit.check.script.shell import Command, Shell
from slurmkit.check.script.source import Span
from slurmkit.check.secrets import excerpt

if TYPE_CHECKING:
    from tree_sitter import Node

_CONDA = ("conda", "mamba", "micromamba")
_MODULES = re.compile(r"(?i:conda|mamba|miniforge|pytorch)|(?<![\w-])python(?![\w-])")
"""Modules that may define conda's function; EasyBuild's Python and cray-python do not."""


@rule("SK412")
def conda_without_hook(job: Job) -> Iterator[Found]:
    """`conda activate` in a shell that has no such function."""
    if not is_job(job) or b"BASH_ENV" in job.script.source.data:
        return
    seen: set[Shell] = set()
    for command in job.script.commands:
        words = [word.shown for word in command.words]
        if command.name not in _CONDA or len(words) < 2 or command.shell.where == "unknown":
            continue
        if words[1] == "init" and command.shell is job.script.batch:
            yield job.found(
                "SK412",
                command.span,
                f"`{command.name} init` writes to ~/.bashrc, which this shell does not read",
            )
        if words[1] != "activate" or command.shell in seen or command.context.is_guarded:
            continue
        seen.add(command.shell)
        hook = _hook(command)
        if hook == "none":
            yield job.found(
                "SK412",
                command.span,
                f"`{command.name} activate` needs a shell function that a batch shell does not "
                "have",
            )
        elif hook == "module":
            yield job.found(
                "SK412",
                command.span,
                f"works only where the module defines the shell function {command.name}",
                severity="info",
            )


def _hook(command: Command) -> str:
    """Return what may define conda's function before a command: none, module, or other."""
    shell: Shell | None = command.shell
    found = "none"
    while shell is not None:
        if _is_login(shell):
            return "other"
        for earlier in shell.commands:
            if earlier.order >= command.order:
                break
            kind = _defines(earlier)
            if kind == "other":
                return kind
            found = kind if kind != "none" else found
        if command.name in shell.functions:
            return "other"
        # eval and the like run in the shell itself; `bash -c` inherits no function
        starter = shell.starter
        if starter is None or starter.name not in ("eval", "trap"):
            return found
        shell = starter.shell
    return found


def _defines(command: Command) -> str:
    words = [word.shown for word in command.words]
    if command.name in ("source", "."):
        return "other"
    text = " ".join(words)
    if command.name == "eval" and re.search(r"hook|conda|mamba|\$", text):
        return "other"
    return "module" if command.name in ("module", "ml") and _MODULES.search(text) else "none"


def _is_login(shell: Shell) -> bool:
    """Tell whether a shell reads the login files, or those of an interactive one."""
    if shell.starter is None:
        words = shell.text.data.partition(b"\n")[0].decode(errors="replace").split()
    else:
        words = [word.shown for word in shell.starter.words]
        at = next((i for i, w in enumerate(words) if w.rpartition("/")[2] in SHELLS), len(words))
        words = words[at:]
    return any(re.fullmatch(r"--login|--rcfile.*|-[a-z]*[li][a-z]*", word) for word in words[1:5])


@rule("SK415")
def stripped(job: Job) -> Iterator[Found]:
    """`--export` without ALL takes the environment away."""
    option = job.given("export")
    if option is not None and _strips(option.value or ""):
        if (option.value or "").upper() in ("NONE", "NIL"):
            if _steps_inherit(job):
                return
            what = "the steps get no environment: srun reads the NONE, too"
        else:
            what = f"--export={option.value} drops all other variables, PATH among them"
        yield job.found("SK415", option.origins[0].span, what)
    for command in job.script.commands:
        srun = job.script.layers[command].srun
        given = srun.last("export") if srun is not None else None
        if given is None or command.shell.where == "unknown" or not _strips(given.value or ""):
            continue
        yield job.found(
            "SK415",
            given.origins[0].span,
            f"--export={given.value} gives this step no other variables, PATH among them",
        )


def _strips(value: str) -> bool:
    names = [part.strip() for part in value.split(",")]
    is_plain = all(re.fullmatch(r"[A-Za-z_]\w*(=.*)?", name) for name in names[:1])
    return is_plain and not any(name.upper() == "ALL" for name in names)


def _steps_inherit(job: Job) -> bool:
    """Tell whether the script undoes --export=NONE for its steps, or has none."""
    text = job.script.source.data
    if re.search(rb"^[^#\n]*\bSLURM_EXPORT_ENV\b", text, re.MULTILINE):
        return True
    sruns = [job.script.layers[c].srun for c in job.script.commands]
    return all(
        srun is None or "ALL" in ((option.value if (option := srun.last("export")) else "") or "")
        for srun in sruns
    )


@rule("SK417")
def not_bash(job: Job) -> Iterator[Found]:
    """What only bash knows, for a plain sh."""
    for shell, root in job.script.trees:
        is_batch = shell is job.script.batch
        if is_batch:
            is_plain = has_shebang_of_sh(job)
        else:
            starter = shell.starter
            words = [word.shown for word in starter.words] if starter is not None else []
            is_plain = starter is not None and any(
                word.rpartition("/")[2] in ("sh", "dash") for word in words
            )
            is_plain = is_plain and not any(
                word.rpartition("/")[2] in ("bash", "ssh") for word in words
            )
        node = _bashism(root, shell) if is_plain else None
        if node is None:
            continue
        said = shell.text.data[node.start_byte : node.end_byte].decode(errors="replace")
        yield job.found(
            "SK417",
            shell.text.span(node.start_byte, node.end_byte),
            f"`{excerpt(said, 50)}` is bash's, and "
            f"{'the first line' if is_batch else 'the command'} names sh",
            edits=_bash(job) if is_batch else (),
        )


def _bashism(root: Node, shell: Shell) -> Node | None:
    """Return the first place at which only bash understands a text."""
    stack = [root]
    while stack:
        node = stack.pop()
        if _is_bashism(node, shell):
            return node
        stack.extend(reversed(node.children))
    return None


def _is_bashism(node: Node, shell: Shell) -> bool:
    kind = node.type
    if kind in ("array", "subscript", "brace_expression", "herestring_redirect"):
        return True
    if kind in ("process_substitution", "c_style_for_statement", "ansi_c_string"):
        return True
    data = shell.text.data
    said = data[node.start_byte : min(node.end_byte, node.start_byte + 200)]
    if kind == "test_command":
        return said.startswith(b"[[")
    if kind == "compound_statement":
        return said.startswith(b"((")
    if kind == "function_definition":
        return said.startswith(b"function")
    if kind == "declaration_command":
        return said.startswith((b"declare", b"typeset")) or said.startswith(b"export -f")
    if kind == "command_name":
        return said in (b"source", b"mapfile", b"readarray", b"pushd", b"popd", b"shopt")
    if kind == "expansion":
        return re.match(rb"\$\{(\w+:[\d$ ]|\w+//?|!\w|\w+[,^])", said) is not None
    return kind == "file_redirect" and said.startswith(b"&>")


def _bash(job: Job) -> tuple[Edit, ...]:
    data = job.script.source.data
    match = re.match(rb"#!\s*(?:/usr)?/bin/(?:env\s+)?(sh|dash)\b", data)
    if match is None or job.script.batch.text.origins is not None:
        return ()
    return (Edit(Span(match.start(1), match.end(1)), "bash"),)


@rule("SK420")
def no_terminal(job: Job) -> Iterator[Found]:
    """`clear`, `tput`: there is no terminal."""
    if not is_job(job):
        return
    for command in job.script.batch.commands:
        if command.name not in ("clear", "tput", "reset") or command.context.is_guarded:
            continue
        if any(r.descriptor == "2" or r.operator.startswith("&>") for r in command.redirects):
            continue
        if (command.name == "reset" and len(command.words) > 1) or _asks_first(command):
            continue
        yield job.found(
            "SK420",
            command.span,
            f"`{command.name}` needs a terminal, and a batch job has none",
            edits=_deleted(job, command),
        )


def _asks_first(command: Command) -> bool:
    """`[ -t 1 ] && clear`: only where there is a terminal."""
    node = command.node.parent
    while node is not None and node.type in ("list", "if_statement"):
        if re.search(rb"-t [0-2]\b|\$\{?(?:TERM|PS1|-)\b", node.text or b""):
            return True
        node = node.parent
    return False


def _deleted(job: Job, command: Command) -> tuple[Edit, ...]:
    """Return the edit that takes a command away, with its line where that is no more."""
    whole, context = statement(command.node), command.context
    source = job.script.source
    if context.blocks or context.functions or command.shell.text.origins is not None:
        return ()
    if context.in_subshell or context.in_substitution or whole.id != command.node.id:
        return ()
    behind = re.compile(rb"[ \t]*;(?!;)[ \t]*(?=[^\s#])").match(source.data, command.span.end)
    if behind is not None:
        return (Edit(Span(command.span.start, behind.end()), ""),)
    span = source.line_span(source.place(command.span.start)[0])
    if source.data[span.start : span.end].strip() != command.source.strip().encode():
        return ()
    return (Edit(span, ""),)
