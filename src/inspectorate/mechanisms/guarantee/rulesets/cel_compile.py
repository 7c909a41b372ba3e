"""Check the types of an expression and turn it into closures that evaluate it.

Rules:

1. Types are `bool`, `int`, `double` and `string`, and nothing is converted unless it says so: `int` and `double` are neither added
   nor compared with each other. (CEL's checker says the same; its evaluators differ on it.)
2. `int` has 64 bits: a result beyond them is an error, as is a division by zero. Division truncates towards zero, and the remainder
   has the sign of the dividend.
3. A `double` that is not finite is an error. CEL would go on with infinity and NaN; but every comparison with NaN is false, so that
   `!(x > 5.0)` would hold of a reading that nobody has.
4. `&&` and `||` ask both sides if they must: an error on one side is absorbed if the other settles the result alone, whichever of
   them stands first. `?:` asks only the side that is chosen.
5. Operators cannot loop: evaluation takes at most one step for each node. Text is only compared.

Where these differ from CEL they only ever turn a value into an error, and an error is a failed rule.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inspectorate.mechanisms.guarantee.rulesets.cel_parse import (
    INT_MAX,
    INT_MIN,
    Among,
    Apply,
    ExpressionFault,
    Literal,
    Name,
    Node,
    Scalar,
    parse,
)

Values = Mapping[str, Scalar]
Evaluate = Callable[[Values], Any]
"""A value of the type that was checked."""


class Type(StrEnum):
    """What an input or an expression is."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"


class NoValue(ArithmeticError):
    """An expression that has no value for these inputs."""


@dataclass(frozen=True, kw_only=True)
class Expression:
    """An expression that was checked: what it is, what it reads, and how to evaluate it."""

    type: Type
    reads: frozenset[str]
    evaluate: Evaluate
    """Raises `NoValue`. Inputs must be of their declared types: `rules.RuleBook` sees to that."""


_TYPE_OF: dict[type[Scalar], Type] = {bool: Type.BOOL, int: Type.INT, float: Type.DOUBLE, str: Type.STRING}
_NUMBERS = (Type.INT, Type.DOUBLE)


def compile_expression(text: str, types: Mapping[str, Type]) -> Expression:
    """Read, check and compile an expression over inputs of these types. Raises `ExpressionFault`."""
    reads: set[str] = set()
    kind, evaluate = _compile(parse(text), types, reads)
    return Expression(type=kind, reads=frozenset(reads), evaluate=evaluate)


def _compile(node: Node, types: Mapping[str, Type], reads: set[str]) -> tuple[Type, Evaluate]:
    match node:
        case Literal(value=value):
            return _TYPE_OF[type(value)], lambda _: value
        case Name(name=name, at=at):
            if name not in types:
                raise ExpressionFault(f"reads {name!r}, which is not declared", at)
            reads.add(name)
            return types[name], operator.itemgetter(name)
        case Among(operand=operand, choices=choices, at=at):
            kind, inner = _compile(operand, types, reads)
            if any(_TYPE_OF[type(one.value)] is not kind for one in choices):
                raise ExpressionFault(f"a list after a {kind.value} must hold nothing else", at)
            members = frozenset(one.value for one in choices)
            return Type.BOOL, lambda values: inner(values) in members
        case Apply(operator=sign, operands=operands, at=at):
            parts = [_compile(one, types, reads) for one in operands]
            return _applied(sign, [kind for kind, _ in parts], [inner for _, inner in parts], at)


