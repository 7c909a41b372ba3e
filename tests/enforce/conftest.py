"""The gateway of these tests: one set of namespaces for a module, where that can be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from enforce_bench import Bench, why_not


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Bench() as made:
        yield made
