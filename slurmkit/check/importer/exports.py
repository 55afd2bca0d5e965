"""`export NAME=value` into environment.variables, and secrets into environment.pass."""

from __future__ import annotations

from slurmkit.check.importer.draft import Draft
from slurmkit.check.importer.values import Values
from slurmkit.check.script.shell import Assignment, Shell
from slurmkit.check.script.variables import resolve
from slurmkit.spec.reserved import reserved
from slurmkit.spec.secret import secret_name, secret_value


def is_plain(one: Assignment, shell: Shell) -> bool:
    """Tell whether a value is known beforehand, or comes from the job's environment."""
    if one.value is None or one.is_appended or len(shell.assignments.get(one.name, ())) > 1:
        return False
    if reserved(one.name) or one.name.startswith("SLURM"):
        return False
    for piece in one.value.pieces:
        if piece.kind == "variable":
            is_own = piece.text in shell.assignments
            if piece.operation or piece.text.startswith("SLURM") or not piece.text[0].isalpha():
                return False
            if is_own and resolve(one.value, one.order, one.context) is None:
                return False
        elif piece.kind != "text":
            return False
    return True


def export(one: Assignment, draft: Draft, values: Values, line: int) -> None:
    """Put a variable into the job file; a secret only by its name."""
    assert one.value is not None
    known = resolve(one.value, one.order, one.context)
    if known and (secret_name(one.name) or secret_value(known)):
        draft.add("environment", "pass", [one.name])
        why = "a secret, which is not copied: export it where you submit the job"
        draft.note(line, "changed", f"export {one.name}=…", why)
    else:
        text = values.text(one.value, one.order, one.context)
        draft.set("environment", "variables", one.name, text)
