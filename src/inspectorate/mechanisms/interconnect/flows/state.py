"""What decoding carries from one datagram to the next, laid out so that kernels and Python share it.

- `State` is the position of the kernels: an int64 array, one place per name of `Slot`.
- `Tables` holds what exporters have said: their sequences, templates, samplers and sFlow sources.
- Kernels decode; whatever changes a table except plain counting is an `Event`, which stops the kernel before it has
  touched anything, is settled in Python (`decoder`), and is then resumed. So state always changes in the order of arrival.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined
from inspectorate.mechanisms.interconnect.flows.outcomes import IRREGULARITIES, Limits


@unique
class Event(IntEnum):
    """Why a kernel returned."""

    CONTINUE = 0
    END = 1
    FULL = 2
    """The record or counter buffer has no room for the next row."""
    NEW_EXPORTER = 3
    SEQUENCE = 4
    """The sequence number is not the expected one."""
    LATE_END = 5
    """A late datagram has been decoded; `UNITS` says how much of a gap it fills."""
    TEMPLATES = 6
    """A template set that is not a repetition."""
    OPTIONS = 7
    """A set of option data."""
    REJECTED = 8
    NEW_SOURCE = 9
    SOURCE_SEQUENCE = 10
    RATE = 11
    """A NetFlow v5 header announces another sampling interval, in `AMOUNT`."""


@unique
class Slot(IntEnum):
    """Places in the state array. Positions are bytes from the start of the segment."""

    DATAGRAM = 0
    """Index of the current datagram."""
    POSITION = 1
    """Next byte to decode; 0 while the datagram's header has not been read."""
    SET_END = 2
    """End of the data set being decoded; 0 between sets."""
    END = 3
    """End of the message or datagram."""
    SESSION = 4
    """Row of the exporter, -1 while it is not known."""
    SETTLED = 5
    """1 when the sequence number has been dealt with."""
    UNITS = 6
    """What the datagram adds to its sequence number, so far."""
    SEQUENCE = 7
    PROTOCOL = 8
    """9, 10, 5 or 105, as in `RECORD.version`."""
    ROWS = 9
    COUNTER_ROWS = 10
    EXPORT_NS = 11
    UPTIME_MS = 12
    ARRIVAL_NS = 13
    SHIFT_NS = 14
    """Added to absolute times: arrival - export where the arrival clock governs, else 0."""
    DOMAIN = 15
    SET_ID = 16
    PLAN = 17
    REASON = 18
    AMOUNT = 19
    """Of a rejection: its code and its bytes."""
    EXPORTERS = 20
    """How many rows of `sessions` are in use."""
    SAMPLERS = 21
    PAST_NS = 22
    FUTURE_NS = 23
    ARRIVAL_CLOCK = 24
    """1 to place times by arrival."""
    SOURCE = 25
    SOURCE_KEY = 26
    SOURCE_SEQUENCE = 27
    SOURCE_DROPS = 28
    SOURCE_POOL = 29
    SAMPLES_LEFT = 30
    SAMPLE_DONE = 31
    """1 when the current sample's own sequence number has been dealt with."""
    MESSAGE_END = 32
    """End of the datagram where its message ends earlier; 0 once that has been dealt with."""
    OVERRIDE = 33
    """1 where the operator's sampling rate governs and announced ones do not."""
    V5_PLAN = 34
    SUMMING = 35
    """1 where common records go straight into the sums of `Output.sink`."""
    BLOCK = 36
    """Index in the segment of the first datagram of the block."""
    SUMMED = 37
    """Records that went straight into sums."""
    HINT = 38
    """Row of `sessions` found last."""
    STATED = 39
    """Records that the header of NetFlow v9 states."""
    TEMPLATES = 40
    """Template records in the datagram, so far."""
    WRONG_COUNTS = 41
    TALLY = 42
    """From here on: one count per `Irregularity`, then one more for bytes of unaddressed records."""


STATE_SLOTS = int(Slot.TALLY) + len(IRREGULARITIES) + 1
UNADDRESSED_BYTES = STATE_SLOTS - 1

