"""What seals held shut, and for how long: statements of `SealApplied` and `SealChecked` judged over time.

1. A statement counts only if a key signed it that the prover does not hold alone.
2. A name that was given to two seals holds nothing; that one of them was found broken is heard all the same.
3. Checks of one seal are taken in order of time; of several at one moment the gravest comes first.
4. A stretch is held from the application, or from a check that found the seal intact, to the next check that did, if no more time
   than agreed lies between them. A check that was unclear neither ends a stretch nor carries it on.
5. A seal that was found broken held nothing since it was last found intact, and nothing after. Nothing mends it.
6. From the last check that found it intact, a seal holds nothing: whether it is still there nobody knows.
7. Where comparisons are agreed, a check must name one of them. Where none is agreed, the eye decides, and nothing else is asked.

A person decides. A decision against the comparison's number counts, and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from inspectorate.agreement.chips import SealedPlaces
from inspectorate.evidence.custody import SealApplied, SealChecked, SealDecision
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.keys import Holder
from inspectorate.mechanisms.custody.held import Held, Unheld
from inspectorate.quantities import Period


class SealFault(StrEnum):
    """What can be wrong with statements about seals: a closed list."""

    PROVER_SIGNED = "prover-signed"
    """The one key behind it is the prover's alone: it does not count."""
    NAME_TWICE = "name-twice"
    APPLIED_MISSING = "applied-missing"
    CHECKED_BEFORE = "checked-before-applied"
    CHECKED_AFTER_BROKEN = "checked-after-broken"
    CALIBRATION_OTHER = "calibration-not-agreed"
    NOT_COMPARED = "not-compared"
    """A comparison is agreed, and the check names none."""
    AGAINST_NUMBER = "decided-against-the-comparison"
    """The person decided otherwise than the number points. It counts."""


class Why(StrEnum):
    """Why a stretch is not held."""

    BROKEN = "found broken"
    UNCLEAR = "last looked at without a clear result"
    UNCHECKED = "not looked at since"
    LATE = "looked at again later than agreed"
    NAMELESS = "its name was given to two seals"


@dataclass(frozen=True, kw_only=True)
class SealFound:
    """A fault, and the statement that has it."""

    fault: SealFault
    seal: str
    statement: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class SealsJudged:
    """What seals held in a period, what they did not, and what is wrong with what was stated."""

    held: tuple[Held, ...]
    unheld: tuple[Unheld, ...]
    broken: tuple[str, ...]
    """Digests of the checks that found a seal broken within the period."""
    faults: tuple[SealFound, ...]


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    start: datetime
    end: datetime
    why: Why | None
    evidence: tuple[str, ...]


@dataclass(kw_only=True)
class _Walk:
    """One seal from check to check."""

    at: datetime
    since: tuple[str, ...]
    stretches: list[_Stretch] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    broken: str | None = None


def judge_seals(statements: Iterable[VerifiedStatement], terms: SealedPlaces, period: Period) -> SealsJudged:
    """Judge all statements about seals of one party, of whatever time; what is said is cut to `period`.

    Statements of other kinds are passed over. Pass what was stated before the period, too: a seal may be older.
    """
    applied: dict[str, SealApplied] = {}
    checks: list[tuple[str, SealChecked]] = []
    faults: list[SealFound] = []
    for one in {one.digest: one for one in statements}.values():
        said = one.predicate
        if not isinstance(said, SealApplied | SealChecked):
            continue
        if all(anchor.holder is Holder.PROVER for anchor in one.anchors):
            name = said.seal if isinstance(said, SealApplied) else ""
            faults.append(_found(SealFault.PROVER_SIGNED, name, one.digest, f"the prover holds the key of {said.by}"))
        elif isinstance(said, SealApplied):
            applied[one.digest] = said
        else:
            checks.append((one.digest, said))
    times = Counter(said.seal for said in applied.values())
    for digest, said in applied.items():
        if times[said.seal] > 1:
            faults.append(_found(SealFault.NAME_TWICE, said.seal, digest, f"{times[said.seal]} seals have this name"))
    faults += [
        _found(SealFault.APPLIED_MISSING, "", digest, "no statement says that this seal was applied")
        for digest, check in checks
        if check.applied not in applied
    ]
    held: list[Held] = []
    unheld: list[Unheld] = []
    broken: list[str] = []
    for digest, said in applied.items():
        mine = [(one, check) for one, check in checks if check.applied == digest]
        walk = _walk(digest, said, mine, terms, faults)
        _last(walk, max(period.end, walk.at))
        for stretch in walk.stretches:
            if times[said.seal] > 1 and stretch.why is None:
                stretch = replace(stretch, why=Why.NAMELESS)
            for made in _said(said, stretch, period):
                (held if isinstance(made, Held) else unheld).append(made)  # type: ignore[arg-type]
        if walk.broken is not None and period.contains(dict(mine)[walk.broken].checked_at):
            broken.append(walk.broken)
    return SealsJudged(held=tuple(held), unheld=tuple(unheld), broken=tuple(broken), faults=tuple(faults))


