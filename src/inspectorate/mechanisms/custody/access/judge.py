"""Requests for challenge inspections and logs of access, held against quota and clock. Pure functions of what was stated.

Rules:

- One request may be stated by several offices. They say the same of party, site, pods and number; where they do not, the request is
  void until they agree, since the party cannot know what is asked of it.
- Numbers run 1, 2, 3, ... within each calendar year (UTC) of a party, without gap or repeat. A request with a number above the
  quota need not be granted.
- The clock runs from the latest statement of the request, for at least as long as the clause gives, and longer where an office gave
  longer. Access is in time at the very end of the clock.
- Admission is what counts, whatever was refused before it. A refusal stands until then.
- Inspectors who came after the clock, or have logged nothing, show nothing against the party: that is not observed, never fine.
- What left unlooked at is a breach of its own, if the party was asked: an exit is counted for the inspector who logs it, and where
  several log one request, the largest count of any of them is taken, not their sum.
- Only what was logged by `as_of` counts.

For an appraisal: `Case.outcome` in `AGAINST` speaks against the party of the declaration; `OPEN` is pending; `GRANTED` is fine if
`exits_refused` is 0; all else is not observed. Of the faults, all stand against the verifier (they void a request) but
`EXIT_REFUSED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from inspectorate.agreement import ChallengeAccess
from inspectorate.evidence import InspectionRequested, VerifiedStatement
from inspectorate.evidence.custody import AccessLogged, AccessStep
from inspectorate.keys import Holder


class Outcome(StrEnum):
    """What became of a request."""

    GRANTED = "granted"
    """Admitted within the clock."""
    LATE = "late"
    """Admitted after the clock, although inspectors stood there within it."""
    REFUSED = "refused"
    """Refused, and not admitted since."""
    NOT_ADMITTED = "not-admitted"
    """Inspectors stood there within the clock, and were neither let in nor refused when it ran out."""
    PENDING = "pending"
    """The clock still runs."""
    CAME_LATE = "came-late"
    """Inspectors came after the clock."""
    NO_LOG = "no-log"
    """The clock ran out, and no inspector logged anything."""
    OVER_QUOTA = "over-quota"
    """Need not be granted."""
    VOID = "void"
    """Offices say different things of it."""


AGAINST = frozenset({Outcome.LATE, Outcome.REFUSED, Outcome.NOT_ADMITTED})
"""Speak against the party."""
OPEN = frozenset({Outcome.PENDING})
UNSEEN = frozenset({Outcome.CAME_LATE, Outcome.NO_LOG, Outcome.OVER_QUOTA, Outcome.VOID})
"""Show nothing of the party."""


class AccessFault(StrEnum):
    """What is wrong with requests or logs, whatever became of them."""

    NUMBER_SKIPPED = "number-skipped"
    """A number of the year is not there: a request is not shown, or was never made."""
    NUMBER_REPEATED = "number-repeated"
    """Two requests have one number."""
    OVER_QUOTA = "over-quota"
    OFFICES_DIFFER = "offices-differ"
    CLOCK_SHORT = "clock-short"
    """The request gives less time than the clause. The clause's time counts."""
    REQUEST_MISSING = "request-missing"
    """Access was logged to a request that is not there."""
    OUT_OF_ORDER = "out-of-order"
    """Logged before it was asked for, or left before anybody arrived."""
    SIGNER_DEPENDENT = "signer-dependent"
    """The prover holds the key of the office that asks or logs: the statement does not count."""
    EXIT_REFUSED = "exit-refused"
    """People or vehicles left unlooked at while inspectors waited."""


