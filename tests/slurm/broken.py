"""Jobs that die on purpose, each in one way, and what the doctor must say of them."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

START = """
import os, resource, signal, socket, sys, time
rank = int(os.environ["RANK"])
node = socket.gethostname()
print("step 1 loss 2.5", flush=True)
"""
WAIT = "\ntime.sleep(600)\n"  # as ranks wait for another in a collective
GLOO = """
import datetime, torch, torch.distributed as dist
soon = datetime.timedelta(seconds=8)
"""


@dataclass(frozen=True)
class Broken:
    """A job of two nodes, written for slurmkit, that dies."""

    program: str
    code: str
    rank: int | None = None
    node: str | None = None
    launcher: str = "srun"
    processes: int = 2
    """A node."""

    def text(self) -> str:
        """Return its program."""
        return START + dedent(self.program) + WAIT


@dataclass(frozen=True)
class Raw:
    """A batch script as anybody writes it, that dies."""

    body: str
    code: str
    options: tuple[str, ...] = ()
    node: str | None = None

    def text(self) -> str:
        """Return the script."""
        return "#!/bin/bash\n" + dedent(self.body)


QUICK = {
    "an exception": Broken('if rank == 3: raise ValueError("bad batch")', "D50", 3, "node2"),
    "a full disk": Broken(
        'if rank == 1: print("x", file=open("/dev/full", "w"), flush=True)', "D25", 1, "node1"
    ),
}
BROKEN = {
    "an exception under torchrun": Broken(
        'if rank == 2: raise KeyError("label")', "D50", 2, "node2", "torchrun"
    ),
    "a worker killed under torchrun": Broken(
        "if rank == 3: os.kill(os.getpid(), signal.SIGKILL)", "D23", 3, "node2", "torchrun"
    ),
    "a crash": Broken("if rank == 1: os.kill(os.getpid(), signal.SIGSEGV)", "D49", 1, "node1"),
    "a killed task": Broken(
        "if rank == 2: os.kill(os.getpid(), signal.SIGKILL)", "D23", 2, "node2"
    ),
    "a package missing": Broken("import no_such_package", "D43"),
    "data missing on one node": Broken(
        """
        if node == "node2":
            time.sleep(1)
            open(f"/nowhere-on-{node}/train.bin")
        """,
        "D67",
        node="node2",
    ),
    "host memory": Broken(
        """
        if rank == 1:
            resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
            held = bytearray(1 << 33)
        """,
        "D22",
        1,
        "node1",
    ),
    "too many open files": Broken(
        """
        if rank == 3:
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
            held = [open("/dev/null") for _ in range(64)]
        """,
        "D62",
        3,
        "node2",
    ),
    "a port in use": Broken(
        """
        if rank == 0:
            first = socket.create_server(("", 14711))
            second = socket.create_server(("", 14711))
        """,
        "D04",
        0,
        "node1",
    ),
    "an option that the program does not know": Broken(
        """
        import argparse
        if rank == 1: argparse.ArgumentParser().parse_args(["--lr=1"])
        """,
        "D79",
        1,
        "node1",
    ),
    "shapes that do not fit": Broken(
        GLOO + "if rank == 1: torch.zeros(2, 3) @ torch.zeros(4, 5)", "D60", 1, "node2", "srun", 1
    ),
    "a master address where nobody listens": Broken(
        GLOO + 'os.environ["MASTER_ADDR"] = "node2"\n'
        'if rank == 0: dist.init_process_group("gloo", timeout=soon)',
        "D01",
        0,
        "node1",
        "srun",
        1,
    ),
    "a master that does not resolve": Broken(
        GLOO + 'os.environ["MASTER_ADDR"] = "no-such-node"\n'
        'dist.init_process_group("gloo", timeout=soon)',
        "D06",
        launcher="srun",
        processes=1,
    ),
    "a straggler": Broken(
        GLOO + 'dist.init_process_group("gloo", timeout=soon)\n'
        "if rank == 1: time.sleep(600)\n"
        "dist.all_reduce(torch.ones(4))",
        "D20",
        launcher="srun",
        processes=1,
    ),
    "an exception with a name of its own": Broken(
        """
        class Diverged(Exception): pass
        if rank == 2: raise Diverged("loss 1e9")
        """,
        "D50",
        2,
        "node2",
    ),
    "a shell's code of a killed process": Broken("if rank == 1: os._exit(137)", "D23", 1, "node1"),
    "a signal without a handler": Broken(
        "if rank == 1: os.kill(os.getpid(), signal.SIGUSR1)", "D131", 1, "node1"
    ),
    "CPU time": Broken(
        """
        resource.setrlimit(resource.RLIMIT_CPU, (1, 9))
        while rank == 2: pass
        """,
        "D132",
        2,
        "node2",
    ),
    "a command that it runs": Broken(
        "import subprocess\nif rank == 3: subprocess.run(['false'], check=True)",
        "D130",
        3,
        "node2",
    ),
    "a checkpoint that is cut off": Broken(
        GLOO + 'if rank == 1: torch.save([soon], "a.pt"); os.truncate("a.pt", 400)\n'
        'if rank == 1: torch.load("a.pt")',
        "D78",
        1,
        "node2",
        processes=1,
    ),
    "different collectives": Broken(
        GLOO + 'dist.init_process_group("gloo", timeout=soon)\n'
        "dist.all_reduce(torch.ones(4 + 5 * rank))",
        "D84",
        processes=1,
    ),
    "a rank that does not come to a barrier": Broken(
        GLOO + 'dist.init_process_group("gloo", timeout=soon)\n'
        "if rank == 0: dist.monitored_barrier(timeout=soon)",
        "D20",
        1,
        "node2",
        processes=1,
    ),
    "a missing peer": Broken(
        GLOO + 'if rank == 0: dist.init_process_group("gloo", timeout=soon)',
        "D02",
        1,
        "node2",
        "srun",
        1,
    ),
}
RAW = {
    "a command missing in the step": Raw("srun --nodes=2 no-such-torchrun train.py\n", "D40"),
    "a script that may not be run": Raw(
        "printf '#!/bin/bash\\n' > start.sh\nsrun ./start.sh\n", "D61"
    ),
    "too many agents": Raw(
        """
        srun --ntasks-per-node=2 torchrun --nnodes=2 --nproc-per-node=2 --node-rank=0 \\
            --master-addr=node1 --master-port=24711 /dev/null
        """,
        "D04",
        ("--ntasks-per-node=2",),
    ),
    "the time limit": Raw("echo training\nsrun sleep 600\n", "D30", ("--time=1",)),
    "a step that is too big": Raw("srun --ntasks=64 hostname\n", "D38"),
    "a time limit's warning without a handler": Raw(
        "srun --kill-on-bad-exit=1 sleep 600\n", "D131", ("--signal=USR1@110",)
    ),
    "no conda": Raw("set -e\nconda activate train\nsrun hostname\n", "D41"),
    "a module that is not there": Raw("set -e\nmodule load cuda/99\nsrun hostname\n", "D42"),
    "a missing venv": Raw("set -e\nsource /nowhere/venv/bin/activate\nsrun hostname\n", "D99"),
}
