"""Which information element means what to us, and how a template becomes a plan.

A plan says for each `Role` where its field ends in a record and how wide it is, so that one kernel without branches on
the template reads every template. Where several elements could fill a role, the first of its list in this file wins, and
the others are not read: the same traffic is never counted twice.

- Bytes: octetDeltaCount (1), octetTotalCount (85), layer2OctetDeltaCount (352), layer2OctetTotalCount (353),
  initiatorOctets (231), postOctetDeltaCount (23; OUT_BYTES in NetFlow v9), postOctetTotalCount (171).
- Bytes of the returning half: the reverse elements (RFC 5103, enterprise 29305) of 1, 85, 352, 353; responderOctets (232).
- Addresses: IPv6 where it is not zero, else IPv4. Addresses after translation (225-227, 281-282) are not read.
- Times: the finest of nano-, micro-, millisecond, delta to the export time, second, system uptime; else the observation time
  (325-322); else the export time.

Source of the numbers and types: IANA "IP Flow Information Export (IPFIX) Entities"; RFC 7012; RFC 3954, section 8; RFC 5477
(sampling); RFC 5103 (biflow). Not done here: reading template sets (`templates`), decoding records (`walk`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from inspectorate.mechanisms.interconnect.flows.columns import V4_MAPPED, Flag
from inspectorate.mechanisms.interconnect.flows.loads import MASKS
from inspectorate.mechanisms.interconnect.flows.state import Plan, Role, TimeKind, Unusual

VARIABLE = 65_535
"""A field length that says: the length stands before each value (RFC 7011, section 7; some v9 exporters use it too)."""
REVERSE_PEN = 29_305
"""Private enterprise number of reverse elements (RFC 5103, section 6.1)."""

Element = tuple[int, int]
"""Enterprise number (0: IANA) and number of the element."""

BYTES: tuple[tuple[Element, Flag], ...] = (
    ((0, 1), Flag(0)),
    ((0, 85), Flag.TOTAL),
    ((0, 352), Flag.LAYER2),
    ((0, 353), Flag.LAYER2 | Flag.TOTAL),
    ((0, 231), Flag(0)),
    ((0, 23), Flag(0)),
    ((0, 171), Flag.TOTAL),
)
BYTES_REVERSE: tuple[tuple[Element, Flag], ...] = (
    ((REVERSE_PEN, 1), Flag(0)),
    ((REVERSE_PEN, 85), Flag.TOTAL),
    ((REVERSE_PEN, 352), Flag.LAYER2),
    ((REVERSE_PEN, 353), Flag.LAYER2 | Flag.TOTAL),
    ((0, 232), Flag(0)),
)
PACKETS: tuple[Element, ...] = ((0, 2), (0, 86), (0, 298), (0, 24), (0, 172))
PACKETS_REVERSE: tuple[Element, ...] = ((REVERSE_PEN, 2), (REVERSE_PEN, 86), (0, 299))
START = (
    (156, TimeKind.NTP),
    (154, TimeKind.NTP),
    (152, TimeKind.MILLISECONDS),
    (158, TimeKind.DELTA_MICROSECONDS),
    (150, TimeKind.SECONDS),
    (22, TimeKind.UPTIME),
)
END = (
    (157, TimeKind.NTP),
    (155, TimeKind.NTP),
    (153, TimeKind.MILLISECONDS),
    (159, TimeKind.DELTA_MICROSECONDS),
    (151, TimeKind.SECONDS),
    (21, TimeKind.UPTIME),
)
OBSERVED = (
    (325, TimeKind.NTP),
    (324, TimeKind.NTP),
    (323, TimeKind.MILLISECONDS),
    (322, TimeKind.SECONDS),
)
DURATION = ((161, 1_000_000), (162, 1_000))
SIMPLE: tuple[tuple[Role, tuple[int, ...], int], ...] = (
    (Role.SRC_PORT, (7,), 2),
    (Role.DST_PORT, (11,), 2),
    (Role.PROTO, (4,), 1),
    (Role.IN_IF, (10,), 8),
    (Role.OUT_IF, (14,), 8),
    (Role.SELECTOR, (302, 48), 8),
    (Role.INTERVAL, (305, 34, 50), 8),
    (Role.SPACE, (306,), 8),
    (Role.INIT, (160,), 8),
)
"""Role, elements, widest field in bytes."""
SRC_V4, DST_V4, SRC_V6, DST_V6 = 8, 12, 27, 28


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field specifier of a template: `width` in bytes, or `VARIABLE`."""

    element: Element
    width: int
    scope: bool = False


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A template's fields and what follows from them alone."""

    fields: tuple[Field, ...]
    options: bool
    scope_types: bool = False
    """Scope fields carry the scope types of NetFlow v9 (RFC 3954, section 6.1), not element numbers."""

    @property
    def variable(self) -> bool:
        return any(f.width == VARIABLE for f in self.fields)

    @property
    def record_bytes_min(self) -> int:
        """Bytes of the shortest record: a variable-length field takes at least the byte of its length."""
        return sum(1 if f.width == VARIABLE else f.width for f in self.fields)


