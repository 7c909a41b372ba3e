"""Ask the rules of a ruleset: which of them fail at a point, for these inputs.

Rules about rules:

1. A book is compiled once and refuses a ruleset with any rule that it could not ask: outside the subset, of another type than a
   truth value, or reading what is not declared.
2. The baseline is asked first, then the rest, in the order in which they stand. All are asked: one that fails hides no other.
3. A rule fails unless its expression *is true*. An error, an input that is absent, of another type, not finite or beyond 64 bits
   is a failure too.
4. A rule at or past its `holds_until` is not asked.
5. The same book, point, inputs and time give the same answer: nothing else is read, and nothing is kept.

What may be read stands in `INPUTS`. A decision takes at most `NODES_MAX` steps for each rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.rulesets.cel_compile import NoValue, Type, Values, compile_expression
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import INT_MAX, INT_MIN, ExpressionFault, Scalar
from inspectorate.mechanisms.guarantee.rulesets.inputs import INPUT_CHARACTERS_MAX, INPUTS
from inspectorate.mechanisms.guarantee.rulesets.types import Consequence, Point, Rule, Ruleset

__all__ = ["INPUTS", "Failed", "RuleBook"]


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A rule that was asked and did not hold."""

    rule_id: str
    consequence: Consequence
    why: str
    """With the values that it read: for the processor's own log, and not for the outlet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compiled:
    rule: Rule
    reads: frozenset[str]
    evaluate: Callable[[Values], Scalar]


class RuleBook:
    """The rules of one ruleset, compiled."""

    def __init__(self, ruleset: Ruleset) -> None:
        """Raises `EvidenceError`, naming the rule and the character."""
        self._at: dict[Point, tuple[_Compiled, ...]] = dict.fromkeys(Point, ())
        for rule in (*ruleset.baseline, *ruleset.rules):
            self._at[rule.at] += (_compiled(rule, where=f"{ruleset.id} version {ruleset.version}, rule {rule.id}"),)
        self._reads = {
            point: tuple((name, _IS[INPUTS[point][name]]) for name in sorted({n for one in asked for n in one.reads}))
            for point, asked in self._at.items()
        }

    def decide(self, point: Point, inputs: Mapping[str, Scalar], *, at: datetime) -> tuple[Failed, ...]:
        """The rules that fail at a point, baseline first; empty if all that are asked hold."""
        unsound = {name for name, is_sound in self._reads[point] if not is_sound(inputs.get(name))}
        failed: list[Failed] = []
        for one in self._at[point]:
            until = one.rule.holds_until
            if until is not None and at >= until:
                continue
            why = _fault(one, inputs, unsound)
            if why is not None:
                failed.append(Failed(rule_id=one.rule.id, consequence=one.rule.otherwise, why=why))
        return tuple(failed)


def _compiled(rule: Rule, *, where: str) -> _Compiled:
    known = INPUTS[rule.at]
    strange = sorted(set(rule.reads) - set(known))
    if strange:
        raise EvidenceError(f"reads {', '.join(strange)}, which is no input at {rule.at.value}", where=where)
    try:
        expression = compile_expression(rule.must, {name: known[name] for name in rule.reads})
    except ExpressionFault as fault:
        raise EvidenceError(str(fault), where=where, remedy="write it in the bounded subset of CEL") from None
    if expression.type is not Type.BOOL:
        raise EvidenceError(f"is a {expression.type.value} and not a truth value", where=where)
    return _Compiled(rule=rule, reads=expression.reads, evaluate=expression.evaluate)


def _fault(one: _Compiled, inputs: Mapping[str, Scalar], unsound: set[str]) -> str | None:
    """Why a rule does not hold, or None if it does."""
    if unsound and (found := sorted(unsound & one.reads)):
        return ", ".join(f"{name} {'is unsound' if inputs.get(name) is not None else 'is not known'}" for name in found)
    try:
        if one.evaluate(inputs) is True:
            return None
    except NoValue as fault:
        return f"{one.rule.must} has no value: {fault}; {_read(one, inputs)}"
    return f"{one.rule.must} does not hold; {_read(one, inputs)}"


def _read(one: _Compiled, inputs: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{name} = {inputs[name]!r}" for name in sorted(one.reads)) or "it reads nothing"


def _is_int(value: object) -> bool:
    return type(value) is int and INT_MIN <= value <= INT_MAX


def _is_double(value: object) -> bool:
    return type(value) is float and math.isfinite(value)


def _is_bool(value: object) -> bool:
    return value is True or value is False


def _is_text(value: object) -> bool:
    return type(value) is str and len(value) <= INPUT_CHARACTERS_MAX


_IS: dict[Type, Callable[[object], bool]] = {
    Type.INT: _is_int,
    Type.DOUBLE: _is_double,
    Type.BOOL: _is_bool,
    Type.STRING: _is_text,
}
