"""What a training program is: the description by which a verifier runs a packet again.

Two kinds:

- `decoder`: a decoder language model trained with AdamW, as data. No code of the prover is run. Its first weights follow from the
  seed as `transcripts.seeds` says, from one stream for each tensor, `weights/NAME`: the same bits on every processor.
- `module`: one Python file of the declared code, with two functions:

      build(header) -> (model, optimiser)          header: the run's header as plain data
      step(model, optimiser, batch, number) -> loss   batch: tensors by name; number: of the step, from 0

  `build` may give a scheduler of rates as a third thing; `hyper_parameters.rows` of the header says how many data items a batch
  holds. First weights take their random numbers from the seed (`transcripts.torch_seeds`). A step draws from torch's generator as
  the checkpoint before left it; without one it is seeded by the committed seed and `number`. The file is run only in a process that
  is closed in, and only if it has the digest that the program names.

The `code` of a header is the digest of the program: of the canonical form of a `decoder`; of a `module` the `code` of its snapshot,
as claims, enrolments and reviews of code name it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from inspectorate.canonical import Digest, Record, digest_of, first_fault, parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.rerun.reference import PARAMETERS_MAX, PROGRAM_BYTES_MAX
from inspectorate.mechanisms.inspection.transcripts.seeds import normal, stream
from inspectorate.quantities import NonNegative, Positive

Count = Annotated[int, Field(ge=1, le=1 << 20)]
Numbers = NDArray[np.float32]


class DecoderProgram(Record):
    """A decoder language model with learned places, norms before each part, and AdamW."""

    kind: Literal["decoder"] = "decoder"
    vocabulary: Count
    width: Count
    layers: Annotated[int, Field(ge=1, le=1024)]
    heads: Annotated[int, Field(ge=1, le=1024)]
    context: Count = Field(description="tokens of one sequence that are predicted")
    rows: Count = Field(description="sequences of one batch")
    split: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=1, description="into how many parts a batch is cut; their gradients are added"
    )
    learning_rate: Positive = 1e-3
    warm_steps: Annotated[int, Field(ge=0, le=10**9)] = 0
    last_step: Annotated[int, Field(ge=0, le=10**12)] = Field(
        default=0, description="where a cosine schedule ends; 0: the rate stays"
    )
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.01
    clip: Positive | None = Field(default=None, description="of the norm of the gradient")
    bfloat16: bool = Field(default=False, description="whether products are taken in bfloat16")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.width % self.heads:
            raise ValueError("width must be a multiple of heads")
        if self.rows % self.split:
            raise ValueError("rows must be a multiple of split")
        if self.parameters > PARAMETERS_MAX:
            raise ValueError(f"has more than {PARAMETERS_MAX:,} parameters")
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())

    @property
    def parameters(self) -> int:
        return sum(math.prod(shape) for _, shape, _ in self.tensors())

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...], float]]:
        """Name, shape and standard deviation at the start of every parameter; 0: ones, for the scale of a norm."""
        width = self.width
        yield "symbol", (self.vocabulary, width), 0.02
        yield "place", (self.context, width), 0.02
        deep = 0.02 / math.sqrt(2 * self.layers)
        for layer in range(self.layers):
            yield f"block_{layer}_first", (width,), 0.0
            yield f"block_{layer}_joint", (3 * width, width), 0.02
            yield f"block_{layer}_out", (width, width), deep
            yield f"block_{layer}_second", (width,), 0.0
            yield f"block_{layer}_wide", (4 * width, width), 0.02
            yield f"block_{layer}_narrow", (width, 4 * width), deep
        yield "norm", (width,), 0.0
        yield "head", (self.vocabulary, width), 0.02

    def rate(self, number: int) -> float:
        """The learning rate of step `number`, from 0."""
        if number < self.warm_steps:
            return self.learning_rate * (number + 1) / self.warm_steps
        if not self.last_step:
            return self.learning_rate
        done = min((number - self.warm_steps) / max(self.last_step - self.warm_steps, 1), 1.0)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))

    def first_weights(self, seed: str) -> dict[str, Numbers]:
        """The weights that a committed seed gives, bit by bit the same everywhere."""
        found = {}
        for name, shape, deviation in self.tensors():
            if not deviation:
                found[name] = np.ones(shape, dtype=np.float32)
                continue
            drawn = normal(stream(seed, f"weights/{name}"), math.prod(shape))
            found[name] = (drawn * deviation).astype(np.float32).reshape(shape)
        return found


class ModuleProgram(Record):
    """One Python file of a snapshot of code that the header names by digest."""

    kind: Literal["module"] = "module"
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,500}\.py$")]
    snapshot: Digest = Field(description="`code` of the snapshot, as `audit code` prints it")
    source: Digest = Field(description="of the file itself")

    @property
    def digest(self) -> str:
        return self.snapshot


Program = DecoderProgram | ModuleProgram
_PROGRAM: TypeAdapter[Program] = TypeAdapter(Annotated[Program, Field(discriminator="kind")])


def parse_program(data: bytes, *, where: str) -> Program:
    """A program from its file. Raises `EvidenceError`."""
    if len(data) > PROGRAM_BYTES_MAX:
        raise EvidenceError(f"has more than {PROGRAM_BYTES_MAX:,} bytes", where=where)
    try:
        return _PROGRAM.validate_python(parse_json(data, where=where))
    except ValidationError as fault:
        raise EvidenceError(f"is no program: {first_fault(fault)}", where=where) from None


def random_seed(seed: str, number: int) -> int:
    """The seed of torch's generator for a step, from the committed seed."""
    what = b"step %d" % number
    return (
        int.from_bytes(hashlib.sha256(b"inspectorate random\0" + seed.encode() + b"\0" + what).digest()[:8], "little")
        >> 1
    )
