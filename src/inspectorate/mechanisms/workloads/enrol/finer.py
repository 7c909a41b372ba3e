"""The checks of `integrity` over the runs of one session, as far as a session can wait for them.

- Of each signal with enough in it (`survey.LOOKED_AT`), every unit of the new run is a series; no two of them may be copies, in
  whole or in part, at one time or another.
- Where all runs together have at most `NEAR_SAMPLES_MAX` samples of a signal, copies that were scaled or dressed with noise are
  looked for too, among the units of the new run and of all earlier ones. Otherwise a note says that they were not. Exact
  repetitions of earlier runs are always found (`soundness.SeenStretches`).
- A power sensor that repeats one value for a while refuses the run.

The review looks at all of it again, over the period under review.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspectorate.mechanisms.workloads.integrity.clones import find_copies
from inspectorate.mechanisms.workloads.integrity.frozen import stuck
from inspectorate.mechanisms.workloads.integrity.series import series_of
from inspectorate.mechanisms.workloads.integrity.survey import LOOKED_AT, POWER
from inspectorate.mechanisms.workloads.telemetry.frame import Frame

TOLD_MAX = 5
NEAR_SAMPLES_MAX = 4_000
"""Series of one rhythm are all candidates for one another: the search among eight units of one hour takes minutes."""


def finer_findings(runs: Sequence[tuple[str, Frame]]) -> tuple[list[str], list[str]]:
    """What speaks against the last of the runs, alone and beside those before, and what was not looked for."""
    reasons: list[str] = []
    notes: list[str] = []
    name, frame = runs[-1]
    for signal in (one for one in LOOKED_AT if one in frame.signals):
        mine = series_of(frame, signal, meter=name)
        own = {one.name for one in mine}
        near = sum(other.times * len(other.units) for _, other in runs) <= NEAR_SAMPLES_MAX
        if near:
            others = [one for before, other in runs[:-1] for one in series_of(other, signal, meter=before)]
            copies = find_copies([*others, *mine])
        else:
            copies = find_copies(mine, near=False)
            notes.append(
                f"copies of {signal} that were scaled or dressed with noise were not looked for: too many samples"
            )
        reasons += [
            f"{copy.samples} samples of {signal} of {copy.one} and {copy.other} are one series ({copy.kind.value} copy)"
            for copy in copies
            if {copy.one, copy.other} & own
        ]
        if signal == POWER:
            reasons += [f"{found.kind.value}: {found.sentence()}" for one in mine for found in stuck(one)]
    return reasons[:TOLD_MAX], notes[:TOLD_MAX]
