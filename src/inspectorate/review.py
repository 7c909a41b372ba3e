"""The one pass: an agreement, a bundle and the reviewer's trust anchors in; findings and the largest hidden run out.

    1. the agreement as it stood on the day of the review
    2. the bundle: every byte as its signed manifest says
    3. the statements: signed by keys that the reviewer trusts, for what they say
    4. the ledger: every statement is in it, under one checkpoint, and nothing that is in it was left out
    5. the declaration: exactly one, of a party to the agreement
    6. the evidence: streams in order, and everything that is wrong with the rest
    7. the mechanisms: clause by clause, from an explicit registry
    8. the account: how much could be hidden
    9. the findings

The pass is pure. Files, keys, and the reading of the clock come in as arguments; nothing is fetched and nothing written.
A refusal (`RejectedEvidence`) is not a finding: no verdict comes out of a bundle that was tampered with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from pydantic import Field

from inspectorate.account import Account, take_account
from inspectorate.agreement import Agreement, ClauseKind
from inspectorate.assessment import Assessment, Case, Mechanism, MechanismTable, Verdict
from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.declaration import Declaration, parse_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    INCOMPLETE,
    INVALIDATING,
    Bundle,
    DeclarationMade,
    Evidence,
    Problem,
    ProblemKind,
    RejectedEvidence,
    StreamSegment,
    VerifiedStatement,
    read_statements,
    receive,
)
from inspectorate.findings import Finding, fuse
from inspectorate.keys import TrustAnchors
from inspectorate.ledger import Continuation, ProofVerifier, VerifiedInclusion, proof_origin
from inspectorate.mechanisms.custody.appraise import CUSTODY
from inspectorate.mechanisms.guarantee.appraise import GUARANTEE
from inspectorate.mechanisms.inspection.appraise import INSPECTION
from inspectorate.mechanisms.interconnect.appraise import INTERCONNECT
from inspectorate.mechanisms.interviews.appraise import INTERVIEWS
from inspectorate.mechanisms.whistleblowing.appraise import WHISTLEBLOWING
from inspectorate.mechanisms.workloads.appraise import WORKLOADS
from inspectorate.quantities import Period, Time

MECHANISMS: tuple[Mechanism, ...] = (
    INTERCONNECT,
    WORKLOADS,
    GUARANTEE,
    INSPECTION,
    WHISTLEBLOWING,
    INTERVIEWS,
    CUSTODY,
)
"""Every way of knowing that this program has."""

INTERVAL_S = 3600.0
"""Length of an interval of the account unless the reviewer says otherwise."""

EXIT_CODES = MappingProxyType(
    {
        Verdict.CONSISTENT: 0,
        Verdict.INCONCLUSIVE: 10,
        Verdict.NOT_OBSERVED: 10,
        Verdict.INCONSISTENT: 20,
        Verdict.INVALID_EVIDENCE: 30,
    }
)


class LedgerState(Record):
    """The log in which the statements stand."""

    origin: Text
    tree_size: int
    root: Text
    witnesses: tuple[Text, ...]
    elsewhere: int = Field(
        default=0, ge=0, description="entries that lie in earlier bundles alone, and speak of times before this period"
    )


class Review(Record):
    """What one review found. Its JSON form is published as docs/schemas/review.json."""

    agreement: Identifier
    agreement_version: int
    agreement_title: Text
    declaration: Identifier
    declaration_digest: Digest
    party: Identifier
    pods: tuple[Identifier, ...]
    period: Period
    as_of: Time
    with_proposed: bool = Field(description="whether proposed amendments were counted as adopted")
    simulated: bool = Field(description="whether any evidence came out of a simulated world")
    ledger: LedgerState | None
    statements: int = Field(description="how many statements were verified")
    problems: tuple[Problem, ...]
    findings: tuple[Finding, ...]
    account: Account
    not_checked: tuple[Text, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest of all: an alarm first, then invalid evidence, then what was not established."""
        found = {finding.verdict for finding in self.findings}
        if any(problem.kind in INVALIDATING for problem in self.problems):
            found.add(Verdict.INVALID_EVIDENCE)
        if any(problem.kind in INCOMPLETE for problem in self.problems):
            found.add(Verdict.NOT_OBSERVED)
        grave = (Verdict.INCONSISTENT, Verdict.INVALID_EVIDENCE, Verdict.NOT_OBSERVED, Verdict.INCONCLUSIVE)
        return next((verdict for verdict in grave if verdict in found), Verdict.CONSISTENT)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]