NETFLOW_V5 = Layout(
    fields=tuple(
        Field(element=(0, number), width=width)
        for number, width in (
            (SRC_V4, 4),
            (DST_V4, 4),
            (15, 4),  # next hop
            (10, 2),
            (14, 2),
            (2, 4),
            (1, 4),
            (22, 4),
            (21, 4),
            (7, 2),
            (11, 2),
            (210, 1),  # padding
            (6, 1),  # TCP flags
            (4, 1),
            (5, 1),  # type of service
            (16, 2),  # autonomous systems
            (17, 2),
            (9, 1),  # prefix lengths
            (13, 1),
            (210, 2),  # padding
        )
    ),
    options=False,
)
"""A NetFlow v5 record, written as the template that it would have in v9 (Cisco, NetFlow Export Datagram Format, table 1)."""


@dataclass(kw_only=True)
class Compiled:
    """One half of a flow record as the rows of the plan tables."""

    plan: dict[Plan, int] = field(default_factory=dict)
    at: dict[Role, int] = field(default_factory=dict)
    masks: dict[Role, int] = field(default_factory=dict)
    fields: dict[Role, int] = field(default_factory=dict)
    unusable: int = 0


class _Places:
    """Where each element stands: index and offset in bytes (of fixed layouts) of its first occurrence that has a width."""

    def __init__(self, layout: Layout) -> None:
        self.fields = layout.fields
        self.variable = layout.variable
        self.first: dict[Element, tuple[int, int]] = {}
        offset = 0
        for index, f in enumerate(layout.fields):
            if f.width > 0 and not f.scope:
                self.first.setdefault(f.element, (index, offset))
            offset += f.width

    def put(self, out: Compiled, role: Role, element: Element, widest: int) -> bool:
        """Give a role a field of 1 to `widest` bytes; False where the template has none that is usable."""
        found = self.first.get(element)
        if found is None:
            return False
        index, offset = found
        width = self.fields[index].width
        if width > widest:
            out.unusable += 1
            return False
        self._place(out, role, (index, offset), end=width, width=width)
        return True

    def put_exact(self, out: Compiled, roles: tuple[Role, ...], element: Element) -> bool:
        """Give one role exactly 4 bytes, or two roles the halves of 16."""
        found = self.first.get(element)
        if found is None:
            return False
        width = 4 if len(roles) == 1 else 16
        if self.fields[found[0]].width != width:
            out.unusable += 1
            return False
        for part, role in enumerate(roles):
            self._place(out, role, found, end=min(width, 8 * (part + 1)), width=min(width, 8))
        return True

    def _place(self, out: Compiled, role: Role, found: tuple[int, int], *, end: int, width: int) -> None:
        index, offset = found
        out.at[role] = (0 if self.variable else offset) + end - 8
        out.masks[role] = MASKS[width]
        out.fields[role] = index


def compile_layout(layout: Layout) -> tuple[Compiled, Compiled | None]:
    """The plan of a data template and, where it counts both directions, that of the returning half."""
    places = _Places(layout)
    forward = _compile_half(layout, places, reverse=False)
    backward = _compile_half(layout, places, reverse=True)
    if forward.plan[Plan.KIND] == 2 and backward.plan[Plan.KIND] == 0:
        return backward, None
    return forward, backward if backward.plan[Plan.KIND] == 0 else None


def _compile_half(layout: Layout, places: _Places, *, reverse: bool) -> Compiled:
    out = Compiled()
    flags = Flag.REVERSE if reverse else Flag(0)
    counted = False
    for element, flag in BYTES_REVERSE if reverse else BYTES:
        counted = places.put(out, Role.BYTES, element, 8)
        if counted:
            flags |= flag
            break
    for element in PACKETS_REVERSE if reverse else PACKETS:
        if places.put(out, Role.PACKETS, element, 8):
            break
    unusual = _addresses(out, places, reverse=reverse)
    if unusual & Unusual.UNADDRESSED:
        flags |= Flag.UNADDRESSED
    unusual |= _times(out, places)
    swapped = {
        Role.SRC_PORT: Role.DST_PORT,
        Role.DST_PORT: Role.SRC_PORT,
        Role.IN_IF: Role.OUT_IF,
        Role.OUT_IF: Role.IN_IF,
    }
    for role, elements, widest in SIMPLE:
        target = swapped.get(role, role) if reverse else role
        for number in elements:
            if places.put(out, target, (0, number), widest):
                break
    for role, bit in ((Role.SELECTOR, Unusual.SELECTOR), (Role.INTERVAL, Unusual.INTERVAL), (Role.INIT, Unusual.INIT)):
        if role in out.at:
            unusual |= bit
    if layout.variable:
        unusual |= Unusual.VARIABLE
    minimum = layout.record_bytes_min
    out.plan |= {
        Plan.KIND: 0 if counted else 2,
        Plan.RECORD_BYTES: 0 if layout.variable else minimum,
        Plan.RECORD_BYTES_MIN: minimum,
        Plan.FIELDS: len(layout.fields),
        Plan.REVERSE: -1,
        Plan.FLAGS: int(flags),
        Plan.UNUSUAL: int(unusual),
    }
    out.plan[Plan.QUICK] = int(_is_quick(out))
    return out


