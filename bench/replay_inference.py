"""Checks of answers, measured: `python -m bench replay_inference [--steps N] [--answers N] [--tokens N]`. Needs torch.

Decoders of the Llama kind are trained here on the text of the bench. 1. Honest stacks, each in a process of its own, give the
tolerances; held-out answers of theirs the ROC curves and the false accusations. 2. Servers that differ in one thing are held
against the declared model by every method: area under the ROC curve at false alarm rates below 1 %, tokens until 99 % of
streams are accused, and what the method lets through. 3. Messages are hidden at several costs and read back. Published figures
stand beside. With a GPU, servers on it are among the honest stacks. Exits 1 where a target is missed.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inspectorate.lab import token_attacks as attacks
from inspectorate.lab import token_trials as trials
from inspectorate.mechanisms.inspection.results import Tolerance
from inspectorate.mechanisms.inspection.tokens import betting, calibrate, covert, difr, toploc
from inspectorate.mechanisms.inspection.tokens.decoder import Decoder, Precision
from inspectorate.mechanisms.inspection.tokens.exact import own_stack
from inspectorate.mechanisms.inspection.tokens.reference import (
    DISTANCE_CLIP,
    FALSE_ACCUSATION_RATE,
    MARGIN_CLIP,
    PUBLISHED,
    TOKENS_PER_S,
)
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits
from inspectorate.mechanisms.inspection.tokens.serve import Served
from inspectorate.mechanisms.inspection.tokens.weights import DeclaredModel, read_model

F64 = NDArray[np.float64]
OUT = Console(width=170)
RULE = SamplingRule(temperature=1.0, top_k=50)
KEEPING = trials.Keeping(
    toploc.ProofSettings(topk=128, batching=32, skip_prefill=True), difr.ProjectionSettings(size=16)
)
PROMPT = 64
BATCHES = 300
STREAMS = 200
STREAM_TOKENS = 20_000
STACKS = {
    "torch, 1 thread": {"TOKEN_THREADS": "1"},
    "torch, 2 threads": {"TOKEN_THREADS": "2"},
    "torch, no vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "torch, AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "torch, one request at a time": {"TOKEN_ROWS": "1"},
}
"""Honest servers, all in torch's bfloat16 with a cache; the verifier reads prompt and answer at once, with numpy."""
ON_GPU = {
    "torch, GPU": {"TOKEN_DEVICE": "cuda"},
    "torch, GPU, one request at a time": {"TOKEN_DEVICE": "cuda", "TOKEN_ROWS": "1"},
}
"""Where there is one."""

HONEST_ANSWERS = 16
"""Of each stack; one half calibrates, the other is what the ROC curves and the false accusations are taken from."""


class Result:
    met = True

    def need(self, what: str, holds: bool) -> None:
        if not holds:
            OUT.print(f"[bold red]missed[/]: {what}")
            self.met = False


# --- honest stacks -------------------------------------------------------------------------------------------------------


def serve_with_torch(model_folder: Path, given: Path, out: Path) -> None:
    """The process behind `honest_pairs`: torch's own bfloat16, token by token."""
    import torch

    from inspectorate.lab import token_model

    torch.set_num_threads(int(os.environ.get("TOKEN_THREADS", "1")))
    torch.set_grad_enabled(False)
    model = token_model.read_torch(model_folder).to(os.environ.get("TOKEN_DEVICE", "cpu"), torch.bfloat16)
    asked = np.load(given)
    prompts, seeds, length = asked["prompts"], asked["seeds"].tolist(), int(asked["length"])
    rows = int(os.environ.get("TOKEN_ROWS", "8"))
    tokens, decoded = [], []
    for start in range(0, len(prompts), rows):
        found = token_model.serve_torch(model, prompts[start : start + rows], seeds[start : start + rows], length, RULE)
        tokens.append(found.tokens)
        decoded.append(found.decoded)
    np.savez(out, tokens=np.concatenate(tokens), decoded=np.concatenate(decoded))


def stacks_here() -> dict[str, dict[str, str]]:
    import torch

    return {**STACKS, **(ON_GPU if torch.cuda.is_available() else {})}


def halved(pairs: dict[str, trials.Looked]) -> tuple[dict[str, trials.Looked], trials.Looked]:
    """Every second answer of each stack to calibrate with; the others, of all stacks together, held out."""
    parts = [
        {name: trials.some_of(one, range(first, len(one.tokens), 2)) for name, one in pairs.items()} for first in (0, 1)
    ]
    return parts[0], trials.together(list(parts[1].values()))