def review(
    bundle: Bundle,
    *,
    agreement: Agreement,
    anchors: TrustAnchors,
    as_of: datetime,
    interval_s: float = INTERVAL_S,
    with_proposed: bool = False,
    earlier: Collection[Bundle] = (),
) -> Review:
    """Review an opened bundle (step 2 is `Bundle.open`, which checks every byte).

    `earlier`: bundles of the same log. What they hold of streams before the period need not be in this one.
    Raises `InputError` where agreement or options cannot be used, `RejectedEvidence` where no verdict may be given.
    """
    # (1)
    try:
        terms = agreement.on(as_of, with_proposed=with_proposed)
    except ValueError as fault:
        raise InputError(str(fault), remedy="choose another date or agreement") from None
    # (3)
    statements, problems = read_statements(bundle, anchors=anchors)
    # (4)
    logged = _check_ledger(bundle, statements, anchors)
    # (5)
    declaration, digest = _find_declaration(bundle, statements, logged.not_logged, terms)
    ledger = logged.state
    ledger_problems: tuple[Problem, ...] = ()
    if ledger is not None:
        here = set(logged.places.values())
        excused = _excused(bundle, ledger, earlier, anchors, declaration.period.start) - here
        ledger = ledger.model_copy(update={"elsewhere": len(excused)})
        ledger_problems = _withheld(ledger, here | excused)
    # (6)
    evidence = receive(
        bundle,
        statements,
        not_logged=logged.not_logged,
        sensors=declaration.observers,
        period=declaration.period,
    )
    all_problems = (*problems, *ledger_problems, *evidence.problems)
    # (7)
    assessments = _appraise(terms, declaration, evidence, anchors)
    # (8)
    account = take_account(
        assessments,
        capacities={
            pod.id: pod.peak_flop_per_s(terms.counted_formats) * terms.utilisation.max for pod in declaration.pods
        },
        period=declaration.period,
        interval_s=interval_s,
        confidence=terms.assurance_confidence,
    )
    # (9)
    return Review(
        agreement=terms.id,
        agreement_version=terms.version,
        agreement_title=terms.title,
        declaration=declaration.id,
        declaration_digest=digest,
        party=declaration.party,
        pods=tuple(pod.id for pod in declaration.pods),
        period=declaration.period,
        as_of=as_of,
        with_proposed=with_proposed,
        simulated=evidence.simulated,
        ledger=ledger,
        statements=len(statements),
        problems=all_problems,
        findings=fuse(terms, assessments, account, as_of=as_of),
        account=account,
        not_checked=_not_checked(anchors, evidence, ledger),
    )


@dataclass(frozen=True, kw_only=True)
class _Logged:
    """Step 4: where the statements of a bundle stand in its log."""

    state: LedgerState | None
    """None: no statement is proved to stand in any."""
    places: Mapping[str, int]
    """Of statements by digest."""
    not_logged: Mapping[str, str]
    """Why other statements are not in it."""


