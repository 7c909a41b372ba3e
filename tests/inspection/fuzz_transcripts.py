"""Fuzz what the other side writes in transcripts: python tests/inspection/fuzz_transcripts.py -max_total_time=600

The first byte chooses the head of a safetensors file, a header, a packet, a list, a bundle of model signing, a request or an answer
of a server. Anything but an `InspectorateError` is a finding, and so is a record that does not come back as it was read.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.canonical import parse_canonical
    from inspectorate.errors import EvidenceError, InspectorateError
    from inspectorate.mechanisms.inspection.transcripts.completions import AnswerReader, read_request
    from inspectorate.mechanisms.inspection.transcripts.folder import parse_header, parse_packet
    from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors, require_finite
    from inspectorate.mechanisms.inspection.transcripts.model_signing import parse_bundle, parse_statement
    from inspectorate.mechanisms.inspection.transcripts.tensor_files import parse_tensors
    from inspectorate.mechanisms.inspection.transcripts.types import PacketList


def one_input(data: bytes) -> None:
    """Parse `data` as what its first byte says."""
    way, rest = data[:1], data[1:]
    with contextlib.suppress(InspectorateError):
        if way < b"\x40":
            tensors = parse_tensors(memoryview(rest), where="fuzz")
            digest_of_tensors(tensors)
            require_finite(tensors, where="fuzz")
        elif way < b"\x58":
            assert parse_header(rest, where="fuzz").canonical_bytes()
        elif way < b"\x70":
            assert len(parse_packet(rest, where="fuzz").leaf) == 64
        elif way < b"\x88":
            value = parse_canonical(rest, where="fuzz")
            listed = PacketList.parse(value, where="fuzz", error=EvidenceError)
            again = parse_canonical(listed.canonical_bytes(), where="fuzz")
            assert PacketList.parse(again, where="fuzz", error=EvidenceError) == listed
        elif way < b"\xa0":
            parse_bundle(rest, where="fuzz")
        elif way < b"\xb8":
            parse_statement(rest, where="fuzz")
        elif way < b"\xd0":
            read_request(rest)
        else:
            reader = AnswerReader(streamed=way < b"\xe8")
            for part in rest.split(b"\xff"):
                reader.feed(part)
            reader.end()


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
