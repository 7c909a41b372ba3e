"""`guarded-operation`: one assessment per declared pod.

Every report of the pod's processors is held against the clause:

1. *Against the party* is what an authentic report says of its own processor: a program or a ruleset that nobody agreed to, a
   ruleset below the agreed version, a model served that the ruleset does not list or after it expired, a count that fell and
   can only rise.
2. *Doubtful*, so that the clause is not established, is all that may happen to a party that complies and leaves the processor's
   word worth less: a key held in software where a TPM was agreed, a machine that started otherwise or a configuration other than
   agreed, one device that speaks for two processors, state that a restored disk would roll back, a ruleset that is not in the
   evidence, challenges without an answer, and the events of `BROKEN`: the processor was lost, found itself tampered with or rolled
   back, or a recomputed answer differed. It held the work; whether something was done meanwhile is for an inspector to say.
3. *Told*, with number and time, are the events of `ATTEMPTS`: something was refused that had no right to pass. A refusal that
   worked is no breach, and it may be a mistake; so it weighs nothing and is named in every case, for somebody to ask.

Consistent is a pod whose processors reported the whole period without 1 and 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from inspectorate.agreement import GuardedOperation
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.appraise import exhibits
from inspectorate.mechanisms.guarantee.appraise.common import (
    NAME,
    PodGuards,
    alike,
    assumptions_of,
    gaps_of,
    guards_of,
    log_e_of,
    nothing_stated,
    shortened,
    spans_text,
    stretch_of,
    withheld_text,
)
from inspectorate.mechanisms.guarantee.appraise.rules import Rules, rules_of
from inspectorate.mechanisms.guarantee.attestation.reference import CONFIGURATION, RULESET
from inspectorate.mechanisms.guarantee.attestation.verify import VerifiedQuote, approval
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.observe import GuardSeen, Said
from inspectorate.mechanisms.guarantee.outlet.checkpoint import COUNT_MAX, Checkpoint
from inspectorate.quantities import Period

BROKEN = {
    EventKind.RECOMPUTATION_DIFFERED: "a recomputed answer differed",
    EventKind.STATE_ROLLED_BACK: "the processor found its state rolled back: an older disk was put in place",
    EventKind.TAMPERED: "the processor found its program, its configuration or its path changed",
    EventKind.GUARD_LOST: "the processor ended without being told to",
}
"""Events after which the processor's word alone does not establish the clause."""
ATTEMPTS = {
    EventKind.MODEL_REFUSED: "a model that is not listed was refused",
    EventKind.UPLOAD_EXCEEDED: "more bytes were offered than the listed model has, and refused",
    EventKind.RULE_FAILED: "a rule said no, and was followed",
    EventKind.LICENCE_REFUSED: "a licence was refused",
    EventKind.LICENCE_REPLAYED: "a licence was offered again, and refused",
    EventKind.LICENCE_EXHAUSTED: "a licence was used up, and work was held",
    EventKind.LICENCE_EXPIRED: "a licence expired, and work was held",
    EventKind.RULESET_REFUSED: "a ruleset that may not follow was refused",
    EventKind.RULESET_ROLLED_BACK: "an older ruleset was offered, and refused",
    EventKind.QUORUM_SHORT: "a document with too few signatures was refused",
    EventKind.SIGNER_REPEATED: "a document came with one signer more than once, counted once",
    EventKind.RESUME_REFUSED: "an order to resume was refused",
}
"""Refusals of what had no right to pass: signs of an attempt, or of a mistake."""
_PASSING = (Mode.UPLOADING, Mode.SERVING)


def appraise_guarded(case: Case, terms: GuardedOperation) -> tuple[Assessment, ...]:
    found = guards_of(case)
    rules = rules_of(case, terms)
    return tuple(_appraise_pod(case, found[pod], terms, rules) for pod in sorted(found))


