"""Digests of tensors, and the reader of safetensors, against the rule written out slowly and against the safetensors package."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize
from safetensors.numpy import load, save

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.inspection.transcripts.hashing import (
    BITS_OF,
    RawTensor,
    digest_of_tensors,
    require_finite,
)
from inspectorate.mechanisms.inspection.transcripts.tensor_files import (
    digest_of_files,
    open_tensors,
    parse_tensors,
    pieces_of,
)

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a": np.array(7, dtype=np.int64),
    "empty": np.zeros((0, 4), dtype=np.float16),
    "ä name": np.ones(3, dtype=np.uint8),
}
CODES = {"float32": "F32", "int64": "I64", "float16": "F16", "uint8": "U8"}


def slow_digest(arrays: dict[str, np.ndarray]) -> str:
    """The rule, word for word."""
    entries = {
        name: {
            "blake3": blake3(array.tobytes()).hexdigest(),
            "dtype": CODES[str(array.dtype)],
            "shape": list(array.shape),
        }
        for name, array in arrays.items()
    }
    return "sha256:" + hashlib.sha256(canonical_bytes({"tensors": entries})).hexdigest()


def raw(array: np.ndarray) -> RawTensor:
    return RawTensor(CODES[str(array.dtype)], array.shape, memoryview(np.ascontiguousarray(array).tobytes()))


def file_of(entries: dict[str, object], body: bytes) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + body


def entry(start: int, end: int, shape: object = (2,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_the_digest_is_that_of_the_rule_whatever_the_file_and_the_order(tmp_path: Path) -> None:
    expected = slow_digest(ARRAYS)
    tensors = {name: raw(array) for name, array in ARRAYS.items()}
    assert digest_of_tensors(tensors) == expected
    assert digest_of_tensors(dict(reversed(tensors.items())), threads=0) == expected
    (tmp_path / "theirs").write_bytes(save(ARRAYS, metadata={"format": "np"}))
    (tmp_path / "ours").write_bytes(b"".join(pieces_of(tensors)))
    (tmp_path / "part-1").write_bytes(save({name: ARRAYS[name] for name in ("a", "empty")}))
    (tmp_path / "part-2").write_bytes(save({name: ARRAYS[name] for name in ("b", "ä name")}))
    for names in (["theirs"], ["ours"], ["part-1", "part-2"], ["part-2", "part-1"]):
        assert digest_of_files([tmp_path / name for name in names]) == expected
    with pytest.raises(EvidenceError, match="another file"):
        digest_of_files([tmp_path / "ours", tmp_path / "part-1"])


@given(
    st.dictionaries(st.text(min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=2), min_size=1, max_size=6)
)
def test_the_manifest_is_canonical_whatever_the_names(shapes: dict[str, list[int]]) -> None:
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    try:
        found = digest_of_tensors({name: raw(array) for name, array in arrays.items()})
    except EvidenceError:
        assert not all(name.isprintable() for name in arrays)
        return
    assert found == slow_digest(arrays)


def test_what_we_write_the_package_reads_and_the_other_way_round() -> None:
    ours = load(b"".join(pieces_of({name: raw(array) for name, array in ARRAYS.items()})))
    assert {name: array.tolist() for name, array in ours.items()} == {n: a.tolist() for n, a in ARRAYS.items()}
    theirs = parse_tensors(memoryview(save(ARRAYS)), where="x")
    assert {name: bytes(tensor.data) for name, tensor in theirs.items()} == {n: a.tobytes() for n, a in ARRAYS.items()}


@pytest.mark.parametrize("change", ["name", "dtype", "shape", "number"])
def test_every_part_of_a_tensor_is_in_its_digest(change: str) -> None:
    one = RawTensor("F32", (2, 2), memoryview(bytes(16)))
    other = {
        "name": {"b": one},
        "dtype": {"a": RawTensor("I32", (2, 2), one.data)},
        "shape": {"a": RawTensor("F32", (4,), one.data)},
        "number": {"a": RawTensor("F32", (2, 2), memoryview(bytes(15) + b"\1"))},
    }[change]
    assert digest_of_tensors({"a": one}) != digest_of_tensors(other)


ONCE = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
TWICE = struct.pack("<Q", 2 * len(ONCE) + 3) + b"{" + ONCE + b"," + ONCE + b"}" + bytes(4)
BAD = {
    "pickle of torch": b"PK\x03\x04" + bytes(60),
    "plain pickle": b"\x80\x04\x95" + bytes(60),
    "gguf": b"GGUF\x03\0\0\0" + bytes(60),
    "nothing": b"",
    "short": b"\1\2\3",
    "long header": struct.pack("<Q", 1 << 40) + b"{}",
    "no json": file_of({}, b"")[:8] + b"][",
    "no tensors": file_of({}, b""),
    "twice": TWICE,
    "overlap": file_of({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
    "gap": file_of({"a": entry(0, 8), "b": entry(12, 20)}, bytes(20)),
    "truncated": file_of({"a": entry(0, 8)}, bytes(7)),
    "left over": file_of({"a": entry(0, 8)}, bytes(9)),
    "backwards": file_of({"a": entry(8, 0)}, bytes(8)),
    "unknown format": file_of({"a": entry(0, 8, dtype="X9")}, bytes(8)),
    "format no text": file_of({"a": entry(0, 8, dtype=3)}, bytes(8)),
    "absurd shape": file_of({"a": entry(0, 8, shape=(1 << 40, 1 << 40, 1 << 40))}, bytes(8)),
    "shape of another size": file_of({"a": entry(0, 8, shape=(3,))}, bytes(8)),
    "negative shape": file_of({"a": entry(0, 8, shape=(-1, -2))}, bytes(8)),
    "shape of floats": file_of({"a": entry(0, 8, shape=(2.0,))}, bytes(8)),
    "truths": file_of({"a": {"dtype": "F32", "shape": [True], "data_offsets": [False, 4]}}, bytes(4)),
    "many dimensions": file_of({"a": entry(0, 4, shape=(1,) * 40)}, bytes(4)),
    "further field": file_of({"a": {**entry(0, 8), "x": 1}}, bytes(8)),
    "metadata": file_of({"__metadata__": {"a": 1}, "a": entry(0, 8)}, bytes(8)),
    "name with a line": file_of({"a\nb": entry(0, 8)}, bytes(8)),
}  # fmt: skip


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_safetensors_file_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(EvidenceError), open_tensors(tmp_path / "x"):
        pass


def test_links_folders_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(save(ARRAYS))
    (tmp_path / "link").symlink_to(tmp_path / "x")
    for name in ("link", "missing", "."):
        with pytest.raises(InspectorateError), open_tensors(tmp_path / name):
            pass


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_damaged_files_raise_nothing_else_and_are_not_read_where_the_package_does_not(
    tail: bytes, place: int, byte: int
) -> None:
    data = bytearray(save({"a": ARRAYS["b"], "b": ARRAYS["a"]}) + tail)
    data[place % len(data)] = byte
    try:
        tensors = parse_tensors(memoryview(bytes(data)), where="x")
    except EvidenceError:
        return
    try:
        theirs = dict(deserialize(bytes(data)))
    except SafetensorError:
        pytest.fail("we read what the package refuses")
    assert {name: bytes(tensor.data) for name, tensor in tensors.items()} == {
        n: bytes(e["data"]) for n, e in theirs.items()
    }


FLOATS = {
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -math.nan])
def test_numbers_that_are_none_are_found_wherever_they_are(dtype: str, bad: float) -> None:
    array = np.full(200_000, -1.5, dtype=FLOATS[dtype])
    array[0] = np.finfo(FLOATS[dtype]).max
    array[1] = np.finfo(FLOATS[dtype]).min
    tensor = RawTensor(dtype, array.shape, memoryview(array).cast("B"))
    require_finite({"a": tensor}, where="x")
    for place in (0, 131_072, -1):
        array[place] = bad
        with pytest.raises(EvidenceError, match="not finite"):
            require_finite({"a": tensor}, where="x")
        array[place] = 1


def test_small_formats_against_torch_bit_by_bit() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for dtype, code, size in (("bfloat16", "BF16", 2), ("float8_e4m3fn", "F8_E4M3", 1), ("float8_e5m2", "F8_E5M2", 1)):
        bits = torch.arange(1 << (8 * size), dtype=torch.int32).to(torch.int16 if size == 2 else torch.uint8)
        finite = torch.isfinite(bits.view(getattr(torch, dtype)).float())
        for pattern, expected in list(zip(bits.tolist(), finite.tolist(), strict=True))[:: 97 if size == 2 else 1]:
            data = (pattern % (1 << 8 * size)).to_bytes(size, "little")
            try:
                require_finite({"a": RawTensor(code, (1,), memoryview(data))}, where="x")
            except EvidenceError:
                assert not expected, (code, pattern)
            else:
                assert expected, (code, pattern)


def test_whole_numbers_are_always_finite_and_all_formats_have_a_size() -> None:
    require_finite({"a": RawTensor("I32", (2,), memoryview(b"\xff" * 8))}, where="x")
    assert all(bits % 8 == 0 for bits in BITS_OF.values())
    with pytest.raises(EvidenceError):
        digest_of_tensors({})
