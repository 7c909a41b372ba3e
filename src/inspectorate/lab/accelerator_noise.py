"""The noise of honest re-execution on one stack: weights after the same training, hidden states and logits of the same text.

Weights: the same twenty steps, from the same seed on the same data, are run in many ways; the distance of the weights to those
of the first run, after 1, 5 and 20 steps, is what a tolerance must let through. Steps that are not the same stand beside it.

States: one model, trained briefly on real prose, reads the same sequences in different batches, with a cache or without, in other
formats and with rounded weights. Kept are, for a stretch of 32 symbols of each sequence, the 128 largest of the last hidden state
and the 32 largest logits, each with its place.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from inspectorate.lab.accelerator_models import Cache, Shape, Transformer
from inspectorate.lab.work_io import corpus

SYMBOLS = 4096
"""Two bytes of text are one symbol, by their number modulo this."""
KEPT_STEPS = (1, 5, 20)
SEQUENCES, LENGTH, KEPT = 8, 256, slice(96, 128)
HIDDEN_KEPT, LOGITS_KEPT = 128, 32
BACKENDS = {"math": SDPBackend.MATH, "efficient": SDPBackend.EFFICIENT_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
            "cudnn": SDPBackend.CUDNN_ATTENTION}  # fmt: skip


def text_symbols() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The text as symbols."""
    data = np.frombuffer(corpus(), dtype=np.uint8).astype(np.int64)
    data = data[: len(data) // 2 * 2]
    return (data[0::2] * 256 + data[1::2]) % SYMBOLS


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of running the same steps."""

    name: str
    seed: int = 1
    parts: int = 1
    dtype: str = "float32"
    """`float32`, `tf32`, `autocast` (bfloat16 products, weights in 32 bits), `bfloat16` (all of it)."""
    deterministic: bool = False
    attention: str = ""
    fused: bool = False
    skip: int = 0
    """A step that is left out."""
    reference: str = "float32"


def ways() -> tuple[Way, ...]:
    """The first of each format is what the others of it are held against."""
    formats = ("float32", "tf32", "autocast", "bfloat16")
    found = [Way(name=one, dtype=one, reference=one) for one in formats]
    for one in formats:
        base = Way(name="", dtype=one, reference=one)
        found += [replace(base, name=f"{one}/again"), replace(base, name=f"{one}/parts-2", parts=2),
                  replace(base, name=f"{one}/deterministic", deterministic=True),
                  replace(base, name=f"{one}/fused-optimizer", fused=True)]  # fmt: skip
    for one in ("float32", "autocast"):
        base = Way(name="", dtype=one, reference=one)
        found += [replace(base, name=f"{one}/attention-{kind}", attention=kind) for kind in BACKENDS]
    for one in ("float32", "autocast"):
        base = Way(name="", dtype=one, reference=one)
        found += [replace(base, name=f"{one}/parts-4", parts=4), replace(base, name=f"{one}/deterministic-parts-2",
                  parts=2, deterministic=True), replace(base, name=f"{one}/other-seed", seed=2),
                  replace(base, name=f"{one}/step-3-skipped", skip=3)]  # fmt: skip
    found += [Way(name="tf32-for-float32", dtype="tf32"), Way(name="autocast-for-float32", dtype="autocast")]
    return tuple(found)


@contextlib.contextmanager
def manner(way: Way) -> Iterator[None]:
    """The process's switches as a way wants them, and back."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = way.dtype == "tf32"
    torch.use_deterministic_algorithms(way.deterministic, warn_only=True)
    chosen = sdpa_kernel(BACKENDS[way.attention]) if way.attention else contextlib.nullcontext()
    try:
        with chosen:
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        torch.use_deterministic_algorithms(False)


def trained(way: Way, shape: Shape, device: str, *, rows: int, length: int) -> dict[int, list[Tensor]]:
    """Weights after each of `KEPT_STEPS`, and at the start (0), all in 32 bits."""
    torch.manual_seed(way.seed)
    # Made on the host, so that the start does not depend on the device's generator.
    model = Transformer(shape, length_max=length).to(device)
    if way.dtype == "bfloat16":
        model = model.to(torch.bfloat16)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, fused=way.fused, foreach=False if not way.fused else None
    )
    symbols = torch.from_numpy(text_symbols() % shape.vocabulary)
    chance = np.random.default_rng(7)
    kept = {0: _weights(model)}
    with manner(way):
        for step in range(1, max(KEPT_STEPS) + 1):
            first = chance.integers(0, len(symbols) - length - 1, rows)
            given = torch.stack([symbols[at : at + length + 1] for at in first.tolist()]).to(device)
            if step != way.skip:
                for part in given.chunk(way.parts):
                    context = (
                        torch.autocast(device, torch.bfloat16) if way.dtype == "autocast" else contextlib.nullcontext()
                    )
                    with context:
                        logits = model(part[:, :-1])
                        loss = functional.cross_entropy(logits.flatten(0, 1).float(), part[:, 1:].flatten())
                    (loss / way.parts).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            if step in KEPT_STEPS:
                kept[step] = _weights(model)
    return kept


