"""The command line: one file a verb, imported when the verb runs."""

from __future__ import annotations

import atexit
import errno
import gc
import importlib

import click

from slurmkit import __version__

_TOLD = {
    "SpecError": 2,
    "UnknownJobError": 2,
    "SlurmError": 1,
    "JobFailedError": 1,
    "CheckpointError": 1,
}
"""Errors that say themselves what happened and what to do, with the exit code that they mean."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

VERBS = {
    "init": "Write a first job file, or a profile of this cluster.",
    "validate": "Check a job file; --show prints the resolved job.",
    "schema": "Print the JSON schema of job files.",
    "render": "Print the batch script of a job.",
    "simulate": "Run a job's script here, over pretend nodes.",
    "submit": "Submit a job to Slurm.",
    "launch": "Run a job on hosts without Slurm, by SSH.",
    "status": "Show your jobs, or one of them in detail.",
    "logs": "Show what a job's ranks have written.",
    "exec": "Run a command on the nodes of a running job.",
    "cancel": "End jobs, or send them a signal.",
    "doctor": "Name the cause of a job's death, from its logs.",
    "lint": "Say what is wrong with anybody's sbatch scripts.",
    "import": "Turn an sbatch script into a job file.",
    "preflight": "Check the nodes of a job before it trains.",
    "adapter": "Check LoRA checkpoints, and merge their shards.",
}
_FILES = {"import": "import_"}
"""Verbs whose name a module cannot have."""


class Verbs(click.Group):
    """Lists the verbs without importing them, and tells mistakes of the user as such."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of a job's life."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb's file."""
        if cmd_name not in VERBS:
            return None
        name = _FILES.get(cmd_name, cmd_name)
        command: click.Command = importlib.import_module(f"slurmkit.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say which verb comes nearest to an unknown one."""
        wrong = args and args[0] not in VERBS and not args[0].startswith("-")
        if wrong and not ctx.resilient_parsing:  # the shell only asks how the line may go on
            from difflib import get_close_matches

            near = get_close_matches(args[0], VERBS, n=1)
            fix = f"did you mean {near[0]}?" if near else f"verbs are {', '.join(VERBS)}"
            if args[0].endswith((".yaml", ".yml")):
                fix = f"did you mean slurmkit validate {args[0]}?"
            ctx.fail(f"no verb {args[0]!r}: {fix}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs and what they do."""
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb; a mistake of the user, or of Slurm, is told without a traceback."""
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            raise _with_field(error) from None
        except (ValueError, RuntimeError) as error:
            told = (_TOLD.get(kind.__name__) for kind in type(error).__mro__)
            code = next((code for code in told if code is not None), None)
            if code is None or not type(error).__module__.startswith("slurmkit."):
                raise
            click.echo(str(error), err=True)
            ctx.exit(code)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise click.ClickException(
                f"standard output cannot be written: {error.strerror}; free some space"
            ) from None


def _with_field(error: click.NoSuchOption) -> click.UsageError:
    """Say how a field of resources is set, where it was written as an option of a verb."""
    verb = error.ctx.command if error.ctx else None
    if verb is None or not any(option.name == "overrides" for option in verb.params):
        return error
    from slurmkit.spec.model import Resources

    field = error.option_name.lstrip("-").replace("-", "_")
    if field not in Resources.model_fields:
        return error
    told = f"no option {error.option_name}: write --set resources.{field}=VALUE"
    return click.UsageError(told, error.ctx)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="slurmkit")
def main() -> None:
    """Describe a multi-node PyTorch job once, in job.yaml, and run it on Slurm."""
    # A verb lives too short for garbage to matter, at its end least of all: a fifth of its time.
    gc.disable()
    atexit.register(gc.freeze)
