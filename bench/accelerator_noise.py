"""Noise of honest re-execution on a recorded accelerator: `python -m bench accelerator_noise`; as `python -m
bench.accelerator_noise` it takes options.

1. Training: distances of weights after the same steps, run in another way or in another process, from `noise.json`.
2. Answers: the readings of `noise.parquet`, of one model and one text. Every other way of reading is held against the first by the
   checks of answers, as a prover's against a verifier's: proofs of activations (TOPLOC), exactly as they would have been, since the
   128 largest numbers of a chunk are among the 128 largest of its tokens; and margins of tokens (Token-DiFR), with tokens drawn
   from the prover's logits under each of `SEEDS` seeds.
3. Tolerances: calibrated on honest stacks of CPUs, as `python -m bench replay_inference` makes them (`--cpu` makes them again,
   which needs torch; `CPU` holds what it gave); on the own honest readings in bfloat16; and on those in every format. The last two
   are made on half of the texts, and only on readings that are not bit-identical to the verifier's, which would make them tighter
   than any stack that differs deserves, and are tried on the other half; those of CPUs on all. Counted are packets (the tokens of
   one seed) and longer streams, drawn from these with replacement, that are accused at 1 %, and proofs beyond the limits.

Exits 1 where a tolerance of the accelerator accuses more than 1 % of packets or streams of the readings that it is for.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inspectorate.lab import token_trials as trials
from inspectorate.mechanisms.inspection.tokens import betting, calibrate, difr, toploc
from inspectorate.mechanisms.inspection.tokens.floats import to_bits
from inspectorate.mechanisms.inspection.tokens.reference import FALSE_ACCUSATION_RATE, MARGIN_CLIP
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits, drawn
from inspectorate.mechanisms.inspection.transcripts.types import Stack

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

OUT = Console(width=170)
NOISE = Path(__file__).parents[1] / "examples" / "accelerator-h200" / "first"
WIDTH, TOKENS = 1024, 32
SEEDS = 64
HALF, OTHER_HALF, EVERY_TEXT = slice(0, 4), slice(4, 8), slice(0, 8)
RULE = SamplingRule(temperature=1.0, top_k=32)
PROOFS = toploc.ProofSettings(topk=128, batching=TOKENS, skip_prefill=True)
VERIFIER = "bfloat16/rows-8"
CHEATS = (
    "bfloat16/weights-8-bits",
    "bfloat16/weights-8-bits/cached",
    "bfloat16/weights-4-bits",
    "bfloat16/one-step-older",
)
CPU = {
    "token_mean": 0.002135,
    "exponents_max": 9.0,
    "mantissa_mean_max": 1.274,
    "mantissa_median_max": 1.5,
    "rate_max": 0.02466,
}
"""Of a decoder of width 128 with 3 layers, five stacks, 40 answers of 193 tokens (`--cpu`, on an AMD EPYC)."""
STREAMS, STREAM_TOKENS = 100, 2_000
FORMATS = {"own": ("bfloat16",), "own, all formats": ("bfloat16", "float16", "float32")}
THRESHOLD = float(-np.log(FALSE_ACCUSATION_RATE))


@dataclass(frozen=True, eq=False)
class Reading:
    """One way of reading: hidden states (sequences, tokens, width), 0 where they were not kept, and logits by place."""

    hidden: NDArray[np.float32]
    top: tuple[TopLogits, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """A prover's reading as the verifier sees it: one list or array for each sequence."""

    proofs: list[list[toploc.Comparison]]
    margins: list[F64]
    """(seeds, tokens), in logits."""
    equal: float


def readings_of(path: Path) -> dict[str, Reading]:
    table = pq.read_table(path)
    settings = np.asarray(table["setting"].combine_chunks().cast("string"))
    columns = {name: np.stack(table[name].to_numpy()) for name in ("hidden_place", "hidden", "logit_place", "logit")}
    order = np.lexsort((table["position"].to_numpy(), table["sequence"].to_numpy()))
    found = {}
    for name in dict.fromkeys(settings.tolist()):
        rows = order[settings[order] == name]
        hidden = np.zeros((len(rows), WIDTH), dtype=np.float32)
        np.put_along_axis(hidden, columns["hidden_place"][rows].astype(np.int64), columns["hidden"][rows], axis=1)
        symbols, values = columns["logit_place"][rows].astype(np.int64), columns["logit"][rows].astype(np.float64)
        rank = np.lexsort((symbols, -values), axis=1)
        symbols, values = (np.take_along_axis(one, rank, axis=1) for one in (symbols, values))
        parts = range(0, len(rows), TOKENS)
        found[name] = Reading(
            hidden.reshape(-1, TOKENS, WIDTH),
            tuple(TopLogits(symbols[at : at + TOKENS], values[at : at + TOKENS]) for at in parts),
        )
    return found


