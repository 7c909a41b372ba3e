"""What a workload of the accelerator recording is, and the bench that it runs on.

A workload is a function of a bench that gives a `Work`: a step that is repeated until time is up and says which FLOP it did, and a
probe, one representative part of it whose FLOP are counted by torch and by rule. Everything random comes from the bench's seed.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from inspectorate.lab.accelerator_models import SHAPES, TINY, Shape, Transformer


@dataclass(frozen=True, kw_only=True)
class Done:
    """FLOP of one step by rule: those that train, and all others."""

    training: float = 0.0
    other: float = 0.0


Step = Callable[[], Done]


@dataclass(frozen=True, kw_only=True)
class Work:
    """One workload, ready to run."""

    step: Step
    probe: Step | None = None
    """Counted once by torch's counter beside the rule, before the run. None: the workload has no matrix products to count."""
    facts: Mapping[str, object] = field(default_factory=dict)
    warm_steps: int = 2


class Bench:
    """The device, the scale and the randomness of one run."""

    def __init__(self, *, device: str, scale: str, seed: int) -> None:
        self.device, self.tiny, self.seed = device, scale == "tiny", seed
        self.chance = np.random.default_rng(seed)
        torch.manual_seed(seed)
        self.dtype = torch.bfloat16

    def size(self, full: int, tiny: int) -> int:
        return tiny if self.tiny else full

    def shape(self, name: str) -> Shape:
        return (TINY if self.tiny else SHAPES)[name]

    def model(self, name: str, *, dtype: torch.dtype | None = None, recompute: bool = False) -> Transformer:
        with torch.device(self.device):
            made = Transformer(self.shape(name), recompute=recompute, length_max=self.size(4096, 256))
        return made.to(dtype or self.dtype)

    def symbols(self, shape: Shape, rows: int, length: int) -> Tensor:
        return torch.randint(shape.vocabulary, (rows, length), device=self.device)

    def normal(self, *size: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.randn(*size, device=self.device, dtype=dtype or self.dtype)

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def captured(self, call: Callable[[], None]) -> tuple[Callable[[], None], bool]:
        """The same work as a graph of kernels that is launched at once, and whether that went."""
        if self.device != "cuda":
            return call, False
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            call()
            call()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                call()
        except RuntimeError:
            torch.cuda.synchronize()
            return call, False
        return graph.replay, True


class Arrivals:
    """Requests that arrive at random, so many a second on average."""

    def __init__(self, bench: Bench, rate_hz: float) -> None:
        self._chance, self._rate_hz = bench.chance, rate_hz
        self._next_s = time.monotonic()

    def take(self, most: int) -> int:
        """Sleep until at least one has arrived, then take all that are waiting, `most` at most.

        None is missed; one that would keep us waiting for more than a second is asked for again.
        """
        wait_s = self._next_s - time.monotonic()
        if wait_s > 0:
            time.sleep(min(wait_s, 1.0))
            if wait_s > 1.0:
                return 0
        taken = 0
        while taken < most and self._next_s <= time.monotonic():
            taken += 1
            self._next_s += float(self._chance.exponential(1.0 / self._rate_hz))
        return taken
