"""What the report may plot of an inspection: draws and their fate, the power of the sample, sources of FLOP, pointers into code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise.bound import Lot
from inspectorate.mechanisms.inspection.appraise.judged import Fate
from inspectorate.mechanisms.inspection.appraise.sample import Stratum, seen_probability
from inspectorate.mechanisms.inspection.observe import Run

Row = tuple[str | float | None, ...]


def of_draws(pod: str, runs: Sequence[Run], lots: Sequence[Lot], strata: Sequence[Stratum]) -> tuple[Exhibit, ...]:
    """Commitments with what became of their draws, and what that sample would have seen."""
    found = [_draws(pod, runs, lots)]
    if any(one.picks for one in strata):
        found.append(_power(pod, strata))
    return tuple(found)


def _draws(pod: str, runs: Sequence[Run], lots: Sequence[Lot]) -> Exhibit:
    judged = {lot.committed.digest: [one for _, part in lot.drawn for one in part] for lot in lots}
    rows: list[Row] = []
    for run in runs:
        for one in run.commitments:
            if pod not in one.pods or len(rows) >= reference.ROWS_MAX:
                continue
            counts = Counter(fate.fate for fate in judged.get(one.digest, ()))
            dirty = sum(counts.values()) - counts[Fate.MATCHED] - counts[Fate.DIFFERED] - counts[Fate.NOT_RUN]
            rows.append(
                (
                    f"{one.period.end:%Y-%m-%dT%H:%M:%SZ}",
                    run.id,
                    float(one.said.sequence),
                    float(one.said.packets),
                    float(sum(counts.values())),
                    float(counts[Fate.MATCHED]),
                    float(counts[Fate.DIFFERED]),
                    float(counts[Fate.NOT_RUN]),
                    float(dirty),
                )
            )
    return Exhibit(
        id=f"inspection-draws-{pod}"[:128],
        title=f"What {pod} committed to, and what became of what was drawn",
        kind=ExhibitKind.TABLE,
        columns=(
            "committed_until",
            "run",
            "number",
            "packets",
            "drawn",
            "matched",
            "differed",
            "not_run",
            "refused_late_or_unjudged",
        ),
        rows=tuple(rows),
    )


def _power(pod: str, strata: Sequence[Stratum]) -> Exhibit:
    return Exhibit(
        id=f"inspection-power-{pod}"[:128],
        title=f"Chance that a dirty share of the committed time of {pod} is in what was drawn",
        kind=ExhibitKind.CURVES,
        columns=("dirty_share", "seen_probability"),
        rows=tuple((share, seen_probability(strata, share)) for share in reference.CURVE_SHARES),
    )


def of_sources(pod: str, rows: Sequence[Row]) -> tuple[Exhibit, ...]:
    """What each source says of each run, as ranges; none if there is no account."""
    if not rows:
        return ()
    return (
        Exhibit(
            id=f"inspection-flop-{pod}"[:128],
            title=f"FLOP of the runs of {pod}, by source",
            kind=ExhibitKind.TABLE,
            columns=("run", "source", "at_least_flop", "at_most_flop"),
            rows=tuple(rows[: reference.ROWS_MAX]),
            unit="FLOP",
        ),
    )


def of_reviews(pod: str, rows: Sequence[Row]) -> tuple[Exhibit, ...]:
    """Decisions about code, one row each; none if there is none."""
    if not rows:
        return ()
    return (
        Exhibit(
            id=f"inspection-code-{pod}"[:128],
            title=f"What inspectors decided about the code of {pod}",
            kind=ExhibitKind.TABLE,
            columns=(
                "reviewed_at",
                "inspector",
                "code",
                "decision",
                "techniques",
                "parameters_changed",
                "must_answer",
                "answered",
            ),
            rows=tuple(rows[: reference.ROWS_MAX]),
        ),
    )
