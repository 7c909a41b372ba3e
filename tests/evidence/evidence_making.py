"""Signed statements, streams and bundles to test with: real keys, fixed seeds, no clock."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.evidence import (
    CustodyEvent,
    DeclarationMade,
    FlowExportSegment,
    Origin,
    Segment,
    bundle_contents,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.observed import BundleManifest, CustodyAction, FileEntry
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.quantities import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(minutes=10))
PAYLOAD_TYPE = "application/vnd.in-toto+json"

PROVER = SigningKey(b"\1" * 32)
SENSOR = SigningKey(b"\2" * 32)
JOINT = SigningKey(b"\3" * 32)
BUNDLER = SigningKey(b"\4" * 32)
CUSTODIAN = SigningKey(b"\5" * 32)
STRANGER = SigningKey(b"\6" * 32)
OLD = SigningKey(b"\7" * 32)


def minutes(first: float, last: float) -> Period:
    return Period(start=START + timedelta(minutes=first), end=START + timedelta(minutes=last))


def anchor(name: str, key: SigningKey, *roles: Role, **more: Any) -> TrustAnchor:
    fields = {
        "name": name,
        "public_key": base64.b64encode(key.public.raw).decode(),
        "holder": Holder.VERIFIER,
        "roles": roles,
        "valid_from": START - timedelta(days=1),
        "valid_until": START + timedelta(days=1),
    }
    return TrustAnchor.model_validate({**fields, **more})


ANCHORS = TrustAnchors(
    anchors=(
        anchor("prover", PROVER, Role.DECLARATION, holder=Holder.PROVER),
        anchor("sensor", SENSOR, Role.SENSOR, sensors=("flow-a", "flow-b")),
        anchor("joint", JOINT, Role.SENSOR, sensors=("flow-a",), holder=Holder.JOINT),
        anchor("bundler", BUNDLER, Role.BUNDLE),
        anchor("custodian", CUSTODIAN, Role.CUSTODY),
        anchor("old", OLD, Role.SENSOR, sensors=("flow-a",), valid_until=START + timedelta(minutes=5)),
    )
)


def flow_export(payload: bytes = b"pcap", **changes: Any) -> FlowExportSegment:
    fields = {
        "origin": Origin.RECORDED,
        "sensor": "flow-a",
        "stream": "one",
        "sequence": 0,
        "previous": None,
        "final": True,
        "period": minutes(0, 1),
        "media_type": "application/vnd.tcpdump.pcap",
        "payload_bytes": len(payload),
        "datagrams": 3,
        "dropped": 0,
        "recorder": "test",
    }
    return FlowExportSegment.model_validate({**fields, **changes})


def signed_segment(payload: bytes = b"pcap", *keys: SigningKey, **changes: Any) -> bytes:
    statement = make_statement(flow_export(payload, **changes), {"payload": digest_of(payload)})
    return sign_statement(statement, *(keys or (SENSOR,)))


def signed_declaration(payload: bytes, key: SigningKey = PROVER) -> bytes:
    made = DeclarationMade(origin=Origin.RECORDED, party="p", period=PERIOD, made_at=START)
    return sign_statement(make_statement(made, {"declaration": digest_of(payload)}), key)


def signed_custody(key: SigningKey = CUSTODIAN) -> bytes:
    event = CustodyEvent(
        origin=Origin.RECORDED, action=CustodyAction.SEALED, sensor="flow-a", by="inspector-1", at=START
    )
    return sign_statement(make_statement(event, {"seal": digest_of(b"seal 17")}), key)


def signed_manifest(key: SigningKey = BUNDLER) -> bytes:
    files = {f"payloads/{digest_of(b'x')[7:]}": FileEntry(digest=digest_of(b"x"), size=1)}
    manifest = BundleManifest(origin=Origin.RECORDED, created_at=START, files=files)
    return sign_statement(make_statement(manifest, {"files": digest_of(manifest.canonical_bytes())}), key)


def envelope_of(
    statement: object, *keys: SigningKey, payload_type: str = PAYLOAD_TYPE, raw: bytes | None = None
) -> bytes:
    """An envelope around any JSON value, or any bytes, signed as DSSE says whatever they are."""
    payload = canonical_bytes(statement) if raw is None else raw
    message = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    signatures = [
        {"keyid": key.key_id, "sig": base64.b64encode(key.sign(message)).decode()} for key in keys or (SENSOR,)
    ]
    return canonical_bytes(
        {"payload": base64.b64encode(payload).decode(), "payloadType": payload_type, "signatures": signatures}
    )


GOOD_PAYLOAD = base64.b64decode(json.loads(signed_segment())["payload"])
"""The bytes of a good statement, for whoever wants to alter and sign them."""


def chain(payloads: list[bytes], *, sensor: str = "flow-a", stream: str = "one", first: float = 0.0) -> list[bytes]:
    """The envelopes of a whole stream, one minute each, chained and closed."""
    found: list[bytes] = []
    for i, payload in enumerate(payloads):
        found.append(
            signed_segment(
                payload,
                sensor=sensor,
                stream=stream,
                sequence=i,
                previous=digest_of(found[-1]) if found else None,
                final=i == len(payloads) - 1,
                period=minutes(first + i, first + i + 1),
            )
        )
    return found


def small_bundle() -> dict[str, bytes]:
    """A bundle with a statement of every kind, a payload of each size that matters, and a proof."""
    declaration, pcap, empty = b"{}", b"a pcap of some kind", b""
    envelopes = [*chain([pcap, empty]), signed_declaration(declaration), signed_custody()]
    return bundle_contents(
        envelopes=envelopes,
        payloads={digest_of(data): data for data in (declaration, pcap, empty)},
        proofs={digest_of(envelopes[0]): b"a ledger proof"},
        key=BUNDLER,
        created_at=START,
        origin=Origin.RECORDED,
    )


def smallest_bundle() -> dict[str, bytes]:
    """One statement, its payload and its proof: what every byte of can be tried."""
    envelope = signed_custody()
    return bundle_contents(
        envelopes=[envelope],
        payloads={digest_of(b"seal 17"): b"seal 17"},
        proofs={digest_of(envelope): b"proof"},
        key=BUNDLER,
        created_at=START,
        origin=Origin.RECORDED,
    )


def segment(**changes: Any) -> Segment:
    """A segment as `order_segments` takes it; its digest is made from what identifies it, unless given."""
    fields: dict[str, Any] = {
        "sensor": "flow-a",
        "stream": "one",
        "sequence": 0,
        "period": minutes(0, 1),
        "previous": None,
        "payload_bytes": 100,
        "media_type": "application/vnd.tcpdump.pcap",
        "entries": 3,
        "dropped": 0,
        "final": False,
        "origin": Origin.RECORDED,
        "holders": (Holder.VERIFIER,),
        **changes,
    }
    place = f"{fields['sensor']}/{fields['stream']}/{fields['sequence']}"
    fields.setdefault("payload", digest_of(f"payload of {place}".encode()))
    fields.setdefault("digest", digest_of(f"envelope of {place}".encode()))
    return Segment(**fields)
