"""The process apart that reads an XLSForm: `python -m ...forms.xlsform_apart`, started by `xlsform` and by nothing else.

It closes itself in before it reads anything. It looks at the workbook, has pyxform validate it as a form, and says pyxform's own
data of it as one line of JSON: `{"form": ...}`, or `{"refused": words}`. Who started it believes none of that, and reads it as it
would read a file of the other party.

pyxform 4.5.0 is what this was written for. Its data of a form is internal to it: the tests fail where it changes.
"""

from __future__ import annotations

import importlib
import json
import sys

from inspectorate.apart import enclose, say
from inspectorate.errors import InputError
from inspectorate.mechanisms.interviews.forms.workbook import check_workbook

REFUSED_CHARACTERS_MAX = 600


def main() -> None:
    """Close this process in, read one form, say it."""
    enclose(sys.argv[1])
    given = sys.stdin.buffer.read()
    kind, _, data = given.partition(b"\n")
    say(json.dumps(read(data, kind.decode("ascii"))).encode())


def read(data: bytes, kind: str) -> dict[str, object]:
    """pyxform's data of a form of this kind (`.xlsx`, `.md` or `.csv`), or why there is none."""
    if kind == ".xlsx":
        try:
            check_workbook(data, where="workbook")
        except InputError as fault:
            return {"refused": str(fault)}
    converting = importlib.import_module("pyxform.xls2xform")
    refusing: type[Exception] = importlib.import_module("pyxform.errors").PyXFormError
    warnings: list[str] = []
    try:
        found = converting.convert(data, warnings=warnings, validate=False, file_type=kind)
    except (
        refusing,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        UnicodeError,
    ) as fault:
        return {"refused": f"pyxform refuses it: {fault}"[:REFUSED_CHARACTERS_MAX]}
    return {"form": found._pyxform, "warnings": [str(one)[:REFUSED_CHARACTERS_MAX] for one in warnings[:20]]}


if __name__ == "__main__":
    main()
