"""The bundle of a fleet: half a year of 20 sites and 200,000 chips under the illustrative agreement, with counts and seals beside
it.

A chain of three registers with their wiring, 40 acquisitions, 60 transfers with notice, approvals, departure and arrival, 20
destructions, three counts of 2,000 drawn chips, a seal on the racks of every pod that is checked every 30 days and put on anew
after each count, and a challenge inspection. All of it is signed, logged and written to disk. It is a load, and no world: nobody
opens a seal for what moves.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.evidence import (
    AccessLogged,
    AccessStep,
    ChipsAcquired,
    ChipsMoved,
    CountDrawn,
    CountHeld,
    CountUnit,
    DestructionCertified,
    InspectionRequested,
    Origin,
    Passage,
    RandomnessPromised,
    RegisterHanded,
    SealApplied,
    SealChecked,
    SealDecision,
    TransferDecided,
    TransferNotified,
    make_statement,
    sign_statement,
    write_bundle,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import SigningKey
from inspectorate.ledger import KeyKind, MemoryLog, VerifierKey
from inspectorate.mechanisms.custody.counting.checklist import Checklist, Read, Reading
from inspectorate.mechanisms.custody.counting.draw import draw
from inspectorate.mechanisms.custody.counting.selection import OfChips, Selection
from inspectorate.mechanisms.custody.register import (
    Register,
    register_of,
    units,
    wiring_of,
    write_register,
    write_serials,
    write_wiring,
)
from inspectorate.mechanisms.custody.register.serials import serials_of
from inspectorate.quantities import Period
from inspectorate.submission import ledger_entry, submit

SITES, PODS, RACKS, HOSTS, CHIPS = 20, 10, 25, 5, 8
"""20 sites of 10 pods of 25 racks of 5 hosts of 8 chips: 200,000."""
ACQUIRED, TRANSFERS, DESTROYED, DRAWN = 40, 60, 20, 2_000
START = datetime(2026, 1, 5, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(days=180))
ORIGIN = "bench.example/log"
NOWHERE = -1
Numbers = NDArray[np.int64]
MODEL, PARTY, KEEPER = "h100-sxm", "party-a", "register"
COLUMNS = ("serial", "model", "site", "cluster", "pod", "rack", "host", "owner", "state")
MORE_CLAUSES = """
- id: counted-chips
  title: Chips are where the register says
  source: {document: bench, article: "1"}
  holds_from: 2025-11-17T00:00:00Z
  parameters: {kind: counted-chips, counted_every_s: 8640000.0, answer_within_s: 172800.0, missing_share_max: 0.01,
               misplaced_share_max: 0.001, held_between: counts}
- id: sealed-places
  title: Racks stay under seal
  source: {document: bench, article: "2"}
  holds_from: 2025-11-17T00:00:00Z
  parameters: {kind: sealed-places, checked_every_s: 3024000.0}
