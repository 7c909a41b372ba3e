"""Bundles: a folder or a tar archive that carries statements, payloads and ledger proofs.

    manifest.json            DSSE envelope of a bundle statement: every other file with its digest and size
    statements/<hex>.json    DSSE envelopes; <hex> is the SHA-256 of the file
    payloads/<hex>           what the statements speak of; <hex> is the SHA-256 of the file
    proofs/<hex>             ledger proof of the statement <hex>, opaque here
    continues/<size>         proof that the ledger continues its first <size> entries, opaque here

Rules:

- Opening a bundle reads every byte of it once. A file that the manifest does not list, a listed one that is not there,
  any byte that differs, any name outside of this layout: the whole bundle is refused, with the reason.
- An archive has one byte form: plain tar with fixed headers in sorted order. Any other tar is refused.
- A payload is hashed again when it is handed out, and those same bytes are what the caller gets.
- Links, special files and folders within the four folders are refused. Sizes and counts are bounded.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import tarform
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX, VerifiedStatement, sign_statement, verify_envelope
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX, BundleManifest, FileEntry
from inspectorate.evidence.predicate import Origin
from inspectorate.evidence.problems import ProblemKind, RejectedEvidence
from inspectorate.evidence.statement import make_statement
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.quantities import Time

MANIFEST = "manifest.json"
FILES_MAX = 500_000
BUNDLE_BYTES_MAX = 64 * 1024**3
SMALL_BYTES_MAX = 1024 * 1024
"""Statements and proofs are small; only payloads may be large."""
NAME_SHOWN = 200
"""Characters of a stray file's name that an error shows; the name is the sender's, and is escaped."""

FOLDERS = frozenset({"statements", "payloads", "proofs", "continues"})
NOT_BY_DIGEST = ("proofs/", "continues/")
"""What bears another name than its own digest."""
_NAME = re.compile(
    r"(statements/[0-9a-f]{64}\.json|payloads/[0-9a-f]{64}|proofs/[0-9a-f]{64}|continues/[1-9][0-9]{0,15})\Z"
)


class Files(Protocol):
    """Where the files of a bundle are read from."""

    where: str

    def sizes(self) -> dict[str, int]: ...

    def open(self, name: str) -> tarform.BytesFile: ...


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A bundle whose every byte is as its signed manifest says. Open one with `Bundle.open`."""

    manifest: VerifiedStatement
    files: Files
    entries: Mapping[str, FileEntry]

    @classmethod
    def open(cls, path: Path, *, anchors: TrustAnchors) -> Bundle:
        """Open and check a bundle, folder or `.tar`.

        Raises `InputError` if there is nothing to open, `RejectedEvidence` if any byte is not as it was signed.
        """
        return cls.check(_files_at(path), anchors=anchors)

    @classmethod
    def check(cls, files: Files, *, anchors: TrustAnchors) -> Bundle:
        """Check files against their signed manifest, in the order: names, manifest, every file."""
        sizes = files.sizes()
        if MANIFEST not in sizes:
            raise RejectedEvidence(
                ProblemKind.MISSING, "has no manifest.json, so it is not a bundle", where=files.where
            )
        # Before anything is read: the size in an archive's header is the sender's word, and may be any.
        if sizes[MANIFEST] > ENVELOPE_BYTES_MAX or sum(sizes.values()) > BUNDLE_BYTES_MAX:
            raise RejectedEvidence(ProblemKind.MALFORMED, "is larger than a bundle may be", where=files.where)
        with files.open(MANIFEST) as file:
            data = file.read(ENVELOPE_BYTES_MAX + 1)
        verified = verify_envelope(data, anchors=anchors, where=f"{files.where}/{MANIFEST}")
        manifest = verified.predicate
        if not isinstance(manifest, BundleManifest):
            raise RejectedEvidence(ProblemKind.MALFORMED, "manifest.json is not a bundle manifest", where=files.where)
        _compare_names(files.where, set(sizes) - {MANIFEST}, set(manifest.files))
        for name, entry in sorted(manifest.files.items()):
            _check_file(files, name, entry, sizes[name])
        return cls(manifest=verified, files=files, entries=dict(manifest.files))

    def statements(self) -> Iterator[tuple[str, bytes]]:
        """Every statement file as (digest, bytes), in order of digest."""
        for name in sorted(self.entries):
            if name.startswith("statements/"):
                yield "sha256:" + name.removeprefix("statements/").removesuffix(".json"), self._read(name)

    def has_payload(self, digest: str) -> bool:
        return _payload_name(digest) in self.entries

    def payload_size(self, digest: str) -> int:
        return self.entries[_payload_name(digest)].size

    def payload(self, digest: str) -> bytes:
        """The payload of a digest; what is returned is what was hashed. Raises `RejectedEvidence`."""
        name = _payload_name(digest)
        if name not in self.entries:
            raise RejectedEvidence(
                ProblemKind.MISSING, f"payload {digest} is not in the bundle", where=self.files.where
            )
        return self._read(name)

    def proof(self, statement_digest: str) -> bytes | None:
        """The ledger proof that came with a statement, unchecked; None if there is none."""
        name = "proofs/" + statement_digest.removeprefix("sha256:")
        return self._read(name) if name in self.entries else None

    def continues(self, size: int) -> bytes | None:
        """The proof that the ledger continues its first `size` entries, unchecked; None if there is none."""
        name = f"continues/{size}"
        return self._read(name) if name in self.entries else None

    def _read(self, name: str) -> bytes:
        entry = self.entries[name]
        with self.files.open(name) as file:
            data = file.read(entry.size + 1)
        if digest_of(data) != entry.digest:
            raise RejectedEvidence(
                ProblemKind.WRONG_DIGEST, f"{name} changed while it was read", where=self.files.where
            )
        return data


