"""The folder in which an office keeps its cases: sealed, and never in clear on the disk.

    <case>/case.age           all entries of the case, sealed with age to the offices that hold it
    <case>/files/<name>.age   one file of the case, sealed to the same offices; its name says nothing of its content

Rules:

- What is written is sealed before it is written. A file is written beside its place, made durable, and renamed.
- The entries are filled up to a power of two, so that the size of the file does not say what came last.
- What is read is bounded, and verified (`entries.read_entries`) before anything is made of it. A copy never replaces what it does
  not contain: `keep` joins what is there with what comes.
- The sealed file is the same for all that hold the case. To exchange copies, offices hand each other the folder as it is.

Not done here: the office's age identity and signing key lie where the office keeps them. Whoever has both is the office.
Memory of this process may be swapped out: offices work on machines without swap, or with encrypted swap.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyrage

from inspectorate.canonical import canonical_bytes, digest_of, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.files import cannot_write, read_bounded, replace_file
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile, Keys, read_entries

CASE_BYTES_MAX = 64 << 20
CASE_BYTES_MIN = 1 << 16
"""A case with one short report fills this, too."""
FILE_BYTES_MAX = 1 << 30
CASES_MAX = 100_000


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads: an age identity, and the keys under which entries are verified."""

    identity: pyrage.x25519.Identity
    keys: Keys


def seal(data: bytes, recipients: Sequence[str]) -> bytes:
    """Seal to age recipients, any one of whom can open. Raises `InputError` on what is no recipient."""
    try:
        keys = [pyrage.x25519.Recipient.from_str(one) for one in recipients]
    except pyrage.RecipientError as fault:
        raise InputError(f"not an age recipient: {fault}", where=", ".join(recipients)[:200]) from None
    sealed: bytes = pyrage.encrypt(data, keys)
    return sealed


def unseal(data: bytes, identity: pyrage.x25519.Identity, *, where: str) -> bytes:
    """Open what was sealed to this identity. Raises `EvidenceError`."""
    try:
        opened: bytes = pyrage.decrypt(data, [identity])
    except pyrage.DecryptError:
        raise EvidenceError(
            "does not open with this identity", where=where, remedy="it is sealed to others, or was altered"
        ) from None
    return opened


def pack(envelopes: Sequence[bytes]) -> bytes:
    """Entries as one document, filled up to a power of two."""
    document = canonical_bytes([data.decode() for data in envelopes])
    size = max(CASE_BYTES_MIN, 1 << (len(document) - 1).bit_length())
    if size > CASE_BYTES_MAX:
        raise EvidenceError(f"the entries of a case fill more than {CASE_BYTES_MAX} bytes", where="case")
    return document + b" " * (size - len(document))


def unpack(data: bytes, *, where: str) -> tuple[bytes, ...]:
    """The entries of such a document. Raises `EvidenceError`."""
    if len(data) > CASE_BYTES_MAX:
        raise EvidenceError(f"has {len(data)} bytes, more than {CASE_BYTES_MAX}", where=where)
    listed = parse_json(data.rstrip(b" "), where=where)
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise EvidenceError("is no list of entries", where=where)
    return tuple(one.encode() for one in listed)


