"""A whole count from promise to checklist, of which tests break one thing at a time."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from inspectorate.canonical import Record, digest_of
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.evidence import Origin, VerifiedStatement, make_statement, sign_statement, verify_envelope
from inspectorate.evidence.custody import CountDrawn, CountHeld, CountUnit, RegisterHanded
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.custody.counting.checklist import Checklist, Read, Reading
from inspectorate.mechanisms.custody.counting.draw import draw
from inspectorate.mechanisms.custody.counting.held import numbers_of
from inspectorate.mechanisms.custody.counting.judge import Asked, Statements, check_draw
from inspectorate.mechanisms.custody.counting.selection import OfChips, OfSites, Selection
from inspectorate.mechanisms.custody.register import Register, register_of, write_register
from inspectorate.quantities import Period

START = datetime(2024, 11, 1, tzinfo=UTC)
"""In the past: commands read the clock."""
PROVER, INSPECTOR, OTHER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
SECRET = "5e" * 32
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RACKS = {"north": (4, 4, 8, 2, 6, 8), "south": (8, 3, 8, 5)}
"""Chips in the racks of each site."""


def _anchor(name: str, key: SigningKey, role: Role, *, holder: Holder = Holder.VERIFIER) -> TrustAnchor:
    return TrustAnchor(
        name=name, public_key=base64.b64encode(key.public.raw).decode(), holder=holder, roles=(role,),
        sensors=("register-a",) if role is Role.SENSOR else (),
        valid_from=START - timedelta(days=365), valid_until=datetime(2190, 1, 1, tzinfo=UTC),
    )  # fmt: skip


ANCHORS = TrustAnchors(
    anchors=(
        _anchor("operator", PROVER, Role.SENSOR, holder=Holder.PROVER),
        _anchor("ada", INSPECTOR, Role.INSPECTOR),
        _anchor("bob", OTHER, Role.INSPECTOR),
    )
)


def register(racks: Mapping[str, Collection[int]] = RACKS) -> Register:
    rows = [
        (f"{site[:1].upper()}{rack:03d}-{chip:04d}", "h100-sxm", site, f"{site}-c", f"{site}-p", f"r{rack:03d}",
         f"h{chip // 4:03d}", "owner", "working")
        for site, sizes in racks.items()
        for rack, size in enumerate(sizes)
        for chip in range(size)
    ]  # fmt: skip
    names = ("serial", "model", "site", "cluster", "pod", "rack", "host", "owner", "state")
    return register_of(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


BY_SITE = Selection(unit=CountUnit.RACK, rule=OfSites(kind="sites", units={"north": 3, "south": 2}))
BY_CHIP = Selection(unit=CountUnit.RACK, rule=OfChips(kind="chips", chips=5))


@dataclass
class Count:
    """Statements and payloads of one count; whatever a test changes is signed anew."""

    payloads: dict[str, bytes] = field(default_factory=dict)
    table: Register = field(default_factory=register)
    selection: Selection = BY_SITE
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
    def promise(self) -> Promise[Selection]:
        return Promise[Selection](secret=self.secret, selection=self.selection)

    @property
    def randomness(self) -> Randomness[Selection]:
        return Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=self.promise))

    def promised(self, *, key: SigningKey = INSPECTOR, **changed: object) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED,
            "by": "ada",
            "reporter": "register-a",
            "promised_at": START - HOUR,
        } | changed
        return self.sign(RandomnessPromised.model_validate(value), {"secret": self.promise.digest}, key)

    def handed(self, data: bytes | None = None, **changed: object) -> VerifiedStatement:
        value = {
            "origin": Origin.RECORDED, "reporter": "register-a", "period": Period(start=START - DAY, end=START),
            "chain": "chain-1", "sequence": 0, "chips": len(self.table), "handed_at": START,
            "promise": self.promised().digest if self.named else None,
        } | changed  # fmt: skip
        table = write_register(self.table) if data is None else data
        subjects = {"register": self.keep(table), "wiring": self.keep(b"wiring")}
        return self.sign(RegisterHanded.model_validate(value), subjects, PROVER)

    def drawn(
        self, of: VerifiedStatement, *, randomness: Record | bytes | None = None, key: SigningKey = INSPECTOR,
        **changed: object,
    ) -> VerifiedStatement:  # fmt: skip
        sample = draw(self.selection, seed_of(self.randomness, of.digest), self.table)
        value = {
            "origin": Origin.RECORDED, "by": "ada", "reporter": "register-a", "handed": of.digest,
            "promise": self.promised().digest, "unit": self.selection.unit, "drawn": sample.units, "drawn_at": START + DAY,
            "answer_by": START + 2 * DAY,
        } | changed  # fmt: skip
        data = self.randomness if randomness is None else randomness
        return self.sign(CountDrawn.model_validate(value), {"randomness": self.keep(data)}, key)

    def statements(self) -> Statements:
        handed = self.handed()
        return Statements(register=handed, drawn=self.drawn(handed), promise=self.promised())

    def asked(self) -> Asked:
        judged = check_draw(self.statements(), payload=self.payload)
        assert judged.asked is not None, judged.faults
        return judged.asked

    def checklist(
        self, asked: Asked, *, gone: Collection[str] = (), refused: Collection[int] = (), at: datetime | None = None,
        more: Mapping[int, Collection[str]] | None = None,
    ) -> Checklist:  # fmt: skip
        """What an honest counter writes where these serials are gone, these units refused, and these serials are there, too."""
        reads = []
        for unit in asked.sample.units:
            time = at or START + DAY + HOUR
            if unit in refused:
                reads.append(Read(unit=unit, outcome="refused", reason="no key", at=time))
                continue
            rows = asked.units.rows(unit)
            there = [one for one in asked.register.serials.slice(rows.start, len(rows)).to_pylist() if one not in gone]
            reads.append(Read(unit=unit, outcome="opened", at=time, serials=(*there, *(more or {}).get(unit, ()))))
        return Checklist(drawn=asked.digest, blind=True, reading=Reading.LABEL, units=tuple(reads))

    def held(
        self, asked: Asked, checklist: Checklist | bytes, *, key: SigningKey = INSPECTOR, **changed: object
    ) -> VerifiedStatement:
        numbers = vars(numbers_of(asked, checklist)) if isinstance(checklist, Checklist) else dict.fromkeys(
            ("units_opened", "units_refused", "chips_due", "chips_seen", "chips_other"), 0)  # fmt: skip
        value = {
            "origin": Origin.RECORDED, "by": "ada", "drawn": asked.digest,
            "period": Period(start=START + DAY, end=START + 2 * DAY), **numbers,
        } | changed  # fmt: skip
        return self.sign(CountHeld.model_validate(value), {"checklist": self.keep(checklist)}, key)


def random_register(random: np.random.Generator, racks: int, most: int) -> Register:
    """A register of one or two sites with racks of random sizes."""
    sizes = random.integers(1, most + 1, racks).tolist()
    cut = racks // 2
    return register({"north": sizes[:cut], "south": sizes[cut:]} if cut else {"south": sizes})
