"""The records of a transcript.

    RunHeader        what stays the same for a whole run: code, stack, model, seeds
    Packet           one stretch of work, complete: when, how much, and its content by digest
    PacketList       what is committed to: of every packet when, how much, and a salted digest of the rest

Rules:

- The prover keeps headers, packets, salts and content. Only the list leaves, and of the packets only those that were drawn.
- A packet's digest is salted with 32 random bytes, so that nobody can try out what is in it.
- Packets of one run follow one another: none starts before the one before it ended. Time between them is idle, and counts as such.
- A training packet starts from the weights and state with which the one before it ended. The first starts from what the seed gives.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, model_validator

from inspectorate.canonical import Digest, Hex, Identifier, Record, digest_of
from inspectorate.evidence import WorkKind
from inspectorate.evidence.inspected import PACKETS_MAX
from inspectorate.quantities import NonNegative

SALT_BYTES = 32
HYPER_PARAMETERS_MAX = 256
BATCHES_MAX = 100_000
REQUESTS_MAX = 10_000
FORWARDS_MAX = 1_000_000

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _digits(value: object) -> object:
    """A number written in digits, as one; anything else as it is, for the type to refuse."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number of nanoseconds, in digits")


Nanoseconds = Annotated[
    int,
    BeforeValidator(_digits),
    Field(ge=0, lt=2**63),
    PlainSerializer(str, return_type=str, when_used="json"),
]
"""Since 1970. In JSON a string of digits: a JSON number is exact only below 2^53, which in nanoseconds was in April 1970."""


class Stack(Record):
    """Hardware and software as far as they decide the last bits of a result.

    Two runs of the same work on equal stacks may be compared bit by bit where `deterministic` is stated; on unequal ones only
    within a tolerance that was calibrated on such pairs. What must be fixed: arXiv 2606.00279.
    """

    hardware: ShortText = Field(description="model of the chip or processor, with its instruction set")
    threads: Annotated[int, Field(ge=1, le=100_000)] = 1
    versions: dict[Identifier, ShortText] = Field(max_length=64, description="of engine, libraries, driver, kernels")
    attention: ShortText | None = Field(default=None, description="attention backend")
    quantisation: ShortText | None = Field(
        default=None, description="scheme and kernel variant; none: weights as they are"
    )
    tensor_parallel: Annotated[int, Field(ge=1, le=100_000)] = 1
    deterministic: bool = Field(description="whether the stack was set to give the same bits for the same work")


class TrainingHeader(Record):
    """A training run."""

    work: Literal[WorkKind.TRAINING]
    run: Identifier
    code: Digest
    stack: Stack
    hyper_parameters: dict[Identifier, str | int | float | bool] = Field(max_length=HYPER_PARAMETERS_MAX)
    optimiser: ShortText
    seed: Hex = Field(
        description="s = H(H(d1) .. H(da) s_rand) of arXiv 2307.00682: gives first weights and data order"
    )
    seed_random: Hex = Field(description="the random part of the seed")
    data: Digest = Field(description="of the list of digests of data items, in the order of their numbers")
    weights_first: Digest = Field(
        description="of the weights that the seed gives, or of the declared model that is trained on"
    )
    parent: Digest | None = Field(
        default=None, description="the declared model that is trained on; none: from the seed"
    )


class InferenceHeader(Record):
    """A stretch of serving one model."""

    work: Literal[WorkKind.INFERENCE]
    run: Identifier
    code: Digest
    stack: Stack
    model: Digest = Field(description="of the weights, as `transcripts.hashing` defines it")
    tokenizer: Digest | None = None
    system_prompt: Digest | None = Field(default=None, description="of the tokens that stand before every prompt")
    sampling: dict[Identifier, str | int | float | bool] = Field(
        max_length=64, description="temperature, top_k, top_p, the rule by which noise follows from the seed"
    )
    proofs: dict[Identifier, str | int | float | bool] = Field(
        default={}, max_length=64, description="which proofs of activations are kept, and their parameters"
    )


