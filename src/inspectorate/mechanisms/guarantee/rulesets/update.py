"""Which ruleset may follow which.

The first is trusted by its digest alone. Every other one is judged by the ruleset in force, in these steps; each names what it
refuses, and all that can be judged is judged, so that one refusal hides no other:

0. The document is a ruleset in its one canonical form.
1. It follows: the same id, `previous` is the digest of the ruleset in force, and the version is the next one. A version at or below
   the floor, the highest ever in force on the device, is a rollback, whoever signed it.
2. It is valid now.
3. What it really changes is covered by the act that it declares (`difference`). It changes something.
4. The quorum of the ruleset *in force* for that act signed it. If signers or quorums change, so did the quorum that the *new* one
   asks for `change-rules`: no ruleset is put in force that its own signers could not follow (TUF 5.3.4).
5. No rule of the baseline is changed, and none is taken away, whoever signs.
6. The rules that stand at `Point.UPDATE` hold of the new ruleset, and all of its rules can be asked (`rules.RuleBook`). Those of
   the baseline bind every act; the others bind every act but `change-rules`, which could take them away first.

What keeps an update from gutting a baseline that still stands word for word: what a rule may read is fixed by the program, not by
the ruleset; and a rule of the baseline at `Point.UPDATE` binds whatever later rulesets say: how small a quorum may be, how wide the
outlet, how large a limit. Without such rules a quorum for `change-rules` may loosen all of these.

A ruleset that has expired is in force no longer (`in_force`), but its signers may still put a new one in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.canonical import parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.rulesets.difference import act_needed, covers, differences
from inspectorate.mechanisms.guarantee.rulesets.inputs import update_inputs
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Act, Point, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A ruleset that may be put in force, or why not."""

    ruleset: Ruleset | None
    refusals: tuple[Refusal, ...]
    """With a ruleset, only `SIGNER_REPEATED` can stand here."""
    signers: frozenset[str] = frozenset()
    """Who signed of those who may, by the ruleset before."""
    notes: tuple[str, ...] = ()
    """Signatures that added nothing."""


def parse_ruleset(document: SignedDocument, *, where: str) -> Ruleset:
    """The ruleset in a document, whoever signed it. Raises `EvidenceError`."""
    if document.kind != RULESET_KIND:
        raise EvidenceError(f"is a {document.kind[:80]!r}, not a ruleset", where=where)
    ruleset = Ruleset.parse(parse_canonical(document.payload, where=where), where=where, error=EvidenceError)
    if ruleset.canonical_bytes() != document.payload:
        raise EvidenceError("is not in the one form of this ruleset", where=where, remedy="make it with `ruleset new`")
    return ruleset


def in_force(ruleset: Ruleset, at: datetime) -> Refusal | None:
    """Why a ruleset is not in force at a time, or None if it is."""
    if at >= ruleset.valid.end:
        return Refusal(
            kind=EventKind.RULESET_EXPIRED, why=f"{_named(ruleset)} ended {ruleset.valid.end:%Y-%m-%d %H:%M:%S} UTC"
        )
    if at < ruleset.valid.start:
        return _refused(f"{_named(ruleset)} starts only {ruleset.valid.start:%Y-%m-%d %H:%M:%S} UTC")
    return None


def judge_first(document: SignedDocument, *, baseline: str, at: datetime) -> Judged:
    """Judge the first ruleset of a device. Its digest is all that it needs; signatures are not asked for."""
    if document.digest != baseline:
        return Judged(ruleset=None, refusals=(_refused(f"is {document.digest}, and {baseline} is the baseline"),))
    try:
        first = parse_ruleset(document, where="ruleset")
        RuleBook(first)
    except EvidenceError as fault:
        return Judged(ruleset=None, refusals=(_refused(str(fault)),))
    refusals = [in_force(first, at)]
    if first.version != 1:
        refusals.append(_refused(f"{_named(first)} is not the first"))
    found = tuple(one for one in refusals if one is not None)
    return Judged(ruleset=None if found else first, refusals=found)


