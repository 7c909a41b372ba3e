"""Workloads of an accelerator, one after another in one process, as they are told on standard input.

A line of JSON in is one run: `{"id", "workload", "seed", "seconds"}`. A line out says what it was: times, steps, FLOP, or why it
failed. Between runs the device's memory is given back. `accelerator_plan` says which workloads there are.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import gc
import json
import platform
import sys
import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from inspectorate.lab.accelerator_disguised import DISGUISED
from inspectorate.lab.accelerator_other import IDLE, OTHER
from inspectorate.lab.accelerator_serving import SERVING
from inspectorate.lab.accelerator_training import TRAINING
from inspectorate.lab.accelerator_work import Bench, Done, Work
from inspectorate.lab.work_io import emit

BUILDERS = TRAINING | SERVING | OTHER | IDLE | {name: one.build for name, one in DISGUISED.items()}
STEPS_AHEAD = 4
"""After so many steps the device's queue is waited for."""
FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    AssertionError,
    ImportError,
    MemoryError,
)


def counted(work: Work) -> dict[str, object]:
    """What torch counts for the probe, beside the rule."""
    if work.probe is None:
        return {}
    with FlopCounterMode(display=False) as counter:
        done = work.probe()
    return {"probe_flop_counted": float(counter.get_total_flops()), "probe_flop_by_rule": done.training + done.other}


def run(asked: dict[str, Any], *, device: str, scale: str) -> dict[str, object]:
    """Prepare, warm, repeat until time is up. The times are those of the repeated part."""
    begun_ns = time.time_ns()
    bench = Bench(device=device, scale=scale, seed=int(asked["seed"]))
    work = BUILDERS[asked["workload"]](bench)
    found = counted(work)
    for _ in range(work.warm_steps):
        work.step()
    bench.wait()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    start_ns, end_s = time.time_ns(), time.monotonic() + float(asked["seconds"])
    steps, training, other = 0, 0.0, 0.0
    while time.monotonic() < end_s:
        done: Done = work.step()
        steps, training, other = steps + 1, training + done.training, other + done.other
        if steps % STEPS_AHEAD == 0:
            bench.wait()
    bench.wait()
    end_ns = time.time_ns()
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else 0
    return {"begun_ns": begun_ns, "start_ns": start_ns, "end_ns": end_ns, "steps": steps, "flop_training": training,
            "flop_other": other, "memory_bytes_max": memory, "facts": dict(work.facts), **found}  # fmt: skip


def stack(device: str) -> dict[str, object]:
    """Versions, and what the device is called."""
    found: dict[str, object] = {"python": platform.python_version(), "torch": torch.__version__, "cuda": torch.version.cuda,
                                "kernel": platform.release()}  # fmt: skip
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found |= {"device": properties.name, "memory_bytes": properties.total_memory,
                  "multiprocessors": properties.multi_processor_count, "cudnn": torch.backends.cudnn.version()}  # fmt: skip
        torch.zeros(1, device=device)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = False
    emit("ready", **stack(args.device))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            found = run(asked, device=args.device, scale=args.scale)
        except FAULTS as fault:
            emit("failed", id=asked["id"], fault=f"{type(fault).__name__}: {str(fault)[:400]}")
        else:
            emit("done", id=asked["id"], **found)
        gc.collect()
        if args.device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
