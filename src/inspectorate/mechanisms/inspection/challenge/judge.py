"""Whether a draw was fair to both sides. Faults are data: nothing in a payload raises.

Order of times. What came before what is believed on, in this order:

1. **A digest**: the draw names the commitment, and the commitment names the promise. A digest of something not yet made
   cannot be named.
2. **The ledger**, where both stand in it: the smaller index came first.
3. **Signed times**: the promise's is the verifier's word, the end of the committed stretch the prover's. A promise
   counts as earlier only if it was made before the committed stretch ended, since the commitment cannot have been made
   before that. A verifier that backdates a promise would gain by it, so `Draw.order` says that only its word stands
   behind the order.

With a beacon there is no secret, but the round must not be known when the commitment is made, and nobody may choose
among rounds: it is the first at or after the end of the committed stretch and `COMMIT_WITHIN_S`. The prover states the
end, the verifier states when it had the commitment; each would harm itself by a false word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from inspectorate.drawing import sources
from inspectorate.drawing.beacon import round_verifies
from inspectorate.drawing.chain import Chain
from inspectorate.drawing.chains import CHAINS
from inspectorate.drawing.sources import seed_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence import PacketsDrawn, RandomnessPromised, VerifiedStatement, WorkCommitted
from inspectorate.evidence.subjects import subject_bytes, subject_digest
from inspectorate.mechanisms.inspection.challenge import reference
from inspectorate.mechanisms.inspection.challenge.draw import draw_points
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Found
from inspectorate.mechanisms.inspection.challenge.opening import Asked
from inspectorate.mechanisms.inspection.challenge.payloads import parse_packet_list
from inspectorate.mechanisms.inspection.challenge.promise import (
    DrandRound,
    Randomness,
    Revealed,
    Selection,
    parse_randomness,
)
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.quantities import to_ns


class Order(StrEnum):
    """On what it is believed that the randomness was fixed before, and unknown at, the commitment."""

    NAMED = "named"
    """The commitment names the promise by digest."""
    LEDGER = "ledger"
    SIGNED = "signed"
    """Signed times alone."""
    BEACON = "beacon"
    """The round was made after the verifier had the commitment, on the verifier's word."""


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The statements of one draw."""

    commitment: VerifiedStatement
    drawn: VerifiedStatement
    promise: VerifiedStatement | None = None


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What the reviewer brings along: none of it comes from evidence."""

    chains: Mapping[str, Chain] | None = None
    """By hash; none: `drawing.chains.CHAINS`."""
    logged: Mapping[str, int] | None = None
    """Index in one ledger of a statement, by its digest."""
    answer_within_s: float | None = None
    """What the agreement gives the prover from a draw to its opening."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A draw, judged. Only one without faults assures of anything."""

    faults: tuple[Found, ...]
    listed: PacketList | None = None
    selection: Selection | None = None
    seed: bytes | None = None
    points: tuple[int, ...] = ()
    """The packet of every pick, in order: what `sampling.bounds` and `sampling.sequential` take."""
    order: Order | None = None
    """On what it is believed that nobody could choose; none if it is not."""
    asked: Asked | None = None
    """What an opening must answer; none if the draw has a fault."""

    @property
    def in_order(self) -> tuple[int, ...]:
        """The packets in the order in which they were drawn, each once."""
        return tuple(dict.fromkeys(self.points))


