"""Blocks of the weights under a root: against a recursive tree, and every way of giving something else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.guarantee.graph.memory import (
    BlockTree,
    Held,
    Opened,
    block_is_right,
    check_blocks,
    drawn_blocks,
)
from inspectorate.mechanisms.guarantee.graph.types import Outcome

SEED = bytes(32)


def slow_root(blocks: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written."""
    if len(blocks) == 1:
        return hashlib.sha256(b"\x00" + blocks[0]).digest()
    split = 1
    while split * 2 < len(blocks):
        split *= 2
    return hashlib.sha256(b"\x01" + slow_root(blocks[:split]) + slow_root(blocks[split:])).digest()


@settings(max_examples=40)
@given(st.integers(1, 3000))
def test_every_block_leads_to_the_root_of_the_slow_tree(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    tree = BlockTree(data, block_bytes=64)
    blocks = [data[start : start + 64] for start in range(0, size, 64)]
    assert tree.held.root == "sha256:" + slow_root(blocks).hex()
    for one in tree.open(data, range(len(blocks))):
        assert block_is_right(tree.held, one)
        if len(blocks) > 1:
            assert not block_is_right(tree.held, Opened((one.index + 1) % len(blocks), one.data, one.path))
        assert not block_is_right(tree.held, Opened(one.index, one.data, (*one.path, bytes(32))))
        assert not one.path or not block_is_right(tree.held, Opened(one.index, one.data, one.path[:-1]))


DATA = np.random.default_rng(1).bytes(100 * 64 - 10)
TREE = BlockTree(DATA, block_bytes=64)


@given(st.integers(0, 99), st.integers(0, 53), st.integers(1, 255))
def test_a_changed_byte_is_seen_if_its_block_is_drawn(index: int, place: int, change: int) -> None:
    held = bytearray(DATA)
    held[index * 64 + place] ^= change
    assert not block_is_right(TREE.held, TREE.open(held, [index])[0])
    asked = drawn_blocks(TREE.held, SEED, 30)
    found = check_blocks(TREE.held, asked, TREE.open(held, asked))
    assert (found.outcome is Outcome.DIFFERS) == (index in asked)


def test_what_is_not_given_counts_as_wrong_and_nothing_asked_is_nothing_known() -> None:
    asked = drawn_blocks(TREE.held, SEED, 10)
    opened = TREE.open(DATA, asked)
    assert check_blocks(TREE.held, asked, opened).outcome is Outcome.CONSISTENT
    for fewer in (opened[:-1], [], [opened[0]] * 10):
        found = check_blocks(TREE.held, asked, fewer)
        assert (found.outcome, found.other_share_max) == (Outcome.DIFFERS, 1.0)
    nothing = check_blocks(TREE.held, [], opened)
    assert (nothing.outcome, nothing.other_share_max) == (Outcome.CANNOT_TELL, 1.0)


def test_how_much_could_be_other() -> None:
    asked = drawn_blocks(TREE.held, SEED, 60)
    found = check_blocks(TREE.held, asked, TREE.open(DATA, asked))
    assert found.other_share_max == pytest.approx(1 - 0.05 ** (1 / 60))
    everything = drawn_blocks(TREE.held, SEED, 1000)
    assert check_blocks(TREE.held, everything, TREE.open(DATA, everything)).other_share_max == 0.0


def test_the_draw_is_even_distinct_and_by_the_seed() -> None:
    counts = np.zeros(100)
    for number in range(400):
        drawn = drawn_blocks(TREE.held, number.to_bytes(32, "big"), 10)
        assert len(set(drawn)) == 10
        counts[drawn] += 1
    assert counts.min() > 15
    assert counts.max() < 75
    with pytest.raises(ValueError, match="seed of 32"):
        drawn_blocks(TREE.held, b"", 1)


@pytest.mark.parametrize("index", [-1, 100, 2**70])
def test_blocks_that_are_not_there(index: int) -> None:
    assert not block_is_right(TREE.held, Opened(index, DATA[:64], TREE.path(0)))
    with pytest.raises(ValueError, match="no block"):
        TREE.path(index)


def test_a_block_of_another_length_is_not_right() -> None:
    held = Held(size_bytes=64, block_bytes=64, root=BlockTree(b"x" * 63, block_bytes=64).held.root)
    assert not block_is_right(held, Opened(0, b"x" * 63, ()))
