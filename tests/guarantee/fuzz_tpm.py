"""Fuzz all that a quote is made of: python tests/guarantee/fuzz_tpm.py -max_total_time=600

The first byte chooses a payload, TPMS_ATTEST, TPMT_PUBLIC, TPMT_SIGNATURE, certificates, the answer of a TPM, or a file of the
ceremony. Anything but an `InspectorateError` (or a `ValueError` of the structures) is a finding; so is a payload that has two
forms, and a quote that verifies.
"""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from tpm_reading import GOLDEN, VECTORS, outcome

    from inspectorate.canonical import parse_canonical
    from inspectorate.errors import EvidenceError, InspectorateError
    from inspectorate.mechanisms.guarantee.attestation.enrol import Answer, Challenge, DeviceIdentity
    from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
    from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
    from inspectorate.mechanisms.guarantee.attestation.structures import read_public, read_quote, read_signature
    from inspectorate.mechanisms.guarantee.attestation.tpm.client import Client
    from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
    from inspectorate.mechanisms.guarantee.attestation.verify import Platforms

PLATFORMS = Platforms([GOLDEN.anchor])
TRUE = {vector.data for vector in VECTORS.values() if vector.expect == "verified"}
PUBLIC = GOLDEN.payload.public
AT = datetime(2026, 11, 26, tzinfo=UTC)


class Canned:
    """A TPM that answers with the same bytes to everything."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def exchange(self, command: bytes) -> bytes:
        return self._answer

    def close(self) -> None:
        """Nothing is open."""


def answered(data: bytes) -> None:
    tpm = Tpm(Client(Canned(data), "fuzz", lambda _: None))
    for ask in (
        lambda: tpm.random(4),
        lambda: tpm.firmware,
        tpm.pcr_banks,
        lambda: tpm.pcrs((0, 1, 2)),
        lambda: tpm.read_public(0x81000000),
        lambda: tpm.nv_public(0x01800000),
        lambda: tpm.nv_read(0x01800000, 8),
        lambda: tpm.quote(0x81000000, b"", (0,)),
    ):
        with contextlib.suppress(InspectorateError):
            ask()


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[0] % 7 if data else 0, data[1:]
    if way == 0:
        whole = rest[:QUOTE_BYTES].ljust(QUOTE_BYTES, b"\0")
        if whole not in TRUE:
            assert outcome(GOLDEN, whole, PLATFORMS) != "verified"
        with contextlib.suppress(EvidenceError):
            assert QuotePayload.decode(whole, where="fuzz").encode() == whole
    elif way in (1, 2, 3):
        with contextlib.suppress(ValueError):
            (read_quote, read_public, read_signature)[way - 1](rest)
    elif way == 4:
        with contextlib.suppress(InspectorateError):
            PLATFORMS.certified((rest,), PUBLIC, at=AT)
    elif way == 5:
        answered(rest)
    else:
        for record in (DeviceIdentity, Challenge, Answer):
            with contextlib.suppress(InspectorateError):
                record.parse(parse_canonical(rest, where="fuzz"), where="fuzz", error=EvidenceError)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
