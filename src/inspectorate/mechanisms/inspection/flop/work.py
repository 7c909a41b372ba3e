"""What a run did with models, and between which bounds the FLOP of that lie.

A `Work` is made of parts: `train`, `forward` (prefill, evaluation, a reference or reward model), `decode`. Tuning with adapters,
reinforcement learning and speculative decoding are put together of these; `reinforcement` and `speculative` do it.

Rules:

- The range is of what the described work takes, and of nothing beside it. What is not described makes it wider: an unknown way of
  recomputing counts from none to the most that is credited.
- Low: products only, nothing masked, no head where a server needs none. High: everything that a plain implementation does.
- Gradient accumulation changes nothing but the number of optimiser steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record
from inspectorate.mechanisms.inspection.flop.analytic import (
    Pass,
    decoded_pass,
    parameters,
    sample_pass,
    trained_pass,
)
from inspectorate.mechanisms.inspection.flop.architecture import Architecture, Layers, Transformer
from inspectorate.mechanisms.inspection.flop.reference import (
    ATTENTION_BACKWARD_MAX,
    ATTENTION_BACKWARD_MIN,
    FORWARD_PER_PARAMETER,
    FROZEN_PER_PARAMETER,
    OPTIMISER_PER_PARAMETER,
    PARTS_MAX,
    RECOMPUTED_FORWARDS_FULL,
    RECOMPUTED_FORWARDS_MAX,
    TRAIN_PER_PARAMETER,
)
from inspectorate.mechanisms.inspection.flop.rule import FormatShare, Operations, Rule
from inspectorate.quantities import NonNegative, Positive

FORMATS_TOLERANCE = 1e-9


class Does(StrEnum):
    """What a part does with its model."""

    TRAIN = "train"
    FORWARD = "forward"
    """Whole sequences, no gradient: prefill, evaluation, a reference model."""
    DECODE = "decode"
    """Token by token."""


class Recompute(StrEnum):
    """How activations that were not kept come back in the backward pass."""

    NONE = "none"
    SELECTIVE = "selective"
    """Attention only."""
    FULL = "full"
    """Each layer once."""


class Trained(Record):
    """What a training part changes. Nothing given: all parameters."""

    adapter_parameters: Annotated[int, Field(ge=0, lt=1 << 53)] | None = Field(
        default=None, description="of low-rank adapters in all layers; the model itself is frozen"
    )
    last_layers: Annotated[int, Field(ge=0, le=4096)] | None = Field(
        default=None, description="so many last layers and the head are trained, all before them frozen"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.adapter_parameters is not None and self.last_layers is not None:
            raise ValueError("adapters or last layers, not both")
        return self


class Part(Record):
    """One thing that was done with one model."""

    name: Identifier
    model: Identifier
    does: Does
    tokens: NonNegative = Field(description="at least so many; samples, for a list of layers")
    tokens_max: NonNegative | None = Field(default=None, description="and at most; none: exactly `tokens`")
    sequence: Positive = Field(default=1.0, description="tokens of a sequence; the longest context, for decoding")
    context_min: Positive | None = Field(default=None, description="decoding: the mean context is not below")
    cached: bool = Field(default=True, description="decoding: whether keys and values are kept")
    formats: tuple[FormatShare, ...] = Field(min_length=1, max_length=16, description="of the products; sums to one")
    sparse_share: float = Field(default=0.0, ge=0, le=1, description="of the products, by 2:4 sparse kernels")
    trained: Trained = Trained()
    recompute: Recompute | None = Field(default=None, description="none: not known")
    steps: NonNegative = Field(default=0.0, description="optimiser steps")
    optimiser: Literal["sgd", "adam", "muon", "other"] = "other"

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if abs(sum(one.share for one in self.formats) - 1) > FORMATS_TOLERANCE:
            raise ValueError("the shares of the formats do not sum to one")
        if self.tokens_max is not None and self.tokens_max < self.tokens:
            raise ValueError("tokens_max is below tokens")
        if self.context_min is not None and self.context_min > self.sequence:
            raise ValueError("context_min is above sequence")
        if self.does is not Does.TRAIN and (self.steps or self.trained != Trained()):
            raise ValueError("only a part that trains has optimiser steps, adapters or trained layers")
        return self

    @property
    def most_tokens(self) -> float:
        return self.tokens if self.tokens_max is None else self.tokens_max


class Work(Record):
    """Models, and what was done with them."""

    models: tuple[Architecture, ...] = Field(min_length=1, max_length=PARTS_MAX)
    parts: tuple[Part, ...] = Field(min_length=1, max_length=PARTS_MAX)

    @model_validator(mode="after")
    def _known(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError("a model is described twice")
        for part in self.parts:
            model = next((one for one in self.models if one.name == part.model), None)
            if model is None:
                raise ValueError(f"part {part.name} names an unknown model: {part.model}")
            if isinstance(model, Layers) and part.does is Does.DECODE:
                raise ValueError(f"part {part.name}: a list of layers does not decode")
            if part.trained.last_layers is not None and not (
                isinstance(model, Transformer) and part.trained.last_layers <= model.layers
            ):
                raise ValueError(f"part {part.name}: last_layers needs a transformer with so many layers")
        return self

    @property
    def trains(self) -> bool:
        return any(part.does is Does.TRAIN for part in self.parts)

    def model(self, name: str) -> Transformer | Layers:
        return next(model for model in self.models if model.name == name)


@dataclass(frozen=True, kw_only=True)
class Flop:
    """Uncounted FLOP of some work: products, and all else."""

    products_min: float
    products_max: float
    other_min: float = 0.0
    other_max: float = 0.0

    def __add__(self, other: Flop) -> Flop:
        return Flop(
            products_min=self.products_min + other.products_min,
            products_max=self.products_max + other.products_max,
            other_min=self.other_min + other.other_min,
            other_max=self.other_max + other.other_max,
        )


def flop_of_part(work: Work, part: Part) -> Flop:
    """What a part takes, before the rule on formats."""
    model = work.model(part.model)
    match part.does:
        case Does.TRAIN:
            return _training(model, part)
        case Does.FORWARD:
            one = _whole(model, part)
            return Flop(
                products_min=part.tokens * (one.layers + one.attention_min),
                products_max=part.most_tokens * one.products,
                other_max=part.most_tokens * one.elementwise_max,
            )
        case Does.DECODE:
            assert isinstance(model, Transformer)
            return _decoding(model, part)


def counted_range(work: Work, rule: Rule) -> tuple[float, float]:
    """Least and most FLOP of the whole work, as the agreement counts."""
    low = high = 0.0
    for part in work.parts:
        flop = flop_of_part(work, part)
        low += rule.count(_split(part, flop.products_min)).low + flop.other_min * min(1.0, rule.per_operation("bf16"))
        high += rule.count(_split(part, flop.products_max)).high + flop.other_max * rule.per_operation("fp32")
    return low, high


def by_rule_of_thumb(work: Work, rule: Rule) -> tuple[float, float]:
    """6ND and its like: parameters times tokens. Attention and all that is no parameter is not in the low bound; the high one has
    recomputation and attention as large as the parameters' share of it."""
    low = high = 0.0
    for part in work.parts:
        model = work.model(part.model)
        counted = parameters(model)
        active = float(counted.active - counted.embedding)
        if isinstance(model, Layers):
            active = sample_pass(model).layers / FORWARD_PER_PARAMETER
        outside = model.width * model.vocabulary if isinstance(model, Transformer) else 0.0
        if part.does is Does.TRAIN:
            frozen = part.trained.adapter_parameters is not None
            least = FROZEN_PER_PARAMETER if frozen else TRAIN_PER_PARAMETER
            if part.trained.last_layers is not None:
                least = FORWARD_PER_PARAMETER
            most = TRAIN_PER_PARAMETER + FORWARD_PER_PARAMETER * _recomputed(part.recompute)[1]
        else:
            least = most = FORWARD_PER_PARAMETER
            active_min = active - outside if part.does is Does.FORWARD else active
            low += rule.count(_split(part, least * active_min * part.tokens)).low
            high += rule.count(_split(part, most * active * part.most_tokens)).high * 2
            continue
        low += rule.count(_split(part, least * active * part.tokens * _first(model))).low
        high += rule.count(_split(part, most * active * part.most_tokens)).high * 2
    return low, high


