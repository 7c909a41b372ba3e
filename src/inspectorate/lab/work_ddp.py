"""Data-parallel training across pods: every step sums the gradients of all ranks (torch DistributedDataParallel, gloo).

Gradients of `--accumulate` batches are summed locally before each exchange, as real runs do when communication is
dear. The ranks agree at every step on whether it was the last, so none is left waiting.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import contextlib
import os
import time
from datetime import timedelta

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from inspectorate.lab import work_lm as lm
from inspectorate.lab.network import POD_INTERFACE
from inspectorate.lab.work_io import emit, leave, wait_until


def train(args: argparse.Namespace) -> None:
    model = DistributedDataParallel(lm.build(args.seed))
    optimiser = lm.optimiser(model)
    supply = lm.batches(args.seed + 1 + args.rank)
    step, last, loss = 0, False, float("nan")
    began = time.monotonic()
    while not last:
        optimiser.zero_grad()
        for index in range(args.accumulate):
            quiet = model.no_sync() if index < args.accumulate - 1 else contextlib.nullcontext()
            with quiet:
                value = lm.loss_of(model, next(supply)) / args.accumulate
                value.backward()
        optimiser.step()
        step += 1
        shared = torch.tensor([value.item() * args.accumulate, float(time.time() >= args.end_at)])
        distributed.all_reduce(shared)
        loss, last = shared[0].item() / args.ranks, shared[1].item() > 0
        if step % 10 == 1 or last:
            emit("step", step=step, loss=round(loss, 4))
    seconds = time.monotonic() - began
    emit("done", steps=step, loss=round(loss, 4), seconds=round(seconds, 3), step_s=round(seconds / step, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--ranks", type=int, required=True)
    parser.add_argument("--master", required=True, help="tcp://ADDRESS:PORT of rank 0")
    parser.add_argument("--start-at", type=float, required=True)
    parser.add_argument("--end-at", type=float, required=True)
    parser.add_argument("--accumulate", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    emit("ready", rank=args.rank)
    wait_until(args.start_at)
    # Otherwise gloo offers its peers the address that the host name resolves to, which is loopback here.
    os.environ["GLOO_SOCKET_IFNAME"] = POD_INTERFACE
    distributed.init_process_group(
        "gloo", init_method=args.master, rank=args.rank, world_size=args.ranks, timeout=timedelta(seconds=60)
    )
    emit("started")
    try:
        train(args)
    finally:
        distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    main()