def _check_ledger(bundle: Bundle, statements: Collection[VerifiedStatement], anchors: TrustAnchors) -> _Logged:
    """Step 4 for one bundle. Raises `RejectedEvidence` where its proofs contradict one another."""
    if not anchors.ledgers:
        return _Logged(state=None, places={}, not_logged={})
    verifiers = {ledger.origin: ProofVerifier(ledger) for ledger in anchors.ledgers}
    not_logged: dict[str, str] = {}
    proven: dict[str, VerifiedInclusion] = {}
    for statement in statements:
        proof = bundle.proof(statement.digest)
        if proof is None:
            not_logged[statement.digest] = "it came without a ledger proof"
            continue
        try:
            proven[statement.digest] = _verify_proof(proof, statement.digest, verifiers)
        except EvidenceError as fault:
            not_logged[statement.digest] = fault.problem
    states = {(p.origin, p.tree_size, p.root) for p in proven.values()}
    if len(states) > 1:
        raise RejectedEvidence(
            ProblemKind.FORKED,
            f"its ledger proofs lead to {len(states)} different checkpoints",
            remedy="ask for all proofs under one checkpoint",
        )
    state = None
    if proven:
        first = next(iter(proven.values()))
        state = LedgerState(
            origin=first.origin, tree_size=first.tree_size, root=first.root.hex(), witnesses=tuple(first.witnesses)
        )
    return _Logged(state=state, places={digest: p.index for digest, p in proven.items()}, not_logged=not_logged)


def _excused(
    bundle: Bundle, now: LedgerState, earlier: Collection[Bundle], anchors: TrustAnchors, begins: datetime
) -> frozenset[int]:
    """Entries that lie in earlier bundles of the same log, and that no review of a later time would use.

    Those are segments of streams and declarations of times before. All else is asked for again, since a seal that broke or a
    key that changed hands matters for as long as the log goes on. Raises `RejectedEvidence` where the log does not continue an
    earlier one, `InputError` where that cannot be told.
    """
    found: set[int] = set()
    for before in earlier:
        statements, _ = read_statements(before, anchors=anchors)
        logged = _check_ledger(before, statements, anchors)
        if logged.state is None:
            raise InputError("is in no log that the anchors name", where=before.files.where, remedy="leave it out")
        _check_continues(bundle, logged.state, now)
        for one in statements:
            if isinstance(one.predicate, StreamSegment | DeclarationMade) and one.predicate.period.end <= begins:
                found |= {logged.places[one.digest]} if one.digest in logged.places else set()
    return frozenset(found)


def _check_continues(bundle: Bundle, old: LedgerState, now: LedgerState) -> None:
    """Raises `RejectedEvidence` unless the log of a bundle is that of an earlier one, gone on."""
    remedy = f"ask for a bundle that was made with --since {old.tree_size}, of the same log"
    if old.origin != now.origin:
        problem = f"its statements stand in the log {now.origin}, and those of the earlier bundle in {old.origin}"
        raise RejectedEvidence(ProblemKind.FORKED, problem, remedy=remedy)
    data = bundle.continues(old.tree_size)
    if data is None:
        problem = f"holds no proof that its log continues the {old.tree_size} entries of the earlier bundle"
        raise RejectedEvidence(ProblemKind.MISSING, problem, remedy=remedy)
    where = f"continues/{old.tree_size}"
    try:
        proof = Continuation.parse(data, where=where)
        if proof.old_size != old.tree_size:
            raise EvidenceError(f"is of {proof.old_size} entries", where=where)
        proof.verify(bytes.fromhex(old.root), size=now.tree_size, root=bytes.fromhex(now.root), where=where)
    except EvidenceError as fault:
        problem = f"its log does not continue that of the earlier bundle: {fault.problem}"
        raise RejectedEvidence(ProblemKind.FORKED, problem, where=where) from None


def _verify_proof(proof: bytes, statement_digest: str, verifiers: Mapping[str, ProofVerifier]) -> VerifiedInclusion:
    """Verify one proof under the anchor of the log that it names. The entry is the statement's digest, raw."""
    where = f"proof of {statement_digest[:19]}…"
    origin = proof_origin(proof, where=where)
    if origin not in verifiers:
        raise EvidenceError(f"its proof leads to the log {origin!r}, which is no trust anchor", where=where)
    return verifiers[origin].verify(proof, bytes.fromhex(statement_digest.removeprefix("sha256:")), where=where)


