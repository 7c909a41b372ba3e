"""Fuzz what another office can send: python tests/heard/fuzz_cases.py -max_total_time=300

The first byte chooses the way in: a case file, an entry that is signed well and whose payload is the input, a package of a whole
case, an opened report, a package of claims, a published list. Anything but an `InspectorateError` is a finding.
"""

from __future__ import annotations

import base64
import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate.mechanisms.whistleblowing"]):
    from cases_kit import NAMES, key, known

    from inspectorate.canonical import canonical_bytes
    from inspectorate.errors import InspectorateError
    from inspectorate.evidence.dsse import pae
    from inspectorate.mechanisms.whistleblowing.cases.entries import ENTRY_TYPE, read_entries
    from inspectorate.mechanisms.whistleblowing.cases.handover import unpack_claims, unpack_whole
    from inspectorate.mechanisms.whistleblowing.cases.heads import read_heads
    from inspectorate.mechanisms.whistleblowing.cases.opening import opened_act, read_opened
    from inspectorate.mechanisms.whistleblowing.cases.state import follow
    from inspectorate.mechanisms.whistleblowing.cases.store import unpack

FOLDER = Path(tempfile.mkdtemp())


def case_file(data: bytes) -> None:
    follow(read_entries(unpack(data, where="fuzz"), keys=known().keys, where="fuzz"), known().offices)


def signed_entry(data: bytes) -> None:
    signature = key(NAMES[0]).sign(pae(ENTRY_TYPE, data))
    envelope = {
        "payload": base64.b64encode(data).decode(), "payloadType": ENTRY_TYPE,
        "signatures": [{"keyid": key(NAMES[0]).key_id, "sig": base64.b64encode(signature).decode()}],
    }  # fmt: skip
    follow(read_entries([canonical_bytes(envelope)], keys=known().keys, where="fuzz"), known().offices)


def whole(data: bytes) -> None:
    entries, _ = unpack_whole(data, where="fuzz")
    read_entries(entries, keys=known().keys, where="fuzz")


def opened(data: bytes) -> None:
    (FOLDER / "report.json").write_bytes(data)
    opened_act(read_opened(FOLDER)[0])


WAYS = (
    case_file,
    signed_entry,
    whole,
    opened,
    lambda data: unpack_claims(data, known().offices, where="fuzz"),
    lambda data: read_heads(data, known().keys, where="fuzz"),
)


def one_input(data: bytes) -> None:
    """Parse `data` as what its first byte says."""
    with contextlib.suppress(InspectorateError):
        WAYS[data[0] % len(WAYS) if data else 0](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