def seen(prover: Reading, verifier: Reading) -> Seen:
    """What the checks of answers say of each sequence."""
    proofs, margins, equal = [], [], []
    places = np.arange(TOKENS)
    for number in range(len(prover.top)):
        chunks = [to_bits(one.hidden[number]).reshape(-1) for one in (prover, verifier)]
        proofs.append([toploc.verify_proof(toploc.build_proof(chunks[0], PROOFS), chunks[1], PROOFS)])
        scores = []
        for seed in range(SEEDS):
            own = seed * 1000 + number
            tokens = drawn(prover.top[number], RULE, own, places)
            scores.append(difr.token_scores(tokens, verifier.top[number], RULE, own))
            equal.append(float((tokens == drawn(verifier.top[number], RULE, own, places)).mean()))
        margins.append(np.stack(scores))
    return Seen(proofs, margins, float(np.mean(equal)))


# --- tolerances ----------------------------------------------------------------------------------------------------------


def own_tolerance(honest: list[Seen], texts: slice) -> dict[str, float]:
    """From the accelerator's own honest pairs, on some of the texts."""
    stack = Stack(hardware="accelerator", threads=1, versions={"torch": "2"}, attention="any", deterministic=False)
    about = calibrate.About(id="accelerator", stacks=(stack,), vocabulary=4096)
    margins = [one.ravel() for pair in honest for one in pair.margins[texts]]
    runs = [one for pair in honest for one in pair.proofs[texts]]
    return calibrate.calibrate_difr(margins, about).parameters | calibrate.calibrate_toploc(runs, about).parameters


def cpu_tolerance() -> dict[str, float]:
    """From honest stacks of CPUs: what `bench replay_inference` calibrates on, made again."""
    bench = importlib.import_module("bench.replay_inference")
    attacks, decoder = bench.attacks, importlib.import_module("inspectorate.mechanisms.inspection.tokens.decoder")
    with tempfile.TemporaryDirectory() as scratch:
        model, _, prompts = bench.prepared(Path(scratch), 200)
        count = 8 * len(bench.STACKS)
        asked = attacks.Asked(
            prompts=prompts(count, 91), seeds=tuple(range(100, 100 + count)), rule=bench.RULE, length=193
        )
        verifier = decoder.Decoder(model, precision=decoder.Precision.BFLOAT16)
        pairs = bench.honest_pairs(Path(scratch) / "declared", asked, verifier)
        made = bench.calibrated(pairs, model.shape.vocab_size)
    return {name: value for one in made for name, value in one.parameters.items() if name in CPU}


@dataclass(frozen=True)
class Judged:
    """How many packets are accused, and proofs lie beyond the limits."""

    packets: int
    accused: int
    streams: float
    """Share that is accused at some time."""
    proofs: int
    beyond: int
    of_limit: float
    """Mean score over the limit: above 1, a stream that is long enough is accused."""


def judged(one: Seen, limits: dict[str, float], texts: slice, stream_tokens: int) -> Judged:
    """Packets: the tokens of these texts under one seed, in turn."""
    scores = np.concatenate(one.margins[texts], axis=1) / MARGIN_CLIP
    accused = sum(betting.log_e_max(row, limits[calibrate.TOKEN_MEAN]) >= THRESHOLD for row in scores)
    proofs = [proof for run in one.proofs[texts] for proof in run]
    runs = [row for text in one.margins[texts] for row in text / MARGIN_CLIP]
    share = 0.0
    if scores.any():
        drawn_streams = trials.streams(runs, stream_tokens, STREAMS, seed=3)
        share = trials.first_accusation(drawn_streams, limits[calibrate.TOKEN_MEAN], THRESHOLD).share
    beyond = sum(calibrate.exceeds(proof, limits) for proof in proofs)
    of_limit = float(scores.mean()) / limits[calibrate.TOKEN_MEAN]
    return Judged(len(scores), accused, share, len(proofs), beyond, of_limit)


