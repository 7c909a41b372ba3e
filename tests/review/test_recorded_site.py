"""What a review finds in the recorded site, held against what really happened there."""

from __future__ import annotations

import pytest
from site_resigning import Taken, renamed, review_files, sign_again

from inspectorate.assessment import Verdict
from inspectorate.evidence import FlowExportSegment, RejectedEvidence
from inspectorate.findings import Finding
from inspectorate.lab.scenario import Kind
from inspectorate.lab.truth import GroundTruth
from inspectorate.quantities import Period
from inspectorate.review import Review


def finding(review: Review, clause: str) -> Finding:
    return next(finding for finding in review.findings if finding.clause == clause)


def named(review: Review, clause: str) -> dict[str, Period]:
    return {pod: scope.period for scope in finding(review, clause).named for pod in scope.pods}


def pods_that(truth: GroundTruth, kind: Kind) -> set[str]:
    return {pod for run in truth.training if run.kind is kind for pod in run.pods}


def test_training_across_pods_is_found_and_named_with_its_time(recorded: Review, truth: GroundTruth) -> None:
    assert recorded.exit_code == 20
    found = named(recorded, "pod-isolation")
    assert set(found) == {pod for run in truth.training for pod in run.pods}
    for run in truth.training:
        for pod in run.pods:
            overlap = found[pod].intersection(run.period)
            assert overlap is not None
            assert overlap.duration_s >= 0.8 * run.period.duration_s
            assert overlap.duration_s >= 0.8 * found[pod].duration_s


def test_data_parallel_training_breaks_the_limit_and_low_communication_training_does_not(
    recorded: Review, truth: GroundTruth
) -> None:
    over = set(named(recorded, "pod-limit"))
    assert over
    assert over <= pods_that(truth, Kind.DATA_PARALLEL)
    assert not over & pods_that(truth, Kind.LOW_COMMUNICATION)


def test_the_silenced_exporter_is_not_observed(recorded: Review, truth: GroundTruth) -> None:
    for outage in truth.outages:
        about = [a for a in finding(recorded, "pod-limit").assessments if a.scope.pods == (outage.pod,)]
        assert [a.verdict for a in about] == [Verdict.NOT_OBSERVED]
        assert f"{outage.sensor_id} reported nothing from" in about[0].reasons[-1]


def test_honest_pods_are_not_accused(recorded: Review, truth: GroundTruth) -> None:
    guilty = {pod for run in truth.training for pod in run.pods}
    for result in recorded.findings:
        assert {pod for scope in result.named for pod in scope.pods} <= guilty


def test_the_largest_hidden_run_is_held_against_each_threshold(recorded: Review) -> None:
    answers = finding(recorded, "no-hidden-training").thresholds
    assert {answer.threshold for answer in answers} == {"small-training", "fine-tuning"}
    assert all(answer.hidden_flop_max == recorded.account.hidden_flop_max for answer in answers)
    assert 0 < recorded.account.hidden_flop_max <= recorded.account.capacity_flop


def test_the_same_site_without_its_training_is_not_accused(honest: Review) -> None:
    assert honest.exit_code == 10
    assert all(not result.named and result.verdict is not Verdict.INCONSISTENT for result in honest.findings)


def test_renamed_pods_are_found_all_the_same(recorded: Review, taken: Taken) -> None:
    names = {pod.id: f"rack-{number}" for number, pod in enumerate(reversed(taken.declaration.pods))}
    again = review_files(*sign_again(renamed(taken, names)))
    assert again.exit_code == recorded.exit_code
    assert again.account.hidden_flop_max == pytest.approx(recorded.account.hidden_flop_max)
    for clause in ("pod-limit", "pod-isolation"):
        before = {names[pod]: period for pod, period in named(recorded, clause).items()}
        assert named(again, clause) == before


def test_segments_left_out_are_named_and_never_help_the_party(recorded: Review, taken: Taken) -> None:
    sensor, number = "flows-pod-a", 3

    def left_out(segment: FlowExportSegment) -> bool:
        return segment.sensor == sensor and segment.sequence == number

    again = review_files(*sign_again(taken, leave_out=left_out))
    assert any(p.kind.value == "missing" and p.sensor == sensor for p in again.problems)
    about = [a for a in finding(again, "pod-limit").assessments if a.scope.pods == ("pod-a",)]
    assert about[0].verdict is Verdict.NOT_OBSERVED
    assert again.account.hidden_flop_max >= recorded.account.hidden_flop_max


def test_the_same_evidence_gives_the_same_review(recorded: Review, taken: Taken) -> None:
    one, other = (review_files(*sign_again(taken)) for _ in range(2))
    assert one == other


def test_a_flipped_byte_is_no_verdict(taken: Taken) -> None:
    files, anchors = sign_again(taken)
    name = next(name for name in files.sizes() if name.startswith("payloads/"))
    contents = {n: files.open(n).read() for n in files.sizes()}
    contents[name] = bytes([contents[name][0] ^ 1]) + contents[name][1:]
    with pytest.raises(RejectedEvidence, match="not what was signed for"):
        review_files(type(files)(contents), anchors)
