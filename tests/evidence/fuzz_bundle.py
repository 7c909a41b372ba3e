"""Fuzz the opening of bundles: python tests/evidence/fuzz_bundle.py -max_total_time=600

The input is an archive, or an edit of a good one. Anything but an `InspectorateError` is a finding, and so is an altered
archive that is accepted.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from evidence_making import ANCHORS, smallest_bundle

    from inspectorate.errors import InspectorateError
    from inspectorate.evidence import Bundle, write_bundle

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-bundle-"))
write_bundle(smallest_bundle(), FOLDER / "good.tar")
GOOD = (FOLDER / "good.tar").read_bytes()


def one_input(data: bytes) -> None:
    """Open one archive made of `data`."""
    archive = data[1:]
    if data[:1] >= b"\x40" and len(data) > 4:
        at = int.from_bytes(data[1:3], "big") % len(GOOD)
        archive = GOOD[:at] + data[4:] + GOOD[at + data[3] :]
    path = FOLDER / "one.tar"
    path.write_bytes(archive)
    try:
        Bundle.open(path, anchors=ANCHORS)
    except InspectorateError:
        return
    assert archive == GOOD, "an altered archive was accepted"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
