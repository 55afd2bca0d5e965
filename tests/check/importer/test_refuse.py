"""What is no script for bash is refused with the reason; what only looks odd is not."""

from __future__ import annotations

import pytest

from slurmkit.check.importer.refuse import NotImportedError
from slurmkit.check.importer.run import import_script

LAUNCH = b"srun torchrun --nnodes=2 train.py\n"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (b"#!/bin/bash\nfor i in 1 2; do\n" + LAUNCH, "syntax error: unexpected end of file"),
        (b"#!/bin/bash\necho 'a\n" + LAUNCH, "unexpected EOF while looking for matching"),
        (b"#!/bin/bash\ncat <<EOF\nx\nEOF \n" + LAUNCH, "job:4:1: this does not end the heredoc"),
        (b"#!/usr/bin/env python3\nimport os\n", "`#!/usr/bin/env python3` runs it"),
        (b"import os\nprint('x')\n", "bash cannot read the script"),
        (b"# a job\nname: a\nresources:\n  nodes: 2\n", "YAML, no sbatch script"),
        (b"\x7fELF\0\0", "a binary file"),
        (b'{"name": "a"}\n', "JSON, no sbatch script"),
        (b"", "job: has no command"),
        (b"#!/bin/bash\n#SBATCH -N 2\n", "job: has no command"),
        (b"#!/bin/bash\necho a\nsbatch --array=1-3 b.sh\n", "job:3: submits jobs, and starts no"),
        (b"#!/bin/bash\nsrun -n 4\n", "starts no program that can be told"),
        (b"#!/bin/bash\nsource activate base\n", "starts no program that can be told"),
    ],
)
def test_refused(script: bytes, told: str) -> None:
    with pytest.raises(NotImportedError) as caught:
        import_script(script, "job")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "script",
    [
        b"#!/bin/bash\r\necho a\r\n" + LAUNCH,
        b"#!/bin/bash\nexport TOKEN=<your token>\n" + LAUNCH,
        b"#!/bin/bash\nls !(a|b)\n" + LAUNCH,
        b"#!/bin/bash\n" + LAUNCH + b"cat <<EOF\nx\nEOF \n",
        b": note\n" + LAUNCH,
        b"{\n" + LAUNCH + b"}\n",
    ],
)
def test_not_refused(script: bytes) -> None:
    assert "train.py" in import_script(script, "job").text
