"""Whether enough of those who may sign did: k of n, each counted once, and one at least out of every group with a veto.

Rules:

1. Who may sign, and how many it takes, is said by the ruleset in force, never by the document that is signed.
2. A signer counts once, however often they signed. That they signed more than once is a refusal of its own kind
   (`SIGNER_REPEATED`), which is reported even where the quorum is reached, and does not undo it: whoever carries a document can
   add a copy of a signature to it, and must not be able to stop it by that.
3. A signature of somebody who is not asked, or one that does not verify, adds nothing. It is named.
4. The order of signatures means nothing.

That somebody did *not* sign cannot be shown by any number of signatures: whoever holds a document may withhold some of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset
from inspectorate.mechanisms.guarantee.signing import Signatures, SignedDocument, verify_document


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Whether a quorum was reached, and by whom."""

    reached: bool
    signers: frozenset[str]
    """Names of those who may sign for the act and did, each once."""
    refusals: tuple[Refusal, ...]
    """`QUORUM_SHORT` unless it was reached; `SIGNER_REPEATED` in either case."""
    notes: tuple[str, ...]
    """Signatures that added nothing, in words: unknown, false, or of signers who have no say in this act."""


def judge_quorum(ruleset: Ruleset, act: Act, document: SignedDocument) -> Counted:
    """Count the signatures on a document against the quorum that `ruleset` asks for `act`."""
    found = verify_document(document, {signer.signer_id: signer for signer in ruleset.signers})
    quorum = ruleset.quorums[act]
    counted = found.valid & frozenset(quorum.of)
    refusals = []
    if found.repeated:
        why = f"signed more than once, counted at most once: {_listed(found.repeated)}"
        refusals.append(Refusal(kind=EventKind.SIGNER_REPEATED, why=why))
    short = []
    if len(counted) < quorum.k:
        short.append(f"{act.value} takes {quorum.k} of {len(quorum.of)}, and {len(counted)} signed")
    short.extend(f"none of {_listed(group)} signed" for group in quorum.from_each if not counted & frozenset(group))
    notes = _notes(found, found.valid - counted, act)
    if short:
        refusals.append(Refusal(kind=EventKind.QUORUM_SHORT, why="; ".join((*short, *notes))))
    return Counted(reached=not short, signers=counted, refusals=tuple(refusals), notes=notes)


def _notes(found: Signatures, outside: frozenset[str], act: Act) -> tuple[str, ...]:
    notes = []
    if found.unknown:
        notes.append(f"not known here: {_listed(one[:80] for one in found.unknown)}")
    if found.false:
        notes.append(f"a signature that does not verify is given for: {_listed(found.false)}")
    if outside:
        notes.append(f"no say in {act.value}: {_listed(outside)}")
    return tuple(notes)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
