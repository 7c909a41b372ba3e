"""Regime strength: the matrix, the weakest subgoal against a slow search, what fails together, reviews, the cheapest upgrade."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.account import Account
from inspectorate.agreement import load_agreement
from inspectorate.cli.plan_strength import strength
from inspectorate.errors import InputError
from inspectorate.findings import Finding
from inspectorate.planning.portfolio import Subgoal, shipped_catalogue
from inspectorate.planning.portfolio.catalogue import Evidence
from inspectorate.planning.strength import (
    Regime,
    State,
    fleet_of_account,
    regime_exhibits,
    regime_of,
    shipped_layers,
    states_named,
    states_of,
)
from inspectorate.planning.strength.regime import roots_of

MECHANISMS = sorted({part.mechanism for layer in shipped_layers() for part in layer.parts})
AS_OF = "2026-06-01T00:00:00Z"


def named(*names: str) -> Regime:
    layers = shipped_layers()
    return regime_of(layers, shipped_catalogue(), states_named(layers, names), from_review=False)


def finding(clause: str, verdict: str) -> Finding:
    source = {"document": "x"}
    return Finding.model_validate(
        {"clause": clause, "title": "t", "source": source, "verdict": verdict, "reasons": ["r"], "as_of": AS_OF}
    )


def test_every_layer_is_of_mechanisms_in_the_catalogue_and_people_have_no_figure() -> None:
    for layer in shipped_layers():
        for part in layer.parts:
            one = shipped_catalogue().mechanism(part.mechanism)
            assert (one.evidence is Evidence.PEOPLE) == layer.people


def test_nothing_there_is_worth_nothing() -> None:
    assert named().strength == 0
    assert set(named().weakest) == set(Subgoal)


@settings(max_examples=40)
@given(st.sets(st.sampled_from(MECHANISMS), max_size=6))
def test_a_strength_is_the_fewest_roots_that_blind_a_subgoal(names: set[str]) -> None:
    catalogue, regime = shipped_catalogue(), named(*sorted(names))
    roots = [root.id for root in catalogue.roots]
    for one in regime.subgoals:
        looking = [roots_of(catalogue, name) for name in names if one.subgoal in catalogue.mechanism(name).subgoals]
        blinds = (
            n for n in range(len(roots) + 1) for some in combinations(roots, n) if all(set(some) & r for r in looking)
        )
        least = next(blinds)
        assert one.strength == (least if looking else 0)
    assert regime.strength == min(one.strength for one in regime.subgoals)


def test_more_layers_never_weaken_and_people_alone_are_said_to_be_alone() -> None:
    people, more = named("whistleblowers", "interviews"), named("whistleblowers", "interviews", "networks")
    assert people.strength == 1, "both stand with the prover's staff"
    assert more.strength == 2
    assert all(one.people_only for one in people.subgoals)
    assert not any(one.people_only for one in more.subgoals)
    shared = [one for one in people.shared if one.root == "staff"]
    assert {one.subgoal for one in shared} == set(Subgoal)
    assert all(one.layers == ("whistleblowers", "interviews") for one in shared)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [("consistent", State.LOOKED), ("inconsistent", State.LOOKED), ("inconclusive", State.SHORT), ("not-observed", State.BLIND),
     ("invalid-evidence", State.BLIND)],
)  # fmt: skip
def test_a_layer_counts_only_as_far_as_its_findings_say_that_it_looked(verdict: str, state: State) -> None:
    agreement, layers = load_agreement("inference-only-approved"), shipped_layers()
    clause = next(one.id for one in agreement.clauses if one.kind.value == "approved-workloads")
    states = states_of(layers, [finding(clause, verdict)], agreement)
    assert states["workload-signatures"] is state
    assert states["flexheg"] is State.ABSENT
    regime = regime_of(layers, shipped_catalogue(), states, from_review=True)
    seen = [cell for cell in regime.cells if cell.mechanisms]
    assert bool(seen) == (state is State.LOOKED)


def test_findings_of_another_agreement_are_refused() -> None:
    with pytest.raises(InputError):
        states_of(shipped_layers(), [finding("no-such-clause", "consistent")], load_agreement("inference-only"))


def test_exhibits_hold_the_matrix() -> None:
    matrix, subgoals, _ = regime_exhibits(named("on-chip"), shipped_layers())
    assert len(matrix.rows) == len(shipped_layers())
    assert len(subgoals.rows) == 4
    assert not any(isinstance(cell, float) for row in matrix.rows for cell in row), "no figure, for people least of all"


def account(*hidden: float) -> Account:
    period = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
    pods = [
        {"pod": f"p{n}", "capacity_flop": 1e22, "hidden_flop_max": h, "joined_flop_max": h}
        for n, h in enumerate(hidden)
    ]
    return Account.model_validate({
        "period": period, "interval_s": 3600.0, "confidence": 0.99, "capacity_flop": 1e22 * len(hidden),
        "elsewhere_flop_max": 0.0, "hidden_flop_max": sum(hidden), "post_training_flop_max": sum(hidden), "exact": True,
        "statements": [], "pods": pods, "series": [], "help": [], "assumptions": [],
    })  # fmt: skip


def test_an_account_makes_a_fleet_with_what_is_left_of_it() -> None:
    agreement = load_agreement("asi-agreement")
    fleet = fleet_of_account(account(1e21, 1e22), ["partial-rerunning", "interviews"], shipped_catalogue(), agreement)
    assert [one.hidden_share_now for one in fleet.clusters] == pytest.approx([0.1, 1.0])
    assert fleet.clusters[0].existing == ("partial-rerunning", "transcripts"), "and what it needs"
    assert fleet.existing == ("interviews",)
    capacity = fleet.clusters[0].flop_per_s(agreement) * account(1.0).period.duration_s
    assert capacity == pytest.approx(1e22)


def run(*words: str) -> Any:
    return CliRunner().invoke(strength, [*words], catch_exceptions=False)


def test_the_upgrade_really_strengthens_the_weakest() -> None:
    told = json.loads(run("--layers", "whistleblowers,interviews", "--start", "2026-01-01", "--json").stdout)
    assert told["regime"]["strength"] == 1
    upgrade = told["upgrade"]
    assert upgrade["possible"]
    after = named("whistleblowers", "interviews", *upgrade["added"])
    assert after.strength >= 2
    assert upgrade["cost"] > 0


def test_the_text_names_the_weakest_and_gives_no_verdict() -> None:
    result = run("--layers", "whistleblowers,interviews", "--start", "2026-01-01")
    assert result.exit_code == 0
    assert "as strong as its weakest subgoal: 1" in result.output
    assert "share people who work for the prover" in result.output
    assert "no verdict" in result.output


@pytest.mark.parametrize("data", ["", "{}", "[1]", '{"agreement": 1}', "\x00"])
def test_what_is_no_review_is_refused(data: str, tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    path.write_text(data, "utf-8")
    with pytest.raises(InputError, match=r"review\.json|is no review"):
        run(str(path))


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(InputError):
        run("--layers", "nothing")
