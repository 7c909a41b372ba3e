"""Copies of a training state, taken at the end of a packet while the loop goes on.

Needs torch, which the core does not install.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from inspectorate.mechanisms.inspection.transcripts.torch_state import Tensors


@dataclass
class StateCopy:
    """State copied at the end of a packet. Buffers are used again: fresh memory costs more than the copy."""

    sets: dict[str, Tensors] = field(default_factory=dict)
    ready: Any = None
    """On a device: the event after which the copies are complete."""

    def take(self, sets: Mapping[str, Tensors]) -> None:
        on_device = False
        for kind, tensors in sets.items():
            old = self.sets.get(kind, {})
            made = {}
            for name, tensor in tensors.items():
                place = old.get(name)
                if place is None or place.shape != tensor.shape or place.dtype != tensor.dtype:
                    place = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
                place.copy_(tensor, non_blocking=True)
                on_device |= tensor.is_cuda
                made[name] = place
            self.sets[kind] = made
        self.ready = None
        if on_device:
            cuda: Any = torch.cuda
            self.ready = cuda.Event()
            self.ready.record()
