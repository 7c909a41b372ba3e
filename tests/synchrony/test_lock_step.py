"""The clause: what the mechanism says of simulated and recorded sites, and the contract of every mechanism."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from cases import AVERAGING_S, of_recording, of_world

from inspectorate.assessment import Assessment, Case, ExhibitKind, Verdict
from inspectorate.mechanisms.interconnect import reference
from inspectorate.mechanisms.interconnect.appraise import lock_step
from inspectorate.mechanisms.interconnect.appraise.lock_step import appraise_lock_step
from inspectorate.statistics import LOG_E_MAX, LOG_E_MIN
from inspectorate.worlds import World, build_world

ALARM = 6.9
"""ln(1000)."""


@cache
def world(name: str, seed: int = 1) -> World:
    return build_world(name, seed, observed_s=300)


def appraise(case: Case) -> tuple[Assessment, ...]:
    terms = case.clause.parameters
    return appraise_lock_step(case, terms)  # type: ignore[arg-type]  # the case is made with this clause


def undeclared(made: World) -> list[tuple[str, str]]:
    declared = {pod.id: pod.peers for pod in made.declaration.pods}
    return [(a, b) for a, b in combinations(sorted(declared), 2) if b not in declared[a]]


@pytest.mark.parametrize("name", ["honest", "ddp", "silenced-exporter", "honest-pipeline"])
def test_one_assessment_per_undeclared_pair_whatever_was_seen(name: str) -> None:
    made = world(name)
    expected = undeclared(made)
    assert [a.scope.pods for a in appraise(of_world(made))] == expected
    everyone = tuple(pod.id for pod in made.declaration.pods)
    nothing = appraise(of_world(made, blind=everyone))
    assert [a.scope.pods for a in nothing] == expected
    for assessment in nothing:
        assert assessment.verdict is Verdict.NOT_OBSERVED
        assert assessment.log_e in (None, 0.0)
        assert (assessment.evidence_ids, assessment.exhibits, assessment.assumptions) == ((), (), ())


def test_a_pod_that_was_not_seen_is_not_said_to_comply() -> None:
    made = world("honest")
    pod = made.declaration.pods[0].id
    for assessment in appraise(of_world(made, blind=(pod,))):
        if pod in assessment.scope.pods:
            assert assessment.verdict is Verdict.NOT_OBSERVED
            assert assessment.log_e == 0.0


def test_the_same_case_gives_the_same_assessments_within_their_bounds() -> None:
    made = world("ddp")
    case = of_world(made)
    first, second = appraise(case), appraise(of_world(made))
    assert [a.canonical_bytes() for a in first] == [a.canonical_bytes() for a in second]
    ids = {digest for stream in case.evidence.streams.values() for digest in stream.evidence_ids}
    for assessment in first:
        assert set(assessment.evidence_ids) <= ids
        assert assessment.verdict is not Verdict.INCONSISTENT
        assert assessment.log_e is not None
        assert LOG_E_MIN <= assessment.log_e <= LOG_E_MAX
        assert case.period.covers(assessment.scope.period)
        assert any("in step" in text for text in assessment.assumptions)


def test_per_pod_where_there_are_too_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world("honest")
    pods = tuple(sorted(pod.id for pod in made.declaration.pods))
    monkeypatch.setattr(reference, "PAIRS_MAX", len(pods))
    found = appraise(of_world(made))
    assert [a.scope.pods for a in found] == [(pod,) for pod in pods]
    assert [a.scope.pods for a in appraise(of_world(made, blind=pods))] == [(pod,) for pod in pods]
    assert all("not compared with" in a.not_checked[-1] for a in found)
    assert all(a.log_e is not None for a in found)


def test_pairs_are_spread_within_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAIRS_MAX", 300)
    chosen = lock_step._spread(100, set(combinations(range(100), 2)))
    assert 200 <= len(chosen) <= 300
    assert len(set(chosen)) == len(chosen)
    assert {pod for pair in chosen for pod in pair} == set(range(100))


def test_a_site_of_declared_peers_is_not_compared() -> None:
    made = world("honest")
    case = of_world(made)
    pods = case.declaration.pods
    closed = tuple(p.model_copy(update={"peers": tuple(q.id for q in pods if q.id != p.id)}) for p in pods)
    site = case.declaration.sites[0]
    cluster = site.clusters[0].model_copy(update={"pods": closed})
    declaration = case.declaration.model_copy(
        update={"sites": (site.model_copy(update={"clusters": (cluster, *site.clusters[1:])}),)}
    )
    (found,) = appraise(Case(**{**case.__dict__, "declaration": declaration, "shared": {}}))
    assert (found.verdict, found.log_e) == (Verdict.NOT_OBSERVED, None)


def by_pair(folder: Path, averaging_s: float = AVERAGING_S) -> dict[tuple[str, ...], Assessment]:
    return {a.scope.pods: a for a in appraise(of_recording(folder, averaging_s))}


@pytest.mark.parametrize(("averaging_s", "at_least"), [(1.0, 40), (2.0, 25), (5.0, 10)])
def test_the_recorded_low_communication_run_is_found_below_the_limit(
    root: Path, averaging_s: float, at_least: float
) -> None:
    """Pods d and e of the recorded site: twelve minutes of real traffic of a real run, beneath the limit all the time."""
    found = by_pair(root / "examples" / "lab-site", averaging_s)
    guilty = found["pod-d", "pod-e"]
    assert guilty.log_e is not None
    assert guilty.log_e > max(at_least, ALARM)
    innocent = [a.log_e for pods, a in found.items() if pods not in {("pod-d", "pod-e"), ("pod-b", "pod-c")}]
    assert max(e for e in innocent if e is not None) < 1
    (table,) = guilty.exhibits
    assert table.kind is ExhibitKind.TABLE
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["pod"], row["other_pod"]) == ("pod-d", "pod-e")
    assert isinstance(row["coherence"], float)
    assert row["coherence"] > 0.7
    assert row["period_s"] == pytest.approx(18, abs=2)
    assert row["log_e"] == pytest.approx(guilty.log_e)


@pytest.mark.parametrize("averaging_s", [1.0, 2.0, 5.0, 10.0])
def test_the_recorded_honest_site_raises_no_alarm(root: Path, averaging_s: float) -> None:
    found = by_pair(root / "examples" / "lab-site-honest", averaging_s)
    assert len(found) == 15
    assert max(a.log_e for a in found.values() if a.log_e is not None) < ALARM / 2


def test_data_parallel_training_faster_than_the_grid_is_weak_evidence(root: Path) -> None:
    """Pods b and c exchange at every step of 0.42 s for under three minutes: on a grid of seconds that is a level."""
    guilty = by_pair(root / "examples" / "lab-site", 2.0)["pod-b", "pod-c"]
    assert guilty.log_e is not None
    assert 0 < guilty.log_e < ALARM
