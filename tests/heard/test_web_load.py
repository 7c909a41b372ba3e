"""A small version of `python -m bench.intake_load`: a real process, load, `kill -9`, and nothing is lost."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.intake_load import Load, Outcome, make_place, run

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.whistleblowing.intake.volume import Volume

SMALL = Load(
    seconds=1.6, reports_per_minute=400, upload_bytes=300_000, upload_every=5,
    block_bytes=65_536, blocks_per_tick=6, tick_s=0.2, batch_s=1.0,
)  # fmt: skip
SMALL_TICKS = math.ceil(SMALL.batch_s / SMALL.tick_s)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(SMALL, tmp_path_factory.mktemp("load"))


def test_nothing_that_was_answered_for_is_lost(outcome: Outcome) -> None:
    assert len(outcome.answered) >= 3
    assert outcome.lost == outcome.differ == []
    assert outcome.missing == outcome.odd == 0
    assert outcome.opened >= len(outcome.answered)


def test_a_batch_is_as_full_whether_anybody_reports_or_not(outcome: Outcome) -> None:
    assert outcome.blocks % SMALL.blocks_per_tick == 0
    assert outcome.dummies > 0


def test_an_intake_that_was_killed_after_the_last_tick_of_a_batch_goes_on(tmp_path: Path) -> None:
    """What follows a tick (the next batch) had not been done when the process ended."""
    place = make_place(tmp_path, SMALL)
    now = datetime.now(UTC)
    volume = Volume.open(place.box, lambda _: None, now)
    for _ in range(SMALL_TICKS):
        volume.write([])
    with pytest.raises(EnvironmentError_, match="free room"):
        volume.write([])
    volume.close()
    again = Volume.open(place.box, lambda _: None, now)
    again.write([])
    again.close()
