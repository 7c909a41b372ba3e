"""Template sets of NetFlow v9 and IPFIX: parsed, checked, compiled into plans, replaced and withdrawn.

Rules:

- A template holds for its exporter and observation domain, from the place in the stream where it stands.
- A template that repeats byte for byte what is in force changes nothing; one with the same number and other fields
  replaces it.
- A template that breaks a rule is refused by name and installs nothing; what follows it in the set is refused with it
  only where its length cannot be known.

Sources: RFC 3954, sections 5 and 6.1 (v9); RFC 7011, sections 3.4 and 8 (IPFIX).
Not done here: expiry of templates by age, and templates kept over a restart of the program.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.interconnect.flows.elements import (
    NETFLOW_V5,
    VARIABLE,
    Compiled,
    Field,
    Layout,
    compile_layout,
)
from inspectorate.mechanisms.interconnect.flows.loads import MASKS
from inspectorate.mechanisms.interconnect.flows.outcomes import Irregularity, Limits, Rejection
from inspectorate.mechanisms.interconnect.flows.state import (
    ROLES,
    Plan,
    Tables,
    Unusual,
    find_plan,
    hashed,
    template_key,
)

TEMPLATE_IDS_FROM = 256
RECORD_BYTES_MAX = 65_515
"""What fits into one datagram beside the headers of message and set."""
ENTERPRISE_BIT = 0x8000
ABSENT = np.uint64(-8 & MASKS[8])
"""Where a field that is not there is read, to be masked away: before the record, which is always inside its datagram."""

Reject = Callable[[Rejection, int], None]
Note = Callable[[Irregularity], None]


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    """One template record: `layout` is None for a withdrawal, `size` counts its bytes in the set."""

    template_id: int
    layout: Layout | None
    raw: bytes
    size: int


class TemplateStore:
    """The templates of all exporters of a stream, and the plans that kernels read."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits
        self._layouts: dict[int, Layout] = {}
        self._ids: dict[int, dict[int, int]] = {}
        self._free = list(range(limits.templates_max - 1, -1, -1))
        self._write_half(2 * limits.templates_max, compile_layout(NETFLOW_V5)[0])

    def __len__(self) -> int:
        return len(self._layouts)

    def layout(self, plan: int) -> Layout:
        """The fields of an installed template."""
        return self._layouts[plan]

    def read_set(self, session: int, protocol: int, content: bytes, reject: Reject, note: Note) -> int:
        """Read a template set with its header and install what it defines; returns how many templates it held.

        `reject` and `note` are called with what was refused or changed.
        """
        set_id = struct.unpack_from(">H", content)[0]
        options = set_id in (1, 3)
        at, count = 4, 0
        while len(content) - at >= 4 and any(content[at:]):
            parsed = self._parse(protocol, options, content, at)
            if isinstance(parsed, Rejection):
                reject(parsed, len(content) - at)
                return count
            at += parsed.size
            count += 1
            if parsed.layout is None:
                self._withdraw(session, parsed.template_id, set_id, note)
            else:
                self._install(session, parsed, reject, note)
        return count

    def _parse(self, protocol: int, options: bool, content: bytes, at: int) -> _Parsed | Rejection:
        template_id, second = struct.unpack_from(">HH", content, at)
        withdrawal = protocol == 10 and second == 0
        if withdrawal and template_id in (2, 3):
            return _Parsed(template_id=template_id, layout=None, raw=b"", size=4)
        if template_id < TEMPLATE_IDS_FROM:
            return Rejection.BAD_TEMPLATE
        if withdrawal:
            return _Parsed(template_id=template_id, layout=None, raw=b"", size=4)
        header, count, scopes = 4, second, 0
        if options:
            if len(content) - at < 6:
                return Rejection.BAD_TEMPLATE
            header, third = 6, struct.unpack_from(">H", content, at + 4)[0]
            if protocol == 10:
                scopes = third
                if not 0 < scopes <= count:
                    return Rejection.BAD_TEMPLATE
            else:
                if second % 4 or third % 4:
                    return Rejection.BAD_TEMPLATE
                scopes, count = second // 4, (second + third) // 4
        fields: list[Field] = []
        end = at + header
        for index in range(count):
            if len(content) - end < 4:
                return Rejection.BAD_TEMPLATE
            number, width = struct.unpack_from(">HH", content, end)
            enterprise = 0
            end += 4
            if protocol == 10 and number & ENTERPRISE_BIT:
                if len(content) - end < 4:
                    return Rejection.BAD_TEMPLATE
                enterprise = struct.unpack_from(">I", content, end)[0]
                number &= ENTERPRISE_BIT - 1
                end += 4
            fields.append(Field(element=(enterprise, number), width=width, scope=index < scopes))
        layout = Layout(fields=tuple(fields), options=options, scope_types=protocol == 9)
        return _Parsed(template_id=template_id, layout=layout, raw=content[at:end], size=end - at)

    def _install(self, session: int, parsed: _Parsed, reject: Reject, note: Note) -> None:
        layout = parsed.layout
        assert layout is not None
        if layout.record_bytes_min == 0:
            reject(Rejection.EMPTY_TEMPLATE, parsed.size)
            return
        if len(layout.fields) > self._limits.template_fields_max or layout.record_bytes_min > RECORD_BYTES_MAX:
            reject(Rejection.TEMPLATE_TOO_LARGE, parsed.size)
            return
        key = template_key(session, parsed.template_id)
        plan = int(find_plan(self._tables, key))
        if plan >= 0:
            if self._tables.raw[plan, : len(parsed.raw)].tobytes() == parsed.raw and (
                self._tables.plans[plan, Plan.RAW_BYTES] == len(parsed.raw)
                and self._layouts[plan].options == layout.options
            ):
                note(Irregularity.TEMPLATE_REPEATED)
                return
            note(Irregularity.TEMPLATE_CHANGED)
        elif not self._free:
            reject(Rejection.TOO_MANY_TEMPLATES, parsed.size)
            return
        else:
            plan = self._free.pop()
            self._ids.setdefault(session, {})[parsed.template_id] = plan
            self._insert(key, plan)
            note(Irregularity.TEMPLATE_INSTALLED)
        self._write(plan, parsed.raw, layout, note)

    def _write(self, plan: int, raw: bytes, layout: Layout, note: Note) -> None:
        tables = self._tables
        self._layouts[plan] = layout
        forward, backward = compile_layout(layout)
        for _ in range(forward.unusable):
            note(Irregularity.UNUSABLE_FIELD)
        if layout.options:
            forward.plan[Plan.KIND], backward = 1, None
        reverse = plan + self._limits.templates_max
        forward.plan[Plan.REVERSE] = reverse if backward is not None else -1
        forward.plan[Plan.RAW_BYTES] = len(raw)
        if backward is not None:
            forward.plan[Plan.UNUSUAL] |= Unusual.REVERSE
            forward.plan[Plan.QUICK] = 0
        self._write_half(plan, forward)
        if backward is not None:
            self._write_half(reverse, backward)
        tables.raw[plan, : len(raw)] = np.frombuffer(raw, np.uint8)
        tables.widths[plan, : len(layout.fields)] = [-1 if f.width == VARIABLE else f.width for f in layout.fields]

    def _write_half(self, row: int, half: Compiled) -> None:
        tables = self._tables
        tables.plans[row] = 0
        tables.places[row, :ROLES] = ABSENT
        tables.places[row, ROLES:] = 0
        tables.role_fields[row] = 0
        for column, number in half.plan.items():
            tables.plans[row, column] = number
        for role, offset in half.at.items():
            tables.places[row, role] = np.uint64(offset & MASKS[8])
            tables.places[row, ROLES + role] = np.uint64(half.masks[role])
            tables.role_fields[row, role] = half.fields[role]

    def _withdraw(self, session: int, template_id: int, set_id: int, note: Note) -> None:
        """Forget one template, or all of a kind where the set's own number is named (RFC 7011, section 8.1)."""
        known = self._ids.get(session, {})
        if template_id == set_id:
            leaving = [number for number, plan in known.items() if self._layouts[plan].options == (set_id == 3)]
        else:
            leaving = [template_id] if template_id in known else []
        for number in leaving:
            plan = known.pop(number)
            del self._layouts[plan]
            self._free.append(plan)
            self._remove(template_key(session, number))
            note(Irregularity.TEMPLATE_WITHDRAWN)

    def _insert(self, key: int, plan: int) -> None:
        tables = self._tables
        size = len(tables.template_keys)
        place = int(hashed(key, size))
        while tables.template_keys[place] != 0:
            place = (place + 1) & (size - 1)
        tables.template_keys[place] = key
        tables.template_plans[place] = plan

    def _remove(self, key: int) -> None:
        """Close the hole that the key leaves, so that probing still finds what stands behind it (Knuth, TAOCP 3, 6.4 R)."""
        keys, plans = self._tables.template_keys, self._tables.template_plans
        mask = len(keys) - 1
        hole = int(hashed(key, len(keys)))
        while keys[hole] != key:
            hole = (hole + 1) & mask
        probe = (hole + 1) & mask
        while keys[probe] != 0:
            home = int(hashed(int(keys[probe]), len(keys)))
            if (probe - home) & mask >= (probe - hole) & mask:
                keys[hole], plans[hole] = keys[probe], plans[probe]
                hole = probe
            probe = (probe + 1) & mask
        keys[hole] = 0
