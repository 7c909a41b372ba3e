"""Forward formulas: what training and inference send over a pod's link, per direction.

Bytes are bytes, rates are bytes or tokens per second, `bits` are bits per value, `flop_per_s` is what is reached.
Sources: A3 is the interconnect example of arXiv 2506.15867; the simulator is that of arXiv 2605.29359.
"""

from __future__ import annotations

import math


def gradient_bytes(parameters: float, bits: float, compression: float = 1.0) -> float:
    """One exchange of gradients, one way: P x b / 8 / compression (A3)."""
    return parameters * bits / 8 / compression


def step_s(tokens: float, parameters: float, flop_per_s: float) -> float:
    """Seconds to compute one step: 6 P tokens / rate (A3; arXiv 2001.08361)."""
    return 6 * parameters * tokens / flop_per_s


def ring_bytes(size: float, pods: int) -> float:
    """Ring all-reduce, one way: 2 (k - 1) / k x size. Raises `ValueError` below one pod."""
    if pods < 1:
        raise ValueError("a ring needs at least one pod")
    return 2 * (pods - 1) / pods * size


def low_communication_bytes_per_s(
    parameters: float, bits: float, *, inner_steps: float, compression: float, inner_step_s: float
) -> float:
    """Sustained need of local training, overlapped: one compressed exchange every H steps (A3)."""
    return gradient_bytes(parameters, bits, compression) / (inner_steps * inner_step_s)


def token_bytes_per_s(tokens_per_s: float, bits: float) -> float:
    """Tokens in or out, at so many bits each (A3: 17 bits for a vocabulary of 128,000)."""
    return tokens_per_s * bits / 8


def bits_per_token(vocabulary: int) -> int:
    """Whole bits for one of so many tokens. Raises `ValueError` below two."""
    if vocabulary < 2:
        raise ValueError("a vocabulary needs two tokens")
    return math.ceil(math.log2(vocabulary))


def load_s(parameters: float, bits: float, bytes_per_s: float) -> float:
    """Seconds to load a model through a limit (A3)."""
    return gradient_bytes(parameters, bits) / bytes_per_s


def pipeline_tokens_per_s(bytes_per_s: float, width: float, bits: float, compression: float = 1.0) -> float:
    """Tokens per second through a pipeline that is bound by one boundary, each way (A3: width x bits / 8 a token)."""
    return bytes_per_s / (width * bits / 8 / compression)


def synchronise_s(
    size: float, sent_bytes_per_s: float, received_bytes_per_s: float, round_trip_s: float, nodes: int
) -> float:
    """One synchronisation, sending and receiving in turn: (V/up + V/down + latency) x (1 + 0.05 log2 N) (simulator)."""
    spread = 1 + 0.05 * math.log2(nodes)
    return (size / sent_bytes_per_s + size / received_bytes_per_s + round_trip_s) * spread


def inner_steps_min(sync_s: float, compute_s: float) -> int:
    """The fewest steps between synchronisations that hide them behind computing (simulator)."""
    return math.ceil(sync_s / compute_s)


def blocking_utilisation(compute_s: float, sync_s: float) -> float:
    """Share of the time spent computing, where computing waits for synchronisation."""
    return compute_s / (compute_s + sync_s)


def slowed(need_bytes_per_s: float, limit_bytes_per_s: float) -> float:
    """How much longer a run takes that needs so much, where it may have so much: need / limit, at least 1."""
    return max(1.0, need_bytes_per_s / limit_bytes_per_s)
