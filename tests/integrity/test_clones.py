"""Copies: every kind that is to be found is, at any shift, and nothing that is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from series_making import load, measured, series

from inspectorate.mechanisms.workloads.integrity.clones import (
    CopyKind,
    Shelf,
    copy_groups,
    exact_matches,
    find_copies,
    gram_hashes,
    information_bits,
    shelve,
)
from inspectorate.mechanisms.workloads.integrity.reference import COPY_BITS_MIN, COPY_SAMPLES_MIN


def naive_matches(shelf: Shelf) -> set[tuple[str, int, str, int, int]]:
    """Maximal equal stretches of different series that are long and rich enough, by looking at every pair of places."""
    found = set()
    for a, one in enumerate(shelf.series):
        for b in range(a + 1, len(shelf.series)):
            other = shelf.series[b]
            for i in range(len(one)):
                for j in range(len(other)):
                    if one.values[i] != other.values[j] or (i and j and one.values[i - 1] == other.values[j - 1]):
                        continue
                    n = 0
                    while i + n < len(one) and j + n < len(other) and one.values[i + n] == other.values[j + n]:
                        n += 1
                    p, q = int(shelf.start[a]) + i, int(shelf.start[b]) + j
                    if n >= COPY_SAMPLES_MIN and min(shelf.information(p, n), shelf.information(q, n)) >= COPY_BITS_MIN:
                        found.add((one.name, i, other.name, j, n))
    return found


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    lengths=st.lists(st.integers(40, 90), min_size=2, max_size=4),
    cut=st.integers(0, 30),
    place=st.integers(0, 40),
    size=st.integers(10, 40),
)
def test_finds_what_the_slow_way_finds(seed: int, lengths: list[int], cut: int, place: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    values = [measured(rng, load(rng, n, idle_s=5), noise=60) for n in lengths]
    taken = values[0][cut : cut + size]
    end = min(len(values[1]), place + len(taken))
    values[1][place:end] = taken[: end - place]
    shelf = shelve([series(f"u{i}", one) for i, one in enumerate(values)])
    fast = {
        (copy.one, copy.one_index, copy.other, copy.other_index, copy.samples)
        for copy in exact_matches(shelf, samples_min=COPY_SAMPLES_MIN, bits_min=COPY_BITS_MIN)
        if copy.one != copy.other
    }
    assert fast == naive_matches(shelf)


def test_a_rolling_hash_depends_on_the_values_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, 400).astype(float)
    hashes = gram_hashes(values, 6)
    content = [tuple(values[i : i + 6]) for i in range(len(hashes))]
    assert len(set(content)) == len(set(hashes.tolist()))
    assert len({(c, h) for c, h in zip(content, hashes.tolist(), strict=True)}) == len(set(content))


@pytest.fixture(scope="module")
def honest() -> list[np.ndarray]:
    """Eight nodes of one job: one load, sensors of their own."""
    rng = np.random.default_rng(1)
    shared = load(rng, 1500)
    return [measured(rng, shared + 40 * rng.standard_normal(len(shared))) for _ in range(8)]


def test_honest_meters_of_one_load_are_no_copies(honest: list[np.ndarray]) -> None:
    assert find_copies([series(f"n{i}", values) for i, values in enumerate(honest)]) == ()


@pytest.mark.parametrize("grid", [1.0, 10.0, 100.0, 500.0])
def test_nor_are_coarse_ones(grid: float) -> None:
    rng = np.random.default_rng(2)
    shared = load(rng, 1500)
    nodes = [series(f"n{i}", measured(rng, shared, noise=15, grid=grid)) for i in range(6)]
    assert find_copies(nodes) == ()


def test_idle_and_constant_stretches_are_no_copies() -> None:
    idle = [series(f"n{i}", np.full(2000, 2200.0)) for i in range(3)]
    square = np.tile(np.repeat([2000.0, 6000.0], 20), 50)
    periodic = [series(f"p{i}", square) for i in range(3)]
    assert find_copies([*idle, *periodic]) == ()


def test_a_shifted_and_trimmed_copy_is_found_where_it_is(honest: list[np.ndarray]) -> None:
    copied = honest[3][200:900]
    nodes = [series(f"n{i}", values) for i, values in enumerate(honest)]
    found = find_copies([*nodes, series("x", copied, start_s=5000)], near=False)
    assert [(copy.one, copy.other, copy.one_index, copy.other_index, copy.samples) for copy in found] == [
        ("n3", "x", 200, 0, 700)
    ]
    assert found[0].shift_s == pytest.approx(4800)
    assert found[0].kind is CopyKind.EXACT


def test_a_partial_copy_is_found_and_a_shorter_one_is_not(honest: list[np.ndarray]) -> None:
    values = honest[0].copy()
    values[700:730] = honest[5][300:330]
    found = find_copies([series("a", values), series("b", honest[5])], near=False)
    assert len(found) == 1
    assert found[0].samples >= 30
    values = honest[0].copy()
    values[700:710] = honest[5][300:310]
    assert find_copies([series("a", values), series("b", honest[5])], near=False) == ()


@pytest.mark.parametrize(
    ("name", "disguise"),
    [
        ("scaled", lambda x, rng: np.round(1.037 * x + 12)),
        ("offset", lambda x, rng: x + 35.5),
        ("requantised", lambda x, rng: np.round(x / 4) * 4),
        ("noise", lambda x, rng: np.round(x + 2 * rng.standard_normal(len(x)))),
        ("scaled with noise, shifted", lambda x, rng: np.round(0.98 * x[37:] + 2 * rng.standard_normal(len(x) - 37))),
    ],
)
def test_near_copies_are_found(honest: list[np.ndarray], name: str, disguise: object) -> None:
    rng = np.random.default_rng(3)
    nodes = [series(f"n{i}", values) for i, values in enumerate(honest)]
    copied = series("x", disguise(honest[2], rng))  # type: ignore[operator]
    found = find_copies([*nodes, copied])
    assert {copy.one for copy in found} | {copy.other for copy in found} == {"n2", "x"}, name
    assert all(copy.kind is CopyKind.NEAR for copy in found)


def test_a_copy_under_as_much_noise_as_the_sensor_has_is_not_found(honest: list[np.ndarray]) -> None:
    """The limit that the documentation states."""
    rng = np.random.default_rng(4)
    copied = honest[2] + 60 * rng.standard_normal(len(honest[2]))
    assert find_copies([series("a", honest[2]), series("x", np.round(copied))]) == ()


def test_copies_of_copies_are_one_group(honest: list[np.ndarray]) -> None:
    copies = [series(f"c{i}", honest[0]) for i in range(7)]
    found = find_copies([*copies, series("other", honest[1])])
    assert copy_groups(found) == (tuple(f"c{i}" for i in range(7)),)


def test_information_is_bounded_by_what_noise_leaves_open() -> None:
    rng = np.random.default_rng(5)
    values = measured(rng, np.full(4000, 5000.0), noise=8)
    # The collision entropy of a rounded normal: log2(sqrt(4 pi) sigma / step).
    assert information_bits(values)[1:].mean() <= np.log2(np.sqrt(4 * np.pi) * 8) + 0.2
    assert information_bits(np.full(100, 7.0)).sum() == 0


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="one name"):
        find_copies([series("a", np.zeros(50)), series("a", np.zeros(50))])
    assert find_copies([]) == ()
    assert find_copies([series("a", np.arange(5.0))]) == ()
