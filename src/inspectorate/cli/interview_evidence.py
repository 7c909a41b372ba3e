"""What a review says of topics that people were asked about, as statements with the review's own bounds.

- *It was so*: a finding whose evidence against its clause reached the alarm, of a kind that would show the topic's activity, for a
  named scope that overlaps the topic's pods and time. It may be wrong with the agreed false-accusation rate: one in exp(alarm).
- *It was not so*: assessments that are consistent for each of the topic's pods and all of its time, of kinds that leave no room for
  the activity. They hold under their assumptions, which stand in the review.
- Anything else says nothing. Training is never excluded by a review: it only bounds how much fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from inspectorate.agreement import Agreement, ClauseKind
from inspectorate.assessment import Assessment, Scope, Verdict
from inspectorate.canonical import JSON_BYTES_MAX, parse_json
from inspectorate.corroboration import SPEAKS_AGAINST, TOUCHES
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.findings import Finding
from inspectorate.mechanisms.interviews.consistency.types import SpeakerKind, Statement, Topic, TopicKind, YesNo
from inspectorate.quantities import merge_periods
from inspectorate.review import Review


def of_review(path: Path, agreement: Agreement, topics: Sequence[Topic]) -> tuple[Statement, ...]:
    """Statements of a review (JSON) under an agreement about topics. Raises `EvidenceError`, and `InputError` where it is of
    another agreement."""
    where = str(path)
    review = Review.parse(parse_json(read_bounded(path, JSON_BYTES_MAX), where=where), where=where, error=EvidenceError)
    if (review.agreement, review.agreement_version) != (agreement.id, agreement.version):
        raise InputError(f"is a review under {review.agreement} {review.agreement_version}", where=where,
                         remedy=f"give that agreement, not {agreement.id} {agreement.version}")  # fmt: skip
    kinds = {clause.id: clause.kind for clause in agreement.clauses}
    found = [
        _of_topic(topic, [(kinds.get(finding.clause), finding) for finding in review.findings])
        for topic in topics
        if topic.kind is TopicKind.ACTIVITY and topic.pods
    ]
    return tuple(one for one in found if one is not None)


def _of_topic(topic: Topic, findings: Sequence[tuple[ClauseKind | None, Finding]]) -> Statement | None:
    for kind, finding in findings:
        named = finding.verdict is Verdict.INCONSISTENT and any(_overlaps(scope, topic) for scope in finding.named)
        if named and kind in TOUCHES[topic.activity] and finding.strength is not None:
            missed = min(0.49, math.exp(-finding.strength.log_e_alarm))
            return _statement(topic, finding, finding.reasons[0], holds=True, missed=missed)
    for kind, finding in findings:
        if kind in SPEAKS_AGAINST.get(topic.activity, frozenset()):
            clear = [one for one in finding.assessments if one.verdict is Verdict.CONSISTENT]
            if clear and all(_covers(clear, pod, topic.period.start, topic.period.end) for pod in topic.pods):
                return _statement(topic, finding, clear[0].reasons[0], holds=False, missed=0.0)
    return None


def _overlaps(scope: Scope, topic: Topic) -> bool:
    return bool(set(scope.pods) & set(topic.pods)) and scope.period.overlaps(topic.period)


def _covers(among: Sequence[Assessment], pod: str, start: datetime, end: datetime) -> bool:
    merged = merge_periods(tuple(one.scope.period for one in among if pod in one.scope.pods))
    return any(one.start <= start and end <= one.end for one in merged)


def _statement(topic: Topic, finding: Finding, reason: str, *, holds: bool, missed: float) -> Statement:
    return Statement(
        id=f"review-{topic.id}"[:128],
        speaker=SpeakerKind.MACHINE,
        source=f"review, clause {finding.clause}",
        topic=topic.id,
        question="review",
        sentence=reason[:2000],
        said_at=finding.as_of,
        said=YesNo(holds=holds),
        miss_probability=missed,
    )
