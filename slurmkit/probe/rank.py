"""All-reduces over the ranks of a job, timed and checked: a process a node, a child a rank.

It runs as text (`python -c`), imports nothing of its neighbours, and torch once a node: the ranks
are forked from it. Each line of input is one all-reduce of some ranks, and each line of output
what came of it on this node. Nothing outlives its time, or this process.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import tempfile
import time
from datetime import timedelta
from typing import Any

_PRODUCTS = 8
_WARM = 0.4  # seconds in which an idle GPU gets to its clock
_ROUNDS = 4


def main() -> None:
    """Import torch, say so, and do as told until the input ends."""
    started = time.monotonic()
    try:
        import torch
        import torch.distributed as dist
    except Exception as error:
        _say({"error": f"import torch: {type(error).__name__}: {error}"})
        return
    if not dist.is_available():
        _say({"error": "this torch has no torch.distributed"})
        return
    _say({"ready": time.monotonic() - started, "torch": torch.__version__})
    for line in sys.stdin:
        _say(together(json.loads(line)))


def together(wanted: dict[str, Any]) -> dict[str, Any]:
    """Run this node's ranks; return what each says, those that are late being killed."""
    deadline = time.monotonic() + wanted["seconds"]
    children = [start(wanted, local) for local in range(wanted["processes"])]
    results: list[dict[str, Any]] = []
    for child in children:
        text, late = b"", False
        while not late:
            left = max(deadline - time.monotonic(), 0.0)
            late = not select.select([child["pipe"]], [], [], left)[0]
            part = b"" if late else os.read(child["pipe"], 65536)
            if not part:
                break
            text += part
        results.append(result_of(child, text, wanted["seconds"], late=late))
    return {"ranks": results}


def start(wanted: dict[str, Any], local: int) -> dict[str, Any]:
    """Fork one rank; its last words go to a file."""
    reading, writing = os.pipe()
    errors = tempfile.TemporaryFile()  # noqa: SIM115
    pid = os.fork()
    if pid:
        os.close(writing)
        return {"pid": pid, "pipe": reading, "errors": errors}
    try:
        os.close(reading)
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            said = rank(wanted, local)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"}
        os.write(writing, json.dumps(said).encode())
    finally:
        os._exit(0)


def result_of(child: dict[str, Any], text: bytes, seconds: float, *, late: bool) -> dict[str, Any]:
    """Return what a rank has said, and see that it is gone."""
    os.kill(child["pid"], signal.SIGKILL)
    _, status = os.waitpid(child["pid"], 0)
    os.close(child["pipe"])
    with child["errors"] as errors:
        errors.seek(0)
        every = errors.read().decode(errors="replace").strip().splitlines()
    lines = [
        line for line in every if line.strip() and not line.startswith("[W")
    ]  # c10d's warnings
    try:
        said: dict[str, Any] = json.loads(text)
    except ValueError:
        how = f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "ended"
        how = f"hangs after {seconds:.3g} s" if late else how
        said = {"error": how, "hangs": late}
    if "error" in said and lines:
        said["last"] = lines[-1][:300]
    return said


def rank(wanted: dict[str, Any], local: int) -> dict[str, Any]:
    """Be one rank: a matrix product alone, then all-reduces with the others."""
    import torch
    import torch.distributed as dist

    cuda = wanted["backend"] == "nccl"
    torch.set_num_threads(1)
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    said: dict[str, Any] = {"flops": product(device)} if wanted.get("product") else {}
    number, size = wanted["first"] + local, wanted["world"]
    patience = timedelta(seconds=wanted["seconds"])
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

    store = TCPStore(wanted["address"], wanted["port"], size, number == 0, timeout=patience)
    dist.init_process_group(
        wanted["backend"], store=store, rank=number, world_size=size, timeout=patience
    )
    count = (64 if cuda else 4) << 18  # MiB, in numbers of 4 bytes
    seconds = []
    for _ in range(_ROUNDS):
        numbers = torch.full((count,), float(number + 1), device=device)
        dist.barrier()
        _finish(device)
        started = time.perf_counter()
        dist.all_reduce(numbers)
        _finish(device)
        seconds.append(time.perf_counter() - started)
        right = size * (size + 1) / 2
        if not bool((numbers == right).all()):
            return {**said, "error": f"the sum is {numbers.min().item():g}, not {right:g}"}
    dist.barrier()  # rank 0 holds the store, and leaves last
    return {**said, "seconds": min(seconds[1:]), "bytes": 4 * count}


def product(device: Any) -> float:
    """Return the operations a second of a short matrix product."""
    import torch

    cuda = device.type == "cuda"
    size = 8192 if cuda else 384
    kind = torch.bfloat16 if cuda else torch.float32
    # Of equal numbers a GPU makes less work than of those that it will meet, and less heat.
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < _PRODUCTS or (cuda and time.perf_counter() - begun < _WARM):
        _finish(device)
        started = time.perf_counter()
        left @ right
        _finish(device)
        seconds.append(time.perf_counter() - started)
    late = sorted(seconds[len(seconds) // 2 :])
    return float(2 * size**3 / late[len(late) // 2])


def _finish(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write("@rank " + json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
