"""What only a quorum can do: each office releases its shares of a batch, and any of them that has enough opens it.

A release is a file: a head that the office signs, and 32 bytes for each block (share and salt; zeros where the intake gave it none
that fits). It is sealed by age to the offices that are to have it: together with their own shares it opens everything in the batch.

Rules:

- A share that does not fit what the block commits to is its giver's fault, since an office checks its own before it releases: the
  office is named, and its signature on the release shows it. Other shares open the block, if there are enough.
- A block whose shares fit and do not lead to one secret, or whose body does not open, was made wrong: the intake is named.
- Blocks are opened twice: once to find the parts of each report, once to write the report out. No file is held in memory.
- Names of files are never used as paths.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Annotated

import pyrage
from pydantic import Field, StringConstraints

from inspectorate.canonical import Digest, Hex, Identifier, Record, digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.signed import sign, verified
from inspectorate.mechanisms.whistleblowing.sealing.blocks import (
    COMMITMENT_BYTES,
    SHARE_BYTES,
    Opener,
    Shape,
    fits,
    open_body,
    share_of,
)
from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Mailbox
from inspectorate.mechanisms.whistleblowing.sealing.stream import (
    ANSWERS_MAX,
    FILES_MAX,
    Data,
    End,
    FileHead,
    Head,
    Part,
    Reader,
    read_part,
)
from inspectorate.quantities import Period

RELEASE_BYTES_MAX = 1 << 30
HEAD_BYTES_MAX = 4096

_KIND = "release"
_NONE = bytes(SHARE_BYTES)


class ReleaseHead(Record):
    """What an office signs of its release."""

    context: Hex = Field(description="what the blocks are bound to")
    office: Identifier
    blocks: Annotated[int, Field(ge=0, le=10**8)]
    commitments: Digest = Field(description="of the commitments of the blocks, in their order")
    shares: Digest


@dataclass(frozen=True)
class Release:
    """Shares of one office for the blocks of one file, in their order."""

    place: int
    shares: bytes

    def share(self, block: int) -> bytes:
        return self.shares[block * SHARE_BYTES : (block + 1) * SHARE_BYTES]


def own_shares(sealed: Sealed, identity: pyrage.x25519.Identity) -> Release:
    """An office's own shares. Raises `InputError` where the identity is of no office."""
    place = sealed.shape.offices.place_of(identity)
    shares = bytearray()
    for block in sealed:
        shares += share_of(sealed.shape, block, place, identity) or _NONE
    return Release(place, bytes(shares))


def make_release(sealed: Sealed, own: Release, key: SigningKey, to: Sequence[str]) -> bytes:
    """A signed release, sealed to the offices of these names. Raises `InputError` where one is not in the list."""
    offices = sealed.shape.offices
    head = ReleaseHead(
        context=sealed.shape.context.hex(), office=offices.offices[own.place].name, blocks=sealed.count,
        commitments=_digest_of(sealed), shares=digest_of(own.shares),
    )  # fmt: skip
    recipients = [pyrage.x25519.Recipient.from_str(offices.offices[offices.place(name)].recipient) for name in to]
    return bytes(pyrage.encrypt(sign(head, _KIND, key) + b"\n" + own.shares, recipients))


def read_release(data: bytes, sealed: Sealed, identity: pyrage.x25519.Identity, *, where: str) -> Release:
    """A release of another office for these blocks. Raises `EvidenceError`."""
    if len(data) > RELEASE_BYTES_MAX:
        raise EvidenceError(f"is larger than {RELEASE_BYTES_MAX} bytes", where=where)
    try:
        opened = bytes(pyrage.decrypt(data, [identity]))
    except pyrage.DecryptError:
        raise EvidenceError("is not sealed to this office, or was changed", where=where) from None
    line, _, shares = opened.partition(b"\n")
    for place, office in enumerate(sealed.shape.offices.offices):
        try:
            said = verified(line, _KIND, office.public_key, where=where)
        except EvidenceError:
            continue
        head = ReleaseHead.parse(said, where=where, error=EvidenceError)
        if head.office != office.name or head.context != sealed.shape.context.hex():
            raise EvidenceError(f"is of {head.office}, or for other blocks than {sealed.name}", where=where)
        if head.blocks != sealed.count or head.commitments != _digest_of(sealed):
            raise EvidenceError(
                f"{head.office} has other blocks of this batch", where=where, remedy="compare what each collected"
            )
        if digest_of(shares) != head.shares or len(shares) != SHARE_BYTES * sealed.count:
            raise EvidenceError("its shares are not those that its head names", where=where)
        return Release(place, shares)
    raise EvidenceError("is signed by none of the offices", where=where)


