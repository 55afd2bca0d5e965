"""slurmkit exec: run a command on the nodes of a running job."""

from __future__ import annotations

import sys

import click


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("job", metavar="JOB")
@click.option("--last", "use_last", is_flag=True, help="The job that was submitted last, for JOB.")
@click.option("--node", metavar="NODE", help="Only on this one: its name, or its number from 0.")
@click.argument("words", metavar="-- COMMAND...", nargs=-1, type=click.UNPROCESSED)
def command(job: str, use_last: bool, node: str | None, words: tuple[str, ...]) -> None:
    """Run COMMAND once on each node of JOB (an id or a name), beside what runs there.

    slurmkit exec 1234 -- nvidia-smi

    The command sees the job's GPUs, and takes none of its CPUs or memory away. Each line is led by
    the name of its node; with --node it is as it was written, and a shell is possible:
    slurmkit exec 1234 --node 0 -- bash
    """
    if use_last:
        words = (job, *words)
    if not words:
        raise click.UsageError("say what to run: slurmkit exec 1234 -- nvidia-smi")
    from slurmkit.launch.chosen import choose
    from slurmkit.launch.registry import last
    from slurmkit.launch.step import choose_node, run, running_record

    record = running_record(last() if use_last else choose(job))
    code = run(record, words, choose_node(record, node) if node is not None else None)
    sys.exit(code)