def honest_pairs(folder: Path, asked: attacks.Asked, verifier: Decoder) -> dict[str, trials.Looked]:
    """Each stack's answers to prompts of its own, as the verifier sees them."""
    found = {}
    stacks = stacks_here()
    share = len(asked.prompts) // len(stacks)
    for number, (name, settings) in enumerate(stacks.items()):
        part = slice(number * share, (number + 1) * share)
        prompts, seeds = asked.prompts[part], np.array(asked.seeds[part])
        with tempfile.TemporaryDirectory() as scratch:
            given, out = Path(scratch) / "asked.npz", Path(scratch) / "out.npz"
            np.savez(given, prompts=prompts, seeds=seeds, length=asked.length)
            command = [sys.executable, __file__, "--serve", str(folder), str(given), str(out)]
            subprocess.run(command, env={**os.environ, **settings}, check=True)
            answers = np.load(out)
            served = Served(answers["tokens"], np.empty((share, 0, 0), np.float32), answers["decoded"])
        own = attacks.Asked(prompts=prompts, seeds=tuple(seeds.tolist()), rule=RULE, length=asked.length)
        found[name] = trials.look(verifier, own, served, KEEPING)
    return found


def calibrated(pairs: dict[str, trials.Looked], vocabulary: int) -> tuple[Tolerance, Tolerance]:
    about = calibrate.About(id="bench", stacks=(own_stack("bfloat16"),), vocabulary=vocabulary)
    margins = [run * MARGIN_CLIP for one in pairs.values() for run in one.tokens]
    distances = [run * DISTANCE_CLIP for one in pairs.values() for run in one.activations]
    costs = np.concatenate([one.costs for one in pairs.values()])
    difr_made = calibrate.calibrate_difr(margins, about, distances=distances, costs=costs)
    toploc_made = calibrate.calibrate_toploc([run for one in pairs.values() for run in one.proofs], about)
    table = Table(
        "honest stack", "tokens", "same token", "mean margin", "mean distance", "proofs", "exponents", "mantissa mean"
    )
    for name, one in pairs.items():
        proofs = [proof for run in one.proofs for proof in run]
        table.add_row(
            name, str(sum(map(len, one.tokens))), f"{one.equal:.2%}", f"{np.concatenate(one.tokens).mean() * MARGIN_CLIP:.5f}",
            f"{np.concatenate(one.activations).mean():.4f}", str(len(proofs)),
            f"{np.mean([p.exponent_mismatches for p in proofs]):.2f}", f"{np.mean([p.mantissa_mean or 0 for p in proofs]):.2f}",
        )  # fmt: skip
    OUT.print(table)
    largest = max(float(run.max()) for run in margins)
    OUT.print(f"largest honest margin {largest:.4f}; tolerances: {difr_made.parameters}; {toploc_made.parameters}")
    return difr_made, toploc_made


# --- methods -------------------------------------------------------------------------------------------------------------


class Method:
    """One way of checking: its units, their scores, and the limit on their mean."""

    def __init__(self, name: str, unit: int, windows: tuple[int, ...], limit: float | None) -> None:
        self.name, self.unit, self.windows, self.limit = name, unit, windows, limit


def methods_of(tolerances: tuple[Tolerance, Tolerance]) -> list[Method]:
    difr_made, toploc_made = (one.parameters for one in tolerances)
    return [
        Method("exact", 1, (1, 32, 300), None),
        Method("TOPLOC", 32, (32, 320), toploc_made[calibrate.RATE]),
        Method("Token-DiFR", 1, (32, 300, 3000), difr_made[calibrate.TOKEN_MEAN]),
        Method("Activation-DiFR", 1, (2, 32), difr_made[calibrate.ACTIVATION_MEAN]),
    ]


def scores_of(
    method: Method, looked: trials.Looked, exact: list[F64], limits: dict[str, float]
) -> tuple[list[F64], list[F64]]:
    """(for the bet, for the ROC curve)."""
    if method.name == "exact":
        return exact, exact
    if method.name == "TOPLOC":
        return trials.proof_exceeds(looked, limits), trials.proof_scores(looked)
    chosen = looked.tokens if method.name == "Token-DiFR" else looked.activations
    return chosen, chosen


