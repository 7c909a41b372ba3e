"""Tables of increases from others: what is refused, and that nothing of it ends the process or fills the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspectorate.errors import InputError

pa = pytest.importorskip("pyarrow", reason="needs pyarrow")
pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
counters = pytest.importorskip("inspectorate.mechanisms.interconnect.counters.parquet", reason="needs pyarrow")

N = 20
NUMBERS = ("in_octets", "out_octets", "in_pkts", "out_pkts")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.parquet"


def columns(n: int = N, **other: object) -> dict[str, object]:
    times = [1_700_000_000_000 + 1000 * k for k in range(n)]
    return {"t_ms": times, "switch": ["s"] * n, "port": ["a"] * n, **{k: list(range(n)) for k in NUMBERS}, **other}


def write(path: Path, given: dict[str, object], **options: object) -> Path:
    pq.write_table(pa.table(given), path, **options)
    return path


def test_a_byte_of_a_footer_may_be_wrong(path: Path) -> None:
    data = write(path, columns(), store_schema=False).read_bytes()
    start, read = len(data) - 8 - int.from_bytes(data[-8:-4], "little"), 0
    for at in range(start, len(data), 4):
        changed = bytearray(data)
        changed[at] ^= (1, 2, 128)[at % 3]
        path.write_bytes(changed)
        try:
            read += len(counters.read_parquet(path).rows) == N
        except InputError as fault:
            assert fault.where == str(path)  # noqa: PT017 - either may happen
    assert read


def test_a_long_name_in_every_row_is_not_laid_out(path: Path) -> None:
    n = 50_000
    name = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), ["A" * 900_000])  # 45 GB
    write(path, columns(n, port=name), compression="zstd")
    assert path.stat().st_size < 2_000_000
    with pytest.raises(InputError, match="more than 200 characters"):
        counters.read_parquet(path)


def test_a_name_that_is_said_anew_in_every_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"use_dictionary": ["t_ms"], "column_encoding": {"port": "DELTA_BYTE_ARRAY"}}
    write(path, columns(1000, port=["A" * 900] * 1000), **options)
    monkeypatch.setattr(counters.pq, "ParquetFile", None)
    with pytest.raises(InputError, match="encoded in a way that is not read"):
        counters.read_parquet(path)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"in_pkts": ["1"] * N}, "in_pkts"),
        ({"port": list(range(N))}, "port"),
        ({"port": [["a"]] * N}, "."),
        ({"in_octets": [None, *range(N - 1)]}, "lacks a value"),
        ({"switch": [None, *["s"] * (N - 1)]}, "lacks a value"),
        ({"t_ms": [0] * N}, "1970"),
    ],
)
def test_what_is_no_table_of_increases(path: Path, other: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        counters.read_parquet(write(path, columns(**other)))


def test_a_column_that_is_not_there_and_faults_of_arrow(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, {name: value for name, value in columns().items() if name != "port"})
    with pytest.raises(InputError, match="table of increases"):
        counters.read_parquet(path)
    write(path, columns())
    for fault in (RuntimeError("unknown"), MemoryError(), IndexError()):
        with monkeypatch.context() as patch:
            patch.setattr(counters.pq, "ParquetFile", lambda *_, fault=fault, **__: (_ for _ in ()).throw(fault))
            with pytest.raises(InputError, match="table of increases"):
                counters.read_parquet(path)


def test_names_of_row_groups_with_lists_of_their_own(path: Path) -> None:
    ports = ["b", "a"] * 5 + ["c", "b"] * 5
    found = counters.read_parquet(write(path, columns(port=ports, switch=["s", "t"] * 10), row_group_size=10))
    counts = {str(port): int((found.rows["port"] == place).sum()) for place, port in enumerate(found.ports)}
    assert counts == {"s/b": 5, "t/a": 5, "s/c": 5, "t/b": 5}
    assert len(counters.read_parquet(write(path, columns(0, t_ms=pa.array([], pa.int64()), switch=pa.array([], pa.string()),
        port=pa.array([], pa.string()), **{k: pa.array([], pa.int64()) for k in NUMBERS}))).rows) == 0  # fmt: skip
