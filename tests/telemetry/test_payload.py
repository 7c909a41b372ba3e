"""Our table, payloads of segments, and whole streams."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_making import START_NS as T
from telemetry_making import S, same, samples, scrapes

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin, Segment, Stream
from inspectorate.keys import Holder
from inspectorate.mechanisms.workloads.telemetry import payload as payloads
from inspectorate.mechanisms.workloads.telemetry import table as tables
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import (
    TABLE,
    TEXT,
    encode_segment,
    read_segment,
    samples_of_stream,
)
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS
from inspectorate.mechanisms.workloads.telemetry.table import read_table, write_table
from inspectorate.quantities import Period, from_ns

PLAIN = samples(
    [
        (T, "a", {"power_w": 423.1, "energy_j": 1e9 + 0.001}),
        (T, "b", {"power_w": 9223372036854775794.0}),
        (T - S, "a", {"busy_share": 0.5}),
        (T, "a", {"power_w": -1.0}),
    ]
)


def parquet(columns: dict[str, object]) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return bytes(out.getvalue().to_pybytes())


# --- the table ---------------------------------------------------------------------------------------------------------


def test_a_table_holds_samples_as_they_came() -> None:
    assert same(read_table(write_table(PLAIN)), PLAIN)
    empty = samples([])
    assert len(read_table(write_table(empty))) == 0


@given(
    st.lists(
        st.tuples(
            st.integers(1, 7_258_118_399_999_999_999),
            st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=5),
            st.dictionaries(st.sampled_from(["power_w", "energy_j", "busy_share"]), st.floats(allow_nan=False)),
        ),
        max_size=20,
    )
)
@settings(max_examples=60)
def test_any_samples_come_back(rows: list[tuple[int, str, dict[str, float]]]) -> None:
    given_samples = samples(rows)
    assert same(read_table(write_table(given_samples)), given_samples)


def test_tables_of_other_writers(tmp_path: Path) -> None:
    data = parquet({"unit": ["a", "b"], "power_w": pa.array([1.5, None], pa.float32()), "time_ns": [T, T + S]})
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    for source in (data, path):
        found = read_table(source)
        assert found.units == ("a", "b")
        assert found.values[0, 0] == 1.5
        assert np.isnan(found.values[1, 0])


TIME, UNIT = pa.array([T], pa.int64()), ["a"]


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"time_ns": TIME, "power_w": [1.0]}, "columns"),
        ({"unit": UNIT, "power_w": [1.0]}, "columns"),
        ({"time_ns": TIME, "unit": UNIT, "watts": [1.0]}, "watts"),
        ({"time_ns": TIME, "unit": UNIT, "power_w": ["1"]}, "type"),
        ({"time_ns": TIME, "unit": UNIT, "power_w": [1]}, "type"),
        ({"time_ns": [1.0], "unit": UNIT}, "type"),
        ({"time_ns": TIME, "unit": [7]}, "type"),
        ({"time_ns": TIME, "unit": [b"\xff"]}, "type"),
        ({"time_ns": TIME, "unit": pa.array([None], pa.string())}, "no unit"),
        ({"time_ns": pa.array([None], pa.int64()), "unit": UNIT}, "no time"),
        ({"time_ns": pa.array([0], pa.int64()), "unit": UNIT}, "1970"),
        ({"time_ns": pa.array([2**63 - 1], pa.int64()), "unit": UNIT}, "2200"),
        ({"time_ns": TIME, "unit": [""]}, "name"),
        ({"time_ns": TIME, "unit": ["x" * 300]}, "name"),
    ],
)
def test_what_is_no_table_of_ours(columns: dict[str, object], word: str) -> None:
    with pytest.raises(EvidenceError, match=word):
        read_table(parquet(columns))


def test_a_column_that_is_there_twice() -> None:
    table = pa.table([TIME, UNIT, [1.0], [2.0]], names=["time_ns", "unit", "power_w", "power_w"])
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    with pytest.raises(EvidenceError):
        read_table(out.getvalue().to_pybytes())


def test_bounds_are_held_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_table(PLAIN)
    monkeypatch.setattr(tables.pq, "ParquetFile", None)
    for name in ("rows", "groups", "footer_bytes", "header_bytes", "unpacked_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(tables, "TABLE_BOUNDS", replace(tables.TABLE_BOUNDS, **{name: 0}))
            with pytest.raises(EvidenceError):
                read_table(data)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "TABLE_BYTES_MAX", len(data) - 1)
        with pytest.raises(EvidenceError, match="larger"):
            read_table(data)
    with pytest.raises(EvidenceError, match="bounds"):
        read_table(data, values_max=19)


def test_a_few_bytes_that_speak_of_very_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of equal values and one long text, repeated, are small until they are laid out."""
    monkeypatch.setattr(payloads, "VALUES_PER_PAYLOAD_MAX", 1_000_000)
    n = 100_000
    data = write_table(
        Samples(
            units=("x" * 256,),
            signals=tuple(sorted(SIGNALS))[:30],
            time_ns=np.full(n, T),
            unit=np.zeros(n, dtype=np.int32),
            values=np.broadcast_to(np.zeros(30), (n, 30)),
        )
    )
    assert len(data) < 50_000
    with pytest.raises(EvidenceError, match="bounds"):
        read_segment(data, TABLE, report=ReadReport())


