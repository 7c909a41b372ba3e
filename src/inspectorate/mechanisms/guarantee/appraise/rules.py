"""Which rulesets were reached from the agreed baseline, and which licences a quorum of theirs signed: by the documents.

- The documents come from whatever processor made them known; they are judged anew, each by the ruleset that it says it follows,
  as the processor itself judges (`rulesets.update`, `licences.judge`). That a processor put one in force counts for nothing
  here.
- A ruleset is judged at a time within the period in which it was put in force and in which it is valid, if there is one.
- A licence is judged under the rulesets that were in force in the processor's reports of that time and shortly before, since it
  may have waited for a slot in which to be made known; else under the newest that is known by then. It counts once, however
  often it was stated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from inspectorate.agreement import GuardedOperation
from inspectorate.assessment import Case
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.appraise.common import NAME, guards_of
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.observe import Filed, GuardSeen
from inspectorate.mechanisms.guarantee.outlet.outlet import WAITING_MAX
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Ruleset
from inspectorate.mechanisms.guarantee.rulesets.update import Judged, judge_first, judge_update, parse_ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document
from inspectorate.quantities import Period

RULESETS_MAX = 1_000
"""Rulesets of one review that are judged: each costs some milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rulesets that were made known."""

    known: Mapping[str, Ruleset]
    """Reached from the baseline, by digest."""
    refused: Mapping[str, str]
    """Why others cannot have been, by digest. One whose predecessor is not in the evidence is in neither."""
    malformed: tuple[str, ...]
    """What is no ruleset at all."""

    def newest(self, at: datetime) -> Ruleset | None:
        """The known ruleset of the highest version that was valid by then."""
        begun = [one for one in self.known.values() if one.valid.start <= at]
        return max(begun, key=lambda one: one.version, default=None)


@dataclass(frozen=True, kw_only=True)
class Licensed:
    """A licence that holds, and from when on its processor had it."""

    licence: Licence
    stated: Period
    """Within this time it was applied."""


@dataclass(frozen=True, kw_only=True)
class Licences:
    """The licences of one processor."""

    good: tuple[Licensed, ...]
    refused: tuple[tuple[Filed, str], ...]
    """Applied by the processor although they do not hold, and why they do not."""
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    document: SignedDocument
    ruleset: Ruleset
    periods: tuple[Period, ...]


def rules_of(case: Case, terms: GuardedOperation | None) -> Rules:
    """The rulesets that all processors made known, judged from the clause's baseline; none is known without one."""
    key = f"{NAME}.rules.{terms.baseline if terms else ''}"
    found = case.shared.get(key)
    if not isinstance(found, Rules):
        guards = {guard.guard: guard for pod in guards_of(case).values() for guard in pod.seen}
        filed = [one for name in sorted(guards) for one in guards[name].rulesets]
        found = judge_rulesets(filed, terms.baseline if terms else "")
        case.shared[key] = found
    return found


def judge_rulesets(filed: Iterable[Filed], baseline: str) -> Rules:
    """Every ruleset that can be reached from the baseline by updates that its signers were entitled to."""
    candidates, malformed = _candidates(filed)
    refused: dict[str, str] = {}
    known: dict[str, Ruleset] = {}
    # A ruleset names the one before by digest, so in order of version each comes after the one that it follows.
    for digest, one in sorted(candidates.items(), key=lambda item: (item[1].ruleset.version, item[0])):
        previous = one.ruleset.previous
        if previous is None and digest != baseline:
            refused[digest] = "it is a first ruleset, and not the agreed one"
        elif previous in refused:
            refused[digest] = "it follows one that was not"
        elif digest == baseline or previous in known:
            judged = _judged(one, known.get(previous or ""), baseline)
            if judged.ruleset is not None:
                known[digest] = judged.ruleset
            else:
                refused[digest] = "; ".join(f"{r.kind.value}: {r.why}" for r in judged.refusals)[:500]
    return Rules(known=known, refused=refused, malformed=tuple(malformed))