"""


def agreement() -> Agreement:
    """The illustrative agreement with a clause on counts and one on seals."""
    value = load_agreement("asi-agreement").model_dump(mode="json")
    value["clauses"] += yaml.safe_load(MORE_CLAUSES)
    return Agreement.model_validate(value)


def pods() -> Iterator[tuple[str, str]]:
    yield from ((f"site-{s:02}", f"pod-{s:02}-{p:02}") for s in range(SITES) for p in range(PODS))


def declaration() -> Declaration:
    """The fleet as it is declared, and who keeps its register."""
    sites: list[dict[str, object]] = [
        {
            "id": f"site-{s:02}",
            "location": "bench",
            "position": {"latitude_deg": 30.0 + s, "longitude_deg": 5.0 * s},
            "clusters": [
                {
                    "id": f"cluster-{s:02}",
                    "pods": [
                        {
                            "id": f"pod-{s:02}-{p:02}",
                            "chips": [{"model": MODEL, "count": RACKS * HOSTS * CHIPS}],
                            "networks": [f"10.{s}.{p}.0/24"],
                        }
                        for p in range(PODS)
                    ],
                }
            ],
        }
        for s in range(SITES)
    ]
    sites[0]["reporters"] = [{"id": KEEPER, "kind": "register", "holder": "prover", "pods": [pod for _, pod in pods()]}]
    return Declaration.model_validate({"id": "fleet", "party": PARTY, "period": PERIOD, "sites": sites})


@dataclass
class Fleet:
    """All chips as columns, by a number that is also in the serial; and what was said of them."""

    key: SigningKey
    inspectors: tuple[SigningKey, SigningKey]
    place: Numbers = field(default_factory=lambda: np.arange(SITES * PODS * RACKS * HOSTS * CHIPS))
    """The slot of every chip, counted through sites, pods, racks, hosts."""
    handed: int = 0
    previous: str | None = None
    since: datetime = START - timedelta(days=10)
    envelopes: list[bytes] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def say(self, predicate: Predicate, key: SigningKey, **subjects: bytes) -> str:
        self.payloads.update({digest_of(data): data for data in subjects.values()})
        return self.sign(predicate, key, {name: digest_of(data) for name, data in subjects.items()})

    def sign(self, predicate: Predicate, key: SigningKey, subjects: dict[str, str]) -> str:
        envelope = sign_statement(make_statement(predicate, subjects), key)
        self.envelopes.append(envelope)
        return digest_of(envelope)

    def table(self, chips: Numbers) -> Register:
        """These chips where they stand."""
        slot = self.place[chips]
        host, rack = slot // CHIPS, slot // (CHIPS * HOSTS)
        pod = rack // RACKS
        names = [f"pod-{p // PODS:02}-{p % PODS:02}" for p in range(SITES * PODS)]

        def named(codes: Numbers, texts: list[str]) -> pa.Array:
            return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(texts)).cast(pa.string())

        racks = [f"{names[r // RACKS]}-r{r % RACKS:02}" for r in range(SITES * PODS * RACKS)]
        hosts = [f"{racks[h // HOSTS]}-h{h % HOSTS}" for h in range(SITES * PODS * RACKS * HOSTS)]
        one = np.zeros(len(chips), dtype=np.int64)
        return register_of(
            {
                "serial": pa.array([f"SN{number:08}" for number in chips.tolist()]),
                "model": named(one, [MODEL]),
                "site": named(pod // PODS, [f"site-{s:02}" for s in range(SITES)]),
                "cluster": named(pod // PODS, [f"cluster-{s:02}" for s in range(SITES)]),
                "pod": named(pod, names),
                "rack": named(rack, racks),
                "host": named(host, hosts),
                "owner": named(one, [PARTY]),
                "state": named(one, ["working"]),
            }
        )


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def moment(day: float) -> Period:
    """A report of one moment still has a period."""
    return Period(start=at(day) - timedelta(hours=1), end=at(day))


def serials(chips: Numbers) -> bytes:
    return write_serials(serials_of(f"SN{number:08}" for number in chips.tolist()))


def build(folder: Path) -> dict[str, object]:
    """Write bundle, agreement and anchors; returns what is in them."""
    keys = [SigningKey(bytes([number]) * 32) for number in range(1, 5)]
    fleet = Fleet(key=keys[1], inspectors=(keys[2], keys[3]))
    # The last host of half the pods of each site is free: for what is bought, or moved there.
    free = [(site * PODS + pod + 1) * RACKS * HOSTS * CHIPS - CHIPS for pod in range(5) for site in range(SITES)]
    for slot in free:
        fleet.place[slot : slot + CHIPS] = NOWHERE
    for _, happens in sorted(_events(fleet, free), key=lambda event: event[0]):
        happens()
    _seals(fleet)
    _challenge(fleet)
    log = MemoryLog(ORIGIN, keys[0])
    log.append([ledger_entry(envelope) for envelope in fleet.envelopes])
    contents = submit(
        envelopes=fleet.envelopes,
        payloads=fleet.payloads,
        declaration=declaration(),
        declaration_key=keys[0],
        log=log,
        bundle_key=keys[0],
        created_at=at(182),
        origin=Origin.SIMULATED,
    )
    write_bundle(contents, folder / "bundle")
    _write_trust(folder, keys)
    size = sum(map(len, fleet.payloads.values()))
    return {"statements": len(fleet.envelopes), "bytes": size, "chips": int((fleet.place >= 0).sum())}


def _events(fleet: Fleet, free: list[int]) -> Iterator[tuple[float, Callable[[], None]]]:
    """Everything that happens, with its day."""
    for day in (-2.0, 88.0, 178.0):
        yield day, partial(_register, fleet, day)
    for number in range(ACQUIRED):
        yield 5.1 + 4 * number, partial(_acquire, fleet, free[number], 5.1 + 4 * number)
    for number in range(TRANSFERS):
        source = ((number % SITES) * PODS + 6) * RACKS * HOSTS * CHIPS + (number // SITES) * CHIPS
        day = 2.2 + 2.5 * number
        notice: dict[str, str] = {}
        yield day, partial(_notify, fleet, notice, (number, source, free[ACQUIRED + number]), day)
        yield day + 15, partial(_leave, fleet, notice, source, day + 15)
        yield day + 18, partial(_arrive, fleet, notice, (source, free[ACQUIRED + number]), day + 18)
    for number in range(DESTROYED):
        slot = (number * PODS + 8) * RACKS * HOSTS * CHIPS
        yield 10.3 + 7 * number, partial(_destroy, fleet, slot, 10.3 + 7 * number)


def _register(fleet: Fleet, day: float) -> None:
    """A promise, a register with its wiring, a draw and a count."""
    number = fleet.handed
    promise = Promise[Selection](
        secret=bytes([number + 1] * 32).hex(),
        selection=Selection(unit=CountUnit.HOST, rule=OfChips(kind="chips", chips=DRAWN)),
    )
    promised = fleet.sign(
        RandomnessPromised(origin=Origin.SIMULATED, by="north", reporter=KEEPER, promised_at=at(day - 1)),
        fleet.inspectors[0],
        {"secret": promise.digest},
    )
    chips = np.flatnonzero(fleet.place >= 0)
    table = fleet.table(chips)
    hosts = table.column("host").names
    wiring = wiring_of(
        [
            *((host, f"leaf-{host.rpartition('-h')[0]}", 400 * 10**9) for host in hosts),
            *(
                (f"leaf-{rack}", f"spine-{rack.rpartition('-r')[0]}", 800 * 10**9)
                for rack in table.column("rack").names
            ),
            *((f"spine-{pod}", f"way-out-{site}", 10 * 10**9) for site, pod in pods()),
        ]
    )
    fleet.previous = fleet.say(
        RegisterHanded(
            origin=Origin.SIMULATED,
            reporter=KEEPER,
            period=Period(start=fleet.since, end=at(day)),
            chain="fleet",
            sequence=number,
            previous=fleet.previous,
            chips=len(chips),
            promise=promised,
            handed_at=at(day + 0.1),
        ),
        fleet.key,
        register=write_register(table),
        wiring=write_wiring(wiring),
    )
    fleet.handed, fleet.since = number + 1, at(day)
    _count(fleet, day, table, (promise, promised))


def _count(fleet: Fleet, day: float, table: Register, promised: tuple[Promise[Selection], str]) -> None:
    assert fleet.previous is not None
    randomness = Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promised[0]))
    drawn = draw(randomness.selection, seed_of(randomness, fleet.previous), table).units
    digest = fleet.say(
        CountDrawn(
            origin=Origin.SIMULATED,
            by="north",
            reporter=KEEPER,
            handed=fleet.previous,
            promise=promised[1],
            unit=CountUnit.HOST,
            drawn=drawn,
            drawn_at=at(day + 0.2),
            answer_by=at(day + 2.2),
        ),
        fleet.inspectors[0],
        randomness=randomness.canonical_bytes(),
    )
    of = units(table, CountUnit.HOST)
    reads = tuple(
        Read(
            unit=unit,
            outcome="opened",
            at=at(day + 0.3 + place / len(drawn)),
            serials=tuple(table.serials.slice(of.rows(unit).start, len(of.rows(unit))).to_pylist()),
        )
        for place, unit in enumerate(drawn)
    )
    read = sum(len(one.serials) for one in reads)
    checklist = Checklist(drawn=digest, blind=True, reading=Reading.DEVICE, units=reads)
    fleet.say(
        CountHeld(
            origin=Origin.SIMULATED,
            by="north",
            drawn=digest,
            units_opened=len(drawn),
            units_refused=0,
            chips_due=read,
            chips_seen=read,
            chips_other=0,
            period=Period(start=at(day + 0.3), end=at(day + 1.4)),
        ),
        fleet.inspectors[0],
        checklist=checklist.canonical_bytes(),
    )


def _acquire(fleet: Fleet, slot: int, day: float) -> None:
    chips = np.arange(slot, slot + CHIPS)
    fleet.place[chips] = chips
    fleet.say(
        ChipsAcquired(
            origin=Origin.SIMULATED,
            reporter=KEEPER,
            period=moment(day),
            chips=CHIPS,
            seller="maker",
            acquired_at=at(day),
        ),
        fleet.key,
        chips=write_register(fleet.table(chips)),
    )


def _notify(fleet: Fleet, notice: dict[str, str], which: tuple[int, int, int], day: float) -> None:
    number, source, target = which
    slots = PODS * RACKS * HOSTS * CHIPS
    notice["digest"] = fleet.say(
        TransferNotified(
            origin=Origin.SIMULATED,
            reporter=KEEPER,
            period=moment(day),
            transfer=f"transfer-{number}",
            chips=CHIPS,
            from_site=f"site-{source // slots:02}",
            to_site=f"site-{target // slots:02}",
            notified_at=at(day),
            begins_at=at(day + 14.5),
        ),
        fleet.key,
        chips=serials(np.arange(source, source + CHIPS)),
    )
    for name, key in zip(("north", "south"), fleet.inspectors, strict=True):
        fleet.sign(
            TransferDecided(
                origin=Origin.SIMULATED, by=name, transfer=notice["digest"], approved=True, decided_at=at(day + 3)
            ),
            key,
            {"decision": digest_of(f"{name} {number}".encode())},
        )


def _leave(fleet: Fleet, notice: dict[str, str], source: int, day: float) -> None:
    chips = np.arange(source, source + CHIPS)
    fleet.place[chips] = NOWHERE
    _moved(fleet, notice, Passage.LEFT, chips, day)


def _arrive(fleet: Fleet, notice: dict[str, str], way: tuple[int, int], day: float) -> None:
    source, target = way
    chips = np.arange(source, source + CHIPS)
    fleet.place[chips] = np.arange(target, target + CHIPS)
    _moved(fleet, notice, Passage.ARRIVED, chips, day)


def _moved(fleet: Fleet, notice: dict[str, str], passage: Passage, chips: Numbers, day: float) -> None:
    fleet.say(
        ChipsMoved(
            origin=Origin.SIMULATED,
            reporter=KEEPER,
            period=moment(day),
            transfer=notice["digest"],
            passage=passage,
            chips=CHIPS,
            moved_at=at(day),
        ),
        fleet.key,
        chips=serials(chips),
    )


def _destroy(fleet: Fleet, slot: int, day: float) -> None:
    chips = np.arange(slot, slot + CHIPS)
    fleet.place[chips] = NOWHERE
    fleet.say(
        DestructionCertified(
            origin=Origin.SIMULATED, by="south", reporter=KEEPER, chips=CHIPS, means="shredded", certified_at=at(day)
        ),
        fleet.inspectors[1],
        chips=serials(chips),
    )


def _seals(fleet: Fleet) -> None:
    """One seal on the racks of each pod, put on anew at each count; every 30 days somebody looks at it."""
    counts = (-1.0, 89.0, 180.1)
    for site, pod in pods():
        for number, (start, end) in enumerate(pairwise(counts)):
            applied = fleet.sign(
                SealApplied(
                    origin=Origin.SIMULATED,
                    by="south",
                    seal=f"seal-{pod}-{number}",
                    site=site,
                    places=tuple(f"{pod}-r{rack:02}" for rack in range(RACKS)),
                    applied_at=at(start + 0.005),
                ),
                fleet.inspectors[1],
                {"photo-1": digest_of(f"{pod} {number}".encode())},
            )
            for when in (start + 30, start + 60, end):
                fleet.sign(
                    SealChecked(
                        origin=Origin.SIMULATED,
                        by="south",
                        applied=applied,
                        decision=SealDecision.INTACT,
                        checked_at=at(when),
                    ),
                    fleet.inspectors[1],
                    {"photo-1": digest_of(f"{pod} {number} {when}".encode())},
                )


def _challenge(fleet: Fleet) -> None:
    request = fleet.sign(
        InspectionRequested(
            origin=Origin.SIMULATED,
            by="south",
            party=PARTY,
            request="challenge-1",
            site="site-03",
            number=1,
            requested_at=at(50),
            access_by=at(51),
        ),
        fleet.inspectors[1],
        {"grounds": digest_of(b"grounds")},
    )
    for step, when in ((AccessStep.ARRIVED, 50.5), (AccessStep.ADMITTED, 50.6), (AccessStep.LEFT, 52.0)):
        fleet.sign(
            AccessLogged(origin=Origin.SIMULATED, by="south", request=request, step=step, logged_at=at(when)),
            fleet.inspectors[1],
            {"log": digest_of(step.value.encode())},
        )


def _write_trust(folder: Path, keys: Sequence[SigningKey]) -> None:
    """The agreement, and who is trusted for what."""

    def anchor(name: str, key: SigningKey, holder: str, roles: list[str], speaks_for: list[str]) -> dict[str, object]:
        return {
            "name": name,
            "public_key": base64.b64encode(key.public.raw).decode(),
            "holder": holder,
            "roles": roles,
            "sensors": speaks_for,
            "valid_from": "2025-12-01T00:00:00Z",
            "valid_until": "2027-01-01T00:00:00Z",
        }

    anchors = [
        anchor("bench", keys[0], "prover", ["declaration", "bundle"], []),
        anchor("keeper", keys[1], "prover", ["sensor"], [KEEPER]),
        anchor("north", keys[2], "verifier", ["inspector"], []),
        anchor("south", keys[3], "verifier", ["inspector"], []),
    ]
    ledger = {"origin": ORIGIN, "key": VerifierKey.of(keys[0], name=ORIGIN, kind=KeyKind.LOG).text}
    (folder / "anchors.yaml").write_text(yaml.safe_dump({"anchors": anchors, "ledgers": [ledger]}))
    (folder / "agreement.yaml").write_text(yaml.safe_dump(agreement().model_dump(mode="json", exclude_none=True)))
