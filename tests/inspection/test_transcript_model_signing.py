"""Manifests of signed models: one that the package `model_signing` wrote, and ones that lie."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.model_signing import (
    check_files,
    declared_weights,
    manifest_of,
    parse_bundle,
    parse_statement,
    statement_bytes,
)
from inspectorate.mechanisms.inspection.transcripts.tensor_files import pieces_of

TENSORS = {"w": RawTensor("F32", (2,), memoryview(bytes(8)))}
BUNDLE = Path(__file__).parent / "signed_model.json"
"""The bundle that model_signing 1.1.1 made (`model_signing sign key m`) of the folder that `model` makes."""


def model(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"".join(pieces_of(TENSORS)))
    (folder / "sub" / "config.json").write_bytes(b"{}\n")
    (folder / "a.txt").write_bytes(b"a\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model(tmp_path / "m")


def test_what_the_package_signed_is_read_and_ours_is_the_same(folder: Path) -> None:
    theirs = parse_bundle(BUNDLE.read_bytes(), where="x")
    check_files(theirs, folder)
    assert declared_weights(theirs, folder) == digest_of_tensors(TENSORS)
    ours = manifest_of(folder)
    assert (ours.root, ours.resources) == (theirs.root, theirs.resources)
    assert set(ours.ignored) == set(theirs.ignored)
    assert parse_statement(statement_bytes(ours), where="x") == ours
    (folder / ".gitignore").write_bytes(b"")
    check_files(theirs, folder)


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_every_hash_function_goes_there_and_back(folder: Path, algorithm: str) -> None:
    ours = manifest_of(folder, algorithm=algorithm)
    check_files(parse_statement(statement_bytes(ours), where="x"), folder)
    (folder / "a.txt").write_bytes(b"b\n")
    with pytest.raises(EvidenceError, match="not the file"):
        check_files(ours, folder)


def test_files_that_differ_are_missing_or_beside_are_refused(folder: Path, tmp_path: Path) -> None:
    theirs = parse_bundle(BUNDLE.read_bytes(), where="x")
    (folder / "more.bin").write_bytes(b"")
    with pytest.raises(EvidenceError, match="beside"):
        check_files(theirs, folder)
    (folder / "more.bin").unlink()
    (folder / "a.txt").rename(tmp_path / "a.txt")
    with pytest.raises(EvidenceError, match="lacks"):
        check_files(theirs, folder)
    (folder / "a.txt").symlink_to(tmp_path / "a.txt")
    with pytest.raises(EvidenceError, match="links"):
        check_files(theirs, folder)
    with pytest.raises(InspectorateError):
        check_files(theirs, tmp_path / "missing")


def other(change: Callable[[dict[str, Any]], object]) -> bytes:
    bundle = json.loads(BUNDLE.read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    changed = copy.deepcopy(statement)
    change(changed)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(changed).encode()).decode()
    return json.dumps(bundle).encode()


LIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "digest": lambda s: s["predicate"]["resources"][0].update(digest="0" * 64),
    "root": lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
    "order": lambda s: s["predicate"]["resources"].reverse(),
    "escape": lambda s: s["predicate"]["resources"][0].update(name="../a.txt"),
    "absolute": lambda s: s["predicate"]["resources"][0].update(name="/etc/passwd"),
    "dot": lambda s: s["predicate"]["resources"][0].update(name="./a.txt"),
    "twice": lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
    "none": lambda s: s["predicate"].update(resources=[]),
    "function": lambda s: s["predicate"]["resources"][0].update(algorithm="md5"),
    "function no text": lambda s: s["predicate"]["resources"][0].update(algorithm=["sha256"]),
    "capitals": lambda s: s["predicate"]["resources"][0].update(digest="A" * 64),
    "shards": lambda s: s["predicate"]["serialization"].update(method="shards"),
    "links": lambda s: s["predicate"]["serialization"].update(allow_symlinks=True),
    "type": lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
    "subjects": lambda s: s["subject"].append(s["subject"][0]),
    "no predicate": lambda s: s.update(predicate=None),
}


@pytest.mark.parametrize("name", LIES)
def test_manifests_that_lie_are_refused(name: str) -> None:
    with pytest.raises(EvidenceError):
        parse_bundle(other(LIES[name]), where="x")


NO_BASE64 = b'{"dsseEnvelope":{"payloadType":"application/vnd.in-toto+json","payload":"*"}}'


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", NO_BASE64])
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_bundle(data, where="x")
