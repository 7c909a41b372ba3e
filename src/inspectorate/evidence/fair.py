"""Whether what drew was fixed before what it drew from, whatever that is: packets of work, people of a roster, racks of a register.

Order of times. That the promise came before is believed on, in this order:

1. **A digest**: the draw names what it draws from, and that names the promise. A digest of something not yet made cannot be named.
2. **The ledger**, where both stand in it: the smaller index came first.
3. **Signed times**: the promise's is the verifier's word, that of what was fixed the prover's. A verifier that backdates a promise
   would gain by it, so the answer says that only its word stands behind the order.

With a beacon there is no secret, but the round must not be known when the prover fixes what is drawn from, and nobody may choose
among rounds: one is given by rule. The prover states by when it fixed it, the verifier when it had it; each would harm itself by a
false word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from inspectorate.canonical import Record
from inspectorate.drawing.beacon import round_verifies
from inspectorate.drawing.chain import Chain
from inspectorate.drawing.chains import CHAINS
from inspectorate.drawing.sources import DrandRound, Randomness, Revealed
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CountDrawn
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.heard import IntervieweesDrawn
from inspectorate.evidence.inspected import PacketsDrawn, RandomnessPromised
from inspectorate.evidence.subjects import subject_bytes, subject_digest

Drawn = PacketsDrawn | IntervieweesDrawn | CountDrawn
Selected = TypeVar("Selected", bound=Record)


class Order(StrEnum):
    """On what it is believed that the randomness was fixed before, and unknown at, what was drawn from."""

    NAMED = "named"
    """What was fixed names the promise by digest."""
    LEDGER = "ledger"
    SIGNED = "signed"
    """Signed times alone."""
    BEACON = "beacon"
    """The round was made after the verifier had what was fixed, on the verifier's word."""


class Unfair(StrEnum):
    """What can be wrong with the order, under names that the faults of each draw have, too."""

    PROMISE_MISSING = "promise-missing"
    PROMISE_OTHER = "promise-other"
    PROMISE_AFTER = "promise-after"
    SECRET_OTHER = "secret-other"  # noqa: S105 - a fault, not a secret
    CHAIN_UNKNOWN = "chain-unknown"
    ROUND_OTHER = "round-other"
    BEACON_FALSE = "beacon-false"
    COMMITTED_LATE = "committed-late"
    DRAW_BEFORE = "draw-before"
    REDRAWN = "redrawn"
    SECRET_REUSED = "secret-reused"  # noqa: S105 - a fault, not a secret
    PROMISE_SKIPPED = "promise-skipped"


Faults = list[tuple[Unfair, str]]
"""What is wrong, in a word and in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What a draw draws from."""

    statement: VerifiedStatement
    noun: str
    promise: str | None
    """Digest of the promise that it names; none: it names none."""
    by: datetime
    """When the prover fixed it at the earliest."""
    round_in: Callable[[Chain], int]
    """The one round of a beacon that may draw from it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the reviewer brings along."""

    chains: Mapping[str, Chain] | None
    """By hash; none: `drawing.chains.CHAINS`."""
    logged: Mapping[str, int] | None
    """Index in one ledger of a statement, by its digest."""


def fixed_before(
    source: Revealed[Selected] | DrandRound[Selected],
    fixed: Fixed,
    drawn: Drawn,
    promise: VerifiedStatement | None,
    known: Known,
) -> tuple[Order | None, Faults]:
    """On what it is believed that nobody could choose, none if it is not; and what is wrong."""
    if isinstance(source, DrandRound):
        return _beacon(source, fixed, drawn, known.chains)
    return _revealed(source, fixed, drawn, promise, known.logged)


def _revealed(
    source: Revealed[Selected],
    fixed: Fixed,
    drawn: Drawn,
    promise: VerifiedStatement | None,
    logged: Mapping[str, int] | None,
) -> tuple[Order | None, Faults]:
    if promise is None or drawn.promise != promise.digest or not isinstance(promise.predicate, RandomnessPromised):
        return None, [(Unfair.PROMISE_MISSING, "the promise behind the revealed secret is not there")]
    found: Faults = []
    promised = promise.predicate
    if (promised.by, promised.reporter) != (drawn.by, drawn.reporter):
        found.append((Unfair.PROMISE_OTHER, f"the promise is by {promised.by} for {promised.reporter}"))
    try:
        if subject_digest(promise, "secret") != source.promise.digest:
            found.append((Unfair.SECRET_OTHER, "the revealed secret and selection were not promised"))
    except EvidenceError as fault:
        found.append((Unfair.SECRET_OTHER, str(fault)))
    order = _order(fixed, promise.digest, promised.promised_at, logged)
    if order is None and fixed.promise is not None:
        found.append((Unfair.PROMISE_OTHER, f"the {fixed.noun} names another promise"))
    elif order is None:
        found.append((Unfair.PROMISE_AFTER, f"the promise is not shown to come before the {fixed.noun}"))
    return order, found


def _order(fixed: Fixed, promise: str, promised_at: datetime, logged: Mapping[str, int] | None) -> Order | None:
    """Why the promise is believed to come first; none if it is not."""
    if fixed.promise is not None:
        return Order.NAMED if fixed.promise == promise else None
    mine = fixed.statement.digest
    if logged is not None and mine in logged and promise in logged:
        return Order.LEDGER if logged[promise] < logged[mine] else None
    return Order.SIGNED if promised_at < fixed.by else None


