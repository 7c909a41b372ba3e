"""What one draw alone does not show: second rosters for one time, second draws, secrets used twice, promises passed over.

Rules:

- One time of one reporter has one roster, and one promise is named by one roster. Whoever commits to several and shows the one
  that suits is named: of rosters that collide, the one that came first in the ledger stands; where that is not known, none.
- A promise is for one roster. Drawing from a second one, or by another promise of the same secret, could be foreseen.
- Where a roster names no promise, a draw must use the oldest open one: else a verifier promises many secrets and keeps the one
  that draws whom it wants.
- An inspector draws once from a roster, and then only to replace people who were not heard. Several inspectors may each draw.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from inspectorate.evidence import RosterCommitted, VerifiedStatement
from inspectorate.evidence.fair import Uses, misused
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.selection import parse_randomness


def check_rosters(
    rosters: Sequence[VerifiedStatement], *, logged: Mapping[str, int] | None = None
) -> tuple[Found, ...]:
    """Judge all rosters that a reviewer knows of together. Each fault names the roster (`statement`) that it voids.

    `logged` gives the index of a statement in one ledger, by its digest.
    """
    by_reporter: dict[str, list[VerifiedStatement]] = defaultdict(list)
    for statement in {one.digest: one for one in rosters}.values():
        by_reporter[_as_roster(statement).reporter].append(statement)
    return tuple(itertools.chain.from_iterable(_repeated(mine, logged or {}) for mine in by_reporter.values()))


def _repeated(mine: Sequence[VerifiedStatement], logged: Mapping[str, int]) -> Iterator[Found]:
    """Rosters of one reporter that collide with one that came before, or with any where the order is not known."""
    ordered = sorted(mine, key=lambda one: (_as_roster(one).period.start, one.digest))
    voided: dict[str, str] = {}
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            why = _collision(_as_roster(one), _as_roster(other))
            if why is None:
                continue
            if one.digest in logged and other.digest in logged:
                later = max(one, other, key=lambda statement: logged[statement.digest])
                voided.setdefault(later.digest, why)
            else:
                voided.setdefault(one.digest, why)
                voided.setdefault(other.digest, why)
    for digest, why in voided.items():
        yield Found(fault=Fault.ROSTER_REPEATED, detail=why, statement=digest)


def _collision(one: RosterCommitted, other: RosterCommitted) -> str | None:
    if one.period.overlaps(other.period):
        start = max(one.period.start, other.period.start)
        return f"{one.roster} and {other.roster} are both for {start:%Y-%m-%d %H:%M:%S} UTC"
    if one.promise is not None and one.promise == other.promise:
        return f"{one.roster} and {other.roster} name one promise"
    if one.roster == other.roster:
        return f"two rosters have the name {one.roster}"
    return None


def check_uses(
    draws: Sequence[VerifiedStatement],
    promises: Sequence[VerifiedStatement],
    *,
    naming: Mapping[str, str],
    payload: Callable[[str], bytes],
) -> tuple[Found, ...]:
    """Judge all draws that a reviewer knows of together. Each fault names the draw (`statement`) that it voids.

    `naming` gives, for the digest of a roster, the promise that it names; rosters that name none are not in it.
    """
    uses = Uses(
        draws=draws, promises=promises, naming=naming, noun="roster",
        randomness=partial(parse_randomness, where="randomness"), payload=payload,
    )  # fmt: skip
    return tuple(Found(fault=Fault(one.value), detail=detail, statement=draw) for draw, one, detail in misused(uses))


def _as_roster(statement: VerifiedStatement) -> RosterCommitted:
    assert isinstance(statement.predicate, RosterCommitted)
    return statement.predicate
