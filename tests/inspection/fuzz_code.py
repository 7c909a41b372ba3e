"""Fuzz what a declared snapshot reaches: python tests/inspection/fuzz_code.py -max_total_time=600 [CORPUS]

The first byte chooses: source text, an archive, a notebook or another file. Anything raised but `EvidenceError` is a finding.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["inspectorate.mechanisms.inspection.code"]):
    import code_corpus

    from inspectorate.errors import EvidenceError
    from inspectorate.mechanisms.inspection.code.archives import read_snapshot
    from inspectorate.mechanisms.inspection.code.review import review_code

PROGRAMS = [program.files[code_corpus.ENTRY].encode() for program in code_corpus.programs("training")]
NAMES = ("a.ipynb", "a.yaml", "a.sh", "a.pth", "a.txt", "a.bin", "Makefile")


def one_input(data: bytes) -> None:
    """One file of a snapshot, or one archive, made of `data`."""
    if len(data) < 3:
        return
    way, pick, rest = data[0], data[1], data[2:]
    with contextlib.suppress(EvidenceError):
        if way < 128:
            base = PROGRAMS[pick % len(PROGRAMS)]
            at = rest[0] * len(base) // 256
            review({"main.py": b"x = 1\n", "a.py": base[:at] + rest[1:] + base[at + pick % 16 :]})
        elif way < 192:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "a"
                path.write_bytes((b"PK\x03\x04" if pick & 1 else b"") + rest)
                read_snapshot(path)
        else:
            review({"main.py": b"x = 1\n", NAMES[pick % len(NAMES)]: rest})


def review(files: dict[str, bytes]) -> None:
    review_code(code_corpus.snapshot_of_bytes(files), "main.py")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
