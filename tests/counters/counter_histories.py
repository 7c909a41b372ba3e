"""Histories of counters whose truth is known, and the slow obvious way to subtract readings."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading, Readings, readings_of
from inspectorate.mechanisms.interconnect.counters.reference import LINK_SPEED_MARGIN

START_NS = 1_700_000_000_000_000_000
PORT = Port("sw1", "p1")


@dataclass(frozen=True, kw_only=True)
class History:
    """Bursts of true traffic, the readings that were taken of it, and what is known of the port."""

    burst_ns: np.ndarray
    burst_in: np.ndarray
    burst_out: np.ndarray
    readings: Readings

    def truth(self, start_ns: int, end_ns: int, way: str) -> int:
        """The octets that really passed in [start, end)."""
        inside = (self.burst_ns >= start_ns) & (self.burst_ns < end_ns)
        bursts = self.burst_in if way == "in" else self.burst_out
        return int(bursts[inside].astype(object).sum())


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Random traffic within the speed of the link; counters of 32 or 64 bits that wrap, are reset, and are read late or twice.

    Resets are told by the epoch, or else the counter falls: an increase over an untold reset cannot be seen by anyone.
    """
    bits = draw(st.sampled_from([32, 64]))
    speed = draw(st.sampled_from([10**6, 10**9, 10**11, 4 * 10**11]))
    told = draw(st.booleans())
    speed_told = draw(st.booleans())
    count = draw(st.integers(2, 25))
    steps_s = draw(st.lists(st.sampled_from([1, 1, 1, 2, 30, 400]), min_size=count, max_size=count))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    times = START_NS + np.cumsum(np.array(steps_s, np.int64)) * 10**9
    edges = np.concatenate(([START_NS], times))
    burst_ns, burst_in, burst_out = [], [], []
    for start, stop in itertools.pairwise(edges):
        room = speed / 8 * (stop - start) / 1e9
        for _ in range(draw(st.integers(0, 3))):
            burst_ns.append(int(rng.integers(start, stop)))
            burst_in.append(int(room / 3 * rng.random() * 0.99))
            burst_out.append(int(room / 3 * rng.random() ** 4 * 0.99))
    order = np.argsort(np.array(burst_ns, np.int64), kind="stable") if burst_ns else np.empty(0, np.int64)
    bursts_ns = np.array(burst_ns, np.int64)[order]
    bursts_in, bursts_out = np.array(burst_in, np.int64)[order], np.array(burst_out, np.int64)[order]

    base_in, base_out = (int(rng.integers(0, 2**63)) * 2 % 2**bits for _ in range(2))
    if draw(st.booleans()):
        base_in = 2**bits - 1 - int(rng.integers(0, 10**6))
    offset_in, offset_out, epoch = base_in, base_out, START_NS - 10**12
    rows: list[Reading] = []
    for place, now in enumerate(times):
        reset = draw(st.booleans()) and draw(st.booleans()) and place > 0
        total_in = int(bursts_in[bursts_ns < now].astype(object).sum())
        total_out = int(bursts_out[bursts_ns < now].astype(object).sum())
        if reset and (told or (bits == 64 and rows[-1].in_octets and rows[-1].out_octets)):
            # Just before this reading both counters begin again: anywhere, or below where they were if they do not tell.
            least_in, least_out = (2**32, 2**32) if told else (rows[-1].in_octets, rows[-1].out_octets)
            offset_in = int(rng.integers(0, least_in, dtype=np.uint64)) - total_in
            offset_out = int(rng.integers(0, least_out, dtype=np.uint64)) - total_out
            epoch = int(now) - 1
        rows.append(
            Reading(
                port=PORT,
                time_ns=int(now),
                bits=bits,
                in_octets=(offset_in + total_in) % 2**bits,
                out_octets=(offset_out + total_out) % 2**bits,
                speed_bits_per_s=speed if speed_told else 0,
                epoch_ns=epoch if told else 0,
            )
        )
    extra = [rows[i] for i in draw(st.lists(st.integers(0, len(rows) - 1), max_size=3))]
    shuffled = draw(st.permutations(rows + extra)) if draw(st.booleans()) else rows + extra
    return History(burst_ns=bursts_ns, burst_in=bursts_in, burst_out=bursts_out, readings=readings_of(shuffled))


def slow_increases(rows: list[Reading]) -> list[tuple[int, float, int, float]]:
    """Least and most of both octet counters from each reading to the next, one at a time, by the table of `increase`."""
    by_time: dict[int, list[Reading]] = {}
    for row in rows:
        by_time.setdefault(row.time_ns, []).append(row)
    kept = [group[0] for _, group in sorted(by_time.items()) if len(set(map(_values, group))) == 1]
    found = []
    for before, after in itertools.pairwise(kept):
        speed = max(before.speed_bits_per_s, after.speed_bits_per_s)
        seconds = (after.time_ns - (before.time_ns - before.age_ns)) / 1e9
        most = float(np.ceil(speed / 8 * seconds * LINK_SPEED_MARGIN)) if speed else float("inf")
        told = before.epoch_ns > 0 and after.epoch_ns > 0
        bounds: list[float] = []
        for name in ("in_octets", "out_octets"):
            a, b, size = getattr(before, name), getattr(after, name), 2**after.bits
            rise = (b - a) % size
            plausible = rise <= most if speed else (b >= a or rise < 2**62)
            anew = (told and before.epoch_ns != after.epoch_ns) or before.bits != after.bits
            if anew or (b < a and not told):
                bounds += [0, most]
            elif not plausible:
                bounds += [0, float("inf")]
            elif after.bits == 64:
                bounds += [rise, rise]
            else:
                upper = float(rise)
                while speed and upper + size <= most:
                    upper += size
                bounds += [rise, upper if speed else float("inf")]
        found.append((int(bounds[0]), bounds[1], int(bounds[2]), bounds[3]))
    return found


def _values(row: Reading) -> tuple[int, ...]:
    return row.in_octets, row.out_octets, row.bits
