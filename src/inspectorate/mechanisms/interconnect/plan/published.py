"""Published runs over slow links, recomputed: what the formulas give beside what was reported, with the error.

Inputs are those of the reports. Where one is second-hand or recalled, the row says so; where an input was not published, the
row gives the bound that follows without it, and no error.
"""

from __future__ import annotations

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.interconnect.plan import arithmetic as a
from inspectorate.mechanisms.interconnect.plan.methods import catalogue


class Comparison(Record):
    """One reported number and ours."""

    run: Text
    quantity: Text
    unit: Text
    computed: float
    reported: float
    inputs: Text
    bound: bool = False
    """Whether `computed` is an upper bound and not a prediction."""

    @property
    def error(self) -> float | None:
        return None if self.bound else self.computed / self.reported - 1


def comparisons() -> tuple[Comparison, ...]:
    """Every published run that the issue of this planner names."""
    return (*_covenant(), *_intellect(), *_open_diloco(), *_dilocox(), *_others())


def _covenant() -> tuple[Comparison, ...]:
    sync = a.gradient_bytes(72e9, 16, 146) / (110e6 / 8)
    slower = a.gradient_bytes(72e9, 16, 146) / (100e6 / 8)
    return (
        Comparison(
            run="Covenant-72B", quantity="synchronisation", unit="s", computed=sync, reported=70,
            inputs="72e9 parameters at 16 bits / 146, 110 Mbit/s up",
        ),
        Comparison(
            run="Covenant-72B", quantity="utilisation", unit="share",
            computed=a.blocking_utilisation(1_200, sync), reported=0.945,
            inputs="the same, and 20 minutes of computing between",
        ),
        Comparison(
            run="Covenant-72B at 100 Mbit/s", quantity="synchronisation", unit="s", computed=slower, reported=79,
            inputs="72e9 parameters at 16 bits / 146, 100 Mbit/s up",
        ),
    )  # fmt: skip


def _intellect() -> tuple[Comparison, ...]:
    ring = a.ring_bytes(a.gradient_bytes(10e9, 8), 14)
    sync = ring / (500e6 / 8)
    return (
        Comparison(
            run="INTELLECT-1", quantity="less traffic than data parallelism", unit="times",
            computed=100 * 32 / 8, reported=400, inputs="100 steps, 8 bits against 32",
        ),
        Comparison(
            run="INTELLECT-1, across continents", quantity="synchronisation", unit="s", computed=sync, reported=498,
            inputs="10e9 bytes, ring of 14, 500 Mbit/s (second-hand: the slow end of what nodes had); 8.3 minutes reported",
        ),
        Comparison(
            run="INTELLECT-1, across continents", quantity="utilisation", unit="share",
            computed=a.blocking_utilisation(2_280, sync), reported=0.83,
            inputs="the same, and 38 minutes of computing between (recalled)",
        ),
    )  # fmt: skip


def _open_diloco() -> tuple[Comparison, ...]:
    sync = a.ring_bytes(a.gradient_bytes(1.1e9, 16), 4) / (127e6 / 8)
    return (
        Comparison(
            run="OpenDiLoCo", quantity="synchronisation", unit="s", computed=sync, reported=300,
            inputs="1.1e9 parameters at 16 bits, ring of 4, 127 Mbit/s on the slowest link (recalled)",
        ),
        Comparison(
            run="OpenDiLoCo", quantity="utilisation", unit="share",
            computed=a.blocking_utilisation(4_050, sync), reported=0.925,
            inputs="the same, and 67.5 minutes of computing between (recalled); 90 to 95 % reported",
        ),
    )  # fmt: skip


def _dilocox() -> tuple[Comparison, ...]:
    method = catalogue()["dilocox"]
    return (
        Comparison(
            run="DiLoCoX", quantity="throughput against all-reduce", unit="times",
            computed=method.inner_steps_max * method.compression, reported=357, bound=True,
            inputs="steps x compression, both recalled; its tokens a step were not found, so this is the most it can be",
        ),
    )  # fmt: skip


def _others() -> tuple[Comparison, ...]:
    return (
        Comparison(
            run="Llama 3.1 405B", quantity="compute", unit="FLOP", computed=6 * 405e9 * 15.6e12, reported=3.79e25,
            inputs="6 x 405e9 x 15.6e12",
        ),
        Comparison(
            run="TOPLOC", quantity="proof of 32 tokens", unit="B", computed=128 * 2 + 2, reported=258,
            inputs="128 values of 2 bytes, and 2",
        ),
        Comparison(
            run="TOPLOC", quantity="smaller than the activations", unit="times",
            computed=32 * 4_096 * 2 / (128 * 2 + 2), reported=1_016, inputs="32 tokens x 4,096 values of 2 bytes",
        ),
    )  # fmt: skip


class Permitted(Record):
    """How much one published example is slowed by one proposed cap."""

    example: Text
    need_bytes_per_s: float
    cap: Text
    cap_bytes_per_s: float
    slowed: float


CAPS = (
    ("RAND fixed set, 1 GB/s outside (second-hand)", 1e9),
    ("MIRI 2026, about 1 MB/s (second-hand)", 1e6),
    ("MIRI 2024, 125 KB/s", 125e3),
)
EXAMPLES = (
    ("405B, 100 times fewer and smaller synchronisations (arXiv 2506.15867)", 13.1e6),
    ("250B, 16 times compression, 39 to 42 Mbit/s (arXiv 2605.29359)", 5e6),
)


def permitted() -> tuple[Permitted, ...]:
    """What each cap that was proposed still permits of each example."""
    return tuple(
        Permitted(example=example, need_bytes_per_s=need, cap=cap, cap_bytes_per_s=rate, slowed=a.slowed(need, rate))
        for example, need in EXAMPLES
        for cap, rate in CAPS
    )
