"""What a verifier promises before work is committed to, and what it reveals when it draws.

    Selection      how a draw picks: how many, by which method
    Promise        a secret and a selection; its digest is the subject `secret` of a `RandomnessPromised`
    Revealed       the source of a draw: the promise in full
    DrandRound     the source of a draw: one round of a public beacon
    Randomness     the subject `randomness` of a `PacketsDrawn`: all that is needed to draw again

Rules:

- The digest of a promise covers the selection, too: a verifier that knows its secret cannot, once it has seen the
  commitment, choose method or number so that a certain packet is drawn.
- A secret is used for one draw. `judge.check_uses` names what uses one twice.
- A promise of this form hides its secret because the secret has 32 random bytes; it binds because SHA-256 has no known
  collisions.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Hex, Record, digest_of, parse_canonical
from inspectorate.drawing.chain import ROUND_MAX
from inspectorate.errors import EvidenceError
from inspectorate.evidence.inspected import DRAWN_MAX
from inspectorate.quantities import Time

PAYLOAD_BYTES_MAX = 64 * 1024


Kind = TypeVar("Kind", bound=Record)


class Method(StrEnum):
    """How packets are picked."""

    PACKETS = "packets"
    """Every packet with the same chance, without replacement: bounds the dirty share of packets."""
    TIME = "time"
    """Points of the committed time, each equally likely, and the packets in which they fall: bounds the dirty share of
    time, however long or short the prover made its packets. Two points may fall into one packet, which then is drawn
    once."""


class Selection(Record):
    """How a draw picks, fixed before anything is drawn."""

    method: Method
    count: Annotated[int, Field(ge=1, le=DRAWN_MAX)] = Field(description="packets, or points of time")
    strata: Annotated[int, Field(ge=1, le=DRAWN_MAX)] = Field(
        default=1,
        description="equal stretches of the committed time, each with as many points: finds runs of dirt sooner",
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.count % self.strata:
            raise ValueError("every stratum must get as many points: count must be a multiple of strata")
        if self.strata > 1 and self.method is not Method.TIME:
            raise ValueError("strata are stretches of time: they need the method `time`")
        return self


class Promise(Record):
    """What a verifier fixes by digest, and keeps to itself until it draws."""

    version: Literal[1] = 1
    secret: Hex
    selection: Selection

    @property
    def digest(self) -> str:
        """The subject `secret` of the `RandomnessPromised`."""
        return digest_of(self.canonical_bytes())


class Revealed(Record):
    """The source of a draw by commit and reveal."""

    kind: Literal["commit-reveal"]
    promise: Promise

    @property
    def selection(self) -> Selection:
        return self.promise.selection


class DrandRound(Record):
    """The source of a draw by a public beacon. Its round is fixed by rule: `judge.round_for`."""

    kind: Literal["drand"]
    chain: Hex = Field(description="the chain's hash")
    round: Annotated[int, Field(ge=1, le=ROUND_MAX)]
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]
    received_at: Time = Field(
        description="when the verifier had the commitment, on its word: before the round was made"
    )
    selection: Selection


class Randomness(Record):
    """By what a draw was made."""

    version: Literal[1] = 1
    source: Annotated[Revealed | DrandRound, Field(discriminator="kind")]

    @property
    def selection(self) -> Selection:
        return self.source.selection


def parse_randomness(data: bytes, *, where: str) -> Randomness:
    """The record in its one byte form, no default left out. Raises `EvidenceError`."""
    return _whole(Randomness.parse(_bounded(data, where), where=where, error=EvidenceError), data, where)


def parse_promise(data: bytes, *, where: str) -> Promise:
    """The record in its one byte form, no default left out. Raises `EvidenceError`."""
    return _whole(Promise.parse(_bounded(data, where), where=where, error=EvidenceError), data, where)


def _bounded(data: bytes, where: str) -> object:
    if len(data) > PAYLOAD_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {PAYLOAD_BYTES_MAX}", where=where)
    return parse_canonical(data, where=where)


def _whole(record: Kind, data: bytes, where: str) -> Kind:
    if record.canonical_bytes() != data:
        raise EvidenceError("leaves out a field, or writes one in another form", where=where)
    return record
