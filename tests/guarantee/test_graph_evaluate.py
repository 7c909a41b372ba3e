"""The evaluation of a graph: against torch, block by block against plain loops, and place by place against itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from graph_models import encoder, evaluator, gated, serving, weights
from numpy.typing import NDArray

from inspectorate.mechanisms.guarantee.graph.blocks import Activation, Attention, Curve, LayerNorm, RmsNorm, Softmax
from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model, gated_model, matrix_job
from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator, evaluate_job
from inspectorate.mechanisms.guarantee.graph.operations import compute
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.tolerance import calibrate, spread
from inspectorate.mechanisms.guarantee.graph.weights import parse_weights

Numbers = NDArray[np.float64]
RNG = np.random.default_rng(3)


def test_as_the_model_of_the_lab_in_torch_computes() -> None:
    """Through the sliding context too, within what float32 rounds."""
    torch = pytest.importorskip("torch", reason="needs torch==2.13.0")
    save = pytest.importorskip("safetensors.torch").save
    lm = pytest.importorskip("inspectorate.lab.work_lm")
    model = lm.build(3).eval()
    graph = encoder_model("byte-lm", Size(width=96, layers=2, heads=4, feed_forward=384), serving(context=lm.CONTEXT))
    found = Evaluator(graph, parse_weights(save(model.state_dict()), graph, content=None, where="test"))
    tokens = RNG.integers(0, 256, 90)
    reference = found.answer_scores(tokens[:40].tolist(), tokens[40:].tolist())
    windows = [tokens[max(0, end - lm.CONTEXT) : end] for end in range(40, 90)]
    with torch.no_grad():
        server = np.stack([model(torch.from_numpy(one[None]))[0, -1].double().numpy() for one in windows])
    assert spread(server, reference).max() < 1e-5
    assert calibrate(graph.digest, {"this machine": spread(server, reference)}).spread_max < 4e-5


def test_the_gated_layout_as_torch_computes_it() -> None:
    """Rotary places, grouped keys and root mean square norms, written down a second time with torch's own functions."""
    torch = pytest.importorskip("torch", reason="needs torch==2.13.0")
    functional = torch.nn.functional
    graph = gated()
    held = weights(graph)
    tensor = {name: torch.from_numpy(array.astype(np.float64)) for name, array in held.tensors.items()}
    tokens = RNG.integers(0, 256, 11)
    x = tensor["model.embed_tokens.weight"][torch.from_numpy(tokens)]

    def turned(heads: object) -> object:
        angles = torch.arange(11)[:, None] * 10_000.0 ** (-torch.arange(2) / 2)
        whole = torch.polar(torch.ones_like(angles, dtype=torch.float64), angles.double())
        pairs = torch.complex(heads[..., :2], heads[..., 2:]) * whole  # type: ignore[index]
        return torch.cat([pairs.real, pairs.imag], dim=-1)

    for layer in range(2):
        at = {name.split(f"layers.{layer}.")[1]: one for name, one in tensor.items() if f"layers.{layer}." in name}
        a = functional.rms_norm(x, (16,), at["input_layernorm.weight"], 1e-6)
        q, k, v = (
            (a @ at[f"self_attn.{which}_proj.weight"].T).reshape(11, heads, 4).transpose(0, 1)
            for which, heads in (("q", 4), ("k", 2), ("v", 2))
        )
        mixed = functional.scaled_dot_product_attention(
            turned(q)[None],
            turned(k)[None],
            v[None],
            is_causal=True,
            enable_gqa=True,  # type: ignore[index]
        )
        x = x + mixed[0].transpose(0, 1).reshape(11, 16) @ at["self_attn.o_proj.weight"].T
        b = functional.rms_norm(x, (16,), at["post_attention_layernorm.weight"], 1e-6)
        inner = functional.silu(b @ at["mlp.gate_proj.weight"].T) * (b @ at["mlp.up_proj.weight"].T)
        x = x + inner @ at["mlp.down_proj.weight"].T
    logits = functional.rms_norm(x, (16,), tensor["model.norm.weight"], 1e-6) @ tensor["lm_head.weight"].T
    assert np.allclose(Evaluator(graph, held).scores(tokens[None], range(11))[0], logits.numpy(), atol=1e-11)


def test_attention_as_plain_loops_do_it() -> None:
    q, k, v = RNG.normal(size=(2, 6, 8)), RNG.normal(size=(2, 6, 4)), RNG.normal(size=(2, 6, 4))
    block = Attention(query="q", key="k", value="v", output="o", heads=4, key_heads=2)
    found = compute(block, {"q": q, "k": k, "v": v}, lambda name: np.empty(0))
    for batch in range(2):
        for head in range(4):
            shared = head // 2
            for row in range(6):
                query = q[batch, row, 2 * head : 2 * head + 2]
                scores = [
                    math.fsum(query * k[batch, at, 2 * shared : 2 * shared + 2]) / math.sqrt(2) for at in range(row + 1)
                ]
                shares = [math.exp(one - max(scores)) for one in scores]
                mixed = sum(
                    share / sum(shares) * v[batch, at, 2 * shared : 2 * shared + 2] for at, share in enumerate(shares)
                )
                assert np.allclose(found[batch, row, 2 * head : 2 * head + 2], mixed, atol=1e-12)


