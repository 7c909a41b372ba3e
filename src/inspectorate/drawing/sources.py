"""By what a draw is made: a secret that was promised, or a round of a public beacon.

    Promise        a secret and a selection; its digest is the subject `secret` of a `RandomnessPromised`
    Revealed       the source of a draw: the promise in full
    DrandRound     the source of a draw: one round of a public beacon
    Randomness     the payload behind a draw: all that is needed to draw again

What is selected, and how, is for the mechanism that draws: all of these are generic in it. Rules:

- The digest of a promise covers the selection, too: whoever knows the secret cannot, once it has seen what it draws from,
  choose method or number so that a certain item is drawn.
- A promise of this form hides its secret because the secret has 32 random bytes; it binds because SHA-256 has no known
  collisions.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, StringConstraints

from inspectorate.canonical import Hex, Record, digest_of, parse_canonical
from inspectorate.drawing.chain import ROUND_MAX
from inspectorate.drawing.ranks import SEED_LABEL_BEACON, SEED_LABEL_REVEALED, seed_from
from inspectorate.errors import EvidenceError
from inspectorate.quantities import Time

PAYLOAD_BYTES_MAX = 64 * 1024

Selected = TypeVar("Selected", bound=Record)
Kind = TypeVar("Kind", bound=Record)


class Promise(Record, Generic[Selected]):
    """What a verifier fixes by digest, and keeps to itself until it draws."""

    version: Literal[1] = 1
    secret: Hex
    selection: Selected

    @property
    def digest(self) -> str:
        """The subject `secret` of the `RandomnessPromised`."""
        return digest_of(self.canonical_bytes())


class Revealed(Record, Generic[Selected]):
    """The source of a draw by commit and reveal."""

    kind: Literal["commit-reveal"]
    promise: Promise[Selected]

    @property
    def selection(self) -> Selected:
        return self.promise.selection


class DrandRound(Record, Generic[Selected]):
    """The source of a draw by a public beacon. Its round is fixed by a rule of the mechanism that draws."""

    kind: Literal["drand"]
    chain: Hex = Field(description="the chain's hash")
    round: Annotated[int, Field(ge=1, le=ROUND_MAX)]
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{96}$")]
    received_at: Time = Field(
        description="when the verifier had what it draws from, on its word: before the round was made"
    )
    selection: Selected


class Randomness(Record, Generic[Selected]):
    """By what a draw was made."""

    version: Literal[1] = 1
    source: Annotated[Revealed[Selected] | DrandRound[Selected], Field(discriminator="kind")]

    @property
    def selection(self) -> Selected:
        return self.source.selection


def seed_of(randomness: Randomness[Selected], commitment: str) -> bytes:
    """The seed of a draw from what `commitment` names: the digest of its envelope, as `sha256:<hex>`."""
    match randomness.source:
        case DrandRound(signature=signature):
            label, entropy = SEED_LABEL_BEACON, bytes.fromhex(signature)
        case revealed:
            label, entropy = SEED_LABEL_REVEALED, bytes.fromhex(revealed.promise.secret)
    return seed_from(label, entropy, commitment)


def parse_whole(kind: type[Kind], data: bytes, *, where: str) -> Kind:
    """A small record in its one byte form, no default left out. Raises `EvidenceError`."""
    if len(data) > PAYLOAD_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {PAYLOAD_BYTES_MAX}", where=where)
    record = kind.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)
    if record.canonical_bytes() != data:
        raise EvidenceError("leaves out a field, or writes one in another form", where=where)
    return record
