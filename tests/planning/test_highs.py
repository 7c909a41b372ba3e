"""What a solver's library prints by itself never reaches standard output."""

from __future__ import annotations

import ctypes
import os

import highspy
import pytest

from inspectorate.highs import run_silently


class Talkative(highspy.Highs):
    """Prints as C does, into a buffer, and as a descriptor does, at once."""

    fails = False

    def run(self) -> None:
        ctypes.CDLL(None).puts(b"a banner")
        os.write(1, b"a line\n")
        if self.fails:
            raise RuntimeError("as a solver may")


def test_nothing_of_it_is_printed_and_what_is_printed_around_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    run_silently(Talkative())
    print("after")
    assert capfd.readouterr().out == "before\nafter\n"


def test_a_failure_leaves_standard_output_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    solver = Talkative()
    solver.fails = True
    with pytest.raises(RuntimeError):
        run_silently(solver)
    print("after")
    assert capfd.readouterr().out == "after\n"


def test_a_program_is_solved() -> None:
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.addCol(-1.0, 0.0, 2.0, 0, [], [])
    run_silently(solver)
    assert solver.getInfo().objective_function_value == -2.0
