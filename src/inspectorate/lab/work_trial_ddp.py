"""Data-parallel training in a trial: torch DistributedDataParallel over gloo, every step timed.

Replicas start from the same seed, so nothing is broadcast at the start. One step with the peer is taken before
anything is measured: torch arranges its buckets during the first.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import os
import time
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from inspectorate.lab import work_lm as lm
from inspectorate.lab.network import POD_INTERFACE
from inspectorate.lab.work_io import emit, leave
from inspectorate.lab.work_trial import Orders, Peer, Taken, orders, perform


class Learner:
    """A model, joined to its peer or not, with its optimiser and its share of the text."""

    def __init__(self, model: nn.Module, asked: Orders) -> None:
        self._model = model
        self._optimiser = torch.optim.AdamW(model.parameters(), lr=lm.rate_for(asked.trial.shape), fused=True)
        context = asked.trial.shape.context
        self._supply = lm.batches(asked.seed + 1 + asked.rank, size=asked.trial.batch, context=context)

    def learn(self) -> Tensor:
        loss = lm.loss_of(self._model, next(self._supply))
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        return loss.detach()


class DataParallel:
    """One replica, and beside it a model that is not joined to anything, for calibration."""

    def __init__(self, asked: Orders) -> None:
        joined = DistributedDataParallel(lm.build(asked.seed, shape=asked.trial.shape), init_sync=False)
        self._joined = Learner(joined, asked)
        self._by_itself = Learner(lm.build(asked.seed, shape=asked.trial.shape), asked)
        self.step()

    def alone(self) -> dict[str, float]:
        began = time.monotonic()
        self._by_itself.learn()
        return {"compute": time.monotonic() - began}

    def step(self) -> Taken:
        """The exchange goes on while gradients are still computed, within torch: what was waiting cannot be told."""
        began = time.monotonic()
        loss = self._joined.learn().item()
        return Taken(seconds=time.monotonic() - began, waiting_s=None, loss=loss)

    def drain(self) -> float | None:
        return None


def main() -> None:
    asked = orders()
    emit("ready", rank=asked.rank, pid=os.getpid())
    # Otherwise gloo offers its peers the address that the host name resolves to, which is loopback here.
    os.environ["GLOO_SOCKET_IFNAME"] = POD_INTERFACE
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://{asked.addresses[0]}:{asked.port}",
        rank=asked.rank,
        world_size=2,
        timeout=timedelta(seconds=600),
    )
    try:
        peer = Peer(asked.rank, asked.addresses[0], asked.port + 1)
        perform(asked, peer, DataParallel(asked))
    finally:
        distributed.destroy_process_group()
    leave()


if __name__ == "__main__":
    main()
