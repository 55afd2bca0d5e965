"""The two roles of the probe: `coordinate`, once a job, and `node`, once a node."""

import sys

if sys.version_info < (3, 8):  # noqa: UP036  it runs wherever a job does
    sys.exit(
        "slurmkit preflight: needs Python 3.8 or newer, this is "
        + sys.version.split()[0] + " (" + sys.executable + ")"
    )  # fmt: skip

from .command import main

sys.exit(main(sys.argv[1:]))
