"""How much else could run while the telemetry stays close to what was approved: two bounds, from measured curves.

**By shape** (`hidden_share`). The attack catalogue is named in `CATALOGUE`: parts of an enrolled contrast (training, as the same
meters saw it) take the place of parts of an approved run, in slices, a share d of the time.

1. For each share d of `SHARES` and slice length of `SLICES_S`, every enrolled run is cut in this way, its own fold of the library
   looks at it, and a run is *caught* if any block exceeds the threshold of the claimed workload.
2. The chance of being caught in one stretch as long as a run is, at confidence 1 - beta/2, at least the Clopper-Pearson bound p(d)
   of the slicing that is caught least.
3. Whoever is to escape with probability beta/2 or more can do so in at most m(d) = floor(ln(beta/2) / ln(1 - p(d))) stretches
   (that stretches are caught independently, given the attack, is an assumption). A share between two of `SHARES` is
   caught at least as often as the one of them that is caught less, and hides at most the larger; below the first nothing is
   caught. More need not be caught more often: what is nothing but training may look more like a workload than a mixture does.
4. In a cell of c hours with runs of T hours, the most that stays hidden is max over d of d min(1, m(d) T / c).

**By energy** (`power_share`). Whatever runs, training needs power above idle. A window whose mean power lies a share s of the way
from the enrolled idle level to the enrolled training level hides at most s times `EFFICIENCY_GAIN_MAX` of the training that the
contrast did. This needs no catalogue; it needs that the meter tells the truth, and both contrasts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.statistics import clopper_pearson_lower

SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
"""Shares of time that the attack takes."""
SLICES_S = (5.0, 60.0)
"""Lengths of its slices: within a window, and whole windows."""
CATALOGUE = f"attack catalogue 1: enrolled training in slices of {' or '.join(f'{s:g} s' for s in SLICES_S)} within approved runs"
EFFICIENCY_GAIN_MAX = 2.0
"""Training per joule above idle, against that of the enrolled contrast. Capping the power of V100s saved about 15 % of the energy
for 3 % more time (McDonald et al., Findings of NAACL 2022, read in an abstract: provisional), a gain of 1.2; 2 is an assumption."""

Caught = Callable[[str, Frame], bool]
"""Whether a run of this name, looking like this frame, is caught by a library that does not know the run."""
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """How often one share was caught, by the slicing that is caught least."""

    share: float
    slice_s: float
    caught: int
    runs: int
    at_least: float
    """Lower confidence bound on the chance of being caught in one stretch."""


@dataclass(frozen=True, kw_only=True)
class HiddenShare:
    """What could be hidden in a cell."""

    share_max: float
    cell_s_min: float
    detections: tuple[Detection, ...]

    @property
    def tells(self) -> bool:
        """Whether the sensor tells the contrast from the workload at all: most runs of nothing else are caught."""
        last = self.detections[-1]
        return last.caught * 2 > last.runs


def sliced(run: Frame, contrast: Frame, *, share: float, slice_s: float, offset: int) -> Frame:
    """A run of which a share of the time shows the contrast instead, in slices; `offset` steps shift the pattern.

    Each slice begins where the contrast stands then, wrapped around. Raises `ValueError` if steps, signals or units differ.
    """
    if (run.step_ns, run.signals, len(run.units)) != (contrast.step_ns, contrast.signals, len(contrast.units)):
        raise ValueError("a run and its contrast must be sampled alike")
    length = max(1, round(slice_s / run.step_s))
    every = max(length, round(length / share))
    step = np.arange(run.times)
    taken = (step + offset) % every < length if share < 1 else np.ones(run.times, dtype=np.bool_)
    values = run.values.copy()
    values[:, taken] = contrast.values[:, step[taken] % contrast.times]
    return Frame(units=run.units, signals=run.signals, start_ns=run.start_ns, step_ns=run.step_ns, values=values)


def hidden_share(
    runs: Sequence[tuple[str, Frame]],
    contrasts: Sequence[Frame],
    caught: Caught,
    *,
    run_s: float,
    cell_s: float,
    miss_probability: float,
) -> HiddenShare:
    """The bound by shape (steps in the module's docstring). Raises `ValueError` without runs or contrasts."""
    if not runs or not contrasts:
        raise ValueError("a bound by shape needs runs and a contrast")
    detections = tuple(_detection(runs, contrasts, caught, share, miss_probability / 2) for share in SHARES)
    largest, below = 0.0, 0.0
    for detection in detections:
        stretches = _stretches(min(below, detection.at_least), miss_probability / 2)
        largest = max(largest, detection.share * min(1.0, stretches * run_s / cell_s))
        below = detection.at_least
    return HiddenShare(share_max=largest, cell_s_min=cell_s, detections=detections)


def _stretches(at_least: float, miss: float) -> float:
    """Step 3: in how many stretches one can escape."""
    if at_least <= 0:
        return math.inf
    if at_least >= 1:
        return 0.0
    return math.floor(math.log(miss) / math.log1p(-at_least))


def _detection(
    runs: Sequence[tuple[str, Frame]], contrasts: Sequence[Frame], caught: Caught, share: float, miss: float
) -> Detection:
    """Steps 1 and 2 for one share."""
    least: Detection | None = None
    for slice_s in SLICES_S:
        count = 0
        for place, (name, frame) in enumerate(runs):
            contrast = contrasts[place % len(contrasts)]
            count += caught(name, sliced(frame, contrast, share=share, slice_s=slice_s, offset=7 * place))
        bound = clopper_pearson_lower(count, len(runs), miss)
        found = Detection(share=share, slice_s=slice_s, caught=count, runs=len(runs), at_least=bound)
        least = found if least is None or found.caught < least.caught else least
    assert least is not None
    return least


def power_share(power_w: Values, *, idle_w: float, training_w: float) -> Values | None:
    """The bound by energy for windows of mean power [W], shape (windows,): shares, NaN where not observed.

    None where the levels do not differ: then power says nothing.
    """
    if not training_w > idle_w * 1.05:
        return None
    share: Values = np.clip(EFFICIENCY_GAIN_MAX * (power_w - idle_w) / (training_w - idle_w), 0.0, 1.0)
    return share
