"""Tables from a hostile party: what is refused, and what is read is what was written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from register_histories import SITES, chip, table

from inspectorate.errors import EvidenceError, InputError, InspectorateError
from inspectorate.evidence.custody import CountUnit
from inspectorate.mechanisms.custody.register import (
    COLUMNS,
    read_register,
    read_serials,
    read_wiring,
    register_of,
    serials_of,
    units,
    wiring_of,
    write_register,
    write_serials,
    write_wiring,
)
from inspectorate.mechanisms.custody.register import parquet as tables
from inspectorate.mechanisms.custody.register.inventory import (
    Mapped,
    read_inventory,
    read_serial_lines,
    read_wiring_csv,
)

SMALL = table([chip("S1"), chip("S2", "site-b"), chip("S3", "site-b", rack="rack 0"), chip("S4", state="broken")])
BYTES = write_register(SMALL)
names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)


def parquet(columns: dict[str, object], **options: object) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(list(columns.values()), names=list(columns)), out, **options)
    return out.getvalue().to_pybytes()  # type: ignore[no-any-return]


def columns(**other: object) -> dict[str, object]:
    """The columns of one chip, by default."""
    one = {"serial": "S1", "model": "h100-sxm", "site": "a", "cluster": "c", "pod": "p", "rack": "r", "host": "h",
           "owner": "o", "state": "working"}  # fmt: skip
    return {**{name: pa.array([value]) for name, value in one.items()}, **other}


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(SITES), names, names, names), min_size=1, max_size=20))
def test_what_is_read_is_what_was_written(rows: list[tuple[int, str, str, str, str]]) -> None:
    chips = [chip(f"S{n}", site, rack=rack, host=host, owner=owner) for n, site, rack, host, owner in rows]
    register = table(chips)
    again = read_register(write_register(register))
    key = lambda one: (one.site, one.cluster, one.pod, one.rack, one.host, one.serial)  # noqa: E731
    assert [key(one) for one in again.chips(range(len(again)))] == sorted(map(key, chips))
    assert sorted(map(str, again.chips(range(len(again))))) == sorted(map(str, chips))
    for unit, wide in ((CountUnit.RACK, 4), (CountUnit.HOST, 5), (CountUnit.CHIP, None)):
        counted = units(again, unit)
        distinct = sorted({key(one)[:wide] for one in chips})
        assert len(counted) == (len(distinct) if wide else len(chips))
        assert counted.sizes.sum() == len(again)
        for number in range(len(counted)) if wide else ():
            assert {key(again.chip(row))[:wide] for row in counted.rows(number)} == {distinct[number]}
            assert (counted.of_row[list(counted.rows(number))] == number).all()
    picked = again.take(np.arange(len(again)) % 2 == 0)
    assert picked.chips(range(len(picked))) == again.chips(range(0, len(again), 2))
    assert sum(again.counts("site", "rack").values()) == len(chips)


def _long(depth: int) -> bytes:
    """Every row says "as the row above": short in the file, long in memory."""
    serials = pa.array(["A" * depth] * 1000)
    return parquet({"serial": serials}, use_dictionary=False, column_encoding={"serial": "DELTA_BYTE_ARRAY"})


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "cannot be read"),
        (b"PAR1" + bytes(40) + b"PAR1", "cannot be read"),
        (BYTES[:-20], "cannot be read"),
        (parquet(columns(extra=pa.array(["x"]))), "not as they should be"),
        (parquet({key: value for key, value in columns().items() if key != "rack"}), "not as they should be"),
        (parquet(columns(rack=pa.array([1]))), "not of texts"),
        (parquet(columns(rack=pa.array([["r"]]))), "."),
        (parquet(columns(rack=pa.array([None], type=pa.string()))), "has no rack"),
        (parquet(columns(model=pa.array(["h900"]))), "is no model"),
        (parquet(columns(state=pa.array(["destroyed"]))), "is no state"),
        (parquet(columns(site=pa.array(["a b"]))), "is no site"),
        (parquet(columns(rack=pa.array([" r"]))), "is no rack"),
        (parquet(columns(owner=pa.array(["o" * 129]))), "is no owner"),
        (parquet(columns(serial=pa.array(["S1 "]))), "is no serial"),
        (parquet(columns(serial=pa.array(["S\u0406"]))), "is no serial"),
        (parquet(columns(serial=pa.array(["S" * 65]))), "is no serial"),
        (parquet(columns(serial=pa.array(["S1\n"]))), "is no serial"),
        (parquet({name: pa.concat_arrays([value, value]) for name, value in columns(
            serial=pa.array(["S2"])).items()} | {"serial": pa.array(["S2", "S1"])}), "out of order"),
    ],
)  # fmt: skip
def test_what_is_no_register_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(EvidenceError, match=what):
        read_register(data)


def test_a_column_that_stands_there_twice_is_refused() -> None:
    given = [*columns().items(), ("owner", pa.array(["o"]))]
    out = pa.BufferOutputStream()
    pq.write_table(pa.table([value for _, value in given], names=[name for name, _ in given]), out)
    with pytest.raises(EvidenceError, match=r"columns|cannot be read"):
        read_register(out.getvalue().to_pybytes())


def test_a_serial_that_stands_there_twice_is_read_for_it_is_signed_for() -> None:
    twice = table([chip("S1"), chip("S1", "site-b")])
    assert len(read_register(write_register(twice))) == 2


@pytest.mark.parametrize("make", [lambda: _long(60), lambda: _long(1 << 16)])
def test_a_bomb_is_not_unpacked(make: Callable[[], bytes]) -> None:
    with pytest.raises(EvidenceError, match="encoded in a way that is not read"):
        read_serials(make())


def test_zeros_are_not_unpacked_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header of each page says what Arrow would allocate; the footer may say less."""
    plain = parquet({"serial": pa.array(["A" * (1 << 20)] * 4)}, use_dictionary=False, compression="zstd")
    assert len(plain) < 1 << 14
    with pytest.raises(EvidenceError, match="is no serial"):
        read_serials(plain)
    monkeypatch.setattr(tables, "BOUNDS", replace(tables.BOUNDS, unpacked_bytes=(4 << 20) - 1))
    with pytest.raises(EvidenceError, match="unpacks to more than"):
        read_serials(plain)


