"""The error tree, split by whose fault it is.

    InspectorateError
    ├── InputError          the operator of this program gave something unusable    exit 2
    ├── EvidenceError       the evidence, or the party that sent it, is wrong       exit 30
    └── EnvironmentError_   a tool, a permission or the disk is missing             exit 2

Faults of our own code are `AssertionError`, `TypeError` and `ValueError`, and are never caught on the way out.
Every message says what is wrong, where, and what to do. Errors of libraries are translated where they arise.
"""

from __future__ import annotations


class InspectorateError(Exception):
    """Base of every error that a user may see.

    `problem` says what is wrong, `where` names the file, line, field or packet, `remedy` says what to do about it.
    """

    exit_code = 2

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{place}{self.problem}{remedy}"


class InputError(InspectorateError):
    """What the operator of this program supplied cannot be used: a file, an option, an agreement."""


class EvidenceError(InspectorateError):
    """Evidence is malformed, unauthentic or contradicts itself. Never a verdict on the party by itself."""

    exit_code = 30


class EnvironmentError_(InspectorateError):  # noqa: N801 - the plain name is a Python builtin
    """This machine lacks something: a program, a privilege, space on the disk."""
