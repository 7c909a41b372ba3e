"""What the telemetry of the recorded site shows against what was enrolled, held against what really happened there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest

from inspectorate.agreement import load_agreement
from inspectorate.assessment import Assessment, Verdict
from inspectorate.evidence import Bundle
from inspectorate.keys import Role, TrustAnchors
from inspectorate.lab.scenario import Kind
from inspectorate.lab.truth import GroundTruth
from inspectorate.review import Review, review

SITE = Path(__file__).parents[2] / "examples" / "lab-site-telemetry"
AS_OF = datetime(2026, 11, 26, tzinfo=UTC)
BLOCK = timedelta(seconds=50)


def reviewed(anchors: TrustAnchors, *clauses: str) -> Review:
    """The site under its terms, or under some of their clauses only."""
    agreement = load_agreement(str(SITE / "agreement.yaml"))
    if clauses:
        kept = tuple(clause for clause in agreement.clauses if clause.id in clauses)
        agreement = agreement.model_copy(update={"clauses": kept})
    return review(
        Bundle.open(SITE / "site.tar", anchors=anchors),
        agreement=agreement,
        anchors=anchors,
        as_of=AS_OF,
        interval_s=60.0,
    )


@pytest.fixture(scope="module")
def measured() -> Review:
    return reviewed(TrustAnchors.read(SITE / "anchors.yaml"))


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    return GroundTruth.read(SITE / "truth.json")


def of_pods(measured: Review, clause: str) -> dict[str, Assessment]:
    finding = next(one for one in measured.findings if one.clause == clause)
    return {one.scope.pods[0]: one for one in finding.assessments}


def distances(found: Assessment, start: datetime, end: datetime) -> tuple[list[float], float]:
    """The distances of the windows that begin within a stretch, and the threshold."""
    series = next(one for one in found.exhibits if one.id.startswith("approved-") and one.limit is not None)
    assert series.limit is not None
    times = [(datetime.fromisoformat(str(row[0])), row[1]) for row in series.rows]
    return [float(far) for at, far in times if far is not None and start <= at < end], series.limit


def test_pods_that_train_leave_what_was_enrolled_while_they_train(measured: Review, truth: GroundTruth) -> None:
    found = of_pods(measured, "approved-workloads")
    assert {run.kind for run in truth.training} == {Kind.DATA_PARALLEL, Kind.LOW_COMMUNICATION}
    for run in truth.training:
        for pod in run.pods:
            assert found[pod].verdict is Verdict.INCONCLUSIVE
            assert "deviate from what was approved" in found[pod].reasons[0]
            # A block takes ten windows of five seconds to fill.
            far, limit = distances(found[pod], run.period.start + BLOCK, run.period.end)
            assert sum(one > limit for one in far) >= 0.9 * len(far) > 0


def test_training_is_much_further_away_than_serving_on_the_same_pod(measured: Review, truth: GroundTruth) -> None:
    found = of_pods(measured, "approved-workloads")
    for run in truth.training:
        for pod in run.pods:
            training, _ = distances(found[pod], run.period.start + BLOCK, run.period.end)
            (served,) = [one for one in truth.inference if one.pod == pod]
            serving, _ = distances(found[pod], served.periods[0].start + BLOCK, served.periods[0].end)
            assert median(training) > 3 * median(serving)


def test_pods_that_only_served_strayed_a_little_and_nothing_like_training(measured: Review, truth: GroundTruth) -> None:
    """Both are called for review: six runs of 52 s are too few. Training is beyond three times the threshold."""
    found = of_pods(measured, "approved-workloads")
    training = {pod: run for run in truth.training for pod in run.pods}
    for pod in set(found) - set(training):
        far, limit = distances(found[pod], truth.period.start, truth.period.end)
        assert max(far) < 1.5 * limit
    for pod, run in training.items():
        far, limit = distances(found[pod], run.period.start + BLOCK, run.period.end)
        assert median(far) > 3 * limit


def test_telemetry_accuses_nobody_who_only_served(measured: Review, truth: GroundTruth) -> None:
    training = {pod for run in truth.training for pod in run.pods}
    for clause in ("approved-workloads", "sound-telemetry"):
        finding = next(one for one in measured.findings if one.clause == clause)
        assert {pod for scope in finding.named for pod in scope.pods} <= training


def test_the_flows_say_what_they_said_without_telemetry(measured: Review, truth: GroundTruth) -> None:
    training = {pod for run in truth.training for pod in run.pods}
    isolation = next(one for one in measured.findings if one.clause == "pod-isolation")
    assert measured.exit_code == 20
    assert {pod for scope in isolation.named for pod in scope.pods} == training


def test_one_meter_alone_is_told_as_such(measured: Review) -> None:
    for pod, found in of_pods(measured, "sound-telemetry").items():
        assert f"not held against a second meter: cpu-{pod}" in found.not_checked


def test_without_the_inspector_nothing_was_enrolled() -> None:
    whole = TrustAnchors.read(SITE / "anchors.yaml")
    kept = tuple(one for one in whole.anchors if Role.INSPECTOR not in one.roles)
    assert len(kept) == len(whole.anchors) - 1
    bare = whole.model_copy(update={"anchors": kept})
    found = of_pods(reviewed(bare, "approved-workloads"), "approved-workloads")
    assert {one.verdict for one in found.values()} == {Verdict.NOT_OBSERVED}