SESSION = np.dtype(
    [
        ("src_hi", "<u8"),
        ("src_lo", "<u8"),
        ("protocol", "<i8"),
        ("domain", "<i8"),
        ("expected", "<i8"),
        ("followed", "<i8"),
        ("open", "<i8"),
        ("late", "<i8"),
        ("datagrams", "<i8"),
        ("records", "<i8"),
        ("first_ns", "<i8"),
        ("last_ns", "<i8"),
        ("uptime_ms", "<i8"),
        ("clock_min_ns", "<i8"),
        ("clock_max_ns", "<i8"),
        ("init_ms", "<i8"),
        ("rate", "<f8"),
    ]
)
"""One exporter's sequence. `followed`: a number is expected; `open`: an unknown number of records came last, so the next
number settles how many; `late`: the current datagram fills a gap; `clock_*_ns`: arrival - export time; `init_ms`: IE 160
from options, -1 if none; `rate`: what records without a sampler of their own were sampled at, 1-in-N."""

SAMPLER = np.dtype([("session", "<i8"), ("selector", "<u8"), ("rate", "<f8")])

SOURCE = np.dtype(
    [
        ("key", "<i8"),
        ("session", "<i8"),
        ("counters", "<i8"),
        ("source_class", "<i8"),
        ("source_index", "<i8"),
        ("expected", "<i8"),
        ("followed", "<i8"),
        ("drops", "<i8"),
        ("pool", "<i8"),
        ("samples", "<i8"),
        ("pool_total", "<i8"),
        ("last_ns", "<i8"),
    ]
)


@unique
class Role(IntEnum):
    """What a field of a template means to us; the column of a plan that says where it is."""

    SRC_HI = 0
    SRC_LO = 1
    DST_HI = 2
    DST_LO = 3
    BYTES = 4
    PACKETS = 5
    START = 6
    END = 7
    SRC_PORT = 8
    DST_PORT = 9
    PROTO = 10
    IN_IF = 11
    OUT_IF = 12
    SELECTOR = 13
    INTERVAL = 14
    SPACE = 15
    INIT = 16
    DURATION = 17
    SRC_V4 = 18
    DST_V4 = 19


ROLES = len(Role)


@unique
class Plan(IntEnum):
    """Columns of `Tables.plans`: integers about one template."""

    KIND = 0
    """0 listed, 1 options, 2 data without bytes."""
    RECORD_BYTES = 1
    """0 where a field has variable length."""
    RECORD_BYTES_MIN = 2
    FIELDS = 3
    REVERSE = 4
    """The plan of the returning half of a biflow, or -1."""
    START_KIND = 5
    END_KIND = 6
    FLAGS = 7
    UNUSUAL = 8
    """Bits of `Unusual`: whatever costs a branch per record."""
    RAW_BYTES = 9
    DURATION_NS = 10
    """Nanoseconds per unit of the duration field."""
    SRC_MAPPED = 11
    DST_MAPPED = 12
    """What is or-ed into the low half of an address: the mark of mapped IPv4, or 0."""
    QUICK = 13
    """1 where the short way of `quick` reads it."""


class Unusual(IntEnum):
    """Bits of `Plan.UNUSUAL`."""

    SELECTOR = 1
    INTERVAL = 2
    INIT = 4
    DURATION = 8
    BOTH_FAMILIES = 16
    UNADDRESSED = 32
    TIMELESS = 64
    REVERSE = 128
    VARIABLE = 256


class TimeKind(IntEnum):
    """How a time field counts."""

    ABSENT = 0
    UPTIME = 1
    SECONDS = 2
    MILLISECONDS = 3
    NTP = 4
    DELTA_MICROSECONDS = 5


