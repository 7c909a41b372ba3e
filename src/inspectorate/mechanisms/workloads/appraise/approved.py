"""`approved-workloads`: one assessment per pod. Was all that it showed close to a workload that was approved, and claimed?

Procedure, per pod:

1. Signatures that count (`enrolled`), the pod's telemetry against them (`compared`). A signature that does not read back, or
   telemetry that contradicts itself or another meter (`sound`, under the agreement's own terms where it has them), is
   invalid evidence.
2. Not observed: no signature, no meter, gaps, windows that no claim covers or that several do, a claimed workload that was
   never enrolled.
3. Inconclusive: a block deviated (not approved: the inspector reads the code again, MIRI 2024, signatures of high-level
   measures, step 6); the enrolment is too short for the agreed rate of false alarms; the sensor does not tell training from the
   workload, or nobody recorded what training looks like (the mechanism abstains).
4. Consistent: none of these, throughout.

Evidence against the party is that of `compared`: only it can raise an alarm. Deviations call for a review and accuse nobody.
Bounds for the account (`signature.hiding`) are given only where nothing contradicts the telemetry, no block deviates, and no
other code is claimed than was enrolled. Power bounds rest on both contrasts; shape bounds on the named catalogue.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inspectorate.agreement import ApprovedWorkloads, SoundTelemetry
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, HiddenBound, Scope, Verdict
from inspectorate.declaration import WorkloadClaim
from inspectorate.mechanisms.workloads.appraise.compared import Compared, compare
from inspectorate.mechanisms.workloads.appraise.enrolled import (
    BENCHES_KEPT,
    CELL_S,
    IDLE,
    TRAINING,
    ByDigest,
    Enrolled,
    bench_of,
    enrolled,
    frames_of,
    hidden_within,
)
from inspectorate.mechanisms.workloads.appraise.sound import NAME, surveyed
from inspectorate.mechanisms.workloads.observe import MeterSeen, observe
from inspectorate.mechanisms.workloads.signature.calibrate import Threshold
from inspectorate.mechanisms.workloads.signature.hiding import (
    CATALOGUE,
    EFFICIENCY_GAIN_MAX,
    HiddenShare,
    power_share,
)
from inspectorate.quantities import Period, from_ns, to_ns

SCOPES_MAX = 200
ROWS_MAX = 600

ASSUMPTIONS = (
    "approved workloads run in the period as they ran while they were enrolled, within their operating range",
    "the code that the inspector read is the code that ran",
    "meters tell what they measure, and measure all chips of the pod",
)


def appraise_approved(case: Case, terms: ApprovedWorkloads) -> tuple[Assessment, ...]:
    """One assessment per declared pod."""
    observed = observe(case)
    found = []
    for pod in sorted(pod.id for pod in case.declaration.pods):
        having = enrolled(case, terms, pod)
        seen = observed.meters[having.meter.id] if having.meter is not None else None
        found.append(_of_pod(case, terms, pod, having, seen))
    return tuple(found)


def _of_pod(case: Case, terms: ApprovedWorkloads, pod: str, having: Enrolled, seen: MeterSeen | None) -> Assessment:
    claims = tuple(claim for claim in case.declaration.claims if pod in claim.pods)
    compared = None
    if seen is not None:
        rate = terms.false_alarms_per_device_hour_max
        compared = compare(seen, having, claims, rate_max=rate, window_s=terms.window_s)
    against = _against(case, pod, having, seen)
    shapes = _shapes(case, having, compared) if compared is not None and not against else {}
    missing = _missing(pod, terms, having, seen, compared, claims)
    doubts = _doubts(pod, terms, compared, shapes, having, claims)
    verdict = (
        Verdict.INVALID_EVIDENCE if against
        else Verdict.NOT_OBSERVED if missing or compared is None
        else Verdict.INCONCLUSIVE if doubts
        else Verdict.CONSISTENT
    )  # fmt: skip
    evidence = (*having.evidence_ids, *(seen.evidence_ids if seen is not None else ()))
    if seen is None or not seen.evidence_ids:
        evidence = ()
    sound = compared is not None and not against and bool(evidence) and not compared.deviates.any()
    sound = sound and not _recoded(having, claims)
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(pod,), period=case.period),
        verdict=verdict,
        log_e=compared.log_e if compared is not None and evidence and not against else None,
        hidden=_bounds(case, pod, having, compared, shapes) if sound and compared is not None else (),
        assumptions=_assumptions(having, compared, shapes) if evidence else (),
        evidence_ids=tuple(dict.fromkeys(evidence)),
        exhibits=_exhibits(pod, compared, shapes),
        reasons=(*against, *missing, *doubts) or (_approved(pod, compared),),
        not_checked=_not_checked(pod, having, seen, claims),
    )


def _against(case: Case, pod: str, having: Enrolled, seen: MeterSeen | None) -> tuple[str, ...]:
    """Step 1: why nothing of this pod's telemetry may be believed."""
    found = list(having.faults)
    if seen is None:
        return tuple(found)
    found += seen.contradictions
    for clause in case.agreement.clauses:
        if isinstance(clause.parameters, SoundTelemetry):
            survey = surveyed(case, clause.parameters)
            for meter in observe(case).of_pod(pod):
                found += [one.sentence() for one in survey.by_meter.get(meter.meter.id, ()) if one.made]
    return tuple(dict.fromkeys(found))


