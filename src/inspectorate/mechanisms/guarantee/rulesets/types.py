"""A ruleset: what a guarantee processor enforces, who may change it, and how many of them it takes.

The shape is that of a TUF root: every ruleset names its signers and the quorum for each kind of change, and the next one is judged
by the one before. Only the first, the baseline, is trusted by its digest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text, digest_of
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.signing import Signer
from inspectorate.quantities import NonNegative, Period, Positive, Share, Time

RULESET_KIND = "application/vnd.inspectorate.ruleset+json"
SIGNERS_MAX = 32
RULES_MAX = 64
MODELS_MAX = 256
EXPRESSION_CHARACTERS_MAX = 500


class Act(StrEnum):
    """What signers may do together. Each needs a quorum of its own."""

    SECURITY_PATCH = "security-patch"
    """Put another program of the processor in the place of one with a fault: `builds` only."""
    LIST_MODELS = "list-models"
    """Add or remove models that may be served: `models` only."""
    NEW_GUARANTEE = "new-guarantee"
    """Add a rule, tighten a limit, or raise sampling: nothing is loosened or removed."""
    CHANGE_RULES = "change-rules"
    """Anything else that a ruleset says, signers and quorums included. Never the baseline."""
    LICENSE = "license"
    RESUME = "resume"
    """Let a halted processor go on."""


UPDATES = (Act.SECURITY_PATCH, Act.LIST_MODELS, Act.NEW_GUARANTEE, Act.CHANGE_RULES)


class Quorum(Record):
    """At least `k` of `of`, and at least one out of every group of `from_each`: a group can veto by not signing."""

    k: Annotated[int, Field(ge=1, le=SIGNERS_MAX)]
    of: tuple[Identifier, ...] = Field(min_length=1, max_length=SIGNERS_MAX)
    from_each: tuple[tuple[Identifier, ...], ...] = Field(default=(), max_length=16)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if len(set(self.of)) != len(self.of):
            raise ValueError("a quorum names a signer twice")
        if self.k > len(self.of):
            raise ValueError(f"{self.k} of {len(self.of)} can never be reached")
        for group in self.from_each:
            if not group or not set(group) <= set(self.of):
                raise ValueError("a group with a veto must be some of those who may sign")
        return self


class Point(StrEnum):
    """When a rule is asked. What it may read there is listed in `rules.INPUTS`."""

    UPLOAD = "upload"
    """Before the first byte of a model is let through."""
    REQUEST = "request"
    """Before a request goes to the server."""
    RESPONSE = "response"
    """When a response is complete: too late to hold it, in time to halt."""
    TICK = "tick"
    """At every tick of the clock, over meters and events."""
    UPDATE = "update"
    """Before a ruleset is put in the place of this one: of what the new one says. In the baseline, it binds all that follow."""


class Consequence(StrEnum):
    REFUSE = "refuse"
    HALT = "halt"


class Rule(Record):
    """One promise in CEL: what must be true at a point, or else."""

    id: Identifier
    at: Point
    must: Annotated[str, Field(min_length=1, max_length=EXPRESSION_CHARACTERS_MAX)]
    reads: tuple[Identifier, ...] = Field(max_length=16, description="the inputs that the expression may read")
    otherwise: Consequence
    title: Text
    holds_until: Time | None = Field(default=None, description="its sunset; none: as long as the ruleset")


class ListedModel(Record):
    """A model that may be uploaded and served: exactly these bytes."""

    name: Identifier
    content: Digest
    size_bytes: Annotated[int, Field(ge=1, le=2**50)]
    flop_per_token: Positive = Field(description="at most, forward pass; 2 x active parameters at least")
    flop_behind: Positive | None = Field(default=None, description="that its training took at most, as declared")
    graph: Digest | None = Field(default=None, description="its declared compute graph")
    spread_max: NonNegative | None = Field(default=None, description="difference of scores put down to arithmetic")


class Limits(Record):
    """What may pass the path while a model is served, per direction, in bytes of HTTP content and headers."""

    in_bytes_per_s_max: Positive
    out_bytes_per_s_max: Positive
    burst_bytes_max: Positive
    request_bytes_max: Annotated[int, Field(ge=1)]
    response_bytes_max: Annotated[int, Field(ge=1)]
    concurrent_max: Annotated[int, Field(ge=1, le=100_000)]


class Outlet(Record):
    """What may leave the processor about the chips."""

    report_every_s: Positive
    bits_per_day_max: Positive


class Ruleset(Record):
    """All that one guarantee processor enforces."""

    id: Identifier
    version: Annotated[int, Field(ge=1, le=10**9)]
    previous: Digest | None = Field(default=None, description="digest of the ruleset that this one follows")
    act: Act | None = Field(default=None, description="the kind of change that made it; none for the first")
    valid: Period
    signers: tuple[Signer, ...] = Field(min_length=1, max_length=SIGNERS_MAX)
    quorums: dict[Act, Quorum]
    baseline: tuple[Rule, ...] = Field(max_length=RULES_MAX, description="rules that no quorum can remove")
    rules: tuple[Rule, ...] = Field(default=(), max_length=RULES_MAX)
    builds: tuple[Digest, ...] = Field(default=(), max_length=64, description="measurements of programs that may run")
    models: tuple[ListedModel, ...] = Field(default=(), max_length=MODELS_MAX)
    limits: Limits
    licensed_meters: tuple[MeterKind, ...] = Field(default=(), description="meters without which nothing is served")
    licence_sequence_min: Annotated[int, Field(ge=0)] = 0
    sampled_share: Share = Field(description="of requests, kept for re-execution; drawn by the processor")
    outlet: Outlet
    lost_after_s: NonNegative = Field(default=1.0, description="work is held when the processor is silent so long")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.version == 1) != (self.previous is None) or (self.version == 1) != (self.act is None):
            raise ValueError("the first ruleset, and only the first, follows none and has no act")
        if self.act is not None and self.act not in UPDATES:
            raise ValueError(f"{self.act.value} makes no ruleset")
        names = [signer.name for signer in self.signers]
        halves = [half for signer in self.signers for half in signer.halves]
        if len(set(names)) != len(names) or len(set(halves)) != len(halves):
            raise ValueError("a signer or a key, or half of one, is named twice")
        for act in Act:
            if act not in self.quorums:
                raise ValueError(f"there is no quorum for {act.value}")
            strangers = set(self.quorums[act].of) - set(names)
            if strangers:
                raise ValueError(f"the quorum for {act.value} names no signers: {', '.join(sorted(strangers))}")
        for what, ids in (
            ("rule", [rule.id for rule in (*self.baseline, *self.rules)]),
            ("model", [model.name for model in self.models]),
            ("content of model", [model.content for model in self.models]),
            ("build", list(self.builds)),
        ):
            if len(set(ids)) != len(ids):
                raise ValueError(f"a {what} stands twice")
        return self

    @property
    def digest(self) -> str:
        """Digest of the canonical bytes: what is signed, and what the next ruleset names as `previous`."""
        return digest_of(self.canonical_bytes())

    def model_of(self, content: str) -> ListedModel | None:
        return next((model for model in self.models if model.content == content), None)
