"""That the workers of the trials learn, with torch and without network: replicas in one process, halves against a whole."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs torch==2.13.0")

from inspectorate.lab import work_lm as lm  # noqa: E402
from inspectorate.lab.trial import Compression, Method, Trial, message_bytes  # noqa: E402
from inspectorate.lab.trial_frames import MESSAGE_HEADER_BYTES  # noqa: E402
from inspectorate.lab.trial_shape import BENCH, SMALL, Shape  # noqa: E402
from inspectorate.lab.work_trial_pipeline import Stage  # noqa: E402
from inspectorate.lab.work_trial_rounds import Replica  # noqa: E402

TINY = Shape(width=32, layers=2, heads=2, context=32)


def rounds(compression: Compression) -> Trial:
    return Trial(
        name="t",
        method=Method.LOW_COMMUNICATION,
        shape=TINY,
        batch=8,
        inner_steps=10,
        compression=compression,
        steps=2,
    )


@pytest.mark.parametrize("shape", [TINY, BENCH, SMALL], ids=["tiny", "bench", "small"])
def test_the_formula_counts_the_parameters_that_there_are(shape: Shape) -> None:
    assert sum(p.numel() for p in lm.build(1, shape=shape).parameters()) == shape.parameters


@pytest.mark.parametrize("compression", [Compression.FP32, Compression.INT8, Compression.SPARSE])
def test_replicas_learn_and_stay_equal(compression: Compression) -> None:
    trial = rounds(compression)
    replicas = [Replica(trial, rank=rank, seed=1) for rank in range(2)]
    losses = []
    for _ in range(12):
        computed = [replica.compute() for replica in replicas]
        packed = [replica.pack(difference) for replica, (_, difference) in zip(replicas, computed, strict=True)]
        assert {len(one) + MESSAGE_HEADER_BYTES for one in packed} == {message_bytes(trial)}
        for replica in replicas:
            replica.apply(packed)
        assert replicas[0].digest() == replicas[1].digest()
        losses.append(sum(loss for loss, _ in computed) / 2)
    assert losses[-1] < losses[0] - 0.5


def test_replicas_that_hear_different_things_come_apart() -> None:
    replicas = [Replica(rounds(Compression.SPARSE), rank=rank, seed=1) for rank in range(2)]
    packed = [replica.pack(replica.compute()[1]) for replica in replicas]
    replicas[0].apply(packed)
    replicas[1].apply([packed[0], packed[0]])
    assert replicas[0].digest() != replicas[1].digest()


@pytest.mark.parametrize(("compression", "off"), [(Compression.FP16, 0.02), (Compression.INT8, 0.1)])
def test_two_halves_have_the_gradients_of_the_whole(compression: Compression, off: float) -> None:
    trial = Trial(
        name="t", method=Method.PIPELINE, shape=TINY, batch=4, micro_batches=2, compression=compression, steps=2
    )
    first, second = (Stage(trial, rank=rank, seed=1) for rank in range(2))
    whole = lm.build(1, shape=TINY)
    total = 0.0
    for batch, same in zip(first.next_batches(), second.next_batches(), strict=True):
        assert torch.equal(batch, same)
        hidden, packed = first.forward(batch)
        assert len(packed) + MESSAGE_HEADER_BYTES == message_bytes(trial)
        loss, back = second.both_ways(packed, batch)
        first.backward(hidden, back)
        expected = lm.loss_of(whole, batch)
        (expected / 2).backward()
        total += abs(loss - expected.item())
    assert total < 0.02
    gradients = dict(whole.named_parameters())
    found = {
        "symbol.weight": first._half.symbol.weight.grad,
        "layers.layers.0.linear1.weight": first._half.layers[0].linear1.weight.grad,
        "layers.layers.1.linear1.weight": second._half.layers[0].linear1.weight.grad,
        "head.weight": second._half.head.weight.grad,
    }
    for name, gradient in found.items():
        true = gradients[name].grad
        assert float((gradient - true).norm() / true.norm()) < off, name


def test_two_halves_learn() -> None:
    trial = Trial(
        name="t", method=Method.PIPELINE, shape=TINY, batch=4, micro_batches=2, compression=Compression.INT8, steps=2
    )
    first, second = (Stage(trial, rank=rank, seed=1) for rank in range(2))
    losses = []
    for _ in range(60):
        total = 0.0
        for batch, _ in zip(first.next_batches(), second.next_batches(), strict=True):
            hidden, packed = first.forward(batch)
            loss, back = second.both_ways(packed, batch)
            first.backward(hidden, back)
            total += loss / 2
        first.learn()
        second.learn()
        losses.append(total)
    assert losses[-1] < losses[0] - 0.8
