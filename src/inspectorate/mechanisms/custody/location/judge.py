"""What stated round trips show. Faults are data: nothing in a payload raises.

1. The record is one of ours, of this device, from as many landmarks as the statement says.
2. Of each landmark that the reviewer knows, round trips are set aside that were not asked and answered within the period, whose
   clocks disagree, that are too short for any device, or whose nonce stands in the record twice (in another statement:
   `check_uses`).
3. The shortest one whose answer verifies under the device's key is used. What does not verify on the way there is a fault.
4. The region of these, strictly, and in fibre.

The key and the declared position are the declaration's, as the reviewer holds it; landmarks are the reviewer's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inspectorate.declaration.types import Position
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import RoundTripsMeasured
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.custody.location.faults import Fault, Found
from inspectorate.mechanisms.custody.location.protocol import verifies
from inspectorate.mechanisms.custody.location.record import OfLandmark, Ping, RoundTrips, parse_round_trips
from inspectorate.mechanisms.custody.location.reference import CLOCK_STEP_MAX_NS, ROUND_TRIP_MIN_NS
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Region, locate
from inspectorate.quantities import Period, to_ns


@dataclass(frozen=True, kw_only=True)
class Believed:
    """What the reviewer brings along: none of it comes from evidence."""

    landmarks: Mapping[str, Landmark]
    key: PublicKey
    """Of the device, as enrolled."""
    declared: Position


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Round trips, judged."""

    faults: tuple[Found, ...]
    regions: Mapping[Medium, Region]
    """Strictly, and under the assumption of fibre. `NOT_MEASURED` where nothing could be used."""
    least_s: Mapping[str, float] = field(default_factory=dict)
    """The shortest usable round trip to each landmark."""
    asked: int = 0
    answered: int = 0


def check_round_trips(
    statement: VerifiedStatement,
    *,
    payload: Callable[[str], bytes],
    believed: Believed,
    reused: Collection[str] = (),
) -> Measured:
    """Judge one statement. `reused` are nonces that stand in other statements, too (`check_uses`)."""
    said = statement.predicate
    if not isinstance(said, RoundTripsMeasured):
        raise TypeError("round trips are judged by a RoundTripsMeasured")
    # (1)
    try:
        record = parse_round_trips(subject_bytes(statement, "round-trips", payload), where="round-trips")
    except EvidenceError as fault:
        return _nothing(Found(fault=Fault.RECORD_UNREADABLE, detail=str(fault), statement=statement.digest), believed)
    if record.device != said.reporter:
        detail = f"the record is of {record.device}, the statement of {said.reporter}"
        return _nothing(Found(fault=Fault.DEVICE_OTHER, detail=detail, statement=statement.digest), believed)
    found: list[Found] = []
    if len(record.landmarks) != said.landmarks:
        detail = f"{len(record.landmarks)} landmarks stand in the record, the statement says {said.landmarks}"
        found.append(Found(fault=Fault.LANDMARKS_DIFFER, detail=detail, statement=statement.digest))
    return judge(record, believed, period=said.period, reused=reused, before=found)


def judge(
    record: RoundTrips,
    believed: Believed,
    *,
    period: Period | None = None,
    reused: Collection[str] = (),
    before: Sequence[Found] = (),
) -> Measured:
    """Steps 2 to 4, of a record as such. Without a period, times are not held against one."""
    found = list(before)
    twice = {nonce for nonce, count in Counter(_nonces(record)).items() if count > 1} | set(reused)
    least: dict[str, float] = {}
    for one in record.landmarks:
        if one.landmark not in believed.landmarks:
            detail = f"the reviewer knows no landmark {one.landmark}"
            found.append(_found(Fault.LANDMARK_UNKNOWN, detail, one.landmark, len(one.pings)))
            continue
        usable, faults = _usable(one, period, twice)
        found += faults
        best, false = _least(usable, believed.key)
        if false:
            detail = f"{false} answers at {one.landmark} are not signed by the device"
            found.append(_found(Fault.SIGNATURE_FALSE, detail, one.landmark, false))
        if best is None:
            found.append(_found(Fault.UNANSWERED, f"no usable answer at {one.landmark}", one.landmark, len(one.pings)))
        else:
            least[one.landmark] = best
    regions = {medium: locate(least, believed.landmarks, believed.declared, medium=medium) for medium in Medium}
    pings = [ping for one in record.landmarks for ping in one.pings]
    return Measured(
        faults=tuple(found), regions=regions, least_s=least, asked=len(pings),
        answered=sum(ping.answered for ping in pings),
    )  # fmt: skip


