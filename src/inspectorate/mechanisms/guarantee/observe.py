"""What one guarantee processor stated, put in order, and all that is wrong with it.

    1. each report taken apart: its checkpoint says what its statement says, and the key that signs is the one in it
    2. each quote verified against the reviewer's platforms: over this checkpoint, this key, this challenge
    3. the chain: one checkpoint for each number, each naming the one before, periods that follow one another, and counts of starts,
       versions of rulesets and clocks of the TPM that never fall
    4. challenges: which nonce was asked when, and which report answers it

Rules:

- A fault makes a report invalid evidence, with the reason. A report that is not there is a hole, never a fault.
- Both reports of a fork are faulty: nobody can say which is true.
- Where a count falls that can only rise, or a halt ends without an order (`fell`), the report is authentic and speaks against its
  own processor.
- Pure. Evidence comes in as verified statements, roots of platforms from the reviewer's anchors.

Not done here: whether the program and the ruleset are the agreed ones (`appraise`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from inspectorate.errors import EvidenceError
from inspectorate.evidence import (
    ChallengeIssued,
    GuardReported,
    KeyCustody,
    LicenceApplied,
    RulesetInForce,
    VerifiedStatement,
)
from inspectorate.evidence.predicate import Report
from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.reference import BUILD
from inspectorate.mechanisms.guarantee.attestation.verify import VerifiedQuote, VerifiedTpmQuote, verify_quote
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.interlock.sampling import follows
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.codec import decode
from inspectorate.mechanisms.guarantee.outlet.opening import CHECKPOINT_NAME, QUOTE_NAME
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Said:
    """One report of a processor."""

    digest: str
    """Of its envelope."""
    period: Period
    sequence: int
    custody: KeyCustody
    sizes: tuple[int, ...]
    """Bytes of its payloads, in order of their names."""
    checkpoint_digest: str = ""
    checkpoint: Checkpoint | None = None
    quote: VerifiedQuote | None = None
    faults: tuple[str, ...] = ()
    """Why it is invalid evidence."""
    fell: tuple[str, ...] = ()
    """Counts that can only rise and are lower than in a report before; a halt that ended by itself."""
    unsaid_s: float = 0.0
    """Time that passed by the TPM's clock since the report before and that neither of the two accounts for."""
    undrawn: bool = False
    """Whether its draw of requests is not the one to which the report before committed."""

    @property
    def name(self) -> str:
        return f"report {self.sequence} ({self.period.start:%H:%M:%S}–{self.period.end:%H:%M:%S} UTC)"

    @property
    def usable(self) -> bool:
        return self.checkpoint is not None and not self.faults

    @property
    def builds(self) -> frozenset[str]:
        """The program that it names, and all that were measured since the machine started."""
        measured = self.quote.digests(BUILD) if self.quote is not None else frozenset()
        return frozenset({self.kept.build}) | measured

    @property
    def kept(self) -> Checkpoint:
        """The checkpoint of a usable report."""
        assert self.checkpoint is not None, "only usable reports are asked"
        return self.checkpoint