def six_n_d(parameters_active: float, tokens: float) -> float:
    """The rule of thumb of training: 6 x N x D."""
    return TRAIN_PER_PARAMETER * parameters_active * tokens


def reinforcement(generate: Part, update: Part, *, judged: tuple[Part, ...] = ()) -> tuple[Part, ...]:
    """The parts of reinforcement learning: answers are generated, judged by other models, and learnt from.

    Raises `ValueError` where they are not of these kinds.
    """
    if generate.does is not Does.DECODE or update.does is not Does.TRAIN:
        raise ValueError("answers are decoded, and updates train")
    if any(part.does is not Does.FORWARD for part in judged):
        raise ValueError("a judge is run forward")
    return (generate, *judged, update)


def speculative(target: Part, draft: Part, *, drafted: int, accepted: tuple[float, float]) -> tuple[Part, Part]:
    """The parts of speculative decoding: of each `drafted` tokens, between `accepted` come through with the target's own one.

    `target.tokens` are the tokens that were answered. Per round the draft decodes `drafted` tokens and the target checks one more.
    Raises `ValueError`.
    """
    least, most = accepted
    if not 1 <= least <= most <= drafted + 1:
        raise ValueError("a round yields at least one token, and at most the drafted ones and one more")
    low, high = target.tokens / most, target.most_tokens / least
    checks = target.model_copy(update={"tokens": low * (drafted + 1), "tokens_max": high * (drafted + 1)})
    guesses = draft.model_copy(update={"tokens": low * drafted, "tokens_max": high * drafted})
    return checks, guesses


