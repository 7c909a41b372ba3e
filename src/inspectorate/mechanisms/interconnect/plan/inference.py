"""What serving a model needs of a pod's link, each way: the lower side of every limit.

Text is small: a token is 17 bits. Whatever else a model takes in or gives out is not, and says so here. Rates per chip are
those of the report where it gives them and modelling choices elsewhere; a negotiator puts in what the operator declares.

Two warnings belong to every number of this module:

- The need grows as the model shrinks: a pod of one rate makes R / (2 P) tokens a second. A limit that fits a large model
  strangles a small one, and a prover who says that it serves small models asks for a larger limit (`claimable`).
- A claim of throughput is not throughput. A limit set by what is claimed leaves to training what is not used
  (the "batch games" of arXiv 2506.15867, A3).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import arithmetic
from inspectorate.quantities import NonNegative, Positive

REPORT_PREFILL_TOKENS_PER_S_EACH = 5_000 / 16
REPORT_DECODE_TOKENS_PER_S_EACH = 1_000 / 16
"""Tokens per second and H100, Llama 3.1 405B (arXiv 2506.15867, A3)."""
TOKEN_BITS = 17.0
COMPRESSED_TOKEN_BITS = 8.0
"""English text at about four characters a token and two bits a character. Modelling choice."""
AUDIT_BYTES_PER_TOKEN = 258 / 32
"""Proofs for audits of inference, if each token is to be checkable (TOPLOC: 258 bytes for 32 tokens, arXiv 2501.16007)."""


class Modality(StrEnum):
    TEXT = "text"
    COMPRESSED_TEXT = "compressed text"
    LONG_CONTEXT = "long context"
    AUDITED_TEXT = "text with audit proofs"
    IMAGES = "images"
    SPEECH = "speech"
    VIDEO = "video"


class Serving(Record):
    """What one pod needs while it serves, in bytes per second."""

    modality: Modality
    received_bytes_per_s: NonNegative = Field(description="into the pod: prompts")
    sent_bytes_per_s: NonNegative = Field(description="out of the pod: answers")
    basis: Text

    @property
    def bytes_per_s(self) -> float:
        """The larger of both directions: what one limit for both would have to be."""
        return max(self.received_bytes_per_s, self.sent_bytes_per_s)


class _Media(Record):
    """A kind of output other than text: bytes of one piece, and pieces per second and chip."""

    piece_bytes: Positive
    pieces_per_s_each: Positive
    basis: Text


MEDIA = {
    Modality.IMAGES: _Media(
        piece_bytes=250e3,
        pieces_per_s_each=0.5,
        basis="one megapixel at two bits a pixel; one image in two seconds and chip",
    ),
    Modality.SPEECH: _Media(
        piece_bytes=3e3, pieces_per_s_each=50.0, basis="24 kbit/s; 50 voices in real time per chip"
    ),
    Modality.VIDEO: _Media(
        piece_bytes=250e3, pieces_per_s_each=0.05, basis="2 Mbit/s; a second of video in twenty seconds and chip"
    ),
}
"""Modelling choices, for the order of magnitude: none of them is a measurement."""


def serving(modality: Modality, chips: int, *, scale: float = 1.0) -> Serving:
    """What a pod of so many chips needs; `scale` multiplies the rates of the report's model and chip."""
    prefill = REPORT_PREFILL_TOKENS_PER_S_EACH * chips * scale
    decode = REPORT_DECODE_TOKENS_PER_S_EACH * chips * scale
    bits = COMPRESSED_TOKEN_BITS if modality is Modality.COMPRESSED_TEXT else TOKEN_BITS
    into = arithmetic.token_bytes_per_s(prefill, bits)
    out = arithmetic.token_bytes_per_s(decode, bits)
    basis = f"{prefill:,.0f} tokens/s in or {decode:,.0f} tokens/s out, {bits:g} bits each"
    if modality is Modality.LONG_CONTEXT:
        out, basis = out / 100, f"{prefill:,.0f} tokens/s in, a hundredth of the answers"
    elif modality is Modality.AUDITED_TEXT:
        out += decode * AUDIT_BYTES_PER_TOKEN
        basis += ", and 8 bytes of proof for each answered"
    elif modality in MEDIA:
        media = MEDIA[modality]
        out = media.piece_bytes * media.pieces_per_s_each * chips * scale
        basis = media.basis
    return Serving(modality=modality, received_bytes_per_s=into, sent_bytes_per_s=out, basis=basis)


def claimable(pod_flop_per_s: float, parameters: float) -> float:
    """Bytes per second that a pod could say it needs to read prompts for a model of this size: R / (2 P) tokens."""
    return arithmetic.token_bytes_per_s(pod_flop_per_s / (2 * parameters), TOKEN_BITS)
