"""What a declaration and a review say of topics, as statements that answers are held against."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cases_kit import agreement, declaration
from cases_review import review

from inspectorate.assessment import Verdict
from inspectorate.cli.interview_evidence import of_review
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Activity
from inspectorate.mechanisms.interviews.consistency.reading import declared
from inspectorate.mechanisms.interviews.consistency.types import SpeakerKind, Topic, TopicKind, YesNo
from inspectorate.quantities import Period
from inspectorate.report import render_json
from inspectorate.review import Review


def topic(activity: Activity, **more: Any) -> Topic:
    fields = {
        "id": "run", "kind": TopicKind.ACTIVITY, "text": "it was done", "period": declaration().period, "pods": ("b3",),
        "clause": "pod-limit", "activity": activity,
    }  # fmt: skip
    return Topic.model_validate(fields | more)


def said(tmp_path: Path, made: Review, *topics: Topic) -> list[tuple[str, bool, float]]:
    path = tmp_path / "review.json"
    path.write_bytes(render_json(made))
    found = of_review(path, agreement(), topics)
    assert all(one.speaker is SpeakerKind.MACHINE for one in found)
    return [(one.topic, one.said.holds, one.miss_probability) for one in found if isinstance(one.said, YesNo)]


def test_an_alarm_says_that_it_was_so_with_the_rate_at_which_alarms_are_false(tmp_path: Path) -> None:
    made = review()
    ((name, holds, missed),) = said(tmp_path, made, topic(Activity.TRAINING))
    alarming = sum(finding.strength is not None for finding in made.findings)
    assert (name, holds) == ("run", True)
    assert 0 < missed <= agreement().false_accusation_rate
    assert alarming


@pytest.mark.parametrize(
    "other",
    [
        {"activity": Activity.REWIRED},
        {"pods": ("a1",)},
        {"pods": ()},
        {"period": Period(start=declaration().period.end, end=declaration().period.end + timedelta(hours=1))},
    ],
    ids=["another matter", "another pod", "no pod", "another time"],
)
def test_it_says_nothing_of_anything_else(tmp_path: Path, other: dict[str, Any]) -> None:
    assert said(tmp_path, review(), topic(Activity.TRAINING).model_copy(update=other)) == []


def test_what_is_consistent_never_says_that_nothing_was_trained(tmp_path: Path) -> None:
    made = review(Verdict.CONSISTENT)
    assert said(tmp_path, made, topic(Activity.TRAINING), topic(Activity.EXCHANGE)) == []


def test_a_review_under_another_agreement_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "review.json"
    path.write_bytes(render_json(review().model_copy(update={"agreement": "other"})))
    with pytest.raises(InputError, match="is a review under other"):
        of_review(path, agreement(), ())
    path.write_bytes(b"{}")
    with pytest.raises(EvidenceError):
        of_review(path, agreement(), ())


def test_a_claim_of_training_says_so_and_other_claims_say_that_there_was_none() -> None:
    fleet = declaration()
    (claim,) = (one for one in fleet.claims if "b3" in one.pods)
    asked = topic(Activity.TRAINING, period=claim.period)
    (found,) = declared(fleet, (asked,))
    assert isinstance(found.said, YesNo)
    assert (found.speaker, found.said.holds) == (SpeakerKind.DECLARATION, claim.kind.value == "training")
    longer = Period(start=claim.period.start, end=claim.period.end + timedelta(days=400))
    uncovered = declared(fleet, (asked.model_copy(update={"period": longer}),))
    assert [one.said.holds for one in uncovered if isinstance(one.said, YesNo)] == ([True] if found.said.holds else [])
    assert declared(fleet, (asked.model_copy(update={"pods": ("elsewhere",)}), topic(Activity.REWIRED))) == ()
