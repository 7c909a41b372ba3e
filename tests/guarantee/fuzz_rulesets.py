"""Fuzz what comes from outside: python tests/guarantee/fuzz_rulesets.py -max_total_time=600

The first byte chooses what is fuzzed: the envelope of an update, the payload of one, an order to resume, the text of a rule. An
update or order that is accepted without being the true one is a finding, like any error that is not ours.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from ruleset_making import AT, DEVICE, HALT, after, first, order, signed, signed_order

    from inspectorate.errors import EvidenceError
    from inspectorate.mechanisms.guarantee.rulesets.cel_compile import NoValue, compile_expression
    from inspectorate.mechanisms.guarantee.rulesets.cel_parse import ExpressionFault
    from inspectorate.mechanisms.guarantee.rulesets.inputs import INPUTS
    from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND, judge_resume
    from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Act, Point
    from inspectorate.mechanisms.guarantee.rulesets.update import judge_update
    from inspectorate.mechanisms.guarantee.signing import SignedDocument, parse_document

FIRST = first()
UPDATE = signed(after(FIRST, Act.SECURITY_PATCH, builds=("sha256:" + "c" * 64,)), "ana", "bo")
ORDER = signed_order(order(), "ana", "bo")
TYPES = INPUTS[Point.REQUEST]
VALUES = {name: {"int": 1, "double": 1.0, "bool": True, "string": "a"}[kind.value] for name, kind in TYPES.items()}


def one_input(data: bytes) -> None:
    """Judge one document or rule made of `data`."""
    way, rest = data[:1], data[1:]
    with contextlib.suppress(EvidenceError, ExpressionFault, NoValue):
        if way < b"\x40":
            judge(parse_document(splice(UPDATE.to_bytes(), rest), kind=RULESET_KIND, where="fuzz"))
        elif way < b"\x80":
            payload = splice(UPDATE.payload, rest)
            judge(SignedDocument(kind=RULESET_KIND, payload=payload, signatures=UPDATE.signatures))
        elif way < b"\xa0":
            document = parse_document(splice(ORDER.to_bytes(), rest), kind=RESUME_KIND, where="fuzz")
            judged = judge_resume(FIRST, document, device=DEVICE, halt=HALT, at=AT)
            assert judged.order is None or document.payload == ORDER.payload
        else:
            compile_expression(rest.decode("utf-8", errors="replace"), TYPES).evaluate(VALUES)


def judge(document: SignedDocument) -> None:
    judged = judge_update(FIRST, document, version_floor=1, at=AT)
    assert judged.ruleset is None or document.payload == UPDATE.payload


def splice(good: bytes, edit: bytes) -> bytes:
    """`good` with a stretch replaced: two bytes for where, one for how much, the rest for by what."""
    if len(edit) < 3:
        return good
    at = int.from_bytes(edit[:2], "big") % len(good)
    return good[:at] + edit[3:] + good[at + edit[2] % 16 :]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