@dataclass(frozen=True, kw_only=True)
class Filed:
    """A signed document that a processor made known, and when."""

    digest: str
    """Of the envelope of the statement."""
    said: Report
    payload: bytes


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A challenge, and the first report that carries it; none if no report does."""

    digest: str
    nonce: str
    by: str
    at: datetime
    answered: Said | None


@dataclass(frozen=True, kw_only=True)
class GuardSeen:
    """All that one processor stated, in order."""

    guard: str
    reports: tuple[Said, ...]
    """By number, then by digest."""
    missing: tuple[tuple[int, int], ...]
    """Numbers (first, last) that are not there between two that are."""
    rulesets: tuple[Filed, ...]
    licences: tuple[Filed, ...]
    others: tuple[str, ...]
    """Statements of the processor of any other kind, in words."""
    challenges: tuple[Asked, ...]

    @property
    def usable(self) -> tuple[Said, ...]:
        return tuple(one for one in self.reports if one.usable)

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(fault for one in self.reports for fault in one.faults)

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        filed = (*self.rulesets, *self.licences)
        return tuple(dict.fromkeys((*(one.digest for one in self.reports), *(one.digest for one in filed))))


def observe_guard(
    guard: str,
    statements: Iterable[VerifiedStatement],
    *,
    payload: Callable[[str], bytes],
    platforms: Sequence[PlatformAnchor],
    within: Period,
) -> GuardSeen:
    """Put in order what one processor stated: reports of the time `within`, rulesets and licences of any time before its end."""
    reports: list[Said] = []
    rulesets, licences, others, asked = list[Filed](), list[Filed](), list[str](), list[VerifiedStatement]()
    for statement in statements:
        predicate = statement.predicate
        if isinstance(predicate, ChallengeIssued):
            if predicate.reporter == guard:
                asked.append(statement)
        elif not isinstance(predicate, Report) or predicate.reporter != guard or predicate.period.start >= within.end:
            continue
        elif isinstance(predicate, GuardReported):
            # (1), (2)
            if predicate.period.overlaps(within):
                reports.append(_quoted(_decoded(statement, predicate, payload), payload, statement, platforms))
        elif isinstance(predicate, RulesetInForce | LicenceApplied) and len(statement.statement.subject) == 1:
            content = payload(statement.statement.subject[0].digest_text)
            filed = Filed(digest=statement.digest, said=predicate, payload=content)
            (rulesets if isinstance(predicate, RulesetInForce) else licences).append(filed)
        else:
            others.append(f"{type(predicate).__name__} {statement.digest[:19]}… of {predicate.period}")
    # (3)
    ordered, missing = _in_order(reports)
    # (4)
    ordered = _answered_early(ordered, asked)
    return GuardSeen(
        guard=guard,
        reports=ordered,
        missing=missing,
        rulesets=_filed(rulesets),
        licences=_filed(licences),
        others=tuple(others),
        challenges=_challenges(asked, ordered),
    )


def _filed(documents: list[Filed]) -> tuple[Filed, ...]:
    """In order of time, each statement once."""
    once = {one.digest: one for one in documents}
    return tuple(sorted(once.values(), key=lambda one: (one.said.period.end, one.digest)))


def _decoded(statement: VerifiedStatement, said: GuardReported, payload: Callable[[str], bytes]) -> Said:
    """Step 1."""
    subjects = {subject.name: subject.digest_text for subject in statement.statement.subject}
    data = {name: payload(digest) for name, digest in sorted(subjects.items())}
    made = Said(
        digest=statement.digest,
        period=said.period,
        sequence=said.sequence,
        custody=said.custody,
        sizes=tuple(map(len, data.values())),
    )
    named = [subject.name for subject in statement.statement.subject]
    if len(set(named)) != len(named) or set(named) - {CHECKPOINT_NAME, QUOTE_NAME} or CHECKPOINT_NAME not in named:
        return _faulty(made, "speaks of other payloads than a checkpoint and a quote")
    try:
        checkpoint = decode(data[CHECKPOINT_NAME], where=f"{made.name} of {said.reporter}")
    except EvidenceError as fault:
        return _faulty(made, f"has no checkpoint: {fault.problem}")
    made = replace(made, checkpoint=checkpoint, checkpoint_digest=subjects[CHECKPOINT_NAME])
    for what, stated, held in (
        ("processor", said.reporter, checkpoint.reporter),
        ("number", said.sequence, checkpoint.sequence),
        ("period", said.period, checkpoint.period),
    ):
        if stated != held:
            made = _faulty(made, f"states another {what} ({stated}) than its checkpoint ({held})")
    if checkpoint.statement_key not in {anchor.key.key_id for anchor in statement.anchors}:
        made = _faulty(made, "is signed by another key than its checkpoint names")
    return made


def _quoted(
    said: Said, payload: Callable[[str], bytes], statement: VerifiedStatement, platforms: Sequence[PlatformAnchor]
) -> Said:
    """Step 2."""
    if said.checkpoint is None:
        return said
    quoted = next((s.digest_text for s in statement.statement.subject if s.name == QUOTE_NAME), None)
    if quoted is None:
        return _faulty(said, "has no quote") if said.custody is KeyCustody.TPM else said
    checkpoint = said.checkpoint
    try:
        quote = verify_quote(
            QuotePayload.decode(payload(quoted), where=said.name),
            checkpoint=said.checkpoint_digest,
            statement_key=checkpoint.statement_key,
            challenge=checkpoint.challenge,
            platforms=platforms,
            at=said.period.end,
        )
    except EvidenceError as fault:
        return _faulty(said, f"its quote does not hold: {fault.problem}")
    if quote.custody is not said.custody:
        said = _faulty(said, f"says that its key is held in {said.custody.value}, and its quote {quote.custody.value}")
    if quote.device_id != checkpoint.device:
        said = _faulty(said, "its quote is of another device than its checkpoint")
    measured = quote.digests(BUILD)
    if checkpoint.build not in measured and (measured or said.custody is KeyCustody.TPM):
        said = _faulty(said, "names another program than was measured")
    return replace(said, quote=quote)


def _in_order(reports: list[Said]) -> tuple[tuple[Said, ...], tuple[tuple[int, int], ...]]:
    """Step 3."""
    if len(reports) > reference.REPORTS_MAX:
        reports = [_faulty(one, f"is one of more than {reference.REPORTS_MAX} reports") for one in reports]
    by_number: dict[int, list[Said]] = defaultdict(list)
    for one in sorted(reports, key=lambda one: (one.sequence, one.digest)):
        by_number[one.sequence].append(one)
    singled = [said for alike in by_number.values() for said in _single(alike)]
    missing = tuple((a + 1, b - 1) for a, b in pairwise(sorted(by_number)) if b > a + 1)
    return tuple(_chained(_unquoted_twice(singled))), missing


def _single(alike: list[Said]) -> list[Said]:
    """Reports of one number: the first, and what is wrong if there are more."""
    if len(alike) == 1:
        return alike
    if len({one.checkpoint_digest for one in alike}) == 1:
        return [_faulty(one, "is stated more than once") for one in alike]
    return [
        _faulty(one, f"is one of {len(alike)} different reports of one number: the chain is forked") for one in alike
    ]


def _unquoted_twice(reports: list[Said]) -> list[Said]:
    """A device's word stands under one report only."""
    found: list[Said] = []
    seen: dict[bytes, str] = {}
    for one in reports:
        if one.quote is not None and one.quote.signature in seen:
            one = _faulty(one, f"its quote is that of {seen[one.quote.signature]}")
        elif one.quote is not None:
            seen[one.quote.signature] = one.name
        found.append(one)
    return found


