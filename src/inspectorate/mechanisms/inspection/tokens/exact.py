"""Bit by bit: the tokens are those that the rule gives, the kept proofs those that the activations give.

Only between equal stacks that were set to be deterministic, with the batch size of every pass made again (arXiv 2606.00279). On
unequal stacks a difference says nothing, and so does agreement by luck: `unlike` names what differs, and nothing is run.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inspectorate.mechanisms.inspection.tokens.sampling import I64
from inspectorate.mechanisms.inspection.transcripts.types import Request, Stack

ENGINE = "inspectorate-decoder"
ENGINE_VERSION = "1"


def own_stack(precision: str) -> Stack:
    """The stack of this program on this machine, with one thread."""
    return Stack(
        hardware=_processor()[:200],
        threads=1,
        versions={
            ENGINE: ENGINE_VERSION,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "blas": _blas(),
        },
        attention="numpy",
        quantisation=None if precision == "float32" else precision,
        deterministic=True,
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> str:
    config: Any = np.show_config(mode="dicts")
    found: Mapping[str, str] = config["Build Dependencies"]["blas"] if isinstance(config, dict) else {}
    return f"{found.get('name', 'unknown')} {found.get('version', '')}".strip()


def unlike(prover: Stack, verifier: Stack) -> str | None:
    """Why two stacks cannot be compared bit by bit; None where they can."""
    if not prover.deterministic or not verifier.deterministic:
        return "a stack is not deterministic"
    odd = [name for name in Stack.model_fields if getattr(prover, name) != getattr(verifier, name)]
    return f"the stacks differ in {', '.join(odd)}" if odd else None


def batches_of(request: Request) -> list[int] | None:
    """The batch size of every pass, from their runs; None unless there is one for each token of the answer."""
    if any(size < 1 or count < 1 for size, count in request.batch_sizes):
        return None
    if sum(count for _, count in request.batch_sizes) != request.answer_tokens:
        return None
    return [size for size, count in request.batch_sizes for _ in range(count)]


def first_difference(tokens: I64, expected: I64) -> int | None:
    """The first place at which an answer is another; None where it is the same."""
    places = np.flatnonzero(tokens != expected)
    return int(places[0]) if places.size else None
