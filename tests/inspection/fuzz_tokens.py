"""Fuzz what a prover sends of answers: python tests/inspection/fuzz_tokens.py -max_total_time=300

The first byte chooses: one proof, its base64, all proofs of an answer, a fingerprint, tokens, a configuration. Anything but an
`InspectorateError` is a finding; a proof that was read must be written as the same bytes, and can be compared.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

# Compiled kernels cannot be instrumented: they are imported before.
from inspectorate.mechanisms.inspection.tokens import kernels, philox

with atheris.instrument_imports(include=["inspectorate"]):
    import numpy as np

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.inspection.tokens import difr, toploc, worker
    from inspectorate.mechanisms.inspection.tokens.weights import parse_shape

SETTINGS = toploc.ProofSettings(topk=8, batching=4)
CHUNK = np.arange(16257, 16297, dtype=np.uint16)


def proof(data: bytes) -> None:
    found = toploc.read_proof(data, SETTINGS, where="fuzz")
    assert found is None or found.to_bytes() == data
    if found is not None:
        toploc.verify_proof(found, CHUNK, SETTINGS)


def text(data: bytes) -> None:
    words = data.decode("latin-1")
    found = toploc.read_text(words, SETTINGS, where="fuzz")
    assert found is None or found.to_text() == words


def proofs(data: bytes) -> None:
    assert len(toploc.read_proofs(data, SETTINGS, decoded=9, where="fuzz")) == 4


def fingerprint(data: bytes) -> None:
    settings = difr.ProjectionSettings(size=4)
    kept = difr.read_fingerprint(data, settings, tokens=3, where="fuzz")
    assert np.isfinite(difr.activation_scores(kept, np.ones((3, 8), np.float32), settings)).all()


def tokens(data: bytes) -> None:
    assert (worker.tokens_of(data, 64, where="fuzz") < 64).all()


def configuration(data: bytes) -> None:
    assert parse_shape(data, where="fuzz").vocab_size >= 2


COMPILED = (kernels, philox)
WAYS = (proof, text, proofs, fingerprint, tokens, configuration)


def one_input(data: bytes) -> None:
    with contextlib.suppress(InspectorateError):
        WAYS[data[0] % len(WAYS) if data else 0](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
