"""Fuzz what the other side can send of cameras: python tests/custody/fuzz_cameras.py -max_total_time=300

The first byte chooses: the payload of a segment, an enrolment, a film (Matroska or MP4, under the bounds of the product). Anything
but an `InspectorateError`, and any picture of another size, is a finding.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.custody.cameras.enrolment import parse_enrolment, ready
    from inspectorate.mechanisms.custody.cameras.source import frames_of_stream
    from inspectorate.mechanisms.custody.cameras.written import parse_written, write


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    with contextlib.suppress(InspectorateError):
        if way < b"\x55":
            assert write(parse_written(rest, where="fuzz")) == rest
        elif way < b"\xaa":
            ready(parse_enrolment(rest, where="fuzz"), 2)
        else:
            for frame in itertools.islice(frames_of_stream(io.BytesIO(rest), rate=4.0, where="fuzz"), 50):
                assert frame.grey.shape == (180, 320)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
