"""Fuzz what the other side reaches of forms: python tests/heard/fuzz_forms.py -max_total_time=600 [CORPUS]

The first byte chooses: an expression, a workbook, what the process apart says, a form, a capture, a record. Anything raised but
`InputError` and `EvidenceError` is a finding.
"""

from __future__ import annotations

import contextlib
import json
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate.mechanisms.interviews.forms"]):
    from forms_cases import capture_of, frame_of

    from inspectorate.errors import EvidenceError, InputError
    from inspectorate.mechanisms.interviews.forms import read_bank, read_capture, read_form, read_record, write_record
    from inspectorate.mechanisms.interviews.forms.expressions import Scope, Situation, Type, check_truth, holds
    from inspectorate.mechanisms.interviews.forms.reading import read_expression
    from inspectorate.mechanisms.interviews.forms.shipped import shipped_form
    from inspectorate.mechanisms.interviews.forms.workbook import check_workbook
    from inspectorate.mechanisms.interviews.forms.xlsform import from_answer

FORM = shipped_form("operations")
FRAME = frame_of(FORM)
CAPTURE = json.dumps(capture_of(FORM, FRAME)).encode()
RECORD = write_record(read_capture(CAPTURE, FORM, FRAME, where="capture"))
SCOPE = Scope(answers={"n": Type.NUMBER, "t": Type.TEXT, "c": Type.CHOICES, "d": Type.DATE}, here=Type.NUMBER)
SITUATION = Situation(answers={"n": 3.0, "t": "yes", "c": frozenset("a"), "d": None}, here=1.0, today="2026-04-07")


def spliced(base: bytes, data: bytes) -> bytes:
    """`base` with a stretch of it replaced by `data`."""
    at = int.from_bytes(data[:2], "big") % (len(base) + 1)
    return base[:at] + data[3:] + base[at + data[2] % 32 :] if len(data) > 2 else base


def one_input(data: bytes) -> None:
    if not data:
        return
    way, rest = data[0] % 7, data[1:]
    with contextlib.suppress(InputError, EvidenceError):
        if way == 0:
            expression = read_expression(rest.decode("utf-8", "replace"), where="form")
            check_truth(expression, SCOPE, where="form")
            assert holds(expression, SITUATION) in {True, False}
        elif way == 1:
            check_workbook(rest, where="form")
        elif way == 2:
            with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError, RecursionError):
                from_answer(json.loads(rest), "form")
        elif way == 3:
            read_form(spliced(FORM.canonical_bytes(), rest), where="form")
        elif way == 4:
            read_capture(spliced(CAPTURE, rest), FORM, FRAME, where="capture")
        elif way == 5:
            read_record(spliced(RECORD, rest), FORM, FRAME, where="record")
        else:
            read_bank(rest, where="bank")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
