"""What the keeper of a simulated register, inspectors and cameras are going to say of chips; and how that is signed.

    1. promises, registers and counts, one after another (`custody_counts`)
    2. changes between two registers: chips acquired, moved, broken, destroyed
    3. seals and their checks; cameras, segment by segment; round trips to a device (`custody_papers`)
    4. a challenge inspection

A `CustodyCheat` changes the script before anything is signed (`amend`), or says more afterwards (`after`). Tables, draws,
checklists, round trips and watches are made by the real code; nobody looked at anything, and seals have no photographs but
digests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    AccessLogged,
    AccessStep,
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    ChipState,
    DestructionCertified,
    InspectionRequested,
    Origin,
    Passage,
    SealApplied,
    SealChecked,
    TransferDecided,
    TransferNotified,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.custody.register import serials_of, write_serials
from inspectorate.quantities import Period
from inspectorate.worlds.custody_plans import (
    AcquiredPlan,
    CameraPlan,
    ChallengePlan,
    Chips,
    EndedPlan,
    LocatedPlan,
    RegisterPlan,
    SealPlan,
    TransferPlan,
)
from inspectorate.worlds.custody_site import BROKEN, Layout, table_of

REGISTER = "register"
"""The operator's reporter."""
CHAIN = "register-1"


@dataclass(kw_only=True)
class Script:
    """What is going to be said."""

    seed: int
    period: Period
    party: str
    layout: Layout
    key: SigningKey
    """Of the keeper of the register."""
    cameras_key: SigningKey
    device_keys: dict[str, SigningKey]
    inspectors: dict[str, SigningKey]
    """By the names of their anchors."""
    chips: Chips
    """All chips at the first register."""
    elsewhere: dict[str, str]
    """Chips that stand in another host than the register says, and in which: "" for none."""
    gone_from: datetime | None = None
    """Since when chips that stand nowhere are gone; none: from the start."""
    registers: list[RegisterPlan]
    acquired: list[AcquiredPlan]
    transfers: list[TransferPlan]
    ended: list[EndedPlan]
    seals: list[SealPlan]
    cameras: list[CameraPlan]
    located: list[LocatedPlan]
    challenges: list[ChallengePlan]
    answer_within_s: float
    counter: str
    """Who promises, draws and counts."""
    envelopes: list[bytes] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def say(self, predicate: Predicate, key: SigningKey, **subjects: bytes) -> str:
        """Sign one statement about these payloads; its digest."""
        self.payloads.update({digest_of(data): data for data in subjects.values()})
        return self.sign(predicate, key, {name: digest_of(data) for name, data in subjects.items()})

    def sign(self, predicate: Predicate, key: SigningKey, subjects: dict[str, str]) -> str:
        """Sign one statement about payloads that stay where they are; its digest."""
        envelope = sign_statement(make_statement(predicate, subjects), key)
        self.envelopes.append(envelope)
        return digest_of(envelope)

    def at(self, seconds: float) -> datetime:
        return self.period.start + timedelta(seconds=seconds)

    def stood(self, at: datetime) -> Chips:
        """Where every chip stands by what happened until then, whatever was said of it; not those under way."""
        found = dict(self.chips)
        for one in self.acquired:
            found |= {chip.serial: chip for chip in one.chips if one.at <= at}
        for ended in self.ended:
            for serial in ended.serials:
                if ended.destroyed_at <= at and ended.certified:
                    found.pop(serial, None)
                elif ended.broken_at <= at and serial in found:
                    found[serial] = replace(found[serial], state=BROKEN)
        for moving in self.transfers:
            for chip in moving.chips:
                if moving.arrived_at <= at:
                    found[chip.serial] = chip
                elif moving.left_at <= at:
                    found.pop(chip.serial, None)
        return found

    def seen_in(self, at: datetime) -> dict[str, list[str]]:
        """By host, the serials that would be read there."""
        hosts: dict[str, list[str]] = {}
        for serial, chip in sorted(self.stood(at).items()):
            host = self.elsewhere.get(serial, chip.host)
            if serial in self.elsewhere and self.gone_from is not None and at < self.gone_from:
                host = chip.host
            if host:
                hosts.setdefault(host, []).append(serial)
        return hosts


class CustodyCheat:
    """What a cheat does. The honest site is one that does nothing."""

    def amend(self, script: Script) -> None:
        """Change what is going to be said."""

    def after(self, script: Script) -> None:
        """Say more."""


def listed(serials: Iterable[str]) -> bytes:
    return write_serials(serials_of(serials))


def instant(at: datetime) -> Period:
    """A report of one moment still has a period."""
    return Period(start=at - timedelta(seconds=1), end=at)


