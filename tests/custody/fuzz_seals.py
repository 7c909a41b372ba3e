"""Fuzz what a photograph, a calibration or an outline can be: python tests/custody/fuzz_seals.py -max_total_time=300

The first byte chooses: the header of a file, a header and then its decoder, a calibration, an outline. Anything but an
`InspectorateError` is a finding; so is a picture of another size than its header says.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.canonical import parse_json
    from inspectorate.errors import InputError, InspectorateError
    from inspectorate.mechanisms.custody.seals.acts import Marked
    from inspectorate.mechanisms.custody.seals.calibration import parse_calibration
    from inspectorate.mechanisms.custody.seals.header import read_header
    from inspectorate.mechanisms.custody.seals.photo import decode

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    with contextlib.suppress(InspectorateError):
        match way[0] % 6:
            case 0:
                read_header(rest, where="fuzz")
            case 1:
                read_header(PNG + rest, where="fuzz")
            case 2:
                read_header(JPEG + rest, where="fuzz")
            case 3:
                decode(JPEG + rest, where="fuzz")
            case 4:
                parse_calibration(rest, where="fuzz")
            case 5:
                marked = Marked.parse(parse_json(rest, where="fuzz"), where="fuzz", error=InputError)
                outline = marked.outline((800, 600))
                assert outline is None or outline.shape == (4, 2)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
