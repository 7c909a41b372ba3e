"""Round trips of a device as landmarks would state them, of which tests break one thing at a time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from inspectorate.canonical import Record, digest_of
from inspectorate.declaration.types import Position
from inspectorate.evidence import Origin, VerifiedStatement, make_statement, sign_statement, verify_envelope
from inspectorate.evidence.custody import RoundTripsMeasured
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.custody.location.judge import Believed
from inspectorate.mechanisms.custody.location.protocol import answer, ask, read_answer
from inspectorate.mechanisms.custody.location.record import OfLandmark, Ping, RoundTrips
from inspectorate.mechanisms.custody.location.region import Landmark
from inspectorate.quantities import Period, to_ns

START = datetime(2024, 11, 1, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(hours=1))
DEVICE, COPY, INSPECTOR = (SigningKey(bytes([n]) * 32) for n in (11, 12, 13))
HERE = Position(latitude_deg=52.0, longitude_deg=5.0)
LANDMARKS = {
    name: Landmark(id=name, position=Position(latitude_deg=latitude, longitude_deg=longitude))
    for name, latitude, longitude in (("east", 52.0, 9.0), ("north", 55.0, 5.0), ("west", 51.0, 1.0))
}
LEAST_MS = {"east": 2.4, "north": 3.0, "west": 2.6}
"""From where the device stands, with something to spare."""
ANCHORS = TrustAnchors(
    anchors=(
        TrustAnchor(
            name="ada", public_key=base64.b64encode(INSPECTOR.public.raw).decode(), holder=Holder.VERIFIER,
            roles=(Role.INSPECTOR,), valid_from=START - timedelta(days=365), valid_until=datetime(2190, 1, 1, tzinfo=UTC),
        ),
    )
)  # fmt: skip
BELIEVED = Believed(landmarks=LANDMARKS, key=DEVICE.public, declared=HERE)


def nonce_of(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def ping(nonce: bytes, ms: float, *, key: SigningKey = DEVICE, at_s: float = 10.0, **changed: object) -> Ping:
    """An answered question."""
    reply = answer(key, ask(nonce))
    assert reply is not None
    read = read_answer(reply)
    assert read is not None
    sent = to_ns(START) + round(at_s * 1e9)
    value = {
        "nonce": nonce.hex(), "sent_ns": str(sent), "received_ns": str(sent + round(ms * 1e6)),
        "round_trip_ns": round(ms * 1e6), "signature": read[1].hex(),
    } | changed  # fmt: skip
    return Ping.model_validate(value)


def pings(name: str, times_ms: Iterable[float], *, key: SigningKey = DEVICE) -> tuple[Ping, ...]:
    return tuple(ping(nonce_of(name, number), ms, key=key, at_s=10 + number) for number, ms in enumerate(times_ms))


def record(of: Mapping[str, tuple[Ping, ...]] | None = None) -> RoundTrips:
    found = of or {name: pings(name, (ms + 3, ms, ms + 1)) for name, ms in LEAST_MS.items()}
    return RoundTrips(
        device="beacon-a",
        landmarks=tuple(OfLandmark(landmark=name, pings=mine) for name, mine in sorted(found.items())),
    )


@dataclass
class Stated:
    """Statements and payloads."""

    payloads: dict[str, bytes] = field(default_factory=dict)

    def payload(self, wanted: str) -> bytes:
        return self.payloads[wanted]

    def statement(self, data: Record | bytes | None = None, **changed: object) -> VerifiedStatement:
        given = record() if data is None else data
        raw = given if isinstance(given, bytes) else given.canonical_bytes()
        self.payloads[digest_of(raw)] = raw
        count = len(given.landmarks) if isinstance(given, RoundTrips) else 1
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "beacon-a", "landmarks": count, "period": PERIOD
        } | changed  # fmt: skip
        predicate = RoundTripsMeasured.model_validate(value)
        envelope = sign_statement(make_statement(predicate, {"round-trips": digest_of(raw)}), INSPECTOR)
        return verify_envelope(envelope, anchors=ANCHORS, where="test")