def _beacon(
    source: DrandRound[Selected], fixed: Fixed, drawn: Drawn, chains: Mapping[str, Chain] | None
) -> tuple[Order | None, Faults]:
    if drawn.promise is not None or fixed.promise is not None:
        # Else a verifier could keep whichever of promise and beacon draws what it wants.
        return None, [(Unfair.PROMISE_OTHER, "a promise was made, and a beacon was used instead")]
    chain = (CHAINS if chains is None else chains).get(source.chain)
    if chain is None:
        return None, [(Unfair.CHAIN_UNKNOWN, f"the chain {source.chain[:12]}… is not believed")]
    found: Faults = []
    expected = fixed.round_in(chain)
    if source.round != expected:
        found.append((Unfair.ROUND_OTHER, f"round {source.round}, where the rule gives {expected}"))
    if not round_verifies(chain, source.round, source.signature):
        found.append((Unfair.BEACON_FALSE, f"the signature is not that of round {source.round} of {chain.name}"))
    made = chain.time_of(expected)
    if source.received_at >= made:
        had, known = f"{source.received_at:%Y-%m-%d %H:%M:%S}", f"{made:%Y-%m-%d %H:%M:%S}"
        found.append((Unfair.COMMITTED_LATE, f"received at {had} UTC, when the round of {known} UTC was known"))
    if drawn.drawn_at < made:
        found.append((Unfair.DRAW_BEFORE, "it was drawn before its round was made"))
    return Order.BEACON, found


@dataclass(frozen=True, kw_only=True)
class Uses(Generic[Selected]):
    """All draws of one kind that a reviewer knows of, and what they may have used."""

    draws: Sequence[VerifiedStatement]
    promises: Sequence[VerifiedStatement]
    naming: Mapping[str, str]
    """By the digest of what was fixed, the promise that it names; what names none is not in it."""
    noun: str
    """What is drawn from, such as a register."""
    randomness: Callable[[bytes], Randomness[Selected]]
    payload: Callable[[str], bytes]
    again: bool = True
    """Whether one secret may draw again from the same."""


def misused(uses: Uses[Selected]) -> Iterator[tuple[str, Unfair, str]]:
    """What one draw alone does not show: the draw's digest, what is wrong with it in a word, and in a sentence.

    - An inspector draws once from one thing (and once to replace the same people). Several inspectors may each draw.
    - A promise, what it fixes and the secret itself serve one thing: a draw from a second one could be foreseen.
    - Where what was fixed names no promise, a draw must use the oldest open one: else a verifier promises many secrets, and
      keeps the one that draws what it wants.
    """
    first: dict[tuple[str, ...], str] = {}
    used: set[str] = set()
    by_digest = {promise.digest: promise for promise in uses.promises}
    for draw in sorted(uses.draws, key=lambda one: (_drawn(one).drawn_at, one.digest)):
        said = _drawn(draw)
        fixed = _drawn_from(said)
        replaces = said.replaces if isinstance(said, IntervieweesDrawn) else None
        key = ("replaces", replaces) if replaces else ("draws", said.by, fixed)
        if first.setdefault(key, draw.digest) != draw.digest:
            what = "replaces the same people" if replaces else f"draws from a {uses.noun}"
            yield draw.digest, Unfair.REDRAWN, f"{what} a second time"
        for mark in secrets_of(draw, said, by_digest, uses.randomness, uses.payload):
            mine = fixed if uses.again else draw.digest
            if first.setdefault(mark, mine) != mine:
                time = f"for a second {uses.noun}" if uses.again else "a second time"
                yield draw.digest, Unfair.SECRET_REUSED, f"uses a promise or a secret {time}"
        if said.promise in by_digest and fixed not in uses.naming:
            skipped = passed_over(said, by_digest, used)
            if skipped:
                yield draw.digest, Unfair.PROMISE_SKIPPED, skipped
        if said.promise is not None:
            used.add(said.promise)


def _drawn(statement: VerifiedStatement) -> Drawn:
    assert isinstance(statement.predicate, Drawn)
    return statement.predicate


def _drawn_from(drawn: Drawn) -> str:
    """The digest of what it draws from."""
    match drawn:
        case PacketsDrawn(commitment=digest) | IntervieweesDrawn(roster=digest) | CountDrawn(handed=digest):
            return digest


def secrets_of(
    draw: VerifiedStatement,
    drawn: Drawn,
    promises: Mapping[str, VerifiedStatement],
    randomness: Callable[[bytes], Randomness[Selected]],
    payload: Callable[[str], bytes],
) -> Iterator[tuple[str, str]]:
    """Marks that no draw from anything else may have: the promise, what it fixes, and the secret itself. `randomness` parses."""
    if drawn.promise is not None:
        yield "promise", drawn.promise
    try:
        if drawn.promise is not None and drawn.promise in promises:
            yield "digest", subject_digest(promises[drawn.promise], "secret")
        source = randomness(subject_bytes(draw, "randomness", payload)).source
    except EvidenceError:
        return  # whoever judges the draw names it
    if isinstance(source, Revealed):
        yield "secret", source.promise.secret


def passed_over(drawn: Drawn, promises: Mapping[str, VerifiedStatement], used: set[str]) -> str | None:
    """The oldest promise to the same reporter that was still open when this draw used a younger one, in a sentence."""
    mine = promises.get(drawn.promise or "")
    if mine is None or drawn.promise is None:
        return None
    said = _promised(mine)
    for digest, statement in promises.items():
        other = _promised(statement)
        older = (other.promised_at, digest) < (said.promised_at, drawn.promise)
        if (other.by, other.reporter) == (said.by, said.reporter) and older and digest not in used:
            return f"the promise of {other.promised_at:%Y-%m-%d %H:%M:%S} UTC was open and passed over"
    return None


def _promised(statement: VerifiedStatement) -> RandomnessPromised:
    assert isinstance(statement.predicate, RandomnessPromised)
    return statement.predicate