def test_a_row_whose_unit_is_not_in_the_list_of_units() -> None:
    """Found by fuzzing: one bit of a list of texts, and rows speak of a text behind its end."""
    data = write_table(samples([(T + k * S, "ab"[k % 2], {"power_w": 1.0}) for k in range(20)]))
    faults = set()
    for at in range(len(data) // 2):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                read_table(bytes(changed))
            except EvidenceError as fault:
                faults.add("out of bounds" in str(fault))
    assert faults == {True, False}


def test_row_groups_with_lists_of_units_of_their_own() -> None:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"time_ns": [T + k for k in range(6)], "unit": list("aabbca")}), out, row_group_size=2)
    found = read_table(out.getvalue().to_pybytes())
    assert [found.units[place] for place in found.unit] == list("aabbca")
    assert found.units == ("a", "b", "c")


def test_damaged_tables_are_refused_or_read_but_never_anything_else() -> None:
    rows = [(T + k * S, "ab"[k % 2], {"power_w": float(k), "busy_share": 0.5}) for k in range(50)]
    data, source = write_table(samples(rows)), random.Random(1)
    refused = 0
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(source.randrange(1, 4)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        try:
            read_table(bytes(changed[: source.choice([len(changed), source.randrange(len(changed))])]))
        except EvidenceError:
            refused += 1
    assert refused > 200


# --- payloads ----------------------------------------------------------------------------------------------------------


def test_both_forms_of_a_payload() -> None:
    text = scrapes(1, hosts=2, rounds=3, chips=2)
    report = ReadReport()
    found = read_segment(text, TEXT, report=report)
    assert report.entries == text.count(b"\nDCGM") == 2 * 3 * 40
    table = encode_segment(found)
    again = ReadReport()
    assert same(read_segment(table, TABLE, report=again), found)
    assert again.entries == len(found) == 12


def test_what_is_no_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvidenceError, match="form"):
        read_segment(b"", "application/json", report=ReadReport())
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_segment(b"no table", TABLE, report=ReadReport())
    monkeypatch.setattr(payloads, "PAYLOAD_BYTES_MAX", 10)
    with pytest.raises(EvidenceError, match="exceeds"):
        read_segment(b"x" * 11, TEXT, report=ReadReport())
    with pytest.raises(InputError, match="at most"):
        encode_segment(PLAIN)


# --- streams -----------------------------------------------------------------------------------------------------------


