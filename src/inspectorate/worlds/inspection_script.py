"""What the transcripts of one simulated pod, and the inspectors who draw from them, are going to say; and how that is signed.

    1. for every stretch of the period a promise, a commitment that names it, a draw, an opening and a replay
    2. an account of the run at its end

An `InspectionCheat` changes the script before anything is signed (`amend`), or what was signed (`after`). Commitments are chained
and draws made by the real code; only the packets themselves are invented.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inspectorate.canonical import Record, digest_of
from inspectorate.declaration import ChipGroup
from inspectorate.evidence import (
    Origin,
    PacketsDrawn,
    PacketsOpened,
    PacketsReplayed,
    RandomnessPromised,
    ReplayMethod,
    WorkCommitted,
    WorkKind,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.inspection.challenge.draw import draw
from inspectorate.mechanisms.inspection.challenge.opening import Openings
from inspectorate.mechanisms.inspection.challenge.promise import Method, Promise, Randomness, Revealed, Selection
from inspectorate.mechanisms.inspection.flop.account import make_account
from inspectorate.mechanisms.inspection.flop.facts import Facts, Replayed, Terms
from inspectorate.mechanisms.inspection.flop.judge import account_statement
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, ReplayReport, Tolerance
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader, Packet, PacketList, Stack
from inspectorate.quantities import Period

POINTS = 50
"""Points of time that are drawn in each stretch."""
PROMISED_BEFORE_S, DRAWN_AFTER_S, OPENED_AFTER_S, REPLAYED_AFTER_S, REPLAYED_FOR_S = 30.0, 10.0, 20.0, 30.0, 20.0
ANSWER_WITHIN_S = 120.0
"""What the shipped agreement gives from a draw to its opening."""
COUNTED_SHARE = 0.995
"""Of what was stated, what the verifier counts."""
BUSY_SHARE = 0.9
"""Of a packet's time, what the verifier's own chips need for it."""
STACK = Stack(hardware="simulated core with AVX-512", threads=2, versions={"engine": "simulated 1"}, deterministic=True)
TOLERANCE = Tolerance(
    id="simulated-toploc",
    method=ReplayMethod.TOPLOC,
    work=WorkKind.INFERENCE,
    stacks=(STACK,),
    unit="mean error of mantissas",
    threshold=10.0,
    honest_runs=20_000,
    false_alarm_rate=0.001,
    confidence=0.999,
    covert_bits_per_token=0.02,
)
"""The calibration that the shipped agreement names by digest."""
TOLERANCE_EVERY = 3
"""Every third stretch is checked within the tolerance, the others exactly."""


@dataclass(kw_only=True)
class Stretch:
    """One stretch of a run: what is committed to, drawn, shown and run again."""

    period: Period
    packets: list[Packet]
    secret: bytes
    by: str
    dirty: set[int] = field(default_factory=set)
    """Packets that a re-run finds to differ."""
    exact: bool = True
    promised_at: datetime
    named: bool = True
    """Whether the commitment names the promise."""
    final: bool = False
    committed: bool = True
    bundled: bool = True
    """Whether what concerns it is in the bundle at all."""
    answered: bool = True
    opened_after_s: float = OPENED_AFTER_S
    results_of: str | None = None
    """Another run of which the results are said to be."""
    tolerance: Tolerance = TOLERANCE
    leave_out: int = 0
    """Drawn packets that the results leave out."""
    other_draw: bool = False
    """Whether the draw names other packets than the randomness gives."""
    other_opening: bool = False
    """Whether packets are opened that were not drawn."""
    fork: bool = False
    previous: str | None = None
    """The digest of another envelope that is named as the one before."""


@dataclass(kw_only=True)
class Script:
    """What is going to be said of one pod."""

    pod: str
    seed: int
    reporter: str
    claim: str
    run: str
    key: SigningKey
    inspectors: dict[str, SigningKey]
    """By the names of their anchors."""
    header: InferenceHeader
    chips: tuple[ChipGroup, ...]
    stretches: list[Stretch]
    terms: Terms
    period: Period
    accounted_run: str | None = None
    """Another run that the account is said to be of."""
    declared_factor: float = 1.0
    """What the account gives as declared, as a multiple of what was committed to."""
    stated_factor: float = 1.0
    """What the account's statement gives, as a multiple of what its payload holds."""
    envelopes: list[bytes] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def say(self, predicate: Predicate, key: SigningKey, **subjects: bytes) -> str:
        """Sign one statement about these payloads; its digest."""
        self.payloads.update({digest_of(data): data for data in subjects.values()})
        return self.sign(predicate, key, **{name: digest_of(data) for name, data in subjects.items()})

    def sign(self, predicate: Predicate, key: SigningKey, **subjects: str) -> str:
        envelope = sign_statement(make_statement(predicate, subjects), key)
        self.envelopes.append(envelope)
        return digest_of(envelope)


