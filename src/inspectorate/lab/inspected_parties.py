"""The two sides of an inspected pod: what each of them states, with a key of its own, and what it was given by the other.

An operator keeps the folders of its runs and opens what is drawn. An inspector promises, draws, and later runs again. Both make
their statements by the acts of `inspection.challenge`, as the commands of `inspectorate replay` do.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.errors import EvidenceError
from inspectorate.evidence import (
    Origin,
    PacketsDrawn,
    Statement,
    VerifiedStatement,
    WorkCommitted,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.act import Act, Who
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.inspection.challenge import acts
from inspectorate.mechanisms.inspection.challenge.judge import Draw, Statements, check_draw
from inspectorate.mechanisms.inspection.challenge.opening import Opened, check_opening
from inspectorate.mechanisms.inspection.challenge.promise import Method, Promise, Selection
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader

REPORTER = "transcripts"


@dataclass(kw_only=True)
class Table:
    """All that was stated by both, in order: statements and payloads, on one table that both can see."""

    anchors: TrustAnchors
    statements: list[VerifiedStatement] = field(default_factory=list)
    envelopes: list[bytes] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def put(self, statement: Statement, key: SigningKey, payloads: Sequence[bytes] = ()) -> VerifiedStatement:
        """Sign a statement and lay it down. Raises `RejectedEvidence` where the other side would not believe it."""
        envelope = sign_statement(statement, key)
        verified = verify_envelope(envelope, anchors=self.anchors, where="table")
        self.statements.append(verified)
        self.envelopes.append(envelope)
        self.payloads |= {digest_of(payload): payload for payload in payloads}
        return verified

    def act(self, act: Act, key: SigningKey) -> VerifiedStatement:
        return self.put(make_statement(act.predicate, dict(act.subjects)), key, act.payloads)

    def payload(self, digest: str) -> bytes:
        if digest not in self.payloads:
            raise EvidenceError("is not on the table", where=f"payload {digest[:19]}…")
        return self.payloads[digest]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One stretch of one run, from its promise to what was opened of it."""

    run: str
    commitment: VerifiedStatement
    judged: Draw
    drawn: VerifiedStatement
    answer: VerifiedStatement
    opened: Opened

    @property
    def numbers(self) -> tuple[int, ...]:
        said = self.drawn.predicate
        assert isinstance(said, PacketsDrawn)
        return said.packets


@dataclass(kw_only=True)
class Inspector:
    """Promises before a stretch begins, and draws when it is committed to."""

    name: str
    key: SigningKey
    table: Table
    selection: Selection
    _promises: dict[str, Promise] = field(default_factory=dict)

    @classmethod
    def make(cls, name: str, key: SigningKey, table: Table, *, points: int) -> Inspector:
        return cls(name=name, key=key, table=table, selection=Selection(method=Method.TIME, count=points))

    def promise(self) -> str:
        """Fix a secret; the digest of the statement."""
        made, act = acts.make_promise(self.selection, os.urandom(SECRET_BYTES), self._who(), reporter=REPORTER)
        digest = self.table.act(act, self.key).digest
        self._promises[digest] = made
        return digest

    def draw(self, commitment: VerifiedStatement, *, answer_within: timedelta) -> VerifiedStatement:
        """Reveal the secret that a commitment names, and with it the packets."""
        said = commitment.predicate
        assert isinstance(said, WorkCommitted)
        assert said.promise is not None
        randomness = acts.revealed(self._promises.pop(said.promise))
        act = acts.make_draw(
            commitment, randomness, self._who(), payload=self.table.payload, answer_within=answer_within,
            promise=said.promise,
        )  # fmt: skip
        return self.table.act(act, self.key)

    def _who(self) -> Who:
        return Who(name=self.name, at=datetime.now(UTC), origin=Origin.RECORDED)


@dataclass(kw_only=True)
class Operator:
    """Keeps the folders of its runs, commits to what is new in them, and opens what is drawn."""

    key: SigningKey
    table: Table
    refuses: frozenset[int] = frozenset()
    """Packets that it will not show."""

    def commit(self, folder: Path, claim: str, promise: str) -> VerifiedStatement:
        """Commit to all packets that are new. Raises `InputError` where there are none."""
        stretch = acts.Stretch(claim=claim, promise=promise)
        earlier = [one for one in self.table.statements if isinstance(one.predicate, WorkCommitted)]
        return self.table.act(
            acts.make_commitment(FolderReader(folder), stretch, self._who(), earlier=earlier), self.key
        )

    def answer(self, folder: Path, commitment: VerifiedStatement, drawn: VerifiedStatement) -> Round:
        """Open what was drawn, once the draw was found to be fair. Raises `EvidenceError` where it is not."""
        asked = drawn.predicate
        assert isinstance(asked, PacketsDrawn)
        promise = next((one for one in self.table.statements if one.digest == asked.promise), None)
        judged = check_draw(Statements(commitment=commitment, drawn=drawn, promise=promise), payload=self.table.payload)
        if judged.asked is None:
            raise acts.refusal("the draw is not fair", judged.faults, where=drawn.digest)
        reader = FolderReader(folder)
        refused = self.refuses & set(asked.packets)
        answer = self.table.act(acts.make_opening(reader, judged.asked, self._who(), refuse=refused), self.key)
        opened = check_opening(judged.asked, [answer], payload=self.table.payload, as_of=asked.answer_by)
        return Round(
            run=reader.header.run, commitment=commitment, judged=judged, drawn=drawn, answer=answer, opened=opened
        )

    def _who(self) -> Who:
        return Who(name=REPORTER, at=datetime.now(UTC), origin=Origin.RECORDED)