def test_a_footer_on_which_arrow_ends_the_process_is_refused() -> None:
    """A footer that says another type of a column than its statistics fit: Arrow's view of such a column aborts."""
    data = write_serials(serials_of(["S1", "S2"]))
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(start, len(data) - 8):
        changed = bytearray(data)
        changed[at] ^= 1
        with contextlib.suppress(InspectorateError):
            assert len(read_serials(bytes(changed))) == 2


def test_a_group_of_no_rows_and_a_cut_page_are_refused() -> None:
    data = bytearray(parquet({"serial": pa.array(["S1", "S2"])}, compression="none"))
    assert len(read_serials(bytes(data))) == 2
    at = data.index(b"\x15\x04")  # the header of the first page
    for change in (b"\x15\x7f", b"\x00\x04", b"\xff\xff"):
        with pytest.raises(EvidenceError):
            read_serials(bytes(data[:at] + change + data[at + 2 :]))


def test_other_writers_are_read() -> None:
    for options in ({"data_page_version": "2.0"}, {"compression": "snappy"}, {"compression": "none"}, {"version": "1.0"},
                    {"use_dictionary": False}, {"data_page_size": 16, "row_group_size": 2}):  # fmt: skip
        data = parquet({"serial": pa.array(["S1", "S2", "S3"])}, **options)
        assert read_serials(data).to_pylist() == ["S1", "S2", "S3"]


