"""The catalogue of methods, and the assumptions of each case.

The methods are data (`methods.yaml`), each with its sources and what is known of it. What a case makes of them is here, in
one table, and is a modelling choice:

| | published | central | cautious |
|---|---|---|---|
| methods that nobody has shown ("argued") | no | yes | yes |
| steps between synchronisations | as published | as published | 10 times that |
| compression | as published | as published | twice that |
| tokens a step | as well-connected runs take | 2 times that | 8 times that |
| loss of rare synchronisation, alpha of 1 - alpha log10 H | twice the simulator's | the simulator's | none |
| loss of many replicas, k^-e | e = 0.2 | e = 0.1 | none |
| quality of the method itself | low | central | high |
| synchronisations that a run needs at least | 100 | 100 | 10 |

Sources: alpha from the simulator of arXiv 2605.29359 (itself a modelling choice of its authors); e = 0.2 from Epoch as quoted
(8 replicas about 1.5 times, 10,000 about 6 times the compute); e = 0 because losses shrink with size (arXiv 2503.09799,
second-hand). DiLoCo and OpenDiLoCo synchronised 128 and 176 times in all, so 100 has been shown and 10 has not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml
from inspectorate.mechanisms.interconnect.plan.types import Case
from inspectorate.quantities import Positive, Share

CATALOGUE_BYTES_MAX = 256 * 1024
ALPHA_AT_1B = 0.08
"""alpha = 0.08 / (1 + log10(P / 1e9) / 5) (arXiv 2605.29359, simulator); below 1e9 parameters we keep 0.08, since the
formula grows without bound there."""
INNER_STEPS_MAX = 5_000
"""No case goes beyond: ten times the most that has been shown (DiLoCo, 500)."""


class Family(StrEnum):
    REPLICAS = "replicas"
    PIPELINE = "pipeline"
    TENSOR = "tensor"
    SEQUENCE = "sequence"
    EXPERTS = "experts"
    ROLLOUTS = "rollouts"
    SYNTHETIC = "synthetic"
    ALONE = "alone"


class Exchange(StrEnum):
    SERVER = "server"
    RING = "ring"
    GATHER = "gather"


class Level(StrEnum):
    """How far a method has been shown."""

    AT_SCALE = "at-scale"
    """At least 50e9 parameters."""
    MID = "mid"
    """At least 5e9 parameters."""
    SMALL = "small"
    ARGUED = "argued"
    """By nobody: parts of it are published, or it was only proposed."""


class MethodSource(Record):
    document: Text
    paragraph: Text | None = None
    read: Literal["full", "abstract", "second-hand"]


class Shown(Record):
    """What was measured, by whom, at what scale."""

    level: Level
    parameters: Positive
    by: Text
    said: Text


class Method(Record):
    """One way to spread training over pods."""

    id: Identifier
    title: Text
    family: Family
    compression: Positive
    inner_steps_max: Annotated[int, Field(ge=1, le=INNER_STEPS_MAX)]
    activation_compression: Positive = 1.0
    exchange: Exchange
    volume: Positive = 1.0
    overlap: bool
    quality: tuple[Share, Share, Share] = Field(description="low, central, high")
    counts_as: Literal["pre-training", "post-training"]
    evidence: Shown
    sources: tuple[MethodSource, ...] = Field(min_length=1)
    choice: Text | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.quality) != sorted(self.quality):
            raise ValueError("quality must be given as low, central, high")
        return self


class _Catalogue(Record):
    methods: tuple[Method, ...] = Field(min_length=1)


@cache
def catalogue() -> MappingProxyType[str, Method]:
    """The methods by id. Raises `InputError` if the shipped file is damaged."""
    resource = files("inspectorate.mechanisms.interconnect.plan").joinpath("methods.yaml")
    value = parse_yaml(resource.read_bytes(), where="methods.yaml", bytes_max=CATALOGUE_BYTES_MAX)
    found = _Catalogue.parse({"methods": value}, where="methods.yaml", error=InputError).methods
    if len({method.id for method in found}) != len(found):
        raise InputError("a method is there twice", where="methods.yaml")
    return MappingProxyType({method.id: method for method in found})


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What one case makes of the catalogue (the table above)."""

    argued: bool
    inner_steps_factor: float
    compression_factor: float
    batch_factor: float
    alpha_factor: float
    replica_exponent: float
    quality: int
    synchronisations_min: float


ASSUMPTIONS = MappingProxyType(
    {
        Case.PUBLISHED: Assumptions(
            argued=False, inner_steps_factor=1, compression_factor=1, batch_factor=1, alpha_factor=2,
            replica_exponent=0.2, quality=0, synchronisations_min=100,
        ),
        Case.CENTRAL: Assumptions(
            argued=True, inner_steps_factor=1, compression_factor=1, batch_factor=2, alpha_factor=1,
            replica_exponent=0.1, quality=1, synchronisations_min=100,
        ),
        Case.CAUTIOUS: Assumptions(
            argued=True, inner_steps_factor=10, compression_factor=2, batch_factor=8, alpha_factor=0,
            replica_exponent=0.0, quality=2, synchronisations_min=10,
        ),
    }
)  # fmt: skip


def methods_of(assumed: Assumptions) -> tuple[Method, ...]:
    """The methods that such an adversary has, in the order of the catalogue."""
    return tuple(m for m in catalogue().values() if assumed.argued or m.evidence.level is not Level.ARGUED)


def inner_steps_of(method: Method, assumed: Assumptions) -> int:
    """The most steps between two synchronisations. A method that synchronises at every step goes on doing so."""
    if method.inner_steps_max == 1:
        return 1
    return min(INNER_STEPS_MAX, max(1, round(method.inner_steps_max * assumed.inner_steps_factor)))


def alpha_of(parameters: float, assumed: Assumptions) -> float:
    """alpha of the worth 1 - alpha log10 H of a step, when H steps pass between synchronisations."""
    return assumed.alpha_factor * ALPHA_AT_1B / (1 + max(0.0, math.log10(parameters / 1e9)) / 5)


@cache
def step_grid() -> NDArray[np.float64]:
    """The numbers of steps between synchronisations that are tried: all up to 32, then 24 to the decade, and 5,000."""
    rising = np.round(10 ** np.arange(1.5, np.log10(INNER_STEPS_MAX), 1 / 24))
    grid = np.unique(
        np.concatenate([np.arange(1.0, 33.0), rising, [100.0, 125.0, 300.0, 500.0, float(INNER_STEPS_MAX)]])
    )
    grid.flags.writeable = False
    return grid
