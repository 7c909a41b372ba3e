"""Read the bounded subset of CEL in which rules are written.

What is in it, loosest binding first; each level is that of the CEL grammar:

    expression   or ('?' or ':' expression)?
    or, and      a || b, a && b
    relation     == != < <= > >=, and `x in [literal, ...]`
    sum          + -
    product      * / %
    unary        ! -                       one minus at a time
    primary      literal, name, int(x), double(x), (expression)
    literal      true, false, 12, 1.5, 1e21, "text", 'text'

What is not in it: macros and comprehensions, functions other than two conversions, fields and indexing, maps, lists other than
after `in`, unsigned and hexadecimal numbers, escapes in text, comments. Nothing in it repeats, so the cost of an expression is at
most its number of nodes.

An expression is printable ASCII, so that what a signer sees is what is asked: no character hides, reorders or resembles others.
Every text is read or refused in one pass over at most `EXPRESSION_CHARACTERS_MAX` characters; nesting is bounded before it is
followed. Whoever writes a rule is told the place of a fault as a character, counted from 1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn

from inspectorate.mechanisms.guarantee.rulesets.types import EXPRESSION_CHARACTERS_MAX

NODES_MAX = 128
"""Nodes of one expression: at most so many steps are taken to evaluate it."""
NESTING_MAX = 24
"""Parentheses, conversions, minus signs, negations and conditionals within one another."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""CEL's int is a two's complement of 64 bits (CEL specification, values)."""
RESERVED = frozenset(
    {
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
    }
    | {"namespace", "null", "return", "true", "var", "void", "while"}
)
"""Words that no CEL expression may use as a name (CEL specification, syntax)."""

Scalar = bool | int | float | str


class ExpressionFault(ValueError):
    """An expression outside the subset: what is wrong, and at which character."""

    def __init__(self, problem: str, at: int) -> None:
        super().__init__(f"{problem}, at character {at + 1}")
        self.problem = problem
        self.at = at


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text or a truth value as written."""

    value: Scalar
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """An input."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or a conversion, applied to one, two or three operands."""

    operator: str
    operands: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Among:
    """Whether the operand is one of some literals."""

    operand: Node
    choices: tuple[Literal, ...]
    at: int


Node = Literal | Name | Apply | Among

_TOKEN = re.compile(
    r"""[ \n]*(?:
        (?P<double>(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)(?![0-9A-Za-z_.]))
      | (?P<int>(?:0|[1-9][0-9]*)(?![0-9A-Za-z_.]))
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?!["']))
      | (?P<text>"[ !\#-\[\]-~]*"|'[ -&(-\[\]-~]*')
      | (?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:(),\[\]])
      | (?P<end>\Z)
    )""",
    re.VERBOSE,
)

