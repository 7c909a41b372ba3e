"""The shape of the model of the bench, and how many parameters follow from it. Pure: nothing here needs torch.

The model is a decoder-only transformer over bytes (`work_lm`). Its number of parameters, with width w, L layers,
context c and a vocabulary of 256:

    symbols 256 w + places c w + L x (attention 4 w^2 + 4 w, feed-forward 8 w^2 + 5 w, two norms 4 w) + head 256 w + 256
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Record

VOCABULARY = 256


class Shape(Record):
    """Width, layers, attention heads and context of the model."""

    width: int = Field(ge=8, le=4096)
    layers: int = Field(ge=2, le=96)
    heads: int = Field(ge=1, le=64)
    context: int = Field(ge=4, le=4096)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width} cannot be divided among {self.heads} heads")
        return self

    @property
    def parameters(self) -> int:
        """The number of parameters, by the formula of the module."""
        layer = 12 * self.width**2 + 13 * self.width
        return (2 * VOCABULARY + self.context) * self.width + VOCABULARY + self.layers * layer


BENCH = Shape(width=96, layers=2, heads=4, context=64)
"""The model of the recorded scenarios: 279,232 parameters."""
SMALL = Shape(width=256, layers=4, heads=4, context=64)
"""3.3 million parameters."""
MEDIUM = Shape(width=448, layers=4, heads=8, context=64)
"""9.9 million parameters."""
LARGE = Shape(width=768, layers=14, heads=12, context=64)
"""99.7 million parameters."""
