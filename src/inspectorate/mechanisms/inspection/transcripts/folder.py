"""The prover's folder of a run: header, packets, content by digest. Appended to, never changed.

    header.json               the header, canonical JSON
    packets/00000000.json     one record each, canonical JSON, numbered from 0 without gaps
    content/<64 hex>.tensors  a safetensors file, named by the digest of its tensors (`transcripts.hashing`)
    content/<64 hex>.bytes    anything else, named by its SHA-256
    closed.json               how many packets the run has; written when it ends
    *.part                    what was being written when a writer was killed

How it is written: `folder_writer`. Reading:

- No name comes from data: packets are read by number, content by a digest of the one form, and neither through symbolic links.
- Every file is read within a limit. Content is checked against its digest whenever it is read; its path alone can be had unchecked.
- A packet must carry the number that its name says.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Identifier, Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import WorkKind
from inspectorate.evidence.inspected import PACKETS_MAX
from inspectorate.mechanisms.inspection.transcripts.hashing import (
    RawTensor,
    digest_of_tensors,
    require_finite,
)
from inspectorate.mechanisms.inspection.transcripts.tensor_files import open_plain, open_tensors
from inspectorate.mechanisms.inspection.transcripts.types import (
    InferenceHeader,
    Packet,
    RunHeader,
    TrainingContent,
    TrainingHeader,
)

HEADER_BYTES_MAX = 4 * 1024 * 1024
PACKET_BYTES_MAX = 32 * 1024 * 1024
CONTENT_BYTES_MAX = 256 * 1024 * 1024
"""Of content other than tensors, which are mapped and have limits of their own."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_PACKET_NAME = re.compile(r"[0-9]{8}\.json")
_HEADERS: Mapping[str, type[TrainingHeader] | type[InferenceHeader]] = {
    WorkKind.TRAINING.value: TrainingHeader,
    WorkKind.INFERENCE.value: InferenceHeader,
}


class Closed(Record):
    """What `closed.json` holds."""

    packets: Annotated[int, Field(ge=0, le=PACKETS_MAX)]
    counts: dict[Identifier, Annotated[int, Field(ge=0, lt=2**53)]] = Field(default={}, max_length=64)


def content_of(packet: Packet) -> tuple[str, ...]:
    """All content that a packet names, by digest, each once."""
    content = packet.content
    if isinstance(content, TrainingContent):
        ends = [one for end in (content.before, content.after) for one in (end.weights, end.optimiser, end.generator)]
        named = [*ends, *content.batches]
    else:
        named = [one for request in content.requests for one in (request.prompt, request.answer, request.proof)]
    return tuple(dict.fromkeys(one for one in named if one is not None))


def content_of_header(header: RunHeader) -> tuple[str, ...]:
    """Content that a header names and that lies in the folder: the list of data items, and the first weights."""
    return (header.data, header.weights_first) if isinstance(header, TrainingHeader) else ()


def parse_header(data: bytes, *, where: str) -> RunHeader:
    """A header from its bytes. Raises `EvidenceError`."""
    value = parse_canonical(data, where=where)
    kind = _HEADERS.get(str(value.get("work"))) if isinstance(value, dict) else None
    if kind is None:
        raise EvidenceError("is no header of a run: `work` is neither training nor inference", where=where)
    return kind.parse(value, where=where, error=EvidenceError)


