"""Visits as iCalendar (RFC 5545), by the few lines that it needs: no library, since only these properties are written.

Lines end in CRLF and are folded at 75 octets (section 3.1); times are in UTC (3.3.5, form 2); every event has UID, DTSTAMP, DTSTART
and DTEND (3.6.1). All values are digits, digests and fixed words, so that nothing needs escaping, and nothing of a person is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from inspectorate.mechanisms.interviews.roster.visits import Visit

LINE_OCTETS_MAX: Final = 75


def calendar(visits: Iterable[Visit], *, schedule: str, made_at: datetime) -> bytes:
    """A calendar of visits; one visit makes a calendar for one person. `schedule` is the digest of the schedule."""
    return "".join(_folded(line) + "\r\n" for line in _lines(visits, schedule, made_at)).encode("ascii")


def _lines(visits: Iterable[Visit], schedule: str, made_at: datetime) -> Iterator[str]:
    yield "BEGIN:VCALENDAR"
    yield "VERSION:2.0"
    yield "PRODID:-//Inspectorate//visits 1//EN"
    for visit in visits:
        yield "BEGIN:VEVENT"
        yield f"UID:{schedule.removeprefix('sha256:')}-{visit.entry}"
        yield f"DTSTAMP:{_time(made_at)}"
        yield f"DTSTART:{_time(visit.start)}"
        yield f"DTEND:{_time(visit.end)}"
        yield f"SUMMARY:Visit of entry {visit.entry}"
        yield f"LOCATION:Room {visit.room + 1}"
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _time(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _folded(line: str) -> str:
    """A line of ASCII in pieces of at most 75 octets; what continues starts with a space."""
    pieces = [line[:LINE_OCTETS_MAX]]
    rest = line[LINE_OCTETS_MAX:]
    step = LINE_OCTETS_MAX - 1
    pieces += [rest[start : start + step] for start in range(0, len(rest), step)]
    return "\r\n ".join(pieces)
