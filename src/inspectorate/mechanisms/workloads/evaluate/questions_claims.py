"""Disguised training under the claim that it makes, where the recording says which: is it found as not the approved workload?

Only honest inference is enrolled. The threshold is the largest statistic of an enrolled run that was held out: of n + 1 like runs
one goes beyond it on average. It belongs to a run, not to an hour: recordings of seconds hold no rate per device-hour. It is pooled
over all that is enrolled, as in a review where a workload's own runs are too few; and, beside it, over the family of the claim
alone: serving varies with its requests far more than reading does, and a pooled threshold is that of the one that varies most.

- *run*: all sessions are enrolled; honest runs are tried with a threshold that saw neither them nor a fit with them.
- *session*: one session is enrolled and sets the threshold, all others are tried. Sessions without two runs of a workload set none.

A run without an answer counts as not found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import metrics
from inspectorate.mechanisms.workloads.evaluate.alarms import Stream
from inspectorate.mechanisms.workloads.evaluate.detectors import Detector
from inspectorate.mechanisms.workloads.evaluate.folds import Scored, Tell, scored
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared
from inspectorate.mechanisms.workloads.evaluate.questions import Bench
from inspectorate.mechanisms.workloads.evaluate.questions_alarm import Guard, tried
from inspectorate.mechanisms.workloads.evaluate.reference import FOLDS_MAX
from inspectorate.mechanisms.workloads.evaluate.results import Answer, Cell

HONEST, PLAIN = "none: honest", "none: training"


@dataclass(frozen=True, kw_only=True)
class Try:
    """One run under one claim."""

    disguise: str
    claim: str
    found: bool
    found_by_family: bool


def claims(
    benches: Sequence[Bench], detectors: Sequence[Detector], tell: Tell, *, by: str, folds_max: int = FOLDS_MAX
) -> Answer:
    """Held out by run or by session. Raises `InputError` where no run says what it claims to be."""
    rows: list[tuple[Cell, ...]] = []
    for bench in benches:
        for detector in detectors:
            made = _by_session(detector, bench, tell, folds_max) if by == "session" else _by_run(
                detector, bench, tell, folds_max)  # fmt: skip
            rows += [(bench.name, detector.name, *row) for row in _rows(made)]
    return Answer(
        question="claims",
        title=f"Disguised training under its own claim: {by}s held out",
        columns=("hardware", "detector", "disguise", "claims to be", "found", "by the family's threshold"),
        rows=tuple(rows),
        notes=(
            (
                "Honest runs that are found are false alarms. Training without a disguise is tried under every claim that a "
                "disguise makes."
            ),
        ),
    )


def _by_run(detector: Detector, bench: Bench, tell: Tell, folds_max: int) -> list[Try]:
    approved, others = _sides(bench.prepared)
    honest, missing = tried(detector, replace(bench, prepared=tuple(approved)), tell, folds_max=folds_max)
    made = [_try(HONEST, "", one.stream, one.enrolled, one.stream.family) for one in honest]
    tell(f"{detector.name}: {missing} honest runs cannot be held out")
    guard = Guard.of(detector, approved, tell, folds_max=folds_max)
    return made + _tries(guard, scored(detector, approved, others), _claimed(bench.prepared))


def _by_session(detector: Detector, bench: Bench, tell: Tell, folds_max: int) -> list[Try]:
    made: list[Try] = []
    faults: list[str] = []
    for session in sorted({one.run.session for one in bench.prepared}):
        approved, _ = _sides([one for one in bench.prepared if one.run.session == session])
        elsewhere = [one for one in bench.prepared if one.run.session != session]
        try:
            guard = Guard.of(detector, approved, tell, folds_max=folds_max)
        except InputError as fault:
            faults.append(f"{session}: {fault}")
            continue
        known = {one.run.workload for one in approved}
        asked = [one for one in elsewhere if one.run.kind == "training" or one.run.workload in known]
        made += _tries(guard, scored(detector, approved, asked), _claimed(bench.prepared))
    if not made:
        raise InputError("no session can be held against another", remedy=f"record two ({'; '.join(faults)[:200]})")
    return made


def _sides(prepared: Sequence[Prepared]) -> tuple[list[Prepared], list[Prepared]]:
    """Honest inference, and training with or without a disguise."""
    approved = [one for one in prepared if one.run.kind == "inference" and not one.run.disguise]
    return approved, [one for one in prepared if one.run.kind == "training"]


def _claimed(prepared: Sequence[Prepared]) -> tuple[str, ...]:
    found = tuple(sorted({one.run.claims for one in prepared if one.run.claims}))
    if not found:
        raise InputError("no run says what it claims to be", remedy="give runs with `claims`")
    return found


def _tries(guard: Guard, results: Sequence[Scored], claimed: Sequence[str]) -> list[Try]:
    family_of = {one.run.workload: one.run.family for one in guard.fitted_on}
    made = []
    for one in results:
        run = one.one.run
        if run.kind == "inference":
            asked, disguise = [run.workload], HONEST
        elif run.disguise:
            asked, disguise = [run.claims], run.disguise
        else:
            asked, disguise = list(claimed), PLAIN
        for claim in asked:
            stream = guard.scale.stream(one, claim)
            shown = "" if disguise in (HONEST, PLAIN) else claim
            made.append(_try(disguise, shown, stream, guard.enrolled, family_of.get(claim, "")))
    return made


def _try(disguise: str, claim: str, stream: Stream | None, enrolled: Sequence[Stream], family: str) -> Try:
    """A family without an enrolled run that was held out has the pooled threshold."""
    value = -math.inf if stream is None else stream.highest
    pooled = max(one.highest for one in enrolled)
    own = max((one.highest for one in enrolled if one.family == family), default=pooled)
    return Try(disguise=disguise, claim=claim, found=value > pooled, found_by_family=value > own)


def _rows(made: Sequence[Try]) -> list[tuple[Cell, ...]]:
    keys = sorted({(one.disguise, one.claim) for one in made})
    rows: list[tuple[Cell, ...]] = [
        (*key, *_shares([one for one in made if (one.disguise, one.claim) == key])) for key in keys
    ]
    return [*rows, ("all disguises", "", *_shares([one for one in made if one.disguise not in (HONEST, PLAIN)]))]


def _shares(made: Sequence[Try]) -> tuple[Cell, Cell]:
    hits = [sum(one.found for one in made), sum(one.found_by_family for one in made)]
    return metrics.share(hits[0], len(made)), metrics.share(hits[1], len(made))
