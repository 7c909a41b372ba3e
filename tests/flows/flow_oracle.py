"""A slow and obvious decoder of the same formats, with `struct` and dictionaries, against which the kernels are compared.

It knows nothing of plans, kernels or batches. It decodes records and names rejections; it does not follow sequence
numbers, so its input must not hold duplicates.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass, field

MAPPED = 0xFFFF << 32
PAST_NS, FUTURE_NS = 3_600 * 10**9, 5 * 10**9
FAR = 1 << 62
BYTES = [(0, 1), (0, 85), (0, 352), (0, 353), (0, 231), (0, 23), (0, 171)]
BYTES_BACK = [(29305, 1), (29305, 85), (29305, 352), (29305, 353), (0, 232)]
PACKETS = [(0, 2), (0, 86), (0, 298), (0, 24), (0, 172)]
PACKETS_BACK = [(29305, 2), (29305, 86), (0, 299)]
STARTS = [(156, "ntp"), (154, "ntp"), (152, "ms"), (158, "delta"), (150, "s"), (22, "uptime")]
ENDS = [(157, "ntp"), (155, "ntp"), (153, "ms"), (159, "delta"), (151, "s"), (21, "uptime")]
OBSERVED = [(325, "ntp"), (324, "ntp"), (323, "ms"), (322, "s")]
Row = tuple[int, ...]


@dataclass
class Domain:
    templates: dict[int, tuple[str, list[tuple[int, int, int]], int]] = field(default_factory=dict)
    rate: float = 1.0
    general: bool = False
    samplers: dict[int, float] = field(default_factory=dict)
    init_ms: int | None = None


@dataclass
class Oracle:
    """Decodes one datagram after the other into `rows` and `rejections`."""

    rows: list[Row] = field(default_factory=list)
    rejections: Counter[str] = field(default_factory=Counter)
    domains: dict[tuple[int, int], Domain] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        self.rejections[reason] += 1

    def decode(self, data: bytes, arrival_ns: int) -> None:
        self.arrival = arrival_ns
        if len(data) < 4:
            self.reject("truncated_header")
            return
        version = struct.unpack(">H", data[:2])[0]
        if version == 5:
            self.decode_v5(data)
        elif version == 9:
            self.decode_v9(data)
        elif version == 10:
            self.decode_ipfix(data)
        else:
            self.reject("unknown_version")

    def decode_v5(self, data: bytes) -> None:
        if len(data) < 24:
            self.reject("truncated_header")
            return
        count, uptime, seconds, nanos, _, engine, interval = struct.unpack(">HIIIIHH", data[2:24])
        self.domain = self.domains.setdefault((5, engine), Domain())
        if interval & 0x3FFF:
            self.domain.rate = float(interval & 0x3FFF)
        self.export, self.uptime, self.version, self.number = seconds * 10**9 + nanos, uptime, 5, engine
        body, done = data[24:], 0
        while done < count and len(body) >= 48:
            r, body, done = body[:48], body[48:], done + 1
            widths = [
                (8, 4),
                (12, 4),
                (15, 4),
                (10, 2),
                (14, 2),
                (2, 4),
                (1, 4),
                (22, 4),
                (21, 4),
                (7, 2),
                (11, 2),
                (0, 1),
                (6, 1),
                (4, 1),
            ]
            values, at = {}, 0
            for number, width in widths:
                values[(0, number)] = r[at : at + width]
                at += width
            self.emit(values, back=False)
        if done < count:
            self.reject("truncated_record")
        elif any(body):
            self.reject("trailing_bytes")

    def decode_v9(self, data: bytes) -> None:
        if len(data) < 20:
            self.reject("truncated_header")
            return
        uptime, seconds, _, self.number = struct.unpack(">IIII", data[4:20])
        self.domain = self.domains.setdefault((9, self.number), Domain())
        self.export, self.uptime, self.version = seconds * 10**9, uptime, 9
        self.held, before = 0, self.rejections.copy()
        self.decode_sets(data[20:], 9)
        uncounted = ("unknown_template", "bad_length", "truncated_record")
        stated = struct.unpack(">H", data[2:4])[0]
        if stated != self.held and all(self.rejections[r] == before[r] for r in uncounted):
            self.reject("wrong_count")

    def decode_ipfix(self, data: bytes) -> None:
        if len(data) < 16:
            self.reject("truncated_header")
            return
        length, seconds, _, self.number = struct.unpack(">HIII", data[2:16])
        if not 16 <= length <= len(data):
            self.reject("bad_length")
            return
        self.held = 0
        self.domain = self.domains.setdefault((10, self.number), Domain())
        self.export, self.uptime, self.version = seconds * 10**9, 0, 10
        self.decode_sets(data[16:length], 10)
        if any(data[length:]):
            self.reject("trailing_bytes")

    def decode_sets(self, body: bytes, version: int) -> None:
        while body:
            length = struct.unpack(">H", body[2:4])[0] if len(body) >= 4 else 0
            if length < 4 or length > len(body):
                if any(body):
                    self.reject("bad_length")
                return
            number, content, body = struct.unpack(">H", body[:2])[0], body[4:length], body[length:]
            first = 2 if version == 10 else 0
            if number in (first, first + 1):
                self.decode_templates(content, version, options=number == first + 1, set_id=number)
            elif number < 256:
                self.reject("reserved_set")
            elif number not in self.domain.templates:
                self.reject("unknown_template")
            else:
                self.decode_data(content, *self.domain.templates[number])

    def decode_templates(self, body: bytes, version: int, *, options: bool, set_id: int) -> None:
        templates = self.domain.templates
        while len(body) >= 4 and any(body):
            number, second = struct.unpack(">HH", body[:4])
            if version == 10 and second == 0 and number in (2, 3):
                if number == set_id:
                    for known in [k for k, t in templates.items() if (t[0] == "options") == options]:
                        del templates[known]
                body = body[4:]
                continue
            if number < 256:
                self.reject("bad_template")
                return
            if version == 10 and second == 0:
                templates.pop(number, None)
                body = body[4:]
                continue
            rest, count, scopes = body[4:], second, 0
            if options:
                if len(rest) < 2:
                    self.reject("bad_template")
                    return
                third, rest = struct.unpack(">H", rest[:2])[0], rest[2:]
                if version == 10:
                    scopes = third
                    if not 0 < scopes <= count:
                        self.reject("bad_template")
                        return
                else:
                    if second % 4 or third % 4:
                        self.reject("bad_template")
                        return
                    scopes, count = second // 4, (second + third) // 4
            fields: list[tuple[int, int, int]] = []
            for _ in range(count):
                if len(rest) < 4:
                    self.reject("bad_template")
                    return
                element, width = struct.unpack(">HH", rest[:4])
                rest, enterprise = rest[4:], 0
                if version == 10 and element & 0x8000:
                    if len(rest) < 4:
                        self.reject("bad_template")
                        return
                    enterprise, rest, element = struct.unpack(">I", rest[:4])[0], rest[4:], element & 0x7FFF
                fields.append((enterprise, element, width))
            body = rest
            self.held += 1
            least = sum(1 if w == 65535 else w for _, _, w in fields)
            if least == 0:
                self.reject("empty_template")
            elif len(fields) > 512 or least > 65_515:
                self.reject("template_too_large")
            else:
                templates[number] = ("options" if options else "data", fields, scopes if version == 9 else 0)

    def decode_data(self, body: bytes, kind: str, fields: list[tuple[int, int, int]], skipped: int) -> None:
        least = sum(1 if w == 65535 else w for _, _, w in fields)
        names = {(e, n) for e, n, w in fields if w}
        widths: dict[tuple[int, int], int] = {}
        for e, n, w in fields:
            if w:
                widths.setdefault((e, n), w)
        forward = any(k in names and widths[k] <= 8 for k in BYTES)
        backward = any(k in names and widths[k] <= 8 for k in BYTES_BACK)
        while len(body) >= least:
            values: dict[tuple[int, int], bytes] = {}
            left = body
            for index, (enterprise, element, width) in enumerate(fields):
                variable = width == 65535
                if variable:
                    if not left:
                        self.reject("truncated_record")
                        return
                    width, left = left[0], left[1:]
                    if width == 255:
                        if len(left) < 2:
                            self.reject("truncated_record")
                            return
                        width, left = struct.unpack(">H", left[:2])[0], left[2:]
                if len(left) < width:
                    self.reject("truncated_record")
                    return
                if index >= skipped and width and (kind == "options" or not variable):
                    values.setdefault((enterprise, element), left[:width])
                elif index >= skipped and variable:
                    values.setdefault((enterprise, element), b"")
                left = left[width:]
            body = left
            self.held += 1
            if kind == "options":
                self.announce(values)
            else:
                if forward:
                    self.emit(values, back=False)
                if backward:
                    self.emit(values, back=True)

    def announce(self, values: dict[tuple[int, int], bytes]) -> None:
        number = {n: int.from_bytes(raw) for (e, n), raw in values.items() if e == 0 and 0 < len(raw) <= 8}
        if number.get(160, 1 << 60) < 1 << 42:
            self.domain.init_ms = number[160]
        rate = None
        if 305 in number:
            rate = 0.0
            if number[305]:
                rate = (number[305] + number[306]) / number[305] if 306 in number else float(number[305])
        elif 34 in number:
            rate = float(max(1, number[34]))
        elif 50 in number:
            rate = float(max(1, number[50]))
        if rate is None:
            return
        if not 1 <= rate <= 1 << 30:
            self.reject("bad_sampling_rate")
            return
        selector = number.get(302, number.get(48))
        if selector is None:
            self.domain.rate, self.domain.general = rate, True
        else:
            self.domain.samplers[selector] = rate
            if not self.domain.general:
                self.domain.rate = max(self.domain.samplers.values())

    def time(self, kind: str, raw: int, init_ms: int | None) -> int | None:
        if kind == "uptime":
            uptime = self.uptime
            if self.version == 10:
                if init_ms is None:
                    return None
                uptime = self.export // 10**6 - init_ms
            age = (uptime - raw) % 2**32
            age -= 2**32 if age >= 2**31 else 0
            return self.export - age * 10**6
        if kind == "ms":
            return raw * 10**6 if raw < 1 << 42 else FAR
        if kind == "s":
            return raw * 10**9 if raw < 1 << 32 else FAR
        if kind == "ntp":
            seconds = (raw >> 32) - 2_208_988_800
            return (seconds + (1 << 32 if seconds < 0 else 0)) * 10**9 + ((raw & 0xFFFFFFFF) * 10**9 >> 32)
        return self.export - raw * 1000 if raw < 1 << 51 else FAR

    def emit(self, values: dict[tuple[int, int], bytes], *, back: bool) -> None:
        def first(keys: list[tuple[int, int]], widest: int = 8) -> int | None:
            for key in keys:
                if key in values and 0 < len(values[key]) <= widest:
                    return int.from_bytes(values[key])
            return None

        def address(new: int, old: int) -> tuple[int, int]:
            six, four = values.get((0, new), b""), values.get((0, old), b"")
            return (int.from_bytes(six) if len(six) == 16 else None, int.from_bytes(four) if len(four) == 4 else None)  # type: ignore[return-value]

        src6, src4 = address(28, 12) if back else address(27, 8)
        dst6, dst4 = address(27, 8) if back else address(28, 12)
        if (src6 or 0) | (dst6 or 0) == 0 and (src4 is not None or dst4 is not None):
            both = src6 is not None or dst6 is not None
            src = MAPPED | (src4 or 0) if src4 is not None or both else 0
            dst = MAPPED | (dst4 or 0) if dst4 is not None or both else 0
        else:
            src, dst = src6 or 0, dst6 or 0
        octets = first(BYTES_BACK if back else BYTES) or 0
        packets = first(PACKETS_BACK if back else PACKETS) or 0
        rate = self.record_rate(values)
        start, end = self.span(values)
        sport, dport = (first([(0, n)], 2) or 0 for n in ((11, 7) if back else (7, 11)))
        mask = 0xFFFF_FFFF
        in_if, out_if = ((first([(0, n)]) or 0) & mask for n in ((14, 10) if back else (10, 14)))
        row = (src >> 64, src % 2**64, dst >> 64, dst % 2**64, octets, packets, start, end)
        self.rows.append(
            (*row, int(rate * 1000), self.number, in_if, out_if, sport, dport, first([(0, 4)], 1) or 0, self.version)
        )

    def record_rate(self, values: dict[tuple[int, int], bytes]) -> float:
        usable = {n: int.from_bytes(raw) for (e, n), raw in values.items() if e == 0 and 0 < len(raw) <= 8}
        for number in (305, 34, 50):
            if number in usable:
                interval, space = usable[number], usable.get(306)
                if 0 < interval < 1 << 32 and (space or 0) < 1 << 32:
                    return (interval + space) / interval if space is not None else float(interval)
                break
        for number in (302, 48):
            if number in usable:
                return self.domain.samplers.get(usable[number], self.domain.rate)
        return self.domain.rate

    def span(self, values: dict[tuple[int, int], bytes]) -> tuple[int, int]:
        init = self.domain.init_ms
        if 0 < len(values.get((0, 160), b"")) <= 8:
            init = int.from_bytes(values[(0, 160)]) & 0xFFFF_FFFF_FFFF

        def pick(choices: list[tuple[int, str]]) -> tuple[int | None, bool]:
            for number, kind in choices:
                raw = values.get((0, number), b"")
                if len(raw) == 8 or (4 <= len(raw) <= 8 and kind != "ntp"):
                    return self.time(kind, int.from_bytes(raw), init), True
            return None, False

        (start, has_start), (end, has_end) = pick(STARTS), pick(ENDS)
        if not has_start and not has_end:
            end, _ = pick(OBSERVED)
        lasted = 0
        for number, unit in ((161, 10**6), (162, 10**3)):
            raw = values.get((0, number), b"")
            if 0 < len(raw) <= 8:
                value = int.from_bytes(raw)
                lasted = value * unit if value < 1 << 32 else FAR >> 1
                break
        if start is None:
            end = self.export if end is None else end
            start = end - lasted
        elif end is None:
            end = start + lasted if lasted else self.export
        start, end = min(start, end), max(start, end)
        low, high = self.arrival - PAST_NS, self.arrival + FUTURE_NS
        return min(max(start, low), high), min(max(end, low), high)


def rows_of(records: object) -> list[Row]:
    """Decoded records in the oracle's form."""
    names = ("src_hi", "src_lo", "dst_hi", "dst_lo", "bytes", "packets", "start_ns", "end_ns")
    rest = ("domain", "in_if", "out_if", "src_port", "dst_port", "proto", "version")
    return [
        (*(int(r[n]) for n in names), int(r["sampling_rate"] * 1000), *(int(r[n]) for n in rest))
        for r in records  # type: ignore[attr-defined]
    ]