def check_draw(statements: Statements, *, payload: Callable[[str], bytes], believed: Believed | None = None) -> Draw:
    """Judge one draw:

    1. the list is that of the commitment, and holds packets;
    2. the randomness is a record of ours, and its source was fixed before the commitment;
    3. it gives exactly the packets that the draw names;
    4. the prover was given its time.
    """
    known = believed or Believed()
    commitment, drawn = statements.commitment.predicate, statements.drawn.predicate
    if not isinstance(commitment, WorkCommitted) or not isinstance(drawn, PacketsDrawn):
        raise TypeError("a draw is judged by a WorkCommitted and a PacketsDrawn")
    # (1)
    listed, found = check_list(statements.commitment, payload=payload)
    if drawn.commitment != statements.commitment.digest or drawn.reporter != commitment.reporter:
        found.append(Found(fault=Fault.COMMITMENT_OTHER, detail="the draw is from another commitment or reporter"))
    if drawn.drawn_at < commitment.period.end:
        found.append(Found(fault=Fault.DRAW_BEFORE, detail="it was drawn before the committed stretch ended"))
    # (2)
    try:
        randomness = parse_randomness(subject_bytes(statements.drawn, "randomness", payload), where="randomness")
    except EvidenceError as fault:
        found.append(Found(fault=Fault.RANDOMNESS_UNREADABLE, detail=str(fault)))
        return Draw(faults=tuple(found), listed=listed)
    order, faults = _source(statements, randomness, known)
    found += faults
    # (4)
    given_s = (drawn.answer_by - drawn.drawn_at).total_seconds()
    if known.answer_within_s is not None and given_s < known.answer_within_s:
        detail = f"{given_s:g} s to answer, where the agreement gives {known.answer_within_s:g} s"
        found.append(Found(fault=Fault.ANSWER_TOO_SOON, detail=detail))
    if listed is None or not listed.leaves:
        return Draw(faults=tuple(found), listed=listed, selection=randomness.selection, order=order)
    # (3)
    seed = seed_of(randomness, statements.commitment.digest)
    points = draw_points(seed, listed, randomness.selection)
    found += _packets(drawn, listed, points)
    asked = Asked(drawn=drawn, digest=statements.drawn.digest, commitment=commitment, listed=listed)
    return Draw(
        faults=tuple(found), listed=listed, selection=randomness.selection, seed=seed, points=points, order=order,
        asked=None if found else asked,
    )  # fmt: skip


def check_list(
    statement: VerifiedStatement, *, payload: Callable[[str], bytes]
) -> tuple[PacketList | None, list[Found]]:
    """The list behind a commitment, and what is wrong with it."""
    commitment = statement.predicate
    assert isinstance(commitment, WorkCommitted)
    try:
        listed = parse_packet_list(subject_bytes(statement, "packets", payload), where="packets")
    except EvidenceError as fault:
        return None, [Found(fault=Fault.LIST_UNREADABLE, detail=str(fault), statement=statement.digest)]
    found = [
        Found(fault=Fault.LIST_DIFFERS, detail=detail, statement=statement.digest)
        for detail in _list_faults(commitment, listed)
    ]
    if not listed.leaves:
        detail = "no packet was committed to, so none can be drawn"
        found.append(Found(fault=Fault.LIST_EMPTY, detail=detail, statement=statement.digest))
    return listed, found


def _list_faults(commitment: WorkCommitted, listed: PacketList) -> Iterator[str]:
    if (listed.run, listed.sequence) != (commitment.run, commitment.sequence):
        yield "the list is of another run or stretch"
    if len(listed.leaves) != commitment.packets:
        yield f"the list holds {len(listed.leaves)} packets, not {commitment.packets}"
    total = math.fsum(listed.flop)
    if not math.isclose(total, commitment.flop_stated, rel_tol=reference.FLOP_RELATIVE_TOLERANCE):
        yield f"the packets take {total:g} FLOP, not {commitment.flop_stated:g}"
    slack = reference.STRETCH_TOLERANCE_NS
    if listed.start_ns and (
        listed.start_ns[0] < to_ns(commitment.period.start) - slack
        or listed.end_ns[-1] > to_ns(commitment.period.end) + slack
    ):
        yield "packets lie outside of the committed period"
    if len(set(listed.leaves)) != len(listed.leaves):
        yield "two packets have one leaf"


def round_for(commitment: WorkCommitted, chain: Chain) -> int:
    """The one round that may draw from a commitment."""
    return chain.round_from(commitment.period.end + timedelta(seconds=reference.COMMIT_WITHIN_S))


def _source(statements: Statements, randomness: Randomness, known: Believed) -> tuple[Order | None, list[Found]]:
    match randomness.source:
        case sources.Revealed() as revealed:
            return _revealed(statements, revealed, known)
        case source:
            return _beacon(statements, source, known)


