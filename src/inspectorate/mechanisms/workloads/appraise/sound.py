"""`sound-telemetry`: one assessment per pod. Is what its meters showed a measurement, and does a second meter agree?

Procedure, per pod:

1. No meter measures its load: not observed.
2. A copy, a replay, a contradiction between meters, or evidence that contradicts itself: invalid evidence. Nothing that
   rests on these meters is believed, and the reasons name meters and times.
3. A meter that was silent: not observed.
4. Series that are alike beyond what noise leaves most meters of one load (`near`): inconclusive; copies can look so, and so can a
   busy load. Two meters of different names that measured the pod's load throughout and agree: consistent. One meter only:
   inconclusive, for a single series that looks like a measurement may have been made.

Evidence against the party is the mean of e-values that were fixed beforehand: one per pair of meters of the pod, from how many
means lie out of range (given the past, honest meters exceed tolerance and range together in at most `APART_RATE_MAX` of
means), and one from copies (`copy_p_value`). What only weakens a sensor (stuck, coarse, saturated) is told and moves no number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from inspectorate.agreement import SoundTelemetry
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.survey import PairSeen, Survey, copy_p_value, survey
from inspectorate.mechanisms.workloads.observe import MeterSeen, observe
from inspectorate.quantities import from_ns
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process, merge_mean, p_to_log_e

NAME = "workloads"
APART_RATE_MAX = 0.01
STAKES = (0.05, 0.2, 0.6)
REASONS_MAX = 20
ROWS_MAX = 600
PAIRS_SHOWN_MAX = 4
FINDINGS_SHOWN_MAX = 100

ASSUMPTIONS = (
    "sensors of different units have independent noise, of at least the size that their series show",
    f"honest meters of one load differ by more than tolerance and range together in at most {APART_RATE_MAX:.0%} of means",
    "the declaration says truly where each meter measures, and what passes through it",
)


def appraise_sound(case: Case, terms: SoundTelemetry) -> tuple[Assessment, ...]:
    """One assessment per declared pod."""
    seen = observe(case)
    found = surveyed(case, terms)
    return tuple(
        _of_pod(case, pod.id, seen.of_pod(pod.id), found) for pod in sorted(case.declaration.pods, key=lambda p: p.id)
    )


def surveyed(case: Case, terms: SoundTelemetry) -> Survey:
    """What the meters say of one another; made once per review and terms."""
    seen = observe(case)
    shared = cast(dict[str, object], case.shared["workloads"])
    key = f"survey.{terms.averaging_s:g}.{terms.disagreement_share_max:g}"
    if key not in shared:
        shared[key] = survey(seen, terms)
    return cast(Survey, shared[key])


def _of_pod(case: Case, pod: str, meters: tuple[MeterSeen, ...], found: Survey) -> Assessment:
    scope = Scope(pods=(pod,), period=case.period)
    if not meters:
        return Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=scope,
            verdict=Verdict.NOT_OBSERVED,
            reasons=(f"{pod}: no declared meter measures its load",),
        )
    pairs = tuple(pair for pair in found.pairs if pod in pair.pods)
    told = _distinct(finding for seen in meters for finding in found.by_meter.get(seen.meter.id, ()))
    verdict, why = _verdict(pod, meters, pairs, told)
    evidence = tuple(dict.fromkeys(digest for seen in meters for digest in seen.evidence_ids))
    against = tuple(text for seen in meters for text in seen.contradictions)
    sentences = [finding.sentence() for finding in sorted(told, key=lambda f: (not f.made, f.start_ns))]
    more = len(sentences) + len(against) - REASONS_MAX
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=scope,
        verdict=verdict,
        log_e=_log_e(meters, pairs, found) if evidence else None,
        assumptions=ASSUMPTIONS if evidence else (),
        evidence_ids=evidence,
        exhibits=(*(_series(pair) for pair in pairs[:PAIRS_SHOWN_MAX]), *_table(pod, told)),
        reasons=(why, *(*against, *sentences)[:REASONS_MAX], *((f"and {more} more findings",) if more > 0 else ())),
        not_checked=_not_checked(meters, pairs, found),
    )


def _verdict(
    pod: str, meters: tuple[MeterSeen, ...], pairs: tuple[PairSeen, ...], told: tuple[SeriesFinding, ...]
) -> tuple[Verdict, str]:
    """Steps 2 to 4, short of an alarm, which only `findings` can raise."""
    # (2)
    made = [finding for finding in told if finding.made]
    if made or any(seen.contradictions for seen in meters):
        count = len(made) + sum(len(seen.contradictions) for seen in meters)
        return Verdict.INVALID_EVIDENCE, f"{pod}: its telemetry contradicts itself ({count} findings)"
    # (3)
    silent = [seen.meter.id for seen in meters if not seen.complete]
    if silent:
        return Verdict.NOT_OBSERVED, f"{pod}: not all of it was measured all the time: {', '.join(silent)}"
    # (4)
    if any(finding.kind is FindingKind.ALIKE for finding in told):
        return (
            Verdict.INCONCLUSIVE,
            f"{pod}: series are alike that should have noise of their own: copies, or one busy load",
        )
    agreeing = [pair for pair in pairs if pair.agree]
    if agreeing:
        names = "; ".join(pair.name for pair in agreeing)
        return Verdict.CONSISTENT, f"{pod}: independent meters of its load agree throughout: {names}"
    if len(meters) == 1:
        return (
            Verdict.INCONCLUSIVE,
            f"{pod}: one meter only ({meters[0].meter.id}): nothing stands against what it shows",
        )
    return Verdict.INCONCLUSIVE, f"{pod}: {len(meters)} meters, of which no two measured one load throughout"


def _log_e(meters: tuple[MeterSeen, ...], pairs: tuple[PairSeen, ...], found: Survey) -> float:
    """The mean of one e-value per pair and one from copies; a source that saw nothing keeps its weight."""
    sources = [0.0]
    names = {seen.meter.id for seen in meters}
    if any(name.split("/", 1)[0] in names for copy in found.copies for name in (copy.one, copy.other)):
        sources[0] = float(p_to_log_e(copy_p_value(found)))
    for pair in pairs:
        plan = BetPlan(stakes=STAKES, start_rate=1 / max(2, len(pair.apart)))
        process = exceedance_process(pair.apart, rate_max=APART_RATE_MAX, observed=pair.means.compared, plan=plan)
        sources.append(float(process.log_e_final[0]))
    return bounded_log_e(merge_mean(sources))


def _distinct(findings: Iterable[SeriesFinding]) -> tuple[SeriesFinding, ...]:
    return tuple(dict.fromkeys(findings))


def _not_checked(meters: tuple[MeterSeen, ...], pairs: tuple[PairSeen, ...], found: Survey) -> tuple[str, ...]:
    notes = [note for seen in meters for note in seen.notes]
    notes += [
        f"{seen.meter.id}: of {len(seen.silent_units)} declared units nothing came"
        for seen in meters
        if seen.silent_units
    ]
    compared = {name for pair in pairs for name in pair.meters}
    alone = [seen.meter.id for seen in meters if seen.meter.id not in compared]
    if alone:
        notes.append(f"not held against a second meter: {', '.join(alone)}")
    for pair in pairs:
        holders = {holder for seen in meters if seen.meter.id in pair.meters for holder in seen.holders}
        if len(holders) == 1:
            notes.append(f"{pair.name} are held by one party ({holders.pop()}): together they could be made up")
    return (*dict.fromkeys(notes), *found.not_checked)


def _series(pair: PairSeen) -> Exhibit:
    """Both meters and their difference over time, as means; groups of means where there are too many."""
    means = pair.means
    group = -(-len(means.whole) // ROWS_MAX)
    rows: list[tuple[str | float | None, ...]] = []
    for start in range(0, len(means.whole), group):
        part = slice(start, start + group)
        time = from_ns(int(means.start_ns[start])).strftime("%Y-%m-%dT%H:%M:%SZ")
        there = means.compared[part]
        if not there.any():
            rows.append((time, None, None, None))
            continue
        whole, parts = float(means.whole[part][there].mean()), float(means.parts[part][there].mean())
        rows.append((time, whole, parts, whole - parts))
    return Exhibit(
        id=f"meters-{pair.whole.id}-{pair.parts[0].id}"[:128],
        title=f"Power by {pair.name}, and what lies between them",
        kind=ExhibitKind.SERIES,
        columns=("time", "whole_w", "parts_w", "difference_w"),
        rows=tuple(rows),
        unit="W",
    )


def _table(pod: str, told: tuple[SeriesFinding, ...]) -> tuple[Exhibit, ...]:
    if not told:
        return ()
    rows = [
        (
            finding.kind.value,
            finding.one,
            finding.other,
            from_ns(finding.start_ns).strftime("%Y-%m-%dT%H:%M:%SZ"),
            from_ns(finding.end_ns).strftime("%Y-%m-%dT%H:%M:%SZ"),
            finding.size,
            finding.text,
        )
        for finding in sorted(told, key=lambda f: (not f.made, f.start_ns))[:FINDINGS_SHOWN_MAX]
    ]
    return (
        Exhibit(
            id=f"telemetry-findings-{pod}"[:128],
            title=f"What was found in the telemetry of {pod}",
            kind=ExhibitKind.TABLE,
            columns=("finding", "series", "other_series", "start", "end", "size", "what"),
            rows=tuple(rows),
        ),
    )
