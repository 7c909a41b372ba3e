"""The chip catalogue: peak rates per number format, memory and power, as data with sources (`chips.yaml`).

- Rates are dense (non-sparse) FLOP/s per chip, as the maker states them.
- Total processing performance (TPP) = 2 x MacTOPS x bit length, the maximum over formats; a rate counts multiply and
  add apart, so TPP = max over formats of FLOP/s / 1e12 x bits (arXiv 2511.10783, Art. II para. 15).
- A capacity is never taken from a declaration: a declaration names a model, and the rate comes from here.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from types import MappingProxyType

import yaml
from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.quantities import H100_EQUIVALENT_TPP, Positive

FORMAT_BITS = MappingProxyType(
    {"fp64": 64, "fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4}
)
"""Bit length of each number format for TPP. TF32 counts as 32 bit, as the export rules that define TPP do."""


class ChipModel(Record):
    """One chip model."""

    id: Identifier
    name: Text
    flop_per_s: dict[Identifier, Positive] = Field(min_length=1, description="dense peak per number format")
    memory_bytes: Positive | None
    tdp_w: Positive | None
    source: Text

    def peak_flop_per_s(self, formats: tuple[str, ...]) -> float:
        """The highest rate [FLOP/s] over `formats`; over all formats of the chip if it has none of them.

        A chip outside of the counted formats is not thereby free: it counts at its best.
        """
        counted = [self.flop_per_s[name] for name in formats if name in self.flop_per_s]
        return max(counted or self.flop_per_s.values())

    @property
    def tpp(self) -> float:
        """Total processing performance."""
        return max(rate / 1e12 * FORMAT_BITS[name] for name, rate in self.flop_per_s.items() if name != "tf32")

    @property
    def h100_equivalents(self) -> float:
        return self.tpp / H100_EQUIVALENT_TPP


@cache
def chip_catalogue() -> MappingProxyType[str, ChipModel]:
    """All chip models by id."""
    data = (resources.files("inspectorate.declaration") / "chips.yaml").read_bytes()
    models = [ChipModel.model_validate(entry) for entry in yaml.safe_load(data)["chips"]]
    assert len({model.id for model in models}) == len(models), "a chip id repeats in chips.yaml"
    return MappingProxyType({model.id: model for model in models})
