"""Manifests of the OpenSSF model signing specification, as `model_signing` 1.x writes them: read, written, held against files.

A signature file is a Sigstore bundle with a DSSE envelope around an in-toto Statement v1 of the type
`https://model_signing/signature/v1.0`. Its predicate lists `resources` (name, algorithm, digest) and says how they were made
(`serialization`); the digest of its one subject is the SHA-256 over the digests of the resources in their order.

What is done here: the statement is read, within limits; its root is computed anew; every file of a folder is held against it, none
may be missing, none may be beside those that are listed or ignored; and the tensors in its safetensors files are digested as
weights are here. So a model that its maker signed can be the declared model of an agreement.

What is not: the signature is not verified. Who signed is a question of keys, and `model_signing verify` (or `cosign`) answers it; a
caller that has only this module has integrity against a manifest, no more.

Serialization by files (SHA-256, BLAKE2b, BLAKE3) is read; by shards it is refused, with a word on how to make the other.

Source: github.com/sigstore/model-transparency, `docs/model_signing_format.md` and version 1.1.1 of the package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from blake3 import blake3

from inspectorate.canonical import canonical_bytes, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.transcripts.tensor_files import digest_of_files, open_plain

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_BYTES_MAX = 64 * 1024 * 1024
RESOURCES_MAX = 100_000
NAME_MAX = 1_000
DEPTH_MAX = 32
IGNORED = (".git", ".gitattributes", ".github", ".gitignore")
"""As the package ignores them unless told otherwise."""
_CHUNK = 1 << 22


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


HASHERS: Mapping[str, Callable[[], _Hasher]] = {
    "sha256": hashlib.sha256,
    "blake2b": hashlib.blake2b,
    "blake3": lambda: blake3(max_threads=1),
}
_HEX_LENGTH = {"sha256": 64, "blake2b": 128, "blake3": 64}


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One file of a model."""

    name: str
    algorithm: str
    digest: str
    """In hex."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a statement says of a model."""

    model: str
    root: str
    """SHA-256 in hex over the digests of the resources."""
    resources: tuple[Resource, ...]
    ignored: tuple[str, ...]


def parse_bundle(data: bytes, *, where: str) -> Manifest:
    """The manifest in a signature file: a Sigstore bundle, or a bare DSSE envelope. Its signature is NOT verified.

    Raises `EvidenceError`.
    """
    if len(data) > BUNDLE_BYTES_MAX:
        raise EvidenceError(f"has more than {BUNDLE_BYTES_MAX} bytes", where=where)
    value = parse_json(data, where=where)
    envelope = value.get("dsseEnvelope", value) if isinstance(value, dict) else None
    if not isinstance(envelope, dict) or envelope.get("payloadType") != PAYLOAD_TYPE:
        raise EvidenceError("holds no DSSE envelope of an in-toto statement", where=where)
    try:
        payload = base64.b64decode(str(envelope.get("payload", "")), validate=True)
    except (binascii.Error, ValueError):
        raise EvidenceError("has a payload that is no base64", where=where) from None
    return parse_statement(payload, where=where)


def parse_statement(data: bytes, *, where: str) -> Manifest:
    """The manifest of an in-toto statement. Raises `EvidenceError`."""
    value = parse_json(data, where=where)
    if not isinstance(value, dict) or (value.get("_type"), value.get("predicateType")) != (
        STATEMENT_TYPE,
        PREDICATE_TYPE,
    ):
        raise EvidenceError(f"is no in-toto statement of the type {PREDICATE_TYPE}", where=where)
    subjects, predicate = value.get("subject"), value.get("predicate")
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(predicate, dict):
        raise EvidenceError("does not have one subject and a predicate", where=where)
    ignored = _serialization(predicate.get("serialization"), where)
    listed = predicate.get("resources")
    if not isinstance(listed, list) or not 0 < len(listed) <= RESOURCES_MAX:
        raise EvidenceError("lists no resources, or too many", where=where)
    resources = tuple(_resource(one, where) for one in listed)
    names = [one.name for one in resources]
    if len(set(names)) != len(names):
        raise EvidenceError("lists a resource twice", where=where)
    subject = subjects[0] if isinstance(subjects[0], dict) else {}
    digest = subject.get("digest")
    root = root_of(resources)
    if not isinstance(digest, dict) or digest.get("sha256") != root:
        raise EvidenceError("names a root that is not that of its resources", where=where)
    return Manifest(model=str(subject.get("name", ""))[:NAME_MAX], root=root, resources=resources, ignored=ignored)


def root_of(resources: Sequence[Resource]) -> str:
    """SHA-256 over the digests of resources, as bytes, in their order."""
    hasher = hashlib.sha256()
    for one in resources:
        hasher.update(bytes.fromhex(one.digest))
    return hasher.hexdigest()


