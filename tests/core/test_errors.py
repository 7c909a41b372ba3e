"""The error tree: whose fault it is, the exit code, and the form of a message."""

from __future__ import annotations

import inspect

import pytest

from inspectorate import errors
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError, InspectorateError
from inspectorate.evidence import ProblemKind, RejectedEvidence
from inspectorate.mechanisms.guarantee.attestation.verify import RejectedQuote
from inspectorate.mechanisms.guarantee.graph.transcript import Malformed
from inspectorate.mechanisms.inspection.rerun.judge import Contradiction
from inspectorate.mechanisms.workloads.enrol.recording import RunRefused

TREE = {
    InputError: 2,
    EvidenceError: 30,
    EnvironmentError_: 2,
    RejectedEvidence: 30,
    RunRefused: 30,
    RejectedQuote: 30,
    Malformed: 30,
    Contradiction: 30,
}


@pytest.mark.parametrize(("error", "code"), TREE.items(), ids=lambda item: getattr(item, "__name__", str(item)))
def test_every_error_has_its_exit_code(error: type[InspectorateError], code: int) -> None:
    assert error.exit_code == code
    assert issubclass(error, InspectorateError)


def test_the_tree_is_closed() -> None:
    """A new error must be given a place in the table above."""
    found = {item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, InspectorateError)}
    assert found == {InspectorateError, InputError, EvidenceError, EnvironmentError_}
    assert set(EvidenceError.__subclasses__()) == {
        RejectedEvidence,
        RunRefused,
        RejectedQuote,
        Malformed,
        Contradiction,
    }


def test_no_error_is_one_that_python_raises_by_itself() -> None:
    """A handler for ours must not swallow a fault of the program."""
    for error in TREE:
        assert not issubclass(error, (ValueError, OSError, LookupError, RuntimeError))


@pytest.mark.parametrize(
    ("where", "remedy", "text"),
    [
        ("", "", "is wrong"),
        ("file:3", "", "file:3: is wrong"),
        ("", "mend it", "is wrong (mend it)"),
        ("file:3", "mend it", "file:3: is wrong (mend it)"),
    ],
)
def test_a_message_says_where_what_and_what_to_do(where: str, remedy: str, text: str) -> None:
    assert str(InputError("is wrong", where=where, remedy=remedy)) == text


def test_a_rejection_becomes_a_problem_of_its_kind() -> None:
    problem = RejectedEvidence(ProblemKind.CLONED, "is a copy", where="bundle").as_problem("segment 3")
    assert str(problem) == "cloned: segment 3: is a copy"
