"""HiGHS, kept from speaking: versions of it write lines of their developers to standard output, whatever its options say.

A result that a program prints as JSON would be broken by them. Standard output of the process is put aside while the solver
runs, so no other thread may print meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import highspy

_STDOUT = 1


def run_silently(solver: highspy.Highs) -> None:
    """Run a solver that was given its model and options."""
    with _unheard():
        solver.run()


@contextmanager
def _unheard() -> Iterator[None]:
    sys.stdout.flush()
    try:
        kept = os.dup(_STDOUT)
    except OSError:  # there is no standard output
        yield
        return
    library = ctypes.CDLL(None)
    library.fflush(None)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDOUT)
        yield
    finally:
        library.fflush(None)
        os.dup2(kept, _STDOUT)
        os.close(kept)
