"""What the chips of a pod reach, from the catalogue and the options of a command."""

from __future__ import annotations

from inspectorate.declaration import ChipModel, chip_catalogue
from inspectorate.errors import InputError

DEFAULT_CHIP = "h100-sxm"
REPORT_FLOP_PER_S, REPORT_PEAK_FLOP_PER_S = 400e12, 989.4e12
"""What the example of arXiv 2506.15867 takes one H100 to reach, and its peak in the catalogue: a utilisation of 40 %."""
COUNTED_FORMATS = ("fp16", "bf16")
"""Training is counted in 16 bits; a chip that has neither counts at its best format (see `ChipModel.peak_flop_per_s`)."""


def chip_named(name: str) -> ChipModel:
    """A model of the catalogue. Raises `InputError`."""
    models = chip_catalogue()
    if name not in models:
        raise InputError(
            f"the catalogue has no chip {name!r}", where="--chip", remedy="`inspectorate agreement chips` lists them"
        )
    return models[name]


def utilisation_of(given: float | None) -> float:
    """The share of the peak that is reached; by default that of the report's example."""
    return REPORT_FLOP_PER_S / REPORT_PEAK_FLOP_PER_S if given is None else given


def reached_flop_per_s(model: ChipModel, utilisation: float | None) -> float:
    """What one chip reaches. The default gives an H100 exactly the rate of the report's example."""
    peak = model.peak_flop_per_s(COUNTED_FORMATS)
    return REPORT_FLOP_PER_S * (peak / REPORT_PEAK_FLOP_PER_S) if utilisation is None else peak * utilisation


def memory_of(model: ChipModel, given: float | None) -> float:
    """Memory of one chip [byte], from the option before the catalogue. Raises `InputError`."""
    if given is not None:
        return given
    if model.memory_bytes is None:
        raise InputError(f"the catalogue has no memory of {model.id}", where="--chip", remedy="give --memory")
    return model.memory_bytes
