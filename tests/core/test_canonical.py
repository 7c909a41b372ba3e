"""One byte form per object: RFC 8785's own examples, and what is refused."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from inspectorate.canonical import (
    JSON_BYTES_MAX,
    JSON_DEPTH_MAX,
    Record,
    canonical_bytes,
    digest_of,
    parse_canonical,
    parse_json,
)
from inspectorate.errors import EvidenceError, InputError

RFC_8785_NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}
"""RFC 8785, Appendix B: IEEE 754 bits and their one decimal form."""


@pytest.mark.parametrize(("bits", "text"), RFC_8785_NUMBERS.items())
def test_numbers_of_rfc_8785_appendix_b(bits: str, text: str) -> None:
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonical_bytes(value) == text.encode()


def test_the_sample_of_rfc_8785_section_3_2_2() -> None:
    value = json.loads(
        '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        '"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}'
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_bytes(value) == expected.encode()


def test_keys_are_sorted_by_utf_16_as_in_rfc_8785_section_3_2_3() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\u00f6"]
    expected = ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_bytes(dict.fromkeys(keys, 0)))) == expected


@pytest.mark.parametrize("text", [b"9007199254740992", b"-9007199254740992", b"100000000000000000000", b"1e+24"])
def test_large_doubles_are_read_as_rfc_8785_writes_them(text: bytes) -> None:
    """A threshold of 1e20 FLOP is written without an exponent, and 1e24 with one."""
    value = parse_canonical(text, where="x")
    assert value == float(text)
    assert canonical_bytes(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**53, -(2**53)])
def test_what_json_cannot_carry_has_no_canonical_form(value: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever subclass the library raises
        canonical_bytes(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)  # fmt: skip


@given(JSON)
def test_canonical_bytes_are_read_back_and_are_the_only_form(value: Any) -> None:
    data = canonical_bytes(value)
    assert parse_canonical(data, where="x") == value
    assert canonical_bytes(parse_json(data, where="x")) == data
    loose = json.dumps(value, indent=1).encode()
    if loose != data:
        with pytest.raises(EvidenceError):
            parse_canonical(loose, where="x")


@given(st.binary(max_size=300))
def test_any_bytes_are_canonical_or_refused(data: bytes) -> None:
    with contextlib.suppress(EvidenceError):
        assert canonical_bytes(parse_canonical(data, where="x")) == data


REFUSED = {
    "nothing": b"",
    "not UTF-8": b'"\xff"',
    "a trailing comma": b"[1,]",
    "a comment": b"[1]//x",
    "NaN": b"NaN",
    "infinity": b"Infinity",
    "minus infinity": b"-Infinity",
    "a number that rounds to infinity": b"1e400",
    "the same within": b'{"a":[-1e999]}',
    "a repeated key": b'{"a":1,"a":1}',
    "a repeated key below": b'[{"a":{"b":1,"b":2}}]',
    "a repeated key under an escape": b'{"a":1,"\\u0061":1}',
    "an integer of 5,000 digits": b"1" * 5000,
    "two values": b"1 2",
    "too deep": b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
    "far too deep": b"[" * 200_000,
    "too deep in objects": b'{"a":' * (JSON_DEPTH_MAX + 1) + b"1" + b"}" * (JSON_DEPTH_MAX + 1),
    "too large": b" " * (JSON_BYTES_MAX + 1),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_json_that_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_json(data, where="there")
    assert str(caught.value).startswith("there: ")
    assert len(str(caught.value)) < 300


def test_depth_at_the_limit_is_accepted() -> None:
    data = b"[" * JSON_DEPTH_MAX + b"]" * JSON_DEPTH_MAX
    assert parse_canonical(data, where="x")


NOT_CANONICAL = {
    "white space": b"[1, 2]",
    "a line break at the end": b"[1]\n",
    "keys out of order": b'{"b":1,"a":2}',
    "1.0 for 1": b"1.0",
    "1E1 for 10": b"1E1",
    "minus zero": b"-0",
    "an escaped letter": b'"\\u0061"',
    "an upper-case escape": b'"\\u000F"',
    "a slash escaped": b'"\\/"',
    "a lone surrogate": b'"\\ud800"',
    "a byte order mark": b"\xef\xbb\xbf1",
    "UTF-16": "[1]".encode("utf-16-le"),
    "an integer between two doubles": b"9007199254740993",
    "an integer with an exponent's worth of digits": b"1" + b"0" * 21,
    "a leading zero": b"01",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL)
def test_any_other_form_of_a_value_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        parse_canonical(data, where="x")


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
    ids=["empty", "abc (FIPS 180-2, B.1)"],
)
def test_digests(data: bytes, digest: str) -> None:
    assert digest_of(data) == f"sha256:{digest}"
    assert digest_of(memoryview(data)) == digest_of(data)


class Example(Record):
    """A record to try the base with."""

    name: str
    amount: float = Field(default=1.0, ge=0)
    note: str | None = None


def test_a_record_is_frozen_and_closed() -> None:
    record = Example(name="x")
    with pytest.raises(ValueError, match="frozen"):
        record.name = "y"  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        Example(name="x", colour="red")  # type: ignore[call-arg]


def test_the_byte_form_of_a_record_leaves_out_what_is_absent() -> None:
    assert Example(name="x").canonical_bytes() == b'{"amount":1,"name":"x"}'


@pytest.mark.parametrize("error", [InputError, EvidenceError])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, "name: Field required"),
        ({"name": "x", "amount": math.nan}, "amount: "),
        ({"name": "x", "amount": math.inf}, "amount: "),
        ({"name": "x", "amount": -1}, "amount: "),
        ({"name": "x", "b" * 500: 1}, "Extra inputs"),
        (None, "value: "),
        ([], "value: "),
        ({f"f{i}": i for i in range(9)}, "and 6 more"),
    ],
    ids=["missing", "NaN", "infinity", "negative", "a long unknown name", "null", "list", "many faults"],
)
def test_parsing_names_the_faults_and_whose_they_are(error: type[Exception], value: object, problem: str) -> None:
    with pytest.raises(error) as caught:
        Example.parse(value, where="file", error=error)  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith("file: ")
    assert problem in text
    assert text.endswith("(correct the named fields)")
    assert len(text) < 800
