"""Later telemetry of the meter, cut into stretches that can be laid beside the enrolled runs (`drift`).

Unlike a run, a stretch that has a gap or a problem is passed over and named: operation is not repeated because a poll failed.
Statements are verified all the same, and what somebody made (a fork, a clone, a false signature) refuses the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspectorate.evidence import INVALIDATING, Stream, order_segments
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.drift import stretches_of
from inspectorate.mechanisms.workloads.enrol.profile import Profile, profile_of
from inspectorate.mechanisms.workloads.enrol.recording import MeterSpool, RunRefused, decode, unheard
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import cut, run_frame
from inspectorate.mechanisms.workloads.enrol.soundness import sensor_faults, silences
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.quantities import Period

SKIPPED_SHOWN_MAX = 20


def later_stretches(
    spool: MeterSpool, plan: SessionPlan, *, period: Period | None, runs: Sequence[Period]
) -> tuple[list[tuple[Period, Profile]], list[str]]:
    """Stretches with their profiles, and those that were passed over, with why. Raises `EvidenceError`."""
    where = str(spool.folder)
    whole = spool.listened
    assert whole is not None
    wanted = period or whole
    streams, problems = order_segments(spool.segments, sensors={spool.meter}, period=wanted)
    against = [str(problem) for problem in problems if problem.kind in INVALIDATING]
    if against:
        raise RunRefused(against, where=where)
    segments = tuple(one for stream in streams for one in stream.segments if one.period.overlaps(wanted))
    if not segments:
        return [], [f"nothing usable of {spool.meter} lies in {wanted}"]
    samples, _ = decode(Stream(sensor=spool.meter, segments=segments), spool.payload, where)
    found: list[tuple[Period, Profile]] = []
    skipped: list[str] = []
    stretches = stretches_of(wanted, runs)
    for stretch in stretches:
        kept = cut(samples, stretch, units=plan.units, signals=plan.signals)
        mine = [one for one in segments if one.period.overlaps(stretch)]
        faults = unheard(mine, stretch, plan.silence_s_max) + silences(kept, plan, stretch)
        faults = faults or sensor_faults(kept, plan.units)
        if faults:
            skipped.append(f"{stretch}: {'; '.join(faults)}"[:1000])
        else:
            frame = run_frame(kept, stretch, signals=plan.signals, step_s=plan.step_s)
            found.append((stretch, profile_of(str(stretch), frame, window_s=plan.terms.window_s)))
    if len(skipped) > SKIPPED_SHOWN_MAX:
        skipped = [*skipped[:SKIPPED_SHOWN_MAX], f"and {len(skipped) - SKIPPED_SHOWN_MAX} more"]
    if len(stretches) == reference.DRIFT_STRETCHES_MAX and stretches[-1].end < wanted.end:
        skipped.append(f"all after {stretches[-1].end.isoformat()}: more than {len(stretches):,} stretches at once")
    return found, skipped
