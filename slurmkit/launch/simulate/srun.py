"""The stand-in srun: runs a step over the pretend nodes."""

from __future__ import annotations

import os
import sys

from slurmkit.launch.simulate.cluster import Cluster, fail
from slurmkit.launch.simulate.placing import placed
from slurmkit.launch.simulate.srun_options import OptionError, read_options
from slurmkit.launch.simulate.step import Step


def main() -> None:
    """Read the options, run the step, end with its exit code."""
    cluster = Cluster.here()
    job = cluster.job()
    try:
        options = read_options(sys.argv[1:], job, os.environ)
        with placed(cluster, job, options) as (number, place):
            code = Step(cluster, job, options, number, place).run()
    except OptionError as error:
        fail("srun", str(error))
    sys.exit(code)
