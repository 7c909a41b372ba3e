"""A trial: one job across two pods (or a pod and its clients) under one limit, as plain data.

A trial says everything that the time of a step follows from, except how fast the machine is: what is computed, what
crosses the link at each synchronisation, and how many tokens lie between two of them. How fast the machine is comes
from the calibration, measured in the same session without network. `trial_prediction` puts the two together;
`trial_run` measures.

What one *step* is: a step of data-parallel or pipeline training, a round (inner steps and one synchronisation) of
low-communication training, a request answered to its last token.

Rules:

- Bytes are per step and per direction; `from_pod` is what leaves the first pod, `to_pod` what enters it.
- Payload bytes follow from the trial alone, by the formulas of `payload`.
- Frames on the wire cost what `wire` says: see there for the acknowledgements.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record
from inspectorate.lab import quantise, trial_sparse
from inspectorate.lab.trial_frames import MESSAGE_HEADER_BYTES, TOKEN_HEADER_BYTES, TOKENS_MAX
from inspectorate.lab.trial_shape import Shape
from inspectorate.quantities import NonNegative, Positive

SEGMENT_BYTES = 1448
"""TCP payload of a full frame, with the time stamp option."""
FRAME_OVERHEAD_BYTES = 66
"""Headers of Ethernet (14), IPv4 (20) and TCP with time stamps (32); also the size of an acknowledgement."""
DELAYED_ACK_S = 0.04
"""Linux acknowledges every second segment, or a single one after 40 ms (TCP_DELACK_MIN, net/tcp.h)."""
PACED_SHARE = 0.98
"""A paced sender keeps its average at this share of the limit, so that its frames are never dropped."""


class Method(StrEnum):
    """What the pods do."""

    DATA_PARALLEL = "data-parallel"
    LOW_COMMUNICATION = "low-communication"
    PIPELINE = "pipeline"
    INFERENCE = "inference"


class Compression(StrEnum):
    """How the numbers of a synchronisation are packed."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    SPARSE = "sparse"


ALLOWED: dict[Method, frozenset[Compression]] = {
    Method.DATA_PARALLEL: frozenset({Compression.FP32}),
    Method.LOW_COMMUNICATION: frozenset({Compression.FP32, Compression.INT8, Compression.SPARSE}),
    Method.PIPELINE: frozenset({Compression.FP16, Compression.INT8}),
    Method.INFERENCE: frozenset({Compression.FP32}),
}
"""Data-parallel training sums what gloo can sum; inference sends tokens, which are not packed."""


class Bytes(Record):
    """Bytes of one step, by direction as seen from the first pod."""

    from_pod: NonNegative
    to_pod: NonNegative