def _chained(reports: list[Said]) -> list[Said]:
    """Each report against the nearest usable one before it, and against the highest counts of all before."""
    found: list[Said] = []
    before: Said | None = None
    starts = version = 0
    for one in reports:
        if one.checkpoint is not None and one.checkpoint.sequence == 0 and one.checkpoint.previous is not None:
            one = _faulty(one, "is the first of all, and names one before it")
        if before is not None and one.checkpoint is not None:
            one = _compared(before, one)
        if one.usable:
            one = replace(one, fell=(*_fallen(one.kept, starts=starts, version=version), *_let_go(before, one)))
            before = one
            starts, version = max(starts, one.kept.starts), max(version, one.kept.ruleset_version)
        found.append(one)
    return found


def _fallen(checkpoint: Checkpoint, *, starts: int, version: int) -> tuple[str, ...]:
    """Counts that can only rise and did not."""
    counts = (
        ("the number of starts", starts, checkpoint.starts),
        ("the highest ruleset version", version, checkpoint.ruleset_version),
    )
    return tuple(f"{what} fell from {was} to {now}" for what, was, now in counts if now < was)


def _let_go(before: Said | None, one: Said) -> tuple[str, ...]:
    """A halt that ended although no order was followed: the state was exchanged for one that never halted."""
    if before is None or one.sequence != before.sequence + 1 or before.kept.mode is not Mode.HALTED:
        return ()
    if one.kept.mode is Mode.HALTED or one.kept.events.get(EventKind.RESUMED, 0):
        return ()
    return ("a halt ended, and no order to resume was followed",)


def _compared(before: Said, one: Said) -> Said:
    last, now = before.kept, one.checkpoint
    assert now is not None, "it was taken apart"
    if now.sequence == last.sequence + 1 and now.previous != before.checkpoint_digest:
        one = _faulty(one, f"names another report before it than {before.name}: the chain is forged")
    if now.period.start < last.period.end:
        one = _faulty(one, f"overlaps {before.name}")
    if now.device != last.device:
        one = _faulty(one, f"comes from another device than {before.name}")
    if one.quote is not None and before.quote is not None and not one.quote.follows(before.quote):
        one = _faulty(one, f"its quote is older than that of {before.name}")
    unsaid_s = _unsaid_s(before, one)
    next_to = now.sequence == last.sequence + 1 and now.starts == last.starts
    undrawn = next_to and not follows(bytes.fromhex(now.opened), bytes.fromhex(last.opened))
    return replace(one, undrawn=undrawn, unsaid_s=unsaid_s)


def _unsaid_s(before: Said, one: Said) -> float:
    """A host's clock that was put back by an hour makes that hour vanish from the reports, and not from the TPM's clock."""
    if not isinstance(before.quote, VerifiedTpmQuote) or not isinstance(one.quote, VerifiedTpmQuote):
        return 0.0
    passed_s = (one.quote.clock.clock_ms - before.quote.clock.clock_ms) / 1000
    told_s = (one.period.end - before.period.end).total_seconds()
    over_s = passed_s - told_s
    return over_s if over_s > reference.TPM_CLOCK_SHARE * told_s + reference.TPM_CLOCK_SLACK_S else 0.0


def _answered_early(reports: Sequence[Said], asked: list[VerifiedStatement]) -> tuple[Said, ...]:
    """Step 4: whoever answers before the question was asked states wrong times."""
    issued = {said.nonce: said.issued_at for one in asked if isinstance(said := one.predicate, ChallengeIssued)}
    slack = timedelta(seconds=reference.CLOCK_SLACK_S)
    return tuple(
        _faulty(one, "answers a challenge that was issued after it: its times are wrong")
        if one.checkpoint is not None
        and (at := issued.get(one.checkpoint.challenge or "")) is not None
        and one.period.end + slack < at
        else one
        for one in reports
    )


def _challenges(asked: list[VerifiedStatement], reports: Sequence[Said]) -> tuple[Asked, ...]:
    """Step 4: the first report with a nonce answers it."""
    carried: dict[str, Said] = {}
    for one in reports:
        if one.usable and one.kept.challenge is not None:
            carried.setdefault(one.kept.challenge, one)
    found = [
        Asked(digest=one.digest, nonce=said.nonce, by=said.by, at=said.issued_at, answered=carried.get(said.nonce))
        for one in asked
        if isinstance(said := one.predicate, ChallengeIssued)
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.digest)))


def _faulty(said: Said, why: str) -> Said:
    return replace(said, faults=(*said.faults, f"{said.name} {why}"))
