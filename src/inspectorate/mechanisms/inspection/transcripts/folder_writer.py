"""Writes the folder of a run, whose form `folder` describes.

1. Content is written beside its place, then moved there. What is there already is not written again.
2. Before a packet is written all content is made durable, by one `syncfs` where the system has it, since a packet may come with
   hundreds of small files; else by an fsync of each. A packet is durable before its name is.
3. So a kill, or a loss of power, at any time loses at most the packet that was open, and the folder shows it: `closed.json` is
   missing. Who goes on with such a run first removes content that no packet names: it may not be whole.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence.inspected import PACKETS_MAX
from inspectorate.mechanisms.inspection.transcripts.folder import (
    PACKET_BYTES_MAX,
    Closed,
    FolderReader,
    hex_of,
    packet_path,
)
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.tensor_files import pieces_of
from inspectorate.mechanisms.inspection.transcripts.types import Packet, RunHeader


class FolderWriter:
    """Appends to the folder of a run. One writer at a time; not to be shared between threads.

    `durable=False` leaves out every fsync: for tests and for file systems that make writes durable by themselves.
    """

    def __init__(self, path: Path, header: RunHeader, packets: int, *, durable: bool) -> None:
        self.path = path
        self.header = header
        self.packets = packets
        self.end_ns = 0
        """When the last packet ended."""
        self.bytes_written = 0
        self._durable = durable
        self._unsynced: list[Path] = []

    @classmethod
    def create(cls, path: Path, header: RunHeader, *, durable: bool = True) -> FolderWriter:
        """A new folder for a new run. Raises `InputError` where something is there, `EnvironmentError_` of the disk."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError("is there already and not empty", where=str(path), remedy="give each run a new folder")
        with _disk(path):
            for folder in (path, path / "packets", path / "content"):
                folder.mkdir(parents=True, exist_ok=True)
        made = cls(path, header, 0, durable=durable)
        made._put(path / "header.json", [header.canonical_bytes()])
        made._sync_folder(path)
        return made

    @classmethod
    def resume(cls, path: Path, header: RunHeader, *, durable: bool = True) -> FolderWriter:
        """Go on with a run that was cut off. What was half written is removed; a closed run is refused.

        Raises `InputError`, `EvidenceError`.
        """
        reader = FolderReader(path)
        if reader.closed:
            raise InputError("the run was closed", where=str(path), remedy="a new start is a new run")
        if reader.header != header:
            raise InputError("the header there is another", where=str(path), remedy="a changed run is a new run")
        named = {hex_of(digest) for digest in reader.named()}
        for one in (path / "content").iterdir():
            if one.suffix == ".part" or one.stem not in named:
                one.unlink()
        for half in reader.half_written():
            half.unlink()
        made = cls(path, header, reader.count, durable=durable)
        made.end_ns = reader.packet(reader.count - 1).end_ns if reader.count else 0
        return made

    def add_tensors(self, tensors: Mapping[str, RawTensor], *, digest: str | None = None) -> str:
        """Keep tensors as content, and give their digest. `digest`: if the caller has just computed it."""
        digest = digest or digest_of_tensors(tensors)
        self._add(self.path / "content" / f"{hex_of(digest)}.tensors", pieces_of(tensors))
        return digest

    def add_bytes(self, data: bytes) -> str:
        """Keep bytes as content, and give their digest."""
        digest = digest_of(data)
        self._add(self.path / "content" / f"{hex_of(digest)}.bytes", [data])
        return digest

    def add_packet(self, packet: Packet) -> None:
        """Append the next packet. All content that it names must have been added before. Raises `InputError`."""
        if packet.number != self.packets:
            raise InputError(f"packet {packet.number} is not the next, {self.packets} is", where=str(self.path))
        if self.packets >= PACKETS_MAX:
            raise InputError(
                f"a run has at most {PACKETS_MAX} packets", where=str(self.path), remedy="make them longer"
            )
        data = packet.canonical_bytes()
        if len(data) > PACKET_BYTES_MAX:
            raise InputError(
                f"a packet of {len(data)} bytes is not read back", where=str(self.path), remedy="make packets shorter"
            )
        self._sync_content()
        self._put(packet_path(self.path, packet.number), [data])
        self._sync_folder(self.path / "packets")
        self.packets += 1
        self.end_ns = packet.end_ns

    def close(self, counts: Mapping[str, int] | None = None) -> None:
        """Say that the run has ended; `counts` of what could not be recorded. Without this the run counts as cut off."""
        self._sync_content()
        said = Closed(packets=self.packets, counts=dict(counts or {}))
        self._put(self.path / "closed.json", [said.canonical_bytes()])
        self._sync_folder(self.path)

    def _add(self, path: Path, pieces: Iterable[bytes | memoryview]) -> None:
        if not path.exists():
            self._put(path, pieces, now=False)
            self._unsynced.append(path)

    def _sync_content(self) -> None:
        """Data and names of all content that was added since the last call."""
        if self._durable and self._unsynced:
            with _disk(self.path):
                if not _syncfs(self.path):
                    for path in self._unsynced:
                        _fsync(path)
                    _fsync(self.path / "content")
        self._unsynced.clear()

    def _put(self, path: Path, pieces: Iterable[bytes | memoryview], *, now: bool = True) -> None:
        part = path.with_name(path.name + ".part")
        with _disk(path):
            with part.open("wb", buffering=0) as file:
                for piece in pieces:
                    _write_all(file.fileno(), piece)
                    self.bytes_written += len(piece)
                if now and self._durable:
                    os.fsync(file.fileno())
            part.rename(path)

    def _sync_folder(self, path: Path) -> None:
        if self._durable:
            with _disk(path):
                _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _syncfs(path: Path) -> bool:
    """Make durable what was written to the file system of `path`; false where the system has no such call."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(descriptor)
    return True


def _write_all(descriptor: int, piece: bytes | memoryview) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
