"""Expressions of XLSForm from their text: precedence as in XPath 1.0, over the closed list of `expressions`."""

from __future__ import annotations

import re

from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.forms.expressions import (
    FUNCTIONS,
    Answer,
    Apply,
    Constant,
    Expression,
    Here,
    Type,
    is_date,
)
from inspectorate.mechanisms.interviews.forms.reference import EXPRESSION_CHARACTERS_MAX, EXPRESSION_DEPTH_MAX

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,15}(?:\.\d{1,15})?)|(?P<text>'[^']*'|\"[^\"]*\")|\$\{(?P<answer>[A-Za-z_]\w{0,63})\}"
    r"|(?P<word>[A-Za-z_][\w:-]*)|(?P<sign><=|>=|!=|[=<>+*(),.-])|(?P<other>\S))",
    re.ASCII,
)
_BINDS = {
    "or": 1,
    "and": 2,
    "=": 3,
    "!=": 3,
    "<": 4,
    "<=": 4,
    ">": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "div": 6,
    "mod": 6,
}


def read_expression(text: str, *, where: str) -> Expression:
    """Read an expression of XLSForm. Raises `InputError`, which names what is not supported."""
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        raise InputError(f"an expression of {len(text)} characters exceeds {EXPRESSION_CHARACTERS_MAX}", where=where)
    reader = _Reader(_tokens(text, where), where)
    expression = reader.expression(0, 0)
    reader.end()
    return expression


def _tokens(text: str, where: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "other"
        if kind == "other":
            raise InputError(f"{match['other']!r} is not among what a form's expressions may use", where=where)
        found.append((kind, match[kind]))
    return found


class _Reader:
    """Precedence climbing over tokens."""

    def __init__(self, tokens: list[tuple[str, str]], where: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._where = where

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def _take(self) -> tuple[str, str]:
        token = self._next()
        self._at += 1
        return token

    def _need(self, sign: str) -> None:
        kind, text = self._take()
        if kind != "sign" or text != sign:
            raise InputError(f"`{sign}` expected, not {text!r}", where=self._where)

    def end(self) -> None:
        if self._next()[0] != "end":
            raise InputError(f"{self._next()[1]!r} is one too many", where=self._where)

    def expression(self, least: int, deep: int) -> Expression:
        if deep > EXPRESSION_DEPTH_MAX:
            raise InputError("the expression nests too deeply", where=self._where)
        left = self._operand(deep)
        while (binds := _BINDS.get(self._next()[1], 0)) > least and self._next()[0] in {"word", "sign"}:
            operator = self._take()[1]
            left = Apply(function=operator, of=(left, self.expression(binds, deep + 1)))
        return left

    def _operand(self, deep: int) -> Expression:
        match self._take():
            case "number", text:
                return Constant(type=Type.NUMBER, value=float(text))
            case "text", text:
                return Constant(type=Type.TEXT if text[1:-1] else Type.EMPTY, value=text[1:-1])
            case "answer", name:
                return Answer(name=name)
            case "sign", ".":
                return Here()
            case "sign", "-":
                kind, text = self._take()
                if kind == "number":
                    return Constant(type=Type.NUMBER, value=-float(text))
                raise InputError("`-` stands before something that is no number", where=self._where)
            case "sign", "(":
                inner = self.expression(0, deep + 1)
                self._need(")")
                return inner
            case "word", name:
                return self._call(name, deep)
            case _, text:
                raise InputError(f"{text!r} stands where a value is expected", where=self._where)

    def _call(self, name: str, deep: int) -> Expression:
        if name not in {*FUNCTIONS, "selected", "date"}:
            raise InputError(f"`{name}` is not among the functions that a form may use", where=self._where)
        self._need("(")
        of: list[Expression] = []
        while self._next()[1] != ")" or self._next()[0] != "sign":
            if of:
                self._need(",")
            if len(of) == 2:
                raise InputError(f"{name}() takes no third value", where=self._where)
            of.append(self.expression(0, deep + 1))
        self._need(")")
        if name == "date":
            match of:
                case [Constant(value=str(text))] if is_date(text):
                    return Constant(type=Type.DATE, value=text)
            raise InputError("date() takes one day, written '2026-03-14'", where=self._where)
        return Apply(function=name, of=tuple(of))
