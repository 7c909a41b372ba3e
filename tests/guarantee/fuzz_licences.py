"""Fuzz what comes in from other parties: `python tests/guarantee/fuzz_licences.py -max_total_time=600 [CORPUS]`.

The first byte chooses the reader; FUZZ_ONLY=document|payload|parts|packed|prefix keeps to one. Anything raised but
`EvidenceError` is a finding, and so is a licence that is accepted without a quorum over its bytes, parts that make up another
document than they came from, and a ledger that is not written as it was read.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import sys
import tempfile
import zlib

import atheris

with atheris.instrument_imports(include=["inspectorate.mechanisms.guarantee", "inspectorate.canonical"]):
    import licence_making as make

    from inspectorate.errors import EvidenceError
    from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
    from inspectorate.mechanisms.guarantee.licences.parts import from_parts, to_parts
    from inspectorate.mechanisms.guarantee.licences.state import LicenceState
    from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
    from inspectorate.mechanisms.guarantee.metering.flop_ledger import EMPTY, of, parse, receive, session_source
    from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

RULES = make.ruleset()
GOOD = make.signed(make.licence(1))
PARTS = to_parts(GOOD)
LEDGER = of({session_source("device", bytes([number]) * 16): 1e20 + number for number in range(5)})


def splice(good: bytes, edit: bytes) -> bytes:
    """`good` with a stretch replaced: two bytes for where, one for how much, the rest for by what."""
    if len(edit) < 3:
        return good
    at = int.from_bytes(edit[:2], "big") % len(good)
    return good[:at] + edit[3:] + good[at + edit[2] % 16 :]


def judged(document: SignedDocument) -> bool:
    found = judge_licence(LicenceState(), document, device=make.DEVICE, ruleset=RULES, at=make.at(1))
    assert (found.state is None) == (found.licence is None)
    assert found.state is not None or found.refusals
    return found.state is not None


def document(data: bytes) -> None:
    for envelope in (data, splice(GOOD.to_bytes(), data)):
        with contextlib.suppress(EvidenceError):
            came = parse_document(envelope, kind=LICENCE_KIND, where="fuzz")
            assert not judged(came) or came.payload == GOOD.payload


def payload(data: bytes) -> None:
    for content in (data, splice(GOOD.payload, data)):
        assert not judged(SignedDocument(kind=LICENCE_KIND, payload=content, signatures=GOOD.signatures)) or (
            content == GOOD.payload
        )


def parts(data: bytes) -> None:
    text = data.decode("utf-8", errors="replace")
    lines = splice("\n".join(PARTS).encode(), data).decode("utf-8", errors="replace").split("\n")
    for texts in (text.split("\n"), [*PARTS[1:], text], lines):
        with contextlib.suppress(EvidenceError):
            assert from_parts(texts, where="fuzz") == GOOD


def packed(data: bytes) -> None:
    """Parts that are sound in themselves, of bytes that need not be a licence."""
    for content in (data[:2000] or b"x", zlib.compress(data)[:2000]):
        name = hashlib.sha256(content).hexdigest()[:16].upper()
        letters = base64.b32encode(content).decode().rstrip("=")
        with contextlib.suppress(EvidenceError):
            from_parts([f"ILQ1/{name}/1/1/{zlib.crc32(content):08X}/{letters}"], where="fuzz")


def prefix(data: bytes) -> None:
    for content in (data, LEDGER.to_bytes()[:8] + data, splice(LEDGER.to_bytes(), data)):
        with contextlib.suppress(EvidenceError):
            came = parse(content, where="fuzz", entries_max=1000)
            assert came.to_bytes() == content
            merged = receive(LEDGER, content, where="fuzz", entries_max=1000)
            assert merged.total_units >= max(LEDGER.total_units, came.total_units)
            assert merged == came.merge(LEDGER)
            assert EMPTY.merge(came) == came


TARGETS = {"document": document, "payload": payload, "parts": parts, "packed": packed, "prefix": prefix}


def one_input(data: bytes) -> None:
    only = os.environ.get("FUZZ_ONLY")
    if only:
        TARGETS[only](data)
    elif data:
        list(TARGETS.values())[data[0] % len(TARGETS)](data[1:])


def write_seeds(folder: str) -> None:
    """Well-formed inputs of each target to start from."""
    only = os.environ.get("FUZZ_ONLY")
    seeds = (GOOD.to_bytes(), GOOD.payload, PARTS[0].encode(), GOOD.to_bytes()[:1500], LEDGER.to_bytes())
    for place, (name, seed) in enumerate(zip(TARGETS, seeds, strict=True)):
        if only in (None, name):
            with open(os.path.join(folder, name), "wb") as out:
                out.write(seed if only else bytes([place]) + seed)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as corpus:
        write_seeds(corpus)
        atheris.Setup([*sys.argv, corpus], one_input)
        atheris.Fuzz()