def _appraise_pod(case: Case, guards: PodGuards, terms: GuardedOperation, rules: Rules) -> Assessment:
    if not guards.reports:
        return nothing_stated(case, guards)
    wrong = {one.digest: against(one, terms, rules) for one in guards.reports}
    speaking = [one for one in guards.reports if wrong[one.digest]]
    gaps = gaps_of(guards, case.period, terms.attested_every_s)
    doubts = [doubt for guard in guards.seen for doubt in _doubts(case, guard, terms, rules)]
    attempts = [text for guard in guards.seen for text in events_text(guard, ATTEMPTS)]
    reasons = (
        *shortened(guards.faults, "such reports"),
        *shortened(_counted(guards, wrong), "such reasons"),
        *shortened(doubts, "such doubts"),
        *withheld_text(guards),
    )
    if gaps:
        reasons = (
            *reasons, f"{guards.pod}: no usable report for longer than {terms.attested_every_s:g} s: {spans_text(gaps)} UTC",
        )  # fmt: skip
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(guards.pod,), period=stretch_of(case, speaking)),
        verdict=_verdict(guards, gaps, bool(speaking or doubts)),
        log_e=_log_e(case, guards, wrong, terms),
        assumptions=assumptions_of(guards),
        evidence_ids=guards.evidence_ids,
        exhibits=(exhibits.modes(guards), *exhibits.events(guards)),
        reasons=(*(reasons or (_kept(guards, rules),)), *dict.fromkeys(attempts)),
        not_checked=_not_checked(guards, gaps, attempts, terms, rules),
    )


def against(said: Said, terms: GuardedOperation, rules: Rules) -> tuple[str, ...]:
    """Rule 1: what an authentic report says against its own processor."""
    if said.checkpoint is None or said.faults:
        return ()
    checkpoint = said.kept
    found = list(said.fell)
    ruleset = rules.known.get(checkpoint.ruleset or "")
    if terms.measurements:
        found += [
            f"the program {one[:19]}… is not one that was agreed" for one in sorted(said.builds - {*terms.measurements})
        ]
    if ruleset is None and checkpoint.ruleset is not None and checkpoint.ruleset in rules.refused:
        found.append(
            f"a ruleset is in force that was not reached from the baseline: {rules.refused[checkpoint.ruleset]}"
        )
    if ruleset is None:
        return tuple(found)
    if ruleset.builds and checkpoint.build not in ruleset.builds:
        found.append(
            f"the program {checkpoint.build[:19]}… is not one that version {ruleset.version} of the ruleset names"
        )
    if ruleset.builds and not terms.measurements:
        # What ran before it could have left anything behind. Programs of earlier versions may have run since the machine started.
        named = {build for one in rules.known.values() for build in one.builds}
        found += [
            f"the program {one[:19]}… ran before it, which no ruleset names"
            for one in sorted(said.builds - named - {checkpoint.build})
        ]
    if ruleset.version < terms.ruleset_version_min:
        found.append(
            f"version {ruleset.version} of the ruleset is in force, below the agreed {terms.ruleset_version_min}"
        )
    if ruleset.version < checkpoint.ruleset_version:
        found.append(
            f"version {ruleset.version} of the ruleset is in force, after version {checkpoint.ruleset_version}"
        )
    if checkpoint.mode in _PASSING and ruleset.valid.end <= checkpoint.period.start:
        found.append(f"something passes under a ruleset that expired {ruleset.valid.end:%Y-%m-%d %H:%M:%S} UTC")
    if checkpoint.mode in _PASSING and checkpoint.model and ruleset.model_of(checkpoint.model) is None:
        found.append(f"the model {checkpoint.model[:19]}… is served, which the ruleset does not list")
    return tuple(found)


def vouched(said: Said, terms: GuardedOperation, rules: Rules) -> bool:
    """Whether a report may be believed: its program, its rules and the machine's start are agreed, its key is held as agreed."""
    if not said.usable or against(said, terms, rules):
        return False
    if said.custody is not KeyCustody.TPM and terms.hardware_key:
        return False
    if booted_otherwise(said, terms):
        return False
    ruleset = rules.known.get(said.kept.ruleset or "")
    if ruleset is None and said.kept.ruleset is not None:
        return False
    return bool(terms.measurements) or (ruleset is not None and bool(ruleset.builds))


def booted_otherwise(said: Said, terms: GuardedOperation) -> bool:
    """Whether the machine did not start as agreed, if anything is agreed: nothing measured afterwards is then worth anything."""
    if not terms.boots:
        return False
    return said.quote is None or bool(approval(said.quote, builds=frozenset(), boots=frozenset(terms.boots)).problems)


