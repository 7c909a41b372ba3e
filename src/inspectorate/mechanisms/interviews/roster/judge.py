"""Whether a roster can be drawn from, and whether a draw was fair to both sides. Faults are data: nothing in a payload raises.

What came before what is judged by `evidence.fair`. The round of a beacon is the first at or after `committed_at` and
`COMMIT_WITHIN_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from inspectorate.drawing.chain import Chain
from inspectorate.drawing.sources import Randomness, seed_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence import IntervieweesDrawn, RosterCommitted, VerifiedStatement
from inspectorate.evidence.fair import Fixed, Known, Order, fixed_before
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.interviews.roster import draw as drawing
from inspectorate.mechanisms.interviews.roster import reference
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.listed import RosterList, parse_roster_list
from inspectorate.mechanisms.interviews.roster.opening import Asked
from inspectorate.mechanisms.interviews.roster.replacing import Chained, Link, chained
from inspectorate.mechanisms.interviews.roster.selection import Selection, parse_randomness, sizes_of


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The statements of one draw."""

    roster: VerifiedStatement
    drawn: VerifiedStatement
    promise: VerifiedStatement | None = None
    before: Sequence[VerifiedStatement] = ()
    """Of a draw that replaces: earlier draws from this roster, and the interviews that followed them."""


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What the reviewer brings along: none of it comes from evidence."""

    chains: Mapping[str, Chain] | None = None
    """By hash; none: `drawing.chains.CHAINS`."""
    logged: Mapping[str, int] | None = None
    """Index in one ledger of a statement, by its digest."""
    answer_within_s: float | None = None
    """What the agreement gives the prover from a draw to its opening."""
    strata: Collection[str] | None = None
    """The strata of the agreement; none: not checked."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A draw, judged. Only one without faults assures of anything."""

    faults: tuple[Found, ...]
    listed: RosterList | None = None
    selection: Selection | None = None
    seed: bytes | None = None
    in_order: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Of each stratum the entries that the randomness gives to this draw, in the order in which they are drawn."""
    order: Order | None = None
    """On what it is believed that nobody could choose; none if it is not."""
    asked: Asked | None = None
    """What an opening must answer; none if the draw has a fault."""


def check_roster(
    statement: VerifiedStatement, *, payload: Callable[[str], bytes], strata: Collection[str] | None = None
) -> tuple[RosterList | None, list[Found]]:
    """The list behind a roster, and what is wrong with it. `strata` are those of the agreement."""
    said = statement.predicate
    assert isinstance(said, RosterCommitted)
    try:
        listed = parse_roster_list(subject_bytes(statement, "roster", payload), where="roster")
    except EvidenceError as fault:
        return None, [Found(fault=Fault.ROSTER_UNREADABLE, detail=str(fault), statement=statement.digest)]
    found = [
        Found(fault=kind, detail=detail, statement=statement.digest)
        for kind, detail in _roster_faults(said, listed, strata)
    ]
    return listed, found


def _roster_faults(
    said: RosterCommitted, listed: RosterList, strata: Collection[str] | None
) -> Iterator[tuple[Fault, str]]:
    if listed.roster != said.roster:
        yield Fault.ROSTER_DIFFERS, f"the list is of {listed.roster}, the statement of {said.roster}"
    if dict(listed.people) != dict(said.strata):
        yield (
            Fault.ROSTER_DIFFERS,
            f"the list holds {_people(listed.people)}, the statement says {_people(said.strata)}",
        )
    if not listed.persons:
        yield Fault.ROSTER_EMPTY, "nobody is on the roster, so nobody can be drawn"
    if strata is not None and (odd := set(strata) ^ set(listed.strata)):
        yield Fault.STRATA_DIFFER, f"the agreement and the roster differ in the strata {', '.join(sorted(odd))}"


def _people(strata: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(strata.items()))


def check_draw(statements: Statements, *, payload: Callable[[str], bytes], believed: Believed | None = None) -> Draw:
    """Judge one draw:

    1. the list is that of the roster, and holds people in the agreed strata;
    2. the randomness is a record of ours, and its source was fixed before the roster;
    3. it gives exactly the entries that the draw names: the first of each stratum, or those that replace;
    4. the prover was given its time.
    """
    known = believed or Believed()
    said, drawn = statements.roster.predicate, statements.drawn.predicate
    if not isinstance(said, RosterCommitted) or not isinstance(drawn, IntervieweesDrawn):
        raise TypeError("a draw is judged by a RosterCommitted and an IntervieweesDrawn")
    # (1)
    listed, found = check_roster(statements.roster, payload=payload, strata=known.strata)
    if drawn.roster != statements.roster.digest or drawn.reporter != said.reporter:
        found.append(Found(fault=Fault.ROSTER_OTHER, detail="the draw is from another roster or reporter"))
    if drawn.drawn_at < said.committed_at:
        found.append(Found(fault=Fault.DRAW_BEFORE, detail="it was drawn before the roster was committed to"))
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
    if listed is None or not listed.persons:
        return Draw(faults=tuple(found), listed=listed, selection=randomness.selection, order=order)
    # (3)
    seed = seed_of(randomness, statements.roster.digest)
    chosen, faults = _entries(statements, randomness.selection, seed, listed)
    found += faults
    asked = Asked(drawn=drawn, digest=statements.drawn.digest, roster=said, listed=listed)
    return Draw(
        faults=tuple(found), listed=listed, selection=randomness.selection, seed=seed, in_order=chosen, order=order,
        asked=None if found else asked,
    )  # fmt: skip


def round_for(roster: RosterCommitted, chain: Chain) -> int:
    """The one round that may draw from a roster."""
    return chain.round_from(roster.committed_at + timedelta(seconds=reference.COMMIT_WITHIN_S))


def _entries(
    statements: Statements, selection: Selection, seed: bytes, listed: RosterList
) -> tuple[Mapping[str, tuple[int, ...]], list[Found]]:
    """What the randomness gives to this draw, by stratum, and whether the draw says the same."""
    drawn = statements.drawn.predicate
    assert isinstance(drawn, IntervieweesDrawn)
    if odd := set(selection.strata) ^ set(listed.strata):
        detail = f"selection and roster differ in the strata {', '.join(sorted(odd))}"
        return {}, [Found(fault=Fault.SELECTION_OTHER, detail=detail)]
    order = drawing.order_of(seed, listed)
    sizes = sizes_of(selection, listed)
    if drawn.replaces is None:
        chosen = {name: entries[: sizes[name]] for name, entries in order.items()}
    else:
        chain = chained(Link.of(statements.drawn), statements.before, selection, listed)
        if not isinstance(chain, Chained):
            return {}, [chain]
        chosen = {
            name: entries[chain.taken[name] : chain.taken[name] + chain.more[name]] for name, entries in order.items()
        }
    return chosen, _as_drawn(drawn, listed, chosen)


def _as_drawn(drawn: IntervieweesDrawn, listed: RosterList, chosen: Mapping[str, tuple[int, ...]]) -> list[Found]:
    if drawn.drawn[-1] >= len(listed.persons):
        detail = f"entry {drawn.drawn[-1]} is drawn from a roster of {len(listed.persons)}"
        return [Found(fault=Fault.BEYOND_ROSTER, detail=detail, entry=drawn.drawn[-1])]
    expected = {entry for entries in chosen.values() for entry in entries}
    missing, added = sorted(expected - set(drawn.drawn)), sorted(set(drawn.drawn) - expected)
    if missing or added:
        detail = f"{len(missing)} entries that the randomness gives are missing, {len(added)} were added"
        return [Found(fault=Fault.NOT_AS_DRAWN, detail=detail, entry=(added or missing)[0])]
    return []


def _source(
    statements: Statements, randomness: Randomness[Selection], known: Believed
) -> tuple[Order | None, list[Found]]:
    said, drawn = statements.roster.predicate, statements.drawn.predicate
    assert isinstance(said, RosterCommitted)
    assert isinstance(drawn, IntervieweesDrawn)
    fixed = Fixed(
        statement=statements.roster,
        noun="roster",
        promise=said.promise,
        by=said.committed_at,
        round_in=partial(round_for, said),
    )
    believed = Known(chains=known.chains, logged=known.logged)
    order, faults = fixed_before(randomness.source, fixed, drawn, statements.promise, believed)
    return order, [Found(fault=Fault(kind.value), detail=detail) for kind, detail in faults]
