"""Techniques as data: which of the catalogue are seen in a snapshot, and which of those the agreement does not allow.

The catalogue (`techniques.yaml`) says how each is recognised; words are looked for in Python source without its comments and
strings. Seeing a technique is a place to look at; not seeing one proves nothing. The whitelist is the agreement's: identifiers, and
`group.*` for a whole group. What is not on it is not allowed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Annotated

import yaml
from pydantic import Field, field_validator

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.code.snapshot import Snapshot
from inspectorate.mechanisms.inspection.code.source import Source, parse_source
from inspectorate.mechanisms.inspection.code.types import Review

FILE = "techniques.yaml"
PLACES_MAX = 8
TechniqueId = Annotated[str, Field(pattern=r"^[a-z][a-z-]*\.(\*|[a-z0-9-]+)$")]


class Technique(Record):
    """One way of working with models, and how it is recognised."""

    id: TechniqueId
    group: Identifier
    what: Text
    words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    rules: tuple[Identifier, ...] = ()

    @field_validator("words")
    @classmethod
    def _are_expressions(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            try:
                re.compile(word)
            except re.error as fault:
                raise ValueError(f"{word!r} is no regular expression: {fault}") from None
        return words


class _File(Record):
    techniques: tuple[Technique, ...] = Field(min_length=1)


class Seen(Record):
    """A technique, where it was seen, and whether the agreement allows it; `None` where no whitelist was given."""

    technique: TechniqueId
    what: Text
    places: tuple[str, ...] = Field(min_length=1)
    count: int = Field(ge=1)
    allowed: bool | None = None


@cache
def catalogue() -> tuple[Technique, ...]:
    """The techniques that are shipped."""
    data = resources.files(__package__).joinpath(FILE).read_bytes()
    return _File.parse(yaml.safe_load(data), where=FILE, error=InputError).techniques


def check_whitelist(allowed: Iterable[str]) -> frozenset[str]:
    """A whitelist whose entries the catalogue knows. Raises `InputError`."""
    known = {t.id for t in catalogue()} | {f"{t.group}.*" for t in catalogue()}
    given = frozenset(allowed)
    if unknown := sorted(given - known):
        raise InputError(f"{unknown[0]!r} is no technique of the catalogue", where="whitelist", remedy=f"see {FILE}")
    return given


def techniques_seen(snapshot: Snapshot, review: Review, allowed: Iterable[str] | None = None) -> tuple[Seen, ...]:
    """Every technique that the snapshot shows signs of."""
    whitelist = None if allowed is None else check_whitelist(allowed)
    places: dict[str, list[str]] = {technique.id: [] for technique in catalogue()}
    for path, data in snapshot.contents.items():
        if path.endswith(".py") and isinstance(parsed := parse_source(data), Source):
            _in_source(path, parsed, places)
    for technique in catalogue():
        for pointer in review.pointers:
            if pointer.rule in technique.rules:
                places[technique.id].append(f"{pointer.file}:{pointer.line}")
    return tuple(
        Seen(
            technique=t.id,
            what=t.what,
            places=tuple(dict.fromkeys(places[t.id]))[:PLACES_MAX],
            count=len(set(places[t.id])),
            allowed=None if whitelist is None else bool({t.id, f"{t.group}.*"} & whitelist),
        )
        for t in catalogue()
        if places[t.id]
    )


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str], tuple[str, ...]], ...]:
    return tuple((t.id, re.compile("|".join(t.words) or r"(?!)", re.IGNORECASE), t.names) for t in catalogue())


def _in_source(path: str, parsed: Source, places: dict[str, list[str]]) -> None:
    """Words among the names of one file, and its imports."""
    names: dict[str, int] = {}
    imported: dict[str, int] = {}
    for node in ast.walk(parsed.tree):
        line = getattr(node, "lineno", 0)
        match node:
            case ast.Name():
                names.setdefault(node.id, line)
            case ast.Attribute():
                names.setdefault(f".{node.attr}(", line)
            case ast.arg() | ast.keyword() if node.arg:
                names.setdefault(node.arg, line)
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                names.setdefault(node.name, line)
            case ast.Import():
                imported |= {alias.name: line for alias in node.names}
            case ast.ImportFrom():
                imported |= {f"{node.module or ''}.{alias.name}": line for alias in node.names}
    for technique, pattern, libraries in _patterns():
        for name, line in names.items():
            if pattern.search(name):
                places[technique].append(f"{path}:{line}")
        for name, line in imported.items():
            if any(name == library or name.startswith(f"{library}.") for library in libraries):
                places[technique].append(f"{path}:{line}")