class Tables(NamedTuple):
    """Everything that exporters said, as arrays that kernels read and count in.

    `places`: per plan, for each `Role`, where the eight bytes that end with its field start (two's complement: a field in
    the first bytes of a record starts before it), and from `ROLES` on the masks. Kernels take arrays out of this
    tuple once per call at most: each time costs two atomic counts.
    """

    sessions: NDArray[np.void]
    samplers: NDArray[np.void]
    sources: NDArray[np.void]
    source_slots: NDArray[np.int32]
    template_keys: NDArray[np.int64]
    template_plans: NDArray[np.int32]
    plans: NDArray[np.int64]
    places: NDArray[np.uint64]
    role_fields: NDArray[np.int32]
    widths: NDArray[np.int32]
    starts: NDArray[np.int64]
    scratch: NDArray[np.uint64]
    raw: NDArray[np.uint8]


class Output(NamedTuple):
    """Rows being written, and where sums go instead."""

    records: NDArray[np.void]
    counters: NDArray[np.void]
    sink: Any


def power_above(count: int) -> int:
    """The smallest power of two that is at least twice `count`: sizes of hash tables that stay half empty."""
    return 1 << (2 * count - 1).bit_length()


def fresh_state(limits: Limits, *, arrival_clock: bool, override: bool) -> NDArray[np.int64]:
    state = np.zeros(STATE_SLOTS, np.int64)
    state[Slot.OVERRIDE] = int(override)
    state[Slot.V5_PLAN] = 2 * limits.templates_max
    state[Slot.PAST_NS] = limits.past_ns
    state[Slot.FUTURE_NS] = limits.future_ns
    state[Slot.ARRIVAL_CLOCK] = int(arrival_clock)
    return state


def fresh_tables(limits: Limits) -> Tables:
    """Empty tables of the size that `limits` allow; pages that are never written cost no memory.

    Plans are two per template: the returning half of a biflow stands `templates_max` rows further down. The last is for
    NetFlow v5.
    """
    plans = 2 * limits.templates_max + 1
    return Tables(
        sessions=np.zeros(limits.exporters_max, SESSION),
        samplers=np.zeros(limits.samplers_max, SAMPLER),
        sources=np.zeros(limits.sources_max, SOURCE),
        source_slots=np.zeros(power_above(limits.sources_max), np.int32),
        template_keys=np.zeros(power_above(limits.templates_max), np.int64),
        template_plans=np.zeros(power_above(limits.templates_max), np.int32),
        plans=np.zeros((plans, len(Plan)), np.int64),
        places=np.zeros((plans, 2 * ROLES), np.uint64),
        role_fields=np.zeros((plans, ROLES), np.int32),
        widths=np.zeros((limits.templates_max, limits.template_fields_max), np.int32),
        starts=np.zeros(limits.template_fields_max + 1, np.int64),
        scratch=np.zeros(2 * ROLES, np.uint64),
        raw=np.zeros((limits.templates_max, 8 + 8 * limits.template_fields_max), np.uint8),
    )


@inlined
def hashed(key: Int64, size: Int64) -> Int64:
    """A place in a table of `size` (a power of two) for a key: Fibonacci hashing (Knuth, TAOCP 3, section 6.4)."""
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) & (size - 1)


@inlined
def find_plan(tables: Any, key: Int64) -> Int64:
    """The plan of a template key, or -1. Open addressing with linear probing; the table is never more than half full."""
    size = len(tables.template_keys)
    place = hashed(key, size)
    while tables.template_keys[place] != 0:
        if tables.template_keys[place] == key:
            return np.int64(tables.template_plans[place])
        place = (place + 1) & (size - 1)
    return -1


@inlined
def find_source(tables: Any, key: Int64) -> Int64:
    """The row of an sFlow source key, or -1."""
    size = len(tables.source_slots)
    place = hashed(key, size)
    while tables.source_slots[place] != 0:
        row = np.int64(tables.source_slots[place]) - 1
        if tables.sources[row].key == key:
            return row
        place = (place + 1) & (size - 1)
    return -1


@inlined
def template_key(session: Int64, template_id: Int64) -> Int64:
    """One positive number for an exporter and a template number; template numbers are above 255, so it is never 0."""
    return (session << 16) | template_id
