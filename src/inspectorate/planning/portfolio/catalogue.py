"""The catalogue of mechanisms: power, price, readiness and intrusiveness, as data with sources (`catalogue.yaml`).

- A figure is a range of three, with a mark that says whose it is. What nobody printed is marked `assumed`, and every answer that
  rests on such a figure says so.
- What people say carries no figure: a mechanism whose evidence is people bounds nothing, and a catalogue that gives it a figure
  is refused.
- A user edits a copy of the file; nothing of it is repeated in code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml, read_yaml

CATALOGUE_BYTES_MAX = 1 << 20
MECHANISMS_MAX = 40
ROOTS_MAX = 24
FIGURE_MAX = 1e15
YEARS_MAX = 100.0
LEVELS = 5
"""Levels of access: 0 nothing to 4 code, data or weights."""


class Case(StrEnum):
    """Which end of every range counts."""

    OPTIMISTIC = "optimistic"
    CENTRAL = "central"
    PESSIMISTIC = "pessimistic"

    @property
    def place(self) -> int:
        return tuple(Case).index(self)


class Mark(StrEnum):
    """Whose figure it is."""

    FULL = "F"
    ABSTRACT = "A"
    SECOND_HAND = "S"
    COMPUTED = "C"
    ASSUMED = "assumed"


class Evidence(StrEnum):
    MACHINE = "machine"
    INSPECTION = "inspection"
    PEOPLE = "people"


class Scope(StrEnum):
    CLUSTER = "cluster"
    FLEET = "fleet"


class Claim(StrEnum):
    """What a mechanism lets one say of a cluster."""

    NO_TRAINING = "no-training"
    SMALL_TRAINING = "small-training"
    EXCLUDED = "excluded"
    NONE = "none"


class Subgoal(StrEnum):
    """The subgoals of arXiv 2507.15916: a regime is as strong as the weakest of them."""

    DECLARED_ACCURATE = "1.A"
    DECLARED_PROPERTIES = "1.B"
    UNDECLARED_USE = "2.A"
    UNDECLARED_CLUSTERS = "2.B"


SUBGOAL_TITLES = {
    Subgoal.DECLARED_ACCURATE: "declared uses are accurate",
    Subgoal.DECLARED_PROPERTIES: "declared uses have the required properties",
    Subgoal.UNDECLARED_USE: "no large undeclared use of declared clusters",
    Subgoal.UNDECLARED_CLUSTERS: "no large undeclared clusters",
}


class Use(StrEnum):
    INFERENCE = "inference"
    TRAINING = "training"
    OTHER = "other"


class Grade(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class RootKind(StrEnum):
    """What kind of thing is shared by what fails together."""

    PERSONS = "persons"
    ORGANISATION = "organisation"
    SUPPLIER = "supplier"


Bounded = Annotated[float, Field(ge=0, le=FIGURE_MAX, allow_inf_nan=False)]


class Figure(Record):
    """A number between two ends: the best for the verifier, the middle, the worst."""

    range: tuple[Bounded, Bounded, Bounded]
    mark: Mark
    source: Text

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if list(self.range) != sorted(self.range):
            raise ValueError("a range must not fall: low, central, high")
        return self

    def at(self, case: Case) -> float:
        return self.range[case.place]


class ShareFigure(Figure):
    """A figure that is a share."""

    @model_validator(mode="after")
    def _share(self) -> Self:
        if self.range[2] > 1:
            raise ValueError("a share is at most 1")
        return self


class Feasibility(Record):
    grade: Grade
    mark: Mark
    source: Text


class Cost(Record):
    """What it costs in a year: once for all of a fleet, for each cluster, for each chip."""

    programme: Figure | None = None
    cluster: Figure | None = None
    chip: Figure | None = None

    def at(self, case: Case) -> tuple[float, float, float]:
        parts = (self.programme, self.cluster, self.chip)
        return tuple(part.at(case) if part else 0.0 for part in parts)  # type: ignore[return-value]


class Per(StrEnum):
    CLUSTER = "cluster"
    CHIP = "chip"


class Revealed(Record):
    """What the other side learns, in kind, and at most how many bits a day."""

    kind: Identifier
    bits_per_day: Figure
    per: Per = Per.CLUSTER


class Access(Record):
    """What must be let in for it."""

    level: Annotated[int, Field(ge=0, lt=LEVELS)]
    kinds: tuple[Identifier, ...] = Field(default=(), max_length=16)
    mark: Mark
    source: Text


class Root(Record):
    """What mechanisms stand and fall with."""

    id: Identifier
    kind: RootKind
    title: Text


class Mechanism(Record):
    """One way of knowing, as something that can be bought."""

    id: Identifier
    title: Text
    power: Text
    scope: Scope
    evidence: Evidence
    claim: Claim
    uses: tuple[Use, ...] = Field(min_length=1)
    needs: tuple[Identifier, ...] = Field(
        default=(), max_length=8, description="mechanisms without which it is nothing"
    )
    residual: ShareFigure | None = None
    joining: ShareFigure | None = None
    joining_post: ShareFigure | None = None
    outside: ShareFigure | None = None
    feasibility: Feasibility
    rd_years: Figure
    cost: Cost
    reveals: tuple[Revealed, ...] = Field(default=(), max_length=16)
    access: Access
    roots: tuple[Identifier, ...] = Field(min_length=1, max_length=8)
    subgoals: tuple[Subgoal, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        figures = (self.residual, self.joining, self.joining_post, self.outside)
        if self.evidence is Evidence.PEOPLE and any(figures):
            raise ValueError("what people say carries no figure: strike residual, joining and outside")
        if (self.joining is None) != (self.joining_post is None):
            raise ValueError("give joining and joining_post, or neither")
        if self.scope is Scope.FLEET and (self.joining or self.outside or self.claim is not Claim.NONE):
            raise ValueError(
                "what is chosen for the fleet bounds only what nobody declared: claim none, residual alone"
            )
        bounds = self.residual is not None or self.joining is not None
        if self.scope is Scope.CLUSTER and bounds != (self.claim is not Claim.NONE):
            raise ValueError("a claim needs a residual or a joining, and either of them a claim")
        if self.rd_years.range[2] > YEARS_MAX:
            raise ValueError(f"more than {YEARS_MAX:g} years of work is no plan")
        for what, names in (("needs", self.needs), ("roots", self.roots), ("uses", self.uses)):
            if len(set(names)) != len(names):
                raise ValueError(f"{what} names one twice")
        return self

    @property
    def bounds(self) -> bool:
        """Whether it says anything of how much could be hidden in a cluster."""
        return self.scope is Scope.CLUSTER and self.claim is not Claim.NONE

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Every figure with its name."""
        named: Iterable[tuple[str, Figure | None]] = (
            ("residual", self.residual),
            ("joining", self.joining),
            ("joining_post", self.joining_post),
            ("outside", self.outside),
            ("rd_years", self.rd_years),
            ("cost.programme", self.cost.programme),
            ("cost.cluster", self.cost.cluster),
            ("cost.chip", self.cost.chip),
        )
        yield from ((name, figure) for name, figure in named if figure is not None)

    @property
    def assumed(self) -> tuple[str, ...]:
        """The names of the figures that are nobody's but ours."""
        found = [name for name, figure in self.figures() if figure.mark is Mark.ASSUMED]
        found += [f"reveals {one.kind}" for one in self.reveals if one.bits_per_day.mark is Mark.ASSUMED]
        return tuple(found)


