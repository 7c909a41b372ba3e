"""Take a recorded site apart and sign it again with keys of the test's own, changed in one way.

What a test changes (names, order, missing parts) then reaches the review through valid signatures, as it would if the
parties themselves had changed it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspectorate.agreement import load_agreement
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration, parse_declaration
from inspectorate.evidence import (
    Bundle,
    DeclarationMade,
    FlowExportSegment,
    Memory,
    make_statement,
    read_statements,
    sign_statement,
)
from inspectorate.evidence.bundle import Files
from inspectorate.keys import Holder, LedgerAnchor, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.ledger import KeyKind, MemoryLog, VerifierKey
from inspectorate.review import Review, review
from inspectorate.submission import ledger_entry, submit

ORIGIN = "test.example/log"
KEY = SigningKey(bytes(range(32)))
AS_OF = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass
class Taken:
    """A site in parts: segments by sensor in order, payloads, the declaration."""

    declaration: Declaration
    segments: dict[str, list[FlowExportSegment]]
    payload_of: dict[tuple[str, int], str]
    payloads: dict[str, bytes] = field(default_factory=dict)


def take_apart(site: Path) -> Taken:
    """Open a recorded site with its own anchors."""
    anchors = TrustAnchors.read(site / "anchors.yaml")
    bundle = Bundle.open(site / "site.tar", anchors=anchors)
    statements, problems = read_statements(bundle, anchors=anchors)
    assert not problems
    segments: dict[str, list[FlowExportSegment]] = {}
    payload_of: dict[tuple[str, int], str] = {}
    declaration = None
    for statement in statements:
        digest = statement.statement.subject[0].digest_text
        if isinstance(statement.predicate, FlowExportSegment):
            segments.setdefault(statement.predicate.sensor, []).append(statement.predicate)
            payload_of[statement.predicate.sensor, statement.predicate.sequence] = digest
        elif isinstance(statement.predicate, DeclarationMade):
            declaration = parse_declaration(bundle.payload(digest), where="declaration")
    assert declaration is not None
    for members in segments.values():
        members.sort(key=lambda segment: segment.sequence)
    payloads = {digest: bundle.payload(digest) for digest in payload_of.values()}
    return Taken(declaration=declaration, segments=segments, payload_of=payload_of, payloads=payloads)


def renamed(taken: Taken, names: Mapping[str, str]) -> Taken:
    """The same site with its pods, and the sensors named after them, under other names."""

    def new(text: str) -> str:
        for old, other in names.items():
            text = text.replace(old, f"<{other}>")
        return text.replace("<", "").replace(">", "")

    declaration = Declaration.model_validate_json(new(taken.declaration.model_dump_json()))
    segments = {
        new(sensor): [segment.model_copy(update={"sensor": new(sensor)}) for segment in members]
        for sensor, members in taken.segments.items()
    }
    payload_of = {(new(sensor), number): digest for (sensor, number), digest in taken.payload_of.items()}
    return Taken(declaration=declaration, segments=segments, payload_of=payload_of, payloads=taken.payloads)


def sign_again(
    taken: Taken, *, leave_out: Callable[[FlowExportSegment], bool] = lambda segment: False,
    log: MemoryLog | None = None, since: tuple[int, ...] = (),
) -> tuple[Memory, TrustAnchors]:  # fmt: skip
    """A bundle of the parts under the test's key, without the segments that are left out, and anchors that trust it.

    `log` may hold entries from before; `since` are sizes of it that the bundle proves to be its beginning.
    """
    log = log or MemoryLog(ORIGIN, KEY)
    envelopes: list[bytes] = []
    payloads: dict[str, bytes] = {}
    for sensor, members in taken.segments.items():
        previous = None
        for segment in members:
            digest = taken.payload_of[sensor, segment.sequence]
            signed = sign_statement(
                make_statement(segment.model_copy(update={"previous": previous}), {"payload": digest}), KEY
            )
            previous = digest_of(signed)
            if leave_out(segment):
                continue
            log.append([ledger_entry(signed)])
            envelopes.append(signed)
            payloads[digest] = taken.payloads[digest]
    period = taken.declaration.period
    contents = submit(
        envelopes=envelopes,
        payloads=payloads,
        declaration=taken.declaration,
        declaration_key=KEY,
        log=log,
        bundle_key=KEY,
        created_at=period.end + timedelta(hours=1),
        origin=next(iter(taken.segments.values()))[0].origin,
        since=since,
    )
    anchor = TrustAnchor(
        name="tester",
        public_key=base64.b64encode(KEY.public.raw).decode(),
        holder=Holder.JOINT,
        roles=(Role.SENSOR, Role.DECLARATION, Role.BUNDLE),
        sensors=tuple(taken.segments),
        valid_from=period.start - timedelta(days=1),
        valid_until=period.end + timedelta(days=1),
    )
    ledger = LedgerAnchor(origin=ORIGIN, key=VerifierKey.of(KEY, name=ORIGIN, kind=KeyKind.LOG).text)
    return Memory(contents), TrustAnchors(anchors=(anchor,), ledgers=(ledger,))


def review_files(
    files: Files, anchors: TrustAnchors, *, as_of: datetime = AS_OF, earlier: Sequence[Bundle] = ()
) -> Review:
    return review(
        Bundle.check(files, anchors=anchors),
        agreement=load_agreement("inference-only"),
        anchors=anchors,
        as_of=as_of,
        interval_s=60.0,
        earlier=earlier,
    )
