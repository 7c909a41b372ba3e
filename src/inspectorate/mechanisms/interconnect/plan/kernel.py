"""The search itself, compiled: every layout of every method, and the best of each method.

A layout cuts the pods into `groups` replicas of `parts` pods and synchronises every H steps. Per step and pod:

    t   = batch / groups                                 tokens of one replica
    Tc  = 6 P t / (parts R) x fill                       computing
    a   = what crosses between the parts of a replica, x fill     (by family, `crossing_bytes`)
    fill = 1 + (parts - 1) / M for a pipeline of M sequences: it fills and drains once a step, computing and link alike
    V   = P x 2 / (compression x shards) x exchange       one synchronisation, each way

    overlapped   T(H) = max(H (Tc + l), (H a + V) / B)    l: latency that no overlap hides
    blocking     T(H) = H max(Tc + l, a / B) + V / B + round trip
    worth        w(H) = quality x groups^-e x (1 - alpha log10 H) x H x batch x 6 P / T(H)

groups^-e is for methods that train apart for a while; summing gradients at every step loses nothing by their number.

In a loading window V shrinks by what the window lets through, and then T(H) is at least the time between windows; a layout
takes whichever is better.

Why a bisection over H is exhaustive: (1 - alpha log10 H) H is concave in H and T is convex, so their ratio has one peak on
any increasing grid of H. Cuts are skipped only where a bound that no H exceeds (steps worth 1, synchronisations as rare as
they may be, windows free of waiting) is no better than what was found already. `tests/plan/slow_planner.py` tries
everything, without either.

The grid does not depend on the limit, T falls as B rises, and the maximum of rising functions rises: a tighter limit never
helps the adversary.
"""

# numba's decorators are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-untyped-def, untyped-decorator, no-any-return, unused-ignore"

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REPLICAS, PIPELINE, TENSOR, SEQUENCE, EXPERTS, ROLLOUTS, SYNTHETIC, ALONE = range(8)
SERVER, RING, GATHER = range(3)


class MethodRow(NamedTuple):
    """One method as the kernel takes it."""

    family: int
    exchange: int
    overlap: bool
    compression: float
    activation_compression: float
    inner_steps_max: float
    volume: float
    quality: float


class Scene(NamedTuple):
    """One limit and one job as the kernel takes them: FLOP/s, bytes, bytes/s, seconds, tokens."""

    pods: int
    flop_per_s: float
    memory_bytes: float
    sent: float
    received: float
    round_trip_s: float
    window_bytes: float
    window_every_s: float
    parameters: float
    tokens: float
    batch: float
    sequence: float
    width: float
    layers: float
    alpha: float
    replica_exponent: float
    sync_min: float
    bytes_per_parameter: float
    bits_per_token: float
    staleness_s: float


EMPTY_SCENE = Scene(1, *([1.0] * (len(Scene._fields) - 1)))
"""A scene of ones, for callers that need a few of its fields."""
FOUND_DTYPE = np.dtype(
    [("worth", np.float64), ("groups", np.int64), ("parts", np.int64), ("inner_steps", np.float64), ("bound", np.int64)]
)
BOUND_COMPUTE, BOUND_LINK, BOUND_MEMORY, BOUND_PODS = range(4)

KEY_VALUE_SHARE = 1 / 16
"""Width of keys and values against that of the residual stream: 8 of 128 heads (Llama 3.1 405B)."""
EXPERTS_PER_TOKEN = 2.0
_compiled = njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def crossing_bytes(family: int, scene, tokens: float, parts: int) -> float:
    """Bytes at 16 bits that a pod sends, and receives, in one step for the replica that it is a part of."""
    width, layers = scene.width, scene.layers
    if family == PIPELINE:
        # An inner stage has two neighbours; with two stages each has one.
        return tokens * width * 2.0 * (2.0 if parts > 2 else 1.0)
    if family == TENSOR:
        # Four all-reduces a layer, forward and backward (arXiv 1909.08053).
        return 4.0 * layers * 2.0 * (parts - 1) / parts * tokens * width * 2.0
    if family == SEQUENCE:
        # Keys and values of each part go round, and their gradients come back (arXiv 2310.01889).
        return 3.0 * layers * (parts - 1) * (tokens / parts) * 2.0 * width * KEY_VALUE_SHARE * 2.0
    if family == EXPERTS:
        # To the experts and back, forward and backward.
        return 4.0 * layers * (tokens / parts) * EXPERTS_PER_TOKEN * (parts - 1) / parts * width * 2.0
    return 0.0


