"""Fuzz what a prover gives to be run again: python tests/inspection/fuzz_rerun.py -max_total_time=600

The first byte chooses a program, or a file of tensors as the judge reads it (before, claimed, batch). Anything but an
`InspectorateError` is a finding; so is a file that passes for what was committed to and is not.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    import numpy as np

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.inspection.rerun.compare import compare_states, compare_weights
    from inspectorate.mechanisms.inspection.rerun.program import parse_program
    from inspectorate.mechanisms.inspection.rerun.tensors import item_digests, raw, read_tensors
    from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors

OURS = {"a": raw(np.ones((2, 3), np.float32)), "scalars": raw(np.zeros(4, np.uint8))}
FILE = Path(tempfile.mkdtemp()) / "file"


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[:1], data[1:]
    with contextlib.suppress(InspectorateError):
        if way < b"\x40":
            program = parse_program(rest, where="fuzz")
            assert parse_program(program.canonical_bytes(), where="fuzz") == program
            return
        FILE.write_bytes(rest)
        found = read_tensors(FILE)
        assert digest_of_tensors(found) == digest_of_tensors(read_tensors(FILE))
        if way < b"\x80":
            assert compare_weights(OURS, found, OURS)[0] >= 0
        elif way < b"\xc0":
            assert compare_states(found, found, found) == 0
        else:
            assert item_digests(found)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
