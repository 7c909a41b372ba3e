"""Expressions of every type, made at random, with inputs for them; and what two libraries say of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import cel
import celpy
from celpy import celtypes
from hypothesis import strategies as st

from inspectorate.mechanisms.guarantee.rulesets.cel_compile import Type
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import INT_MAX, INT_MIN

TYPES = {
    "i": Type.INT,
    "j": Type.INT,
    "x": Type.DOUBLE,
    "y": Type.DOUBLE,
    "b": Type.BOOL,
    "c": Type.BOOL,
    "s": Type.STRING,
}

WHOLE = st.sampled_from([0, 1, -1, 2, -7, 24, 4096, INT_MAX, INT_MIN, INT_MAX - 1]) | st.integers(INT_MIN, INT_MAX)
REAL = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e21, 1e308, -1e308, 5e-324, 9.3e18]) | st.floats(
    allow_nan=False, allow_infinity=False
)
TEXT = st.sampled_from(["", "a", "small", "/v1/x", "A b#[]~ !"])

INPUTS = st.fixed_dictionaries(
    {"i": WHOLE, "j": WHOLE, "x": REAL, "y": REAL, "b": st.booleans(), "c": st.booleans(), "s": TEXT}
)


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(value)


LITERALS = {Type.INT: WHOLE, Type.DOUBLE: REAL, Type.BOOL: st.booleans(), Type.STRING: TEXT}


@cache
def leaf(kind: Type) -> st.SearchStrategy[str]:
    names = [name for name, one in TYPES.items() if one is kind]
    return st.sampled_from(names) | LITERALS[kind].map(as_text)


@cache
def expression(kind: Type, depth: int = 3) -> st.SearchStrategy[str]:
    """Text of an expression of a type, with parentheses around every operand."""
    if depth == 0 or kind is Type.STRING:
        return leaf(kind)

    def of(other: Type) -> st.SearchStrategy[str]:
        return expression(other, depth - 1)

    def joined(operands: st.SearchStrategy[str], signs: str) -> st.SearchStrategy[str]:
        return st.builds("({}) {} ({})".format, operands, st.sampled_from(signs.split()), operands)

    conditional = st.builds("(({}) ? ({}) : ({}))".format, of(Type.BOOL), of(kind), of(kind))
    if kind is Type.BOOL:
        listed = st.sampled_from(list(Type)).flatmap(
            lambda one: st.builds(
                "({}) in [{}]".format,
                expression(one, depth - 1),
                st.lists(LITERALS[one].map(as_text), min_size=1, max_size=3).map(", ".join),
            )
        )
        return st.one_of(
            leaf(kind),
            conditional,
            listed,
            joined(of(Type.BOOL), "&& ||"),
            st.builds("!({})".format, of(Type.BOOL)),
            *(joined(of(one), "< <= > >= == !=") for one in (Type.INT, Type.DOUBLE)),
            *(joined(of(one), "== !=") for one in (Type.BOOL, Type.STRING)),
        )
    other = Type.DOUBLE if kind is Type.INT else Type.INT
    signs = "+ - * / %" if kind is Type.INT else "+ - * /"
    return st.one_of(
        leaf(kind),
        conditional,
        joined(of(kind), signs),
        st.builds("-({})".format, of(kind)),
        st.builds((kind.value + "({})").format, of(other)),
    )


class Wrong:
    """A library gave an error."""

    def __repr__(self) -> str:
        return "an error"


WRONG = Wrong()
_ENVIRONMENT = celpy.Environment()
_OF = {bool: celtypes.BoolType, int: celtypes.IntType, float: celtypes.DoubleType, str: celtypes.StringType}


def of_common(text: str, values: dict[str, Any]) -> Any:
    """The value by common-expression-language (Rust), or `WRONG`."""
    try:
        return cel.evaluate(text, values)
    except (ArithmeticError, ValueError, TypeError, RuntimeError):
        return WRONG


def of_celpy(text: str, values: dict[str, Any]) -> Any:
    """The value by cel-python, or `WRONG`."""
    given = {name: _OF[type(value)](value) for name, value in values.items()}
    try:
        found = _ENVIRONMENT.program(_ENVIRONMENT.compile(text)).evaluate(given)
    except (celpy.CELEvalError, celpy.CELParseError, ArithmeticError, ValueError, TypeError):
        return WRONG
    for kind in (celtypes.BoolType, celtypes.IntType, celtypes.DoubleType, celtypes.StringType):
        if isinstance(found, kind):
            return {v: k for k, v in _OF.items()}[kind](found)
    return found
