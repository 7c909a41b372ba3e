"""What an office signs for all parties to see: that a lead is raised, that it is closed, that an inspection is asked for.

Rules:

- A statement says what a lead is about and which step is asked for. No word of anybody stands in it, and it names no case: its
  subject is a salted commitment to the state of the case file, which offices that hold the case can open and nobody else.
- A lead is raised of one claim, once that is linked. An office that joins in says exactly the same, but for the step.
- An inspection is asked for within the quota of the agreement, counted over all requests of the calendar year (UTC) that are known,
  against the party that is inspected. Over it, only if the caller says so, and the act says that it was.
- The name of a lead is fresh and random: it says nothing of case or time.

Not done here: whether enough offices say the same (`hearing`, in the appraisal).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from inspectorate.agreement import Agreement, ChallengeAccess, Procedure
from inspectorate.declaration import Declaration
from inspectorate.errors import InputError
from inspectorate.evidence import (
    Closing,
    HumanSource,
    InspectionRequested,
    LeadClosed,
    LeadRaised,
    Origin,
    Step,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.act import Who
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.acts import Raised, Requested
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, CaseState

SUBJECT = "case"
GROUNDS = "grounds"


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Who signs, when, and the commitment to the case as it then is."""

    by: str
    key: SigningKey
    at: datetime
    commitment: str
    origin: Origin = Origin.RECORDED


def fresh_name(kind: str, random: Callable[[int], bytes]) -> str:
    """A name that says nothing: `lead-` or `request-` and 16 random hex digits."""
    return f"{kind}-{random(8).hex()}"


def subject_of(state: CaseState, claim: str, *, lead: str, step: Step) -> Raised:
    """What a lead of this claim says: as an office before said it, else out of the claim and its link. Raises `InputError`.

    The statement's digest is not known yet, and stands as that of nothing.
    """
    if state.standing is CaseStanding.PENDING:
        raise InputError("no quorum of offices has opened this case yet", where=f"case {state.case}")
    if lead in state.leads:
        first = next(iter(state.leads[lead].raised.values()))
        if first.claim != claim:
            raise InputError(f"lead {lead} is about claim {first.claim}", where=f"case {state.case}")
        return first.model_copy(update={"step": step, "statement": reference.NO_STATEMENT})
    said, link = state.claims.get(claim), state.links.get(claim)
    if said is None:
        raise InputError(
            f"no claim {claim!r}", where=f"case {state.case}", remedy=f"claims: {', '.join(state.claims) or 'none'}"
        )
    if link is None:
        raise InputError(
            f"claim {claim} is not linked yet", where=f"case {state.case}", remedy="`cases link` comes first"
        )
    return Raised(
        lead=lead, claim=claim, clause=link.clause, activity=said.activity, pods=link.pods, period=link.period,
        flop_min=said.flop_min, step=step, statement=reference.NO_STATEMENT,
    )  # fmt: skip


def sign_raised(raised: Raised, signing: Signing) -> bytes:
    """The envelope of the `LeadRaised`."""
    predicate = LeadRaised(
        origin=signing.origin, by=signing.by, lead=raised.lead, source=HumanSource.WHISTLEBLOWER, clause=raised.clause,
        activity=raised.activity, pods=raised.pods, period=raised.period, flop_min=raised.flop_min, step=raised.step,
        raised_at=signing.at,
    )  # fmt: skip
    return sign_statement(make_statement(predicate, {SUBJECT: signing.commitment}), signing.key)


def sign_closed(state: CaseState, lead: str, closing: Closing, signing: Signing) -> bytes:
    """The envelope of the `LeadClosed` of a lead that this office raised. Raises `InputError`."""
    if lead not in state.leads or signing.by not in state.leads[lead].raised:
        own = [name for name, one in state.leads.items() if signing.by in one.raised]
        raise InputError(
            f"{signing.by} raised no lead {lead!r}", where=f"case {state.case}",
            remedy=f"its leads here: {', '.join(own) or 'none'}",
        )  # fmt: skip
    predicate = LeadClosed(origin=signing.origin, by=signing.by, lead=lead, closing=closing, closed_at=signing.at)
    return sign_statement(make_statement(predicate, {SUBJECT: signing.commitment}), signing.key)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be inspected, and on which leads that rests."""

    request: str
    site: str
    pods: tuple[str, ...]
    leads: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The challenge inspections of one party in one calendar year."""

    party: str
    year: int
    clause: str
    most: int
    used: tuple[str, ...]
    """Requests that are known, by name."""

    @property
    def number(self) -> int:
        """Of the next one."""
        return len(self.used) + 1

    @property
    def over(self) -> bool:
        return self.number > self.most