class InspectionCheat:
    """What a cheat does. The honest site is one that does nothing."""

    def amend(self, script: Script) -> None:
        """Change what is going to be said of one pod."""

    def after(self, script: Script) -> None:
        """Say more of it."""


def secret_of(seed: int, pod: str, number: int) -> bytes:
    return hashlib.sha256(f"simulated secret {seed} {pod} {number}".encode()).digest()


def tell(script: Script) -> None:
    """Sign all that a script says, in order of time."""
    previous: str | None = None
    first = 0
    for number, stretch in enumerate(script.stretches):
        if stretch.committed:
            previous = _tell_stretch(script, stretch, number, first, previous)
        first += len(stretch.packets)
    _account(script)


def _tell_stretch(script: Script, stretch: Stretch, number: int, first: int, previous: str | None) -> str:
    mark = len(script.envelopes)
    key = script.inspectors[stretch.by]
    selection = Selection(method=Method.TIME, count=POINTS)
    promise = Promise(secret=stretch.secret.hex(), selection=selection)
    promised = script.sign(
        RandomnessPromised(
            origin=Origin.SIMULATED, by=stretch.by, reporter=script.reporter, promised_at=stretch.promised_at
        ),
        key,
        secret=promise.digest,
    )
    listed = _listed(script, stretch, number, first)
    commitment = script.say(
        _commitment(script, stretch, number, listed, stretch.previous or previous, promised),
        script.key,
        packets=listed.canonical_bytes(),
    )
    if stretch.fork:
        other = listed.model_copy(update={"leaves": tuple(reversed(listed.leaves))})
        script.say(
            _commitment(script, stretch, number, other, previous, promised), script.key, packets=other.canonical_bytes()
        )
    if stretch.packets:
        _draw_from(script, stretch, listed, commitment, (promise, promised))
    if not stretch.bundled:
        del script.envelopes[mark:]
    return commitment


def _listed(script: Script, stretch: Stretch, number: int, first: int) -> PacketList:
    packets = stretch.packets
    return PacketList(
        run=script.run,
        sequence=number,
        first=first,
        before=_before(script, number) if first else None,
        start_ns=tuple(one.start_ns for one in packets),
        end_ns=tuple(one.end_ns for one in packets),
        flop=tuple(one.flop for one in packets),
        leaves=tuple(one.leaf for one in packets),
    )


def _before(script: Script, number: int) -> str:
    """The leaf of the packet that ended the stretches before this one."""
    return next(one.packets[-1].leaf for one in reversed(script.stretches[:number]) if one.packets)


def _commitment(
    script: Script, stretch: Stretch, number: int, listed: PacketList, previous: str | None, promised: str
) -> WorkCommitted:
    return WorkCommitted(
        origin=Origin.SIMULATED,
        reporter=script.reporter,
        period=stretch.period,
        claim=script.claim,
        pods=(script.pod,),
        run=script.run,
        work=WorkKind.INFERENCE,
        sequence=number,
        previous=previous if number else None,
        final=stretch.final,
        packets=len(listed.leaves),
        header=digest_of(script.header.canonical_bytes()),
        flop_stated=math.fsum(listed.flop),
        promise=promised if stretch.named else None,
    )


