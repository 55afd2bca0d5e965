"""The small programs that the end-to-end tests launch."""

from __future__ import annotations

from pathlib import Path

# Says who it is after a real all-reduce, so that a wrong world cannot pass for a right one.
HELLO = """
import os, socket, torch, torch.distributed as dist
dist.init_process_group("gloo")
total = torch.tensor(1)
dist.all_reduce(total)
print(f"world {total.item()} rank {dist.get_rank()} on {socket.gethostname()}", flush=True)
print(f"master {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}", flush=True)
print("omp", os.environ["OMP_NUM_THREADS"], flush=True)
dist.barrier()
dist.destroy_process_group()
"""

# One rank dies; the others wait for it, as ranks do in a collective.
CRASH = """
import os, time
crashes = os.environ["SLURMKIT_ATTEMPT"] in os.environ["CRASH_IN"].split(",")
if crashes and os.environ["RANK"] == "3":
    raise RuntimeError("this rank is broken")
time.sleep(600 if crashes else 0)
print("finished", flush=True)
"""

# Saves and leaves when it gets USR1 (or TERM); a second run finds what was saved and is done.
STOPPABLE = """
import json, os, pathlib, signal, sys, time
run = pathlib.Path(os.environ["SLURMKIT_RUN_DIR"])
rank = os.environ["RANK"]
saved = run / f"saved-{rank}"
def leave(number, frame):
    saved.write_text(str(number))
    print("saved on", signal.Signals(number).name, flush=True)
    if rank == "0" and os.environ["TELL"] == "1":
        status = {"state": "stopped", "reason": "signal", "step": 1}
        (run / "status.json").write_text(json.dumps(status))
    time.sleep(1)
    sys.exit(int(os.environ["LEAVE_WITH"]))
signal.signal(signal.SIGUSR1, leave)
signal.signal(signal.SIGTERM, leave)
if saved.exists():
    print("resumed", os.environ["SLURMKIT_ATTEMPT"], flush=True)
    sys.exit(0)
print("training", flush=True)
time.sleep(600)
"""

# What a task finds when it starts, as one line of JSON; HELLO comes after it.
SURROUNDINGS = """
import json, os, socket
names = ["RANK", "LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR",
         "OMP_NUM_THREADS", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE", "SLURM_CPUS_PER_TASK"]
print("found", json.dumps({"node": socket.gethostname(), **{n: os.environ[n] for n in names}}),
      flush=True)
"""

# Users' own scripts, of jobs/. They know of accelerate, of Lightning, and of nothing else.
_JOBS = Path(__file__).parents[2] / "jobs"
ACCELERATE = (_JOBS / "train_accelerate.py").read_text(encoding="utf-8")
LIGHTNING = (_JOBS / "train_lightning.py").read_text(encoding="utf-8")


def write(folder: Path, name: str, text: str) -> Path:
    """Write a program into a folder; return its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
