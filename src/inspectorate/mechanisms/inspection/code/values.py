"""What an expression may stand for, as far as it can be told without running it.

A value is a union: dotted names (`torch.optim.SGD`; `torch.optim.SGD()` for what a call of it gives; `?.step` for an attribute of
something unknown), constants, parts of a container, and traits that travel through computation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inspectorate.mechanisms.inspection.code.reference import ALTERNATIVES_MAX

Constant = str | bytes | int | float | bool | None
NAMES_MAX = 12


class Trait:
    """What is known of the tensors behind a value: bits of a plain integer, because they are joined millions of times."""

    NONE = 0
    WEIGHT = 1
    """Shares its memory with a parameter."""
    OF_WEIGHT = 2
    """Was computed from a parameter."""
    GRADIENT = 4
    LOADED = 8
    """Came from a file."""
    RANDOM = 16
    MODULE = 32
    """A module of a network, or something that holds parameters."""
    INPUT = 64
    """Made here and asked for gradients, without being a parameter."""
    READ = 128
    """Text or bytes from outside: a file, the environment, a connection, a decoder."""
    PASSED = 256
    """Shares its memory with a parameter of a network where some caller passes one."""
    MIXED = 512
    """The same where some callers pass a parameter of a network and others do not."""
    COPY = 1024
    """An unchanged copy of a parameter."""
    ARGUMENT = 1 << 12
    """The first argument of the function around; the bits above it stand for those that follow."""


ARGUMENTS_MAX = 16
ARGUMENTS = ((1 << ARGUMENTS_MAX) - 1) * Trait.ARGUMENT


ALIAS = Trait.WEIGHT | Trait.PASSED | Trait.MIXED | Trait.COPY | ARGUMENTS
"""What only views keep."""
HELD = Trait.WEIGHT | Trait.PASSED
SOURCE = HELD | Trait.MIXED | Trait.COPY
"""What makes a result of computation one of weights."""


@dataclass(frozen=True)
class Value:
    """A union of what may be."""

    names: frozenset[str] = frozenset()
    constants: tuple[Constant, ...] = ()
    traits: int = 0
    items: tuple[Value, ...] | None = None
    """Of a tuple, list or set."""
    keyed: tuple[tuple[Constant, Value], ...] | None = field(default=None)
    """Of a dictionary; a key that is not constant is `None`."""
    partial: int = 0
    """How many leading arguments are bound already."""

    def __bool__(self) -> bool:
        raise TypeError("a value has no truth value")

    @property
    def known(self) -> bool:
        return "?" not in self.names and (bool(self.names) or bool(self.constants) or self.items is not None)

    def with_traits(self, traits: int) -> Value:
        return Value(self.names, self.constants, traits, self.items, self.keyed, self.partial)

    def text(self) -> str | None:
        """The one string it is, if it is one."""
        texts = [c for c in self.constants if isinstance(c, str)]
        return texts[0] if len(texts) == 1 and len(self.constants) == 1 else None

    def elements(self) -> tuple[Value, ...]:
        """Everything that may be taken out of a container."""
        return (self.items or ()) + tuple(value for _, value in self.keyed or ())


PUT = b"\0put"
"""The key of what is put into a container by a method or by an index."""
UNKNOWN = Value(frozenset({"?"}))
NOTHING = Value()


def named(*names: str) -> Value:
    return Value(frozenset(names))


def constant(value: Constant) -> Value:
    return Value(constants=(value,))


def union(values: Iterable[Value]) -> Value:
    """Everything that any of them may be, up to a number of alternatives."""
    given = [v for v in values if v is not NOTHING]
    if len(given) == 1:
        return given[0]
    names: set[str] = set()
    constants: list[Constant] = []
    traits = Trait.NONE
    items: list[Value] = []
    keyed: list[tuple[Constant, Value]] = []
    has_items = has_keyed = False
    for value in given:
        names |= value.names
        constants += [
            c for c in value.constants if not any(c is k or (type(c) is type(k) and c == k) for k in constants)
        ]
        traits |= value.traits
        if value.items is not None:
            has_items = True
            items += [i for i in value.items if i not in items] if len(items) < 64 else []
        if value.keyed is not None:
            has_keyed = True
            keyed += value.keyed if len(keyed) < 256 else ()
    if len(names) > NAMES_MAX:
        names = set(sorted(names, key=_interest)[:NAMES_MAX]) | {"?"}
    return Value(
        frozenset(names),
        tuple(constants[:ALTERNATIVES_MAX]),
        traits,
        tuple(items[:64]) if has_items else None,
        tuple(keyed[:256]) if has_keyed else None,
    )


def _interest(name: str) -> tuple[bool, int, str]:
    """Names of libraries before names of nothing, short ones first."""
    return (name.startswith("?"), len(name), name)


def attribute_name(base: str, name: str) -> str:
    """The dotted name of an attribute; what hangs from a result or from something unknown keeps its last part only."""
    head, mark, _ = base.partition("()")
    if base.startswith("?"):
        return f"?.{name}"
    return f"{head}().{name}" if mark else f"{base}.{name}"
