"""Blocks: any two of three offices open them and none alone; who gives a wrong share, or makes a block wrong, is named."""

from __future__ import annotations

import dataclasses
import itertools
import os

import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_scene import offices_of, pairs
from pydantic import ValidationError

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.whistleblowing.sealing import blocks
from inspectorate.mechanisms.whistleblowing.sealing.blocks import Opener, Sealer, Shape, fits, open_body, share_of
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.mechanisms.whistleblowing.sealing.shares import Joiner, _inverse, _times, split

LISTED, HELD = offices_of()
SHAPE = Shape(offices=LISTED, context=bytes(range(32)), block_bytes=4096)
SEALER = Sealer(SHAPE)


def shares_of(block: bytes, shape: Shape = SHAPE) -> list[bytes]:
    found = [share_of(shape, block, place, one.identity) for place, one in enumerate(HELD)]
    assert None not in found
    return [one for one in found if one is not None]


# --- shares ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quorum", "count"), [(2, 3), (3, 4)])
def test_joining_agrees_with_the_library(quorum: int, count: int) -> None:
    secret = os.urandom(16)
    shares = split(quorum, count, secret)
    for places in itertools.combinations(range(1, count + 1), quorum):
        given = [(place, shares[place - 1]) for place in places]
        assert Joiner(places).join([share for _, share in given]) == Shamir.combine(given) == secret
    assert all(Joiner(places, at).join([share for _, share in given]) == shares[at - 1] for at in range(1, count + 1))


def test_one_share_fits_every_secret() -> None:
    """Whatever an office holds, each secret is as possible as each other: with some second share it comes out."""
    mine = split(2, 3, os.urandom(16))[0]
    for wanted in (bytes(16), b"\xff" * 16, os.urandom(16)):
        # The line through (0, wanted) and (1, mine), at 2.
        slope = int.from_bytes(mine) ^ int.from_bytes(wanted)
        second = (int.from_bytes(wanted) ^ _times(slope, 2)).to_bytes(16)
        assert Shamir.combine([(1, mine), (2, second)]) == wanted


@given(st.integers(1, 2**128 - 1))
@settings(max_examples=8)
def test_the_field_has_inverses(value: int) -> None:
    assert _times(value, _inverse(value)) == 1


# --- blocks ----------------------------------------------------------------------------------------------------------------


def test_every_pair_opens_a_block() -> None:
    block = SEALER.seal(b"in the east hall")
    shares = shares_of(block)
    for pair in pairs(3):
        secret = Opener(SHAPE, pair).secret(block, [shares[place] for place in pair])
        assert open_body(SHAPE, block, secret).rstrip(b"\0") == b"in the east hall"


@pytest.mark.parametrize("alone", range(3))
def test_no_office_opens_a_block_alone(alone: int) -> None:
    """Not with the shares it can open, not with guesses or shares of other blocks in place of the others'."""
    block, other = SEALER.seal(b"x"), SEALER.seal(b"x")
    mine = shares_of(block)[alone]
    for place in set(range(3)) - {alone}:
        assert share_of(SHAPE, block, place, HELD[alone].identity) is None
        for guess in (mine, shares_of(other)[place]):
            pair = sorted([(alone, mine), (place, guess)])
            with pytest.raises(EvidenceError, match="made wrong"):
                Opener(SHAPE, [one for one, _ in pair]).secret(block, [share for _, share in pair])
    with pytest.raises(ValueError, match="it takes 2 shares"):
        Opener(SHAPE, [alone])
    with pytest.raises(EvidenceError):
        open_body(SHAPE, block, mine[:16])


def test_a_wrong_share_is_told_from_a_right_one() -> None:
    block = SEALER.seal(b"x")
    for place, share in enumerate(shares_of(block)):
        assert fits(SHAPE, block, place, share)
        for wrong in (share[:-1] + bytes([share[-1] ^ 1]), bytes([share[0] ^ 1]) + share[1:], share[:31], b""):
            assert not fits(SHAPE, block, place, wrong)
        assert not fits(SHAPE, block, (place + 1) % 3, share)


def test_blocks_and_dummies_have_one_size_and_nothing_in_common() -> None:
    made = [SEALER.seal(b"x" * length) for length in (0, 0, 1, SHAPE.part_bytes)]
    assert {len(block) for block in made} == {4096}
    for one, other in itertools.combinations(made, 2):
        assert sum(a == b for a, b in zip(one, other, strict=True)) < 1200  # age's fixed words, and chance
        assert one[:16] != other[:16]
        assert one[-32:] != other[-32:]


def test_a_block_of_another_context_does_not_open() -> None:
    other = dataclasses.replace(SHAPE, context=bytes(32))
    block = SEALER.seal(b"x")
    assert SHAPE.is_whole(block)
    assert not other.is_whole(block)
    assert all(share_of(other, block, place, one.identity) is None for place, one in enumerate(HELD))


@given(st.integers(0, 4095), st.integers(1, 255))
@settings(max_examples=25)
def test_any_changed_byte_is_seen_by_everybody(place: int, change: int) -> None:
    block = bytearray(SEALER.seal(b"x"))
    block[place] ^= change
    assert not SHAPE.is_whole(bytes(block))


def test_a_block_that_was_made_wrong_is_blamed_on_who_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its third share lies on another line, and its commitment fits it: any two offices see it, and no office is named."""

    def crooked(quorum: int, count: int, secret: bytes) -> list[bytes]:
        return [*split(quorum, count, secret)[:-1], os.urandom(16)]

    monkeypatch.setattr(blocks, "split", crooked)
    block = SEALER.seal(b"x")
    shares = shares_of(block)
    for pair in pairs(3):
        with pytest.raises(EvidenceError, match="made wrong by the intake"):
            Opener(SHAPE, pair).secret(block, [shares[place] for place in pair])


def test_what_fills_slots_up_has_room() -> None:
    lengths = {int.from_bytes(SHAPE.slot(SEALER.seal(), place)[:2]) for _ in range(30) for place in range(3)}
    assert min(lengths) >= 245
    assert max(lengths) <= 510


@pytest.mark.parametrize(
    ("parties", "quorum", "why"),
    [("aab", 2, "alone"), ("abc", 3, "closed"), ("aabbc", 2, "alone"), ("aaabbcd", 3, "alone")],
)
def test_no_party_may_open_or_bury_alone(parties: str, quorum: int, why: str) -> None:
    listed, _ = offices_of(len(parties))
    said = [one.model_copy(update={"party": party}) for one, party in zip(listed.offices, parties, strict=True)]
    with pytest.raises(ValidationError, match=why):
        Offices(quorum=quorum, offices=tuple(said))


def test_the_same_key_twice_is_refused() -> None:
    listed, _ = offices_of(3)
    twice = (*listed.offices[:2], listed.offices[2].model_copy(update={"recipient": listed.offices[0].recipient}))
    with pytest.raises(ValidationError, match="recipient"):
        Offices(quorum=2, offices=twice)
