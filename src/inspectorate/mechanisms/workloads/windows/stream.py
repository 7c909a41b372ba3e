"""Windows as they complete: a ring of the last steps of all units, and nothing else that grows.

The ring is [signal][step][unit]; it holds one window, 4 bytes per value: 2,160 bytes for a unit of nine signals and 60 steps.
The same kernels read the ring around its end, so the features are those of a frame, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import SIGNALS_MAX, UNITS_MAX
from inspectorate.mechanisms.workloads.windows.compute import Layout, Pods, layout_of, plan_of
from inspectorate.mechanisms.workloads.windows.drive import Plan, features_into
from inspectorate.mechanisms.workloads.windows.reference import OBSERVED_MIN
from inspectorate.mechanisms.workloads.windows.types import Windows, feature_names


@dataclass(kw_only=True, eq=False)
class StreamingWindows:
    """Takes one step after the other, and gives the features of each window with its last step.

    The fields mean what they mean in `Frame` and `window_features`. Raises `ValueError` where those would.
    """

    units: tuple[str, ...]
    signals: tuple[str, ...]
    start_ns: int
    step_ns: int
    window_s: float
    stride_s: float | None = None
    observed_min: float = OBSERVED_MIN
    pods: Pods | None = None
    pushed: int = field(default=0, init=False)
    """Steps so far."""
    _layout: Layout = field(init=False, repr=False)
    _plan: Plan = field(init=False, repr=False)
    _names: tuple[str, ...] = field(init=False, repr=False)
    _ring: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.units) <= UNITS_MAX or not 0 < len(self.signals) <= SIGNALS_MAX:
            raise ValueError(
                f"{len(self.units)} units of {len(self.signals)} signals: 1 to {UNITS_MAX} of 1 to {SIGNALS_MAX}"
            )
        if self.step_ns <= 0:
            raise ValueError("a step must be longer than nothing")
        self._layout = layout_of(
            self.step_ns, window_s=self.window_s, stride_s=self.stride_s, observed_min=self.observed_min
        )
        self._plan = plan_of(self._layout, self.signals, len(self.units), self.pods)
        self._names = feature_names(self.signals)
        self._ring = np.full((len(self.signals), self._layout.steps, len(self.units)), np.nan, np.float32)

    @property
    def state_bytes(self) -> int:
        """What is held for all units, however long the stream runs."""
        return self._ring.nbytes

    def push(self, step: NDArray[np.floating]) -> Windows | None:
        """The next step, shape (signals, units), NaN where nothing was measured; the window that it completes, if any."""
        layout = self._layout
        if step.shape != (len(self.signals), len(self.units)):
            raise ValueError(f"a step of shape {step.shape} does not fit {len(self.signals)} x {len(self.units)}")
        self._ring[:, self.pushed % layout.steps] = step
        self.pushed += 1
        first = self.pushed - layout.steps
        return self._complete(first) if first >= 0 and first % layout.stride == 0 else None

    def _complete(self, first: int) -> Windows:
        shape = (1, len(self.units), len(self._names))
        out, observed = np.empty(shape[1:], np.float32), np.empty(shape[1], np.float32)
        starts = np.array([first % self._layout.steps], np.int64)
        features_into(self._ring, starts, self._plan, out, observed)
        return Windows(
            names=self._names,
            units=self.units,
            start_ns=np.array([self.start_ns + first * self.step_ns], np.int64),
            window_ns=self._layout.window_ns,
            values=out.reshape(shape),
            observed=observed.reshape(shape[:2]),
        )