class CaseStore:
    """The cases of one office in a folder."""

    def __init__(self, folder: Path, *, reader: Reader) -> None:
        self.folder = folder
        self.reader = reader

    def names(self) -> tuple[str, ...]:
        """The cases that are there, in order of their names, which says nothing."""
        try:
            found = sorted(entry.name for entry in self.folder.iterdir() if (entry / "case.age").is_file())
        except FileNotFoundError:
            return ()
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(self.folder)) from None
        if len(found) > CASES_MAX:
            raise InputError(f"holds more than {CASES_MAX} cases", where=str(self.folder))
        return tuple(found)

    def read(self, case: str) -> CaseFile:
        """A case, verified. Raises `InputError` if it is not there, `EvidenceError` if it was altered."""
        path = self._place(case) / "case.age"
        if not path.is_file():
            known = ", ".join(self.names()[:20]) or "none"
            raise InputError(f"no case {case!r}", where=str(self.folder), remedy=f"cases here: {known}")
        data = unseal(_read_bounded(path, 2 * CASE_BYTES_MAX), self.reader.identity, where=str(path))
        file = read_entries(unpack(data, where=str(path)), keys=self.reader.keys, where=str(path))
        if file.case != case:
            raise EvidenceError(f"holds case {file.case}", where=str(path), remedy="it was moved; rename its folder")
        return file

    def keep(self, case: str, envelopes: Sequence[bytes], recipients: Sequence[str]) -> CaseFile:
        """Join entries with those that are there, and write the case anew. Raises `EvidenceError` where they do not fit."""
        with self._alone():
            mine = self.read(case).held if self.has(case) else ()
            together = {digest_of(data): data for data in (*(one.envelope for one in mine), *envelopes)}
            file = read_entries(together.values(), keys=self.reader.keys, where=f"case {case}")
            if file.case != case:
                raise EvidenceError(f"are entries of case {file.case}", where=f"case {case}")
            _write(self._place(case) / "case.age", seal(pack([one.envelope for one in file.held]), recipients))
        return file

    def has(self, case: str) -> bool:
        return (self._place(case) / "case.age").is_file()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time joins and writes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be used: {fault.strerror}", where=str(self.folder)) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def keep_file(self, case: str, name: str, data: bytes, recipients: Sequence[str]) -> None:
        """Seal a file beside the case, unless it is there."""
        path = self._place(case) / "files" / f"{name}.age"
        if not path.exists():
            _write(path, seal(data, recipients))

    def sealed_file(self, case: str, name: str) -> bytes:
        """A file as it lies there, sealed. Raises `EvidenceError`."""
        path = self._place(case) / "files" / f"{name}.age"
        if not path.is_file():
            raise EvidenceError("is not there", where=str(path), remedy="another office that holds the case has it")
        return _read_bounded(path, FILE_BYTES_MAX)

    def read_file(self, case: str, name: str, digest: str) -> bytes:
        """A file of the case, whose bytes have this digest. Raises `EvidenceError`."""
        data = unseal(self.sealed_file(case, name), self.reader.identity, where=f"file {name} of case {case}")
        if digest_of(data) != digest:
            raise EvidenceError("is not the file that the case names", where=f"file {name} of case {case}")
        return data

    def take_files(self, case: str, source: Path, digests: Mapping[str, str]) -> tuple[str, ...]:
        """Copy sealed files of another copy of the case, those that are not here. The names of those that are whole in neither.

        `digests` gives what must be in each. A file that holds anything else is not taken: it would stand in the way of a good one.
        """
        missing: list[str] = []
        for name, digest in digests.items():
            here, there = (folder / "files" / f"{name}.age" for folder in (self._place(case), source))
            if here.exists():
                continue
            try:
                sealed = read_plain(there, FILE_BYTES_MAX)
                whole = digest_of(unseal(sealed, self.reader.identity, where=str(there))) == digest
            except EvidenceError:
                whole = False
            if whole:
                _write(here, sealed)
            else:
                missing.append(name)
        return tuple(missing)

    def _place(self, case: str) -> Path:
        if not case or case.startswith(".") or "/" in case or "\0" in case:
            raise InputError(f"{case!r} is no name of a case", where=str(self.folder))
        return self.folder / case


def read_copy(folder: Path, reader: Reader) -> CaseFile:
    """The case in a folder that another office handed over, verified. Raises `InputError`, `EvidenceError`."""
    path = folder / "case.age"
    if not path.is_file():
        raise InputError("holds no case.age", where=str(folder), remedy="give the folder of one case")
    data = unseal(read_plain(path, 2 * CASE_BYTES_MAX), reader.identity, where=str(path))
    return read_entries(unpack(data, where=str(path)), keys=reader.keys, where=str(path))


def recipients_of(holders: Sequence[str], known: Mapping[str, str], where: str) -> tuple[str, ...]:
    """The age recipients of the offices that hold a case. Raises `InputError` on one that is not known."""
    missing = [office for office in holders if office not in known]
    if missing:
        raise InputError(f"no recipient is known of {', '.join(missing)}", where=where)
    return tuple(known[office] for office in holders)


def _read_bounded(path: Path, bytes_max: int) -> bytes:
    return read_bounded(path, bytes_max, unreadable=EnvironmentError_, too_large=EvidenceError)


def _write(path: Path, data: bytes) -> None:
    """What is written is sealed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as fault:
        raise cannot_write(path, fault) from None
    replace_file(path, data, mode=0o600)
