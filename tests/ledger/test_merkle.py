"""Hashes and proofs against the recursive definitions of RFC 6962, and against the transparency-dev vectors."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.ledger.merkle import (
    EMPTY_ROOT,
    MemoryTree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
    verify_subtree_consistency,
    verify_subtree_inclusion,
)

DATA = Path(os.environ.get("INSPECTORATE_DATA", Path(__file__).parents[3] / "shared" / "data"))
VECTORS = DATA / "merkle_proofs" / "testdata"
ENTRIES = [bytes([i]) * i for i in range(70)]


def split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, Section 2.1, as it is written there."""
    if not entries:
        return EMPTY_ROOT
    if len(entries) == 1:
        return leaf_hash(entries[0])
    k = split(len(entries))
    return node_hash(mth(entries[:k]), mth(entries[k:]))


def path(index: int, entries: Sequence[bytes]) -> tuple[bytes, ...]:
    """PATH of RFC 6962, Section 2.1.1."""
    if len(entries) == 1:
        return ()
    k = split(len(entries))
    if index < k:
        return (*path(index, entries[:k]), mth(entries[k:]))
    return (*path(index - k, entries[k:]), mth(entries[:k]))


def subproof(size: int, entries: Sequence[bytes], whole: bool) -> tuple[bytes, ...]:
    """SUBPROOF of RFC 6962, Section 2.1.2."""
    if size == len(entries):
        return () if whole else (mth(entries),)
    k = split(len(entries))
    if size <= k:
        return (*subproof(size, entries[:k], whole), mth(entries[k:]))
    return (*subproof(size - k, entries[k:], False), mth(entries[:k]))


@pytest.fixture(scope="module")
def tree() -> MemoryTree:
    made = MemoryTree()
    made.append(ENTRIES)
    return made


def test_hashes_of_the_empty_tree_and_the_empty_leaf_are_those_of_rfc_6962() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@pytest.mark.parametrize("size", range(1, 71))
def test_proofs_equal_the_recursive_definitions_and_verify(tree: MemoryTree, size: int) -> None:
    root = tree.root(size)
    assert root == mth(ENTRIES[:size])
    for index in range(size):
        proof = tree.inclusion(index, size)
        assert proof == path(index, ENTRIES[:size])
        verify_inclusion(leaf_hash(ENTRIES[index]), index, size, proof, root)
    for older in range(1, size + 1):
        proof = tree.consistency(older, size)
        assert proof == subproof(older, ENTRIES[:size], True)
        verify_consistency(older, size, proof, tree.root(older), root)


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
@settings(max_examples=100, deadline=None)
def test_no_changed_proof_verifies(entries: list[bytes], data: st.DataObject) -> None:
    tree = MemoryTree()
    tree.append(entries)
    index = data.draw(st.integers(0, len(entries) - 1))
    proof = list(tree.inclusion(index))
    leaf, root = leaf_hash(entries[index]), tree.root()
    verify_inclusion(leaf, index, len(entries), proof, root)
    changed = list(proof)
    kind = data.draw(st.sampled_from(["flip", "drop", "add"] if proof else ["add"]))
    place = data.draw(st.integers(0, max(0, len(proof) - 1)))
    if kind == "flip":
        changed[place] = bytes([changed[place][0] ^ 1]) + changed[place][1:]
    elif kind == "drop":
        del changed[place]
    else:
        changed.insert(place, leaf)
    with pytest.raises(EvidenceError):
        verify_inclusion(leaf, index, len(entries), changed, root)


def test_batches_and_single_appends_make_the_same_tree() -> None:
    single, batched = MemoryTree(), MemoryTree()
    for entry in ENTRIES:
        single.append([entry])
        single.root()
    for start in range(0, 70, 7):
        assert batched.append(ENTRIES[start : start + 7]) == range(start, start + 7)
    assert single.root() == batched.root() == mth(ENTRIES)


def test_a_proof_cannot_shift_bytes_between_its_hashes(tree: MemoryTree) -> None:
    first, second, *rest = tree.inclusion(5, 8)
    with pytest.raises(EvidenceError, match="32 bytes"):
        verify_inclusion(leaf_hash(ENTRIES[5]), 5, 8, [first + second[:1], second[1:], *rest], tree.root(8))


def test_questions_without_an_answer_are_programming_errors(tree: MemoryTree) -> None:
    for call in (
        lambda: inclusion_proof(5, 5, tree.node),
        lambda: consistency_proof(6, 5, tree.node),
        lambda: tree.root(71),
    ):
        with pytest.raises(ValueError, match=r"size|entries"):
            call()


@pytest.mark.data
@pytest.mark.skipif(not VECTORS.is_dir(), reason=f"{VECTORS} is absent")
def test_all_518_transparency_dev_vectors_give_the_expected_outcome() -> None:
    def raw(text: str | None) -> bytes:
        return base64.b64decode(text or "")

    outcomes: Counter[str] = Counter()
    wrong = []
    for file in sorted(VECTORS.rglob("*.json")):
        kind = file.relative_to(VECTORS).parts[0]
        v = json.loads(file.read_bytes())
        proof = [raw(text) for text in v["proof"] or []]
        try:
            if kind == "inclusion":
                verify_inclusion(raw(v["leafHash"]), v["leafIdx"], v["treeSize"], proof, raw(v["root"]))
            elif kind == "consistency":
                verify_consistency(v["size1"], v["size2"], proof, raw(v["root1"]), raw(v["root2"]))
            elif kind == "subtreeinclusion":
                subtree = (v["start"], v["end"])
                verify_subtree_inclusion(raw(v["leafHash"]), v["leafIdx"], subtree, proof, raw(v["root"]))
            else:
                subtree = (v["start"], v["end"])
                verify_subtree_consistency(subtree, v["size"], proof, raw(v["root1"]), raw(v["root2"]))
            refused = False
        except EvidenceError:
            refused = True
        outcomes["refused" if refused else "accepted"] += 1
        if refused != v["wantErr"]:
            wrong.append(str(file.relative_to(VECTORS)))
    assert wrong == []
    assert outcomes == {"refused": 482, "accepted": 36}