class Trial(Record):
    """One job under one limit."""

    name: Identifier
    method: Method
    shape: Shape
    batch: int = Field(default=1, ge=1, le=1024, description="sequences per pod and inner step, or per micro-batch")
    inner_steps: int = Field(default=1, ge=1, le=10_000, description="steps between two synchronisations")
    micro_batches: int = Field(default=1, ge=1, le=256, description="pipeline: per step")
    compression: Compression = Compression.FP32
    overlapped: bool = Field(default=False, description="low communication: the next round is computed while sending")
    paced: bool = Field(default=False, description="low communication: the sender keeps just below the limit")
    limit_bytes_per_s: Positive | None = Field(default=None, description="each way, of each pod; none: unlimited")
    steps: int = Field(ge=2, le=10_000, description="steps measured under the limit")
    prompt_tokens: int = Field(default=64, ge=1, le=4096, description="inference: per request")
    answer_tokens: int = Field(default=64, ge=1, le=4096, description="inference: per request")
    tokens_per_frame: int = Field(default=16, ge=1, le=255, description="inference: sent at once")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.compression not in ALLOWED[self.method]:
            allowed = ", ".join(sorted(ALLOWED[self.method]))
            raise ValueError(f"{self.method} cannot be packed as {self.compression}, only as {allowed}")
        low = self.method is Method.LOW_COMMUNICATION
        if (self.overlapped or self.paced or self.inner_steps > 1) and not low:
            raise ValueError(f"{self.method} has no inner steps, overlap or pacing")
        if self.paced and self.limit_bytes_per_s is None:
            raise ValueError("a sender can be paced only below a limit")
        if self.micro_batches > 1 and self.method is not Method.PIPELINE:
            raise ValueError(f"{self.method} has no micro-batches")
        return self

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one pod (pipeline: both together) trains on in a step; tokens of an answer."""
        if self.method is Method.INFERENCE:
            return self.answer_tokens
        return self.batch * self.shape.context * self.inner_steps * self.micro_batches

    @property
    def tokens_per_parameter(self) -> float:
        """Tokens between two synchronisations of a pod, for each parameter: what a limit is in proportion to."""
        return self.tokens_per_step / self.shape.parameters


def packed_bytes(compression: Compression, count: int) -> int:
    """The bytes of `count` numbers. Each packing states its own in its module."""
    match compression:
        case Compression.FP32:
            return 4 * count
        case Compression.FP16:
            return 2 * count
        case Compression.INT8:
            return quantise.packed_bytes(count)
        case Compression.SPARSE:
            return trial_sparse.packed_bytes(count)


def message_bytes(trial: Trial) -> int:
    """The payload of one message, header included: a gradient, a pseudo-gradient, activations, a frame of tokens."""
    match trial.method:
        case Method.DATA_PARALLEL:
            # An all-reduce between two: each sends half of its gradient, then half of the sum.
            return packed_bytes(trial.compression, trial.shape.parameters)
        case Method.LOW_COMMUNICATION:
            return MESSAGE_HEADER_BYTES + packed_bytes(trial.compression, trial.shape.parameters)
        case Method.PIPELINE:
            activations = trial.batch * trial.shape.context * trial.shape.width
            return MESSAGE_HEADER_BYTES + packed_bytes(trial.compression, activations)
        case Method.INFERENCE:
            return TOKEN_HEADER_BYTES + trial.tokens_per_frame


def payload(trial: Trial) -> Bytes:
    """What programs hand to TCP in one step."""
    if trial.method is Method.INFERENCE:
        frames = -(-trial.answer_tokens // trial.tokens_per_frame)
        return Bytes(
            from_pod=trial.answer_tokens + TOKEN_HEADER_BYTES * frames,
            to_pod=trial.prompt_tokens + TOKEN_HEADER_BYTES * -(-trial.prompt_tokens // TOKENS_MAX),
        )
    each = message_bytes(trial) * (trial.micro_batches if trial.method is Method.PIPELINE else 1)
    return Bytes(from_pod=each, to_pod=each)


def acknowledgements_per_segment(limit_bytes_per_s: float | None) -> float:
    """One for every two segments, unless they come so far apart that the timer of the receiver runs out between."""
    if limit_bytes_per_s is None or (SEGMENT_BYTES + FRAME_OVERHEAD_BYTES) / limit_bytes_per_s < DELAYED_ACK_S:
        return 0.5
    return 1.0


def wire(trial: Trial) -> Bytes:
    """What interfaces count in one step: payload, a header for each segment, and the peer's acknowledgements."""
    sent = payload(trial)
    if trial.method is Method.INFERENCE:
        # Each frame of an answer goes out by itself and is acknowledged by itself, as nothing goes the other way.
        # The prompt is acknowledged with the first frame or alone, by when that comes: counted as alone.
        frames = -(-trial.answer_tokens // trial.tokens_per_frame)
        prompts = -(-int(sent.to_pod) // SEGMENT_BYTES)
        each = FRAME_OVERHEAD_BYTES * (frames + prompts)
        return Bytes(from_pod=sent.from_pod + each, to_pod=sent.to_pod + each)
    share = acknowledgements_per_segment(trial.limit_bytes_per_s)
    header = FRAME_OVERHEAD_BYTES / SEGMENT_BYTES

    def counted(own: float, others: float) -> float:
        return own * (1 + header) + others * share * header

    return Bytes(from_pod=counted(sent.from_pod, sent.to_pod), to_pod=counted(sent.to_pod, sent.from_pod))