class OpenedFile(Record):
    """A file of a report. Its name is what the source's machine said, and is never used as a path."""

    name: str
    media_type: str
    size: int
    digest: Digest
    stored: Annotated[str, StringConstraints(pattern=r"^file-[0-9]{2}$")]


class OpenedReport(Record):
    """A report, opened: `report.json` in a folder of its own, its files beside it."""

    report: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] = Field(
        description="random, stood in every part of it; known only to who opened it"
    )
    intake: Identifier
    sealed_in: tuple[str, ...] = Field(description="the batches or files that held it")
    period: Period | None = Field(default=None, description="of the batches that held it")
    opened_by: tuple[Identifier, ...] = Field(description="the offices whose shares opened it")
    mailbox: Mailbox | None = Field(default=None, description="none: the source wants no answer")
    language: str
    answers: dict[str, str] = Field(max_length=ANSWERS_MAX)
    files: tuple[OpenedFile, ...] = Field(default=(), max_length=FILES_MAX)
    complete: bool = Field(description="false: it was cut short, and its source was not answered")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What came of opening."""

    reports: tuple[OpenedReport, ...]
    blocks: int
    dummies: int
    wrong_shares: dict[str, int]
    """Office -> blocks for which it gave a share that does not fit."""
    faults: tuple[str, ...]
    """What the intake, or a source, made wrong."""
    closed: int
    """Blocks for which there were not enough shares that fit."""


@dataclass(kw_only=True)
class _Found:
    """Where the parts of one report are: number -> file and place."""

    parts: dict[int, tuple[int, int]] = field(default_factory=dict)
    last: int | None = None


@dataclass(kw_only=True)
class _Tally:
    dummies: int = 0
    closed: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    none: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class _Batch:
    """One file of blocks with what was released of it."""

    def __init__(self, sealed: Sealed, releases: Sequence[Release]) -> None:
        self.sealed = sealed
        self.releases = sorted({one.place: one for one in releases}.values(), key=lambda one: one.place)
        self._openers: dict[tuple[int, ...], Opener] = {}
        offices = sealed.shape.offices
        if len(self.releases) < offices.quorum:
            raise EvidenceError(
                f"takes the shares of {offices.quorum} offices, and there are those of {len(self.releases)}",
                where=sealed.name,
                remedy="ask another office for its release",
            )

    def secret(self, block: bytes, place: int, tally: _Tally) -> bytes | None:
        """The secret of a block; none where too few shares fit. Raises `EvidenceError` where it was made wrong."""
        shape = self.sealed.shape
        good: list[tuple[int, bytes]] = []
        for one in self.releases:
            share = one.share(place)
            if share != _NONE and fits(shape, block, one.place, share):
                good.append((one.place, share))
            elif share == _NONE:
                name = shape.offices.offices[one.place].name
                tally.none[name] = tally.none.get(name, 0) + 1
            else:
                name = shape.offices.offices[one.place].name
                tally.wrong[name] = tally.wrong.get(name, 0) + 1
        good = good[: shape.offices.quorum]
        if len(good) < shape.offices.quorum:
            return None
        places = tuple(which for which, _ in good)
        opener = self._openers.get(places) or self._openers.setdefault(places, Opener(shape, places))
        return opener.secret(block, [share for _, share in good])


def open_reports(given: Sequence[tuple[Sealed, Sequence[Release]]], into: Path) -> Opening:
    """Open files of blocks together, and write the reports into a folder that only its owner can read.

    Raises `EvidenceError` where there are not enough releases, or a file changed; `EnvironmentError_` where the disk fails.
    """
    batches = [_Batch(sealed, releases) for sealed, releases in given]
    tally = _Tally()
    found: dict[bytes, _Found] = {}
    for number, batch in enumerate(batches):
        for place, block in enumerate(batch.sealed):
            try:
                secret = batch.secret(block, place, tally)
                part = None if secret is None else _part(batch.sealed.shape, block, secret)
                if secret is None:
                    tally.closed += 1
                elif part is None:
                    tally.dummies += 1
                else:
                    _keep(found.setdefault(part.report, _Found()), part, (number, place))
            except EvidenceError as fault:
                tally.faults.append(str(fault))
    tally.faults += [
        f"{count} blocks hold no share for {office} that fits, as that office says: the intake made them wrong"
        for office, count in sorted(tally.none.items())
    ]
    try:
        into.mkdir(parents=True, exist_ok=True, mode=0o700)
        reports = [_write(report, parts, batches, into, tally) for report, parts in sorted(found.items())]
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(into)) from None
    return Opening(
        reports=tuple(one for one in reports if one is not None),
        blocks=sum(batch.sealed.count for batch in batches),
        dummies=tally.dummies, wrong_shares=tally.wrong, faults=tuple(tally.faults), closed=tally.closed,
    )  # fmt: skip


def _part(shape: Shape, block: bytes, secret: bytes) -> Part | None:
    return read_part(open_body(shape, block, secret), where=f"block {block[-COMMITMENT_BYTES:].hex()[:16]}…")


def _keep(found: _Found, part: Part, where: tuple[int, int]) -> None:
    """A part that is there twice was written again after the disk failed: the first counts."""
    found.parts.setdefault(part.number, where)
    if part.last:
        found.last = part.number


def _write(report: bytes, found: _Found, batches: Sequence[_Batch], into: Path, tally: _Tally) -> OpenedReport | None:
    """Write one report out; none where not even its beginning is there. What cannot be read ends it there."""
    name = report.hex()
    folder = into / name
    folder.mkdir(mode=0o700, exist_ok=True)
    writer, reader, seen = _Writer(folder), Reader(where=f"report {name}"), set()
    try:
        for number in range(len(found.parts)):
            if number not in found.parts:
                break
            which, place = found.parts[number]
            batch = batches[which]
            seen.add(which)
            block = batch.sealed.block(place)
            secret = batch.secret(block, place, _Tally())
            part = None if secret is None else _part(batch.sealed.shape, block, secret)
            for event in reader.feed(part.data if part else b""):
                writer.take(event)
    except EvidenceError as fault:
        tally.faults.append(str(fault))
    writer.end()
    if writer.head is None:
        tally.faults.append(f"report {name}: its beginning is not in these batches")
        folder.rmdir()
        return None
    sealed = [batches[which].sealed for which in sorted(seen)]
    offices = sealed[0].shape.offices
    names = {offices.offices[one.place].name for which in seen for one in batches[which].releases}
    opened = OpenedReport(
        report=name, period=_period(sealed), intake=sealed[0].intake, sealed_in=tuple(one.name for one in sealed),
        opened_by=tuple(sorted(names)), mailbox=writer.head.mailbox, language=writer.head.language,
        answers=writer.head.answers, files=tuple(writer.files),
        complete=reader.ended and found.last == len(found.parts) - 1,
    )  # fmt: skip
    with _new(folder / "report.json") as file:
        file.write(opened.canonical_bytes())
    return opened


def _period(sealed: Sequence[Sealed]) -> Period | None:
    periods = [one.period for one in sealed if one.period is not None]
    if not periods:
        return None
    return Period(start=min(one.start for one in periods), end=max(one.end for one in periods))


class _Writer:
    """Writes what a report holds, file by file."""

    def __init__(self, folder: Path) -> None:
        self.head: Head | None = None
        self.files: list[OpenedFile] = []
        self._folder = folder
        self._out: IO[bytes] | None = None
        self._file: FileHead | None = None
        self._hash = hashlib.sha256()
        self._size = 0

    def take(self, event: Head | FileHead | Data | End) -> None:
        if isinstance(event, Head):
            self.head = event
        elif isinstance(event, Data):
            assert self._out is not None
            self._out.write(event.data)
            self._hash.update(event.data)
            self._size += len(event.data)
        else:
            self.end()
        if isinstance(event, FileHead):
            self._file, self._hash, self._size = event, hashlib.sha256(), 0
            self._out = _new(self._folder / self._stored)

    @property
    def _stored(self) -> str:
        return f"file-{len(self.files):02d}"

    def end(self) -> None:
        """Finish the file that is open, if there is one."""
        if self._out is None or self._file is None:
            return
        self._out.close()
        self.files.append(
            OpenedFile(
                name=self._file.name, media_type=self._file.media_type, size=self._size,
                digest="sha256:" + self._hash.hexdigest(), stored=self._stored,
            )
        )  # fmt: skip
        self._out = None


def _new(path: Path) -> io.BufferedWriter:
    """A file that only its owner can read, made anew."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    return os.fdopen(descriptor, "wb")


def _digest_of(sealed: Sealed) -> str:
    """Of the commitments of all blocks, in their order."""
    found = hashlib.sha256()
    for block in sealed:
        found.update(block[-COMMITMENT_BYTES:])
    return "sha256:" + found.hexdigest()
