"""The forms and the question bank that this program ships, as data.

`operations.md` and `research.md` are XLSForms as tables in text; `operations.json` and `research.json` are the forms made of them,
in their canonical bytes: what an agreement names by digest. A test makes them again. `bank.yaml` is the question bank.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from inspectorate.mechanisms.interviews.forms.types import Form, read_form

SHIPPED = ("operations", "research")


@cache
def shipped_form(name: str) -> Form:
    """A shipped form by name."""
    return read_form((files(__package__) / f"{name}.json").read_bytes(), where=name)
