"""Asking rules: what fails, what is not asked, and what a book refuses."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruleset_expressions import expression
from ruleset_making import AT, NAMES, VALID, first, rule

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.cel_compile import Type
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import RESERVED
from inspectorate.mechanisms.guarantee.rulesets.inputs import INPUT_CHARACTERS_MAX, update_inputs
from inspectorate.mechanisms.guarantee.rulesets.rules import INPUTS, Failed, RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Consequence, Point, Rule

SOUND: dict[Type, Any] = {Type.BOOL: True, Type.INT: 1, Type.DOUBLE: 1.0, Type.STRING: "a"}


def book(*rules: Rule) -> RuleBook:
    return RuleBook(first(baseline=(), rules=rules))


def failed(one: Rule, inputs: dict[str, Any], **given: Any) -> tuple[Failed, ...]:
    return book(one).decide(one.at, inputs, at=given.get("at", AT))


def test_a_rule_that_holds_says_nothing_and_one_that_does_not_says_what_it_read() -> None:
    assert failed(rule(), {"request_bytes": 4096}) == ()
    (found,) = failed(rule(otherwise=Consequence.HALT), {"request_bytes": 4097, "path": "/v1"})
    assert found == Failed(
        rule_id="small-requests",
        consequence=Consequence.HALT,
        why="request_bytes <= 4096 does not hold; request_bytes = 4097",
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "is not known"),
        (True, "unsound"),
        (1.0, "unsound"),
        ("1", "unsound"),
        (2**63, "unsound"),
        (-(2**63) - 1, "unsound"),
    ],
)
def test_an_input_that_is_absent_or_of_another_type_fails(value: object, said: str) -> None:
    (found,) = failed(rule(), {"request_bytes": value})
    assert said in found.why
    if value is None:
        assert failed(rule(), {}) == (found,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1, True])
def test_a_number_that_is_not_finite_fails_even_where_it_would_satisfy_the_rule(value: object) -> None:
    unfair = rule(must="!(remaining_flop < 5.0)", reads=("remaining_flop",))
    assert failed(unfair, {"remaining_flop": 6.0}) == ()
    assert len(failed(unfair, {"remaining_flop": value})) == 1


def test_text_is_bounded() -> None:
    anywhere = rule(must="path != 'x'", reads=("path",))
    assert failed(anywhere, {"path": "a" * INPUT_CHARACTERS_MAX}) == ()
    assert len(failed(anywhere, {"path": "a" * (INPUT_CHARACTERS_MAX + 1)})) == 1


def test_an_error_is_a_failure() -> None:
    (found,) = failed(rule(must="100 / request_bytes > 1", reads=("request_bytes",)), {"request_bytes": 0})
    assert "has no value: division by zero" in found.why


def test_a_rule_is_asked_until_its_sunset_and_not_at_it() -> None:
    setting = rule(must="false", reads=(), holds_until=AT)
    assert len(failed(setting, {}, at=AT - timedelta(microseconds=1))) == 1
    assert failed(setting, {}, at=AT) == ()


def test_all_are_asked_baseline_first_and_only_at_their_point() -> None:
    never = {"must": "false", "reads": ()}
    ruleset = first(
        baseline=(rule("b1", **never), rule("b2", at=Point.TICK, **never)),
        rules=(rule("r1", **never), rule("r2"), rule("r3", otherwise=Consequence.HALT, **never)),
    )
    found = RuleBook(ruleset).decide(Point.REQUEST, {"request_bytes": 1}, at=AT)
    assert [one.rule_id for one in found] == ["b1", "r1", "r3"]
    assert [one.rule_id for one in RuleBook(ruleset).decide(Point.TICK, {}, at=AT)] == ["b2"]
    assert RuleBook(ruleset).decide(Point.RESPONSE, {}, at=AT) == ()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"must": "size_bytes > 0", "reads": ("size_bytes",)}, "no input at request"),
        ({"must": "tokens_max > 0"}, "'tokens_max', which is not declared, at character 1"),
        ({"must": "request_bytes + 1"}, "is a int and not a truth value"),
        ({"must": "request_bytes <= 1.0"}, "convert with int"),
        ({"must": "path.matches('(a+)+')", "reads": ("path",)}, "bounded subset"),
    ],
)
def test_a_book_refuses_what_it_could_not_ask(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EvidenceError) as refused:
        book(rule(**changed))
    assert "site-1 version 1, rule small-requests" in str(refused.value)
    assert said in str(refused.value)


def test_every_input_can_be_read_at_its_point() -> None:
    for point, inputs in INPUTS.items():
        for name, kind in inputs.items():
            asked = rule(at=point, must=f"{name} == {name}", reads=(name,))
            assert failed(asked, {name: SOUND[kind]}) == ()
            assert len(failed(asked, {})) == 1
            assert name not in RESERVED


def test_meters_and_events_have_an_input_each() -> None:
    tick = INPUTS[Point.TICK]
    assert sum(name.startswith("used_") for name in tick) == len(MeterKind)
    assert sum(name.startswith("events_") for name in tick) == len(EventKind)


def test_what_an_update_says_can_all_be_read() -> None:
    found = update_inputs(first(licensed_meters=(MeterKind.FLOP,)))
    assert found.keys() == INPUTS[Point.UPDATE].keys()
    assert (found["k_change_rules"], found["n_security_patch"], found["vetoes_list_models"]) == (6, 5, 2)
    assert (found["licensed_flop"], found["licensed_energy_j"]) == (True, False)
    assert found["valid_s"] == VALID.duration_s
    for name, kind in INPUTS[Point.UPDATE].items():
        assert failed(rule(at=Point.UPDATE, must=f"{name} == {name}", reads=(name,)), found) == (), (name, kind)
    assert len(NAMES) == found[f"n_{Act.CHANGE_RULES.value.replace('-', '_')}"]


_RENAMED = {"i": "request_bytes", "j": "tokens_max", "x": "remaining_flop", "y": "licence_expires_in_s", "s": "path"}
ANY = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3)


@settings(max_examples=150)
@given(st.sampled_from(list(Type)).flatmap(expression), st.fixed_dictionaries(dict.fromkeys(_RENAMED.values(), ANY)))
def test_no_rule_and_no_input_break_a_book_and_unsound_inputs_never_pass(text: str, inputs: dict[str, Any]) -> None:
    words = "".join(f" {char} " if char in "()[], " else char for char in text).split()
    must = " ".join(_RENAMED.get(word, "false" if word in ("b", "c") else word) for word in words)
    if len(must) > 500 or not must:
        return
    try:
        one = rule(must=must, reads=tuple(_RENAMED.values()))
        found = book(one).decide(Point.REQUEST, inputs, at=AT)
    except EvidenceError:
        return
    assert book(one).decide(Point.REQUEST, inputs, at=AT) == found
    read = [name for name in _RENAMED.values() if name in must]
    if any(type(inputs[name]) is not type(SOUND[INPUTS[Point.REQUEST][name]]) for name in read):
        assert len(found) == 1