def _is_quick(out: Compiled) -> bool:
    """Whether `quick` can read it: see there."""
    kinds = (out.plan[Plan.START_KIND], out.plan[Plan.END_KIND])
    widths = {TimeKind.UPTIME: MASKS[4], TimeKind.MILLISECONDS: MASKS[8]}
    return (
        out.plan[Plan.KIND] == out.plan[Plan.UNUSUAL] == 0
        and out.plan.get(Plan.SRC_MAPPED) == out.plan.get(Plan.DST_MAPPED) == V4_MAPPED
        and kinds in ((TimeKind.UPTIME,) * 2, (TimeKind.MILLISECONDS,) * 2)
        and out.masks[Role.START] == out.masks[Role.END] == widths[TimeKind(kinds[0])]
    )


def _addresses(out: Compiled, places: _Places, *, reverse: bool) -> int:
    """Fill the address roles; ends are exchanged in the returning half."""
    src_v4, dst_v4, src_v6, dst_v6 = (DST_V4, SRC_V4, DST_V6, SRC_V6) if reverse else (SRC_V4, DST_V4, SRC_V6, DST_V6)
    source6 = places.put_exact(out, (Role.SRC_HI, Role.SRC_LO), (0, src_v6))
    target6 = places.put_exact(out, (Role.DST_HI, Role.DST_LO), (0, dst_v6))
    source4 = places.put_exact(out, (Role.SRC_V4,), (0, src_v4))
    target4 = places.put_exact(out, (Role.DST_V4,), (0, dst_v4))
    both = (source6 or target6) and (source4 or target4)
    if source4 and not both:
        _move(out, Role.SRC_V4, Role.SRC_LO)
        out.plan[Plan.SRC_MAPPED] = V4_MAPPED
    if target4 and not both:
        _move(out, Role.DST_V4, Role.DST_LO)
        out.plan[Plan.DST_MAPPED] = V4_MAPPED
    unusual = int(Unusual.BOTH_FAMILIES) if both else 0
    complete = (source4 or source6) and (target4 or target6)
    return unusual if complete else unusual | Unusual.UNADDRESSED


def _move(out: Compiled, role: Role, target: Role) -> None:
    for column in (out.at, out.masks, out.fields):
        column[target] = column.pop(role)


def _times(out: Compiled, places: _Places) -> int:
    """Fill the time roles and say of which kind they are."""
    kinds = {Plan.START_KIND: TimeKind.ABSENT, Plan.END_KIND: TimeKind.ABSENT}
    for role, slot, choices in ((Role.START, Plan.START_KIND, START), (Role.END, Plan.END_KIND, END)):
        for number, kind in choices:
            if _usable_time(places, number, kind) and places.put(out, role, (0, number), 8):
                kinds[slot] = kind
                break
    unusual = 0
    for number, unit_ns in DURATION:
        if places.put(out, Role.DURATION, (0, number), 8):
            out.plan[Plan.DURATION_NS] = unit_ns
            unusual |= Unusual.DURATION
            break
    if kinds[Plan.START_KIND] == kinds[Plan.END_KIND] == TimeKind.ABSENT:
        for number, kind in OBSERVED:
            if _usable_time(places, number, kind) and places.put(out, Role.END, (0, number), 8):
                kinds[Plan.END_KIND] = kind
                break
        else:
            unusual |= Unusual.TIMELESS
    out.plan |= {slot: int(kind) for slot, kind in kinds.items()}
    return unusual


def _usable_time(places: _Places, number: int, kind: TimeKind) -> bool:
    """NTP times have 64 bits (RFC 7011, section 6.1.9); seconds and uptime have 32, and wider ones do no harm."""
    found = places.first.get((0, number))
    if found is None:
        return False
    width = places.fields[found[0]].width
    return width == 8 if kind is TimeKind.NTP else width >= 4
