"""Whether a draw was fair to both sides. Faults are data: nothing in a payload raises.

What came before what is judged by `evidence.fair`. A promise counts as earlier on signed times only if it was made before the
committed stretch ended, since the commitment cannot have been made before that. The round of a beacon is the first at or after the
end of the committed stretch and `COMMIT_WITHIN_S`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from inspectorate.drawing.chain import Chain
from inspectorate.drawing.sources import seed_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence import PacketsDrawn, VerifiedStatement, WorkCommitted
from inspectorate.evidence.fair import Fixed, Known, Order, fixed_before
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.inspection.challenge import reference
from inspectorate.mechanisms.inspection.challenge.draw import draw_points
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Found
from inspectorate.mechanisms.inspection.challenge.opening import Asked
from inspectorate.mechanisms.inspection.challenge.payloads import parse_packet_list
from inspectorate.mechanisms.inspection.challenge.promise import (
    Randomness,
    Selection,
    parse_randomness,
)
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.quantities import to_ns


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


def check_lists(
    statements: Sequence[VerifiedStatement], *, payload: Callable[[str], bytes]
) -> tuple[dict[str, int], dict[str, list[Found]]]:
    """The first packet of the list of each commitment, as far as it can be read, and what is wrong with it, by the commitment."""
    firsts: dict[str, int] = {}
    faults: dict[str, list[Found]] = {}
    for statement in statements:
        listed, faults[statement.digest] = check_list(statement, payload=payload)
        if listed is not None:
            firsts[statement.digest] = listed.first
    return firsts, faults


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
    commitment, drawn = statements.commitment.predicate, statements.drawn.predicate
    assert isinstance(commitment, WorkCommitted)
    assert isinstance(drawn, PacketsDrawn)
    fixed = Fixed(
        statement=statements.commitment,
        noun="commitment",
        promise=commitment.promise,
        by=commitment.period.end,
        round_in=partial(round_for, commitment),
    )
    believed = Known(chains=known.chains, logged=known.logged)
    order, faults = fixed_before(randomness.source, fixed, drawn, statements.promise, believed)
    return order, [Found(fault=Fault(kind.value), detail=detail) for kind, detail in faults]


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
