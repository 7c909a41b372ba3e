"""The statement of round trips. Time comes in as an argument."""

from __future__ import annotations

from inspectorate.canonical import digest_of
from inspectorate.errors import InputError
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import RoundTripsMeasured
from inspectorate.mechanisms.custody.location.record import RoundTrips
from inspectorate.quantities import Period, to_ns


def make_round_trips(record: RoundTrips, who: Who, *, period: Period) -> Act:
    """What landmarks measured in a period. Raises `InputError` where a question was asked outside of it."""
    pings = [ping for one in record.landmarks for ping in one.pings]
    start, end = to_ns(period.start), to_ns(period.end)
    if not all(start <= int(ping.sent_ns) and int(ping.received_ns or ping.sent_ns) <= end for ping in pings):
        raise InputError(f"a round trip lies outside of {period}", where=record.device)
    data = record.canonical_bytes()
    predicate = RoundTripsMeasured(
        origin=who.origin, by=who.name, reporter=record.device, landmarks=len(record.landmarks), period=period
    )
    return Act(predicate=predicate, subjects={"round-trips": digest_of(data)}, payloads=(data,))