class Catalogue(Record):
    """All mechanisms that a plan may choose from."""

    id: Identifier
    version: Annotated[int, Field(ge=1)]
    currency: Identifier
    roots: tuple[Root, ...] = Field(min_length=1, max_length=ROOTS_MAX)
    mechanisms: tuple[Mechanism, ...] = Field(min_length=1, max_length=MECHANISMS_MAX)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [one.id for one in self.mechanisms]
        roots = [one.id for one in self.roots]
        for what, found in (("mechanism", names), ("root", roots)):
            if len(set(found)) != len(found):
                raise ValueError(
                    f"a {what} stands twice: {', '.join(sorted({n for n in found if found.count(n) > 1}))}"
                )
        by_name = {one.id: one for one in self.mechanisms}
        for one in self.mechanisms:
            if unknown := set(one.roots) - set(roots):
                raise ValueError(f"{one.id} names unknown roots: {', '.join(sorted(unknown))}")
            if unknown := set(one.needs) - set(names):
                raise ValueError(f"{one.id} needs unknown mechanisms: {', '.join(sorted(unknown))}")
            if any(by_name[name].needs for name in one.needs):
                raise ValueError(f"{one.id} needs one that needs others; name them all here")
            if one.scope is Scope.FLEET and any(by_name[name].scope is Scope.CLUSTER for name in one.needs):
                raise ValueError(f"{one.id} is chosen for the fleet and cannot need one that is chosen by cluster")
        return self

    def mechanism(self, name: str) -> Mechanism:
        """Raises `KeyError`."""
        return next(one for one in self.mechanisms if one.id == name) if name in self.names else _missing(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.id for one in self.mechanisms)


def _missing(name: str) -> Mechanism:
    raise KeyError(name)


@cache
def shipped_catalogue() -> Catalogue:
    """The catalogue that is shipped."""
    return parse_catalogue(shipped_catalogue_bytes(), where="catalogue.yaml (shipped)")


def shipped_catalogue_bytes() -> bytes:
    """The shipped file as it stands, to be copied and edited."""
    return (resources.files("inspectorate.planning.portfolio") / "catalogue.yaml").read_bytes()


def parse_catalogue(data: bytes, *, where: str) -> Catalogue:
    """A catalogue from the bytes of a YAML document. Raises `InputError`."""
    value = parse_yaml(data, where=where, bytes_max=CATALOGUE_BYTES_MAX)
    return Catalogue.parse(value, where=where, error=InputError)


def load_catalogue(path: Path) -> Catalogue:
    """The catalogue in a YAML file. Raises `InputError`."""
    value = read_yaml(path, bytes_max=CATALOGUE_BYTES_MAX)
    return Catalogue.parse(value, where=str(path), error=InputError)