def judge_update(current: Ruleset, document: SignedDocument, *, version_floor: int, at: datetime) -> Judged:
    """Judge a ruleset that would follow `current`. `version_floor` is the highest version ever in force on this device."""
    # 0. one form
    try:
        candidate = parse_ruleset(document, where="ruleset")
    except EvidenceError as fault:
        return Judged(ruleset=None, refusals=(_refused(str(fault)),))
    refusals = _follows(current, candidate, version_floor)  # 1.
    if (ended := in_force(candidate, at)) is not None:  # 2.
        refusals.append(ended)
    refusals.extend(_covered(current, candidate))  # 3. and 5.
    refusals.extend(_holds(current, candidate, at))  # 6.
    if candidate.act is None:
        return Judged(ruleset=None, refusals=tuple(refusals))
    # 4. the quorum
    counted = judge_quorum(current, candidate.act, document)
    refusals.extend(counted.refusals)
    if counted.reached and (current.signers, current.quorums) != (candidate.signers, candidate.quorums):
        own = judge_quorum(candidate, Act.CHANGE_RULES, document)
        short = [one for one in own.refusals if one.kind is EventKind.QUORUM_SHORT]
        refusals.extend(Refusal(kind=one.kind, why=f"by the new signers: {one.why}") for one in short)
    accepted = all(one.kind is EventKind.SIGNER_REPEATED for one in refusals)
    return Judged(
        ruleset=candidate if accepted else None,
        refusals=tuple(refusals),
        signers=counted.signers,
        notes=counted.notes,
    )


def verify_chain(
    baseline: str,
    documents: Sequence[SignedDocument],
    *,
    times: Sequence[datetime] | None = None,
    at: datetime | None = None,
    version_floor: int = 0,
) -> tuple[Ruleset, ...]:
    """The rulesets of a chain, each accepted under the one before, first to last. Raises `EvidenceError` naming the link.

    `times` says when each was put in force; without it, each is judged at the start of its own validity. With `at`, the last must
    be in force then; it may not be below `version_floor`.
    """
    if not documents:
        raise EvidenceError("is empty", where="chain of rulesets", remedy="begin it with the baseline")
    if times is not None and len(times) != len(documents):
        raise EvidenceError(f"has {len(documents)} links and {len(times)} times", where="chain of rulesets")
    chain: list[Ruleset] = []
    for place, document in enumerate(documents):
        where = f"chain of rulesets, link {place + 1}"
        then = times[place] if times is not None else parse_ruleset(document, where=where).valid.start
        if not chain:
            judged = judge_first(document, baseline=baseline, at=then)
        else:
            judged = judge_update(chain[-1], document, version_floor=chain[-1].version, at=then)
        if judged.ruleset is None:
            said = "; ".join(f"{one.kind.value}: {one.why}" for one in judged.refusals)
            raise EvidenceError(said, where=where, remedy="ask for the whole chain, first to last")
        chain.append(judged.ruleset)
    last = chain[-1]
    if last.version < version_floor:
        raise EvidenceError(
            f"ends with version {last.version}, and {version_floor} was in force", where="chain of rulesets"
        )
    ended = in_force(last, at) if at is not None else None
    if ended is not None:
        raise EvidenceError(ended.why, where="chain of rulesets")
    return tuple(chain)


def _follows(current: Ruleset, candidate: Ruleset, version_floor: int) -> list[Refusal]:
    """Step 1."""
    refusals = []
    floor = max(version_floor, current.version)
    if candidate.version <= floor:
        why = f"version {candidate.version} is not above {floor}, which was in force"
        refusals.append(Refusal(kind=EventKind.RULESET_ROLLED_BACK, why=why))
    elif candidate.version != current.version + 1:
        refusals.append(_refused(f"version {candidate.version} does not follow {current.version}"))
    if candidate.previous != current.digest:
        refusals.append(_refused(f"follows {candidate.previous or 'none'}, and {current.digest} is in force"))
    return refusals


def _covered(current: Ruleset, candidate: Ruleset) -> list[Refusal]:
    """Steps 3 and 5."""
    changes = differences(current, candidate)
    if not changes:
        return [_refused("changes nothing")]
    refusals = [_refused(f"{one.field}: {one.says}, which no signers may do") for one in changes if one.needs is None]
    needed = act_needed(tuple(one for one in changes if one.needs is not None))
    if needed is not None and candidate.act is not None and not covers(candidate.act, needed):
        said = "; ".join(f"{one.field}: {one.says}" for one in changes if one.needs is not candidate.act)
        refusals.append(_refused(f"is declared a {candidate.act.value} and takes {needed.value}: {said}"))
    return refusals


def _holds(current: Ruleset, candidate: Ruleset, at: datetime) -> list[Refusal]:
    """Step 6. What is in force was compiled before."""
    try:
        RuleBook(candidate)
    except EvidenceError as fault:
        return [_refused(str(fault))]
    failed = RuleBook(current).decide(Point.UPDATE, update_inputs(candidate), at=at)
    if candidate.act is Act.CHANGE_RULES:
        bound = {rule.id for rule in current.baseline}
        failed = tuple(one for one in failed if one.rule_id in bound)
    return [_refused(f"rule {one.rule_id} of {_named(current)}: {one.why}") for one in failed]


def _named(ruleset: Ruleset) -> str:
    return f"{ruleset.id} version {ruleset.version}"


def _refused(why: str) -> Refusal:
    return Refusal(kind=EventKind.RULESET_REFUSED, why=why)
