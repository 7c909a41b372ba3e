"""Safetensors files, read without loading them and without believing them; and written without copying.

1. The file is opened once, not through a symbolic link, and mapped; all later steps work on that mapping.
2. What is no safetensors file by its first bytes (a pickle, a zip archive, GGUF) is refused by name.
3. The header is JSON within limits of size and depth, without repeated keys.
4. Tensors cover the rest of the file exactly: none overlaps another, there is no gap, nothing is cut off, nothing is left over.
5. Formats are known ones and shapes fit sizes. Whether numbers are finite is checked where the caller asks for it.

The `safetensors` package checks most of this as well. It is not used here because it hands out copies of tensors, or tensors of a
framework, and a digest needs neither; `tests/inspection/test_transcript_hashing.py` holds both readers against each other.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.transcripts.hashing import (
    TENSORS_MAX,
    RawTensor,
    check_tensor,
    digest_of_tensors,
    joined,
    plain_json,
    require_finite,
)

HEADER_BYTES_MAX = 32 * 1024 * 1024
FILE_BYTES_MAX = 1 << 42
METADATA_MAX = 1_000
_WRITE_CHUNK = 1 << 24

_OTHER_FORMATS = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes it around a pickle"),
    (b"\x80\x02", "a pickle"),
    (b"\x80\x03", "a pickle"),
    (b"\x80\x04", "a pickle"),
    (b"\x80\x05", "a pickle"),
    (b"GGUF", "a GGUF file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
)


def parse_tensors(data: memoryview, *, where: str) -> dict[str, RawTensor]:
    """The tensors of a safetensors file, as views of its bytes. Raises `EvidenceError`."""
    first = bytes(data[:8])
    for magic, name in _OTHER_FORMATS:
        # A safetensors file may begin with any length, so a magic number counts only where no header follows it.
        if first.startswith(magic) and bytes(data[8:9]) != b"{":
            raise EvidenceError(f"is {name}; only safetensors are read", where=where, remedy="convert it")
    if len(first) < 8:
        raise EvidenceError("is shorter than the head of a safetensors file", where=where)
    (length,) = struct.unpack("<Q", first)
    if length > HEADER_BYTES_MAX or 8 + length > data.nbytes:
        raise EvidenceError(f"says that its header has {length} bytes, and has not", where=where)
    header = parse_json(bytes(data[8 : 8 + length]), where=where)
    if not isinstance(header, dict):
        raise EvidenceError("has a header that is no JSON object", where=where)
    _check_metadata(header.pop("__metadata__", {}), where)
    if not 0 < len(header) <= TENSORS_MAX:
        raise EvidenceError(f"holds {len(header)} tensors: none, or more than {TENSORS_MAX}", where=where)
    body = data[8 + length :]
    placed = sorted((_place(name, entry, body.nbytes, where), name) for name, entry in header.items())
    at = 0
    found = {}
    for (start, end), name in placed:
        if start != at:
            raise EvidenceError(f"{name[:100]!r} overlaps another tensor or leaves a gap", where=where)
        at = end
        tensor = RawTensor(header[name]["dtype"], tuple(header[name]["shape"]), body[start:end])
        check_tensor(name, tensor, where=where)
        found[name] = tensor
    if at != body.nbytes:
        raise EvidenceError(f"has {body.nbytes - at} bytes after its last tensor", where=where)
    return found


def _check_metadata(value: object, where: str) -> None:
    if (
        not isinstance(value, dict)
        or len(value) > METADATA_MAX
        or not all(isinstance(text, str) for text in value.values())
    ):
        raise EvidenceError("has metadata that are not names with texts", where=where)


def _place(name: str, entry: Any, size: int, where: str) -> tuple[int, int]:
    """Where a tensor lies in the body, after its entry was found to be one."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise EvidenceError(f"the entry of {name[:100]!r} is not dtype, shape and data_offsets", where=where)
    offsets, shape = entry["data_offsets"], entry["shape"]
    if not isinstance(entry["dtype"], str) or not _whole(shape) or not _whole(offsets) or len(offsets) != 2:
        raise EvidenceError(f"the entry of {name[:100]!r} holds what is no number", where=where)
    start, end = offsets
    if not 0 <= start <= end:
        raise EvidenceError(f"{name[:100]!r} ends before it starts", where=where)
    if end > size:
        raise EvidenceError(f"{name[:100]!r} is cut off: it ends at {end} of {size} bytes", where=where)
    return start, end


def _whole(value: object) -> bool:
    return isinstance(value, list) and all(type(one) is int and one >= 0 for one in value)


def open_plain(path: Path) -> BinaryIO:
    """A plain file, opened for reading and not through a symbolic link.

    Raises `InputError` where there is none to be read, `EvidenceError` where something else lies there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise EvidenceError("is no plain file", where=str(path))
    return open(descriptor, "rb", closefd=True)


@contextlib.contextmanager
def open_tensors(path: Path) -> Iterator[Mapping[str, RawTensor]]:
    """The tensors of a file, mapped and not loaded. They must not be used after the block.

    Raises `InputError` where the file cannot be read, `EvidenceError` where it is no safetensors file.
    """
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if not 8 <= size <= FILE_BYTES_MAX:
            raise EvidenceError(f"has {size} bytes, which no safetensors file has", where=str(path))
        try:
            mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except OSError as fault:
            raise InputError(f"cannot be mapped: {fault.strerror}", where=str(path)) from None
    yield parse_tensors(memoryview(mapped), where=str(path))


def digest_of_files(paths: Sequence[Path], *, finite: bool = True, threads: int = 1) -> str:
    """The digest of the tensors in one or more safetensors files: those of a sharded model count as one set.

    `finite` refuses NaN and infinity. Raises `InputError`, `EvidenceError`.
    """
    with contextlib.ExitStack() as stack:
        parts = [(path, stack.enter_context(open_tensors(path))) for path in paths]
        if finite:
            for path, tensors in parts:
                require_finite(tensors, where=str(path))
        return digest_of_tensors(joined(parts), threads=threads)


def head_of(tensors: Mapping[str, RawTensor]) -> bytes:
    """The head of a safetensors file of these tensors, which follow it in the order of their names."""
    at = 0
    entries = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        check_tensor(name, tensor, where="tensors")
        entries[name] = {
            "data_offsets": [at, at + tensor.data.nbytes],
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
        }
        at += tensor.data.nbytes
    header = plain_json(entries)
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header


def pieces_of(tensors: Mapping[str, RawTensor]) -> Iterator[bytes | memoryview]:
    """A safetensors file of these tensors, piece by piece and without copies."""
    yield head_of(tensors)
    for name in sorted(tensors):
        data = tensors[name].data
        flat = data.cast("B") if data.nbytes else data
        for start in range(0, flat.nbytes, _WRITE_CHUNK):
            yield flat[start : start + _WRITE_CHUNK]
