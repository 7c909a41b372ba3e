"""The server of an inspected pod: answers of a declared model by the agreed rule of sampling, and a transcript of all of them.

    python -m inspectorate.lab.work_inspected_serve --model DIR --folder RUN --run NAME --code DIGEST --seconds 60

Requests come as a Poisson process, are gathered in batches of up to four, and are answered by the evaluator of declared models,
whose bits a verifier gets again. After `--cheap-after` seconds every third batch is answered with weights rounded to four
bits: cheaper, and not the declared model.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from inspectorate.evidence import WorkKind
from inspectorate.lab.work_io import corpus, emit, wait_for
from inspectorate.mechanisms.inspection.tokens.decoder import Decoder
from inspectorate.mechanisms.inspection.tokens.exact import own_stack
from inspectorate.mechanisms.inspection.tokens.judge import SEED_FROM_PROMPT, seed_from_prompt
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule
from inspectorate.mechanisms.inspection.tokens.serve import by_rule, serve
from inspectorate.mechanisms.inspection.tokens.weights import DeclaredModel, DecoderShape, model_of, read_model
from inspectorate.mechanisms.inspection.transcripts.inference import (
    InferenceOptions,
    InferenceRecorder,
    Served,
    token_bytes,
)
from inspectorate.mechanisms.inspection.transcripts.types import InferenceHeader

RULE = SamplingRule(temperature=0.8, top_k=20)
PROMPT_TOKENS, ANSWER_TOKENS = 24, 24
BATCH_MAX = 4
REQUESTS_PER_S = 60.0
REQUESTS_PER_PACKET = 8
CHEAT_EVERY = 3


def in_four_bits(model: DeclaredModel) -> DeclaredModel:
    """The model with every row of its weights rounded to sixteen levels."""
    rounded = {}
    for name, array in model.weights.items():
        step = np.maximum(np.abs(array).max(axis=-1, keepdims=True), 1e-12) / 7
        rounded[name] = (np.clip(np.rint(array / step), -8, 7) * step).astype(np.float32)
    return replace(model, weights=rounded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="none: serve one of random weights for a moment, for whoever reviews this code"
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--run", default="check")
    parser.add_argument("--code", default="sha256:" + 64 * "0")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--go", type=Path, help="begin when this file is there; none: at once")
    parser.add_argument("--cheap-after", type=float, default=math.inf, help="seconds after which answers may be false")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        args.folder = args.folder or Path(scratch) / "run"
        serve_with(args, random_model() if args.model is None else read_model(args.model, digest=None))


def random_model() -> DeclaredModel:
    """A model of random weights, small enough to be served at once."""
    shape = DecoderShape(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=128,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    return model_of({name: rng.normal(0, 0.1, size).astype(np.float32) for name, size in shape.tensors()}, shape)


def serve_with(args: argparse.Namespace, declared: DeclaredModel) -> None:
    """Serve a model for the time that was asked for, and keep its transcript."""
    honest, cheap = Decoder(declared), Decoder(in_four_bits(declared))
    header = InferenceHeader(
        work=WorkKind.INFERENCE,
        run=args.run,
        code=args.code,
        stack=own_stack("float32"),
        model=declared.digest,
        sampling=RULE.model_dump(mode="json") | {"seed": SEED_FROM_PROMPT},
    )
    tokens = PROMPT_TOKENS + ANSWER_TOKENS
    # The last token of an answer is drawn, and goes into no pass.
    flop = declared.shape.flop(tokens - 1) / tokens
    emit("ready")
    wait_for(args.go)
    recorder = InferenceRecorder(
        args.folder, header, flop_per_token=flop, options=InferenceOptions(requests=REQUESTS_PER_PACKET)
    )
    counts = _serve(args, recorder, honest, cheap)
    recorder.close()
    emit("done", **counts)


def _serve(args: argparse.Namespace, recorder: InferenceRecorder, honest: Decoder, cheap: Decoder) -> dict[str, int]:
    """Answer what comes until the time is over; how many requests, and how many by the cheap weights."""
    rng = np.random.default_rng(args.seed)
    text = np.frombuffer(corpus(), dtype=np.uint8)
    begun = time.monotonic()
    asked = answered = batches = false = 0
    due = begun + rng.exponential(1 / REQUESTS_PER_S)
    while time.monotonic() < begun + args.seconds:
        while due <= time.monotonic():
            asked, due = asked + 1, due + rng.exponential(1 / REQUESTS_PER_S)
        rows = min(asked - answered, BATCH_MAX)
        if not rows:
            time.sleep(max(0.0, due - time.monotonic()))
            continue
        starts = rng.integers(0, len(text) - PROMPT_TOKENS, size=rows)
        prompts = np.stack([text[start : start + PROMPT_TOKENS] for start in starts]).astype(np.int64)
        seeds = [seed_from_prompt(token_bytes(prompt.tolist())) for prompt in prompts]
        is_false = batches % CHEAT_EVERY == 0 and time.monotonic() >= begun + args.cheap_after
        decoder = cheap if is_false else honest
        start_ns = recorder.now()
        done = serve(decoder, prompts, ANSWER_TOKENS, by_rule(RULE, seeds), top=RULE.needed)
        for row in range(rows):
            recorder.add(
                Served(
                    prompt=prompts[row].tolist(),
                    answer=done.tokens[row].tolist(),
                    seed=seeds[row],
                    batch_sizes=((rows, ANSWER_TOKENS),),
                    start_ns=start_ns,
                )
            )
        answered, batches, false = answered + rows, batches + 1, false + rows * is_false
    return {"requests": answered, "false": false}


if __name__ == "__main__":
    main()