def _revealed(statements: Statements, source: Revealed, known: Believed) -> tuple[Order | None, list[Found]]:
    commitment, drawn = statements.commitment.predicate, statements.drawn.predicate
    assert isinstance(commitment, WorkCommitted)
    assert isinstance(drawn, PacketsDrawn)
    promise = statements.promise
    if promise is None or drawn.promise != promise.digest or not isinstance(promise.predicate, RandomnessPromised):
        return None, [Found(fault=Fault.PROMISE_MISSING, detail="the promise behind the revealed secret is not there")]
    found: list[Found] = []
    promised = promise.predicate
    if (promised.by, promised.reporter) != (drawn.by, drawn.reporter):
        detail = f"the promise is by {promised.by} for {promised.reporter}"
        found.append(Found(fault=Fault.PROMISE_OTHER, detail=detail))
    try:
        if subject_digest(promise, "secret") != source.promise.digest:
            found.append(Found(fault=Fault.SECRET_OTHER, detail="the revealed secret and selection were not promised"))
    except EvidenceError as fault:
        found.append(Found(fault=Fault.SECRET_OTHER, detail=str(fault)))
    order = _order(statements.commitment, commitment, promise, known.logged)
    if order is None:
        named = commitment.promise is not None
        kind = Fault.PROMISE_OTHER if named else Fault.PROMISE_AFTER
        detail = (
            "the commitment names another promise"
            if named
            else "the promise is not shown to come before the commitment"
        )
        found.append(Found(fault=kind, detail=detail))
    return order, found


def _order(
    statement: VerifiedStatement,
    commitment: WorkCommitted,
    promise: VerifiedStatement,
    logged: Mapping[str, int] | None,
) -> Order | None:
    """Why the promise is believed to come before the commitment; none if it is not."""
    if commitment.promise is not None:
        return Order.NAMED if commitment.promise == promise.digest else None
    if logged is not None and statement.digest in logged and promise.digest in logged:
        return Order.LEDGER if logged[promise.digest] < logged[statement.digest] else None
    assert isinstance(promise.predicate, RandomnessPromised)
    return Order.SIGNED if promise.predicate.promised_at < commitment.period.end else None


def _beacon(statements: Statements, source: DrandRound, known: Believed) -> tuple[Order | None, list[Found]]:
    commitment, drawn = statements.commitment.predicate, statements.drawn.predicate
    assert isinstance(commitment, WorkCommitted)
    assert isinstance(drawn, PacketsDrawn)
    if drawn.promise is not None or commitment.promise is not None:
        # Else a verifier could keep whichever of promise and beacon draws what it wants.
        return None, [Found(fault=Fault.PROMISE_OTHER, detail="a promise was made, and a beacon was used instead")]
    chain = (CHAINS if known.chains is None else known.chains).get(source.chain)
    if chain is None:
        return None, [Found(fault=Fault.CHAIN_UNKNOWN, detail=f"the chain {source.chain[:12]}… is not believed")]
    found: list[Found] = []
    expected = round_for(commitment, chain)
    if source.round != expected:
        found.append(Found(fault=Fault.ROUND_OTHER, detail=f"round {source.round}, where the rule gives {expected}"))
    if not round_verifies(chain, source.round, source.signature):
        detail = f"the signature is not that of round {source.round} of {chain.name}"
        found.append(Found(fault=Fault.BEACON_FALSE, detail=detail))
    made = chain.time_of(expected)
    if source.received_at >= made:
        found.append(Found(fault=Fault.COMMITTED_LATE, detail=_late(source.received_at, made)))
    if drawn.drawn_at < made:
        found.append(Found(fault=Fault.DRAW_BEFORE, detail="it was drawn before its round was made"))
    return Order.BEACON, found


def _late(received: datetime, made: datetime) -> str:
    return f"received at {received:%Y-%m-%d %H:%M:%S} UTC, when the round of {made:%Y-%m-%d %H:%M:%S} UTC was known"


def _packets(drawn: PacketsDrawn, listed: PacketList, points: Sequence[int]) -> list[Found]:
    held = range(listed.first, listed.first + len(listed.leaves))
    beyond = [number for number in drawn.packets if number not in held]
    if beyond:
        detail = f"packet {beyond[0]} is drawn from a list of {held.start} to {held.stop - 1}"
        return [Found(fault=Fault.BEYOND_LIST, detail=detail, packet=beyond[0])]
    expected = tuple(sorted(set(points)))
    if drawn.packets != expected:
        missing = sorted(set(expected) - set(drawn.packets))
        added = sorted(set(drawn.packets) - set(expected))
        detail = f"{len(missing)} packets that the randomness gives are missing, {len(added)} were added"
        return [Found(fault=Fault.NOT_AS_DRAWN, detail=detail)]
    return []
