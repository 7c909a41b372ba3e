"""The sixteen trials: four methods, from 0.3 to 100 million parameters, limits from a thousand to 25 million bytes/s.

Limits are chosen for each job so that a step takes seconds: what matters is bytes per synchronisation against the
limit, not the limit. Each trial takes at most a minute and a half, calibration included, on two cores.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.errors import InputError
from inspectorate.lab.trial import Compression, Method, Trial
from inspectorate.lab.trial_shape import BENCH, LARGE, MEDIUM, SMALL


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A trial, and how many steps each of its calibrations takes."""

    trial: Trial
    calibrations: int


def _planned(calibrations: int, trial: Trial) -> Planned:
    return Planned(trial=trial, calibrations=calibrations)


DP, LC, PP, INF = Method.DATA_PARALLEL, Method.LOW_COMMUNICATION, Method.PIPELINE, Method.INFERENCE
FP16, INT8, SPARSE = Compression.FP16, Compression.INT8, Compression.SPARSE

MATRIX: tuple[Planned, ...] = (
    _planned(6, Trial(name="dp-0.3M-1MB", method=DP, shape=BENCH, batch=16, limit_bytes_per_s=1e6, steps=15)),
    _planned(6, Trial(name="dp-0.3M-100KB", method=DP, shape=BENCH, batch=16, limit_bytes_per_s=1e5, steps=4)),
    _planned(3, Trial(name="dp-10M-5MB", method=DP, shape=MEDIUM, batch=4, limit_bytes_per_s=5e6, steps=4)),
    _planned(2, Trial(name="dp-100M-25MB", method=DP, shape=LARGE, limit_bytes_per_s=25e6, steps=3)),
    _planned(
        2,
        Trial(
            name="lc-0.3M-fp32", method=LC, shape=BENCH, batch=16, inner_steps=20, limit_bytes_per_s=2e5, steps=5
        ),
    ),
    _planned(
        2,
        Trial(
            name="lc-3M-int8", method=LC, shape=SMALL, batch=4, inner_steps=10, compression=INT8, paced=True,
            limit_bytes_per_s=2.5e5, steps=3,
        ),
    ),
    _planned(
        3,
        Trial(
            name="lc-10M-sparse", method=LC, shape=MEDIUM, inner_steps=5, compression=SPARSE, paced=True,
            overlapped=True, limit_bytes_per_s=5e4, steps=6,
        ),
    ),
    _planned(
        1,
        Trial(
            name="lc-100M-sparse", method=LC, shape=LARGE, inner_steps=2, compression=SPARSE, paced=True,
            limit_bytes_per_s=3e5, steps=3,
        ),
    ),
    _planned(
        4,
        Trial(
            name="pp-0.3M-fp16", method=PP, shape=BENCH, batch=4, micro_batches=4, compression=FP16,
            limit_bytes_per_s=1e5, steps=10,
        ),
    ),
    _planned(
        4,
        Trial(
            name="pp-3M-int8", method=PP, shape=SMALL, batch=4, micro_batches=4, compression=INT8,
            limit_bytes_per_s=1e5, steps=8,
        ),
    ),
    _planned(
        2,
        Trial(
            name="pp-10M-fp16", method=PP, shape=MEDIUM, batch=4, micro_batches=8, compression=FP16,
            limit_bytes_per_s=5e5, steps=6,
        ),
    ),
    _planned(
        1,
        Trial(
            name="pp-100M-fp16", method=PP, shape=LARGE, batch=2, micro_batches=4, compression=FP16,
            limit_bytes_per_s=2e5, steps=4,
        ),
    ),
    _planned(20, Trial(name="inf-0.3M-free", method=INF, shape=BENCH, steps=100)),
    _planned(20, Trial(name="inf-0.3M-6KB", method=INF, shape=BENCH, limit_bytes_per_s=6e3, steps=100)),
    _planned(20, Trial(name="inf-0.3M-1KB", method=INF, shape=BENCH, limit_bytes_per_s=1e3, steps=60)),
    _planned(3, Trial(name="inf-10M-250B", method=INF, shape=MEDIUM, limit_bytes_per_s=250, steps=12)),
)  # fmt: skip
"""In the order in which they run. Names say method, parameters, and packing or limit."""


def named(name: str) -> Planned:
    """Raises `InputError` with the names there are."""
    for one in MATRIX:
        if one.trial.name == name:
            return one
    names = ", ".join(one.trial.name for one in MATRIX)
    raise InputError(f"no trial is called {name!r}", where="--only", remedy=f"one of: {names}")
