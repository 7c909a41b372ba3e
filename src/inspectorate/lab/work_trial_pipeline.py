"""Pipeline training in a trial: the first half of the layers in one pod, the second half in the other.

Per step, each micro-batch goes forward through the first half, crosses as packed activations, goes forward and backward
through the second half at once, and its gradient crosses back; the first half goes backward when all have gone forward.
Sending never holds up computing. Both halves see the same text, so only activations and their gradients cross.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import os
import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inspectorate.lab import quantise
from inspectorate.lab import work_lm as lm
from inspectorate.lab.trial import Compression, Trial
from inspectorate.lab.trial_shape import VOCABULARY
from inspectorate.lab.work_io import emit
from inspectorate.lab.work_trial import Orders, Peer, Taken, orders, perform

GRADIENT_SCALE = 1024.0
"""Gradients are multiplied by this before they are packed: many of them are below what float16 can hold."""


class Half(nn.Module):
    """One half of the layers, with the embedding (first) or the head (second)."""

    def __init__(self, model: lm.ByteModel, *, first: bool) -> None:
        super().__init__()
        layers = list(model.layers.layers)
        middle = len(layers) // 2
        self.layers = nn.ModuleList(layers[:middle] if first else layers[middle:])
        self.symbol = model.symbol if first else None
        self.place = model.place if first else None
        self.head = None if first else model.head

    def forward(self, values: Tensor) -> Tensor:
        length = values.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        if self.symbol is not None and self.place is not None:
            values = self.symbol(values) + self.place(torch.arange(length))
        for layer in self.layers:
            values = layer(values, src_mask=mask, is_causal=True)
        return values if self.head is None else self.head(values)


def pack(values: Tensor, compression: Compression) -> bytes:
    numbers: NDArray[np.float32] = values.detach().reshape(-1).numpy()
    if compression is Compression.INT8:
        return quantise.pack(numbers)
    return numbers.astype("<f2").tobytes()


def unpack(packed: bytes, like: tuple[int, ...], compression: Compression) -> Tensor:
    """Raises `ValueError` if the size is wrong."""
    count = int(np.prod(like))
    if compression is Compression.INT8:
        return torch.from_numpy(quantise.unpack(packed, count)).reshape(like)
    return torch.from_numpy(np.frombuffer(packed, dtype="<f2", count=count).astype(np.float32)).reshape(like)


class Stage:
    """One half with its optimiser, without its peer."""

    def __init__(self, trial: Trial, *, rank: int, seed: int) -> None:
        self.trial = trial
        self.size = (trial.batch, trial.shape.context, trial.shape.width)
        self._half = Half(lm.build(seed, shape=trial.shape), first=rank == 0)
        self._optimiser = torch.optim.AdamW(self._half.parameters(), lr=lm.rate_for(trial.shape), fused=True)
        # The same text in both pods: the seed does not depend on the rank.
        self._supply = lm.batches(seed + 1, size=trial.batch, context=trial.shape.context)
        self._spare = lm.batches(seed + 2, size=trial.batch, context=trial.shape.context)

    def next_batches(self) -> list[Tensor]:
        """The micro-batches of the next step, with all gradients forgotten."""
        self._optimiser.zero_grad()
        return [next(self._supply) for _ in range(self.trial.micro_batches)]

    def spare_batches(self) -> list[Tensor]:
        """Micro-batches for calibration: the pods calibrate unequally often and must not come apart."""
        self._optimiser.zero_grad()
        return [next(self._spare) for _ in range(self.trial.micro_batches)]

    def learn_nothing(self) -> None:
        """A step of the optimiser on gradients of zero: what was computed in calibration is no gradient of the loss."""
        self._optimiser.zero_grad(set_to_none=False)
        self._optimiser.step()

    def forward(self, batch: Tensor) -> tuple[Tensor, bytes]:
        """First half: the activations of a micro-batch, and as they are sent."""
        hidden = self._half(batch[:, :-1])
        return hidden, pack(hidden, self.trial.compression)

    def both_ways(self, packed: bytes, batch: Tensor) -> tuple[float, bytes]:
        """Second half: the loss of a micro-batch, and the gradient of what came in, as it is sent."""
        hidden = unpack(packed, self.size, self.trial.compression).requires_grad_()
        logits = self._half(hidden)
        loss = functional.cross_entropy(logits.reshape(-1, VOCABULARY), batch[:, 1:].reshape(-1))
        (loss / self.trial.micro_batches).backward()
        assert hidden.grad is not None
        return loss.item(), pack(hidden.grad * GRADIENT_SCALE, self.trial.compression)

    def backward(self, hidden: Tensor, packed: bytes) -> None:
        """First half: what a gradient that came back means for its layers."""
        hidden.backward(unpack(packed, self.size, self.trial.compression) / GRADIENT_SCALE)

    def learn(self) -> None:
        self._optimiser.step()


class First:
    """The pod with the first half."""

    def __init__(self, stage: Stage, peer: Peer) -> None:
        self._stage, self._peer = stage, peer

    def alone(self) -> dict[str, float]:
        """The same with the peer's gradients replaced by the pod's own activations."""
        began = time.monotonic()
        sent = [self._stage.forward(batch) for batch in self._stage.spare_batches()]
        went_forward = time.monotonic()
        for hidden, packed in sent:
            self._stage.backward(hidden, packed)
        went_back = time.monotonic()
        self._stage.learn_nothing()
        ended = time.monotonic()
        micro_batches = self._stage.trial.micro_batches
        return {
            "forward": (went_forward - began) / micro_batches,
            "backward": (went_back - went_forward) / micro_batches,
            "optimise": ended - went_back,
        }

    def step(self) -> Taken:
        began, waiting_s = time.monotonic(), 0.0
        kept = []
        for number, batch in enumerate(self._stage.next_batches()):
            hidden, packed = self._stage.forward(batch)
            self._peer.send_later(number, packed)
            kept.append(hidden)
        for number, hidden in enumerate(kept):
            asked = time.monotonic()
            message, packed = self._peer.receive()
            waiting_s += time.monotonic() - asked
            if message.number != number:
                raise ValueError("the peer is at another micro-batch")
            self._stage.backward(hidden, packed)
        self._stage.learn()
        return Taken(seconds=time.monotonic() - began, waiting_s=waiting_s, loss=None)

    def drain(self) -> float | None:
        return None


class Second:
    """The pod with the second half."""

    def __init__(self, stage: Stage, peer: Peer) -> None:
        self._stage, self._peer = stage, peer

    def alone(self) -> dict[str, float]:
        began = time.monotonic()
        batches = self._stage.spare_batches()
        nothing = pack(torch.zeros(self._stage.size) + 0.1, self._stage.trial.compression)
        for batch in batches:
            self._stage.both_ways(nothing, batch)
        computed = time.monotonic()
        self._stage.learn_nothing()
        ended = time.monotonic()
        return {"both": (computed - began) / len(batches), "optimise": ended - computed}

    def step(self) -> Taken:
        began, waiting_s, losses = time.monotonic(), 0.0, []
        sent = None
        for number, batch in enumerate(self._stage.next_batches()):
            asked = time.monotonic()
            message, packed = self._peer.receive()
            waiting_s += time.monotonic() - asked
            if message.number != number:
                raise ValueError("the peer is at another micro-batch")
            loss, back = self._stage.both_ways(packed, batch)
            sent = self._peer.send_later(number, back)
            losses.append(loss)
        self._stage.learn()
        assert sent is not None
        sent.result()
        return Taken(seconds=time.monotonic() - began, waiting_s=waiting_s, loss=float(np.mean(losses)))

    def drain(self) -> float | None:
        return None


def work(asked: Orders, peer: Peer) -> First | Second:
    stage = Stage(asked.trial, rank=asked.rank, seed=asked.seed)
    return First(stage, peer) if asked.rank == 0 else Second(stage, peer)


def main() -> None:
    asked = orders()
    emit("ready", rank=asked.rank, pid=os.getpid())
    peer = Peer(asked.rank, asked.addresses[0], asked.port)
    perform(asked, peer, work(asked, peer))


if __name__ == "__main__":
    main()