@settings(max_examples=30)
@given(st.data())
def test_a_flipped_byte_gives_a_table_or_an_error_of_ours(data: st.DataObject) -> None:
    sources = (
        (BYTES, read_register),
        (write_serials(serials_of(["S1", "S2"])), read_serials),
        (write_wiring(wiring_of([("h1", "h2", 10)])), read_wiring),
    )
    whole, read = data.draw(st.sampled_from(sources))
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert len(read(bytes(changed), "x")) < 100
    except InspectorateError as fault:
        assert fault.where  # noqa: PT017 - either may happen


def test_wiring_is_checked() -> None:
    assert read_wiring(write_wiring(wiring_of([("h1", "sw", 25), ("h1", "sw", 25)]))).links() == [("h1", "sw", 25)] * 2
    for links, what in (([("h1", "h1", 25)], "itself"), ([("h1", "sw", 0)], "rate"), ([("h1", "", 5)], "no node")):
        with pytest.raises(InputError, match=what):
            wiring_of(links)
    assert len(wiring_of([])) == 0
    assert len(read_wiring(write_wiring(wiring_of([])))) == 0
    with pytest.raises(InputError, match="twice"):
        serials_of(["S1", "S1"])


def test_an_inventory_is_read_as_the_operator_calls_things() -> None:
    csv = (
        b"Name,Serial number,Site,Rack,Tenant,Device type,Status\n"
        b'gpu-1,S2,DC-1,"Row 2, rack 5",ACME,H100 SXM5,Active\ngpu-2,S1,DC-1,Rack 1,ACME,H100 SXM5,Failed\n'
    )
    mapped = Mapped(
        columns={"serial": "Serial number", "site": "Site", "rack": "Rack", "owner": "Tenant", "host": "Name",
                 "model": "Device type", "state": "Status"},
        fixed={"cluster": "c", "pod": "p"},
        values={"model": {"H100 SXM5": "h100-sxm"}, "state": {"Active": "working", "Failed": "broken"}},
    )  # fmt: skip
    register = read_inventory(csv, mapped, where="csv")
    assert [(one.serial, one.rack, one.state) for one in register.chips([0, 1])] == [
        ("S1", "Rack 1", "broken"), ("S2", "Row 2, rack 5", "working"),
    ]  # fmt: skip
    assert read_inventory(write_register(register), where="parquet").chips([0, 1]) == register.chips([0, 1])
    for data, by, what in (
        (csv, Mapped(), "no column 'serial'"),
        (csv, Mapped(columns={"colour": "Name"}), "no column of a register"),
        (b"serial,serial\nS1,S2\n", mapped, "twice"),
        (b"serial\n", mapped, "0 rows|cannot be read"),
        (b"", mapped, "cannot be read|0 rows"),
        (csv.replace(b"ACME", b"", 1), mapped, "empty"),
        (b"\xff\xfe,\n\x00,", mapped, "."),
    ):
        with pytest.raises(InputError, match=what):
            read_inventory(data, by, where="csv")
    assert set(COLUMNS) == set(register.columns) | {"serial"}


def test_lists_and_wirings_of_operators() -> None:
    assert read_serial_lines(b"\xef\xbb\xbfS1\r\n\n S2 \n", where="list") == ["S1", "S2"]
    links = read_wiring_csv(b"host,other,bits_per_s\nh1,sw,25e9\n", where="csv").links()
    assert links == [("h1", "sw", 25_000_000_000)]
    for data in (b"host,other\nh1,sw\n", b"host,other,bits_per_s\nh1,sw,fast\n", b"host,other,bits_per_s\n,sw,5\n",
                 b"host,other,bits_per_s\nh1,sw,nan\n", b"host,other,bits_per_s\nh1,sw,1e30\n"):  # fmt: skip
        with pytest.raises(InputError):
            read_wiring_csv(data, where="csv")
    with pytest.raises(InputError, match="columns"):
        register_of({"serial": ["S1"]})