# --- tables --------------------------------------------------------------------------------------------------------------


def show_training(noise: dict[str, Any]) -> None:
    table = Table("way", "after steps", "largest change of a weight", "of the norm", "of the movement", "weights changed",
                  title="the same steps again: weights against the first run of the format")  # fmt: skip
    for name, told in noise["weights"].items():
        if "/" not in name:
            continue
        for step in ("1", "5", "20"):
            one = told["distances"][step]
            table.add_row(
                name if step == "1" else "", step, f"{one['max']:.1e}", f"{one['l2'] / one['l2_of_weights']:.1e}",
                f"{one['l2'] / one['l2_of_movement']:.1e}", f"{one['elements_changed_share']:.1%}",
            )  # fmt: skip
    OUT.print(table)
    for name, steps in noise["other_process"].items():
        first, again = noise["weights"][name]["digests"], noise["weights"][f"{name}/again"]["digests"]
        equal = [[step for step in sorted(steps, key=int) if made[step] == first[step]] for made in (steps, again)]
        OUT.print(
            f"{name}: bit-identical in another process after steps {equal[0]}, in the same process after {equal[1]}"
        )
    OUT.print(f"not measured: {', '.join(noise['left_out'])}; refused: {', '.join(noise['failed'])}")


def show_answers(found: dict[str, Seen], tolerances: dict[str, dict[str, float]], stream_tokens: int) -> bool:
    """The table of all readings; whether the own tolerance keeps its promise."""
    table = Table("prover's reading", "same token", "mean margin", "exponents of 128", "mantissa mean",
                  *[f"{name}: packets, streams, proofs, of limit" for name in tolerances],
                  title=f"against {VERIFIER}: packets and streams of {stream_tokens} tokens accused, proofs beyond")  # fmt: skip
    kept = True
    for name, one in found.items():
        proofs = [proof for run in one.proofs for proof in run]
        cells = [
            judged(one, limits, EVERY_TEXT if tolerance == "CPU" else OTHER_HALF, stream_tokens)
            for tolerance, limits in tolerances.items()
        ]
        told = [
            f"{cell.accused}/{cell.packets}, {cell.streams:.0%}, {cell.beyond}/{cell.proofs}, {cell.of_limit:.2f}"
            for cell in cells
        ]
        table.add_row(
            f"{'CHEAT ' if name in CHEATS else ''}{name}", f"{one.equal:.2%}", f"{np.concatenate(one.margins).mean():.5f}",
            f"{np.mean([proof.exponent_mismatches + proof.sign_mismatches for proof in proofs]):.2f}",
            f"{np.mean([np.nan if one.mantissa_mean is None else one.mantissa_mean for one in proofs]):.2f}",
            *told,
        )  # fmt: skip
        for format_of, cell in zip(FORMATS.values(), cells[1:], strict=True):
            if name.startswith(format_of) and name not in CHEATS:
                kept &= max(cell.accused / cell.packets, cell.streams) <= FALSE_ACCUSATION_RATE
    OUT.print(table)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=Path, default=NOISE)
    parser.add_argument("--cpu", action="store_true", help="Calibrate on CPUs again. Needs torch.")
    parser.add_argument("--stream-tokens", type=int, default=STREAM_TOKENS)
    parser.add_argument("--only", default="", help="Readings whose names begin so, with commas between.")
    args = parser.parse_args()
    show_training(json.loads((args.noise / "noise.json").read_text()))
    readings = readings_of(args.noise / "noise.parquet")
    found = {name: seen(one, readings[VERIFIER]) for name, one in readings.items() if name != VERIFIER}
    differs = {name: one for name, one in found.items() if name not in CHEATS and np.concatenate(one.margins).any()}
    tolerances = {"CPU": cpu_tolerance() if args.cpu else CPU}
    for name, formats in FORMATS.items():
        honest = [one for reading, one in differs.items() if reading.startswith(formats)]
        tolerances[name] = own_tolerance(honest, HALF)
    for name, limits in tolerances.items():
        OUT.print(f"tolerance, {name}: { {key: float(f'{value:.4g}') for key, value in limits.items()} }")
    chosen = {name: one for name, one in found.items() if name.startswith(tuple(args.only.split(",")))}
    kept = show_answers(chosen, tolerances, args.stream_tokens)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