def stream(*parts: tuple[bytes, str, int, int, int]) -> tuple[Stream, Callable[[str], bytes]]:
    """A stream of segments, each payload, media type, entries, and seconds of its start and end."""
    store = {f"sha256:{hashlib.sha256(content).hexdigest()}": content for content, *_ in parts}
    segments = tuple(
        Segment(
            sensor="meter-1",
            stream="one",
            sequence=number,
            period=Period(start=from_ns(T + first * S), end=from_ns(T + last * S)),
            digest=f"sha256:{number:064x}",
            previous=None,
            payload=f"sha256:{hashlib.sha256(content).hexdigest()}",
            payload_bytes=len(content),
            media_type=media,
            entries=entries,
            dropped=0,
            final=False,
            origin=Origin.RECORDED,
            holders=(Holder.VERIFIER,),
        )
        for number, (content, media, entries, first, last) in enumerate(parts)
    )
    return Stream(sensor="meter-1", segments=segments), store.__getitem__


def rows(first: int, last: int, **values: float) -> Samples:
    return samples([(T + k * S, unit, values) for k in range(first, last) for unit in ("a", "b")])


def test_a_stream_of_both_forms() -> None:
    text = f'# scraped {T + 2 * S} took 5\ninspectorate_power_w{{unit="c"}} 7\nnode_vmstat_pgfault 3\n'.encode()
    given_stream, store = stream(
        (write_table(rows(0, 2, power_w=1.0)), TABLE, 4, 0, 2),
        (text, TEXT, 2, 2, 4),
        (write_table(rows(4, 5, busy_share=0.5)), TABLE, 2, 4, 5),
    )
    found, report = samples_of_stream(given_stream, store)
    assert report.contradictions == []
    assert (report.entries, report.unread) == (8, {})
    assert found.units == ("a", "b", "c", "meter-1")
    assert set(found.signals) == {"power_w", "page_faults", "busy_share"}
    assert len(found) == 8
    assert found.time_ns.tolist() == [T, T, T + S, T + S, T + 2 * S, T + 2 * S, T + 4 * S, T + 4 * S]


def test_what_speaks_against_a_stream_is_named_and_the_rest_is_read() -> None:
    given_stream, store = stream(
        (write_table(rows(0, 2, power_w=1.0)), TABLE, 5, 0, 2),
        (b"no table", TABLE, 1, 2, 3),
        (write_table(rows(3, 7, power_w=2.0)), TABLE, 8, 3, 5),
    )
    found, report = samples_of_stream(given_stream, store)
    assert len(found) == 4 + 6, "what is within a microsecond of the end is in it"
    assert report.unread == {Unread.OUTSIDE_SEGMENT: 2}
    wrong, unread, outside = report.contradictions
    assert "segment 0" in wrong
    assert "holds 4 samples, signed for are 5" in wrong
    assert "segment 1" in unread
    assert "cannot be decoded" in unread
    assert "2 rows of times outside" in outside


def test_nanoseconds_within_the_last_microsecond_of_a_period_are_in_it() -> None:
    one = samples([(T + S + 999, "a", {"power_w": 1.0})])
    given_stream, store = stream((write_table(one), TABLE, 1, 0, 1))
    assert samples_of_stream(given_stream, store)[1].contradictions == []


def test_an_empty_stream_holds_nothing() -> None:
    found, report = samples_of_stream(Stream(sensor="m", segments=()), {}.__getitem__)
    assert (len(found), found.units, report.entries) == (0, (), 0)


def test_a_stream_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = stream(*((write_table(rows(k, k + 1, power_w=float(k))), TABLE, 2, k, k + 1) for k in range(4)))
    monkeypatch.setattr(payloads, "SAMPLES_MAX", 5)
    with pytest.raises(EvidenceError, match="shorter period"):
        samples_of_stream(*parts)


def test_periods_are_half_open() -> None:
    assert timedelta(seconds=1) == Period(start=from_ns(T), end=from_ns(T + S)).end - from_ns(T)
    late = samples([(T + S + 1000, "a", {"power_w": 1.0})])
    given_stream, store = stream((write_table(late), TABLE, 1, 0, 1))
    found, report = samples_of_stream(given_stream, store)
    assert len(found) == 0
    assert report.contradictions