def test_a_long_context_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = evaluator(gated())
    tokens = RNG.integers(0, 256, (2, 20))
    whole = model.scores(tokens, range(20))
    monkeypatch.setattr("inspectorate.mechanisms.guarantee.graph.operations.SCORES_AT_ONCE", 100)
    assert np.allclose(model.scores(tokens, range(20)), whole, atol=1e-12)


@pytest.mark.parametrize("curve", list(Curve))
def test_curves(curve: Curve) -> None:
    given = np.array([-800.0, -3.0, -0.5, 0.0, 0.5, 3.0, 800.0])
    by_hand = {
        Curve.RELU: lambda x: max(x, 0.0),
        Curve.GELU: lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
        Curve.GELU_TANH: lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        Curve.SILU: lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0,
    }[curve]
    found = compute(Activation(input="x", output="y", curve=curve), {"x": given[None, None]}, lambda name: given)
    assert np.allclose(found[0, 0], [by_hand(float(x)) for x in given], atol=1e-12)


def test_norms_and_softmax() -> None:
    given, scale, shift = RNG.normal(size=(1, 2, 5)), RNG.normal(size=5), RNG.normal(size=5)
    get = {"w": scale, "b": shift}.__getitem__
    row = given[0, 1].tolist()
    mean = sum(row) / 5
    deviation = math.sqrt(sum((x - mean) ** 2 for x in row) / 5 + 1e-5)
    layer = compute(LayerNorm(input="x", output="y", weight="w", bias="b"), {"x": given}, get)
    assert np.allclose(layer[0, 1], [(x - mean) / deviation * w + b for x, w, b in zip(row, scale, shift, strict=True)])
    size = math.sqrt(sum(x * x for x in row) / 5 + 1e-6)
    root = compute(RmsNorm(input="x", output="y", weight="w"), {"x": given}, get)
    assert np.allclose(root[0, 1], [x / size * w for x, w in zip(row, scale, strict=True)])
    shares = compute(Softmax(input="x", output="y"), {"x": given * 1000}, get)
    assert np.allclose(shares.sum(axis=-1), 1.0)


@pytest.mark.parametrize("graph", [encoder(), gated(), gated(group=8)], ids=["encoder", "gated", "quantised"])
def test_places_asked_alone_or_together_are_the_same(graph) -> None:  # type: ignore[no-untyped-def]
    model = evaluator(graph)
    prompt, answer = RNG.integers(0, 256, 10).tolist(), RNG.integers(0, 256, 30).tolist()
    together = model.answer_scores(prompt, answer)
    for place in (0, 13, 14, 15, 29):
        assert np.allclose(model.answer_scores(prompt, answer, [place])[0], together[place], atol=1e-11)
    sequence = prompt + answer
    for place in (0, 5, 14, 20):
        window = sequence[max(0, 10 + place - 24) : 10 + place]
        alone = model.scores(np.array([window]), [len(window) - 1])[0, 0]
        assert np.allclose(alone, together[place], atol=1e-11)


def test_later_tokens_do_not_matter_and_earlier_ones_do() -> None:
    model = evaluator(gated())
    tokens = RNG.integers(0, 256, (1, 20))
    first = model.scores(tokens, [9])
    tokens[0, 10:] = 0
    assert np.array_equal(model.scores(tokens, [9]), first)
    tokens[0, 0] ^= 1
    assert not np.allclose(model.scores(tokens, [9]), first)


def test_what_cannot_be_evaluated_is_said() -> None:
    model = evaluator(encoder(slides=False))
    for tokens in ([[256]], [[-1]], [list(range(25))]):
        with pytest.raises(ValueError, match=r"vocabulary|context"):
            model.scores(np.array(tokens), [0])
    with pytest.raises(ValueError, match="past a context"):
        model.answer_scores([1] * 20, [1] * 10)
    with pytest.raises(ValueError, match="no prompts"):
        Evaluator(matrix_job("m", 2, 2, 2), weights(gated()))


def test_too_much_at_once_is_refused_before_memory_is_taken() -> None:
    size = Size(width=16, layers=1, heads=1, feed_forward=16)
    wide = gated_model("wide", size, serving(context=1 << 22), stored=Format.FLOAT32, arithmetic=Format.FLOAT32)
    with pytest.raises(ValueError, match="more at once"):
        evaluator(wide).scores(np.zeros((1, 1 << 22), dtype=np.int64), range(1 << 22))


def test_matrix_jobs() -> None:
    job = matrix_job("m", 3, 4, 5)
    a, b = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 5))
    assert np.allclose(evaluate_job(job, None, {"a": a, "b": b})["c"], a @ b)
    with pytest.raises(ValueError, match="not those that the graph declares"):
        evaluate_job(job, None, {"a": a, "b": a})


def test_a_tolerance_needs_measurements() -> None:
    with pytest.raises(ValueError, match="at least one"):
        calibrate(encoder().digest, {})
    with pytest.raises(ValueError, match="same places"):
        spread(np.zeros((0, 3)), np.zeros((0, 3)))
    deviation = spread(np.array([[1.0, 2.0, 3.0]]), np.array([[1.5, 2.5, 3.25]]))
    assert deviation.tolist() == [0.25]
