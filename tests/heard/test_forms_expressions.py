"""Conditions as data: what is read, what is refused by name, and what they give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.forms.expressions import Scope, Situation, Type, Value, check_truth, holds
from inspectorate.mechanisms.interviews.forms.reading import read_expression

SCOPE = Scope(
    answers={"n": Type.NUMBER, "m": Type.NUMBER, "t": Type.TEXT, "d": Type.DATE, "k": Type.TIME, "c": Type.CHOICES},
    here=Type.NUMBER,
)
ANSWERS: dict[str, Value] = {
    "n": 4.0,
    "m": None,
    "t": "yes",
    "d": "2026-03-14",
    "k": "08:30",
    "c": frozenset({"a", "b"}),
}
HERE = Situation(answers=ANSWERS, here=7.0, today="2026-04-07")

TRUE = [
    "true()", "not(false())", ". >= 0 and . <= 10", "${n} = 4", "${n} + 3 = .", "${n} - 1 * 2 = 2", "(${n} - 1) * 2 = 6",
    "${n} div 8 = 0.5", ". mod 4 = 3", "-3 < ${n}", "${t} = 'yes'", "${t} != \"no\"", "selected(${c}, 'a')",
    "selected(${t}, 'yes')",
    "count-selected(${c}) = 2",
    "string-length(${t}) = 3", "${d} <= today()", "${d} > date('2026-03-13')", "${d} != ''",
    "${m} = ''", "not(${m} < 3) and not(${m} >= 3)", "${m} != 3", "not(${m} = 3)", "not(${m} + 1 = 1)", "${n} div 0 != 1",
    "false() and false() or true()", "${k} < ${k} or ${k} = ${k}", "1 = 1 and (2 = 3 or 2 = 2)",
]  # fmt: skip
FALSE = [
    "false()",
    ". > 7",
    "${m} > 0",
    "${m} < 0",
    "${t} = ''",
    "selected(${c}, 'z')",
    "true() and false()",
    "${d} = today()",
]


@pytest.mark.parametrize(("text", "expected"), [*((one, True) for one in TRUE), *((one, False) for one in FALSE)])
def test_gives(text: str, expected: bool) -> None:
    expression = read_expression(text, where="form")
    check_truth(expression, SCOPE, where="form")
    assert holds(expression, HERE) is expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("regex(., '(a+)+$')", "`regex`"), ("pulldata('x','y','z','w') = 1", "`pulldata`"), ("if(true(), 1, 2) = 1", "`if`"),
        ("concat(${t}, 'x') = 'x'", "`concat`"), ("jr:choice-name(${t}, '${t}') = ''", "`jr:choice-name`"),
        ("../n > 3", "'/'"), ("/data/n = 1", "'/'"), ("${n}[1] = 1", "'['"), ("$x = 1", "'$'"),
        ("count(${c}) > 1", "`count`"), ("now() > today()", "`now`"), ("${nobody} = 1", "${nobody}"), ("${n} = '4'", "`=`"),
        ("${n} < ${d}", "`<`"), ("${t} < 'b'", "`<`"), ("${c} = 'a'", "`=`"), ("not(${n})", "not()"), ("${n}", "condition"),
        ("'' = ${n}", "`=`"), ("${n} and true()", "`and`"), ("date('2026-13-01') = today()", "date()"), ("1 < 2 < 3", "`<`"),
        ("(1 = 1", "`)`"), ("1 = 1)", "one too many"), ("", "the end"), ("${n} = 1 1", "one too many"),
     ("1 = 1" + 50 * " or 1 = 1", "too large"),

        ("(" * 40 + "1" + ")" * 40 + " = 1", "nests"), ("1 = 1 " + " " * 600, "characters"), ("today(1) = today()", "today()"),
        ("selected(${c}) ", "selected()"), ("selected(${c}, 'a', 'b')", "third"), ("- ${n} < 1", "no number"),
    ],
)  # fmt: skip
def test_refuses_by_name(text: str, named: str) -> None:
    with pytest.raises(InputError) as refused:
        check_truth(read_expression(text, where="form"), SCOPE, where="form")
    assert named in str(refused.value)


def test_the_answer_at_hand_is_for_constraints() -> None:
    with pytest.raises(InputError, match="outside of a constraint"):
        check_truth(read_expression(". > 1", where="form"), Scope(answers={}), where="form")


@given(st.text(alphabet="${}nmtdc.'\"()<>=!+-*, 0123456789andornotselecteddatetoday", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        expression = read_expression(text, where="form")
        check_truth(expression, SCOPE, where="form")
    except InputError:
        return
    assert holds(expression, HERE) in {True, False}


@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from(["<", "<=", ">", ">=", "=", "!="]))
def test_compares_as_numbers_do(left: int, right: int, sign: str) -> None:
    expression = read_expression(f"{left} {sign} {right}", where="form")
    python = {"=": "==", "!=": "!="}.get(sign, sign)
    assert holds(expression, HERE) is bool(eval(f"{left} {python} {right}"))
