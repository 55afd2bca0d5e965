"""Asked to stop: by a signal to one rank, by a file; and all ranks leave at the same step."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.train.launch import free_port, python, srun

AGREE = """
import os, signal
from slurmkit.train import stop
from slurmkit.train.distributed import distributed
with distributed() as world:
    for step in range(10):
        if stop.requested():
            break
        if step == 3 and world.rank == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
    print(f"left at step {step}", flush=True)
"""


def test_a_signal_to_one_rank_stops_all_at_the_same_step(tmp_path: Path) -> None:
    script = tmp_path / "agree.py"
    script.write_text(AGREE)
    ended = srun(str(script), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()))
    assert [each.stdout for each in ended] == ["left at step 4\n"] * 2, ended


def test_alone_a_signal_and_the_file_stop_it_and_torch_is_not_needed(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys\nfrom slurmkit.train import stop\n"
        "run = pathlib.Path(os.environ['SLURMKIT_RUN_DIR'])\n"
        "first = stop.requested()\n{ask}\n"
        "print(first, stop.requested(), 'torch' in sys.modules)"
    )
    for ask in ("os.kill(os.getpid(), signal.SIGTERM)", "(run / 'STOP').touch()"):
        ended = python("-c", program.format(ask=ask), SLURMKIT_RUN_DIR=str(tmp_path))
        assert ended.stdout == "False True False\n", ended.stderr


def test_until_the_first_question_a_signal_ends_a_program() -> None:
    ended = python(
        "-c", "import os, signal\nfrom slurmkit.train import stop\nos.kill(os.getpid(), 15)"
    )
    assert ended.status == -signal.SIGTERM