def _draw_from(
    script: Script, stretch: Stretch, listed: PacketList, commitment: str, promised: tuple[Promise, str]
) -> None:
    randomness = Randomness(source=Revealed(kind="commit-reveal", promise=promised[0]))
    numbers = draw(randomness, commitment, listed)
    if stretch.other_draw:
        spared = [n for n in range(listed.first, listed.first + len(listed.leaves)) if n not in numbers]
        numbers = tuple(sorted({*numbers[1:], *spared[:1]}))
    drawn_at = stretch.period.end + timedelta(seconds=DRAWN_AFTER_S)
    key = script.inspectors[stretch.by]
    drawn = script.say(
        PacketsDrawn(
            origin=Origin.SIMULATED,
            by=stretch.by,
            reporter=script.reporter,
            commitment=commitment,
            promise=promised[1],
            packets=numbers,
            drawn_at=drawn_at,
            answer_by=drawn_at + timedelta(seconds=ANSWER_WITHIN_S),
        ),
        key,
        randomness=randomness.canonical_bytes(),
    )
    if not stretch.answered:
        return
    shown = [one for one in stretch.packets if one.number in numbers]
    if stretch.other_opening:
        shown = shown[: len(shown) // 2] + [one for one in stretch.packets if one.number not in numbers][:5]
        shown.sort(key=lambda one: one.number)
    openings = Openings(sequence=listed.sequence, header=script.header, packets=tuple(shown))
    opened_at = drawn_at + timedelta(seconds=stretch.opened_after_s)
    opened = script.say(
        PacketsOpened(
            origin=Origin.SIMULATED,
            reporter=script.reporter,
            period=stretch.period,
            drawn=drawn,
            opened=tuple(one.number for one in shown),
            opened_at=opened_at,
        ),
        script.key,
        openings=openings.canonical_bytes(),
    )
    _replay(script, stretch, numbers, (drawn, opened), opened_at)


def _replay(
    script: Script, stretch: Stretch, numbers: tuple[int, ...], named: tuple[str, str], opened_at: datetime
) -> None:
    by_number = {one.number: one for one in stretch.packets}
    tolerance = None if stretch.exact else stretch.tolerance
    report = ReplayReport(
        run=stretch.results_of or script.run,
        work=WorkKind.INFERENCE,
        method=ReplayMethod.EXACT if tolerance is None else tolerance.method,
        tolerance=None if tolerance is None else digest_of(tolerance.canonical_bytes()),
        stack=STACK,
        speed=1.0,
        chips=sum(group.count for group in script.chips),
        results=tuple(_result(by_number[n], n in stretch.dirty, tolerance) for n in numbers[stretch.leave_out :]),
    )
    start = opened_at + timedelta(seconds=REPLAYED_AFTER_S - OPENED_AFTER_S)
    payloads: dict[str, Record] = {"results": report} | ({} if tolerance is None else {"tolerance": tolerance})
    script.say(
        PacketsReplayed(
            origin=Origin.SIMULATED,
            by=stretch.by,
            reporter=script.reporter,
            drawn=named[0],
            opened=named[1],
            method=report.method,
            period=Period(start=start, end=start + timedelta(seconds=REPLAYED_FOR_S)),
        ),
        script.inspectors[stretch.by],
        **{name: record.canonical_bytes() for name, record in payloads.items()},
    )


def _result(packet: Packet, dirty: bool, tolerance: Tolerance | None) -> PacketResult:
    near, far = (0.0, 1.0) if tolerance is None else (0.3 * tolerance.threshold, 3.0 * tolerance.threshold)
    return PacketResult(
        packet=packet.number,
        outcome=Outcome.DIFFERED if dirty else Outcome.MATCHED,
        reason="simulated: another answer" if dirty else "simulated: the same answers",
        distance=far if dirty else near,
        flop_counted=COUNTED_SHARE * packet.flop,
        replayed_s=BUSY_SHARE * (packet.end_ns - packet.start_ns) / 1e9,
        tokens=512,
        covert_bits_per_token=0.0 if tolerance is None else tolerance.covert_bits_per_token,
    )


def _account(script: Script) -> None:
    """What the run took, by the prover's word and by what was counted of the drawn packets."""
    stated = math.fsum(one.flop for stretch in script.stretches for one in stretch.packets)
    by = sorted(script.inspectors)[0]
    facts = Facts(
        period=script.period,
        pods=(script.pod,),
        chips=script.chips,
        declared_flop=script.declared_factor * stated,
        replayed=Replayed(
            stated_flop=stated,
            stated_of_drawn=stated / 2,
            counted_of_drawn=COUNTED_SHARE * stated / 2,
            dirty_share_max=0.02,
        ),
    )
    account = make_account(script.claim, script.accounted_run or script.run, facts, script.terms)
    statement, payload = account_statement(
        account, by=by, origin=Origin.SIMULATED, accounted_at=script.period.end + timedelta(seconds=60)
    )
    predicate = statement.predicate
    if script.stated_factor != 1.0:
        assert hasattr(predicate, "flop_max")
        predicate = predicate.model_copy(
            update={"flop_min": 0.0, "flop_max": script.stated_factor * predicate.flop_max}
        )
    script.say(predicate, script.inspectors[by], account=payload)