def _missing(
    pod: str, terms: ApprovedWorkloads, having: Enrolled, seen: MeterSeen | None, compared: Compared | None,
    claims: tuple[WorkloadClaim, ...],
) -> tuple[str, ...]:  # fmt: skip
    """Step 2."""
    if not having.signatures:
        return (f"{pod}: no workload signature counts for it", *having.refused)
    if seen is None or seen.frame is None:
        return (f"{pod}: nothing usable came from its meter",)
    if compared is None:
        return (f"{pod}: its meter did not show what was enrolled for a whole window",)
    found = []
    total = len(compared.observed)
    if not compared.observed.all() or not seen.complete:
        found.append(
            f"{pod}: {int((~compared.observed).sum())} of {total} windows of {terms.window_s:g} s were not observed"
        )
    if not compared.claimed.all():
        found.append(
            f"{pod}: {int((~compared.claimed).sum())} of {total} windows are covered by no claim, or by several"
        )
    unknown = sorted({c.workload for c in claims if c.workload and c.workload not in compared.thresholds})
    if unknown:
        found.append(f"{pod}: it claims workloads of which no signature counts: {', '.join(unknown)}")
    return tuple(found)


def _doubts(
    pod: str, terms: ApprovedWorkloads, compared: Compared | None, shapes: dict[str, HiddenShare], having: Enrolled,
    claims: tuple[WorkloadClaim, ...],
) -> tuple[str, ...]:  # fmt: skip
    """Step 3."""
    if compared is None:
        return ()
    found = []
    if compared.deviates.any():
        where = np.flatnonzero(compared.deviates)
        first, last = (from_ns(int(compared.start_ns[k])) for k in (where[0], where[-1]))
        away = ", ".join(f"{name} by {by:+.0f} usual spreads" for name, by in compared.departures[:3])
        found.append(
            f"{pod}: {compared.deviations} stretches deviate from what was approved, from {first:%H:%M:%S} on"
            f" (the last window begins {last:%H:%M:%S}): {away}; the inspector should read the code again"
        )
    found += [
        f"{pod}: the code of claim {claim.id} is not the code that was enrolled; enrol again"
        for claim in _recoded(having, claims)
    ]
    for workload, limit in compared.thresholds.items():
        if limit.per_device_hour > terms.false_alarms_per_device_hour_max * (1 + 1e-9):
            found.append(
                f"{pod}: {limit.runs} runs of {limit.run_hours:.2g} h support {limit.per_device_hour:.2g} false alarms per"
                f" device-hour for {workload}, and the agreement asks for {terms.false_alarms_per_device_hour_max:.2g}"
            )
        shape = shapes.get(workload)
        if shape is None:
            found.append(f"{pod}: abstains: nobody recorded what training looks like beside {workload}")
        elif not shape.tells:
            found.append(f"{pod}: abstains: its meter does not tell training from {workload}")
    return tuple(dict.fromkeys(found))


def _recoded(having: Enrolled, claims: tuple[WorkloadClaim, ...]) -> list[WorkloadClaim]:
    """Claims of enrolled workloads that name other code than was enrolled."""
    code = {workload: loaded.record.manifest.code for workload, loaded in having.signatures.items()}
    return [
        claim for claim in claims if claim.code is not None and code.get(claim.workload or "") not in (None, claim.code)
    ]


def _approved(pod: str, compared: Compared | None) -> str:
    assert compared is not None
    names = ", ".join(sorted(compared.thresholds))
    return f"{pod}: all {len(compared.observed)} windows are as close to {names} as its own runs are to one another"


def _shapes(case: Case, having: Enrolled, compared: Compared) -> dict[str, HiddenShare]:
    """By workload: what could be hidden within it, where training was recorded beside it."""
    every = tuple(ByDigest(one.digest, one) for _, one in sorted(having.signatures.items()))
    found = {w: _shape(every, w, limit, _miss(case)) for w, limit in compared.thresholds.items()}
    return {workload: shape for workload, shape in found.items() if shape is not None}


@lru_cache(maxsize=BENCHES_KEPT)
def _shape(signatures: tuple[ByDigest, ...], workload: str, limit: Threshold, miss: float) -> HiddenShare | None:
    having = {one.loaded.workload: one.loaded for one in signatures}
    bench = bench_of(having)
    assert bench is not None
    return hidden_within(bench, having[workload], limit, miss_probability=miss)


def _miss(case: Case) -> float:
    """Each pod's bound may fail by itself, so that all hold together at the case's miss probability."""
    return case.miss_probability / max(1, len(case.declaration.pods))