@_compiled
def cycle_s(
    steps: float, step_s: float, a: float, up: float, down: float, scene, overlap: bool, floor_s: float
) -> float:
    """T(H) of the module's docstring: seconds from one synchronisation to the next."""
    if overlap:
        link = max((steps * a + up) / scene.sent, (steps * a + down) / scene.received)
        return max(steps * step_s, link, floor_s)
    crossing = max(a / scene.sent, a / scene.received)
    sync = max(up / scene.sent, down / scene.received) + scene.round_trip_s
    return max(steps * max(step_s, crossing) + sync, floor_s)


@_compiled
def _best_steps(
    grid, worths, last: int, step_s: float, a: float, up: float, down: float, scene, overlap: bool, floor_s: float
):
    """The place in the grid with the most worth per second, and that worth, by bisection (one peak)."""
    low, high = 0, last
    while low < high:
        middle = (low + high) // 2
        here = worths[middle] * grid[middle] / cycle_s(grid[middle], step_s, a, up, down, scene, overlap, floor_s)
        after = (
            worths[middle + 1]
            * grid[middle + 1]
            / cycle_s(grid[middle + 1], step_s, a, up, down, scene, overlap, floor_s)
        )
        if here < after:
            low = middle + 1
        else:
            high = middle
    return low, worths[low] * grid[low] / cycle_s(grid[low], step_s, a, up, down, scene, overlap, floor_s)


@_compiled
def fill(parts: int, sequences: float) -> float:
    """How much longer a pipeline takes for filling and draining once with so many sequences."""
    return 1.0 + (parts - 1) / max(1.0, sequences)


@_compiled
def update_bytes(method, scene, parts: int, groups: int):
    """Bytes that a pod sends, and receives, in one synchronisation."""
    shards = parts if method.family in (PIPELINE, TENSOR, EXPERTS) else 1
    replicas = groups * (parts if method.family == SEQUENCE else 1)
    if replicas == 1:
        return 0.0, 0.0
    up = scene.parameters * 2.0 / method.compression * method.volume / shards
    if method.exchange == RING:
        up *= 2.0 * (replicas - 1) / replicas
    return up, up * (replicas - 1) if method.exchange == GATHER else up


@_compiled
def _latency(method, scene, parts: int) -> float:
    """Seconds of every step in which a cut model waits for distance: to fill a pipeline, or layer by layer."""
    if method.family == REPLICAS:
        return 0.0
    return scene.round_trip_s * ((parts - 1) if method.family == PIPELINE else 4.0 * scene.layers)


@_compiled
def _bound(method, scene, replica_worth: float, seldom: float, parts: int, fewest: int, most: int) -> float:
    """No cut into `parts` with `fewest` to `most` groups is worth more: every part of its time at its least.

    Computing falls with more groups, and so does what crosses per step; synchronisations move least with few groups, and
    are as rare as they may be.
    """
    flop = 6.0 * scene.parameters * scene.batch
    step_s = flop / (most * parts * scene.flop_per_s) + _latency(method, scene, parts)
    a = crossing_bytes(method.family, scene, scene.batch / most, parts) / method.activation_compression
    up, down = update_bytes(method, scene, parts, fewest)
    up, down = max(0.0, up - scene.window_bytes) / seldom, max(0.0, down - scene.window_bytes) / seldom
    return method.quality * flop * replica_worth / max(step_s, (a + up) / scene.sent, (a + down) / scene.received)


@_compiled
def _consider(method, scene, grid, worths, replica_worth: float, last: int, parts: int, groups: int):
    """The worth of one cut of the pods at its best number of steps, the place of that in the grid, and what binds it."""
    flop = 6.0 * scene.parameters * scene.batch
    tokens = scene.batch / groups
    step_s = flop / groups / (parts * scene.flop_per_s)
    a = crossing_bytes(method.family, scene, tokens, parts) / method.activation_compression
    if method.family == PIPELINE:
        filling = fill(parts, tokens / scene.sequence)
        step_s, a = step_s * filling, a * filling
    step_s += _latency(method, scene, parts)
    up, down = update_bytes(method, scene, parts, groups)
    place, per_s = _best_steps(grid, worths, last, step_s, a, up, down, scene, method.overlap, 0.0)
    if scene.window_bytes > 0 and up > 0:
        less_up, less_down = max(0.0, up - scene.window_bytes), max(0.0, down - scene.window_bytes)
        other, faster = _best_steps(
            grid, worths, last, step_s, a, less_up, less_down, scene, method.overlap, scene.window_every_s
        )
        if faster > per_s:
            place, per_s = other, faster
    bound = BOUND_COMPUTE if per_s > 0.98 * worths[place] / step_s else BOUND_LINK
    return method.quality * flop * replica_worth * per_s, place, bound


