"""The real review over many worlds: false alarms within what was agreed, detections printed per cheat."""

from __future__ import annotations

import pytest

from inspectorate.cli.worlds import review_world
from inspectorate.worlds import WorldKind, build_world, measure, names_of
from inspectorate.worlds.rates import pool, run, spread, within_allowance

HONEST, CHEATS = 25, 4
"""As many as fit into continuous integration; `inspectorate worlds rates --honest 1000 --cheats 20` takes more."""


@pytest.mark.slow
def test_honest_sites_are_accused_no_more_often_than_agreed(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = list(run(spread(names_of(WorldKind.HONEST), HONEST), review_world, jobs=2))
    allowed = build_world("honest", 0).agreement.false_accusation_rate
    total = pool(outcomes, "all honest")
    cheats = measure(names_of(WorldKind.CHEATING), range(CHEATS), review_world, jobs=2)
    with capsys.disabled():
        print(f"\n{total.alarms} false alarms in {total.worlds} honest worlds; agreed rate {allowed:g}")
        for row in cheats:
            low, high = row.alarm_rate
            print(
                f"{row.label:24} {row.alarms:3}/{row.worlds} detected ({low:.2f}-{high:.2f}), {row.named_right} named right"
            )
    assert within_allowance(total, allowed)
    assert total.named_innocent <= total.alarms
    detected = {row.label: row for row in cheats}
    assert detected["ddp"].alarms == detected["ddp"].worlds
    assert detected["ddp"].named_right == detected["ddp"].worlds
