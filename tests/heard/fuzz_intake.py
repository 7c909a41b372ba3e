"""Fuzz what the other side can send: python tests/heard/fuzz_intake.py -max_total_time=300

The first byte chooses the parser: a code phrase, the stream of a report (in pieces), a part, a receipt, a closing, a header, a
board, entries of a log, a sealed report. Anything but an `InspectorateError` is a finding. Signed things are signed by the key
that must have signed them, so that what is behind the signature is reached.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from intake_scene import offices_of

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.whistleblowing.intake.batch import BatchHeader
    from inspectorate.mechanisms.whistleblowing.intake.boards import read_board
    from inspectorate.mechanisms.whistleblowing.intake.closing import entries_of, read_closing
    from inspectorate.mechanisms.whistleblowing.intake.receipts import Receipt
    from inspectorate.mechanisms.whistleblowing.intake.signed import put_together
    from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed
    from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
    from inspectorate.mechanisms.whistleblowing.sealing.stream import Reader, read_part

from inspectorate.evidence.dsse import pae
from inspectorate.keys import SigningKey

LISTED, HELD = offices_of()
KEY = SigningKey(b"\x07" * 32)
FOLDER = Path(tempfile.mkdtemp())


def signed(data: bytes, kind: str, key: SigningKey) -> bytes:
    return put_together(data, key.sign(pae("application/vnd.inspectorate.intake." + kind, data)), kind)


def stream(data: bytes) -> None:
    reader, step = Reader(where="fuzz"), data[0] + 1 if data else 1
    for start in range(1, len(data), step):
        for _ in reader.feed(data[start : start + step]):
            pass


def sealed(data: bytes) -> None:
    path = FOLDER / "sealed"
    path.write_bytes(data)
    Sealed.of_source(path, LISTED).file.close()


PARSERS = (
    lambda data: Phrase.parse(data.decode("utf-8", errors="replace")),
    stream,
    lambda data: read_part(data + bytes(64), where="fuzz"),
    lambda data: Receipt.of(data.decode("latin-1"), where="fuzz"),
    lambda data: Receipt(signed(data, "receipt", KEY)).given(KEY.public, where="fuzz"),
    lambda data: Receipt(data).given(KEY.public, where="fuzz"),
    lambda data: read_closing(signed(data, "closing", KEY), KEY.public, where="fuzz"),
    lambda data: BatchHeader.of(data, where="fuzz"),
    lambda data: read_board(signed(data, "board", HELD[0].key) + b"\n" + data, "house", LISTED, where="fuzz"),
    lambda data: entries_of("house", data.split(b"\n")),
    sealed,
)


def one_input(data: bytes) -> None:
    """Parse `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    with contextlib.suppress(InspectorateError):
        PARSERS[way[0] % len(PARSERS)](rest)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
