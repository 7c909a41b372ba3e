"""Tensors of the other side as numbers: read by `transcripts.tensor_files`, and only those that this work can have.

A file is read once, within a limit, and not through a link; its digest is that of its tensors, whatever file they came in; every
number is finite. Where names, formats and shapes are known beforehand (a declared decoder, the checkpoint before), exactly those
are accepted: a shape that would take more memory than the model has never reaches a product.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.rerun.reference import FILE_BYTES_MAX
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors, require_finite
from inspectorate.mechanisms.inspection.transcripts.tensor_files import open_tensors, pieces_of

Tensors = Mapping[str, RawTensor]
Shapes = Mapping[str, tuple[int, ...]]

FORMATS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
"""Of safetensors, as numpy holds them. Others (8-bit floats) hold no plain numbers: nothing here trains in them."""


def read_tensors(path: Path, *, digest: str | None = None, shapes: Shapes | None = None) -> dict[str, RawTensor]:
    """The tensors of a file, in memory of our own. Raises `EvidenceError`.

    `digest`: of these tensors, no others are accepted; `shapes`: exactly these names and shapes are.
    """
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise EvidenceError(f"has more than {FILE_BYTES_MAX:,} bytes", where=path.name)
        with open_tensors(path) as mapped:
            found = {name: RawTensor(one.dtype, one.shape, memoryview(bytes(one.data))) for name, one in mapped.items()}
    except (InputError, OSError) as fault:
        raise EvidenceError(f"cannot be read: {fault}"[:500], where=path.name) from None
    check(found, where=path.name, digest=digest, shapes=shapes)
    return found


def check(tensors: Tensors, *, where: str, digest: str | None = None, shapes: Shapes | None = None) -> None:
    """Formats, shapes, numbers and digest are those that are expected. Raises `EvidenceError`."""
    for name, one in tensors.items():
        if one.dtype not in FORMATS:
            raise EvidenceError(f"{name[:100]} is stored as {one.dtype}, which is not read here", where=where)
    if shapes is not None and {name: one.shape for name, one in tensors.items()} != dict(shapes):
        odd = sorted(
            n for n in {*tensors, *shapes} if n not in shapes or n not in tensors or tensors[n].shape != shapes[n]
        )
        raise EvidenceError(f"does not hold exactly the tensors that are expected: {odd[0][:100]}", where=where)
    require_finite(tensors, where=where)
    if digest is not None and digest_of_tensors(tensors) != digest:
        raise EvidenceError("is not what was committed to: its digest is another", where=where)


def stored(tensor: RawTensor) -> NDArray[Any]:
    """A tensor as it is stored; a bfloat16 as its 16 bits."""
    return np.frombuffer(tensor.data, FORMATS[tensor.dtype]).reshape(tensor.shape)


def numbers(tensor: RawTensor) -> NDArray[np.float64]:
    """A tensor as numbers, exactly (integers beyond 2^53 aside)."""
    bits = stored(tensor)
    if tensor.dtype == "BF16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    return bits.astype(np.float64)


def raw(array: NDArray[Any], dtype: str | None = None) -> RawTensor:
    """An array of ours as a tensor; `dtype` where its bits stand for another format (BF16)."""
    whole = np.ascontiguousarray(array)
    name = dtype or next(key for key, value in FORMATS.items() if np.dtype(value) == whole.dtype and key != "BF16")
    return RawTensor(name, array.shape, memoryview(whole.tobytes()))


def write_tensors(path: Path, tensors: Tensors) -> None:
    """A safetensors file of these tensors."""
    with path.open("xb") as file:
        for piece in pieces_of(tensors):
            file.write(piece)


def item_digests(batch: Tensors) -> list[str]:
    """The data items of a batch: item i is what row i of every tensor holds, under the same names. Raises `EvidenceError`."""
    rows = {one.shape[0] if one.shape else 0 for one in batch.values()}
    if len(rows) != 1 or rows == {0}:
        raise EvidenceError("the tensors of a batch have different numbers of rows")
    count = rows.pop()
    return [digest_of_tensors({name: _row(one, count, row) for name, one in batch.items()}) for row in range(count)]


def _row(tensor: RawTensor, count: int, row: int) -> RawTensor:
    flat = tensor.data.cast("B")
    size = flat.nbytes // count
    return RawTensor(tensor.dtype, tensor.shape[1:], flat[row * size : (row + 1) * size])