def statement_bytes(manifest: Manifest) -> bytes:
    """The statement of a manifest, to be signed by whatever signs models."""
    algorithms = sorted({one.algorithm for one in manifest.resources})
    if len(algorithms) != 1:
        raise InputError("a manifest has one hash function", where="manifest")
    return canonical_bytes(
        {
            "_type": STATEMENT_TYPE,
            "predicate": {
                "resources": [
                    {"algorithm": one.algorithm, "digest": one.digest, "name": one.name} for one in manifest.resources
                ],
                "serialization": {
                    "allow_symlinks": False,
                    "hash_type": algorithms[0],
                    "ignore_paths": list(manifest.ignored),
                    "method": "files",
                },
            },
            "predicateType": PREDICATE_TYPE,
            "subject": [{"digest": {"sha256": manifest.root}, "name": manifest.model}],
        }
    )


def manifest_of(folder: Path, *, ignored: Sequence[str] = IGNORED, algorithm: str = "sha256") -> Manifest:
    """The manifest of the files in a folder. Raises `InputError`, `EvidenceError` where it holds links or other than files."""
    names = sorted(_files(folder, ignored))
    resources = tuple(
        Resource(name=name, algorithm=algorithm, digest=_hash_file(folder / name, algorithm)) for name in names
    )
    if not resources:
        raise InputError("holds no files", where=str(folder))
    return Manifest(model=folder.resolve().name, root=root_of(resources), resources=resources, ignored=tuple(ignored))


def check_files(manifest: Manifest, folder: Path) -> None:
    """Every file is the listed one; none is missing, none is beside them. Raises `EvidenceError`."""
    found, listed = set(_files(folder, manifest.ignored)), {one.name for one in manifest.resources}
    for problem, names in (("lacks", listed - found), ("holds beside what is listed", found - listed)):
        if names:
            raise EvidenceError(
                f"{problem} {len(names)} files: {', '.join(sorted(names)[:4])[:300]}", where=str(folder)
            )
    for one in manifest.resources:
        if _hash_file(folder / one.name, one.algorithm) != one.digest:
            raise EvidenceError("is not the file that was signed", where=str(folder / one.name))


def declared_weights(manifest: Manifest, folder: Path, *, threads: int = 1) -> str:
    """The digest of the weights in the safetensors files of a signed model, after all its files were checked.

    Raises `EvidenceError` where a file differs, or where there are no safetensors.
    """
    check_files(manifest, folder)
    paths = [folder / one.name for one in manifest.resources if one.name.endswith(".safetensors")]
    if not paths:
        raise EvidenceError("lists no safetensors", where=str(folder), remedy="other weights are not read")
    return digest_of_files(paths, threads=threads)


def _serialization(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, dict) or value.get("method") != "files":
        raise EvidenceError("is not serialized by files", where=where, remedy="sign without shards")
    if value.get("allow_symlinks"):
        raise EvidenceError("allows symbolic links, which are not followed here", where=where)
    ignored = value.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(one, str) for one in ignored):
        raise EvidenceError("ignores what is no path", where=where)
    return tuple(ignored)


def _resource(value: Any, where: str) -> Resource:
    if not isinstance(value, dict):
        raise EvidenceError("lists a resource that is none", where=where)
    name, algorithm, digest = (value.get(key) for key in ("name", "algorithm", "digest"))
    if not isinstance(name, str) or not _is_safe(name):
        raise EvidenceError(f"lists the name {str(name)[:100]!r}, which leads elsewhere", where=where)
    if not isinstance(algorithm, str) or algorithm not in HASHERS:
        raise EvidenceError(f"hashes by {str(algorithm)[:40]!r}, which is not known", where=where)
    if (
        not isinstance(digest, str)
        or len(digest) != _HEX_LENGTH[algorithm]
        or any(one not in "0123456789abcdef" for one in digest)
    ):
        raise EvidenceError(f"has no digest of {name[:100]!r}", where=where)
    return Resource(name=name, algorithm=algorithm, digest=digest)


def _is_safe(name: str) -> bool:
    """A relative path that stays where it is put."""
    path = PurePosixPath(name)
    return (
        0 < len(name) <= NAME_MAX
        and name.isprintable()
        and str(path) == name
        and not path.is_absolute()
        and ".." not in path.parts
        and len(path.parts) <= DEPTH_MAX
    )


def _files(folder: Path, ignored: Sequence[str]) -> Iterator[str]:
    """Names of all files below a folder, but for what is ignored."""
    left_out = {str(PurePosixPath(one)) for one in ignored}
    waiting = [PurePosixPath()]
    count = 0
    while waiting:
        at = waiting.pop()
        try:
            entries = list(os.scandir(folder / at))
        except OSError as fault:
            raise InputError(f"cannot be read: {fault.strerror}", where=str(folder / at)) from None
        for entry in entries:
            name = at / entry.name
            if str(name) in left_out:
                continue
            count += 1
            if count > RESOURCES_MAX or len(name.parts) > DEPTH_MAX:
                raise EvidenceError("holds more files, or deeper ones, than a model has", where=str(folder))
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            elif entry.is_file(follow_symlinks=False):
                yield str(name)
            else:
                raise EvidenceError("is no plain file", where=str(folder / name), remedy="links are not followed")


def _hash_file(path: Path, algorithm: str) -> str:
    hasher = HASHERS[algorithm]()
    try:
        with open_plain(path) as file:
            while piece := file.read(_CHUNK):
                hasher.update(piece)
    except OSError as fault:
        raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    return hasher.hexdigest()
