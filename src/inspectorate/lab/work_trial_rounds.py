"""Low-communication training in a trial: rounds of inner steps, then one exchange of packed pseudo-gradients.

float32 and 8 bits use the outer optimiser of DiLoCo (`low_communication.outer_step`); sparse packing keeps what it
could not send (`trial_sparse.ErrorFeedback`) and applies the mean as it is, as SparseLoCo does.

Overlapped, the exchange of one round goes on while the next is computed, and is applied one round late by all replicas
alike. They stay equal to the bit either way; each message carries a digest of where its round started.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inspectorate.lab import quantise, trial_sparse
from inspectorate.lab import work_lm as lm
from inspectorate.lab.low_communication import fingerprint, outer_step
from inspectorate.lab.trial import Compression, Trial
from inspectorate.lab.trial_frames import Message
from inspectorate.lab.work_io import emit
from inspectorate.lab.work_trial import Orders, Peer, Taken, orders, perform


class Replica:
    """One replica, without its peer: what it computes, says and applies."""

    def __init__(self, trial: Trial, *, rank: int, seed: int) -> None:
        self._trial = trial
        self._model = lm.build(seed, shape=trial.shape)
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=lm.rate_for(trial.shape), fused=True)
        self._supply = lm.batches(seed + 1 + rank, size=trial.batch, context=trial.shape.context)
        self.parameters = lm.flat(self._model)
        self._momentum = np.zeros_like(self.parameters)
        self._feedback = trial_sparse.ErrorFeedback(self.parameters.size)

    def compute(self) -> tuple[float, NDArray[np.float32]]:
        """The inner steps of a round from the common parameters: mean loss and pseudo-gradient of shape (n,)."""
        lm.load_flat(self._model, self.parameters)
        losses = []
        for _ in range(self._trial.inner_steps):
            loss = lm.loss_of(self._model, next(self._supply))
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            losses.append(loss.item())
        return float(np.mean(losses)), self.parameters - lm.flat(self._model)

    def digest(self) -> bytes:
        return fingerprint(self.parameters)

    def pack(self, values: NDArray[np.float32]) -> bytes:
        match self._trial.compression:
            case Compression.SPARSE:
                return self._feedback.pack(values)
            case Compression.INT8:
                return quantise.pack(values)
            case _:
                return values.astype("<f4").tobytes()

    def apply(self, packed: list[bytes]) -> None:
        """Apply what all replicas sent, in order of their rank, so that every replica gets the same bits."""
        count = self.parameters.size
        total = np.zeros(count, dtype=np.float32)
        for one in packed:
            total += self._unpack(one, count)
        mean = total / np.float32(len(packed))
        if self._trial.compression is Compression.SPARSE:
            self.parameters = self.parameters - mean
        else:
            self.parameters, self._momentum = outer_step(self.parameters, mean, self._momentum)

    def _unpack(self, packed: bytes, count: int) -> NDArray[np.float32]:
        match self._trial.compression:
            case Compression.SPARSE:
                return trial_sparse.unpack(packed, count)
            case Compression.INT8:
                return quantise.unpack(packed, count)
            case _:
                return np.frombuffer(packed, dtype="<f4", count=count)


@dataclass(frozen=True, kw_only=True)
class _UnderWay:
    """An exchange that has begun."""

    own: bytes
    digest: bytes
    number: int
    sent: Future[None]
    received: Future[tuple[Message, bytes]]


class Rounds:
    """A replica with its peer."""

    def __init__(self, asked: Orders, peer: Peer) -> None:
        self._rank = asked.rank
        self._overlapped = asked.trial.overlapped
        self._replica = Replica(asked.trial, rank=asked.rank, seed=asked.seed)
        self._peer = peer
        self._number = 0
        self._under_way: _UnderWay | None = None

    def alone(self) -> dict[str, float]:
        """A round in which the peer's part is a copy of one's own. Parameters are put back: the peer knows nothing."""
        replica, before = self._replica, self._replica.parameters
        feedback, momentum = replica._feedback.unsent.copy(), replica._momentum
        began = time.monotonic()
        _, difference = replica.compute()
        computed = time.monotonic()
        replica.digest()
        packed = replica.pack(difference)
        replica.apply([packed, packed])
        ended = time.monotonic()
        replica.parameters, replica._momentum, replica._feedback.unsent = before, momentum, feedback
        return {"compute": computed - began, "synchronise": ended - computed}

    def step(self) -> Taken:
        began = time.monotonic()
        digest = self._replica.digest()
        loss, difference = self._replica.compute()
        own = self._replica.pack(difference)
        waiting_s = self._finish() if self._overlapped else 0.0
        self._number += 1
        self._under_way = _UnderWay(
            own=own,
            digest=digest,
            number=self._number,
            sent=self._peer.send_later(self._number, own, digest),
            received=self._peer.receive_later(),
        )
        if not self._overlapped:
            waiting_s = self._finish()
        return Taken(seconds=time.monotonic() - began, waiting_s=waiting_s, loss=loss)

    def drain(self) -> float | None:
        began = time.monotonic()
        if self._under_way is None:
            return None
        self._finish()
        return time.monotonic() - began

    def _finish(self) -> float:
        """End the exchange under way, if any, and apply it; returns the seconds spent waiting."""
        exchange, self._under_way = self._under_way, None
        if exchange is None:
            return 0.0
        began = time.monotonic()
        exchange.sent.result()
        message, other = exchange.received.result()
        waited_s = time.monotonic() - began
        if (message.number, message.digest) != (exchange.number, exchange.digest):
            raise ValueError("the peer is in another round or has come apart")
        self._replica.apply([exchange.own, other] if self._rank == 0 else [other, exchange.own])
        return waited_s


def main() -> None:
    asked = orders()
    emit("ready", rank=asked.rank, pid=os.getpid())
    peer = Peer(asked.rank, asked.addresses[0], asked.port)
    perform(asked, peer, Rounds(asked, peer))


if __name__ == "__main__":
    main()