_LEVELS: tuple[frozenset[str], ...] = (
    frozenset({"||"}),
    frozenset({"&&"}),
    frozenset({"==", "!=", "<", "<=", ">", ">=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
"""Binary operators, loosest first. All associate to the left."""

CONVERSIONS = ("int", "double")


def parse(text: str) -> Node:
    """The tree of an expression. Raises `ExpressionFault`."""
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        raise ExpressionFault(f"is longer than {EXPRESSION_CHARACTERS_MAX} characters", EXPRESSION_CHARACTERS_MAX)
    return _Reader(text).whole()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._nodes = 0
        self._depth = 0
        self._advance()

    def whole(self) -> Node:
        node = self._expression()
        if self._kind != "end":
            self._unexpected()
        return node

    def _advance(self) -> None:
        found = _TOKEN.match(self._text, self._place)
        if found is None or found.lastgroup is None:
            spaces = len(self._text) - len(self._text[self._place :].lstrip(" \n"))
            raise ExpressionFault(f"{self._text[spaces : spaces + 12]!r} is not of the bounded subset of CEL", spaces)
        self._kind = found.lastgroup
        self._token = found.group(found.lastgroup)
        self._at = found.start(found.lastgroup)
        self._place = found.end()

    def _unexpected(self) -> NoReturn:
        shown = "the end" if self._kind == "end" else repr(self._token[:20])
        raise ExpressionFault(f"{shown} is not expected", self._at)

    def _take(self, sign: str) -> bool:
        if self._kind != "sign" or self._token != sign:
            return False
        self._advance()
        return True

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionFault(f"{sign!r} is missing", self._at)

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise ExpressionFault(f"has more than {NODES_MAX} parts", at)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise ExpressionFault(f"nests deeper than {NESTING_MAX}", self._at)

    def _expression(self) -> Node:
        self._deeper()
        node = self._binary(0)
        at = self._at
        if self._take("?"):
            then = self._binary(0)
            self._expect(":")
            node = self._apply("?", (node, then, self._expression()), at)
        self._depth -= 1
        return node

    def _binary(self, level: int) -> Node:
        """Operators of `level` and of all that bind tighter, by precedence climbing."""
        node = self._unary()
        while (found := self._level()) is not None and found >= level:
            operator, at = self._token, self._at
            self._advance()
            if operator == "in":
                self._count(at)
                node = Among(node, self._choices(), at)
            else:
                node = self._apply(operator, (node, self._binary(found + 1)), at)
        return node

    def _level(self) -> int | None:
        if self._kind not in ("sign", "name"):
            return None
        return next((place for place, signs in enumerate(_LEVELS) if self._token in signs), None)

    def _unary(self) -> Node:
        at = self._at
        for sign in ("!", "-"):
            if self._take(sign):
                self._deeper()
                node = self._unary() if sign == "!" else self._negated(at)
                self._depth -= 1
                return self._apply("!", (node,), at) if sign == "!" else node
        return self._primary()

    def _negated(self, at: int) -> Node:
        """What follows a minus sign. A number takes the sign as its own, so that the least int can be written."""
        if self._kind in ("int", "double"):
            return self._number(at, sign=-1)
        if self._kind == "sign" and self._token in ("!", "-"):
            self._unexpected()
        return self._apply("negate", (self._primary(),), at)

    def _primary(self) -> Node:
        at, kind, token = self._at, self._kind, self._token
        if kind in ("int", "double"):
            return self._number(at, sign=1)
        if kind == "text":
            self._advance()
            return self._literal(token[1:-1], at)
        if kind == "name":
            return self._named()
        if self._take("("):
            node = self._expression()
            self._expect(")")
            return node
        return self._unexpected()

    def _named(self) -> Node:
        at, name = self._at, self._token
        self._advance()
        if name in ("true", "false"):
            return self._literal(name == "true", at)
        if self._take("("):
            if name not in CONVERSIONS:
                raise ExpressionFault(f"{name}() is not of the bounded subset of CEL", at)
            operand = self._expression()
            self._expect(")")
            return self._apply(name, (operand,), at)
        if name in RESERVED:
            raise ExpressionFault(f"{name!r} is a reserved word", at)
        self._count(at)
        return Name(name, at)

    def _number(self, at: int, *, sign: int) -> Literal:
        kind, token = self._kind, self._token
        self._advance()
        value: int | float = sign * (int(token) if kind == "int" else float(token))
        if kind == "int" and not INT_MIN <= value <= INT_MAX:
            raise ExpressionFault("a whole number beyond 64 bits", at)
        if not math.isfinite(value):
            raise ExpressionFault("a number out of range", at)
        return self._literal(value, at)

    def _choices(self) -> tuple[Literal, ...]:
        self._expect("[")
        chosen: list[Literal] = []
        while not chosen or self._take(","):
            node = self._unary()
            if not isinstance(node, Literal):
                raise ExpressionFault("a list may hold literals only", node.at)
            chosen.append(node)
        self._expect("]")
        return tuple(chosen)

    def _literal(self, value: Scalar, at: int) -> Literal:
        self._count(at)
        return Literal(value, at)

    def _apply(self, operator: str, operands: tuple[Node, ...], at: int) -> Apply:
        self._count(at)
        return Apply(operator, operands, at)
