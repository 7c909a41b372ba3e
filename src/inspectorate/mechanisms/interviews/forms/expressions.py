"""Conditions of a form as data: a stated subset of the XPath expressions of XLSForm, typed, and evaluated by our own few lines.

    ${name}  .                       the answer to an earlier question; the answer at hand (in constraints only)
    'text' "text" 12 1.5             constants; date('2026-03-14'); true() false(); '' stands for "not answered"
    = != < <= > >=   and or not()    comparisons of one type with itself
    + - * div mod                    of numbers
    selected(${many}, 'a')           whether a choice is among those taken; also of a question with one choice
    count-selected(${many})  string-length(${text})  today()   today() is the day of the interview

Everything else is refused by its name: paths, `regex`, `pulldata`, `concat`, `if`, `indexed-repeat`, calls of any other function.

Rules:

- Every expression has a type before it is used; what would compare a number with a date is refused when the form is read.
- A question that was not answered, for whatever reason, has no value: nothing equals it, it differs from everything, and it is
  neither above nor below anything, as in XPath. Arithmetic on it has no value either.
- The page holds the same few lines in another language; a test evaluates both on the same expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inspectorate.canonical import Record
from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.forms.reference import (
    EXPRESSION_DEPTH_MAX,
    EXPRESSION_NODES_MAX,
    NUMBER_MAX,
    WORDS_MAX,
)

Value = bool | float | str | frozenset[str] | None
"""Truth, number, text (also a date as `2026-03-14`, a time as `14:30`, one choice), choices taken; None: not answered."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Type(StrEnum):
    """Of what an expression gives."""

    TRUTH = "truth"
    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    TIME = "time"
    CHOICES = "choices"
    EMPTY = "empty"
    """The constant '': only compared with."""


class Constant(Record):
    """A constant."""

    op: Literal["constant"] = "constant"
    type: Type
    value: bool | Annotated[float, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)] | Annotated[str, Field(max_length=WORDS_MAX)]


class Answer(Record):
    """The answer to a question."""

    op: Literal["answer"] = "answer"
    name: Name


class Here(Record):
    """The answer at hand."""

    op: Literal["here"] = "here"


class Apply(Record):
    """A function or an operator of the list."""

    op: Literal["apply"] = "apply"
    function: Annotated[str, StringConstraints(pattern=r"^[a-z!<>=+*-]{1,20}$")]
    of: tuple[Expression, ...] = Field(max_length=2)


Expression = Annotated[Constant | Answer | Here | Apply, Field(discriminator="op")]
Apply.model_rebuild()

_COMPARED = (Type.NUMBER, Type.DATE, Type.TIME)
_ORDERED = ("<", "<=", ">", ">=")
_ARITHMETIC = ("+", "-", "*", "div", "mod")
FUNCTIONS = {
    "not": ((Type.TRUTH,), Type.TRUTH),
    "true": ((), Type.TRUTH),
    "false": ((), Type.TRUTH),
    "today": ((), Type.DATE),
    "count-selected": ((Type.CHOICES,), Type.NUMBER),
    "string-length": ((Type.TEXT,), Type.NUMBER),
}
"""Function -> types of what it takes, and of what it gives. `selected` and `date` are read apart."""
OPERATORS = ("and", "or", "=", "!=", *_ORDERED, *_ARITHMETIC)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What an expression may speak of: the types of earlier answers, and of the answer at hand where there is one."""

    answers: Mapping[str, Type]
    here: Type | None = None


def parts(expression: Expression) -> Iterator[Expression]:
    """The expression and all that it is made of."""
    yield expression
    if isinstance(expression, Apply):
        for one in expression.of:
            yield from parts(one)


def depth(expression: Expression) -> int:
    return 1 + max((depth(one) for one in expression.of), default=0) if isinstance(expression, Apply) else 1


def check_truth(expression: Expression, scope: Scope, *, where: str) -> None:
    """Refuse an expression that is no condition, or is too large. Raises `InputError`."""
    if sum(1 for _ in parts(expression)) > EXPRESSION_NODES_MAX or depth(expression) > EXPRESSION_DEPTH_MAX:
        raise InputError("the expression is too large", where=where, remedy="split the question")
    if (found := type_of(expression, scope, where=where)) is not Type.TRUTH:
        raise InputError(f"gives a {found.value}, where a condition is needed", where=where)


def type_of(expression: Expression, scope: Scope, *, where: str) -> Type:
    """The type of what it gives. Raises `InputError` where it has none."""
    match expression:
        case Constant(type=kind, value=value):
            return _type_of_constant(kind, value, where)
        case Answer(name=name):
            if name not in scope.answers:
                raise InputError(f"${{{name}}} is no question before this one that it can see", where=where)
            return scope.answers[name]
        case Here():
            if scope.here is None:
                raise InputError("`.` stands outside of a constraint", where=where)
            return scope.here
        case Apply(function=function, of=of):
            return _type_of_call(function, tuple(type_of(one, scope, where=where) for one in of), where)


def _type_of_constant(kind: Type, value: object, where: str) -> Type:
    fits = (
        isinstance(value, bool) if kind is Type.TRUTH
        else isinstance(value, int | float) and not isinstance(value, bool) if kind is Type.NUMBER
        else value == "" if kind is Type.EMPTY
        else isinstance(value, str) and is_date(value) if kind is Type.DATE
        else isinstance(value, str) and kind is Type.TEXT
    )  # fmt: skip
    if not fits:
        raise InputError(f"{str(value)[:40]!r} is no {kind.value}", where=where)
    return kind


def _type_of_call(function: str, given: tuple[Type, ...], where: str) -> Type:
    if function in FUNCTIONS:
        wanted, gives = FUNCTIONS[function]
        if given != wanted:
            raise InputError(f"{function}() takes {_listed(wanted)}, and was given {_listed(given)}", where=where)
        return gives
    if function == "selected":
        if len(given) == 2 and given[0] in {Type.CHOICES, Type.TEXT} and given[1] is Type.TEXT:
            return Type.TRUTH
        raise InputError(f"selected() takes choices and a text, and was given {_listed(given)}", where=where)
    if function not in OPERATORS or len(given) != 2:
        raise InputError(f"`{function}` is not among the functions that a form may use", where=where)
    left, right = given
    if function in {"and", "or"}:
        fits, gives = left is right is Type.TRUTH, Type.TRUTH
    elif function in _ARITHMETIC:
        fits, gives = left is right is Type.NUMBER, Type.NUMBER
    elif function in _ORDERED:
        fits, gives = left is right and left in _COMPARED, Type.TRUTH
    else:
        same = left is right and left not in {Type.CHOICES, Type.EMPTY}
        fits, gives = same or (right is Type.EMPTY and left is not Type.EMPTY), Type.TRUTH
    if not fits:
        raise InputError(f"`{function}` cannot join {_listed(given)}", where=where)
    return gives


def _listed(types: tuple[Type, ...]) -> str:
    return " and ".join(one.value for one in types) or "nothing"


# --- evaluation --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What answers there are. `answers` holds those in sight, with None for what was not answered."""

    answers: Mapping[str, Value]
    today: str
    here: Value = None


