"""A whole exchange from promise to opening, of which tests break one thing at a time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from inspectorate.canonical import Record, digest_of
from inspectorate.evidence import (
    Origin,
    PacketsDrawn,
    PacketsOpened,
    RandomnessPromised,
    VerifiedStatement,
    WorkCommitted,
    WorkKind,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.inspection.challenge.draw import draw
from inspectorate.mechanisms.inspection.challenge.judge import Statements
from inspectorate.mechanisms.inspection.challenge.opening import Openings, seams_of
from inspectorate.mechanisms.inspection.challenge.promise import Method, Promise, Randomness, Revealed, Selection
from inspectorate.mechanisms.inspection.transcripts.types import (
    Checkpoint,
    Packet,
    PacketList,
    Stack,
    TrainingContent,
    TrainingHeader,
)
from inspectorate.quantities import Period, from_ns, to_ns

START = datetime(2024, 11, 1, tzinfo=UTC)
"""In the past: commands read the clock."""
PROVER, INSPECTOR, OTHER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
SECRET = "5e" * 32
FIVE = Selection(method=Method.PACKETS, count=5)


def hex_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def digest(*parts: object) -> str:
    return "sha256:" + hex_of(*parts)


def _anchor(name: str, key: SigningKey, role: Role, *, holder: Holder = Holder.VERIFIER) -> TrustAnchor:
    return TrustAnchor(
        name=name, public_key=_base64(key), holder=holder, roles=(role,),
        sensors=("jobs-a",) if role is Role.SENSOR else (),
        valid_from=START - timedelta(days=365), valid_until=datetime(2190, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def _base64(key: SigningKey) -> str:
    return base64.b64encode(key.public.raw).decode()


ANCHORS = TrustAnchors(
    anchors=(
        _anchor("jobs", PROVER, Role.SENSOR, holder=Holder.PROVER),
        _anchor("ada", INSPECTOR, Role.INSPECTOR),
        _anchor("bob", OTHER, Role.INSPECTOR),
    )
)

HEADER = TrainingHeader(
    work=WorkKind.TRAINING, run="run-1", code=digest("code"), stack=Stack(hardware="x86", versions={}, deterministic=True),
    hyper_parameters={"lr": 0.1}, optimiser="sgd", seed=hex_of("seed"), seed_random=hex_of("random"), data=digest("data"),
    weights_first=digest("weights"),
)  # fmt: skip


def packet(number: int, start_ns: int, end_ns: int) -> Packet:
    state = [Checkpoint(weights=digest("w", n), optimiser=digest("o", n)) for n in (number, number + 1)]
    return Packet(
        number=number, start_ns=start_ns, end_ns=end_ns, flop=1e9, salt=hex_of("salt", number),
        content=TrainingContent(
            work=WorkKind.TRAINING, first_step=number, steps=1, before=state[0], after=state[1],
            batches=(digest("batch", number),),
        ),
    )  # fmt: skip


def packets(lengths_s: Iterable[float] = (60.0,) * 20, first: int = 0) -> tuple[Packet, ...]:
    found, at = [], to_ns(START)
    for number, length in enumerate(lengths_s, first):
        found.append(packet(number, at, at + int(length * 1e9)))
        at = found[-1].end_ns + 1_000_000
    return tuple(found)


def listed(of: tuple[Packet, ...], **changed: object) -> PacketList:
    value = {
        "run": "run-1", "sequence": 0, "first": of[0].number if of else 0,
        "before": hex_of("before") if of and of[0].number else None,
        "start_ns": tuple(p.start_ns for p in of), "end_ns": tuple(p.end_ns for p in of),
        "flop": tuple(p.flop for p in of), "leaves": tuple(p.leaf for p in of),
    } | changed  # fmt: skip
    return PacketList.model_validate(value)


@dataclass
class Exchange:
    """Statements and payloads of one draw; whatever a test changes is signed anew."""

    payloads: dict[str, bytes] = field(default_factory=dict)
    packets: tuple[Packet, ...] = field(default_factory=packets)
    selection: Selection = FIVE
    secret: str = SECRET
    named: bool = True

    def keep(self, record: Record | bytes) -> str:
        data = record if isinstance(record, bytes) else record.canonical_bytes()
        self.payloads[digest_of(data)] = data
        return digest_of(data)

    def payload(self, wanted: str) -> bytes:
        return self.payloads[wanted]

    def sign(self, predicate: Predicate, subjects: dict[str, str], key: SigningKey) -> VerifiedStatement:
        return verify_envelope(sign_statement(make_statement(predicate, subjects), key), anchors=ANCHORS, where="test")

    @property
    def promise(self) -> Promise:
        return Promise(secret=self.secret, selection=self.selection)

    def promised(
        self, *, subject: str | None = None, key: SigningKey = INSPECTOR, **changed: object
    ) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "jobs-a", "promised_at": START - timedelta(hours=1)
        } | changed  # fmt: skip
        predicate = RandomnessPromised.model_validate(value)
        return self.sign(predicate, {"secret": subject or self.promise.digest}, key)

    def committed(self, listed_as: PacketList | bytes | None = None, **changed: object) -> VerifiedStatement:
        of = self.packets
        end = from_ns(of[-1].end_ns) if of else START + timedelta(hours=1)
        value = {
            "origin": Origin.RECORDED, "reporter": "jobs-a", "period": Period(start=START, end=end), "claim": "claim-1",
            "run": "run-1", "work": WorkKind.TRAINING, "sequence": 0, "final": True, "packets": len(of),
            "header": digest_of(HEADER.canonical_bytes()), "flop_stated": 1e9 * len(of),
            "promise": self.promised().digest if self.named else None,
        } | changed  # fmt: skip
        body = listed(of) if listed_as is None else listed_as
        return self.sign(WorkCommitted.model_validate(value), {"packets": self.keep(body)}, PROVER)

    def randomness(self) -> Randomness:
        return Randomness(source=Revealed(kind="commit-reveal", promise=self.promise))

    def drawn(
        self,
        commitment: VerifiedStatement,
        *,
        randomness: Randomness | bytes | None = None,
        key: SigningKey = INSPECTOR,
        names: str | None = None,
        **changed: object,
    ) -> VerifiedStatement:
        source = self.randomness() if randomness is None else randomness
        by = listed(self.packets)
        numbers = draw(source, commitment.digest, by) if isinstance(source, Randomness) and by.leaves else (0,)
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "jobs-a", "commitment": names or commitment.digest,
            "promise": self.promised().digest, "packets": numbers, "drawn_at": START + timedelta(hours=2),
            "answer_by": START + timedelta(hours=26),
        } | changed  # fmt: skip
        return self.sign(PacketsDrawn.model_validate(value), {"randomness": self.keep(source)}, key)

    def statements(self) -> Statements:
        commitment = self.committed()
        return Statements(commitment=commitment, drawn=self.drawn(commitment), promise=self.promised())

    def openings(self, shown: tuple[Packet, ...], drawn: VerifiedStatement, **changed: object) -> Openings:
        """These packets, with the one before each that was drawn."""
        assert isinstance(drawn.predicate, PacketsDrawn)
        before = seams_of(drawn.predicate.packets, WorkKind.TRAINING)
        seams = tuple(p for p in self.packets if p.number in before)
        value = {"sequence": 0, "header": HEADER, "packets": shown, "seams": seams} | changed
        return Openings.model_validate(value)

    def opened(
        self,
        drawn: VerifiedStatement,
        numbers: Iterable[int],
        *,
        openings: Openings | bytes | None = None,
        answers: str | None = None,
        **changed: object,
    ) -> VerifiedStatement:
        by_number = {p.number: p for p in self.packets}
        shown = tuple(by_number[n] for n in sorted(numbers))
        value = {
            "origin": Origin.RECORDED, "reporter": "jobs-a", "period": Period(start=START, end=START + timedelta(hours=1)),
            "drawn": answers or drawn.digest, "opened": tuple(p.number for p in shown), "opened_at": START + timedelta(hours=3),
        } | changed  # fmt: skip
        body = self.openings(shown, drawn) if openings is None else openings
        return self.sign(PacketsOpened.model_validate(value), {"openings": self.keep(body)}, PROVER)