def check_uses(
    statements: Sequence[VerifiedStatement], *, payload: Callable[[str], bytes]
) -> tuple[frozenset[str], tuple[Found, ...]]:
    """Nonces that stand in more than one of these statements, and which statements hold them. Unreadable ones are passed over."""
    seen: dict[str, str] = {}
    reused: set[str] = set()
    places: Counter[str] = Counter()
    for statement in {one.digest: one for one in statements}.values():
        try:
            record = parse_round_trips(subject_bytes(statement, "round-trips", payload), where="round-trips")
        except EvidenceError:
            continue  # whoever judges the statement names it
        for nonce in set(_nonces(record)):
            first = seen.setdefault(nonce, statement.digest)
            if first != statement.digest:
                reused.add(nonce)
                places.update((first, statement.digest))
    found = tuple(
        Found(fault=Fault.NONCE_REUSED, detail=f"{count} nonces stand elsewhere, too", round_trips=count, statement=digest)
        for digest, count in places.items()
    )  # fmt: skip
    return frozenset(reused), found


def _nothing(found: Found, believed: Believed) -> Measured:
    regions = {medium: locate({}, believed.landmarks, believed.declared, medium=medium) for medium in Medium}
    return Measured(faults=(found,), regions=regions)


def _nonces(record: RoundTrips) -> Iterator[str]:
    return (ping.nonce for one in record.landmarks for ping in one.pings)


_WORDS = {
    Fault.NONCE_REUSED: "asked with a nonce that was used before",
    Fault.OUTSIDE_PERIOD: "not asked and answered within the period",
    Fault.CLOCK_STEPPED: "timed while a clock of the landmark was set",
    Fault.TOO_SHORT: "shorter than a signature takes",
}


def _usable(one: OfLandmark, period: Period | None, twice: Collection[str]) -> tuple[list[Ping], list[Found]]:
    """Step 2."""
    usable: list[Ping] = []
    wrong: Counter[Fault] = Counter()
    for ping in one.pings:
        fault = _fault(ping, period, twice)
        if fault is not None:
            wrong[fault] += 1
        elif ping.answered:
            usable.append(ping)
    return usable, [
        _found(fault, f"{count} round trips at {one.landmark} were {_WORDS[fault]}", one.landmark, count)
        for fault, count in wrong.items()
    ]


def _fault(ping: Ping, period: Period | None, twice: Collection[str]) -> Fault | None:
    if ping.nonce in twice:
        return Fault.NONCE_REUSED
    sent = int(ping.sent_ns)
    received = sent if ping.received_ns is None else int(ping.received_ns)
    if period is not None and not to_ns(period.start) <= sent <= received <= to_ns(period.end):
        # A clock that was set back answers before it asks.
        inside = to_ns(period.start) <= received and sent <= to_ns(period.end)
        return Fault.CLOCK_STEPPED if received < sent and inside else Fault.OUTSIDE_PERIOD
    if ping.round_trip_ns is None:
        return None
    if ping.round_trip_ns < ROUND_TRIP_MIN_NS:
        return Fault.TOO_SHORT
    return Fault.CLOCK_STEPPED if abs(received - sent - ping.round_trip_ns) > CLOCK_STEP_MAX_NS else None


def _least(usable: Sequence[Ping], key: PublicKey) -> tuple[float | None, int]:
    """Step 3: the shortest round trip that verifies, in seconds, and how many shorter ones do not."""
    false = 0
    for ping in sorted(usable, key=lambda one: (one.round_trip_ns or 0, one.nonce)):
        assert ping.round_trip_ns is not None
        assert ping.signature is not None
        if verifies(key, bytes.fromhex(ping.nonce), bytes.fromhex(ping.signature)):
            return ping.round_trip_ns / 1e9, false
        false += 1
    return None, false


def _found(fault: Fault, detail: str, landmark: str, round_trips: int) -> Found:
    return Found(fault=fault, detail=detail, landmark=landmark, round_trips=round_trips)