@_compiled
def _search(method, scene, grid, worths, replica_worths, found) -> None:
    """The best layout of one method that cuts batch, model or sequence: every cut that a bound does not exclude."""
    whole = method.family == REPLICAS
    memory = scene.parameters * scene.bytes_per_parameter
    steps_max = min(method.inner_steps_max, max(1.0, scene.tokens / (scene.sync_min * scene.batch)))
    last = np.searchsorted(grid, steps_max, side="right") - 1
    groups_max = int(min(float(scene.pods), scene.batch / scene.sequence))
    least = 2 if whole else 1
    best, best_groups, best_parts, best_place = 0.0, 0, 0, 0
    bound = BOUND_PODS if scene.pods < 2 else BOUND_MEMORY
    for parts in range(1 if whole else 2, (1 if whole else scene.pods) + 1):
        holders = parts if method.family in (PIPELINE, TENSOR, EXPERTS) else 1
        most = min(groups_max, scene.pods // parts)
        if memory > scene.memory_bytes * holders or most < least:
            continue
        if _bound(method, scene, replica_worths[least], grid[last], parts, least, most) <= best:
            continue
        groups = least
        while whole and groups < most:
            # A first look, so that the bounds exclude more.
            worth, place, what = _consider(method, scene, grid, worths, replica_worths[groups], last, parts, groups)
            if worth > best:
                best, best_groups, best_parts, best_place, bound = worth, groups, parts, place, what
            groups *= 2
        high, size = most, 1
        while high >= least:
            # From many groups to few, in ranges that double where a bound excludes them and start anew where it does not.
            low = max(least, high - size + 1)
            if _bound(method, scene, replica_worths[low], grid[last], parts, low, high) <= best:
                high, size = low - 1, size * 2
                continue
            if size > 1:
                size = 1
                continue
            worth, place, what = _consider(method, scene, grid, worths, replica_worths[high], last, parts, high)
            if worth > best:
                best, best_groups, best_parts, best_place, bound = worth, high, parts, place, what
            high -= 1
    found.worth, found.groups, found.parts, found.inner_steps, found.bound = (
        best, best_groups, best_parts, grid[best_place], bound,
    )  # fmt: skip


@_compiled
def _generate(method, scene):
    """Rollouts and synthetic data: one pod trains, the others make tokens at 2 P FLOP each. Worth, and what binds it."""
    if scene.pods < 2:
        return 0.0, BOUND_PODS
    if scene.parameters * scene.bytes_per_parameter > scene.memory_bytes:
        return 0.0, BOUND_MEMORY
    makers = scene.pods - 1.0
    # FLOP that go into the tokens that cross a link in one second; the pod that trains receives those of all others.
    flop_per_byte = 2.0 * scene.parameters * 8.0 / scene.bits_per_token
    share = min(1.0, min(scene.sent, scene.received / makers) * flop_per_byte / scene.flop_per_s)
    if method.family == ROLLOUTS:
        refresh = scene.parameters * 2.0 / method.compression
        brought = scene.staleness_s * min(scene.sent, scene.received)
        if scene.window_bytes > 0:
            brought += min(scene.window_bytes, refresh) * scene.staleness_s / scene.window_every_s
        share = min(share, brought / refresh)
    return method.quality * scene.flop_per_s * (1.0 + makers * share), BOUND_COMPUTE if share > 0.98 else BOUND_LINK


@_compiled
def search(methods, scene, grid, found) -> None:
    """The best layout of every method, into `found` (one row per method).

    `methods` is a tuple of `MethodRow`, `scene` a `Scene`, `grid` rising numbers of steps, `found` FOUND_DTYPE (m,).
    Worth is in well-connected FLOP/s of all pods together.
    """
    worths = np.empty(len(grid))
    for place in range(len(grid)):
        worths[place] = max(0.0, 1.0 - scene.alpha * math.log10(grid[place]))
    ones, replica_worths = np.ones(scene.pods + 1), np.ones(scene.pods + 1)
    if scene.replica_exponent > 0:
        for groups in range(2, len(replica_worths)):
            replica_worths[groups] = groups**-scene.replica_exponent
    fits = scene.parameters * scene.bytes_per_parameter <= scene.memory_bytes
    for number in range(len(methods)):
        method, row = methods[number], found[number]
        if method.family == ALONE:
            row.worth = scene.flop_per_s if fits else 0.0
            row.groups, row.parts, row.inner_steps = 1, 1, 1.0
            row.bound = BOUND_COMPUTE if fits else BOUND_MEMORY
        elif method.family in (ROLLOUTS, SYNTHETIC):
            row.worth, row.bound = _generate(method, scene)
            row.groups, row.parts, row.inner_steps = scene.pods, 1, 1.0
        else:
            _search(method, scene, grid, worths, replica_worths if method.inner_steps_max > 1 else ones, row)
