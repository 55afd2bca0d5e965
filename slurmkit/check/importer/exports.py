"""`export NAME=value` into environment.variables, and secrets into environment.pass."""

from __future__ import annotations

from slurmkit.check.importer import names
from slurmkit.check.importer.bash import is_defaulted
from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import Values
from slurmkit.check.script.shell import Assignment, Shell
from slurmkit.check.script.variables import resolve
from slurmkit.check.secrets import secrets
from slurmkit.spec.reserved import reserved
from slurmkit.spec.secret import secret_name, secret_value

_ALWAYS = ("HOME", "USER", "LOGNAME")


def is_plain(one: Assignment, shell: Shell, *, is_open: bool = True) -> bool:
    """Tell whether a value is known beforehand, or comes from the job's environment.

    Args:
        one: The assignment.
        shell: Where it is.
        is_open: Whether the environment is still the job's: nothing in setup has changed it.
    """
    if one.value is None or one.is_appended or reserved(one.name) or one.context.blocks:
        return False
    others = shell.assignments.get(one.name, ())
    if len(others) > 1 and any(o.value is None or o.value.literal is None for o in others):
        return False
    for piece in one.value.pieces:
        if piece.kind == "variable":
            if piece.operation or piece.text.startswith("SLURM") or not piece.text[0].isalpha():
                return False
            if piece.text in names.OF_BASH or is_defaulted(piece.text, shell):
                return False
            if piece.text in shell.assignments:
                if resolve(one.value, one.order, one.context) is None:
                    return False
            elif not is_open and piece.text not in _ALWAYS:
                return False
        elif piece.kind != "text":
            return False
    return True


def export(one: Assignment, draft: Draft, values: Values, line: int) -> None:
    """Put a variable into the job file; a secret only by its name."""
    assert one.value is not None
    known = resolve(one.value, one.order, one.context)
    if known and (secret_name(one.name) or secret_value(known)):
        if one.name not in (draft.get("environment", "pass") or ()):
            draft.add("environment", "pass", [one.name])
        is_one = any(secrets(f"export {one.name}={known}".encode()))
        what = "a secret, which is not copied" if is_one else "looks like a placeholder"
        why = f"{what}: export {'it' if is_one else 'the secret'} where you submit the job"
        draft.note(line, "changed", f"export {one.name}=…", why)
    else:
        text = values.text(one.value, one.order, one.context)
        draft.set("environment", "variables", one.name, text)