def configured(said: Said, terms: GuardedOperation) -> bool:
    """Whether every configuration that was measured is an agreed one.

    A processor believes its configuration, which its operator writes, on what its chips can do, and on where its meters and its
    state are. So its meters bound nothing under one that nobody else has read.
    """
    measured = said.quote.digests(CONFIGURATION) if said.quote is not None else frozenset[str]()
    return bool(measured) and measured <= {*terms.configurations}


def events_text(guard: GuardSeen, kinds: dict[EventKind, str]) -> list[str]:
    """How often events of some kinds are reported, and since when, in words."""
    counts: Counter[EventKind] = Counter()
    first: dict[EventKind, Said] = {}
    for one in guard.usable:
        for kind, count in one.kept.events.items():
            if kind in kinds and count:
                counts[kind] += count
                first.setdefault(kind, one)
    return [
        f"{guard.guard}: {words} ({kind.value}): {_times(counts[kind])}, first in "
        f"{first[kind].period.start:%H:%M:%S}–{first[kind].period.end:%H:%M:%S} UTC"
        for kind, words in kinds.items()
        if counts[kind]
    ]


def _times(count: int) -> str:
    """Counts are rounded up, and end at `COUNT_MAX`."""
    if count == 1:
        return "once"
    return f"up to {count} times" if count < COUNT_MAX else f"{count} times or more"


def _doubts(case: Case, guard: GuardSeen, terms: GuardedOperation, rules: Rules) -> list[str]:
    """Rule 2."""
    usable = guard.usable
    found = [*events_text(guard, BROKEN), *alike(case, guard)]
    if terms.hardware_key:
        software = [one for one in usable if one.custody is KeyCustody.SOFTWARE]
        found += _of(guard, software, "the key is held in software, where a TPM was agreed")
    found += _of(
        guard, [one for one in usable if booted_otherwise(one, terms)], "the machine started otherwise than agreed"
    )
    if terms.configurations:
        other = [one for one in usable if not configured(one, terms)]
        found += _of(guard, other, "the configuration is not one that was agreed")
    found += _of(
        guard, [one for one in usable if not one.kept.rollback_protected], "a restored disk would go unnoticed"
    )
    found += _of(
        guard, [one for one in usable if one.kept.ruleset is None], "no ruleset is in force, so nothing passes"
    )
    unknown = [one for one in usable if (r := one.kept.ruleset) and r not in rules.known and r not in rules.refused]
    found += _of(guard, unknown, "the ruleset in force is not in the evidence")
    unmeasured = [
        one for one in usable if one.kept.ruleset and one.quote is not None and not _measured(one.quote, one.kept)
    ]
    found += _of(guard, unmeasured, "other rulesets were measured than the one in force")
    versions = Counter(one.version for one in rules.known.values())
    found += [f"{guard.guard}: {n} rulesets of version {v} were signed" for v, n in sorted(versions.items()) if n > 1]
    put_back = [one for one in usable if one.unsaid_s]
    most_s = max((one.unsaid_s for one in put_back), default=0.0)
    found += _of(guard, put_back, f"up to {most_s:,.0f} s passed by the TPM's clock for which no report accounts")
    undrawn = [one for one in usable if one.undrawn]
    found += _of(guard, undrawn, "requests were drawn for re-execution otherwise than it had committed to")
    differed = [one for one in usable if one.kept.differed]
    found += _of(guard, differed, "sampled requests, recomputed, gave something else")
    return found + _unanswered(case.period, guard, terms)


def _measured(quote: VerifiedQuote, checkpoint: Checkpoint) -> bool:
    """Whether the ruleset in force is among those that were measured, if any were."""
    rulesets = quote.digests(RULESET)
    return not rulesets or checkpoint.ruleset in rulesets