def _withheld(state: LedgerState, seen: Collection[int]) -> tuple[Problem, ...]:
    missing = state.tree_size - len(seen)
    if not missing:
        return ()
    first = [index for index in range(min(state.tree_size, len(seen) + 10)) if index not in seen][:10]
    return (
        Problem(
            kind=ProblemKind.WITHHELD,
            subject=f"log {state.origin}",
            detail=f"{missing} of {state.tree_size} entries are not in the bundle, the first at {', '.join(map(str, first))}",
        ),
    )


def _find_declaration(
    bundle: Bundle, statements: Collection[VerifiedStatement], not_logged: Mapping[str, str], terms: Agreement
) -> tuple[Declaration, str]:
    """Step 5. Raises `RejectedEvidence` if there is not exactly one usable declaration of a party."""
    made = [s for s in statements if isinstance(s.predicate, DeclarationMade)]
    usable = [s for s in made if s.digest not in not_logged]
    if not usable:
        why = f": {not_logged[made[0].digest]}" if made else ""
        raise RejectedEvidence(ProblemKind.MISSING, f"no declaration that could be verified{why}")
    if len({s.statement.subject[0].digest_text for s in usable}) > 1:
        raise RejectedEvidence(ProblemKind.FORKED, f"{len(usable)} different declarations")
    digest = usable[0].statement.subject[0].digest_text
    declaration = parse_declaration(bundle.payload(digest), where="declaration")
    predicate = usable[0].predicate
    assert isinstance(predicate, DeclarationMade)
    if declaration.party != predicate.party or declaration.period != predicate.period:
        raise RejectedEvidence(ProblemKind.OUT_OF_PERIOD, "the declaration is of another party or time than signed for")
    if declaration.party not in terms.parties:
        raise InputError(
            f"{declaration.party} is no party to {terms.id}", remedy=f"its parties are {', '.join(terms.parties)}"
        )
    return declaration, digest


def _appraise(
    terms: Agreement, declaration: Declaration, evidence: Evidence, anchors: TrustAnchors
) -> tuple[Assessment, ...]:
    """Step 7: every mechanism on every clause of its kinds."""
    table: MechanismTable = {kind: tuple(m for m in MECHANISMS if kind in m.clause_kinds) for kind in ClauseKind}
    statements = max(1, sum(len(table[clause.kind]) for clause in terms.clauses))
    shared: dict[str, object] = {}
    found: list[Assessment] = []
    for clause in terms.clauses:
        for mechanism in table[clause.kind]:
            case = Case(
                agreement=terms,
                clause=clause,
                declaration=declaration,
                evidence=evidence,
                period=declaration.period,
                miss_probability=(1 - terms.assurance_confidence) / statements,
                shared=shared,
                platforms=anchors.platforms,
                landmarks=anchors.landmarks,
            )
            assessments = mechanism.appraise(case)
            assert assessments, f"{mechanism.name} said nothing of {clause.id}"
            found += assessments
    return tuple(found)


def _not_checked(anchors: TrustAnchors, evidence: Evidence, ledger: LedgerState | None) -> tuple[str, ...]:
    """What this pass did not look at, whatever the clauses."""
    found = ["whether the chips that are declared are all the chips there are"]
    if not anchors.ledgers:
        found.append("the ledger: the reviewer's anchors name none, so evidence could have been left out unseen")
    elif not any(ledger.witnesses_min for ledger in anchors.ledgers):
        found.append("whether the log shows others the same history: the anchors ask for no witness")
    if ledger is not None and ledger.elsewhere:
        found.append(f"{ledger.elsewhere} entries of the log that lie in earlier bundles and speak of times before")
    if not evidence.custody:
        found.append("who held the sensors: there are no custody statements")
    return tuple(found)
