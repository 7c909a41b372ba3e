"""The judge of an account at review: everything is made again from its facts, and held against what the statement says.

`check_account` never raises on what a payload holds; what is wrong comes back as data. No problem and no contradiction means that
the account is what its facts give. Whether the facts are so is for the evidence behind them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from inspectorate.agreement import AccountedFlop, Agreement
from inspectorate.canonical import digest_of, parse_canonical
from inspectorate.declaration import ChipGroup, Declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import FlopAccounted, Origin
from inspectorate.evidence.statement import Statement, make_statement
from inspectorate.mechanisms.inspection.flop.account import FlopAccount, make_account
from inspectorate.mechanisms.inspection.flop.facts import Terms
from inspectorate.mechanisms.inspection.flop.reference import ACCOUNT_BYTES_MAX
from inspectorate.mechanisms.inspection.flop.signs import CONTRADICTING

SUBJECT = "account"
NEAR = 1e-9
"""Relative: figures that were made again may differ by this, between processors."""


class ProblemKind(StrEnum):
    """What may be wrong with an account."""

    MALFORMED = "malformed"
    STATEMENT_DIFFERS = "statement-differs"
    """The predicate does not say what the payload holds."""
    NOT_AS_COMPUTED = "not-as-computed"
    WRONG_TERMS = "wrong-terms"
    UNKNOWN_CLAIM = "unknown-claim"
    WRONG_CHIPS = "wrong-chips"
    OUTSIDE_CLAIM = "outside-claim"
    CONTRADICTION = "contradiction"
    QUESTION = "question"
    TOO_FEW_SOURCES = "too-few-sources"


@dataclass(frozen=True, kw_only=True)
class AccountProblem:
    """One problem. `invalid`: the account cannot be used; `against`: it speaks against the party; else: too little is known."""

    kind: ProblemKind
    text: str

    @property
    def invalid(self) -> bool:
        return self.kind in _INVALID

    @property
    def against(self) -> bool:
        return self.kind is ProblemKind.CONTRADICTION


_INVALID = frozenset(
    {
        ProblemKind.MALFORMED, ProblemKind.STATEMENT_DIFFERS, ProblemKind.NOT_AS_COMPUTED, ProblemKind.WRONG_TERMS,
        ProblemKind.UNKNOWN_CLAIM, ProblemKind.WRONG_CHIPS, ProblemKind.OUTSIDE_CLAIM,
    }
)  # fmt: skip


def parse_account(data: bytes, *, where: str) -> FlopAccount:
    """Read an account. Raises `EvidenceError`."""
    if len(data) > ACCOUNT_BYTES_MAX:
        raise EvidenceError(f"an account of {len(data)} bytes exceeds {ACCOUNT_BYTES_MAX}", where=where)
    return FlopAccount.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def account_statement(
    account: FlopAccount, *, by: str, origin: Origin, accounted_at: datetime
) -> tuple[Statement, bytes]:
    """The statement of an account, to be signed, and its payload."""
    payload = account.canonical_bytes()
    return make_statement(_predicate(account, by, origin, accounted_at), {SUBJECT: digest_of(payload)}), payload


def _predicate(account: FlopAccount, by: str, origin: Origin, accounted_at: datetime) -> FlopAccounted:
    return FlopAccounted(
        origin=origin,
        by=by,
        claim=account.claim,
        run=account.run,
        period=account.facts.period,
        flop_min=account.flop_min,
        flop_max=account.flop_max,
        sources=tuple(one.id for one in account.sources),
        accounted_at=accounted_at,
    )


def check_account(
    predicate: FlopAccounted, payload: bytes, *, agreement: Agreement, clause: AccountedFlop, declaration: Declaration
) -> tuple[AccountProblem, ...]:
    """All that is wrong with an account, or that speaks against the party. Empty: it is in order and its sources agree."""
    try:
        account = parse_account(payload, where=f"account of {predicate.run}")
    except EvidenceError as fault:
        return (AccountProblem(kind=ProblemKind.MALFORMED, text=str(fault)),)
    terms = Terms.of(agreement, disagreement_share_max=clause.disagreement_share_max, sources_min=clause.sources_min)
    found = _statement(predicate, account) + _terms(account, terms) + _claim(account, declaration)
    try:
        again = make_account(account.claim, account.run, account.facts, terms)
    except InputError as fault:
        return (*found, AccountProblem(kind=ProblemKind.MALFORMED, text=str(fault)))
    if not found and not _same(again.model_dump(mode="json"), account.model_dump(mode="json")):
        found.append(
            AccountProblem(kind=ProblemKind.NOT_AS_COMPUTED, text="its facts give other sources, or another range")
        )
    if found:
        return tuple(found)
    return tuple(_substance(again, terms))


def _substance(account: FlopAccount, terms: Terms) -> list[AccountProblem]:
    found = [
        AccountProblem(
            kind=ProblemKind.QUESTION if one.question else ProblemKind.CONTRADICTION,
            text=f"{one.more} is above {one.less}"
            + (f" by a factor {one.factor:.3g}" if one.factor is not None else "")
            + f": {', '.join(reason.value for reason in one.reasons)}",
        )
        for one in account.joined.differences
    ]
    found += [
        AccountProblem(
            kind=ProblemKind.CONTRADICTION if sign.kind in CONTRADICTING else ProblemKind.QUESTION, text=sign.text
        )
        for sign in account.signs
    ]
    if account.joined.independent < terms.sources_min:
        found.append(
            AccountProblem(
                kind=ProblemKind.TOO_FEW_SOURCES,
                text=f"{account.joined.independent} independent sources, and {terms.sources_min} were agreed",
            )
        )
    return found


def _statement(predicate: FlopAccounted, account: FlopAccount) -> list[AccountProblem]:
    said = predicate.model_dump(mode="json")
    held = _predicate(account, predicate.by, predicate.origin, predicate.accounted_at).model_dump(mode="json")
    wrong = sorted(name for name in said if not _same(said[name], held[name]))
    if not wrong:
        return []
    return [AccountProblem(kind=ProblemKind.STATEMENT_DIFFERS, text=f"the payload has another {', '.join(wrong)}")]


def _terms(account: FlopAccount, terms: Terms) -> list[AccountProblem]:
    wrong = [
        name
        for name, held, agreed in (
            ("counted_formats", account.counted_formats, terms.counted_formats),
            ("utilisation_max", account.utilisation_max, terms.utilisation_max),
            ("disagreement_share_max", account.disagreement_share_max, terms.disagreement_share_max),
        )
        if held != agreed
    ]
    if not wrong:
        return []
    return [AccountProblem(kind=ProblemKind.WRONG_TERMS, text=f"the agreement has another {', '.join(wrong)}")]


def _claim(account: FlopAccount, declaration: Declaration) -> list[AccountProblem]:
    claim = next((one for one in declaration.claims if one.id == account.claim), None)
    if claim is None:
        return [AccountProblem(kind=ProblemKind.UNKNOWN_CLAIM, text=f"the declaration has no claim {account.claim}")]
    found = []
    if set(account.facts.pods) - set(claim.pods) or not claim.period.covers(account.facts.period):
        found.append(AccountProblem(kind=ProblemKind.OUTSIDE_CLAIM, text="pods or period are not those of the claim"))
    if _counted(account.facts.chips) != chips_of(declaration, account.facts.pods):
        found.append(AccountProblem(kind=ProblemKind.WRONG_CHIPS, text="the declared pods have other chips"))
    return found


def chips_of(declaration: Declaration, pods: tuple[str, ...]) -> dict[str, int]:
    """Chips of some declared pods, by model."""
    found: Counter[str] = Counter()
    for pod in declaration.pods:
        if pod.id in pods:
            for group in pod.chips:
                found[group.model] += group.count
    return dict(found)


def _counted(chips: tuple[ChipGroup, ...]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for group in chips:
        found[group.model] += group.count
    return dict(found)


def _same(one: object, other: object) -> bool:
    """Equal, numbers within a last few bits."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) <= NEAR * max(abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and one == other
