"""Declared graphs, measured: `python bench/graphs.py [--steps N] [--answers N] [--only PART]`. Needs torch.

Parts: `freivalds` (cost beside recomputing, honest failures, what is caught), `tolerance` (deviation of real servers from
the reference, by thread count and instruction set, each in a process of its own), `answers` (detection rates against
the byte model of the lab, trained here for N steps), `covert` (a message in its answers), `recheck` (cost of recomputing
beside serving).

Ratios are of CPU seconds in one process and one run. Exits 1 where a target is missed.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from inspectorate.lab import work_lm as lm
from inspectorate.mechanisms.guarantee.graph.answers import AnswerCheck, Checking, check_answer
from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model
from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator
from inspectorate.mechanisms.guarantee.graph.flop import flop_of_token
from inspectorate.mechanisms.guarantee.graph.freivalds import (
    Arithmetic,
    Product,
    check_integers,
    commitment_of,
    compare_floats,
)
from inspectorate.mechanisms.guarantee.graph.noise import gumbel, restricted, seed_of
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.tolerance import Tolerance, calibrate, spread
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Outcome, Sampling, Serving
from inspectorate.mechanisms.guarantee.graph.weights import read_weights

Numbers = NDArray[np.float64]
Choose = Callable[[Numbers, int], NDArray[np.int64]]

PROMPT = 16
ANSWER = 48
TOP_K = 20
PLACES_OF_CALIBRATION = 1024
FREIVALDS_RATIO_MIN = 4.0
SERVED_SHARE_MAX = 0.05
SAMPLED = 0.01
ONE_THREAD = "OPENBLAS_NUM_THREADS"
OUT = Console(width=150)


@dataclass
class Result:
    """Whether all targets were met so far."""

    met: bool = True

    def need(self, what: str, holds: bool) -> None:
        if not holds:
            OUT.print(f"[bold red]missed[/]: {what}")
            self.met = False


# --- products ------------------------------------------------------------------------------------------------------------


def cpu_s(work: Callable[[], object], times: int) -> float:
    """CPU seconds of one call, the best of some."""
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def signs(rng: np.random.Generator, columns: int, rounds: int) -> Numbers:
    return 1.0 - 2.0 * rng.integers(0, 2, (columns, rounds)).astype(np.float64)


def measure_freivalds(result: Result) -> None:
    rng = np.random.default_rng(7)
    table = Table("n", "multiply, float32 (s)", "check, 2 rounds (s)", "ratio", "with its commitment", "int8 check (s)")
    for n in (512, 1024, 2048, 4096):
        a, b = (rng.normal(size=(n, n)).astype(np.float32) for _ in range(2))
        c = a @ b
        r = signs(rng, n, 2)
        multiply = cpu_s(lambda a=a, b=b: a @ b, 2)
        check = cpu_s(lambda a=a, b=b, c=c, r=r: compare_floats((a, b), c, arithmetic=Arithmetic(), signs=r), 3)
        commit = cpu_s(lambda a=a, b=b, c=c: commitment_of(a, b, c), 1)
        x, y = (rng.integers(-128, 128, (n, n)).astype(np.int8) for _ in range(2))
        z = (x.astype(np.float64) @ y.astype(np.float64)).astype(np.int32)
        given = commitment_of(x, y, z)
        whole = cpu_s(lambda x=x, y=y, z=z, k=given: check_integers((x, y), z, commitment=k, seed=bytes(32)), 1)
        ratio = multiply / check
        table.add_row(
            str(n),
            f"{multiply:.4f}",
            f"{check:.4f}",
            f"{ratio:.1f}x",
            f"{multiply / (check + commit):.1f}x",
            f"{whole:.4f}",
        )
        if n == 2048:
            result.need(f"checking a product of 2048 at {FREIVALDS_RATIO_MIN}x", ratio >= FREIVALDS_RATIO_MIN)
    OUT.print(table)
    measure_caught(result, rng)


def lowered(values: Numbers, kind: Format) -> Numbers:
    """Values rounded to a format, as float64."""
    if kind is Format.BFLOAT16:
        return torch.from_numpy(values).to(torch.bfloat16).to(torch.float64).numpy()
    return values.astype({Format.FLOAT32: np.float32, Format.FLOAT16: np.float16}[kind]).astype(np.float64)


def measure_caught(result: Result, rng: np.random.Generator, n: int = 512, trials: int = 100) -> None:
    """Honest failures, and how often one round catches errors of one size, by arithmetic and bound."""
    table = Table(
        "factors and result", "bound on sums", "honest failures", "largest honest, in bounds", "one entry caught above",
        "spread caught above", "caught there, 1 round", "at half", "at a tenth",
    )  # fmt: skip
    for kind in (Format.FLOAT32, Format.BFLOAT16, Format.FLOAT16):
        for words, how in (
            ("certain", Arithmetic(result=kind)),
            ("certain, chains of 64", Arithmetic(result=kind, chain=64)),
            ("probable, z = 6", Arithmetic(result=kind, confidence_z=6.0)),
        ):
            failures, excess, made = 0, 0.0, None
            for _ in range(trials):
                made = product(rng, n, kind)
                found = compare_floats(made[:2], made[2], arithmetic=how, signs=signs(rng, n, 1))
                failures += found.outcome is Outcome.DIFFERS
                excess = max(excess, found.excess)
            assert made is not None
            at = found.caught_above or 0.0
            rates = [caught(rng, made, how, share * at) for share in (1.0, 0.5, 0.1)]
            table.add_row(
                kind.value, words, f"{failures} of {trials}", f"{excess:.1e}", f"{found.entry_caught_above or 0:.1e}",
                f"{at:.1e}", *(f"{rate:.0%}" for rate in rates),
            )  # fmt: skip
            result.need(f"no honest failure in {kind.value}, {words}", failures == 0)
            result.need("a spread error at its bound is caught as often as promised", rates[0] >= found.caught_chance)
    OUT.print(table)
    OUT.print(
        "caught above: share of the row's Euclidean norm; a spread error is put into one row of 512, normal entries"
    )


def product(rng: np.random.Generator, n: int, kind: Format) -> tuple[Numbers, Numbers, Numbers]:
    """Factors and a result as hardware gives it: factors in the format, sums in float32, the result rounded to the format."""
    a, b = (lowered(rng.normal(size=(n, n)), kind) for _ in range(2))
    return a, b, lowered((a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64), kind)


def caught(
    rng: np.random.Generator, made: tuple[Numbers, Numbers, Numbers], how: Arithmetic, share: float, trials: int = 100
) -> float:
    a, b, c = made
    found: list[Product] = []
    for _ in range(trials):
        row, error = int(rng.integers(len(c))), rng.normal(size=c.shape[1])
        wrong = c.copy()
        wrong[row] += share * np.linalg.norm(c[row]) * error / np.linalg.norm(error)
        found.append(compare_floats((a, b), wrong, arithmetic=how, signs=signs(rng, len(error), 1)))
    return sum(one.outcome is Outcome.DIFFERS for one in found) / trials


# --- servers --------------------------------------------------------------------------------------------------------------


def trained(seed: int, steps: int, start: lm.ByteModel | None = None) -> lm.ByteModel:
    model = lm.build(seed) if start is None else deepcopy(start).train()
    optimiser = lm.optimiser(model)
    for _, batch in zip(range(steps), lm.batches(seed), strict=False):
        optimiser.zero_grad()
        lm.loss_of(model, batch).backward()
        optimiser.step()
    return model.eval()


def declared(sampling: Sampling) -> Graph:
    serving = Serving(vocabulary=256, context=lm.CONTEXT, beyond="slide", cached=False, sampling=sampling)
    return encoder_model("byte-lm", Size(width=96, layers=2, heads=4, feed_forward=384), serving)


def rounded_model(model: nn.Module, bits: int) -> nn.Module:
    """Every matrix rounded to so many bits, one scale per row."""
    copy = deepcopy(model)
    largest = 2 ** (bits - 1) - 1
    with torch.no_grad():
        for parameter in copy.parameters():
            if parameter.dim() == 2:
                scale = parameter.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / largest
                parameter.copy_((parameter / scale).round().clamp(-largest, largest) * scale)
    return copy


def logits(model: nn.Module, sequences: NDArray[np.int64], context: int = lm.CONTEXT) -> Numbers:
    with torch.no_grad():
        return model(torch.from_numpy(sequences[:, -context:]))[:, -1].to(torch.float64).numpy()


def answered(
    model: nn.Module, prompts: NDArray[np.int64], choose: Choose, context: int = lm.CONTEXT
) -> NDArray[np.int64]:
    """Answers of a server, one row per prompt."""
    sequences = prompts
    for place in range(ANSWER):
        chosen = choose(logits(model, sequences, context), place)
        sequences = np.concatenate([sequences, chosen[:, None]], axis=1)
    return sequences[:, prompts.shape[1] :]


def prompts_of(count: int, seed: int) -> NDArray[np.int64]:
    return next(lm.batches(seed, size=count, context=PROMPT - 1)).numpy()


def request_of(prompt: NDArray[np.int64]) -> bytes:
    return bytes(prompt.tolist())


def scored(scores: Numbers, prompts: NDArray[np.int64], place: int, sampling: Sampling) -> Numbers:
    """What a server maximises: scores as they are, or over the temperature and with the noise of the request."""
    if sampling.choice is not Choice.SEEDED:
        return scores
    noise = np.stack([gumbel(seed_of(request_of(prompt)), place, scores.shape[1]) for prompt in prompts])
    return sampling.temperature * (restricted(scores, temperature=sampling.temperature, top_k=sampling.top_k) + noise)


def honest(prompts: NDArray[np.int64], sampling: Sampling, seed: int = 5) -> Choose:
    rng = np.random.default_rng(seed)

    def choose(scores: Numbers, place: int) -> NDArray[np.int64]:
        if sampling.choice is Choice.FREE:
            scores = restricted(scores, temperature=sampling.temperature, top_k=sampling.top_k) + rng.gumbel(
                size=scores.shape
            )
        return np.argmax(scored(scores, prompts, place, sampling), axis=1)

    return choose


def covert(prompts: NDArray[np.int64], sampling: Sampling, within: float, sent: NDArray[np.int64]) -> Choose:
    """Where the second best is `within` of the best, a bit of the message decides between them."""
    rng = np.random.default_rng(11)

    def choose(scores: Numbers, place: int) -> NDArray[np.int64]:
        best = scored(scores, prompts, place, sampling)
        order = np.argsort(best, axis=1)[:, -2:]
        each = np.arange(len(best))
        close = best[each, order[:, 1]] - best[each, order[:, 0]] <= within
        np.add(sent, close, out=sent)
        return np.where(close & (rng.random(len(best)) < 0.5), order[:, 0], order[:, 1])

    return choose


def checks(
    evaluator: Evaluator, prompts: NDArray[np.int64], answers: NDArray[np.int64], sampling: Sampling, tolerance: float
) -> list[AnswerCheck]:
    found = []
    for prompt, answer in zip(prompts, answers, strict=True):
        checking = Checking(spread_max=tolerance, seed=seed_of(request_of(prompt)))
        found.append(
            check_answer(
                evaluator.graph, evaluator, prompt.tolist(), answer.tolist(), checking=checking, sampling=sampling
            )
        )
    return found


# --- tolerance ------------------------------------------------------------------------------------------------------------

STACKS = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "no vector instructions": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512"},
    "oneDNN off, AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"},
    "one sequence at a time": {"GRAPHS_BATCH": "1"},
}


def measured_spreads(weights: Path, evaluator: Evaluator) -> dict[str, Numbers]:
    """The spread at some places, on each stack, each in a process of its own."""
    sequences = next(lm.batches(99, size=PLACES_OF_CALIBRATION, context=lm.CONTEXT - 1)).numpy()
    reference = np.concatenate(
        [evaluator.scores(part, [lm.CONTEXT - 1])[:, 0] for part in np.array_split(sequences, 16)]
    )
    found = {}
    for name, settings in STACKS.items():
        with tempfile.TemporaryDirectory() as folder:
            given, out = Path(folder) / "sequences.npy", Path(folder) / "scores.npy"
            np.save(given, sequences)
            command = [sys.executable, __file__, "--score", str(weights), str(given), str(out)]
            subprocess.run(command, env={**os.environ, **settings}, check=True)
            found[name] = spread(np.load(out), reference)
    return found


def score(weights: Path, given: Path, out: Path) -> None:
    """The process behind `measured_spreads`."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    model = lm.build(0)
    torch.set_num_threads(threads)
    model.load_state_dict(load_file(weights))
    size = int(os.environ.get("GRAPHS_BATCH", "64"))
    sequences = np.load(given)
    np.save(out, np.concatenate([logits(model.eval(), part) for part in np.split(sequences, len(sequences) // size)]))


def measure_tolerance(weights: Path, evaluator: Evaluator, result: Result) -> Tolerance:
    spreads = measured_spreads(weights, evaluator)
    made = calibrate(evaluator.graph.digest, spreads)
    table = Table("stack", "places", "median spread", "largest spread", "over the tolerance")
    for name, values in spreads.items():
        over = int((values > made.spread_max).sum())
        table.add_row(name, str(len(values)), f"{np.median(values):.2e}", f"{values.max():.2e}", str(over))
    OUT.print(table)
    OUT.print(f"tolerance: {made.spread_max:.2e}, four times the largest")
    result.need("the stacks were really measured", len(spreads) == len(STACKS))
    return made


# --- answers --------------------------------------------------------------------------------------------------------------

SAMPLINGS = (
    Sampling(choice=Choice.GREEDY),
    Sampling(choice=Choice.SEEDED, temperature=1.0, top_k=TOP_K),
    Sampling(choice=Choice.FREE, temperature=1.0, top_k=TOP_K),
)


def measure_answers(
    models: tuple[lm.ByteModel, lm.ByteModel, lm.ByteModel],
    evaluator: Evaluator,
    tolerance: float,
    count: int,
    result: Result,
) -> None:
    """Detection by answer of 48 tokens, and by single token, for each way of sampling."""
    model, other, tuned = models
    prompts = prompts_of(count, 41)
    halved = deepcopy(model).to(torch.bfloat16)
    table = Table(
        "sampling", "server", "answers", "found", "tokens beyond tolerance", "median first", "bits a token left"
    )
    for sampling in SAMPLINGS:
        choose = honest(prompts, sampling)
        for name, given, context in (
            ("as declared", model, lm.CONTEXT), ("another seed", other, lm.CONTEXT),
            ("tuned for 20 steps", tuned, lm.CONTEXT), ("half the context", model, lm.CONTEXT // 2),
            ("weights in 8 bits", rounded_model(model, 8), lm.CONTEXT), ("weights in 4 bits", rounded_model(model, 4), lm.CONTEXT),
            ("bfloat16", halved, lm.CONTEXT),
        ):  # fmt: skip
            answers = answered(given, prompts, choose, context)
            found = checks(evaluator, prompts, answers, sampling, tolerance)
            share = row(table, (sampling.choice.value, name), found, tolerance)
            if name == "as declared":
                result.need(f"honest answers pass, {sampling.choice.value}", share == 0.0)
            if name == "another seed" and sampling.choice is Choice.SEEDED:
                result.need("another model's seeded answers are found", share >= 0.99)
        table.add_section()
    OUT.print(table)


def row(table: Table, names: tuple[str, str], found: list[AnswerCheck], tolerance: float) -> float:
    caught_ones = [one for one in found if one.outcome is Outcome.DIFFERS]
    beyond = np.concatenate([np.asarray(one.margins) for one in found]) > tolerance
    first = [one.where for one in caught_ones if one.where is not None]
    bits = np.mean([one.covert_bits_per_token or 0.0 for one in found])
    share = len(caught_ones) / len(found)
    table.add_row(
        *names,
        str(len(found)),
        f"{share:.1%}",
        f"{beyond.mean():.3%}",
        f"{np.median(first):.0f}" if first else "-",
        f"{bits:.2g}",
    )
    return share


def measure_covert(server: tuple[lm.ByteModel, Evaluator], prompts: NDArray[np.int64], tolerance: float) -> None:
    """A message in tokens whose best and second best are close: how much is sent, how much of it passes."""
    model, evaluator = server
    table = Table(
        "sampling", "second best within", "bits sent a token", "answers found", "bits a token in answers that passed"
    )
    for sampling in SAMPLINGS:
        for within in (tolerance, 0.01, 0.1, 1.0):
            sent = np.zeros(len(prompts), dtype=np.int64)
            answers = answered(model, prompts, covert(prompts, sampling, within, sent))
            found = checks(evaluator, prompts, answers, sampling, tolerance)
            passed = np.array([one.outcome is not Outcome.DIFFERS for one in found])
            table.add_row(
                sampling.choice.value, f"{within:.2g}", f"{sent.sum() / answers.size:.2g}", f"{1 - passed.mean():.1%}",
                f"{sent[passed].sum() / answers.size:.2g}",
            )  # fmt: skip
        table.add_section()
    OUT.print(table)


# --- cost -----------------------------------------------------------------------------------------------------------------


def measure_recheck(model: lm.ByteModel, evaluator: Evaluator, result: Result) -> None:
    """CPU seconds of recomputing one token of an answer, beside writing it; and the formula of FLOP beside torch's counter."""
    sampling = SAMPLINGS[0]
    for prompt, words in ((PROMPT, "within the context"), (lm.CONTEXT, "past the context, a window each")):
        prompts = next(lm.batches(43, size=1, context=prompt - 1)).numpy()
        choose = honest(prompts, sampling)
        answers = answered(model, prompts, choose)
        serve = cpu_s(lambda p=prompts, c=choose: answered(model, p, c), 3) / ANSWER
        again = cpu_s(lambda p=prompts, a=answers: checks(evaluator, p, a, sampling, 1e-4), 3) / ANSWER
        share = SAMPLED * again / serve
        OUT.print(
            f"{words}: writing a token {serve * 1e3:.2f} ms, recomputing it {again * 1e3:.2f} ms ({again / serve:.2f} of it); "
            f"{SAMPLED:.0%} sampled: {share:.2%} of serving"
        )
        result.need(f"recomputing 1 % costs at most {SERVED_SHARE_MAX:.0%} of serving", share <= SERVED_SHARE_MAX)
    # In training mode and with attention by its definition, torch runs only operators that its counter knows.
    plain = deepcopy(model).train()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
        plain(torch.zeros(1, lm.CONTEXT, dtype=torch.int64))
    formula = flop_of_token(evaluator.graph).matrix
    OUT.print(
        f"FLOP of products for one token by formula {formula:,.0f}, by torch's counter {counted.get_total_flops():,}"
    )
    result.need("the formula is what torch counts", formula == counted.get_total_flops())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--answers", type=int, default=40)
    parser.add_argument("--only", choices=["freivalds", "tolerance", "answers", "covert", "recheck"])
    parser.add_argument("--score", type=Path, nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.score:
        score(*args.score)
        return 0
    if os.environ.get(ONE_THREAD) != "1":
        # Idle threads of numpy's library spin, and CPU seconds would count that. It reads this when it is loaded.
        again = [sys.executable, __file__, *sys.argv[1:]]
        return subprocess.run(again, env={**os.environ, ONE_THREAD: "1"}, check=False).returncode
    result = Result()
    if args.only in (None, "freivalds"):
        measure_freivalds(result)
    if args.only == "freivalds":
        return 0 if result.met else 1
    steps = 0 if args.only == "recheck" else args.steps
    models = trained(1, steps), trained(2, steps)
    tuned = trained(3, 20, models[0])
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "model.safetensors"
        save_file(models[0].state_dict(), weights)
        graph = declared(SAMPLINGS[0])
        evaluator = Evaluator(graph, read_weights(weights, graph, content=None))
        if args.only != "recheck":
            tolerance = measure_tolerance(weights, evaluator, result).spread_max
            if args.only in (None, "answers"):
                measure_answers((*models, tuned), evaluator, tolerance, args.answers, result)
            if args.only in (None, "covert"):
                measure_covert((models[0], evaluator), prompts_of(args.answers, 41), tolerance)
        if args.only in (None, "recheck"):
            measure_recheck(models[0], evaluator, result)
    return 0 if result.met else 1


if __name__ == "__main__":
    sys.exit(main())
