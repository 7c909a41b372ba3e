"""What a `FlopTrace` costs a training loop and a server, beside torch's `FlopCounterMode`: `python -m bench flop_trace`.

A decoder trains, then answers, on one core; the same steps run bare, under our trace and under torch's counter, in turn, so that a
busy machine slows all alike. Ratios are of processor seconds, the median over rounds. Tracing costs the same few microseconds for
each call of an operator, so the share falls with the size of the products: two sizes are shown.
Exits 1 where ours costs clearly more than torch's.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from inspectorate.mechanisms.inspection.flop.trace import FlopTrace

ROUNDS = 3
STEPS = 2
SIZES = {"width 128, 512 tokens": (128, 2, 8, 64), "width 512, 512 tokens": (512, 2, 2, 256)}
"""Width, layers, batch, sequence."""
MARGIN = 0.05
"""Of the bare time: a difference below it is noise of a busy machine."""


def model(width: int, layers: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(width, 8, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def train(net: nn.Module, given: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
    for _ in range(STEPS):
        net(given).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()


def answer(net: nn.Module, given: torch.Tensor) -> None:
    with torch.inference_mode():
        for _ in range(STEPS):
            net(given)


WAYS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "bare": nullcontext,
    "FlopTrace": lambda: FlopTrace("run"),
    "FlopCounterMode": lambda: FlopCounterMode(display=False),
}


def seconds(work: Callable[[], None]) -> dict[str, float]:
    """Median processor seconds of each way, in turn."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, around in WAYS.items():
            start = time.process_time()
            with around():
                work()
            taken[way].append(time.process_time() - start)
    return {way: statistics.median(found) for way, found in taken.items()}


def main() -> int:
    """Print the table."""
    torch.set_num_threads(1)
    table = Table("work", "bare, ms a step", "FlopTrace", "FlopCounterMode")
    missed = 0
    for name, (width, layers, batch, sequence) in SIZES.items():
        net, given = model(width, layers), torch.randn(batch, sequence, width)
        optimiser = torch.optim.AdamW(net.parameters())
        for what in ("train", "answer"):
            if what == "train":
                net.train()
                found = seconds(lambda net=net, given=given, optimiser=optimiser: train(net, given, optimiser))  # type: ignore[misc]
            else:
                net.eval()
                found = seconds(lambda net=net, given=given: answer(net, given))  # type: ignore[misc]
            over = {way: found[way] / found["bare"] - 1 for way in WAYS}
            missed += over["FlopTrace"] > over["FlopCounterMode"] + MARGIN
            table.add_row(
                f"{what}, {name}", f"{found['bare'] / STEPS * 1e3:.1f}", f"{over['FlopTrace']:+.1%}",
                f"{over['FlopCounterMode']:+.1%}",
            )  # fmt: skip
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
