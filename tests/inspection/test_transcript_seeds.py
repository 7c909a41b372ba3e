"""Seeds, order of data and first weights: against slow forms, and against what numbers must be."""

from __future__ import annotations

import hashlib
import math
from statistics import NormalDist

import numpy as np
import pytest

from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.transcripts.seeds import (
    data_order,
    exact_log,
    inverse_normal,
    normal,
    order_is_of,
    seed_is_of,
    seed_of,
    stream,
    uniform,
)

ITEMS = tuple("sha256:" + hashlib.sha256(bytes([number])).hexdigest() for number in range(7))
SEED = seed_of(ITEMS, "ab" * 32)


def test_the_seed_is_the_hash_over_digests_and_random_part() -> None:
    slow = hashlib.sha256(b"".join(hashlib.sha256(bytes([n])).digest() for n in range(7)) + bytes.fromhex("ab" * 32))
    assert slow.hexdigest() == SEED
    assert seed_is_of(SEED, ITEMS, "ab" * 32)
    for items, random in ((ITEMS[::-1], "ab" * 32), (ITEMS[1:], "ab" * 32), (ITEMS, "ac" * 32)):
        assert not seed_is_of(SEED, items, random)
    with pytest.raises(ValueError, match="32 bytes"):
        seed_of(["sha256:12"], "ab" * 32)


def test_the_order_is_a_permutation_a_pass_and_goes_on() -> None:
    order = data_order(7, SEED, draws=20)
    assert [sorted(order[start : start + 7]) for start in (0, 7)] == [list(range(7))] * 2
    words = stream(SEED, "order").random_raw(14).tolist()
    slow = [sorted(range(7), key=words[at : at + 7].__getitem__) for at in (0, 7)]
    assert order[:14].tolist() == slow[0] + slow[1]
    assert order.tolist() == data_order(7, SEED, draws=30)[:20].tolist()
    assert order_is_of(order[4:15].tolist(), 7, SEED, start=4)
    assert not order_is_of([*order[:9], order[10], order[9]], 7, SEED)
    assert not order_is_of([], 7, SEED)
    with pytest.raises(ValueError, match="no order"):
        data_order(0, SEED)


def test_streams_are_known_numbers() -> None:
    """Written down: a change of them would make every first weight of every run another."""
    assert stream("00" * 32, "weights/0").random_raw(2).tolist() == list(KNOWN_WORDS)
    assert normal(stream("00" * 32, "weights/0"), 3).tolist() == KNOWN_NORMAL


KNOWN_WORDS = (8_187_233_982_302_122_752, 6_436_448_972_024_605_808)
KNOWN_NORMAL = [-0.14126362173711973, -0.3882362681955519, 0.14049183644121616]


def test_numbers_have_the_distribution_they_should() -> None:
    z = normal(stream(SEED, "x"), 100_000)
    assert abs(z.mean()) < 4 / math.sqrt(z.size)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / z.size)
    u = uniform(stream(SEED, "y"), 100_000)
    assert 0 < u.min() < 1e-4 < 1 - 1e-4 < u.max() < 1
    shares = np.concatenate([np.linspace(1e-3, 1 - 1e-3, 301), 10.0 ** -np.arange(4, 16.0)])
    slow = [NormalDist().inv_cdf(float(one)) for one in shares]
    np.testing.assert_allclose(inverse_normal(shares), slow, rtol=1e-14, atol=1e-15)
    values = 10.0 ** np.linspace(-16, 0, 1001)
    np.testing.assert_allclose(exact_log(values), [math.log(one) for one in values], rtol=1e-14, atol=1e-16)


def test_first_weights_are_the_seeds_and_the_builder_cannot_choose_them() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from inspectorate.mechanisms.inspection.transcripts.torch_seeds import initial_weights, weights_are_of
    from inspectorate.mechanisms.inspection.transcripts.torch_state import weights_of

    nn = torch.nn

    def build() -> torch.nn.Module:
        model = nn.ModuleList(
            [nn.Linear(64, 32), nn.Embedding(9, 4), nn.TransformerEncoderLayer(8, 2, 8), nn.LSTM(3, 2)]
        )
        model.register_buffer("noise", torch.randn(3) + torch.rand(3))
        return model

    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two = initial_weights(build, SEED), initial_weights(build, SEED)
    assert torch.equal(torch.get_rng_state(), before)
    weights = weights_of(one)
    assert all(torch.equal(weights_of(two)[name], value) for name, value in weights.items())
    other = weights_of(initial_weights(build, "cd" * 32))
    assert not any(torch.equal(other[name], value) for name, value in weights.items() if value.unique().numel() > 1)
    bound = 1 / math.sqrt(64)
    u = uniform(stream(SEED, "weights/0"), 64 * 32)
    expected = (u * (2 * bound) - bound).astype(np.float32).reshape(32, 64)
    np.testing.assert_array_equal(weights["0.weight"].numpy(), expected)
    np.testing.assert_array_equal(
        weights["1.weight"].numpy(), normal(stream(SEED, "weights/2"), 36).astype(np.float32).reshape(9, 4)
    )
    from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
    from inspectorate.mechanisms.inspection.transcripts.torch_state import raw_of

    assert weights_are_of(build, SEED, digest_of_tensors(raw_of(weights)))
    assert not weights_are_of(build, "cd" * 32, digest_of_tensors(raw_of(weights)))
    with pytest.raises(InputError, match="no seed of a run gives"):
        initial_weights(lambda: nn.Linear(int(torch.randperm(3)[0]) + 1, 2), SEED)
