"""What a look costs and finds, and where sites are: small files that a user can edit.

Costs are in inspector-days, travel included. A power is the chance to find a run for which a place was used; it is a
property of a look and never of a person: a method that hears people has none, costs days, and stands outside of the game.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.declaration import Declaration
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml, read_yaml
from inspectorate.quantities import NonNegative, Share

FILE_BYTES_MAX = 4 * 1024 * 1024
METHODS_MAX = 32
SITES_MAX = 10_000
DAYS_MAX = 1e6
_Days = Annotated[float, Field(ge=0, le=DAYS_MAX, allow_inf_nan=False)]


class LooksAt(StrEnum):
    """What a method is for."""

    CELLS = "cells"
    ELSEWHERE = "elsewhere"
    PEOPLE = "people"


class Days(Record):
    """Inspector-days of one look."""

    place: _Days = 0.0
    pod: _Days = 0.0
    hundred_pod_hours: _Days = 0.0

    def of(self, *, pods: int, pod_hours: float) -> float:
        return self.place + self.pod * pods + self.hundred_pod_hours * pod_hours / 100


class Method(Record):
    """One way to look."""

    id: Identifier
    title: Text
    looks_at: LooksAt
    power: Share | None = None
    days: Days
    assumed: bool = Field(description="whether power or days are nobody's but ours")
    source: Text

    @model_validator(mode="after")
    def _people_have_no_power(self) -> Self:
        if (self.power is None) != (self.looks_at is LooksAt.PEOPLE):
            raise ValueError("a look at cells or chips has a power, and what people say has none")
        return self


class Methods(Record):
    """The catalogue."""

    methods: tuple[Method, ...] = Field(min_length=1, max_length=METHODS_MAX)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len({one.id for one in self.methods}) != len(self.methods):
            raise ValueError("methods must have distinct ids")
        return self

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """From a YAML file, or the shipped ones. Raises `InputError`."""
        if path is not None:
            return cls.parse(read_yaml(path, bytes_max=FILE_BYTES_MAX), where=str(path), error=InputError)
        data = (resources.files("inspectorate.planning.inspections") / "methods.yaml").read_bytes()
        return cls.parse(
            parse_yaml(data, where="methods.yaml", bytes_max=FILE_BYTES_MAX), where="methods.yaml", error=InputError
        )

    def looking_at(self, what: LooksAt) -> tuple[Method, ...]:
        return tuple(one for one in self.methods if one.looks_at is what)


class SiteCosts(Record):
    """One site: which pods are there, and what a visit costs before anything is looked at."""

    id: Identifier
    travel_days: _Days = Field(description="inspector-days of a visit, there and back, for the whole team")
    pods: tuple[Identifier, ...] = Field(default=(), max_length=100_000, description="none: as the declaration says")


class Sites(Record):
    """All sites, and what a visit of any other costs."""

    sites: tuple[SiteCosts, ...] = Field(default=(), max_length=SITES_MAX)
    travel_days_else: _Days = 2.0

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a YAML file. Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=FILE_BYTES_MAX), where=str(path), error=InputError)


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """Site and travel of every pod."""

    sites: tuple[str, ...]
    travel_days: tuple[NonNegative, ...]
    of_pod: Mapping[str, int]
    notes: tuple[str, ...]


def whereabouts(pods: Sequence[str], sites: Sites | None, declaration: Declaration | None) -> Whereabouts:
    """Where pods are: by the file of sites, then by the declaration; what neither places is at one site.

    Raises `InputError` where a pod is at two sites, or a site has pods that the review does not know.
    """
    placed: dict[str, str] = {}
    costs = {one.id: one.travel_days for one in sites.sites} if sites else {}
    if sites and len(costs) != len(sites.sites):
        raise InputError("sites must have distinct ids", where="--sites")
    known = set(pods)
    for site in sites.sites if sites else ():
        for pod in site.pods:
            if pod not in known:
                raise InputError(f"the review has no pod {pod}", where=f"--sites, {site.id}", remedy="strike it there")
            if placed.setdefault(pod, site.id) != site.id:
                raise InputError(f"{pod} is at {placed[pod]} and at {site.id}", where="--sites")
    for declared in declaration.sites if declaration else ():
        for cluster in declared.clusters:
            for one in cluster.pods:
                placed.setdefault(one.id, declared.id)
    lost = sorted(known - set(placed))
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} pods are at no known site, and are planned as one site: give --sites or --declaration"
        )
    names = tuple(sorted({placed.get(pod, "unknown-site") for pod in pods}))
    rank = {name: place for place, name in enumerate(names)}
    other = sites.travel_days_else if sites else Sites().travel_days_else
    guessed = [name for name in names if name not in costs]
    if guessed:
        notes.append(
            f"travel to {len(guessed)} of {len(names)} sites is assumed to be {other:g} inspector-days a visit"
        )
    return Whereabouts(
        sites=names,
        travel_days=tuple(costs.get(name, other) for name in names),
        of_pod={pod: rank[placed.get(pod, "unknown-site")] for pod in pods},
        notes=tuple(notes),
    )
