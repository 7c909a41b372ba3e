"""The shipped catalogue and fleets, and what is refused: bad catalogues, fleets and questions, with file, place and remedy."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from portfolio_fleets import DATE, START, terms

from inspectorate.declaration import Declaration
from inspectorate.errors import InputError
from inspectorate.planning.portfolio import (
    Fleet,
    Progress,
    Question,
    bound_of,
    example_fleet,
    fleet_of,
    shipped_catalogue,
)
from inspectorate.planning.portfolio.catalogue import (
    Catalogue,
    Evidence,
    Mark,
    Scope,
    Subgoal,
    load_catalogue,
    parse_catalogue,
    shipped_catalogue_bytes,
)
from inspectorate.planning.portfolio.fleet import fleet_examples
from inspectorate.planning.portfolio.terms import requirements_of


def plain() -> dict[str, Any]:
    return copy.deepcopy(shipped_catalogue().model_dump(mode="json", exclude_none=True))


def test_there_are_enough_mechanisms_and_every_subgoal_has_one() -> None:
    found = shipped_catalogue()
    assert len(found.mechanisms) >= 15
    for goal in Subgoal:
        assert sum(goal in one.subgoals for one in found.mechanisms) >= 2


def test_every_figure_names_its_source_and_people_have_none() -> None:
    for one in shipped_catalogue().mechanisms:
        assert all(figure.source for _, figure in one.figures())
        if one.evidence is Evidence.PEOPLE:
            assert not {"residual", "joining", "outside"} & {name for name, _ in one.figures()}
        if any(figure.mark is Mark.ASSUMED for _, figure in one.figures()):
            assert one.assumed


@pytest.mark.parametrize(
    ("name", "years"),
    [("interconnect-limits", (1, 2)), ("partial-rerunning", (1, 5)), ("flexheg", (2, 5)), ("chip-location", (2, 4)),
     ("inference-only-packages", (1, 4)), ("seals-cameras", (1, 5)), ("workload-signatures", (0, 2)), ("code-review", (0, 2))],
)  # fmt: skip
def test_readiness_is_the_reports_own(name: str, years: tuple[float, float]) -> None:
    """arXiv 2506.15867, appendix A (the ends; the middles are ours)."""
    figure = shipped_catalogue().mechanism(name).rd_years
    assert (figure.range[0], figure.range[2]) == years
    assert figure.mark is Mark.FULL


def _people_with_a_figure(value: dict[str, Any]) -> None:
    one = next(m for m in value["mechanisms"] if m["evidence"] == "people")
    one["residual"] = {"range": [0.1, 0.2, 0.3], "mark": "assumed", "source": "a guess"}


def _falls(value: dict[str, Any]) -> None:
    value["mechanisms"][0]["rd_years"]["range"] = [3, 2, 1]


def _above_one(value: dict[str, Any]) -> None:
    value["mechanisms"][1]["residual"]["range"] = [0.1, 0.2, 1.3]


def _unknown_root(value: dict[str, Any]) -> None:
    value["mechanisms"][0]["roots"] = ["nobody"]


def _twice(value: dict[str, Any]) -> None:
    value["mechanisms"].append(value["mechanisms"][0])


def _unknown_need(value: dict[str, Any]) -> None:
    value["mechanisms"][0]["needs"] = ["nothing"]


def _claim_without_power(value: dict[str, Any]) -> None:
    del value["mechanisms"][1]["residual"]


def _no_source(value: dict[str, Any]) -> None:
    del value["mechanisms"][0]["rd_years"]["source"]


def _infinite(value: dict[str, Any]) -> None:
    value["mechanisms"][0]["cost"]["chip"]["range"] = [0, 1, float("inf")]


@pytest.mark.parametrize(
    "spoil",
    [
        _people_with_a_figure,
        _falls,
        _above_one,
        _unknown_root,
        _twice,
        _unknown_need,
        _claim_without_power,
        _no_source,
        _infinite,
    ],
)
def test_a_bad_catalogue_is_refused(spoil: Any) -> None:
    value = plain()
    spoil(value)
    with pytest.raises(InputError):
        Catalogue.parse(value, where="mine.yaml", error=InputError)


def test_a_bad_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("id: mine\nmechanisms: []\n", "utf-8")
    with pytest.raises(InputError, match=r"mine\.yaml"):
        load_catalogue(path)


@settings(max_examples=15)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=6))
def test_a_mutated_catalogue_is_read_or_refused(at: int, put: bytes) -> None:
    data = shipped_catalogue_bytes()[:3_500]
    spoilt = data[: at % len(data)] + put + data[at % len(data) + len(put) :]
    with pytest.raises(InputError):  # it is cut off, and so never whole
        parse_catalogue(spoilt, where="mutated")


@pytest.mark.parametrize(
    "cluster",
    [
        {"id": "a", "use": "inference"},
        {"id": "a", "use": "inference", "h100_equivalents": -1},
        {"id": "a", "use": "inference", "h100_equivalents": float("nan")},
        {"id": "a", "use": "inference", "h100_equivalents": 1, "chips": [{"model": "h100-sxm", "count": 1}]},
        {"id": "a", "use": "inference", "chips": [{"model": "no-such-chip", "count": 1}]},
        {"id": "a", "use": "inference", "h100_equivalents": 1, "pods": 4, "largest_pod_share": 0.1},
        {"id": "a", "use": "rest", "h100_equivalents": 1},
    ],
)
def test_a_bad_fleet_is_refused(cluster: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Fleet.parse({"id": "f", "clusters": [cluster]}, where="fleet.yaml", error=InputError)


@pytest.mark.parametrize("name", fleet_examples())
def test_shipped_fleets_can_be_read(name: str) -> None:
    fleet = example_fleet(name)
    known = set(shipped_catalogue().names)
    assert all(set(names) <= known for names in fleet.figure.values())


def test_the_example_is_six_pairs() -> None:
    figure = example_fleet("figure-1").figure
    kinds = set(figure.values())
    assert len(kinds) == 6
    assert all(list(figure.values()).count(names) == 2 for names in kinds)


def ask(**more: Any) -> Question:
    given_ = {"fleet": example_fleet("figure-1"), "catalogue": shipped_catalogue(), "agreement": terms(), "date": DATE,
              "start": START, "requirements": (bound_of(1e25, years=0, progress=Progress()),)}  # fmt: skip
    return Question(**{**given_, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"without": frozenset({"nothing"})}, {"delays": {"nothing": 1.0}}, {"refused": frozenset({"nothing"})},
        {"caps": {"nothing": 1.0}}, {"failures": 9}, {"layers": 9}, {"together": 0}, {"requirements": ()},
    ],
)  # fmt: skip
def test_a_question_about_what_is_not_there_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ask(**more)


@pytest.mark.parametrize("existing", [("nothing",), ("interviews",), ("partial-rerunning",)])
def test_what_is_said_to_be_there_must_be_in_the_catalogue_and_have_what_it_needs(existing: tuple[str, ...]) -> None:
    fleet = example_fleet("figure-1")
    first = fleet.clusters[0].model_copy(update={"existing": existing})
    with pytest.raises(InputError):
        ask(fleet=fleet.model_copy(update={"clusters": (first, *fleet.clusters[1:])}))


def test_thresholds_come_from_the_agreement() -> None:
    found = requirements_of(terms(), date=DATE, start=START, progress=Progress(algorithmic_per_year=3))
    assert {one.threshold for one in found} == {"strict-training", "strict-post-training"}
    assert all(one.flop_max == pytest.approx(one.flop_max_agreed / 81, rel=0.01) for one in found)
    with pytest.raises(InputError):
        requirements_of(terms(), date=DATE, start=START, progress=Progress(), thresholds=("no-such",))


def test_a_declaration_makes_a_fleet() -> None:
    declared = Declaration.model_validate({
        "id": "d", "party": "party-a", "period": {"start": START, "end": DATE},
        "sites": [{"id": "s", "location": "somewhere", "clusters": [{"id": "c", "pods": [
            {"id": "p1", "chips": [{"model": "h100-sxm", "count": 8}], "networks": ["10.0.0.0/24"]},
            {"id": "p2", "chips": [{"model": "h100-sxm", "count": 24}], "networks": ["10.0.1.0/24"]}]}]}],
        "claims": [{"id": "w", "kind": "training", "pods": ["p1"], "period": {"start": START, "end": DATE}, "description": "x"}],
    })  # fmt: skip
    (cluster,) = fleet_of(declared, terms()).clusters
    assert (cluster.chip_count, cluster.pods, cluster.use.value) == (32, 2, "training")
    assert cluster.lead_share == pytest.approx(0.75)
    peak = sum(pod.peak_flop_per_s(terms().counted_formats) for pod in declared.pods)
    assert cluster.flop_per_s(terms()) == pytest.approx(peak * terms().utilisation.max)


def test_scopes_split_the_catalogue() -> None:
    asked = ask()
    assert {one.scope for one in asked.available(Scope.FLEET)} == {Scope.FLEET}
    assert "chip-location" in {one.id for one in asked.available(Scope.CLUSTER)}