def _candidates(filed: Iterable[Filed]) -> tuple[dict[str, _Candidate], list[str]]:
    """Documents by digest of what is signed. Of several with one content, the one with the most signatures."""
    found: dict[str, _Candidate] = {}
    malformed: list[str] = []
    for one in filed:
        where = f"ruleset stated by {one.said.reporter}"
        try:
            document = parse_document(one.payload, kind=RULESET_KIND, where=where)
            ruleset = parse_ruleset(document, where=where)
        except EvidenceError as fault:
            malformed.append(f"{where}: {fault.problem}")
            continue
        before = found.get(document.digest)
        if before is None and len(found) >= RULESETS_MAX:
            malformed.append(f"{where}: is one of more than {RULESETS_MAX}")
            continue
        periods = (one.said.period, *(before.periods if before else ()))
        if before is not None and len(before.document.signatures) >= len(document.signatures):
            document = before.document
        found[document.digest] = _Candidate(document=document, ruleset=ruleset, periods=periods)
    return found, malformed


def _judged(one: _Candidate, before: Ruleset | None, baseline: str) -> Judged:
    valid = one.ruleset.valid
    stated = next((p for p in one.periods if p.overlaps(valid)), one.periods[0])
    at = min(max(stated.start, valid.start), stated.end)
    if one.document.digest == baseline:
        return judge_first(one.document, baseline=baseline, at=at)
    assert before is not None, "it follows one that is known"
    return judge_update(before, one.document, version_floor=before.version, at=at)


def licences_of(guard: GuardSeen, rules: Rules) -> Licences:
    """The licences that one processor applied, judged anew."""
    good: dict[str, Licensed] = {}
    refused: list[tuple[Filed, str]] = []
    notes: list[str] = []
    state = LicenceState()
    devices = {one.kept.device for one in guard.usable}
    for one in guard.licences:
        candidates = _rulesets_then(guard, rules, one.said.period)
        try:
            document = parse_document(one.payload, kind=LICENCE_KIND, where="licence")
        except EvidenceError as fault:
            refused.append((one, fault.problem))
            continue
        if document.digest in good:
            continue
        if not candidates or len(devices) != 1:
            notes.append("a licence cannot be judged: no ruleset, or no single device, is known of its time")
            continue
        # Within the period of the statement it was valid, or never.
        judged = [
            judge_licence(state, document, device=next(iter(devices)), ruleset=ruleset, at=one.said.period.start)
            for ruleset in candidates
        ]
        found = next((j for j in judged if j.state is not None), judged[0])
        if found.state is None or found.licence is None:
            refused.append((one, "; ".join(f"{r.kind.value}: {r.why}" for r in found.refusals)))
            continue
        # What it holds matters here only for replays; budgets are added up by whoever asks.
        state = found.state.model_copy(update={"held": (), "owed": {}})
        good[document.digest] = Licensed(licence=found.licence, stated=one.said.period)
        notes += [r.why for r in found.refusals if r.kind is EventKind.SIGNER_REPEATED]
    return Licences(good=tuple(good.values()), refused=tuple(refused), notes=tuple(dict.fromkeys(notes)))


def _rulesets_then(guard: GuardSeen, rules: Rules, period: Period) -> tuple[Ruleset, ...]:
    """All that can have been in force when a document of that period was judged, the newest first.

    A document waits up to so many slots before it is made known, and a ruleset may come and go between two reports: so from the
    version of the last report before that time, to the newest by its end.
    """
    waited = period.start - WAITING_MAX * (period.end - period.start)
    versions = {
        one.period: ruleset.version
        for one in guard.usable
        if (ruleset := rules.known.get(one.kept.ruleset or "")) is not None
    }
    lowest = max((version for at, version in versions.items() if at.end <= waited), default=1)
    until = max((version for at, version in versions.items() if at.start < period.end), default=0)
    newest = rules.newest(period.end)
    highest = max(until, newest.version if newest is not None and not until else 0)
    return tuple(
        sorted((one for one in rules.known.values() if lowest <= one.version <= highest), key=lambda one: -one.version)
    )