RunHeader = TrainingHeader | InferenceHeader


class Checkpoint(Record):
    """The state of a training run between two packets, by digest."""

    weights: Digest
    optimiser: Digest
    generator: Digest | None = Field(default=None, description="of the state of the random generators; none: not used")


class TrainingContent(Record):
    """What a training packet did: `steps` optimiser steps from one checkpoint to the next."""

    work: Literal[WorkKind.TRAINING]
    first_step: Annotated[int, Field(ge=0, lt=10**12)]
    steps: Annotated[int, Field(ge=1, le=BATCHES_MAX)]
    before: Checkpoint
    after: Checkpoint
    batches: tuple[Digest, ...] = Field(min_length=1, max_length=BATCHES_MAX, description="of the batch of every step")
    losses: tuple[float, ...] = Field(default=(), max_length=BATCHES_MAX)
    tokens: Annotated[int, Field(ge=0, lt=10**18)] = 0


class Request(Record):
    """One request and its answer, by digest, and how it was batched."""

    prompt: Digest = Field(description="of the prompt's tokens, little-endian 32-bit numbers")
    answer: Digest
    prompt_tokens: Annotated[int, Field(ge=1, lt=2**31)]
    answer_tokens: Annotated[int, Field(ge=0, lt=2**31)]
    seed: Annotated[int, Field(ge=0, lt=2**53)]
    batch_sizes: tuple[tuple[int, int], ...] = Field(
        max_length=FORWARDS_MAX, description="(batch size, how many forward passes in a row), in order"
    )
    proof: Digest | None = Field(default=None, description="of the proof of activations that was kept")


class InferenceContent(Record):
    """What an inference packet did."""

    work: Literal[WorkKind.INFERENCE]
    requests: tuple[Request, ...] = Field(max_length=REQUESTS_MAX)


class Packet(Record):
    """One stretch of work, complete; `content` is opened only if the packet is drawn."""

    number: Annotated[int, Field(ge=0, lt=PACKETS_MAX)]
    start_ns: Nanoseconds
    end_ns: Nanoseconds
    flop: NonNegative = Field(description="that the prover says it took")
    salt: Hex
    content: Annotated[TrainingContent | InferenceContent, Field(discriminator="work")]

    @property
    def leaf(self) -> str:
        """The salted digest that stands in the list."""
        return digest_of(self.canonical_bytes()).removeprefix("sha256:")


class PacketList(Record):
    """What is committed to. All columns are of one length; row i is packet `first + i` of the run."""

    run: Identifier
    sequence: Annotated[int, Field(ge=0)]
    first: Annotated[int, Field(ge=0, lt=PACKETS_MAX)] = Field(
        default=0, description="number of the first packet: how many were committed to before, in this run"
    )
    before: Hex | None = Field(
        default=None,
        description="the leaf of the packet before the first, in the list before; none: the run begins here",
    )
    start_ns: tuple[Nanoseconds, ...] = Field(max_length=PACKETS_MAX)
    end_ns: tuple[Nanoseconds, ...] = Field(max_length=PACKETS_MAX)
    flop: tuple[NonNegative, ...] = Field(max_length=PACKETS_MAX)
    leaves: tuple[Hex, ...] = Field(max_length=PACKETS_MAX)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (self.first == 0) != (self.before is None):
            raise ValueError("the first list of a run, and only that, has no packet before it")
        if len({len(self.start_ns), len(self.end_ns), len(self.flop), len(self.leaves)}) != 1:
            raise ValueError("the columns differ in length")
        if any(end <= start for start, end in zip(self.start_ns, self.end_ns, strict=True)):
            raise ValueError("a packet ends before it starts")
        if any(after < before for before, after in zip(self.end_ns[:-1], self.start_ns[1:], strict=True)):
            raise ValueError("a packet starts before the one before it ended")
        return self
