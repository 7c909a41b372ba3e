"""The bounded subset of CEL, beside two libraries, and what is not in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruleset_expressions import INPUTS, TYPES, WRONG, expression, of_celpy, of_common

from inspectorate.mechanisms.guarantee.rulesets.cel_compile import NoValue, Type, compile_expression
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import (
    INT_MIN,
    NESTING_MAX,
    NODES_MAX,
    ExpressionFault,
    parse,
)
from inspectorate.mechanisms.guarantee.rulesets.types import EXPRESSION_CHARACTERS_MAX

ZEROS: dict[str, Any] = {"i": 0, "j": 0, "x": 0.0, "y": 0.0, "b": False, "c": False, "s": ""}


def value(text: str, **given: object) -> object:
    return compile_expression(text, TYPES).evaluate(ZEROS | given)


def ours(text: str, values: dict[str, Any]) -> Any:
    try:
        return compile_expression(text, TYPES).evaluate(values)
    except NoValue:
        return WRONG


@settings(max_examples=150)
@given(st.sampled_from([Type.BOOL, Type.BOOL, Type.INT, Type.DOUBLE]).flatmap(expression), INPUTS)
@example("((i) / (j) == (1)) || (b)", ZEROS | {"b": True})
@example("(b) || ((i) / (j) == (1))", ZEROS | {"b": True})
@example("((i) / (j) == (1)) && (b)", ZEROS)
@example("(i) % (j)", ZEROS | {"i": INT_MIN, "j": -1})
@example("-(i)", ZEROS | {"i": INT_MIN})
@example("(x) / (y)", ZEROS)
def test_a_value_is_that_of_both_libraries(text: str, values: dict[str, Any]) -> None:
    """Where we have a value, both have it. Where whole numbers have none, at least one of them has none."""
    if len(text) > EXPRESSION_CHARACTERS_MAX:
        with pytest.raises(ExpressionFault, match="longer"):
            parse(text)
        return
    found = ours(text, values)
    theirs = (of_common(text, values), of_celpy(text, values))
    if found is not WRONG:
        assert theirs == (found, found)
        assert [type(one) for one in theirs] == [type(found)] * 2
    elif not _has_doubles(text):
        assert WRONG in theirs


def _has_doubles(text: str) -> bool:
    return any(sign in text for sign in (".", "e+", "e-", "x", "y", "double"))


PRECEDENCE = (
    "1 + 2 * 3 == 7 && 10 - 4 - 3 == 3 && 2 * 3 % 4 == 2 && 24 / 4 / 2 == 3",
    "false && false || true",
    "true || false && false",
    "!b == true",
    "-i + 1 == 1",
    "1 < 2 == true",
    "b ? b : c ? b : !c",
    "i in [0, 1] == true && !(s in ['x', \"y\"])",
    "2 - -1 == 3 && 2--1 == 3",
    "1 == 1 ? 2 > 1 : false",
    "-9223372036854775808 < 0",
    "s == '' && s != \"'\"",
    "double(i) <= 1.5e0 && int(1.9) == 1 && int(-1.9) == -1",
)


@pytest.mark.parametrize("text", PRECEDENCE)
def test_what_binds_tighter_binds_tighter_everywhere(text: str) -> None:
    assert value(text) is True
    assert of_common(text, ZEROS) is True
    assert of_celpy(text, ZEROS) is True


WORDS = (
    "2.5",
    "true",
    "false",
    "'a'",
    "<=",
    "==",
    "!=",
    "&&",
    "||",
    "in",
    "int(",
    "double(",
    "1u",
    "0x1",
    "007",
    "1e3",
)


@given(
    st.lists(
        st.sampled_from((*"12ixbs+-*/%!<?:()[],.", *WORDS)),
        max_size=12,
    ).map(" ".join)
)
@settings(max_examples=300)
def test_what_we_can_read_is_an_expression_to_the_library(text: str) -> None:
    """Of common-expression-language, which is the quicker one; a value of ours is its value."""
    try:
        found = ours(text, ZEROS)
    except ExpressionFault:
        return
    theirs = of_common(text, ZEROS)
    assert found == theirs or found is WRONG


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    place = _place_of_fault(text)
    assert place is None or 0 <= place <= len(text)


def _place_of_fault(text: str) -> int | None:
    try:
        compile_expression(text, TYPES)
    except ExpressionFault as fault:
        return fault.at
    return None


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2].all(n, n > 0)",
        "s.matches('a+')",
        "s.size() > 0",
        "size(s) == 0",
        "s + s == s",
        "s < 'b'",
        "has(s)",
        "i == 5u",
        "i == 0x10",
        "i == 007",
        "i == .5",
        "i == 1.",
        "i == 9223372036854775808",
        "x == 1e999",
        "x == 1",
        "i + x > 0.0",
        "x % 2.0 == 0.0",
        "b < c",
        "i && b",
        "!i",
        "b ? 1 : 1.0",
        "i ? b : c",
        "--i == 0",
        "-!b",
        "-b",
        "i in []",
        "i in [j]",
        "i in ['a']",
        "i in 1",
        "[1] == [1]",
        "{'a': 1}",
        "s == 'a\\n'",
        "s == r'a'",
        "s == '''a'''",
        "s == b'a'",
        "s == 'a\nb'",
        "timestamp('2026-01-01T00:00:00Z') > 0",
        "null == null",
        "unknown == 1",
        "true // comment",
        "b ?: c",
        "b ? c ? b : c : b",
        "for == 1",
        "",
        " ",
        "(b",
        "b)",
        "b b",
        "1 < 2 < 3",
        "int(s) == 1",
        "int(b) == 1",
        "int(i, j) == 1",
        "int == 1",
        "ｂ",
        "b\t",
        "b\r",
        "s == '\u202e'",
        "s == '\x9b2J'",
        "s == '\x1b[2J'",
        "s == 'Ω'",
        "i == ١",
    ],
)
def test_what_is_not_in_the_subset_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ExpressionFault) as refused:
        compile_expression(text, TYPES)
    assert "at character" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("i + 1 > 0", {"i": 2**63 - 1}),
        ("i - 1 < 0", {"i": INT_MIN}),
        ("i * 2 > 0", {"i": 2**62}),
        ("-i > 0", {"i": INT_MIN}),
        ("i / -1 > 0", {"i": INT_MIN}),
        ("i / j == 0", {}),
        ("i % j == 0", {}),
        ("x / y > 1.0", {"x": 1.0}),
        ("!(x / y > 5.0)", {}),
        ("x * 1e308 > 1.0", {"x": 1e308}),
        ("x - y == 0.0 || x + y > 0.0", {"x": 1e308, "y": 1e308}),
        ("int(x) > 0", {"x": 9.3e18}),
        ("int(x) < 0", {"x": -(2.0**63)}),
        ("i / j == 0 ? b : !b", {}),
    ],
)
def test_what_has_no_value_is_an_error_and_never_true(text: str, given: dict[str, object]) -> None:
    if text.startswith("x - y"):
        assert value(text, **given) is True  # settled by its left side alone
        return
    with pytest.raises(NoValue):
        value(text, **given)


def test_where_the_libraries_differ_we_have_no_value() -> None:
    """docs/rulesets.md says so. If one of these fails, a library was corrected, and the sentence there goes."""
    for text, common, pure in (
        ("-(i) == i", True, WRONG),
        ("i % -1 == 0", WRONG, True),
        ("int(-9223372036854775808.0) == i", WRONG, True),
    ):
        values = ZEROS | {"i": INT_MIN}
        assert (of_common(text, values), of_celpy(text, values), ours(text, values)) == (common, pure, WRONG)
    assert (of_common("1 < 2.0", {}), of_celpy("1 < 2.0", {})) == (True, WRONG)


def test_an_error_is_absorbed_by_what_settles_the_result() -> None:
    for text in ("i / j == 1 || true", "true || i / j == 1", "!(i / j == 1 && false)", "!(false && i / j == 1)"):
        assert value(text) is True
    for text in ("i / j == 1 || false", "false || i / j == 1", "i / j == 1 && true", "true && i / j == 1"):
        with pytest.raises(NoValue):
            value(text)


# --- bounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["(" * 200 + "b" + ")" * 200, "!" * 400 + "b", "b ? b : " * 50 + "b", "int(" * 90 + "1"]
)
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(ExpressionFault, match="nests deeper"):
        parse(text)


def test_nodes_are_bounded() -> None:
    longest = "||".join(["b"] * (NODES_MAX // 2))
    assert value(longest) is False
    with pytest.raises(ExpressionFault, match="parts"):
        parse(longest + "||b||b")
    with pytest.raises(ExpressionFault, match="parts"):
        parse(f"i in [{','.join('1' * NODES_MAX)}]")
    with pytest.raises(ExpressionFault, match="longer"):
        parse("b" + " " * 500)
    deepest = "(" * (NESTING_MAX - 1) + "b" + ")" * (NESTING_MAX - 1)
    assert value(deepest) is False


def test_a_place_is_counted_from_one() -> None:
    for text, place in (("k", 1), ("b && k", 6), ("b &&  i", 3), ("b &", 3), ("(b", 3)):
        with pytest.raises(ExpressionFault, match=f"at character {place}$"):
            compile_expression(text, TYPES)
