"""The committed weights of a graph: exactly the declared tensors, read from bytes whose digest is the listed one.

1. The file is read once, within a limit. 2. Its digest must be that of the listed model, where one is given. 3. It is a safetensors
file, or a numpy archive (`.npz`) without pickled objects; anything else is refused before any number is looked at. 4. Names, shapes
and formats are those of the graph: no tensor is missing, and none is beside them. 5. Every number is finite.

Whoever reads a file by name a second time reads another file: all steps work on the same bytes.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.graph.blocks import Parameter
from inspectorate.mechanisms.guarantee.graph.reference import BYTES_OF, WEIGHTS_BYTES_MAX, Format
from inspectorate.mechanisms.guarantee.graph.types import Graph

Array = NDArray[Any]
Numbers = NDArray[np.float64]

_SAFETENSORS = {
    "F64": Format.FLOAT64,
    "F32": Format.FLOAT32,
    "F16": Format.FLOAT16,
    "BF16": Format.BFLOAT16,
    "I8": Format.INT8,
    "I32": Format.INT32,
}
_NUMPY = {
    Format.FLOAT64: "<f8",
    Format.FLOAT32: "<f4",
    Format.FLOAT16: "<f2",
    Format.BFLOAT16: "<u2",
    Format.INT8: "<i1",
    Format.INT32: "<i4",
}
"""Little-endian, as both kinds of file are written. A bfloat16 is the upper half of a float32; numpy archives hold uint16."""
_ARCHIVE_HEADER_MAX = 4096


@dataclass(frozen=True)
class Weights:
    """Tensors as stored, with the digest of the file they came in and of each."""

    content: str
    size_bytes: int
    tensors: Mapping[str, Array]
    digests: Mapping[str, str]
    """Of each tensor: over its name, format and shape, and its bytes."""

    @property
    def root(self) -> str:
        """One digest over all tensors, whatever kind of file they came in."""
        return digest_of(canonical_bytes(dict(self.digests)))

    def numbers(self, name: str, parameter: Parameter) -> Numbers:
        """A tensor as float64, exactly: integers times their scales."""
        stored = self.tensors[name]
        values = _as_float(stored, parameter.format)
        if parameter.quantisation is None:
            return values
        scales_name = parameter.quantisation.scales
        layer = _layer_of(name, parameter.name)
        scales = self.tensors[scales_name.replace("{}", layer)].astype(np.float64)
        rows = values.shape[0]
        scaled: Numbers = (values.reshape(rows, -1, parameter.quantisation.group) * scales[:, :, None]).reshape(
            rows, -1
        )
        return scaled


def read_weights(path: Path, graph: Graph, *, content: str | None) -> Weights:
    """Read the weights file of a graph; `content` is the digest that the ruleset lists, or none to learn it.

    Raises `InputError` where the file cannot be read, `EvidenceError` where it is not what was declared.
    """
    try:
        with path.open("rb") as file:
            data = file.read(min(WEIGHTS_BYTES_MAX, _file_bytes_max(graph)) + 1)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    return parse_weights(data, graph, content=content, where=str(path))


def parse_weights(data: bytes, graph: Graph, *, content: str | None, where: str) -> Weights:
    """As `read_weights`, from bytes. Raises `EvidenceError`."""
    if len(data) > min(WEIGHTS_BYTES_MAX, _file_bytes_max(graph)):
        raise EvidenceError("is larger than the declared parameters can be", where=where)
    found = digest_of(data)
    if content is not None and found != content:
        raise EvidenceError(f"has the digest {found}, and {content} is listed", where=where)
    declared = dict(graph.tensors())
    raw = _archive(data, declared, where) if data[:4] == b"PK\x03\x04" else _safetensors(data, where)
    _same_names(set(raw), set(declared), where)
    tensors, digests = {}, {}
    for name, parameter in declared.items():
        tensors[name], digests[name] = _tensor(raw[name], name, parameter, where)
    return Weights(found, len(data), tensors, digests)


def _file_bytes_max(graph: Graph) -> int:
    """Parameters, and a generous head: names, shapes and places of every tensor."""
    return graph.count()[1] + 1024 * (1 + sum(1 for _ in graph.tensors())) + (1 << 20)


@dataclass(frozen=True)
class _Raw:
    format: str
    shape: tuple[int, ...]
    data: bytes | bytearray


def _safetensors(data: bytes, where: str) -> dict[str, _Raw]:
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]
    except SafetensorError as fault:
        raise EvidenceError(f"is no safetensors file: {str(fault)[:200]}", where=where) from None
    found = {name: _Raw(entry["dtype"], tuple(entry["shape"]), entry["data"]) for name, entry in entries}
    if len(found) != len(entries):
        raise EvidenceError("names a tensor twice", where=where)
    return found


def _archive(data: bytes, declared: Mapping[str, Parameter], where: str) -> dict[str, _Raw]:
    """The arrays of a numpy archive, each read only if its size is the declared one."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) != len(declared):
                raise EvidenceError(f"holds {len(members)} arrays, and {len(declared)} are declared", where=where)
            for member in members:
                name = member.filename.removesuffix(".npy")
                parameter = declared.get(name)
                if parameter is None or name in found:
                    raise EvidenceError(
                        f"holds {member.filename[:100]!r}, which is not declared, or twice", where=where
                    )
                if member.file_size > _size(parameter) + _ARCHIVE_HEADER_MAX:
                    raise EvidenceError(f"{name} is larger than declared", where=where)
                with archive.open(member) as file:
                    found[name] = _array(file.read(_size(parameter) + _ARCHIVE_HEADER_MAX), name, where)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, struct.error) as fault:
        raise EvidenceError(f"is no numpy archive: {str(fault)[:200]}", where=where) from None
    return found


