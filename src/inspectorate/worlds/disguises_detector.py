"""The project's own detector in the place of `disguises_attack.Detector`: the alarm that `evaluate` measures, enrolled once.

- A frame of several units raises the alarm of its first unit that does.
- Nothing is judged before a whole block of windows has been seen: the mean of two windows strays further from the means of
  enrolled blocks than the mean of ten, and an honest run would set its alarm off in its first minutes. The same holds for the
  runs that set the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inspectorate.mechanisms.workloads.evaluate.alarms import Threshold, threshold_for
from inspectorate.mechanisms.workloads.evaluate.detectors import Detector, Fitted, Ours
from inspectorate.mechanisms.workloads.evaluate.folds import scored_by
from inspectorate.mechanisms.workloads.evaluate.prepare import prepare, prepare_all
from inspectorate.mechanisms.workloads.evaluate.questions_alarm import Guard
from inspectorate.mechanisms.workloads.evaluate.reference import FOLDS_MAX
from inspectorate.mechanisms.workloads.evaluate.runs import Run
from inspectorate.mechanisms.workloads.telemetry.frame import Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class Enrolled:
    """A detector fitted on approved runs, with the threshold for an agreed rate of false alarms."""

    guard: Guard
    fitted: Fitted
    threshold: Threshold
    like: Run

    @classmethod
    def on(
        cls,
        approved: Sequence[Run],
        *,
        rate: float,
        tell: Callable[[str], None] = lambda _: None,
        detector: Detector | None = None,
        folds_max: int = FOLDS_MAX,
    ) -> Enrolled:
        """Enrol runs. Raises `InputError` where they are too few to set a threshold."""
        prepared, _ = prepare_all(approved)
        guard = Guard.of(detector or Ours(), prepared, tell, folds_max=folds_max)
        return cls(
            guard=guard,
            fitted=guard.detector.fit(prepared),
            threshold=threshold_for(guard.enrolled, rate),
            like=approved[0],
        )

    def alarm(self, frame: Frame, claimed: str) -> float | None:
        """Seconds until the first alarm; None if none is raised, be it for want of a window that can be scored."""
        found = [self._alarm(unit_of(frame, unit), claimed) for unit in range(len(frame.units))]
        return min((one for one in found if one is not None), default=None)

    def _alarm(self, frame: Frame, claimed: str) -> float | None:
        one = prepare(replace(self.like, frame=frame, workload=claimed))
        if not len(one):
            return None
        stream = self.guard.scale.stream(scored_by(self.fitted, one), claimed)
        alarms = stream.alarms(self.threshold.value) if stream is not None else ()
        return alarms[0] if alarms else None


def unit_of(frame: Frame, unit: int) -> Frame:
    """One unit of a frame."""
    return Frame(
        units=(frame.units[unit],),
        signals=frame.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[:, :, unit : unit + 1]),
    )