def reached(method: Method, runs: list[F64], threshold: float) -> trials.Reached:
    drawn = trials.streams(runs, STREAM_TOKENS // method.unit, STREAMS, seed=3)
    if method.limit is None:
        return trials.first_difference(drawn)
    return trials.first_accusation(drawn, method.limit, threshold)


def aucs(method: Method, honest: list[F64], other: list[F64]) -> str:
    parts = []
    for tokens in method.windows:
        size = max(1, tokens // method.unit)
        means = [
            np.array([w.mean() for w in trials.streams(runs, size, BATCHES, seed=s)])
            for s, runs in ((5, honest), (6, other))
        ]
        parts.append(f"{trials.partial_auc(*means):.3f} in {tokens}")
    return ", ".join(parts)


def for_ever(limit: float) -> float:
    """The mean that is never found, however it is spent."""
    return betting.passing_mean(betting.FOREVER, limit, math.log(1 / FALSE_ACCUSATION_RATE))


def residual(method: Method, looked: trials.Looked, vocabulary: int) -> float:
    """Bits a token that pass for ever, at most."""
    if method.name == "exact":
        return 0.0
    if method.name == "Token-DiFR":
        assert method.limit is not None
        return covert.capacity(looked.costs, for_ever(method.limit) * MARGIN_CLIP, vocabulary=vocabulary)
    return math.log2(vocabulary)


def tokens_text(found: trials.Reached, unit: int) -> str:
    if math.isfinite(found.units):
        return f"{found.units * unit:,.0f}"
    return f"> {STREAM_TOKENS:,} ({found.share:.0%} found)"


def measure(
    servers: dict[str, Callable[[], Served]], checks: tuple[Decoder, attacks.Asked], methods: list[Method],
    tolerances: tuple[Tolerance, Tolerance], held_out: trials.Looked, result: Result,
) -> None:  # fmt: skip
    """The table of all servers and methods. Honest answers are those of other stacks, but for exact comparison."""
    verifier, asked = checks
    vocabulary = verifier.shape.vocab_size
    threshold, limits = tolerances[0].threshold, tolerances[1].parameters
    honest_exact = trials.exact_scores(verifier, asked, attacks.honest(verifier, asked))
    table = Table(
        "server",
        *[f"{m.name}: AUC (FPR < 1 %), tokens for 99 %" for m in methods],
        title="detection; streams accused at 1 %",
    )
    left = [f"{bits:.3g} bits a token, {covert.Leak(bits, TOKENS_PER_S).gb_per_day:.3g} GB a day"
            for bits in (residual(m, held_out, vocabulary) for m in methods)]  # fmt: skip
    for name, make in {"as declared": partial(attacks.honest, verifier, fresh(asked)), **servers}.items():
        now = fresh(asked) if name == "as declared" else asked
        served = make()
        exact = trials.exact_scores(verifier, now, served)
        looked = held_out if name == "as declared" else trials.look(verifier, now, served, KEEPING)
        cells = []
        for method in methods:
            runs, ranked = scores_of(method, looked, exact, limits)
            base_ranked = scores_of(method, held_out, honest_exact, limits)[1]
            found = reached(method, runs, threshold)
            cells.append(f"{aucs(method, base_ranked, ranked)}; {tokens_text(found, method.unit)}")
            if name == "as declared":
                result.need(f"{method.name} accuses at most 1 % of honest streams", found.share <= 0.01)
        table.add_row(name, *cells)
    table.add_section()
    table.add_row(f"left at {TOKENS_PER_S:,.0f} tokens/s", *left)
    OUT.print(table)


def fresh(asked: attacks.Asked) -> attacks.Asked:
    """The same prompts with other seeds."""
    return attacks.Asked(
        prompts=asked.prompts, seeds=tuple(seed + 7_000_000 for seed in asked.seeds), rule=asked.rule, length=asked.length,
        rows=asked.rows,
    )  # fmt: skip


# --- hidden bits ---------------------------------------------------------------------------------------------------------


def measure_hidden(
    checks: tuple[Decoder, attacks.Asked],
    methods: list[Method],
    tolerances: tuple[Tolerance, Tolerance],
    result: Result,
) -> None:
    """Messages at several costs: how many bits are read back, beside the bound; and how soon each check finds them."""
    verifier, asked = checks
    vocabulary = verifier.shape.vocab_size
    threshold, limits = tolerances[0].threshold, tolerances[1].parameters
    limit = tolerances[0].parameters[calibrate.TOKEN_MEAN] * MARGIN_CLIP
    costs = trials.look(verifier, asked, attacks.honest(verifier, asked), KEEPING).costs
    table = Table(
        "message at a mean cost of",
        "bits a token read back",
        "bound",
        "GB a day",
        *[f"{m.name}: tokens for 99 %" for m in methods],
    )
    for times in (0.5, 1.0, 2.0, 8.0, 32.0, None):
        cost = None if times is None else times * limit
        rate = 0.0 if cost is None else covert.rate_for(costs, cost, vocabulary=vocabulary)
        hidden = attacks.hide(verifier, asked, weighing(rate, cost is None), seed=13)
        looked = trials.look(verifier, asked, hidden.served, KEEPING)
        exact = trials.exact_scores(verifier, asked, hidden.served)
        spent = float(np.concatenate(looked.tokens).mean()) * MARGIN_CLIP
        bound = covert.capacity(looked.costs, spent, vocabulary=vocabulary)
        if cost is None:
            bound = covert.entropy(looked.logits, RULE.temperature)
        name = (
            "none kept to: drawn as the model says, by the message"
            if cost is None
            else f"{times:g} x limit = {cost:.4f} logits"
        )
        found = [reached(m, scores_of(m, looked, exact, limits)[0], threshold) for m in methods]
        sent = covert.Leak(hidden.bits_per_token, TOKENS_PER_S)
        cells = [tokens_text(one, m.unit) for one, m in zip(found, methods, strict=True)]
        table.add_row(name, f"{sent.bits_per_token:.4f}", f"{bound:.4f}", f"{sent.gb_per_day:.3g}", *cells)
        result.need(f"what was hidden is read back, {name}", hidden.read_back and hidden.bits_per_token > 0)
        result.need(f"no more than the bound is read back, {name}", hidden.bits_per_token <= bound * 1.05 + 0.01)
        if times is not None and times <= 0.5:
            result.need("a message within the limit is not found by Token-DiFR", found[2].share <= 0.05)
    OUT.print(table)
    by_answer = [covert.capacity(part, limit, vocabulary=vocabulary) for part in np.split(costs, len(asked.prompts))]
    published, slower, inflated = covert.published_leak()
    once = betting.passing_mean(asked.length, methods[2].limit or 0, threshold) * MARGIN_CLIP
    endless = for_ever(methods[2].limit or 0) * MARGIN_CLIP
    OUT.print(
        f"one packet of {asked.length} tokens may cost {once:.4f} logits a token, where {endless:.4f} passes for ever. "
        f"Prompts chosen for entropy: the answer with most room has {max(by_answer) / np.mean(by_answer):.2f} times the mean. "
        f"Published: {published:g} GB a day of 1 TB, {slower:g} times slower; {inflated[0]:g} to {inflated[1]:g} times with "
        "chosen prompts"
    )


def weighing(rate: float, freely: bool) -> Callable[[TopLogits, int, int], np.ndarray]:
    def weigh(top: TopLogits, seed: int, place: int) -> np.ndarray:
        if freely:
            return np.exp((top.values[0] - top.values[0, 0]) / RULE.temperature)
        costs = attacks.costs_of(top, RULE, seed, place)
        return np.where(np.isfinite(costs), covert.weights_for(costs, rate), 0.0)

    return weigh


# --- all of it -----------------------------------------------------------------------------------------------------------


def prepared(
    folder: Path, steps: int
) -> tuple[DeclaredModel, dict[str, DeclaredModel], Callable[[int, int], NDArray[np.int64]]]:
    """Train, write, and read back as a verifier does."""
    import torch

    from inspectorate.lab import token_model

    torch.set_num_threads(1)
    found = {}
    for name, seed, width, layers in (
        ("declared", 1, 128, 3),
        ("another model", 2, 128, 3),
        ("a smaller model", 3, 64, 2),
    ):
        model = token_model.trained(token_model.shape_of(width, layers), seed=seed, steps=steps)
        token_model.write_model(model, folder / name)
        found[name] = read_model(folder / name, digest=None)
    return found.pop("declared"), found, lambda count, seed: token_model.prompts_of(count, PROMPT, seed=seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--answers", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=193)
    parser.add_argument("--serve", type=Path, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve_with_torch(*args.serve)
        return 0
    result = Result()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, others, prompts_of = prepared(folder, args.steps)
        verifier = Decoder(model, precision=Precision.BFLOAT16)
        count = HONEST_ANSWERS * len(stacks_here())
        honest = attacks.Asked(
            prompts=prompts_of(count, 91), seeds=tuple(range(100, 100 + count)), rule=RULE, length=args.tokens
        )
        pairs, held_out = halved(honest_pairs(folder / "declared", honest, verifier))
        tolerances = calibrated(pairs, model.shape.vocab_size)
        asked = attacks.Asked(
            prompts=prompts_of(args.answers, 17), seeds=tuple(range(args.answers)), rule=RULE, length=args.tokens
        )
        methods = methods_of(tolerances)
        servers = attacks.substitutions(model, others, asked, precision=Precision.BFLOAT16)
        measure(servers, (verifier, asked), methods, tolerances, held_out, result)
        measure_hidden((verifier, asked), methods, tolerances, result)
    published = Table("published: method", "against", "states", "source")
    for one in PUBLISHED:
        published.add_row(*one)
    OUT.print(published)
    return 0 if result.met else 1


if __name__ == "__main__":
    sys.exit(main())
