"""A whole round of interviews from promise to interviews held, of which tests break one thing at a time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from inspectorate.canonical import Record, digest_of
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.evidence import (
    IntervieweesDrawn,
    InterviewsHeld,
    Origin,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.interviews.roster.draw import draw, order_of
from inspectorate.mechanisms.interviews.roster.judge import Statements
from inspectorate.mechanisms.interviews.roster.listed import OpenedPerson, Openings, RosterList
from inspectorate.mechanisms.interviews.roster.people import KeptRoster, Row, keep
from inspectorate.mechanisms.interviews.roster.selection import Number, Selection, sizes_of
from inspectorate.quantities import Period

START = datetime(2024, 11, 1, tzinfo=UTC)
"""In the past: commands read the clock."""
PROVER, INSPECTOR, OTHER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
SECRET = "5e" * 32
STRATA = {"operations": 12, "research": 8}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hex_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def digest(*parts: object) -> str:
    return "sha256:" + hex_of(*parts)


def _anchor(name: str, key: SigningKey, role: Role, *, holder: Holder = Holder.VERIFIER) -> TrustAnchor:
    return TrustAnchor(
        name=name, public_key=base64.b64encode(key.public.raw).decode(), holder=holder, roles=(role,),
        sensors=("staff-a",) if role is Role.SENSOR else (),
        valid_from=START - timedelta(days=365), valid_until=datetime(2190, 1, 1, tzinfo=UTC),
    )  # fmt: skip


ANCHORS = TrustAnchors(
    anchors=(
        _anchor("staff", PROVER, Role.SENSOR, holder=Holder.PROVER),
        _anchor("ada", INSPECTOR, Role.INSPECTOR),
        _anchor("bob", OTHER, Role.INSPECTOR),
    )
)


def rows(strata: Mapping[str, int] = STRATA, *, first: int = 0) -> tuple[Row, ...]:
    return tuple(
        Row(pseudonym=f"{name[:3]}-{first + number}", role=f"{name} engineer", stratum=name)
        for name, count in strata.items()
        for number in range(count)
    )


def kept(people: Iterable[Row] = (), name: str = "roster-1", before: KeptRoster | None = None) -> KeptRoster:
    """A roster with salts that depend on the pseudonyms only, so that tests repeat."""
    given = tuple(people) or rows()
    salts = iter([hex_of("salt", row.pseudonym) for row in given])
    made = {row.pseudonym: next(salts) for row in given}
    old = {one.pseudonym for one in before.people} if before else set()
    fresh = iter([made[row.pseudonym] for row in given if row.pseudonym not in old])
    return keep(name, given, salt=lambda: next(fresh), before=before)


def selection(replacements_max: int = 0, **counts: int) -> Selection:
    wanted = counts or {"operations": 3, "research": 4}
    return Selection(
        strata={
            name: Number(kind="number", count=count, replacements_max=replacements_max)
            for name, count in wanted.items()
        }
    )


@dataclass
class Round:
    """Statements and payloads of one round; whatever a test changes is signed anew."""

    payloads: dict[str, bytes] = field(default_factory=dict)
    kept: KeptRoster = field(default_factory=kept)
    selection: Selection = field(default_factory=selection)
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
    def listed(self) -> RosterList:
        return self.kept.listed()

    @property
    def promise(self) -> Promise[Selection]:
        return Promise[Selection](secret=self.secret, selection=self.selection)

    @property
    def randomness(self) -> Randomness[Selection]:
        return Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=self.promise))

    def promised(
        self, *, subject: str | None = None, key: SigningKey = INSPECTOR, **changed: object
    ) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "staff-a", "promised_at": START - HOUR
        } | changed  # fmt: skip
        predicate = RandomnessPromised.model_validate(value)
        return self.sign(predicate, {"secret": subject or self.promise.digest}, key)

    def committed(self, listed: RosterList | bytes | None = None, **changed: object) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "reporter": "staff-a", "period": Period(start=START, end=START + 30 * DAY),
            "roster": self.kept.roster, "strata": dict(self.listed.people), "committed_at": START,
            "promise": self.promised().digest if self.named else None,
        } | changed  # fmt: skip
        data = self.listed if listed is None else listed
        return self.sign(RosterCommitted.model_validate(value), {"roster": self.keep(data)}, PROVER)

    def first(self, roster: VerifiedStatement) -> tuple[int, ...]:
        """Whom the randomness draws."""
        seed = seed_of(self.randomness, roster.digest)
        return draw(order_of(seed, self.listed), sizes_of(self.selection, self.listed))

    def drawn(
        self,
        roster: VerifiedStatement,
        *,
        randomness: Record | bytes | None = None,
        key: SigningKey = INSPECTOR,
        **changed: object,
    ) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "staff-a", "roster": roster.digest,
            "promise": self.promised().digest, "drawn": self.first(roster) if "drawn" not in changed else (),
            "drawn_at": START + DAY, "answer_by": START + 2 * DAY,
        } | changed  # fmt: skip
        data = self.randomness if randomness is None else randomness
        return self.sign(IntervieweesDrawn.model_validate(value), {"randomness": self.keep(data)}, key)

    def statements(self) -> Statements:
        roster = self.committed()
        return Statements(roster=roster, drawn=self.drawn(roster), promise=self.promised())

    def opened(
        self,
        drawn: VerifiedStatement,
        entries: Iterable[int],
        *,
        openings: Record | bytes | None = None,
        **changed: object,
    ) -> VerifiedStatement:
        shown = tuple(entries)
        people = self.kept.in_order()
        record = Openings(
            roster=self.kept.roster, people=tuple(OpenedPerson(entry=entry, person=people[entry]) for entry in shown)
        )
        value = {
            "origin": Origin.RECORDED, "reporter": "staff-a", "period": Period(start=START, end=START + 30 * DAY),
            "drawn": drawn.digest, "opened": shown, "opened_at": START + DAY + HOUR,
        } | changed  # fmt: skip
        data = record if openings is None else openings
        return self.sign(RosterOpened.model_validate(value), {"openings": self.keep(data)}, PROVER)

    def held(self, drawn: VerifiedStatement, heard: Iterable[int], **changed: object) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "by": "ada", "drawn": drawn.digest, "form": digest("form"), "heard": tuple(heard),
            "deviations": 0, "period": Period(start=START + 2 * DAY, end=START + 3 * DAY),
        } | changed  # fmt: skip
        return self.sign(InterviewsHeld.model_validate(value), {"records": digest("records")}, INSPECTOR)
