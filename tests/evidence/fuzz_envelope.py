"""Fuzz the verification of envelopes: python tests/evidence/fuzz_envelope.py -max_total_time=600

The first byte chooses how deep the input goes: the envelope's own bytes, or the payload of an envelope with a true
signature, so that the statement behind it is reached as well. Anything but `RejectedEvidence` is a finding.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from evidence_making import ANCHORS, GOOD_PAYLOAD, envelope_of, signed_segment

    from inspectorate.evidence import RejectedEvidence, verify_envelope

GOOD = signed_segment()


def one_input(data: bytes) -> None:
    """Verify one envelope made of `data`."""
    way, rest = data[:1], data[1:]
    if way < b"\x40":
        envelope = rest
    elif way < b"\x80":
        envelope = splice(GOOD, rest)
    elif way < b"\xc0":
        envelope = envelope_of(None, raw=rest)
    else:
        envelope = envelope_of(None, raw=splice(GOOD_PAYLOAD, rest))
    with contextlib.suppress(RejectedEvidence):
        verify_envelope(envelope, anchors=ANCHORS, where="fuzz")


def splice(good: bytes, edit: bytes) -> bytes:
    """`good` with a stretch replaced: two bytes for where, one for how much, the rest for by what."""
    if len(edit) < 3:
        return good
    at = int.from_bytes(edit[:2], "big") % len(good)
    return good[:at] + edit[3:] + good[at + edit[2] % 16 :]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