def _unanswered(period: Period, guard: GuardSeen, terms: GuardedOperation) -> list[str]:
    """Stretches in which no challenge was answered for longer than agreed."""
    every_s = terms.challenged_every_s
    if every_s is None:
        return []
    late_s = reference.ANSWER_REPORTS * terms.attested_every_s
    fresh: list[datetime] = []
    silent = 0
    for one in guard.challenges:
        if one.answered is not None and (one.answered.period.end - one.at).total_seconds() <= late_s:
            fresh.append(one.at)
        elif (period.end - one.at).total_seconds() > late_s:
            silent += 1
    edges = sorted({period.start, *(at for at in fresh if period.contains(at)), period.end})
    gaps = [Period(start=a, end=b) for a, b in pairwise(edges) if (b - a).total_seconds() > every_s * (1 + 1e-9)]
    found = []
    if silent:
        found.append(f"{guard.guard}: {silent} of {len(guard.challenges)} challenges were not answered in time")
    if gaps:
        why = "" if guard.challenges else ", and none was asked"
        found.append(
            f"{guard.guard}: no challenge was answered for longer than {every_s:g} s{why}: {spans_text(gaps)} UTC;"
            " reports of that time could have been made beforehand"
        )
    return found


def _of(guard: GuardSeen, reports: Sequence[Said], why: str) -> list[str]:
    if not reports:
        return []
    count = f"{len(reports)} of {len(guard.usable)} reports"
    return [f"{guard.guard}: {why} ({count}, the first from {reports[0].period.start:%H:%M:%S} UTC)"]


def _counted(guards: PodGuards, wrong: dict[str, tuple[str, ...]]) -> list[str]:
    """What speaks against the party: each reason once, with how many reports say so and since when."""
    found = []
    for guard in guards.seen:
        told: dict[str, list[Said]] = {}
        for one in guard.reports:
            for why in wrong[one.digest]:
                told.setdefault(why, []).append(one)
        for why, reports in told.items():
            found += _of(guard, reports, why)
    return found


def _verdict(guards: PodGuards, gaps: Sequence[Period], open_: bool) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if guards.faults:
        return Verdict.INVALID_EVIDENCE
    if gaps or not all(guard.usable for guard in guards.seen):
        return Verdict.NOT_OBSERVED
    return Verdict.INCONCLUSIVE if open_ else Verdict.CONSISTENT


def _log_e(case: Case, guards: PodGuards, wrong: dict[str, tuple[str, ...]], terms: GuardedOperation) -> float:
    authentic = [bool(wrong[one.digest]) for one in guards.reports if one.usable]
    return log_e_of(authentic, case.period, terms.attested_every_s)


def _kept(guards: PodGuards, rules: Rules) -> str:
    usable = [one for guard in guards.seen for one in guard.usable]
    versions = sorted({rule.version for one in usable if (rule := rules.known.get(one.kept.ruleset or "")) is not None})
    quoted = sum(one.custody is KeyCustody.TPM for one in usable)
    return (
        f"{guards.pod}: {len(usable)} reports without a gap, {quoted} of them quoted by a TPM, under version"
        f"{'s' if len(versions) > 1 else ''} {', '.join(map(str, versions))} of the agreed ruleset"
    )


def _not_checked(
    guards: PodGuards, gaps: Sequence[Period], attempts: Sequence[str], terms: GuardedOperation, rules: Rules
) -> tuple[str, ...]:
    usable = [one for guard in guards.seen for one in guard.usable]
    notes = [f"whether {guards.pod} has a way around {', '.join(one.id for one in guards.reporters)}"]
    if not terms.measurements and not all(
        (ruleset := rules.known.get(one.kept.ruleset or "")) and ruleset.builds for one in usable
    ):
        notes.append("which program ran: neither the clause nor every ruleset names one")
    if not terms.configurations:
        notes.append("what the processor was told of its chips, meters and server: the clause names no configuration")
    if not terms.boots:
        notes.append("what ran below the processor: the clause does not name how its machine may start")
    if terms.challenged_every_s is None:
        notes.append(
            "when reports were made: the clause asks for no challenges, so their times are the processor's word"
        )
    drawn, recomputed = (sum(getattr(one.kept, name) for one in usable) for name in ("sampled", "recomputed"))
    if recomputed < drawn:
        notes.append(f"up to {drawn - recomputed} of {drawn} requests that were drawn for re-execution")
    if gaps:
        notes.append(f"what {guards.pod} did {spans_text(gaps)} UTC")
    notes += [f"why this was tried: {text}" for text in attempts]
    return tuple(notes)
