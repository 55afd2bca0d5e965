"""The test bed by hand: `python -m tests.testbed install | missing | up | down | shell | logs`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.testbed.bed import find_bed, hand_state, is_up, start_bed, stop_bed, sweep
from tests.testbed.install import CannotInstallError, install, reason_missing
from tests.testbed.process import BedError
from tests.testbed.warden import log_tails


def run_install(_: argparse.Namespace) -> int:
    """Install what a bed needs; 3 when that cannot be done."""
    try:
        install()
    except CannotInstallError as error:
        print(f"Slurm cannot be installed: {error}", file=sys.stderr)
        return 3
    return 0


def run_missing(_: argparse.Namespace) -> int:
    """Say in one line why the Slurm tests would be left out; 0 and silence when they run."""
    if reason := reason_missing():
        print(reason)
        return 1
    return 0


def run_up(options: argparse.Namespace) -> int:
    """Bring a bed up that stays, and say how to use it."""
    if reason := reason_missing():
        raise BedError(reason)
    if is_up(options.state):
        print(f"A Slurm test bed is up already at {options.state}.")
    else:
        start_bed(options.state, options.nodes, owner=0)
    layout = find_bed(options.state).layout
    print(
        f"Slurm with nodes {', '.join(layout.nodes)} is up; its logs are in {layout.log}.\n"
        f"  python3 -m tests.testbed shell                     a shell on its login host\n"
        f"  python3 -m tests.testbed shell -- srun -N2 hostname\n"
        f"  python3 -m tests.testbed shell --user nobody -- sbatch job.sh\n"
        f"  make slurm-down                                    ends it and all its jobs\n"
        f"Its users have new homes: slurmkit's list of jobs begins empty there."
    )
    return 0


def run_down(options: argparse.Namespace) -> int:
    """Take it down."""
    if is_up(options.state):
        stop_bed(find_bed(options.state))
    sweep()
    return 0


def run_shell(options: argparse.Namespace) -> int:
    """Become a command, or a shell, on the login host."""
    bed = find_bed(options.state)
    command = bed.enter(options.user, Path.cwd())
    terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
    environment = {**bed.environment(options.user), **terminal}
    os.execvpe(command[0], [*command, *(options.command or ["bash"])], environment)


def run_logs(options: argparse.Namespace) -> int:
    """Show the ends of the daemons' logs."""
    print(log_tails(find_bed(options.state).layout))
    return 0


def main() -> int:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.testbed", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    actions = {
        "install": run_install,
        "missing": run_missing,
        "up": run_up,
        "down": run_down,
        "shell": run_shell,
        "logs": run_logs,
    }
    for name, action in actions.items():
        verb = verbs.add_parser(name, help=action.__doc__)
        verb.set_defaults(action=action)
        if name in ("up", "down", "shell", "logs"):
            verb.add_argument("--state", type=Path, default=hand_state(), help="its directory")
        if name == "up":
            verb.add_argument("--nodes", type=int, default=2, help="how many nodes (2)")
        if name == "shell":
            verb.add_argument("--user", default="root", help="who runs it (root)")
            verb.add_argument("command", nargs="*", help="the command; a shell when left out")
    options = parser.parse_args()
    try:
        return int(options.action(options))
    except BedError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
