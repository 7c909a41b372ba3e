"""The declared model: a folder with `config.json` and safetensors, as decoders of the Llama kind are published.

1. The configuration is read within a limit; what it asks for beyond a plain Llama decoder is refused, never ignored.
2. The tensors are read by `transcripts.tensor_files`: safetensors only, no code in them.
3. Their digest must be the one in the header of the run (`transcripts.hashing`), where one is given.
4. Names and shapes are exactly those that the configuration asks for, and every number is finite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError, model_validator

from inspectorate.canonical import Record, first_fault, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.inspection.tokens.reference import (
    CONFIG_BYTES_MAX,
    FILES_MAX,
    HEADS_MAX,
    LAYERS_MAX,
    VOCABULARY_MAX,
    WEIGHTS_BYTES_MAX,
    WIDTH_MAX,
)
from inspectorate.mechanisms.inspection.transcripts.hashing import (
    RawTensor,
    digest_of_tensors,
    joined,
    require_finite,
)
from inspectorate.mechanisms.inspection.transcripts.tensor_files import open_tensors

F32 = NDArray[np.float32]
Width = Annotated[int, Field(ge=1, le=WIDTH_MAX)]

_FORMATS = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PLAIN: Mapping[str, Any] = {
    "model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "rope_scaling": None,
    "pretraining_tp": 1,
}  # fmt: skip
"""What a configuration may say beside its sizes: anything else changes what is computed, and is not known here."""


class DecoderShape(Record):
    """Sizes of a decoder, by the names of `config.json`; fields that do not bear on the evaluation are left aside."""

    model_config = ConfigDict(extra="ignore")

    vocab_size: Annotated[int, Field(ge=2, le=VOCABULARY_MAX)]
    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Annotated[int, Field(ge=1, le=LAYERS_MAX)]
    num_attention_heads: Annotated[int, Field(ge=1, le=HEADS_MAX)]
    num_key_value_heads: Annotated[int, Field(ge=1, le=HEADS_MAX)]
    max_position_embeddings: Annotated[int, Field(ge=1, le=1 << 24)]
    rms_norm_eps: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    rope_theta: Annotated[float, Field(gt=1, lt=1e12)] = 10_000.0
    tie_word_embeddings: bool = False
    head_dim: Annotated[int, Field(ge=2, le=4096)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads or self.head % 2:
            raise ValueError("heads do not divide: query heads by key heads, or a head into halves")
        return self

    @property
    def head(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every tensor."""
        width, head = self.hidden_size, self.head
        queries, keys = self.num_attention_heads * head, self.num_key_value_heads * head
        yield "model.embed_tokens.weight", (self.vocab_size, width)
        for layer in range(self.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            yield prefix + "input_layernorm.weight", (width,)
            yield prefix + "self_attn.q_proj.weight", (queries, width)
            yield prefix + "self_attn.k_proj.weight", (keys, width)
            yield prefix + "self_attn.v_proj.weight", (keys, width)
            yield prefix + "self_attn.o_proj.weight", (width, queries)
            yield prefix + "post_attention_layernorm.weight", (width,)
            yield prefix + "mlp.gate_proj.weight", (self.intermediate_size, width)
            yield prefix + "mlp.up_proj.weight", (self.intermediate_size, width)
            yield prefix + "mlp.down_proj.weight", (width, self.intermediate_size)
        yield "model.norm.weight", (width,)
        if not self.tie_word_embeddings:
            yield "lm_head.weight", (self.vocab_size, width)

    def flop(self, tokens: int, *, seen: int = 0) -> float:
        """Of a pass over `tokens` new tokens behind `seen` others: two for each multiplication of a product."""
        products = sum(one[0] * one[1] for name, one in self.tensors() if len(one) == 2 and "embed" not in name)
        if self.tie_word_embeddings:
            products += self.vocab_size * self.hidden_size
        looked = tokens * seen + tokens * (tokens + 1) // 2
        return 2.0 * products * tokens + 4.0 * looked * self.num_hidden_layers * self.num_attention_heads * self.head


@dataclass(frozen=True)
class DeclaredModel:
    """Weights as numbers, and the digest that a header names them by."""

    shape: DecoderShape
    weights: Mapping[str, F32]
    digest: str


def read_model(folder: Path, *, digest: str | None) -> DeclaredModel:
    """The model of a folder; `digest` is the one in the header, or none to learn it.

    Raises `InputError` where files cannot be read, `EvidenceError` where they are not what was declared.
    """
    shape = read_shape(folder / "config.json")
    paths = sorted(folder.glob("*.safetensors"))
    if not 1 <= len(paths) <= FILES_MAX:
        raise InputError(f"holds {len(paths)} files of weights", where=str(folder), remedy="*.safetensors are needed")
    with contextlib.ExitStack() as stack:
        sizes = sum(path.stat().st_size for path in paths)
        if sizes > WEIGHTS_BYTES_MAX:
            raise EvidenceError(f"weights of {sizes} bytes are more than {WEIGHTS_BYTES_MAX}", where=str(folder))
        raw = joined([(path, stack.enter_context(open_tensors(path))) for path in paths])
        return _model(raw, shape, digest, str(folder))


def read_shape(path: Path) -> DecoderShape:
    """Raises `InputError` where the file cannot be read, `EvidenceError` where it asks for what is not known here."""
    return parse_shape(read_bounded(path, CONFIG_BYTES_MAX, too_large=EvidenceError), where=str(path))


def parse_shape(data: bytes, *, where: str) -> DecoderShape:
    """Raises `EvidenceError`."""
    if len(data) > CONFIG_BYTES_MAX:
        raise EvidenceError(f"has more than {CONFIG_BYTES_MAX} bytes", where=where)
    stated = parse_json(data, where=where)
    if not isinstance(stated, dict):
        raise EvidenceError("is no configuration", where=where)
    for name, value in _PLAIN.items():
        if name in stated and (stated[name] != value or type(stated[name]) is not type(value)):
            raise EvidenceError(f"{name} is {str(stated[name])[:60]!r}, and only {value!r} is known here", where=where)
    stated.setdefault("num_key_value_heads", stated.get("num_attention_heads"))
    try:
        return DecoderShape.model_validate(stated)
    except ValidationError as fault:
        raise EvidenceError(first_fault(fault), where=where) from None


def model_of(weights: Mapping[str, NDArray[Any]], shape: DecoderShape) -> DeclaredModel:
    """A model from arrays in memory, as from a file. Raises `EvidenceError`."""
    raw = {
        name: RawTensor("F32", array.shape, memoryview(np.ascontiguousarray(array, "<f4").tobytes()))
        for name, array in weights.items()
    }
    return _model(raw, shape, None, "weights")


def _model(raw: Mapping[str, RawTensor], shape: DecoderShape, digest: str | None, where: str) -> DeclaredModel:
    expected = dict(shape.tensors())
    wrong = {name for name in expected.keys() | raw.keys() if name not in raw or raw[name].shape != expected.get(name)}
    if wrong:
        raise EvidenceError(
            f"{sorted(wrong)[0][:100]} is missing, beside what is declared, or has another shape", where=where
        )
    odd = [name for name, tensor in raw.items() if tensor.dtype not in _FORMATS]
    if odd:
        raise EvidenceError(f"{odd[0][:100]} is stored as {raw[odd[0]].dtype}, which is not read here", where=where)
    require_finite(raw, where=where)
    found = digest_of_tensors(raw)
    if digest is not None and found != digest:
        raise EvidenceError(f"has the digest {found}, and the header names {digest}", where=where)
    return DeclaredModel(shape, {name: _numbers(tensor) for name, tensor in raw.items()}, found)


def _numbers(tensor: RawTensor) -> F32:
    stored = np.frombuffer(tensor.data, dtype=_FORMATS[tensor.dtype]).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        return (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return stored.astype(np.float32)
