"""`chip-register`: one assessment for all pods. Whether the party's own words on its chips fit together, in time.

1. Every pod needs a declared keeper, and every keeper a chain of registers. All statements of each are judged by double entry
   (`register.judge`): a register must be the one before with all stated changes, serial by serial, as of the end of the period.
2. A table that cannot be read, a forked, forged or restarted chain: invalid evidence. A register that is missing, late or not
   there: not observed. None of it is ever fine, and none of it is a breach.
3. Whatever else does not fit leaves the clause open, and its reason names the step that would mend it: chips that appeared,
   vanished, stand in two places or elsewhere, departures that were not approved, arrivals that are overdue. Lists of so many
   serials have slips; so have keepers. Nobody has stated how many, and so there is no e-value.
4. Against the party is only what no slip of a list explains, by its own signed word: a transfer of which chips left before the time
   of its own notice, or although an inspector had refused. Every transfer of which chips left is one trial (`contrary_log_e`).
   That no approval is in the evidence is no such word: it may have been left out.
5. The register is held against the declaration, by pod and model: more chips than declared, chips of another model, or chips in a
   place that is not declared, leave the clause open. Fewer are named, and what is missing of the declared capacity may be elsewhere
   (`counted`).
6. *Consistent*: all of it fits. It says nothing of whether chips stand where the register has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspectorate.agreement import ChipRegister
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind
from inspectorate.evidence import ChipsMoved, Passage
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.common import (
    NEVER_REGISTERED,
    Said,
    With,
    assess,
    books_of,
    contrary_assumption,
    contrary_log_e,
    declared_chips,
    spoken_of,
)
from inspectorate.mechanisms.custody.observe import CHANGES
from inspectorate.mechanisms.custody.register import Register
from inspectorate.mechanisms.custody.register.faults import Fault, Found
from inspectorate.mechanisms.custody.register.judge import Judged, Terms, judge
from inspectorate.mechanisms.custody.register.reading import Books

INVALID = frozenset(
    {
        Fault.REGISTER_UNREAD, Fault.WIRING_UNREAD, Fault.CHANGE_UNREAD, Fault.COUNT_OTHER, Fault.CHAIN_FORKED, Fault.CHAIN_OTHER,
        Fault.CHAIN_RESTARTED, Fault.CERTIFICATE_OWN,
    }
)  # fmt: skip
UNSEEN = frozenset({Fault.CHAIN_GAP, Fault.FIRST_LATE, Fault.UPDATE_LATE})
CONTRARY = frozenset({Fault.LEFT_EARLY, Fault.LEFT_REFUSED})
"""What the party's own word says against the clause. Every other fault leaves it open."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """One keeper's books, judged."""

    keeper: str
    books: Books
    judged: Judged | None
    """None: nothing was stated of it."""

    @property
    def found(self) -> tuple[Found, ...]:
        return self.judged.found if self.judged is not None else ()

    @property
    def ids(self) -> tuple[str, ...]:
        books = self.books
        return (
            *(one.digest for one in books.handed),
            *(one.digest for one in books.changes),
            *(one.digest for one in books.decisions),
        )


def appraise_register(case: Case, clause: ChipRegister) -> tuple[Assessment, ...]:
    kept = [_judge(case, clause, keeper, books) for keeper, books in books_of(case).items()]
    departures = [told for one in kept for told in _departures(one)]
    said = Said(
        invalid=[text for one in kept for text in _texts(one, INVALID)],
        unseen=(*_unseen(case, kept), *(text for one in kept for text in _texts(one, UNSEEN))),
        doubts=[text for one in kept for text in (*_doubts(one), *_against_declaration(case, one))],
        kept=[_reason(one) for one in kept if one.judged is not None],
    )
    stated = any(one.ids for one in kept)
    return assess(
        case,
        said,
        With(
            log_e=contrary_log_e(departures) if departures else None,
            assumptions=(contrary_assumption("chips left before their time, or although an inspector had refused"),)
            if departures
            else (),
            evidence_ids=[digest for one in kept for digest in one.ids],
            exhibits=(_exhibit(kept),) if any(one.judged is not None for one in kept) else (),
            not_checked=(
                NEVER_REGISTERED,
                *(("whether chips stand where the register has them: counts bear on that",) if stated else ()),
                *(text for one in kept for text in _fewer(case, one)),
            ),
            unheard=spoken_of(case).unheard(*CHANGES),
        ),
    )


def _judge(case: Case, clause: ChipRegister, keeper: str, books: Books) -> _Kept:
    terms = Terms(clause=clause, holds_from=case.clause.holds_from, as_of=case.period.end)
    stated = bool(books.handed or books.changes)
    return _Kept(keeper=keeper, books=books, judged=judge(books, terms) if stated else None)


def _texts(one: _Kept, faults: frozenset[Fault]) -> Iterator[str]:
    for found in one.found:
        if found.fault in faults:
            yield f"{one.keeper}: {found}; next: {found.mended_by}"


def _doubts(one: _Kept) -> Iterator[str]:
    """Contrary words first: they are what an alarm is about."""
    yield from _texts(one, CONTRARY)
    yield from _texts(one, frozenset(Fault) - CONTRARY - INVALID - UNSEEN)


def _unseen(case: Case, kept: Sequence[_Kept]) -> Iterator[str]:
    keepers = spoken_of(case).keepers
    if not keepers:
        yield "nobody is declared to keep a register"
        return
    bare = sorted({pod.id for pod in case.declaration.pods} - {pod for one in keepers for pod in one.pods})
    if bare:
        yield f"nobody keeps a register of {', '.join(bare[:8])}"
    for one in kept:
        if not one.books.handed:
            yield f"{one.keeper}: no register was handed over"


def _departures(one: _Kept) -> list[bool]:
    """Of every transfer of which chips left, in order of its notice: whether the party's own word is against the clause."""
    if one.judged is None:
        return []
    wrong = {digest for found in one.found if found.fault in CONTRARY for digest in found.statements}
    left = {
        said.transfer: change.digest
        for change in sorted(one.books.changes, key=lambda each: each.digest)
        if isinstance(said := change.said, ChipsMoved) and said.passage is Passage.LEFT
    }
    return [notice in wrong or moved in wrong for notice, moved in sorted(left.items())]


