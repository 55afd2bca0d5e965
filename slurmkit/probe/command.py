"""The probe's own command line."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .channels import Channel, Channels
from .coordinator import preflight
from .node import number_of, serve
from .report import Report
from .settings import Node, Settings, SettingsError


def main(words: Sequence[str]) -> int:
    """Be what the first word says."""
    parser = argparse.ArgumentParser(prog="preflight.pyz", description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    node = roles.add_parser("node", help="on a node: do rounds read from standard input")
    node.add_argument("--node", type=int, default=-1, help="its number, if not SLURM_NODEID")
    node.add_argument(
        "--path", nargs=2, action="append", default=[], metavar=("WRITTEN", "HERE"),
        help="where a path of the settings is on this node",
    )  # fmt: skip
    chief = roles.add_parser("coordinate", help="start the nodes' step, ask, judge, print")
    chief.add_argument("--settings", default="", help="a file of JSON")
    chief.add_argument("--nodes", default="", help="addresses, if not SLURMKIT_NODES")
    chief.add_argument("--names", default="", help="names, where they are others")
    chief.add_argument("--output", default="", help="a file for the verdict as JSON")
    chief.add_argument("--status", default="", help="a file that is written where it fails")
    chief.add_argument("--json", action="store_true", help="JSON on standard output, too")
    chief.add_argument("step", nargs="+", help="after --: what starts `node` on all nodes")
    if isinstance(sys.stdout, io.TextIOWrapper):  # the name of a file may be of no letters
        sys.stdout.reconfigure(errors="backslashreplace")
    given = parser.parse_args(words)
    if given.role == "node":
        paths = {str(written): str(there) for written, there in given.path}
        serve(number_of(given.node), sys.stdin.buffer, sys.stdout.buffer, paths)
        return 0
    return coordinate(given)


def coordinate(given: argparse.Namespace) -> int:
    """Start the step, do the preflight, print it."""
    try:
        settings = read_settings(given)
    except SettingsError as error:
        print(f"slurmkit preflight: {error}", file=sys.stderr)
        return 2
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stop.append(number))
    try:
        step = subprocess.Popen(
            given.step,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # what is meant for the batch script is not for the step
        )
    except OSError as error:
        print(f"slurmkit preflight: {given.step[0]}: {error.strerror}", file=sys.stderr)
        return 2
    every = tuple(range(len(settings.nodes)))
    channels = Channels([Channel(step, every)], settings.names, stop)
    report = preflight(settings, channels)
    show(report, given)
    return report.code


def read_settings(given: argparse.Namespace) -> Settings:
    """Read the settings' file, and the nodes from arguments or environment."""
    values: dict[str, Any] = {}
    if given.settings:
        try:
            values = json.loads(Path(given.settings).read_text())
        except (OSError, ValueError) as error:
            raise SettingsError(f"{given.settings}: {error}") from None
        if not isinstance(values, dict):
            raise SettingsError(f"{given.settings}: not a JSON object")
    addresses = (given.nodes or os.environ.get("SLURMKIT_NODES", "")).split()
    names = given.names.split() or addresses
    if os.environ.get("SLURM_CLUSTER_NAME") == "simulate":  # whose scontrol shows addresses
        names = [f"node{number}" for number in range(len(addresses))]
        values.setdefault("local", True)
    if len(names) != len(addresses):
        raise SettingsError(f"{len(names)} names for {len(addresses)} nodes")
    return Settings.from_json(values, list(map(Node, names, addresses)))


def show(report: Report, given: argparse.Namespace) -> None:
    """Print the verdict, and keep it."""
    text = json.dumps(report.json(), indent=1)
    if given.output:
        try:
            Path(given.output).write_text(text + "\n")
        except OSError as error:  # a full disk is among what is told below
            print(f"slurmkit preflight: {given.output}: {error.strerror}", file=sys.stderr)
    lines: list[str] = report.lines()
    if given.status and report.code and not report.stopped:
        reason = f"preflight: {report.summary}"
        lines.append(reason)  # the end of a job's log says why
        _write_status(Path(given.status), reason)
    _print("\n".join(lines), sys.stderr if given.json else sys.stdout)
    if given.json:
        _print(text, sys.stdout)


def _print(text: str, stream: IO[str] | None) -> None:
    """Print, where somebody reads and the disk is not full; else the exit code says it alone."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno() if stream else nowhere)  # what is left would fail again


def _write_status(path: Path, reason: str) -> None:
    """Say in the run directory's status.json why the job has ended."""
    try:
        status = {"state": "failed", "reason": reason}
        path.write_text(json.dumps(status) + "\n")
    except OSError as error:
        print(f"slurmkit preflight: {path}: {error.strerror}", file=sys.stderr)
