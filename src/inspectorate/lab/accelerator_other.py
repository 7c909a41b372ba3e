"""Work of an accelerator that is no AI, and none: what training must not be mistaken for."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch

from inspectorate.lab.accelerator_work import Bench, Done, Work


def fourier(bench: Bench) -> Work:
    """Transforms of large images, there and back."""
    side, rows = bench.size(4096, 32), bench.size(8, 2)
    given = torch.randn(rows, side, side, device=bench.device, dtype=torch.complex64)
    flop = 2 * 5.0 * rows * side * side * math.log2(side * side)

    def step() -> Done:
        given.copy_(torch.fft.ifft2(torch.fft.fft2(given)))
        return Done(other=flop)

    return Work(step=step, facts={"side": side, "rows": rows, "flop_rule": "5 n log2 n"})


def bodies(bench: Bench) -> Work:
    """Gravity of all on all, in 32 bits."""
    count, part = bench.size(65_536, 64), bench.size(4_096, 32)
    place, speed = (torch.randn(count, 3, device=bench.device) for _ in range(2))

    def step() -> Done:
        for first in range(0, count, part):
            apart = place[None] - place[first : first + part, None]
            force = (apart * (apart.square().sum(-1, keepdim=True) + 0.01).pow(-1.5)).sum(1)
            speed[first : first + part] += 1e-6 * force
        place.add_(speed, alpha=1e-3)
        return Done(other=20.0 * count * count)

    return Work(step=step, facts={"bodies": count, "flop_rule": "20 a pair"})


def stencil(bench: Bench) -> Work:
    """Heat in a cube: every point the mean of its six neighbours."""
    side = bench.size(640, 16)
    heat = torch.rand(side, side, side, device=bench.device)

    def step() -> Done:
        for _ in range(10):
            inside = heat[1:-1, 1:-1, 1:-1]
            around = heat[2:, 1:-1, 1:-1] + heat[:-2, 1:-1, 1:-1] + heat[1:-1, 2:, 1:-1] + heat[1:-1, :-2, 1:-1]
            inside.copy_((around + heat[1:-1, 1:-1, 2:] + heat[1:-1, 1:-1, :-2]) / 6.0)
        return Done(other=10 * 6.0 * side**3)

    return Work(step=step, facts={"side": side, "flop_rule": "6 a point"})


def products_double(bench: Bench) -> Work:
    """Dense matrix products in 64 bits."""
    side = bench.size(8192, 64)
    first, second = (torch.randn(side, side, device=bench.device, dtype=torch.float64) for _ in range(2))

    def step() -> Done:
        torch.mm(first, second)
        return Done(other=2.0 * side**3)

    return Work(step=step, probe=step, facts={"side": side})


def solve(bench: Bench) -> Work:
    """Systems of linear equations in 64 bits, as of finite elements: factorised and solved."""
    side = bench.size(8192, 64)
    given = torch.randn(side, side, device=bench.device, dtype=torch.float64)
    right = torch.randn(side, 16, device=bench.device, dtype=torch.float64)

    def step() -> Done:
        torch.linalg.solve(given, right)
        return Done(other=2.0 / 3.0 * side**3 + 2.0 * side * side * 16)

    return Work(step=step, facts={"side": side, "flop_rule": "2/3 n^3"})


def chance(bench: Bench) -> Work:
    """Prices of options by drawing paths."""
    paths, steps = bench.size(1 << 25, 1 << 8), bench.size(16, 2)

    def step() -> Done:
        price = torch.ones(paths, device=bench.device)
        for _ in range(steps):
            price.mul_(torch.exp(0.01 * torch.randn(paths, device=bench.device)))
        (price - 1.0).clamp_(min=0).mean().item()
        return Done(other=10.0 * paths * steps)

    return Work(step=step, facts={"paths": paths, "steps": steps, "flop_rule": "10 a draw"})


def sort(bench: Bench) -> Work:
    count = bench.size(1 << 28, 1 << 10)

    def step() -> Done:
        torch.rand(count, device=bench.device).sort()
        return Done()

    return Work(step=step, facts={"count": count})


def copy(bench: Bench) -> Work:
    """Between host and device, and within the device."""
    count = bench.size(1 << 28, 1 << 10)
    host = torch.zeros(count, dtype=torch.float32, pin_memory=bench.device == "cuda")
    here, there = (torch.zeros(count, device=bench.device) for _ in range(2))

    def step() -> Done:
        here.copy_(host, non_blocking=True)
        for _ in range(8):
            there.copy_(here)
        host.copy_(there, non_blocking=True)
        bench.wait()
        return Done()

    return Work(step=step, facts={"bytes": 4 * count})


def idle(_bench: Bench) -> Work:
    def step() -> Done:
        time.sleep(0.2)
        return Done()

    return Work(step=step, warm_steps=0)


OTHER: dict[str, Callable[[Bench], Work]] = {
    "fourier": fourier,
    "bodies": bodies,
    "stencil": stencil,
    "products-double": products_double,
    "solve": solve,
    "chance": chance,
    "sort": sort,
    "copy": copy,
}
IDLE: dict[str, Callable[[Bench], Work]] = {"idle": idle}