def _bounds(
    case: Case, pod: str, having: Enrolled, compared: Compared, shapes: dict[str, HiddenShare]
) -> tuple[HiddenBound, ...]:
    """Bounds over stretches in which every window was observed, claimed, enrolled, and close."""
    good = compared.observed & compared.claimed & compared.enrolled & np.isfinite(compared.distance)
    powers = _powers(having, compared)
    found: list[HiddenBound] = []
    for period in case.period.intervals(max(CELL_S, case.period.duration_s / SCOPES_MAX)):
        ends_ns = compared.start_ns + compared.window_ns
        inside = (compared.start_ns < to_ns(period.end)) & (ends_ns > to_ns(period.start))
        if not good[inside].all() or not _covers(compared, inside, period):
            continue
        scope = Scope(pods=(pod,), period=period)
        shares = [shape.share_max for shape in shapes.values()]
        if len(shapes) == len(compared.thresholds) and max(shares) < 1:
            found.append(
                HiddenBound(
                    statement=f"workloads-shape-{pod}",
                    miss_probability=_miss(case),
                    scope=scope,
                    share_max=max(shares),
                    cell_s_min=CELL_S,
                )
            )
        if powers is not None and float(np.max(powers[inside])) < 1:
            found.append(
                HiddenBound(
                    statement=f"workloads-power-{pod}",
                    miss_probability=0.0,
                    scope=scope,
                    share_max=float(np.max(powers[inside])),
                    cell_s_min=compared.window_ns / 1e9,
                )
            )
    return tuple(found)


def _covers(compared: Compared, inside: NDArray[np.bool_], period: Period) -> bool:
    """Whether windows cover a stretch without a hole."""
    starts = compared.start_ns[inside]
    if not len(starts) or int(starts[0]) > to_ns(period.start):
        return False
    ends = starts + compared.window_ns
    return int(ends[-1]) >= to_ns(period.end) and bool((starts[1:] <= ends[:-1]).all())


def _powers(having: Enrolled, compared: Compared) -> NDArray[np.float64] | None:
    """The most that power lets be hidden, per window: by the contrasts that allow most. None without contrasts."""
    found = []
    for workload in compared.thresholds:
        loaded = having.signatures[workload]
        levels = {
            kind: [
                float(np.nansum(np.nanmean(f.of("power_w"), axis=0)))
                for f in frames_of(loaded, kind)
                if "power_w" in f.signals
            ]
            for kind in (TRAINING, IDLE)
        }
        if not all(levels.values()):
            return None
        share = power_share(compared.power_w, idle_w=min(levels[IDLE]), training_w=min(levels[TRAINING]))
        if share is None:
            return None
        found.append(share)
    return np.max(np.stack(found), axis=0) if found and np.isfinite(found).all() else None


def _assumptions(having: Enrolled, compared: Compared | None, shapes: dict[str, HiddenShare]) -> tuple[str, ...]:
    found = list(ASSUMPTIONS)
    if compared is not None and any(limit.pooled for limit in compared.thresholds.values()):
        found.append("distances in usual spreads are alike for all workloads that were enrolled on one meter")
    if shapes:
        found.append(f"{CATALOGUE}; stretches are caught independently")
        found.append(
            f"no training does more than {EFFICIENCY_GAIN_MAX:g} times as much per joule as the enrolled contrast"
        )
    inspectors = sorted({loaded.by for loaded in having.signatures.values()})
    return (*found, *(f"{name} was present at the enrolment" for name in inspectors))


def _exhibits(pod: str, compared: Compared | None, shapes: dict[str, HiddenShare]) -> tuple[Exhibit, ...]:
    if compared is None or not compared.thresholds:
        return ()
    step = max(1, -(-len(compared.start_ns) // ROWS_MAX))
    rows = []
    for first in range(0, len(compared.start_ns), step):
        far = compared.distance[first : first + step]
        time = from_ns(int(compared.start_ns[first])).isoformat().replace("+00:00", "Z")
        rows.append((time, float(np.nanmax(far)) if np.isfinite(far).any() else None))
    series = Exhibit(
        id=f"approved-{pod}",
        title=f"{pod}: distance from the claimed workload, against the threshold",
        kind=ExhibitKind.SERIES,
        columns=("time", "distance"),
        rows=tuple(rows),
        limit=min(limit.distance for limit in compared.thresholds.values()),
        unit="usual spreads",
    )
    tables = tuple(
        Exhibit(
            id=f"approved-{pod}-{workload}-caught",
            title=f"{pod}: how much training within {workload} would be caught ({CATALOGUE})",
            kind=ExhibitKind.TABLE,
            columns=("share_of_time", "slice_s", "runs_caught", "runs", "caught_at_least"),
            rows=tuple((d.share, d.slice_s, float(d.caught), float(d.runs), d.at_least) for d in shape.detections),
        )
        for workload, shape in shapes.items()
    )
    return (series, *tables)


def _not_checked(
    pod: str, having: Enrolled, seen: MeterSeen | None, claims: tuple[WorkloadClaim, ...]
) -> tuple[str, ...]:
    found = list(having.refused)
    if seen is not None:
        found += seen.notes
    unnamed = [claim.id for claim in claims if claim.workload is None]
    if unnamed:
        found.append(f"{pod}: claims that name no enrolled workload: {', '.join(unnamed)}")
    found += [f"{pod}: which code ran under claim {c.id}: it names none" for c in claims if c.workload and not c.code]
    return tuple(dict.fromkeys(found))
