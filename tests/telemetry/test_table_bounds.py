"""Tables of telemetry from a meter that the prover may hold: nothing of them ends the process, or takes more than the bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from telemetry_making import START_NS as T
from telemetry_making import S

from inspectorate.errors import EvidenceError
from inspectorate.evidence import pages
from inspectorate.evidence.pages import PLAIN_OR_DICTIONARY, Bounds, check_file
from inspectorate.mechanisms.workloads.telemetry import table as tables
from inspectorate.mechanisms.workloads.telemetry.table import read_table

ROWS = 40


def parquet(columns: dict[str, object] | None = None, **options: object) -> bytes:
    every: dict[str, object] = {
        "time_ns": [T + k * S for k in range(ROWS)],
        "unit": ["a", "b"] * (ROWS // 2),
        "power_w": [float(k) for k in range(ROWS)],
    }
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({**every, **(columns or {})}), out, store_schema=False, **options)
    return bytes(out.getvalue().to_pybytes())


def with_footer(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The file with another footer, whose length is right."""
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = change(data[start:-8])
    return data[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def arrow_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tables.pq, "ParquetFile", None)


def test_a_byte_of_a_footer_may_be_wrong() -> None:
    """Arrow's view of a column in the footer ends the process on some of these: it is never asked for."""
    data = parquet(row_group_size=ROWS // 2)
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    read = 0
    for at in range(start, len(data), 2):
        changed = bytearray(data)
        changed[at] ^= (1, 2, 128)[at % 3]
        try:
            read += len(read_table(bytes(changed))) == ROWS
        except EvidenceError as fault:
            assert fault.where  # noqa: PT017 - either may happen
    assert 0 < read < len(data) - start


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_a_text_that_is_said_anew_in_every_row(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    n = 2000
    data = parquet(
        {"time_ns": [T] * n, "unit": ["A" * 9000] * n, "power_w": [1.0] * n},
        use_dictionary=["time_ns", "power_w"],
        column_encoding={"unit": encoding},
        compression="zstd",
    )
    assert len(data) < 50_000
    arrow_is_not_asked(monkeypatch)
    with pytest.raises(EvidenceError, match="encoded in a way that is not read"):
        read_table(data)


@pytest.mark.parametrize(
    "options",
    [
        {
            "use_dictionary": False,
            "column_encoding": {"time_ns": "DELTA_BINARY_PACKED", "power_w": "BYTE_STREAM_SPLIT"},
        },
        {"data_page_version": "2.0", "compression": "snappy"},
        {"compression": "none", "version": "1.0", "data_page_size": 16, "row_group_size": 7},
        {"write_page_index": True, "compression": "gzip"},
    ],
)
def test_other_writers_are_read(options: dict[str, object], tmp_path: Path) -> None:
    data = parquet(**options)
    path = tmp_path / "t.parquet"
    path.write_bytes(data)
    for source in (data, path):
        assert read_table(source).values[:, 0].tolist() == list(range(ROWS))
    (tmp_path / "none").mkdir()
    for bad in (tmp_path / "none", tmp_path / "missing.parquet"):
        with pytest.raises(EvidenceError, match="cannot be read"):
            read_table(bad)


def test_a_page_that_says_another_size_than_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(use_dictionary=False, compression="zstd", row_group_size=ROWS)
    at = data.index(b"\x15\x00\x15") + 3  # the first header: a data page, and its size in two bytes
    assert data[at] & 0x80 > data[at + 1] & 0x80
    for said in (b"\xff\x7f", b"\x81\x00", b"\x82\x00"):  # far too much; less than none; one
        with pytest.raises(EvidenceError):
            read_table(data[:at] + said + data[at + 2 :])
    most = b"\xfe\x7f"  # 8,191 bytes
    monkeypatch.setattr(tables, "TABLE_BOUNDS", replace(tables.TABLE_BOUNDS, unpacked_bytes=8_000))
    assert len(read_table(data)) == ROWS
    arrow_is_not_asked(monkeypatch)
    with pytest.raises(EvidenceError, match="unpacks to more"):
        read_table(data[:at] + most + data[at + 2 :])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (b"\x06\x06\x02", "twice"),  # rows, once more
        (b"\x06\x86\x80\x08\x02", "too long"),  # field 65,539, which is field 3 in 16 bits
        (b"\x09\x28\x15\x02", "none of the format"),  # a list of numbers in field 20
        (b"\x0b\x28\x00", "no header has"),  # a map
        (b"\x0c\x28" * 40, "nests too deep"),
        (b"\x08\x28\xff\xff\xff\xff\x7f", "cut short"),
        (b"\x06\x28" + b"\xff" * 9 + b"\x7f", "too long"),
    ],
)
def test_what_arrow_could_read_in_another_way(monkeypatch: pytest.MonkeyPatch, more: bytes, word: str) -> None:
    arrow_is_not_asked(monkeypatch)
    with pytest.raises(EvidenceError, match=word):
        read_table(with_footer(parquet(), lambda footer: footer[:-1] + more + b"\0"))


def test_a_field_of_another_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow passes over a number of another type than the format's, and reads the pages elsewhere."""
    arrow_is_not_asked(monkeypatch)
    with pytest.raises(EvidenceError, match="not of its type"):
        # Rows (field 3) follow the schema (field 2): the same number, said to have 32 bits.
        read_table(with_footer(parquet(), lambda footer: footer.replace(b"\x16\x50\x19", b"\x15\x50\x19", 1)))


def test_faults_of_arrow_without_a_class_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for fault in (RuntimeError("unknown"), IndexError("out of range"), MemoryError()):
        with monkeypatch.context() as patch:
            patch.setattr(tables, "_open", lambda *_, fault=fault: (_ for _ in ()).throw(fault))
            with pytest.raises(EvidenceError, match="cannot be read"):
                read_table(parquet())


def test_bounds_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet(use_dictionary=False, data_page_size=16, row_group_size=10)
    bounds = Bounds(rows=ROWS, groups=4, footer_bytes=8000, header_bytes=200, unpacked_bytes=4000, values=3 * ROWS)
    assert check_file(data, "x", bounds) == ROWS
    for name, value in {"rows": ROWS - 1, "groups": 3, "footer_bytes": 99, "header_bytes": 9, "values": 119}.items():
        with pytest.raises(EvidenceError):
            check_file(data, "x", replace(bounds, **{name: value}))
    packed = parquet(use_dictionary=False, column_encoding={"time_ns": "DELTA_BINARY_PACKED"})
    assert bounds.encodings == PLAIN_OR_DICTIONARY
    with pytest.raises(EvidenceError, match="encoded"):
        check_file(packed, "x", bounds)
    monkeypatch.setattr(pages, "HEADERS_BYTES_MAX", 100)
    with pytest.raises(EvidenceError, match="too many pages"):
        check_file(data, "x", bounds)