_GRAVEST_FIRST = (SealDecision.BROKEN, SealDecision.UNCLEAR, SealDecision.INTACT)


def _walk(
    digest: str,
    said: SealApplied,
    checks: Sequence[tuple[str, SealChecked]],
    terms: SealedPlaces,
    faults: list[SealFound],
) -> _Walk:
    """Take the checks of one seal in order; what is wrong with one is added to `faults`."""
    walk = _Walk(at=said.applied_at, since=(digest,))
    ordered = sorted(checks, key=lambda one: (one[1].checked_at, _GRAVEST_FIRST.index(one[1].decision), one[0]))
    for one, check in ordered:
        wrong = _fault_of(check, said, terms)
        if wrong is None and walk.broken is not None:
            wrong = SealFault.CHECKED_AFTER_BROKEN, "this seal was found broken before"
        if wrong is not None:
            faults.append(_found(wrong[0], said.seal, one, wrong[1]))
            # What counts no assurance may still be an alarm: that a seal is broken is heard whoever compared it, and how.
            if check.decision is not SealDecision.BROKEN or wrong[0] not in _HEARD_IF_BROKEN:
                continue
        if (against := _against(check)) is not None:
            faults.append(_found(SealFault.AGAINST_NUMBER, said.seal, one, against))
        _step(walk, one, check, timedelta(seconds=terms.checked_every_s))
    return walk


_HEARD_IF_BROKEN = (SealFault.CALIBRATION_OTHER, SealFault.NOT_COMPARED)


def _fault_of(check: SealChecked, said: SealApplied, terms: SealedPlaces) -> tuple[SealFault, str] | None:
    if check.checked_at < said.applied_at:
        return SealFault.CHECKED_BEFORE, f"applied only at {said.applied_at:%Y-%m-%d %H:%M:%S} UTC"
    if not terms.calibrations:
        return None
    if check.calibration is None:
        return SealFault.NOT_COMPARED, "a comparison is agreed, and none was made"
    if check.calibration not in terms.calibrations:
        return SealFault.CALIBRATION_OTHER, f"compared by {check.calibration[:19]}…, which is not agreed"
    return None


def _against(check: SealChecked) -> str | None:
    number = check.log_likelihood_ratio
    if number is None:
        return None
    if check.decision is SealDecision.INTACT and number < 0:
        return f"decided intact at a log-likelihood ratio of {number:.1f}"
    if check.decision is SealDecision.BROKEN and number > 0:
        return f"decided broken at a log-likelihood ratio of {number:.1f}"
    return None


def _step(walk: _Walk, digest: str, check: SealChecked, every: timedelta) -> None:
    at = check.checked_at
    evidence = (*walk.since, *walk.unclear, digest)
    if check.decision is SealDecision.UNCLEAR:
        walk.unclear.append(digest)
        return
    if check.decision is SealDecision.BROKEN:
        walk.broken = digest
        walk.stretches.append(_Stretch(start=walk.at, end=at, why=Why.BROKEN, evidence=evidence))
        walk.since = (*walk.since[:1], digest)
    else:
        why = None if at - walk.at <= every else Why.LATE
        walk.stretches.append(_Stretch(start=walk.at, end=at, why=why, evidence=evidence))
        walk.since = (*walk.since[:1], digest)
    walk.at, walk.unclear = at, []


def _last(walk: _Walk, end: datetime) -> None:
    """What follows the last check: nothing is held."""
    why = Why.BROKEN if walk.broken is not None else Why.UNCLEAR if walk.unclear else Why.UNCHECKED
    walk.stretches.append(_Stretch(start=walk.at, end=end, why=why, evidence=(*walk.since, *walk.unclear)))


def _said(said: SealApplied, stretch: _Stretch, period: Period) -> Iterator[Held | Unheld]:
    start, end = max(stretch.start, period.start), min(stretch.end, period.end)
    if start >= end:
        return
    evidence = tuple(dict.fromkeys(stretch.evidence))
    for place in dict.fromkeys(said.places):
        cut = Period(start=start, end=end)
        if stretch.why is None:
            yield Held(site=said.site, place=place, period=cut, name=said.seal, evidence=evidence)
        else:
            yield Unheld(
                site=said.site, place=place, period=cut, name=said.seal, why=stretch.why.value, evidence=evidence
            )  # fmt: skip


def _found(fault: SealFault, seal: str, statement: str, detail: str) -> SealFound:
    return SealFound(fault=fault, seal=seal, statement=statement, detail=detail)