def _weights(model: Transformer) -> list[Tensor]:
    return [one.detach().float().clone() for one in model.parameters()]


def distances(found: dict[int, list[Tensor]], base: dict[int, list[Tensor]]) -> dict[str, dict[str, float]]:
    """How far weights are from those of the reference, after each of the kept steps."""
    out = {}
    for step in KEPT_STEPS:
        pairs = list(zip(found[step], base[step], strict=True))
        apart = sum(float((a - b).double().square().sum()) for a, b in pairs) ** 0.5
        moved = sum(float((b - s).double().square().sum()) for b, s in zip(base[step], base[0], strict=True)) ** 0.5
        norm = sum(float(b.double().square().sum()) for b in base[step]) ** 0.5
        out[str(step)] = {
            "max": max(float((a - b).abs().max()) for a, b in pairs), "l2": apart, "l2_of_weights": norm,
            "l2_of_movement": moved, "elements_changed_share": _changed(pairs),
        }  # fmt: skip
    return out


def _changed(pairs: list[tuple[Tensor, Tensor]]) -> float:
    changed = sum(int((a != b).sum()) for a, b in pairs)
    return changed / sum(a.numel() for a, _ in pairs)


# --- hidden states ---------------------------------------------------------------------------------------------------------


def prose_model(shape: Shape, device: str, *, steps: int, rows: int) -> dict[int, dict[str, Tensor]]:
    """Weights of a model after `steps`, and after one less than that, of training on the text."""
    torch.manual_seed(3)
    with torch.device(device):
        model = Transformer(shape, length_max=LENGTH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
    symbols = torch.from_numpy(text_symbols() % shape.vocabulary)
    chance = np.random.default_rng(11)
    kept = {}
    for step in range(1, steps + 1):
        first = chance.integers(0, len(symbols) - LENGTH - 1, rows)
        given = torch.stack([symbols[at : at + LENGTH + 1] for at in first.tolist()]).to(device)
        with torch.autocast(device, torch.bfloat16):
            loss = functional.cross_entropy(model(given[:, :-1]).flatten(0, 1).float(), given[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= steps - 1:
            kept[step] = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return kept


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way of reading the same sequences."""

    name: str
    dtype: torch.dtype = torch.bfloat16
    rows: int = 8
    cached: bool = False
    attention: str = ""
    tf32: bool = False
    bits: int = 0
    """Of weights that were rounded; 0: none was."""
    older: bool = False
    """The model as it was one step before."""
    chunk: int = 0
    """Prompts are read in pieces of so many symbols, with a cache."""


def readings() -> tuple[Reading, ...]:
    formats = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
    found = [Reading(name="bfloat16/rows-8"), Reading(name="bfloat16/rows-8/again")]
    for name, dtype in formats.items():
        found += [Reading(name=f"{name}/rows-{rows}", dtype=dtype, rows=rows) for rows in (1, 2, 8, 32)
                  if (name, rows) != ("bfloat16", 8)]  # fmt: skip
        found.append(Reading(name=f"{name}/cached/rows-8", dtype=dtype, cached=True))
    found += [Reading(name=f"bfloat16/cached/rows-{rows}", cached=True, rows=rows) for rows in (2, 32)]
    found += [Reading(name=f"bfloat16/attention-{kind}", attention=kind) for kind in BACKENDS]
    found += [
        Reading(name="bfloat16/chunks-64", chunk=64),
        Reading(name="float32/tf32", dtype=torch.float32, tf32=True),
    ]
    found += [Reading(name=f"bfloat16/weights-{bits}-bits", bits=bits) for bits in (8, 4)]
    found += [Reading(name="bfloat16/weights-8-bits/cached", bits=8, cached=True)]
    found += [Reading(name="bfloat16/one-step-older", older=True)]
    return tuple(found)


def rounded(weights: dict[str, Tensor], bits: int, group: int = 64) -> dict[str, Tensor]:
    """Matrices of blocks rounded to so many bits, symmetric, in groups of each row; back in their own format."""
    found = {}
    for name, value in weights.items():
        if "blocks" in name and value.dim() == 2 and value.shape[1] % group == 0:
            parts = value.float().view(value.shape[0], -1, group)
            scale = parts.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / (2 ** (bits - 1) - 1)
            value = ((parts / scale).round() * scale).view(value.shape).to(value.dtype)
        found[name] = value
    return found


def read_with(reading: Reading, shape: Shape, weights: dict[str, Tensor], given: Tensor) -> tuple[Tensor, Tensor]:
    """Last hidden states and logits of all sequences, (sequences, length, ...), in 32 bits."""
    device = str(given.device)
    with torch.device(device):
        model = Transformer(shape, length_max=LENGTH)
    model.load_state_dict(rounded(weights, reading.bits) if reading.bits else weights)
    model = model.to(reading.dtype).requires_grad_(False)
    assert model.head is not None
    # Rows beyond the sequences are other text, whose states are not kept.
    rows = torch.cat([given, given.roll(1, dims=1), given.roll(2, dims=1), given.roll(3, dims=1)])
    states = []
    torch.backends.cuda.matmul.allow_tf32 = reading.tf32
    chosen = sdpa_kernel(BACKENDS[reading.attention]) if reading.attention else contextlib.nullcontext()
    try:
        with torch.no_grad(), chosen:
            for first in range(0, len(given), reading.rows):
                found = _hidden(model, rows[first : first + reading.rows], reading)
                states.append(found[: len(given) - first])
            hidden = torch.cat(states)
            logits = model.head(hidden)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    return hidden.float(), logits.float()


def _hidden(model: Transformer, given: Tensor, reading: Reading) -> Tensor:
    step = 1 if reading.cached else reading.chunk
    if not step:
        return model.hidden(given)
    cache = Cache(model.shape, len(given), given.shape[1], device=str(given.device), dtype=reading.dtype)
    places = torch.arange(given.shape[1], device=given.device)
    parts = [
        model.cached_hidden(given[:, at : at + step], cache, places[at : at + step])
        for at in range(0, given.shape[1], step)
    ]
    return torch.cat(parts, dim=1)


States = tuple[Tensor, Tensor]


def compared(found: States, base: States) -> dict[str, float]:
    """What differs between two readings of the same text."""
    hidden, logits = found
    apart = (hidden - base[0]).double()
    chances, others = functional.log_softmax(base[1].double(), -1), functional.log_softmax(logits.double(), -1)
    kl = (chances.exp() * (chances - others)).sum(-1)
    top, top_base = logits.topk(10).indices, base[1].topk(10).indices
    overlap = (top[..., :, None] == top_base[..., None, :]).any(-1).double().mean()
    return {
        "tokens": float(hidden.shape[0] * hidden.shape[1]), "hidden_max": float(apart.abs().max()),
        "hidden_l2_share": float(apart.norm() / base[0].double().norm()), "hidden_equal_share": float((apart == 0).double().mean()),
        "logit_max": float((logits - base[1]).abs().max()), "kl_mean": float(kl.mean()), "kl_max": float(kl.max()),
        "first_equal_share": float((logits.argmax(-1) == base[1].argmax(-1)).double().mean()), "ten_equal_share": float(overlap),
    }  # fmt: skip


def product_rates(sides: tuple[int, ...], *, seconds: float) -> list[dict[str, object]]:
    """FLOP a second of square matrix products, by format and side. Only on a chip."""
    found: list[dict[str, object]] = []
    formats = {"bfloat16": torch.bfloat16, "float16": torch.float16, "tf32": torch.float32, "float32": torch.float32,
               "float64": torch.float64}  # fmt: skip
    for name, dtype in formats.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        for side in sides if name == "bfloat16" else sides[-2:-1]:
            first, second = (torch.randn(side, side, device="cuda", dtype=dtype) for _ in range(2))
            marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            torch.mm(first, second)
            torch.cuda.synchronize()
            marks[0].record()
            torch.mm(first, second)
            marks[1].record()
            torch.cuda.synchronize()
            times = max(3, min(2000, round(seconds * 1e3 / max(marks[0].elapsed_time(marks[1]), 1e-3))))
            marks[0].record()
            for _ in range(times):
                torch.mm(first, second)
            marks[1].record()
            torch.cuda.synchronize()
            each_s = marks[0].elapsed_time(marks[1]) / 1e3 / times
            found.append({"format": name, "side": side, "times": times, "flop_per_s": 2.0 * side**3 / each_s})
    torch.backends.cuda.matmul.allow_tf32 = False
    return found