def _split(part: Part, products: float) -> list[Operations]:
    return [
        Operations(
            format=one.format,
            dense=products * one.share * (1 - part.sparse_share),
            sparse=products * one.share * part.sparse_share,
        )
        for one in part.formats
    ]


def _whole(model: Transformer | Layers, part: Part) -> Pass:
    return trained_pass(model, round(part.sequence)) if isinstance(model, Transformer) else sample_pass(model)


def _decoding(model: Transformer, part: Part) -> Flop:
    shortest = part.context_min if part.context_min is not None else 1.0
    if not part.cached:
        least, most = trained_pass(model, round(shortest)), trained_pass(model, round(part.sequence))
        return Flop(
            products_min=part.tokens * (shortest * (least.layers + least.attention_min) + least.head),
            products_max=part.most_tokens * part.sequence * most.products,
            other_max=part.most_tokens * part.sequence * most.elementwise_max,
        )
    least, most = decoded_pass(model, shortest), decoded_pass(model, part.sequence)
    return Flop(
        products_min=part.tokens * least.min,
        products_max=part.most_tokens * most.products,
        other_max=part.most_tokens * most.elementwise_max,
    )


def _training(model: Transformer | Layers, part: Part) -> Flop:
    one = _whole(model, part)
    counted = parameters(model)
    weights = one.layers + one.head
    deep = model.layers if isinstance(model, Transformer) else 1
    adapters = float(part.trained.adapter_parameters or 0)
    if part.trained.adapter_parameters is not None:
        # Gradients go through the frozen weights; below the first adapter they need not.
        back_min, back_max, share = weights - one.layers / deep, weights, (deep - 1) / deep
        changed = adapters
    elif part.trained.last_layers is not None:
        last = part.trained.last_layers
        back_min = one.head + one.layers * (2 * last - 1) / deep if last else one.head
        back_max, share = 2 * (one.head + one.layers * last / deep), last / deep
        changed = float(counted.active)
    else:
        embedded = isinstance(model, Transformer) and (model.embedding_rows or model.vocabulary)
        back_min = 2 * weights - (one.first if isinstance(model, Layers) else 0 if embedded else one.layers / deep)
        back_max, share, changed = 2 * weights, 1.0, float(counted.total)
    again_min, again_max = _again(model, part, one)
    low, high = OPTIMISER_PER_PARAMETER[part.optimiser]
    # Adam of what is trained; a frozen part costs none, so the least is what surely changes.
    surely = adapters if part.trained.adapter_parameters is not None else 0.0 if part.trained.last_layers else changed
    return Flop(
        products_min=part.tokens
        * (one.min + back_min + ATTENTION_BACKWARD_MIN * share * one.attention_min + again_min + 6 * adapters),
        products_max=part.most_tokens
        * (one.products + back_max + ATTENTION_BACKWARD_MAX * one.attention_max + again_max + 6 * adapters),
        other_min=part.steps * surely * low,
        other_max=part.steps * changed * high + part.most_tokens * one.elementwise_max,
    )


def _again(model: Transformer | Layers, part: Part, one: Pass) -> tuple[float, float]:
    """What recomputation adds per token, least and most. The last product of each layer need not be computed again."""
    low, high = _recomputed(part.recompute)
    if part.recompute is Recompute.SELECTIVE:
        return one.attention_min, one.attention_max
    last = 0.0
    if isinstance(model, Transformer):
        active = 1 if model.experts is None else model.experts.active + model.experts.shared
        last = 2.0 * model.layers * model.width * model.feed_forward * active
    least = low * max(0.0, one.layers - last + one.attention_min)
    return least if isinstance(model, Transformer) else 0.0, high * one.products


def _recomputed(policy: Recompute | None) -> tuple[float, float]:
    """Forward passes that are made again, least and most."""
    match policy:
        case Recompute.NONE:
            return 0.0, 0.0
        case Recompute.SELECTIVE:
            return 0.0, RECOMPUTED_FORWARDS_FULL
        case Recompute.FULL:
            return RECOMPUTED_FORWARDS_FULL, RECOMPUTED_FORWARDS_FULL
        case None:
            return 0.0, RECOMPUTED_FORWARDS_MAX


def _first(model: Transformer | Layers) -> float:
    """The share of 6ND that is left where the gradient for the inputs of the first layer is not needed."""
    if isinstance(model, Transformer):
        return 1.0 - 1.0 / (3.0 * model.layers) if not (model.embedding_rows or model.vocabulary) else 1.0
    one = sample_pass(model)
    return 1.0 - one.first / (3.0 * one.layers)
