"""Whether a count was drawn fairly to both sides. Faults are data: nothing in a payload raises.

What came before what is judged by `evidence.fair`. The round of a beacon is the first at or after `handed_at` and
`COMMIT_WITHIN_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from inspectorate.drawing.chain import Chain
from inspectorate.drawing.sources import Randomness, seed_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CountDrawn, RegisterHanded
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.fair import Fixed, Known, Order, fixed_before
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.custody.counting.draw import Sample, draw
from inspectorate.mechanisms.custody.counting.faults import Fault, Found
from inspectorate.mechanisms.custody.counting.reference import COMMIT_WITHIN_S
from inspectorate.mechanisms.custody.counting.selection import OfSites, Selection, parse_randomness
from inspectorate.mechanisms.custody.register import Register, Units, read_register, units

_SPAN_TOLERANCE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The statements of one draw."""

    register: VerifiedStatement
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
    """What the agreement gives from a draw to standing before all that it names; none: not checked."""
    table: Register | None = None
    """The register behind the statement, where the reviewer has read and checked it already."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A draw without a fault: what a count must answer."""

    drawn: CountDrawn
    digest: str
    register: Register
    units: Units
    sample: Sample


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A draw, judged. Only one without faults assures of anything."""

    faults: tuple[Found, ...]
    selection: Selection | None = None
    order: Order | None = None
    """On what it is believed that nobody could choose; none if it is not."""
    asked: Asked | None = None
    """None if the draw has a fault."""


def check_register(
    statement: VerifiedStatement, *, payload: Callable[[str], bytes], table: Register | None = None
) -> tuple[Register | None, list[Found]]:
    """The table behind a register, and what is wrong with it as far as a draw needs it. Whether it is sound is for `register`."""
    said = statement.predicate
    assert isinstance(said, RegisterHanded)
    try:
        register = table if table is not None else read_register(subject_bytes(statement, "register", payload))
    except EvidenceError as fault:
        return None, [Found(fault=Fault.REGISTER_UNREADABLE, detail=str(fault), statement=statement.digest)]
    found: list[Found] = []
    if len(register) != said.chips:
        detail = f"the table holds {len(register)} chips, the statement says {said.chips}"
        found.append(Found(fault=Fault.REGISTER_DIFFERS, detail=detail, statement=statement.digest))
    if not len(register):
        detail = "no chip stands in it, so nothing can be drawn"
        found.append(Found(fault=Fault.REGISTER_EMPTY, detail=detail, statement=statement.digest))
    return register, found


def check_draw(statements: Statements, *, payload: Callable[[str], bytes], believed: Believed | None = None) -> Draw:
    """Judge one draw:

    1. the table is a register of as many chips as it says;
    2. the randomness is a record of ours, and its source was fixed before the register;
    3. it gives exactly the units that the draw names;
    4. the prover was given its time, and no more.
    """
    known = believed or Believed()
    said, drawn = statements.register.predicate, statements.drawn.predicate
    if not isinstance(said, RegisterHanded) or not isinstance(drawn, CountDrawn):
        raise TypeError("a draw is judged by a RegisterHanded and a CountDrawn")
    # (1)
    register, found = check_register(statements.register, payload=payload, table=known.table)
    if drawn.handed != statements.register.digest or drawn.reporter != said.reporter:
        found.append(Found(fault=Fault.REGISTER_OTHER, detail="the draw is from another register or reporter"))
    if drawn.drawn_at < said.handed_at:
        found.append(Found(fault=Fault.DRAW_BEFORE, detail="it was drawn before the register was handed over"))
    # (4)
    found += _time(drawn, known.answer_within_s)
    # (2)
    try:
        randomness = parse_randomness(subject_bytes(statements.drawn, "randomness", payload), where="randomness")
    except EvidenceError as fault:
        found.append(Found(fault=Fault.RANDOMNESS_UNREADABLE, detail=str(fault)))
        return Draw(faults=tuple(found))
    order, faults = _source(statements, randomness, known)
    found += faults
    if register is None or not len(register):
        return Draw(faults=tuple(found), selection=randomness.selection, order=order)
    # (3)
    of = units(register, drawn.unit)
    sample, faults = _sample(statements, randomness, register)
    found += faults or _as_drawn(drawn, len(of), sample)
    asked = None
    if not found and sample is not None:
        asked = Asked(drawn=drawn, digest=statements.drawn.digest, register=register, units=of, sample=sample)
    return Draw(faults=tuple(found), selection=randomness.selection, order=order, asked=asked)


def round_for(said: RegisterHanded, chain: Chain) -> int:
    """The one round that may draw from a register."""
    return chain.round_from(said.handed_at + timedelta(seconds=COMMIT_WITHIN_S))


def _time(drawn: CountDrawn, within_s: float | None) -> list[Found]:
    if within_s is None:
        return []
    given_s = (drawn.answer_by - drawn.drawn_at).total_seconds()
    if abs(given_s - within_s) <= _SPAN_TOLERANCE_S:
        return []
    fault = Fault.ANSWER_TOO_SOON if given_s < within_s else Fault.ANSWER_TOO_LATE
    return [Found(fault=fault, detail=f"{given_s:g} s to answer, where the agreement gives {within_s:g} s")]


def _sample(
    statements: Statements, randomness: Randomness[Selection], register: Register
) -> tuple[Sample | None, list[Found]]:
    drawn, selection = statements.drawn.predicate, randomness.selection
    assert isinstance(drawn, CountDrawn)
    if selection.unit is not drawn.unit:
        detail = f"{selection.unit.value}s were promised, and {drawn.unit.value}s are drawn"
        return None, [Found(fault=Fault.SELECTION_OTHER, detail=detail)]
    if isinstance(selection.rule, OfSites) and (odd := set(selection.rule.units) ^ set(register.column("site").names)):
        detail = f"selection and register differ in the sites {', '.join(sorted(odd)[:4])}"
        return None, [Found(fault=Fault.SELECTION_OTHER, detail=detail)]
    return draw(selection, seed_of(randomness, statements.register.digest), register), []


def _as_drawn(drawn: CountDrawn, count: int, sample: Sample | None) -> list[Found]:
    assert sample is not None
    if drawn.drawn[-1] >= count:
        detail = f"unit {drawn.drawn[-1]} is drawn from a register of {count}"
        return [Found(fault=Fault.BEYOND_REGISTER, detail=detail, unit=drawn.drawn[-1])]
    expected, named = set(sample.units), set(drawn.drawn)
    missing, added = sorted(expected - named), sorted(named - expected)
    if not missing and not added:
        return []
    detail = f"{len(missing)} units that the randomness gives are missing, {len(added)} were added"
    return [Found(fault=Fault.NOT_AS_DRAWN, detail=detail, unit=(added or missing)[0])]


def _source(
    statements: Statements, randomness: Randomness[Selection], known: Believed
) -> tuple[Order | None, list[Found]]:
    said, drawn = statements.register.predicate, statements.drawn.predicate
    assert isinstance(said, RegisterHanded)
    assert isinstance(drawn, CountDrawn)
    fixed = Fixed(
        statement=statements.register, noun="register", promise=said.promise, by=said.handed_at,
        round_in=partial(round_for, said),
    )  # fmt: skip
    believed = Known(chains=known.chains, logged=known.logged)
    order, faults = fixed_before(randomness.source, fixed, drawn, statements.promise, believed)
    return order, [Found(fault=Fault(kind.value), detail=detail) for kind, detail in faults]