def tell_changes(script: Script) -> None:
    """Everything that happens between two registers."""
    for acquired in script.acquired:
        if acquired.said:
            _tell_acquired(script, acquired)
    for moving in script.transfers:
        _tell_transfer(script, moving)
    for ended in script.ended:
        _tell_ended(script, ended)


def _tell_acquired(script: Script, one: AcquiredPlan) -> None:
    script.say(
        ChipsAcquired(
            origin=Origin.SIMULATED,
            reporter=REGISTER,
            period=instant(one.at),
            chips=len(one.chips),
            seller=one.seller,
            acquired_at=one.at,
        ),
        script.key,
        chips=table_of(tuple(one.chips))[1],
    )


def _tell_transfer(script: Script, one: TransferPlan) -> None:
    chips = listed(chip.serial for chip in one.chips)
    noticed = TransferNotified(
        origin=Origin.SIMULATED,
        reporter=REGISTER,
        period=instant(one.notified_at),
        transfer=one.id,
        chips=len(one.chips),
        from_site=one.from_site,
        to_site=one.to_site,
        notified_at=one.notified_at,
        begins_at=one.begins_at,
    )
    notice = digest_of(b"simulated: a notice that nobody gave")
    if one.notified:
        notice = script.say(noticed, script.key, chips=chips)
    for place, name in enumerate(one.approved_by):
        script.sign(
            TransferDecided(
                origin=Origin.SIMULATED,
                by=name,
                transfer=notice,
                approved=one.approved,
                decided_at=one.notified_at + timedelta(seconds=15 + 10 * place),
            ),
            script.inspectors[name],
            {"decision": digest_of(f"simulated grounds {script.seed} {one.id} {name}".encode())},
        )
    for passage, at, said in (
        (Passage.LEFT, one.left_at, one.left),
        (Passage.ARRIVED, one.arrived_at, one.arrived),
    ):
        if said:
            script.say(
                ChipsMoved(
                    origin=Origin.SIMULATED,
                    reporter=REGISTER,
                    period=instant(at),
                    transfer=notice,
                    passage=passage,
                    chips=len(one.chips),
                    moved_at=at,
                ),
                script.key,
                chips=chips,
            )


def _tell_ended(script: Script, one: EndedPlan) -> None:
    if one.reported:
        script.say(
            ChipsReported(
                origin=Origin.SIMULATED,
                reporter=REGISTER,
                period=instant(one.broken_at),
                chips=len(one.serials),
                state=ChipState.BROKEN,
                reported_at=one.broken_at,
            ),
            script.key,
            chips=listed(one.serials),
        )
    if one.certified:
        script.say(
            DestructionCertified(
                origin=Origin.SIMULATED,
                by=one.by,
                reporter=REGISTER,
                chips=len(one.serials),
                means="simulated: shredded",
                certified_at=one.destroyed_at,
            ),
            script.inspectors[one.by],
            chips=listed(one.serials),
        )


def tell_seals(script: Script) -> None:
    for one in script.seals:
        photo = {"photo-1": digest_of(f"simulated photograph {script.seed} {one.name}".encode())}
        applied = script.sign(
            SealApplied(
                origin=Origin.SIMULATED,
                by=one.by,
                seal=one.name,
                site=one.site,
                places=one.places,
                applied_at=one.applied_at,
            ),
            script.inspectors[one.by],
            photo,
        )
        for at, decision in one.checks:
            script.sign(
                SealChecked(
                    origin=Origin.SIMULATED,
                    by=one.by,
                    applied=applied,
                    decision=decision,
                    checked_at=at,
                ),
                script.inspectors[one.by],
                {"photo-1": digest_of(f"simulated photograph {script.seed} {one.name} {at}".encode())},
            )


def tell_challenges(script: Script) -> None:
    for one in script.challenges:
        key = script.inspectors[one.by]
        requested = script.sign(
            InspectionRequested(
                origin=Origin.SIMULATED,
                by=one.by,
                party=script.party,
                request=one.request,
                site=one.site,
                number=one.number,
                requested_at=one.requested_at,
                access_by=one.requested_at + timedelta(seconds=one.access_within_s),
            ),
            key,
            {"grounds": digest_of(f"simulated grounds {script.seed} {one.request}".encode())},
        )
        for step, after_s in one.steps:
            script.sign(
                AccessLogged(
                    origin=Origin.SIMULATED,
                    by=one.by,
                    request=requested,
                    step=step,
                    exits_inspected=2 if step is AccessStep.ADMITTED else 0,
                    exits_refused=one.exits_refused if step is AccessStep.ADMITTED else 0,
                    logged_at=one.requested_at + timedelta(seconds=after_s),
                ),
                key,
                {"log": digest_of(f"simulated log {script.seed} {one.request} {step}".encode())},
            )
