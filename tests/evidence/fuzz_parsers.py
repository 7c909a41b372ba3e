"""Fuzz the parsers of text: python tests/evidence/fuzz_parsers.py -max_total_time=600

The first byte chooses canonical JSON, an agreement or trust anchors in YAML, or a declaration in canonical JSON. Anything
but an `InspectorateError` is a finding.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate", "yaml"]):
    from inspectorate.agreement import parse_agreement
    from inspectorate.canonical import canonical_bytes, parse_canonical
    from inspectorate.declaration import parse_declaration
    from inspectorate.errors import InputError, InspectorateError
    from inspectorate.keys import TrustAnchors, parse_yaml


def one_input(data: bytes) -> None:
    """Parse `data` as what its first byte says."""
    way, rest = data[:1], data[1:]
    with contextlib.suppress(InspectorateError):
        if way < b"\x40":
            assert canonical_bytes(parse_canonical(rest, where="fuzz")) == rest
        elif way < b"\x80":
            parse_agreement(rest, where="fuzz")
        elif way < b"\xc0":
            parse_declaration(rest, where="fuzz")
        else:
            TrustAnchors.parse(parse_yaml(rest, where="fuzz", bytes_max=1 << 20), where="fuzz", error=InputError)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