def holds(expression: Expression, situation: Situation) -> bool:
    """Whether a checked condition holds."""
    return evaluate(expression, situation) is True


def evaluate(expression: Expression, situation: Situation) -> Value:
    """The value of a checked expression."""
    match expression:
        case Constant(value=value):
            return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        case Answer(name=name):
            return situation.answers.get(name)
        case Here():
            return situation.here
        case Apply(function=function, of=of):
            return _apply(function, tuple(evaluate(one, situation) for one in of), situation)


def _apply(function: str, of: tuple[Value, ...], situation: Situation) -> Value:
    match function, of:
        case "true", ():
            return True
        case "false", ():
            return False
        case "today", ():
            return situation.today
        case "not", (value,):
            return value is not True
        case "count-selected", (value,):
            return float(len(value)) if isinstance(value, frozenset) else 0.0
        case "string-length", (value,):
            return float(len(value)) if isinstance(value, str) else 0.0
        case "selected", (value, choice):
            return choice in value if isinstance(value, frozenset) else value is not None and value == choice
        case "and", (left, right):
            return left is True and right is True
        case "or", (left, right):
            return left is True or right is True
        case (("=" | "!="), (left, right)):
            return _same(left, right) is (function == "=")
        case _, (left, right):
            return _ordered(function, left, right) if function in _ORDERED else _arithmetic(function, left, right)
    raise AssertionError(f"{function} was not checked")


def _same(left: Value, right: Value) -> bool:
    """'' stands for "not answered"; and what was not answered equals nothing else."""
    if right == "":
        return left is None or left == "" or left == frozenset()
    return left is not None and right is not None and left == right


def _ordered(function: str, left: Value, right: Value) -> bool:
    """Of two numbers, or of two days or times, which are ordered as they are written."""
    if isinstance(left, str) and isinstance(right, str):  # noqa: SIM114 - only values of one type have an order
        order = (left > right) - (left < right)
    elif isinstance(left, float) and isinstance(right, float):
        order = (left > right) - (left < right)
    else:
        return False
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[function]


_SUMS: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "div": lambda left, right: left / right if right else math.nan,
    "mod": lambda left, right: math.fmod(left, right) if right else math.nan,
}


def _arithmetic(function: str, left: Value, right: Value) -> float | None:
    if not isinstance(left, float) or not isinstance(right, float):
        return None
    result = _SUMS[function](left, right)
    return result if math.isfinite(result) else None


def is_date(text: str) -> bool:
    """A day, written 2026-03-14 and no other way."""
    try:
        return len(text) == 10 and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
