"""Fuzz what reads checkpoints and states: python tests/guarantee/fuzz_outlet.py -max_total_time=600

The first byte chooses the reader. A checkpoint that is read must be written back to the same bytes; anything but `EvidenceError`
is a finding. A state is sealed with the right key first, so that what is behind the HMAC is reached.
"""

from __future__ import annotations

import contextlib
import hmac
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from guard_store_files import KEY, CountingDevice, opened
    from outlet_making import checkpoint

    from inspectorate.errors import EvidenceError
    from inspectorate.mechanisms.guarantee.outlet.codec import decode, encode

GOOD = encode(checkpoint())
FOLDER = Path(tempfile.mkdtemp())


def one_input(data: bytes) -> None:
    """Read one checkpoint or one state made of `data`."""
    way, rest = data[:1], data[1:]
    if way < b"\x40":
        read(rest)
    elif way < b"\xc0":
        at = int.from_bytes(rest[:2]) % len(GOOD)
        read(GOOD[:at] + rest[2:] + GOOD[at + max(len(rest) - 2, 0) :])
    else:
        (FOLDER / "state").write_bytes(rest + hmac.digest(KEY, rest, "sha256"))
        store = opened(FOLDER, CountingDevice(1))
        store.load()
        store.close()


def read(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        assert encode(decode(data, where="fuzz")) == data


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