def parse_packet(data: bytes, *, where: str) -> Packet:
    """A packet from its bytes. Raises `EvidenceError`."""
    return Packet.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def hex_of(digest: str) -> str:
    """The hex part of a digest, which is a safe name. Raises `EvidenceError` on anything else."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise EvidenceError(f"{digest[:80]!r} is no digest", where="content")
    return found[1]


def packet_path(path: Path, number: int) -> Path:
    """Where a packet lies in the folder `path`."""
    return path / "packets" / f"{number:08d}.json"


class FolderReader:
    """Reads the folder of a run, which may be hostile. Raises `InputError` if it is no folder, `EvidenceError` for its faults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in (path, path / "packets", path / "content"):
            _require_kind(folder, stat.S_ISDIR, "no folder")
        self.header_bytes = _read(path / "header.json", HEADER_BYTES_MAX)
        self.header = parse_header(self.header_bytes, where=str(path / "header.json"))
        self.count = self._counted()
        self.closed = (path / "closed.json").exists()
        self.counts: Mapping[str, int] = {}
        """Of what could not be recorded, as the writer said when it closed the run."""
        if self.closed:
            where = str(path / "closed.json")
            value = parse_canonical(_read(path / "closed.json", HEADER_BYTES_MAX), where=where)
            said = Closed.parse(value, where=where, error=EvidenceError)
            if said.packets != self.count:
                raise EvidenceError(f"holds {self.count} packets, and was closed with {said.packets}", where=str(path))
            self.counts = said.counts

    def packet(self, number: int) -> Packet:
        """A packet by its number. Raises `EvidenceError`."""
        if not 0 <= number < self.count:
            raise EvidenceError(f"there is no packet {number}, {self.count} are there", where=str(self.path))
        where = packet_path(self.path, number)
        packet = parse_packet(_read(where, PACKET_BYTES_MAX), where=str(where))
        if packet.number != number:
            raise EvidenceError(f"carries the number {packet.number}", where=str(where))
        if packet.content.work is not self.header.work:
            raise EvidenceError(f"is of {packet.content.work}, and the run of {self.header.work}", where=str(where))
        return packet

    def packets(self) -> Iterator[Packet]:
        """All packets in order."""
        for number in range(self.count):
            yield self.packet(number)

    def content_path(self, digest: str) -> Path:
        """Where content lies, without a look at it. Raises `EvidenceError` where it is missing or is no plain file."""
        for suffix in ("tensors", "bytes"):
            path = self.path / "content" / f"{hex_of(digest)}.{suffix}"
            if path.is_symlink() or path.exists():
                _require_kind(path, stat.S_ISREG, "no plain file")
                return path
        raise EvidenceError(f"content {digest} is missing", where=str(self.path))

    def read_bytes(self, digest: str) -> bytes:
        """Content that is no tensors, checked against its digest. Raises `EvidenceError`."""
        path = self.path / "content" / f"{hex_of(digest)}.bytes"
        data = _read(path, CONTENT_BYTES_MAX)
        if digest_of(data) != digest:
            raise EvidenceError("is not what its name says", where=str(path))
        return data

    @contextlib.contextmanager
    def open_tensors(self, digest: str, *, finite: bool = False, threads: int = 1) -> Iterator[Mapping[str, RawTensor]]:
        """Tensors by digest, mapped, and checked against it before they are handed out. Raises `EvidenceError`.

        `finite` refuses NaN and infinity: asked for with weights, not with optimiser state or batches of numbers.
        """
        path = self.path / "content" / f"{hex_of(digest)}.tensors"
        _require_kind(path, stat.S_ISREG, "no plain file")
        with open_tensors(path) as tensors:
            if digest_of_tensors(tensors, threads=threads) != digest:
                raise EvidenceError("is not what its name says", where=str(path))
            if finite:
                require_finite(tensors, where=str(path))
            yield tensors

    def named(self) -> Iterator[str]:
        """Digests of all content that the header or a packet names."""
        yield from content_of_header(self.header)
        for packet in self.packets():
            yield from content_of(packet)

    def half_written(self) -> tuple[Path, ...]:
        """What a writer that was killed left behind."""
        folders = (self.path, self.path / "packets", self.path / "content")
        return tuple(sorted(path for folder in folders for path in folder.glob("*.part")))

    def _counted(self) -> int:
        names: set[str] = set()
        with os.scandir(self.path / "packets") as entries:
            for entry in entries:
                if len(names) > PACKETS_MAX:
                    raise EvidenceError(f"holds more than {PACKETS_MAX} packets", where=str(self.path))
                if _PACKET_NAME.fullmatch(entry.name):
                    names.add(entry.name)
                elif not entry.name.endswith(".part"):
                    raise EvidenceError(
                        f"holds {entry.name[:80]!r}, which is no packet", where=str(self.path / "packets")
                    )
        if names != {f"{number:08d}.json" for number in range(len(names))}:
            raise EvidenceError("packets are missing between others", where=str(self.path / "packets"))
        return len(names)


def _require_kind(path: Path, kind: object, wrong: str) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    if stat.S_ISLNK(mode) or not callable(kind) or not kind(mode):
        raise EvidenceError(f"is {wrong}", where=str(path), remedy="symbolic links are not followed")


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_plain(path) as file:
            data = file.read(limit + 1)
    except InputError as fault:
        raise EvidenceError(fault.problem, where=str(path)) from None
    except OSError as fault:
        raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    if len(data) > limit:
        raise EvidenceError(f"is larger than {limit} bytes", where=str(path))
    return data
