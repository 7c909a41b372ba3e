"""The verifier's statements: promise, draw, held. The register is the prover's, made by `register`.

An act checks all that the other side has sent before it makes anything. Time and randomness come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import DRAWN_MAX, CountDrawn, CountHeld, RegisterHanded
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.mechanisms.custody.counting.checklist import Checklist
from inspectorate.mechanisms.custody.counting.draw import draw
from inspectorate.mechanisms.custody.counting.faults import Found
from inspectorate.mechanisms.custody.counting.held import numbers_of
from inspectorate.mechanisms.custody.counting.judge import Asked, check_register
from inspectorate.mechanisms.custody.counting.selection import OfSites, Selection
from inspectorate.quantities import Period


def make_promise(selection: Selection, secret: bytes, who: Who, *, reporter: str) -> tuple[Promise[Selection], Act]:
    """The verifier's first act. The promise stays with the verifier until it draws."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    promise = Promise[Selection](secret=secret.hex(), selection=selection)
    predicate = RandomnessPromised(origin=who.origin, by=who.name, reporter=reporter, promised_at=who.at)
    return promise, Act(predicate=predicate, subjects={"secret": promise.digest})


def revealed(promise: Promise[Selection]) -> Randomness[Selection]:
    """The randomness of a draw by commit and reveal."""
    return Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promise))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """By what to draw, and how long there is to answer."""

    randomness: Randomness[Selection]
    answer_within: timedelta
    promise: str | None = None


def make_draw(register: VerifiedStatement, by: Drawing, who: Who, *, payload: Callable[[str], bytes]) -> Act:
    """The verifier's second act. Raises `EvidenceError` where the register cannot be drawn from."""
    said = register.predicate
    assert isinstance(said, RegisterHanded)
    where = f"register {said.chain} {said.sequence}"
    table, found = check_register(register, payload=payload)
    if found or table is None:
        raise refusal("the register cannot be drawn from", found, where=where)
    rule = by.randomness.selection.rule
    if isinstance(rule, OfSites) and (odd := set(rule.units) ^ set(table.column("site").names)):
        raise EvidenceError(f"selection and register differ in the sites {', '.join(sorted(odd)[:4])}", where=where)
    sample = draw(by.randomness.selection, seed_of(by.randomness, register.digest), table)
    if not 1 <= len(sample.units) <= DRAWN_MAX:
        raise EvidenceError(f"{len(sample.units)} units would be drawn, of 1 to {DRAWN_MAX}", where=where)
    data = by.randomness.canonical_bytes()
    predicate = CountDrawn(
        origin=who.origin, by=who.name, reporter=said.reporter, handed=register.digest, promise=by.promise,
        unit=by.randomness.selection.unit, drawn=sample.units, drawn_at=who.at, answer_by=who.at + by.answer_within,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"randomness": digest_of(data)}, payloads=(data,))


def make_held(asked: Asked, checklist: Checklist, who: Who, *, period: Period) -> Act:
    """The verifier's third act: what was read, and the numbers that follow. Raises `InputError` on a list of another draw, with a
    unit that was not drawn, or with a time outside of the period."""
    if checklist.drawn != asked.digest:
        raise InputError("the checklist is of another draw", where="checklist")
    stray = sorted({one.unit for one in checklist.units} - set(asked.sample.units))
    if stray:
        raise InputError(f"unit {stray[0]} was not drawn", where="checklist", remedy="leave it out of this count")
    outside = [one.unit for one in checklist.units if not period.start <= one.at <= period.end]
    if outside:
        raise InputError(f"unit {outside[0]} was read outside of {period}", where="checklist")
    if period.start < asked.drawn.drawn_at:
        raise InputError("the count would begin before its draw", where=str(period))
    data = checklist.canonical_bytes()
    predicate = CountHeld(
        origin=who.origin, by=who.name, drawn=asked.digest, period=period, **asdict(numbers_of(asked, checklist))
    )
    return Act(predicate=predicate, subjects={"checklist": digest_of(data)}, payloads=(data,))


def refusal(what: str, found: Sequence[Found], *, where: str) -> EvidenceError:
    """Why the other side's statements cannot be used."""
    return EvidenceError(f"{what}: {'; '.join(str(one) for one in found[:4])}", where=where)
