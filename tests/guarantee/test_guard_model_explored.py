"""The explorer: small searches find nothing in the real machine, and find out each processor with a guard taken out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from inspectorate.worlds.guard_model_account import World
from inspectorate.worlds.guard_model_actions import Actions
from inspectorate.worlds.guard_model_explore import explore
from inspectorate.worlds.guard_model_machine import REAL, running
from inspectorate.worlds.guard_model_mutants import MUTANTS, Mutant, kill
from inspectorate.worlds.guard_model_scenarios import SCENARIOS
from inspectorate.worlds.guard_model_states import Pool
from inspectorate.worlds.guard_model_walks import walk
from inspectorate.worlds.guard_model_world import Surroundings

QUICK = (
    "no-quorum", "saves-after-release", "counter-stays", "locks-at-the-tick", "any-program", "no-replay-window",
    "reserves-nothing", "no-margin", "halt-in-memory", "order-by-anyone", "distrusted-resumes", "bytes-are-not-compared",
)  # fmt: skip
"""Mutants that die near the beginning; `inspectorate worlds guard-model --mutants` kills all of them."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_violated_near_the_beginning(name: str) -> None:
    found = explore(SCENARIOS[name](small=True), depth_max=4, worlds_max=700)
    assert found.violated == (), found.trace
    assert found.worlds > 300
    assert found.calls > 50


@pytest.mark.parametrize("mutant", [one for one in MUTANTS if one.name in QUICK], ids=lambda one: one.name)
def test_a_mutant_is_killed(mutant: Mutant) -> None:
    found = kill(mutant, worlds_max=20_000)
    assert mutant.expected & set(found.violated), found
    assert found.trace


def test_what_kills_mutants_lets_the_real_machine_live() -> None:
    for mutant in MUTANTS:
        if mutant.name in ("no-margin", "order-by-anyone", "reserves-nothing"):
            found = explore(mutant.scenario(), REAL, worlds_max=600)
            assert found.violated == (), (mutant.name, found.trace)


def test_the_same_seed_walks_the_same_way() -> None:
    one, again = (walk("interlock", sequences=2, steps=30, seed=3) for _ in range(2))
    assert replace(one, seconds=0.0) == replace(again, seconds=0.0)
    assert one.violated == ()


@pytest.mark.parametrize("name", SCENARIOS)
def test_short_walks_violate_nothing(name: str) -> None:
    found = walk(name, sequences=2, steps=40, seed=11)
    assert found.violated == (), found.trace


@pytest.mark.parametrize("name", ["update", "licence", "interlock"])
def test_any_sequence_that_hypothesis_finds(name: str) -> None:
    surroundings = Surroundings(actions=Actions(scenario=SCENARIOS[name](small=True), machine=REAL, pool=Pool()))

    class Machine(RuleBasedStateMachine):
        world: World

        @initialize()
        def begin(self) -> None:
            self.world = surroundings.first()

        @rule(data=st.data())
        def move(self, data: st.DataObject) -> None:
            moves = list(surroundings.moves(self.world))
            if not moves:
                return  # past the halts that the scenario counts
            move = moves[data.draw(st.integers(0, len(moves) - 1))]
            assert move.violated == (), move.label
            self.world = move.world

    with running(REAL):
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Machine,
            settings=settings(
                max_examples=8, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
