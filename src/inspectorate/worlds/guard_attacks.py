"""How the processors of simulated sites are attacked, one function each. What each must lead to stands in `guard_cheats`."""

from __future__ import annotations

from collections.abc import Callable

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    CablingFormat,
    CablingSeen,
    KeyCustody,
    Origin,
    make_statement,
    sign_statement,
)
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel
from inspectorate.quantities import Period
from inspectorate.worlds import guard_rules
from inspectorate.worlds.guard_script import (
    CLOCK_MS,
    Document,
    Script,
    Sealed,
    SealedReport,
    rewritten,
    sealed_report,
    software_key,
)
from inspectorate.worlds.guard_tpm import tpm_of

LOST_SLOTS = 5


def begins(count: int) -> int:
    """The report from which on a cheat goes on."""
    return max(1, count // 3)


# --- refused -----------------------------------------------------------------------------------------------------------


def refused(**counts: int) -> Callable[[Script], None]:
    """An intact processor reports refusals in one report."""
    events = {EventKind[name.upper()]: count for name, count in counts.items()}

    def amend(script: Script) -> None:
        place = begins(len(script.checkpoints))
        script.checkpoints[place] = script.checkpoints[place].model_copy(update={"events": events})

    return amend


def exhausted(script: Script) -> None:
    """The second licence never comes; at the end of the first one work is held."""
    script.documents = [one for one in script.documents if not one.licence.endswith("-2")]
    first = begins(len(script.checkpoints))
    for place, checkpoint in enumerate(script.checkpoints):
        if place < first:
            continue
        held = rewritten(rewritten(checkpoint, MeterKind.FLOP, 0.0), MeterKind.BYTES_OUT, 0.0)
        script.checkpoints[place] = held.model_copy(
            update={
                "mode": Mode.HALTED,
                "held_s": checkpoint.period.duration_s,
                "events": {EventKind.LICENCE_EXHAUSTED: 1} if place == first else {},
                "licence": script.checkpoints[0].licence,
                "licence_sequence": script.checkpoints[0].licence_sequence,
            }
        )


# --- noticed -----------------------------------------------------------------------------------------------------------


def lost(script: Script) -> None:
    """Killed for some slots: the next report covers all of them, and names it."""
    first = begins(len(script.checkpoints))
    gone = script.checkpoints[first : first + LOST_SLOTS + 1]
    del script.checkpoints[first : first + LOST_SLOTS]
    for place in range(first, len(script.checkpoints)):
        update: dict[str, object] = {
            "starts": script.checkpoints[place].starts + 1,
            "sequence": script.checkpoints[place].sequence - LOST_SLOTS,
        }
        if place == first:
            update |= {
                "events": {EventKind.GUARD_LOST: 1, EventKind.REQUEST_DROPPED: 2},
                "period": Period(start=gone[0].period.start, end=gone[-1].period.end),
            }
        script.checkpoints[place] = script.checkpoints[place].model_copy(update=update)


def restored(script: Script) -> None:
    """An old disk is put in place; the counter of the TPM says so, and the processor halts for good."""
    first = begins(len(script.checkpoints))
    for place in range(first, len(script.checkpoints)):
        checkpoint = script.checkpoints[place]
        held = rewritten(rewritten(checkpoint, MeterKind.FLOP, 0.0), MeterKind.BYTES_OUT, 0.0)
        script.checkpoints[place] = held.model_copy(
            update={
                "starts": checkpoint.starts + 1,
                "mode": Mode.HALTED,
                "held_s": checkpoint.period.duration_s,
                "events": {EventKind.STATE_ROLLED_BACK: 1} if place == first else {},
            }
        )


def skipped(_: Script, sealed: Sealed) -> None:
    del sealed.reports[begins(len(sealed.reports))]


def replayed_quote(_: Script, sealed: Sealed) -> None:
    place = begins(len(sealed.reports))
    sealed.reports[place].quote = sealed.reports[place - 1].quote


def foreign_quote(script: Script) -> None:
    """A TPM that no platform of the reviewer's certified."""
    script.tpm = tpm_of(script.seed, script.guard, maker="stranger")
    script.checkpoints = [one.model_copy(update={"device": script.tpm.device_id}) for one in script.checkpoints]


def forged_chain(script: Script, sealed: Sealed) -> None:
    """One report is exchanged after the next was made."""
    place = begins(len(sealed.reports))
    old = sealed.reports[place].checkpoint
    sealed.reports[place] = _again(script, old.model_copy(update={"sampled": 0}), place)


def forked(script: Script, sealed: Sealed) -> None:
    """Two reports of one number: a machine that was copied."""
    place = begins(len(sealed.reports))
    old = sealed.reports[place].checkpoint
    sealed.reports.append(_again(script, old.model_copy(update={"mode": Mode.READY, "model": None}), place))


def _again(script: Script, checkpoint: Checkpoint, place: int) -> SealedReport:
    """Another report in the place of one, with a quote of its own."""
    return sealed_report(script, checkpoint, place, clock_ms=CLOCK_MS * (place + 1) + 1)


def software(script: Script) -> None:
    script.custody = KeyCustody.SOFTWARE
    device = software_key(script).key_id
    script.checkpoints = [
        one.model_copy(update={"device": device, "rollback_protected": False}) for one in script.checkpoints
    ]


# --- subverted ---------------------------------------------------------------------------------------------------------


def old_ruleset(script: Script) -> None:
    """After the second ruleset, the first one is in force again."""
    first = guard_rules.baseline()
    began = next(k for k, one in enumerate(script.checkpoints) if one.ruleset_version == 2)
    for place in range(began + 1, len(script.checkpoints)):
        update = {"ruleset": first.digest, "ruleset_version": 1}
        script.checkpoints[place] = script.checkpoints[place].model_copy(update=update)


def other_build(script: Script) -> None:
    """Another program, measured truthfully, after a restart of the machine."""
    script.build = guard_rules.OTHER_BUILD
    script.checkpoints = [one.model_copy(update={"build": guard_rules.OTHER_BUILD}) for one in script.checkpoints]


def short_quorum(script: Script) -> None:
    """A ruleset is in force that one signer signed three times. The processor was made to take it."""
    forged = guard_rules.second().model_copy(update={"models": (*guard_rules.second().models[:1], _unlisted())})
    signed = guard_rules.signed(forged, *(guard_rules.OPERATOR[:1] * 3))
    script.documents = [
        Document(payload=signed, period=one.period, version=2) if one.version == 2 else one for one in script.documents
    ]
    for place, checkpoint in enumerate(script.checkpoints):
        if checkpoint.ruleset_version == 2:
            script.checkpoints[place] = checkpoint.model_copy(update={"ruleset": forged.digest})


def _unlisted() -> ListedModel:
    return guard_rules.second().models[1].model_copy(update={"name": "model-3", "content": digest_of(b"third model")})


def overdrawn(script: Script) -> None:
    """Three times as much work as was licensed, and the processor reports it."""
    first = begins(len(script.checkpoints))
    for place in range(first, len(script.checkpoints)):
        script.checkpoints[place] = rewritten(script.checkpoints[place], MeterKind.FLOP, 4.0)


def licence_twice(script: Script) -> None:
    """The first licence is applied a second time in the place of a second one, and spent again."""
    one = next(document for document in script.documents if document.licence.endswith("-1"))
    two = next(document for document in script.documents if document.licence.endswith("-2"))
    script.documents.remove(two)
    script.documents.append(Document(payload=one.payload, period=two.period, licence=one.licence))
    first = {"licence": one.licence, "licence_sequence": script.checkpoints[0].licence_sequence}
    script.checkpoints = [checkpoint.model_copy(update=first) for checkpoint in script.checkpoints]


def extra(script: Script, sealed: Sealed) -> None:
    """A statement of another kind in every slot: 256 bits a time, as the digest of its payload."""
    for place, report in enumerate(sealed.reports[begins(len(sealed.reports)) :]):
        payload = b"what the chips computed: %d" % place
        predicate = CablingSeen(
            origin=Origin.SIMULATED,
            reporter=script.guard,
            period=report.checkpoint.period,
            format=CablingFormat.LLDP_JSON,
            node=script.pod,
        )
        envelope = sign_statement(make_statement(predicate, {"survey": digest_of(payload)}), script.key)
        sealed.extra.append((envelope, {digest_of(payload): payload}))