def _applied(sign: str, kinds: list[Type], parts: list[Evaluate], at: int) -> tuple[Type, Evaluate]:
    if sign in ("!", "&&", "||"):
        if set(kinds) != {Type.BOOL}:
            raise ExpressionFault(f"{sign!r} needs truth values, not {_listed(kinds)}", at)
        return Type.BOOL, _LOGIC[sign](*parts)
    if sign == "?":
        if kinds[0] is not Type.BOOL or kinds[1] is not kinds[2]:
            raise ExpressionFault("a conditional needs a truth value, and two of one type", at)
        return kinds[1], _chosen(*parts)
    if sign in ("int", "double", "negate"):
        if kinds[0] not in _NUMBERS:
            raise ExpressionFault(f"{sign} needs a number, not a {kinds[0].value}", at)
        return _of_one(sign, kinds[0], parts[0])
    left, right = kinds
    if left is not right:
        raise ExpressionFault(
            f"{sign!r} needs two of one type, not {_listed(kinds)}; convert with int() or double()", at
        )
    if left not in _NUMBERS and sign not in ("==", "!="):
        raise ExpressionFault(f"{sign!r} needs numbers, not {_listed(kinds)}", at)
    if sign in _COMPARISONS:
        return Type.BOOL, _COMPARISONS[sign](*parts)
    if left is Type.DOUBLE and sign == "%":
        raise ExpressionFault("'%' needs whole numbers", at)
    return left, (_whole if left is Type.INT else _real)(sign, *parts)


def _listed(kinds: list[Type]) -> str:
    return " and ".join(kind.value for kind in kinds)


# --- logic ----------------------------------------------------------------------------------------------------------------


def _not(inner: Evaluate) -> Evaluate:
    return lambda values: not inner(values)


def _settled_by(settles: bool) -> Callable[[Evaluate, Evaluate], Evaluate]:
    """`&&`, which false settles, or `||`, which true settles."""

    def combined(left: Evaluate, right: Evaluate) -> Evaluate:
        def evaluate(values: Values) -> Any:
            try:
                if left(values) is settles:
                    return settles
            except NoValue:
                if right(values) is settles:
                    return settles
                raise
            return right(values)

        return evaluate

    return combined


_LOGIC: dict[str, Callable[..., Evaluate]] = {"!": _not, "&&": _settled_by(False), "||": _settled_by(True)}


def _chosen(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    return lambda values: then(values) if condition(values) else otherwise(values)


_COMPARISONS: dict[str, Callable[[Evaluate, Evaluate], Evaluate]] = {
    "==": lambda left, right: lambda values: left(values) == right(values),
    "!=": lambda left, right: lambda values: left(values) != right(values),
    "<": lambda left, right: lambda values: left(values) < right(values),
    "<=": lambda left, right: lambda values: left(values) <= right(values),
    ">": lambda left, right: lambda values: left(values) > right(values),
    ">=": lambda left, right: lambda values: left(values) >= right(values),
}


# --- numbers --------------------------------------------------------------------------------------------------------------


def _in_64_bits(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise NoValue("a whole number beyond 64 bits")


def _truncated(value: float) -> int:
    """Towards zero. Both ends of the range are left out, as the largest int is no double."""
    if -(2.0**63) < value < 2.0**63:
        return int(value)
    raise NoValue("a whole number beyond 64 bits")


def _finite(value: float) -> float:
    if math.isfinite(value):
        return value
    raise NoValue("a number that is not finite")


def _of_one(sign: str, kind: Type, inner: Evaluate) -> tuple[Type, Evaluate]:
    if sign == "negate":
        if kind is Type.INT:
            return kind, lambda values: _in_64_bits(-inner(values))
        return kind, lambda values: -inner(values)
    if sign == kind.value:
        return kind, inner
    if sign == "int":
        return Type.INT, lambda values: _truncated(inner(values))
    return Type.DOUBLE, lambda values: float(inner(values))


def _whole(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    calculate = _WHOLE[sign]
    return lambda values: _in_64_bits(calculate(left(values), right(values)))


def _real(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    calculate = _REAL[sign]
    return lambda values: _finite(calculate(left(values), right(values)))


def _quotient(left: int, right: int) -> int:
    if right == 0:
        raise NoValue("division by zero")
    magnitude = abs(left) // abs(right)
    return magnitude if (left < 0) == (right < 0) else -magnitude


def _remainder(left: int, right: int) -> int:
    return left - right * _in_64_bits(_quotient(left, right))


def _ratio(left: float, right: float) -> float:
    if right == 0.0:
        raise NoValue("division by zero")
    return left / right


_WHOLE: dict[str, Callable[..., int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": _remainder,
}
_REAL: dict[str, Callable[..., float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": _ratio}
