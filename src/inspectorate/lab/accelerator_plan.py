"""Which workloads are recorded on an accelerator, in which order, and what each of them is called.

- A first round holds every workload once, disguised training too; a second has the common honest ones again with other seeds
  (`AGAIN`), so that one of two runs can be held out, then disguises, then all else.
- Rounds are shuffled by a seed: what is recorded late on a warm chip is of all kinds.
- All runs are equally long. Where time is short the second round is cut off at its end, never the first.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass

TRAINING = {
    "pretrain-small": "decoder-training",
    "pretrain-middle": "decoder-training",
    "pretrain-large": "decoder-training",
    "pretrain-single": "decoder-training",
    "pretrain-accumulated": "decoder-training",
    "pretrain-recomputed": "decoder-training",
    "images-patches": "image-training",
    "images-convolution": "image-training",
    "finetune": "tuning",
    "low-rank": "tuning",
    "reinforcement": "reinforcement",
}
INFERENCE = {
    "prefill": "reading",
    "decode-one": "writing",
    "decode-some": "writing",
    "decode-many": "writing",
    "serve-low": "serving",
    "serve-middle": "serving",
    "serve-high": "serving",
    "embed": "reading",
    "score": "reading",
    "sample-images": "image-sampling",
    "loaded": "waiting",
}
OTHER = {
    "fourier": "transforms",
    "bodies": "simulation",
    "stencil": "simulation",
    "products-double": "linear-algebra",
    "solve": "linear-algebra",
    "chance": "sampling",
    "sort": "sorting",
    "copy": "copying",
}
DISGUISED = {
    "throttling": "decoder-training",
    "padding": "decoder-training",
    "valley-filling": "decoder-training",
    "fused-updates": "decoder-training",
    "batch-games": "decoder-training",
    "time-slicing": "decoder-training",
    "micro-batches": "tuning",
    "rare-bursts": "decoder-training",
    "paced-arrivals": "decoder-training",
    "evaluation-job": "decoder-training",
    "forward-only": "forward-training",
}
AGAIN = (
    "pretrain-small", "pretrain-middle", "pretrain-large", "pretrain-accumulated", "images-patches", "finetune", "low-rank",
    "reinforcement", "prefill", "decode-some", "decode-many", "serve-low", "serve-middle", "serve-high", "embed", "score",
)  # fmt: skip
SMOKE = ("reinforcement", "serve-middle", "valley-filling", "images-convolution", "copy")
"""Few that touch most of what can go wrong on a new machine."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One run that is to be recorded."""

    id: str
    workload: str
    kind: str
    family: str
    disguise: str
    seed: int

    def as_data(self) -> dict[str, object]:
        return asdict(self)


def planned(workload: str, seed: int) -> Planned:
    """A run of a workload by its name."""
    tables = (("training", TRAINING), ("inference", INFERENCE), ("other", OTHER), ("idle", {"idle": "idle"}),
              ("training", DISGUISED))  # fmt: skip
    kind, table = next((kind, table) for kind, table in tables if workload in table)
    return Planned(id=f"{workload}-{seed}", workload=workload, kind=kind, family=table[workload],
                   disguise=workload if workload in DISGUISED else "", seed=seed)  # fmt: skip


def rounds(plan: str, seed: int) -> tuple[tuple[Planned, ...], tuple[Planned, ...]]:
    """The first round and the second, by the name of the plan: `smoke` or `full`."""
    chance = random.Random(seed)  # noqa: S311 -- an order, no secret
    if plan == "smoke":
        return tuple(planned(name, seed) for name in SMOKE), ()

    def shuffled(*names: str, number: int) -> list[Planned]:
        runs = [planned(name, seed + number) for name in names]
        chance.shuffle(runs)
        return runs

    first = shuffled(*TRAINING, *INFERENCE, *OTHER, "idle", *DISGUISED, number=0)
    others = [name for name in (*TRAINING, *INFERENCE) if name not in AGAIN]
    second = [
        *shuffled(*AGAIN, number=1),
        *shuffled(*DISGUISED, number=1),
        *shuffled(*others, *OTHER, "idle", number=1),
    ]
    return tuple(first), tuple(second)