def _against_declaration(case: Case, one: _Kept) -> Iterator[str]:
    """More chips than declared, or chips where nothing is declared, in any register."""
    if one.judged is None:
        return
    declared = declared_chips(case)
    told: set[tuple[str, ...]] = set()
    for handed in one.judged.registers:
        assert handed.register is not None
        for (site, pod, model), count in registered_chips(handed.register).items():
            due = declared.get((site, pod, model), 0)
            if count > due and (site, pod, model) not in told:
                told.add((site, pod, model))
                yield (
                    f"{one.keeper}: register {handed.said.sequence} has {count} {model} in {pod} at {site}, and {due} are declared"
                )


def _fewer(case: Case, one: _Kept) -> Iterator[str]:
    if one.judged is None or one.judged.latest is None or one.judged.latest.register is None:
        return
    registered = registered_chips(one.judged.latest.register)
    keeper = next(each for each in spoken_of(case).keepers if each.id == one.keeper)
    short = sum(
        max(0, due - registered.get((site, pod, model), 0))
        for (site, pod, model), due in declared_chips(case).items()
        if pod in keeper.pods
    )
    if short:
        yield f"{one.keeper}: the last register has {short} chips fewer than are declared: where those are"


def registered_chips(register: Register) -> dict[tuple[str, str, str], int]:
    """Chips by site, pod and model."""
    return {(site, pod, model): count for (site, pod, model), count in register.counts("site", "pod", "model").items()}


def _reason(one: _Kept) -> str:
    judged = one.judged
    assert judged is not None
    chips = len(judged.latest.register) if judged.latest is not None and judged.latest.register is not None else 0
    under_way = sum(each.chips for each in judged.under_way)
    return (
        f"{one.keeper}: {len(judged.registers)} registers and {len(one.books.changes)} stated changes fit together; the last"
        f" register has {chips} chips, and {under_way} are under way"
    )


def _exhibit(kept: Sequence[_Kept]) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.keeper,
            float(balance.sequence),
            f"{balance.as_of:%Y-%m-%d %H:%M:%S}",
            *(float(count) for count in (balance.opening, balance.acquired, balance.destroyed, balance.away)),
            float(balance.under_way),
            float(balance.closing),
            float(balance.unexplained) if balance.compared else None,
        )
        for one in kept
        if one.judged is not None
        for balance in one.judged.balances
    ]
    return Exhibit(
        id="chip-balances",
        title="Chips from one register to the next",
        kind=ExhibitKind.TABLE,
        columns=(
            "register",
            "number",
            "as of",
            "before",
            "acquired",
            "destroyed",
            "away",
            "under way",
            "after",
            "unexplained",
        ),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