@dataclass(frozen=True, kw_only=True)
class AccessFound:
    """One fault, and what it is about."""

    fault: AccessFault
    detail: str
    requests: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    @property
    def against_party(self) -> bool:
        return self.fault is AccessFault.EXIT_REFUSED

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class Requested:
    """One office's statement of a request."""

    digest: str
    said: InspectionRequested
    independent: bool = True
    """The key that signed is not held by the prover."""


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One inspector's statement of access."""

    digest: str
    said: AccessLogged
    independent: bool = True


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request, and what became of it."""

    request: str
    party: str
    site: str
    pods: tuple[str, ...]
    """None: the whole site."""
    number: int
    year: int
    requested_at: datetime
    """The latest statement of it, from which the clock runs."""
    due: datetime
    outcome: Outcome
    arrived_at: datetime | None = None
    admitted_at: datetime | None = None
    refused_at: datetime | None = None
    left_at: datetime | None = None
    """When the inspectors left."""
    exits_inspected: int = 0
    exits_refused: int = 0
    statements: tuple[str, ...] = ()

    @property
    def waited(self) -> timedelta | None:
        """From arrival to admission."""
        return self.admitted_at - self.arrived_at if self.admitted_at and self.arrived_at else None

    @property
    def shows_granted(self) -> bool:
        """Fine: admitted within the clock, and nothing left unlooked at."""
        return self.outcome is Outcome.GRANTED and not self.exits_refused

    @property
    def against_party(self) -> bool:
        return self.outcome in AGAINST or (self.exits_refused > 0 and self.outcome not in UNSEEN)


@dataclass(frozen=True, kw_only=True)
class Access:
    """All requests of one party up to a time."""

    party: str
    as_of: datetime
    cases: tuple[Case, ...]
    """By year and number."""
    found: tuple[AccessFound, ...]

    @property
    def pending(self) -> tuple[Case, ...]:
        return tuple(one for one in self.cases if one.outcome in OPEN)

    def used(self, year: int) -> int:
        """Requests of a calendar year that count against the quota."""
        return sum(one.year == year for one in self.cases)


def read_access(statements: Sequence[VerifiedStatement], party: str) -> tuple[list[Requested], list[Logged]]:
    """The requests to one party, and all logs of access."""
    requests = [
        Requested(digest=one.digest, said=said, independent=_independent(one, said.by))
        for one in statements
        if isinstance(said := one.predicate, InspectionRequested) and said.party == party
    ]
    logs = [
        Logged(digest=one.digest, said=said, independent=_independent(one, said.by))
        for one in statements
        if isinstance(said := one.predicate, AccessLogged)
    ]
    others = {
        one.digest
        for one in statements
        if isinstance(said := one.predicate, InspectionRequested) and said.party != party
    }
    return requests, [one for one in logs if one.said.request not in others]


def judge_access(
    requests: Sequence[Requested], logs: Sequence[Logged], *, clause: ChallengeAccess, party: str, as_of: datetime
) -> Access:
    """Judge all requests to one party, and what became of them by `as_of`."""
    asked = [one for one in requests if one.said.party == party and one.said.requested_at <= as_of]
    entered = [one for one in logs if one.said.logged_at <= as_of]
    found = _dependent(asked, entered)
    asked = [one for one in asked if one.independent]
    entered = [one for one in entered if one.independent]
    by_name: dict[str, list[Requested]] = {}
    for one in sorted(asked, key=lambda one: (one.said.requested_at, one.digest)):
        by_name.setdefault(one.said.request, []).append(one)
    names = {one.digest: one.said.request for one in asked}
    for log in entered:
        if log.said.request not in names:
            detail = f"{log.said.step.value}, logged by {log.said.by} to {log.said.request[:19]}…"
            found.append(AccessFound(fault=AccessFault.REQUEST_MISSING, detail=detail, statements=(log.digest,)))
    cases = []
    for name, said in by_name.items():
        own = [log for log in entered if names.get(log.said.request) == name]
        cases.append(_case(said, own, clause, as_of, found))
    cases.sort(key=lambda case: (case.year, case.number, case.request))
    found += _numbers(cases, clause)
    return Access(party=party, as_of=as_of, cases=tuple(cases), found=tuple(found))


def _independent(statement: VerifiedStatement, name: str) -> bool:
    own = [anchor for anchor in statement.anchors if anchor.name == name]
    return bool(own) and all(anchor.holder is not Holder.PROVER for anchor in own)


def _dependent(asked: Sequence[Requested], entered: Sequence[Logged]) -> list[AccessFound]:
    both: list[Requested | Logged] = [*asked, *entered]
    return [
        AccessFound(
            fault=AccessFault.SIGNER_DEPENDENT,
            detail=f"the prover holds the key of {one.said.by}",
            statements=(one.digest,),
        )
        for one in both
        if not one.independent
    ]


def _case(
    said: Sequence[Requested],
    logs: Sequence[Logged],
    clause: ChallengeAccess,
    as_of: datetime,
    found: list[AccessFound],
) -> Case:
    """One request, stated at least once."""
    first = said[0].said
    name = first.request
    within = timedelta(seconds=clause.access_within_s)
    short = [one.digest for one in said if one.said.access_by < one.said.requested_at + within]
    if short:
        detail = f"{name} gives less than the {clause.access_within_s / 3600:g} hours of the clause"
        found.append(
            AccessFound(fault=AccessFault.CLOCK_SHORT, detail=detail, requests=(name,), statements=tuple(short))
        )
    differ = {(one.said.site, tuple(sorted(one.said.pods)), one.said.number, _year(one)) for one in said}
    if len(differ) > 1:
        detail = f"offices state {name} in {len(differ)} ways"
        found.append(
            AccessFound(fault=AccessFault.OFFICES_DIFFER, detail=detail, requests=(name,),
                        statements=tuple(one.digest for one in said))
        )  # fmt: skip
    asked_at = max(one.said.requested_at for one in said)
    due = max(max(one.said.access_by, one.said.requested_at + within) for one in said)
    steps = _steps(logs)
    early = [log for log in logs if log.said.logged_at < min(one.said.requested_at for one in said)]
    if early or _left_unarrived(steps):
        detail = f"{name}: logged before it was asked for, or left before anybody arrived"
        digests = tuple(one.digest for one in early)
        found.append(AccessFound(fault=AccessFault.OUT_OF_ORDER, detail=detail, requests=(name,), statements=digests))
    void, over = len(differ) > 1, first.number > clause.per_party_per_year_max
    inspected, refused = _exits(logs, "exits_inspected"), _exits(logs, "exits_refused")
    if refused and not void and not over:
        detail = f"{name}: {refused} people or vehicles left unlooked at"
        found.append(AccessFound(fault=AccessFault.EXIT_REFUSED, detail=detail, requests=(name,)))
    return Case(
        request=name, party=first.party, site=first.site, pods=first.pods, number=first.number, year=_year(said[0]),
        requested_at=asked_at, due=due, outcome=_outcome(steps, due, as_of, void=void, over=over),
        arrived_at=steps.get(AccessStep.ARRIVED), admitted_at=steps.get(AccessStep.ADMITTED),
        refused_at=steps.get(AccessStep.REFUSED), left_at=steps.get(AccessStep.LEFT), exits_inspected=inspected,
        exits_refused=refused, statements=(*(one.digest for one in said), *(one.digest for one in logs)),
    )  # fmt: skip


def _outcome(steps: dict[AccessStep, datetime], due: datetime, as_of: datetime, *, void: bool, over: bool) -> Outcome:
    if void:
        return Outcome.VOID
    admitted, arrived = steps.get(AccessStep.ADMITTED), steps.get(AccessStep.ARRIVED)
    if admitted is not None and admitted <= due:
        return Outcome.GRANTED
    if over:
        return Outcome.OVER_QUOTA
    # Who was admitted or refused stood there, whether that was logged or not.
    stood = [time for time in (arrived, admitted, steps.get(AccessStep.REFUSED)) if time is not None]
    if stood and min(stood) > due:
        return Outcome.CAME_LATE
    if admitted is not None:
        return Outcome.LATE
    if AccessStep.REFUSED in steps:
        return Outcome.REFUSED
    if as_of <= due:
        return Outcome.PENDING
    return Outcome.NOT_ADMITTED if stood else Outcome.NO_LOG


def _steps(logs: Sequence[Logged]) -> dict[AccessStep, datetime]:
    """The earliest time of each step; of leaving, the latest."""
    steps: dict[AccessStep, datetime] = {}
    for log in sorted(logs, key=lambda log: log.said.logged_at):
        if log.said.step is AccessStep.LEFT:
            steps[log.said.step] = log.said.logged_at
        else:
            steps.setdefault(log.said.step, log.said.logged_at)
    return steps


def _left_unarrived(steps: dict[AccessStep, datetime]) -> bool:
    left = steps.get(AccessStep.LEFT)
    before = [time for step, time in steps.items() if step is not AccessStep.LEFT]
    return left is not None and (not before or left < min(before))


def _exits(logs: Sequence[Logged], kind: str) -> int:
    by_inspector: dict[str, int] = {}
    for log in logs:
        by_inspector[log.said.by] = by_inspector.get(log.said.by, 0) + int(getattr(log.said, kind))
    return max(by_inspector.values(), default=0)


def _year(one: Requested) -> int:
    return one.said.requested_at.astimezone(UTC).year


def _numbers(cases: Sequence[Case], clause: ChallengeAccess) -> list[AccessFound]:
    """Whether numbers run on within each year, and within the quota."""
    found = []
    for year in sorted({one.year for one in cases}):
        numbers: dict[int, list[str]] = {}
        for case in cases:
            if case.year == year:
                numbers.setdefault(case.number, []).append(case.request)
        missing = [one for one in range(1, max(numbers)) if one not in numbers]
        if missing:
            detail = f"{year}: {', '.join(map(str, missing[:8]))}"
            found.append(AccessFound(fault=AccessFault.NUMBER_SKIPPED, detail=detail))
        for number, names in sorted(numbers.items()):
            if len(names) > 1:
                detail = f"{year}: number {number} for {len(names)} requests"
                found.append(AccessFound(fault=AccessFault.NUMBER_REPEATED, detail=detail, requests=tuple(names)))
            if number > clause.per_party_per_year_max:
                detail = f"{year}: number {number} of {clause.per_party_per_year_max}"
                found.append(AccessFound(fault=AccessFault.OVER_QUOTA, detail=detail, requests=tuple(names)))
    return found
