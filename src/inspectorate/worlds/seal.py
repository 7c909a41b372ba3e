"""From received datagrams to a bundle: the collector's own cutting and sealing, a ledger in memory, the operator's submission.

1. Datagrams go through the same `Collector` and `Sealer` as those of a socket, so segments and statements are the same.
2. A fault may reshape segments before they are signed, and replace or drop signed ones.
3. What is to be logged goes into a log in memory, in order; the bundle is made by `submission.submit`.
4. A fault may spoil files of the finished bundle.

Every statement says `simulated`. All keys come from the seed of the world: they protect nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import Origin
from inspectorate.evidence.sealing import Sealer
from inspectorate.keys import Holder, LedgerAnchor, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.ledger import KeyKind, MemoryLog, VerifierKey
from inspectorate.mechanisms.interconnect.collector import ClosedSegment, Collector
from inspectorate.mechanisms.interconnect.segments import Datagrams
from inspectorate.quantities import Period, to_ns
from inspectorate.submission import ledger_entry, submit
from inspectorate.worlds import model
from inspectorate.worlds.exporter import endpoint
from inspectorate.worlds.faults import Sealed, Segments, Tampering
from inspectorate.worlds.gateway import Filed
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.telemetry import Measured

LEDGER_ORIGIN = "simulated-site.example/log"
STREAM = "simulated-stream"
NOTHING_MEASURED = Measured()
RECORDER = "inspectorate worlds: simulated"
_MARGIN = timedelta(days=1)


def key_of(seed: int, name: str) -> SigningKey:
    """The key that a world of this seed uses under a name. Anybody can compute it."""
    return SigningKey(hashlib.sha256(f"simulated world {seed}: {name}".encode()).digest())


def make_anchors(seed: int, sensors: Sequence[str], period: Period, others: Sequence[TrustAnchor] = ()) -> TrustAnchors:
    """What a reviewer of a simulated site trusts; every name says that it is simulated."""

    def anchor(name: str, holder: Holder, role: Role, speaks_for: tuple[str, ...] = ()) -> TrustAnchor:
        return TrustAnchor(
            name=f"simulated-{name}",
            public_key=base64.b64encode(key_of(seed, name).public.raw).decode(),
            holder=holder,
            roles=(role,),
            sensors=speaks_for,
            valid_from=period.start - _MARGIN,
            valid_until=period.end + _MARGIN,
        )

    log_key = VerifierKey.of(key_of(seed, "log"), name=LEDGER_ORIGIN, kind=KeyKind.LOG)
    return TrustAnchors(
        anchors=(
            anchor("operator", Holder.PROVER, Role.DECLARATION),
            anchor("collector", Holder.VERIFIER, Role.SENSOR, tuple(sensors)),
            anchor("bundler", Holder.PROVER, Role.BUNDLE),
            *others,
        ),
        ledgers=(LedgerAnchor(origin=LEDGER_ORIGIN, key=log_key.text),),
    )


@dataclass
class _MemorySpool:
    """Files by name, as `DiskSpool` would keep them."""

    files: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, chunks: Sequence[bytes | memoryview]) -> None:
        self.files[name] = b"".join(chunks)


def collect(received: Sequence[Datagrams], period: Period) -> Segments:
    """Step 1: the segments of every sensor, from `LEAD_S` before the period to `TAIL_S` after it."""
    found: Segments = {part.sensor: [] for part in received}
    start_ns = to_ns(period.start) - round(model.LEAD_S * NS_PER_S)
    end_ns = to_ns(period.end) + round(model.TAIL_S * NS_PER_S)
    listening = {part.sensor: endpoint(number) for number, part in enumerate(received)}

    def keep(closed: ClosedSegment) -> None:
        found[closed.sensor].append(closed)

    collector = Collector(listening, keep, start_ns=start_ns, segment_s=model.SEGMENT_S)
    for part in received:
        collector.feed(part)
    collector.close(end_ns)
    return found


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """What `seal_bundle` made."""

    files: dict[str, bytes]
    segments: Segments


def seal_bundle(
    segments: Segments,
    *,
    seed: int,
    declaration: Declaration,
    tampering: Tampering | None = None,
    stated: Sequence[Filed] = (),
    measured: Measured = NOTHING_MEASURED,
) -> Sealing:
    """Steps 2 to 4. `stated` is what reporters said, logged after the segments; `measured` comes last."""
    if tampering is not None and tampering.reshape is not None:
        segments = tampering.reshape(segments)
    payloads: dict[str, bytes] = {}
    collector_key = key_of(seed, "collector")

    def seal(closed: Sequence[ClosedSegment], trusted: bool) -> list[Sealed]:
        return _seal_stream(closed, collector_key if trusted else key_of(seed, "stranger"), payloads)

    sealed: Mapping[str, list[Sealed]] = {sensor: seal(closed, True) for sensor, closed in segments.items()}
    if tampering is not None and tampering.forge is not None:
        sealed = tampering.forge(segments, dict(sealed), seal)
    # In order of time, as a collector would have logged them.
    everything = sorted((item for items in sealed.values() for item in items), key=lambda s: (s.sequence, s.sensor))
    log = MemoryLog(LEDGER_ORIGIN, key_of(seed, "log"))
    log.append([ledger_entry(item.envelope) for item in everything if item.logged])
    if stated:
        log.append([ledger_entry(envelope) for envelope, _ in stated])
    if measured.envelopes:
        log.append([ledger_entry(envelope) for envelope in measured.envelopes])
    bundled = [item for item in everything if item.bundled]
    contents = submit(
        envelopes=[*(item.envelope for item in bundled), *(envelope for envelope, _ in stated), *measured.envelopes],
        payloads={item.payload: payloads[item.payload] for item in bundled}
        | {digest_of(payload): payload for _, payload in stated}
        | dict(measured.payloads),
        declaration=declaration,
        declaration_key=key_of(seed, "operator"),
        log=log,
        bundle_key=key_of(seed, "bundler"),
        created_at=declaration.period.end + timedelta(minutes=5),
        origin=Origin.SIMULATED,
    )
    if tampering is not None and tampering.spoil is not None:
        contents = tampering.spoil(contents)
    return Sealing(files=contents, segments=segments)


def _seal_stream(closed: Sequence[ClosedSegment], key: SigningKey, payloads: dict[str, bytes]) -> list[Sealed]:
    spool = _MemorySpool()
    digests: list[bytes] = []
    names = [digest_of(b"".join(segment.chunks)) for segment in closed]
    sealer = Sealer(spool, key, stream=STREAM, origin=Origin.SIMULATED, recorder=RECORDER, on_statement=digests.append)
    for segment in closed:
        sealer.seal(segment)
    payloads.update({name: spool.files["payloads/" + name.removeprefix("sha256:")] for name in names})
    return [
        Sealed(
            sensor=segment.sensor,
            sequence=segment.sequence,
            envelope=spool.files[f"statements/{digest.hex()}.json"],
            payload=name,
        )
        for segment, digest, name in zip(closed, digests, names, strict=True)
    ]