def quota_of(agreement: Agreement, party: str, known: Iterable[InspectionRequested | Requested], at: datetime) -> Quota:
    """How many challenge inspections of the party are used up. Raises `InputError` where the agreement has no such clause."""
    try:
        clauses = agreement.on(at).clauses
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {agreement.id}") from None
    limited = [
        (clause.id, clause.parameters.per_party_per_year_max)
        for clause in clauses
        if isinstance(clause.parameters, ChallengeAccess | Procedure)
        and clause.parameters.per_party_per_year_max is not None
    ]
    named = [one for one in limited if one[0] == reference.CHALLENGE_CLAUSE] or limited
    if len(named) != 1 or named[0][1] is None:
        raise InputError(
            f"{len(named)} clauses with a number per party and year", where=f"agreement {agreement.id}",
            remedy=f"challenge inspections are the clause {reference.CHALLENGE_CLAUSE!r} with `per_party_per_year_max`",
        )  # fmt: skip
    year = at.astimezone(UTC).year
    used = {one.request for one in known if one.party == party and one.requested_at.astimezone(UTC).year == year}
    return Quota(party=party, year=year, clause=named[0][0], most=named[0][1], used=tuple(sorted(used)))


def access_by(agreement: Agreement, at: datetime) -> datetime:
    """By when inspectors must stand at the place. Raises `InputError` where no clock of the agreement says so."""
    clock = next((one for one in agreement.on(at).clocks if one.id == reference.ACCESS_CLOCK), None)
    if clock is None:
        raise InputError(
            f"has no clock {reference.ACCESS_CLOCK!r}", where=f"agreement {agreement.id}", remedy="give --access-hours"
        )
    return at + timedelta(seconds=clock.within_s)


def check_asked(asked: Asked, declaration: Declaration, raised: Collection[str]) -> None:
    """That the place is declared, and that every lead was raised. Raises `InputError`."""
    site = next((one for one in declaration.sites if one.id == asked.site), None)
    if site is None:
        known = ", ".join(one.id for one in declaration.sites)
        raise InputError(f"no site {asked.site!r}", where=f"declaration {declaration.id}", remedy=f"sites: {known}")
    pods = {pod.id for cluster in site.clusters for pod in cluster.pods}
    if outside := sorted(set(asked.pods) - pods):
        raise InputError(
            f"{', '.join(outside[:10])} do not stand at {asked.site}", where=f"declaration {declaration.id}"
        )
    if unknown := sorted(set(asked.leads) - set(raised)):
        raise InputError(
            f"leads were not raised here: {', '.join(unknown)}", where="--lead", remedy="`cases raise` comes first"
        )


def sign_request(asked: Asked, quota: Quota, by_when: datetime, signing: Signing, *, over_quota: bool) -> bytes:
    """The envelope of the `InspectionRequested`. Raises `InputError` over quota, unless told."""
    who = Who(name=signing.by, at=signing.at, origin=signing.origin)
    predicate = request_of(asked, quota, by_when, who, over_quota=over_quota)
    return sign_statement(make_statement(predicate, {GROUNDS: signing.commitment}), signing.key)


def request_of(asked: Asked, quota: Quota, by_when: datetime, who: Who, *, over_quota: bool) -> InspectionRequested:
    """The request, about to be signed. Raises `InputError` over quota, unless told."""
    if quota.over and not over_quota:
        raise InputError(
            f"{len(quota.used)} challenge inspections of {quota.party} were asked for in {quota.year}, and"
            f" {quota.clause} allows {quota.most}",
            where="the quota", remedy="--over-quota asks all the same, and says so",
        )  # fmt: skip
    return InspectionRequested(
        origin=who.origin, by=who.name, party=quota.party, request=asked.request, site=asked.site, pods=asked.pods,
        leads=asked.leads, number=quota.number, requested_at=who.at, access_by=by_when,
    )  # fmt: skip