def _payload_name(digest: str) -> str:
    return "payloads/" + digest.removeprefix("sha256:")


def _compare_names(where: str, found: set[str], listed: set[str]) -> None:
    for name in sorted(listed - found):
        raise RejectedEvidence(ProblemKind.MISSING, f"{name} is listed and not there", where=where)
    for name in sorted(found - listed):
        raise RejectedEvidence(ProblemKind.MALFORMED, f"{name[:NAME_SHOWN]!a} is there and not listed", where=where)
    for name in sorted(listed):
        if not _NAME.match(name):
            raise RejectedEvidence(ProblemKind.MALFORMED, f"{name} has no place in a bundle", where=where)


def _check_file(files: Files, name: str, entry: FileEntry, size: int) -> None:
    limit = PAYLOAD_BYTES_MAX if name.startswith("payloads/") else SMALL_BYTES_MAX
    if max(size, entry.size) > limit:
        raise RejectedEvidence(ProblemKind.MALFORMED, f"{name} has more than {limit} bytes", where=files.where)
    if size != entry.size:
        kind = ProblemKind.TRUNCATED if size < entry.size else ProblemKind.WRONG_DIGEST
        raise RejectedEvidence(kind, f"{name} has {size} bytes; {entry.size} were signed for", where=files.where)
    with files.open(name) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if "sha256:" + digest != entry.digest:
        raise RejectedEvidence(ProblemKind.WRONG_DIGEST, f"{name} is not what was signed for", where=files.where)
    named = name.split("/")[1].removesuffix(".json")
    if not name.startswith(NOT_BY_DIGEST) and named != digest:
        raise RejectedEvidence(ProblemKind.WRONG_DIGEST, f"{name} does not bear its own digest", where=files.where)


class Folder:
    """Bundle files in a folder."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def sizes(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for entry in self._entries(self._path):
            if entry.name in FOLDERS and entry.is_dir(follow_symlinks=False):
                for item in self._entries(Path(entry.path)):
                    found[f"{entry.name}/{item.name}"] = self._size(item)
            else:
                found[entry.name] = self._size(entry)
            if len(found) > FILES_MAX:
                raise RejectedEvidence(ProblemKind.MALFORMED, f"more than {FILES_MAX} files", where=self.where)
        return found

    def open(self, name: str) -> tarform.BytesFile:
        try:
            return (self._path / name).open("rb")
        except OSError as fault:
            raise EnvironmentError_(f"cannot read {name}: {fault.strerror}", where=self.where) from None

    def _entries(self, path: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return list(islice(entries, FILES_MAX + 1))
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(path)) from None

    def _size(self, entry: os.DirEntry[str]) -> int:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=self.where) from None
        if not stat.S_ISREG(status.st_mode):
            raise RejectedEvidence(ProblemKind.MALFORMED, f"{entry.name!a} is not a plain file", where=self.where)
        return status.st_size


class Memory:
    """Bundle files in memory, for what was just made and for simulated sites."""

    def __init__(self, contents: Mapping[str, bytes], where: str = "memory") -> None:
        self.where = where
        self._contents = contents

    def sizes(self) -> dict[str, int]:
        return {name: len(data) for name, data in self._contents.items()}

    def open(self, name: str) -> tarform.BytesFile:
        return io.BytesIO(self._contents[name])


def _files_at(path: Path) -> Files:
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise InputError("is neither a folder nor a file", where=str(path), remedy="name a bundle")
    return tarform.TarFile(path, files_max=FILES_MAX + 1, bytes_max=BUNDLE_BYTES_MAX)


def bundle_contents(
    *,
    envelopes: list[bytes],
    payloads: Mapping[str, bytes],
    proofs: Mapping[str, bytes],
    continues: Mapping[int, bytes] = MappingProxyType({}),
    key: SigningKey,
    created_at: Time,
    origin: Origin,
) -> dict[str, bytes]:
    """The files of a bundle, manifest included, from signed envelopes, payloads by digest and proofs by digest or size."""
    contents = {f"statements/{digest_of(data)[7:]}.json": data for data in envelopes}
    for digest, data in payloads.items():
        if len(data) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"payload {digest} has {len(data)} bytes, more than {PAYLOAD_BYTES_MAX}")
        contents[_payload_name(digest)] = data
    contents |= {"proofs/" + digest.removeprefix("sha256:"): data for digest, data in proofs.items()}
    contents |= {f"continues/{size}": data for size, data in continues.items()}
    entries = {name: FileEntry(digest=digest_of(data), size=len(data)) for name, data in contents.items()}
    manifest = BundleManifest(origin=origin, created_at=created_at, files=entries)
    statement = make_statement(manifest, {"files": digest_of(manifest.canonical_bytes())})
    return {MANIFEST: sign_statement(statement, key), **contents}


def check_new(path: Path) -> None:
    """Raises `InputError` where a bundle cannot be written: something is there, or an archive's folder is not."""
    if path.exists():
        raise InputError("is there already", where=str(path), remedy="name a new place")
    if path.suffix == ".tar" and not path.parent.is_dir():
        raise InputError("its folder is not there", where=str(path), remedy="make the folder first")


def write_bundle(contents: Mapping[str, bytes], path: Path) -> None:
    """Write a bundle as a folder, or as an archive if the path ends in `.tar`. Refuses to overwrite."""
    check_new(path)
    try:
        if path.suffix == ".tar":
            with path.open("xb") as file:
                tarform.write_tar(file, contents)
            return
        for name, data in sorted(contents.items()):
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    except OSError as fault:
        raise EnvironmentError_(f"cannot write the bundle: {fault.strerror}", where=str(path)) from None
