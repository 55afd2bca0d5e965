"""The real sbatch and lint over odd directive lines: what one refuses, the other calls an error."""

from __future__ import annotations

import pytest

from slurmkit.check.lint.run import lint
from slurmkit.check.script.read import read
from slurmkit.slurm.scalars import parse_version
from tests.testbed.cluster import SlurmCluster

ACCEPTED = [
    "#SBATCH--nodes=2", "#SBATCH\t-N1", "#SLURM --nodes=2", "#SBATCH --ntasks-per-n=2",
    "#SBATCH -N 1 -t 1 # it's a comment", "#SBATCH --comment='a b' -N 1", "#SBATCH -Hk",
    "#SBATCH --comment='a\\'b'", "#SBATCH --comment=a\\#b", "#SBATCH --comment=\"a#b\"",
    "#SBATCH --comment='a'\"b\"c", "#SBATCH --comment=a\\", "#SBATCH #", "#SBATCH",
    "#SBATCH -N 1\n#SBATCH HetJob\n#SBATCH -N 1", "#SBATCH \"--comment=a b\"",
    "#SBATCH --time=1-", "#SBATCH --time=0-1:2:3", "#SBATCH --mail-type=end,FAIL,time_limit",
    "#SBATCH --comment=a;b", "#SBATCH -N 1 hetjob",
    "#SBATCH -J a \\", "#SBATCH -N 1 \\\n#SBATCH -J a", "#SBATCH -N 1 \"\" x", "#SBATCH -c +2",
    "#SBATCH --signal=b:usr1", "#SBATCH --signal=12@60", "#SBATCH --array=1,,2",
]  # fmt: skip
BY_VERSION = ["#SBATCH --comment=a\\ b"]
REFUSED = [
    "#SBATCH --nodes = 2", "#SBATCH --nodes= 2", "#SBATCH --nodes =2", "#SBATCH -N=2",
    "#SBATCH --job-name=my job", "#SBATCH --mem 10 M", "#SBATCH nodes=2",
    "#SBATCH --comment='a", "#SBATCH :x", "#SBATCH ':x'", "#SBATCH -", "#SBATCH -- x",
    "#SBATCH --nodes", "#SBATCH --nodes\n#SBATCH -n 2", "#SBATCH --hold=yes", "#SBATCH -nodes=2",
    "#SBATCH --exclusive user", "#SBATCH \u2013nodes=2", "#SBATCHx", "#SBATCH --ntasks-per=2",
    "#SBATCH --kill-on-bad-exit", "#SBATCH --cpus_per_task=2", "#SBATCH -l", "#SBATCH --Nodes=2",
    "#SBATCH --time=2h", "#SBATCH --time=1:0:0:0", "#SBATCH --nodes=two", "#SBATCH --mem=10GiB",
    "#SBATCH --mem=1.5G", "#SBATCH --ntasks=1.5", "#SBATCH --mail-type=NONE1",
    "#SBATCH --comment=a\fb", "#SBATCH --comment='a' 'b'",
    "#SBATCH -J \"\"", "#SBATCH --comment \"\"\n#SBATCH -N 1", "#SBATCH --ntasks=0",
    "#SBATCH -c 0", "#SBATCH --ntasks-per-node=0", "#SBATCH --cpus-per-gpu=0", "#SBATCH --mem=",
    "#SBATCH --time=", "#SBATCH --ntasks=", "#SBATCH --tmp=1x", "#SBATCH --signal=B:USR1@120s",
    "#SBATCH --signal=USR1@70000", "#SBATCH --exclusive=yes", "#SBATCH --hint=multithreads",
    "#SBATCH --kill-on-invalid-dep=maybe", "#SBATCH --array=1-", "#SBATCH --array=3-1",
]  # fmt: skip
FILES = ["", "# x\n#!/bin/bash\n", "\n#!/bin/bash\n", "#!/bin/bash\r\ntrue\n", " #!/bin/bash\n",
         "#!/bin/bash\n\0\n"]  # fmt: skip


def script(lines: str) -> str:
    return f"#!/bin/bash\n{lines}\ntrue\n"


def objections(text: str, version: tuple[int, int]) -> list[str]:
    """Return what lint has against the reading of a script's head."""
    codes = ("SK101", "SK102", "SK107", "SK108", "SK109", "SK614")
    found = [f for f in lint(text.encode(), slurm_version=version) if f.code in codes]
    return [str(finding) for finding in found if finding.severity != "info"]


def test_one_reads_what_the_other_reads(slurm: SlurmCluster) -> None:
    version = parse_version(slurm.run(["sbatch", "--version"], check=True).stdout.split()[-1])
    wrong = {}
    for text in [*map(script, ACCEPTED + REFUSED + BY_VERSION), *FILES]:
        ran = slurm.run(["sbatch", "--test-only"], input=text)
        said = objections(text, version)
        if (ran.returncode == 0) == bool(said):
            wrong[text] = (ran.stderr.strip(), said)
    assert wrong == {}


@pytest.mark.parametrize(
    "lines",
    [
        "#SBATCH --comment='a\\'b'", "#SBATCH --comment=a\\b", "#SBATCH --comment=a#b",
        "#SBATCH --comment='a'\"b c\"d", "#SBATCH --comment -J", "#SBATCH --comm=x",
        "#SBATCH --comment=x\n#SBATCH --comment=y",
        "#SBATCH --comment=x\necho\n#SBATCH --comment=y",
        "  # z\n\n#SBATCH --comment=x", "#SBATCH --comment=\"\" #x", "#SBATCH --comment=a;b",
    ],
)  # fmt: skip
def test_values_arrive_as_they_are_read(slurm: SlurmCluster, lines: str) -> None:
    job_id = slurm.submit(script(lines), "--hold")
    shown = slurm.run(["squeue", "-h", "-j", job_id, "-o", "%k"], check=True).stdout.strip("\n")
    assert shown == read(script(lines).encode()).directives.value("comment")
