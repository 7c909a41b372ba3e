"""Layers of verification, as data (`layers.yaml`): what each does for each subgoal, by which mechanisms of the catalogue, and which
findings of a review show whether it really looked.

Layers of people are there or not, and independent of others or not. They have no figure: none is read, none is printed.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from pydantic import Field

from inspectorate.agreement import ClauseKind
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.keys import parse_yaml
from inspectorate.planning.portfolio.catalogue import Mark, Subgoal

LAYERS_BYTES_MAX = 1 << 18


class Part(Record):
    """One way in which a layer looks."""

    mechanism: Identifier
    clauses: tuple[ClauseKind, ...] = Field(default=(), description="none: no clause of this program shows it")


class Layer(Record):
    """One layer."""

    id: Identifier
    title: Text
    people: bool = Field(description="whether it rests on what people say: then it has no figure")
    mark: Mark = Field(description="whose idea of a layer it is")
    words: dict[Subgoal, str]
    parts: tuple[Part, ...] = Field(min_length=1)


class _Layers(Record):
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=64)


@cache
def shipped_layers() -> tuple[Layer, ...]:
    """The layers that are shipped."""
    data = (resources.files("inspectorate.planning.strength") / "layers.yaml").read_bytes()
    value = parse_yaml(data, where="layers.yaml", bytes_max=LAYERS_BYTES_MAX)
    return _Layers.parse(value, where="layers.yaml", error=InputError).layers