def _array(data: bytes, name: str, where: str) -> _Raw:
    stream = io.BytesIO(data)
    try:
        array = np.lib.format.read_array(stream, allow_pickle=False, max_header_size=_ARCHIVE_HEADER_MAX)
    except (ValueError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError) as fault:
        raise EvidenceError(f"{name} is no array: {str(fault)[:200]}", where=where) from None
    return _Raw(array.dtype.str.replace("|", "<"), array.shape, array.tobytes())


def _tensor(raw: _Raw, name: str, parameter: Parameter, where: str) -> tuple[Array, str]:
    expected = {_NUMPY[parameter.format]} | {key for key, known in _SAFETENSORS.items() if known is parameter.format}
    if raw.format not in expected:
        raise EvidenceError(f"{name} is stored as {raw.format}, and {parameter.format} is declared", where=where)
    if raw.shape != parameter.shape or len(raw.data) != _size(parameter):
        raise EvidenceError(f"{name} has shape {list(raw.shape)}, and {list(parameter.shape)} is declared", where=where)
    array = np.frombuffer(raw.data, dtype=_NUMPY[parameter.format]).reshape(parameter.shape)
    if not np.isfinite(_as_float(array, parameter.format)).all():
        raise EvidenceError(f"{name} holds a number that is not finite", where=where)
    head = canonical_bytes({"name": name, "format": parameter.format.value, "shape": list(parameter.shape)})
    return array, digest_of(head + b"\n" + array.tobytes())


def _as_float(stored: Array, kind: Format) -> Numbers:
    if kind is Format.BFLOAT16:
        widened = stored.astype(np.uint32) << np.uint32(16)
        return widened.view(np.float32).astype(np.float64)
    return stored.astype(np.float64)


def _size(parameter: Parameter) -> int:
    return int(np.prod(parameter.shape, dtype=np.int64)) * BYTES_OF[parameter.format]


def _layer_of(name: str, template: str) -> str:
    head, _, tail = template.partition("{}")
    return name[len(head) : len(name) - len(tail)]


def _same_names(found: set[str], declared: set[str], where: str) -> None:
    for problem, names in (("lacks", declared - found), ("holds beside what is declared", found - declared)):
        if names:
            shown = ", ".join(name[:100] for name in sorted(names)[:4])
            raise EvidenceError(f"{problem} {len(names)} tensors: {shown}", where=where)
