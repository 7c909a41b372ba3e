"""The digest of a set of named tensors: weights, optimiser state, a batch.

The rule, so that anybody can compute it:

1. Every tensor has a name, a format (as safetensors writes it: `F32`, `BF16`), a shape, and its numbers in row order, each little
   endian, without gaps.
2. The numbers of each tensor are hashed by BLAKE3.
3. `{"tensors": {name: {"blake3": ..., "dtype": ..., "shape": [...]}}}` in canonical JSON (RFC 8785) is the manifest.
4. The digest is `sha256:` and the SHA-256 of the manifest.

It does not depend on files, their layout, the order of tensors, or the framework: a model in one file, in shards and in the memory
of a process has one digest. No numbers are copied where they already lie in that order.

BLAKE3 (the `blake3` package, of the authors of the function) inside, because it is two to three times faster than SHA-256 with
processor instructions and uses several cores; SHA-256 outside, because a digest has one form everywhere here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blake3 import blake3

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError

BITS_OF: Mapping[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64,
}  # fmt: skip
"""Formats of safetensors that fill whole bytes. Others (four-bit numbers) are refused: packed weights come as `U8` or `I32`."""

TENSORS_MAX = 200_000
NAME_MAX = 1_000
DIMENSIONS_MAX = 16
TENSOR_BYTES_MAX = 1 << 42
_CHUNK = 1 << 18
"""Numbers are looked at in pieces of this many bytes, which stay in a cache of the processor."""


@dataclass(frozen=True)
class RawTensor:
    """One tensor as bytes: `data` is contiguous and little-endian."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def check_tensor(name: str, tensor: RawTensor, *, where: str) -> None:
    """Name, format, shape and size fit one another and the limits. Raises `EvidenceError`."""
    if not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise EvidenceError(f"the tensor name {name[:100]!r} is empty, too long or not printable", where=where)
    if tensor.dtype not in BITS_OF:
        raise EvidenceError(f"{name} has the format {tensor.dtype[:40]!r}, which is not known", where=where)
    if len(tensor.shape) > DIMENSIONS_MAX or any(side < 0 for side in tensor.shape):
        raise EvidenceError(f"{name} has a shape that no tensor has", where=where)
    size = math.prod(tensor.shape) * BITS_OF[tensor.dtype] // 8
    if size > TENSOR_BYTES_MAX:
        raise EvidenceError(f"{name} would take {size} bytes, more than {TENSOR_BYTES_MAX}", where=where)
    if size != tensor.data.nbytes:
        raise EvidenceError(f"{name} has {tensor.data.nbytes} bytes, and its shape takes {size}", where=where)


def manifest_of(tensors: Mapping[str, RawTensor], *, threads: int = 1) -> bytes:
    """The manifest of rule 3. `threads`: of the hash function; 0 for as many as the machine has.

    Raises `EvidenceError` where a tensor is none.
    """
    if sys.byteorder != "little":
        raise EnvironmentError_("digests of tensors are made on little-endian machines only")
    if not 0 < len(tensors) <= TENSORS_MAX:
        raise EvidenceError(f"{len(tensors)} tensors are none, or more than {TENSORS_MAX}", where="tensors")
    entries = {}
    for name in sorted(tensors, key=lambda name: name.encode("utf-16-be", "surrogatepass")):
        tensor = tensors[name]
        check_tensor(name, tensor, where="tensors")
        entries[name] = {
            "blake3": _blake3(tensor.data, threads),
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
        }
    return plain_json({"tensors": entries})


def plain_json(entries: Mapping[str, object]) -> bytes:
    """What `canonical_bytes` gives for objects whose keys stand in its order and hold nothing to escape but quotes and backslashes,
    and whose numbers are whole: names of tensors are printable. It is many times faster, and this is done for every batch."""
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()


def digest_of_tensors(tensors: Mapping[str, RawTensor], *, threads: int = 1) -> str:
    """The digest of rule 4. Raises `EvidenceError` where a tensor is none."""
    return digest_of(manifest_of(tensors, threads=threads))


def _blake3(data: memoryview, threads: int) -> str:
    hasher = blake3(max_threads=blake3.AUTO if threads == 0 else threads)
    hasher.update(data)
    return hasher.hexdigest()


def require_finite(tensors: Mapping[str, RawTensor], *, where: str) -> None:
    """Every floating-point number is one. Raises `EvidenceError` at the first tensor that holds NaN or infinity."""
    for name in sorted(tensors):
        if not _is_finite(tensors[name]):
            raise EvidenceError(f"{name} holds a number that is not finite", where=where)


_NOT_FINITE: Mapping[str, tuple[int, int]] = {
    "F16": (2, 0x7C00),
    "BF16": (2, 0x7F80),
    "F32": (4, 0x7F80_0000),
    "C64": (4, 0x7F80_0000),
    "F64": (8, 0x7FF0_0000_0000_0000),
    "F8_E5M2": (1, 0x7C),
    "F8_E4M3": (1, 0x7F),
}
"""Bytes of a number, and the least pattern of bits below the sign that is no finite number. All patterns above are none either."""


def _is_finite(tensor: RawTensor) -> bool:
    """Two maxima for each piece: as signed integers over the positive numbers, as unsigned ones over the negative."""
    flat = tensor.data.cast("B") if tensor.data.nbytes else tensor.data
    for start in range(0, flat.nbytes, _CHUNK):
        piece = flat[start : start + _CHUNK]
        if tensor.dtype == "F8_E8M0":
            if bool((np.frombuffer(piece, dtype="<u1") == 0xFF).any()):
                return False
        elif tensor.dtype in _NOT_FINITE:
            size, least = _NOT_FINITE[tensor.dtype]
            sign = 1 << (8 * size - 1)
            if int(np.frombuffer(piece, dtype=f"<i{size}").max()) >= least:
                return False
            if int(np.frombuffer(piece, dtype=f"<u{size}").max()) >= sign + least:
                return False
    return True


def joined(parts: Iterable[tuple[Path, Mapping[str, RawTensor]]]) -> dict[str, RawTensor]:
    """The tensors of several files as one set. Raises `EvidenceError` where two files name one tensor."""
    found: dict[str, RawTensor] = {}
    for path, tensors in parts:
        for name, tensor in tensors.items():
            if name in found:
                raise EvidenceError(f"{name[:100]!r} stands in another file too", where=str(path))
            found[name] = tensor
    return found
