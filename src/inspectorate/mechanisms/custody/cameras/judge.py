"""Segments of cameras, judged by anybody: the chain, the counts, repetitions across segments, and answers to the verifier's lamp.

1. A segment whose payload is not there, or does not say what its statement says, shows nothing.
2. Segments are taken in order of their numbers. Two different ones with one number are a fork: from there on the chain shows
   nothing. A number that is not there, or a segment that does not name the one before it, is named; what it shows still counts,
   for its period.
3. Periods touch. What lies between two of them is unseen, and named.
4. Frames: as many as the rate gives outside of what is stated as unseen.
5. The lamps of devices are searched again for stretches that were there before, in any earlier segment of the chain.
6. Where a promise was named and its secret was handed over, every challenge of its plan within the segments is held against the
   picture. The promise must have been made before its plan begins; that it was named by the segment, which came before the
   secret was handed over, protects the prover from a pattern made up later.
7. Whether the key that signed was the prover's is said, not judged: a camera that the prover holds alone can make up all of this
   but 6.

Nothing here is a verdict. Events are the watcher's; a person looks at their frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.drawing.sources import Promise, parse_whole
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CameraWatched
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.evidence.subjects import subject_digest
from inspectorate.keys import Holder
from inspectorate.mechanisms.custody.cameras.challenge import Answer, LampPlan, Patterns, answer, window_of
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment
from inspectorate.mechanisms.custody.cameras.reference import (
    HISTORY_S,
    JUDGED_EVERY_S,
    MATCH_DEVIATIONS,
    MATCH_SPANS_S,
    MATCH_TWICE,
    SHORT_SHARE,
)
from inspectorate.mechanisms.custody.cameras.spots import History, Repeats
from inspectorate.mechanisms.custody.cameras.written import MS, UnseenLine, Written, written_of
from inspectorate.quantities import Period, merge_periods


class WatchFault(StrEnum):
    """What can be wrong with segments: a closed list."""

    PAYLOAD = "payload-unusable"
    FORKED = "forked"
    MISSING = "segment-missing"
    UNCHAINED = "does-not-name-the-one-before"
    OVERLAPPING = "overlaps-the-one-before"
    BETWEEN = "time-between-segments"
    UNCLOSED = "never-closed"
    ENROLMENT = "enrolment-unknown"
    RATE = "too-few-frames"
    REPEATED = "shown-before"
    PROMISE = "promise-unusable"
    UNANSWERED = "lamp-not-answered"


@dataclass(frozen=True, kw_only=True)
class WatchFound:
    """A fault, and where."""

    fault: WatchFault
    camera: str
    statement: str
    detail: str
    period: Period | None = None


@dataclass(frozen=True, kw_only=True)
class JudgedSegment:
    """A segment that can be used."""

    statement: VerifiedStatement
    said: CameraWatched
    written: Written
    repeated: tuple[Period, ...]
    answers: tuple[Answer, ...]
    """To challenges that began within it, where the secret is known."""
    answered_at: tuple[Period, ...]
    """Of the challenges that were answered: from begin to end."""
    lamp_known: bool = False
    """Whether its challenges could be judged: the secret of its lamp, and the enrolment, are there."""


@dataclass(frozen=True, kw_only=True)
class CameraJudged:
    """All that one camera's segments show."""

    camera: str
    segments: tuple[JudgedSegment, ...]
    faults: tuple[WatchFound, ...]
    prover_alone: bool
    """Some of it was signed by a key that the prover alone holds."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What the reviewer brings along."""

    payload: Callable[[str], bytes]
    enrolments: Mapping[str, Enrolment]
    """Those that both parties know, by digest."""
    promises: Sequence[VerifiedStatement] = ()
    """Statements of `RandomnessPromised`; their secrets, where handed over, are payloads."""


def judge_cameras(statements: Iterable[VerifiedStatement], brought: Brought) -> tuple[CameraJudged, ...]:
    """Judge all segments of all cameras, in order of the cameras' names. Other statements are passed over."""
    by_camera: dict[str, dict[str, VerifiedStatement]] = {}
    for one in statements:
        if isinstance(one.predicate, CameraWatched):
            by_camera.setdefault(one.predicate.reporter, {})[one.digest] = one
    return tuple(_Judging(name, list(found.values()), brought).judged() for name, found in sorted(by_camera.items()))


def _said(one: VerifiedStatement) -> CameraWatched:
    assert isinstance(one.predicate, CameraWatched)
    return one.predicate


@dataclass
class _Judging:
    camera: str
    statements: list[VerifiedStatement]
    brought: Brought
    faults: list[WatchFound] = field(default_factory=list)

    def judged(self) -> CameraJudged:
        usable = self._in_order()
        self._between(usable)
        repeated = self._repetitions(usable)
        segments = tuple(
            self._segment(one, written, tuple(repeated.get(one.digest, ())), usable) for one, written in usable
        )
        alone = any(all(a.holder is Holder.PROVER for a in one.anchors) for one in self.statements)
        return CameraJudged(camera=self.camera, segments=segments, faults=tuple(self.faults), prover_alone=alone)

    def _fault(self, fault: WatchFault, one: VerifiedStatement, detail: str, period: Period | None = None) -> None:
        self.faults.append(
            WatchFound(fault=fault, camera=self.camera, statement=one.digest, detail=detail, period=period)
        )

    def _in_order(self) -> list[tuple[VerifiedStatement, Written]]:
        """Steps 1 and 2."""
        by_number: dict[int, list[VerifiedStatement]] = {}
        for one in self.statements:
            by_number.setdefault(_said(one).sequence, []).append(one)
        usable: list[tuple[VerifiedStatement, Written]] = []
        before: VerifiedStatement | None = None
        for number in sorted(by_number):
            found = by_number[number]
            if len(found) > 1:
                self._fault(WatchFault.FORKED, found[0], f"{len(found)} segments have the number {number}")
                break
            one, said = found[0], _said(found[0])
            expected = 0 if before is None else _said(before).sequence + 1
            if number > expected:
                self._fault(WatchFault.MISSING, one, f"segments {expected} to {number - 1} are not there")
            elif before is not None and said.previous != before.digest:
                self._fault(WatchFault.UNCHAINED, one, f"segment {number} does not name segment {number - 1}")
            if before is not None and said.period.start < _said(before).period.end:
                self._fault(WatchFault.OVERLAPPING, one, f"segment {number} begins before segment {number - 1} ends")
                before = one
                continue
            before = one
            try:
                usable.append((one, written_of(one, self.brought.payload)))
            except EvidenceError as fault:
                self._fault(WatchFault.PAYLOAD, one, str(fault), said.period)
        if before is not None and not _said(before).final:
            self._fault(WatchFault.UNCLOSED, before, "no segment says that it is the last")
        return usable

    def _between(self, usable: list[tuple[VerifiedStatement, Written]]) -> None:
        """Steps 3 and 4."""
        for (earlier, _), (later, _) in pairwise(usable):
            end, start = _said(earlier).period.end, _said(later).period.start
            if end < start:
                detail = f"{(start - end).total_seconds():.1f} s lie between segments"
                self._fault(WatchFault.BETWEEN, later, detail, Period(start=end, end=start))
        for one, written in usable:
            enrolment = self.brought.enrolments.get(written.head.enrolment)
            if enrolment is None:
                self._fault(
                    WatchFault.ENROLMENT, one, f"enrolled as {written.head.enrolment[:19]}…, which is not known"
                )
            elif enrolment.regions.camera != self.camera:
                self._fault(WatchFault.ENROLMENT, one, f"its enrolment is that of {enrolment.regions.camera}")
            elif enrolment.rate != written.head.rate or set(enrolment.regions.places) != set(_said(one).places):
                self._fault(WatchFault.ENROLMENT, one, "rate or places are not those of its enrolment")
            gaps = sum(line.to_ms - line.from_ms for line in _everywhere(written, _said(one).places)) / MS
            due = (_said(one).period.duration_s - gaps) * written.head.rate
            if written.frame_count < SHORT_SHARE * due - 1:
                self._fault(WatchFault.RATE, one, f"{written.frame_count} frames, where the rate gives {due:.0f}")

    def _repetitions(self, usable: list[tuple[VerifiedStatement, Written]]) -> dict[str, list[Period]]:
        """Step 5."""
        found: dict[str, list[Period]] = {}
        history: History | None = None
        repeats: list[Repeats] = []
        rate = every = 0.0
        count = 0
        for one, written in usable:
            if history is None or written.head.rate != rate:
                rate = written.head.rate
                history, every, repeats = History(rate, HISTORY_S), max(1, round(JUDGED_EVERY_S * rate)), []
            enrolment = self.brought.enrolments.get(written.head.enrolment)
            least = enrolment.match_deviations if enrolment else MATCH_DEVIATIONS
            if [one.deviations for one in repeats] != [least] * len(MATCH_SPANS_S):
                repeats = [Repeats(deviations=least) for _ in MATCH_SPANS_S]
            for at_ms, bits, visible in rows_of(written):
                history.add(bits, visible)
                count += 1
                if count % every:
                    continue
                now_s = written.head.start.timestamp() + at_ms / MS
                for judged, match in zip(repeats, history.search(MATCH_TWICE), strict=True):
                    if judged.judge(match, now_s) and match is not None:
                        from_ms = max(0, at_ms - round(match.frames / rate * MS))
                        found.setdefault(one.digest, []).append(written.period(from_ms, at_ms + 1))
            for period in merge_periods(tuple(found.get(one.digest, ()))):
                said = {line.event for line in written.events}
                also = "" if "replayed" in said else ", and the watcher did not say so"
                self._fault(WatchFault.REPEATED, one, f"its lamps were shown before{also}", period)
        return {digest: list(merge_periods(tuple(periods))) for digest, periods in found.items()}

    def _segment(
        self,
        one: VerifiedStatement,
        written: Written,
        repeated: tuple[Period, ...],
        usable: list[tuple[VerifiedStatement, Written]],
    ) -> JudgedSegment:
        said = _said(one)
        answers: list[Answer] = []
        answered: list[Period] = []
        lamp = self._lamp(one, written)
        if lamp is not None:
            plan = lamp.patterns.plan
            for number in _begun(plan, said.period):
                got = lamp.answered(number, (other for _, other in usable))
                answers.append(got)
                begin = plan.time_of(number)
                span = Period(start=begin, end=begin + timedelta(seconds=plan.lasts_s))
                if got.answered:
                    answered.append(span)
                else:
                    self._fault(WatchFault.UNANSWERED, one, f"challenge {number}: {got.why}", span)
        return JudgedSegment(
            statement=one, said=said, written=written, repeated=repeated, answers=tuple(answers),
            answered_at=tuple(answered), lamp_known=lamp is not None,
        )  # fmt: skip

    def _lamp(self, one: VerifiedStatement, written: Written) -> Lamp | None:
        """Step 6: the lamp behind a segment, if its secret is known."""
        named = _said(one).promise
        if named is None:
            return None
        promise = next((p for p in self.brought.promises if p.digest == named), None)
        if promise is None or not isinstance(promise.predicate, RandomnessPromised):
            self._fault(WatchFault.PROMISE, one, "the promise that it names is not there")
            return None
        digest = subject_digest(promise, "secret")
        try:
            data = self.brought.payload(digest)
        except EvidenceError:
            return None  # not handed over yet: nothing is shown, and nothing is wrong
        enrolment = self.brought.enrolments.get(written.head.enrolment)
        try:
            revealed = parse_whole(Promise[LampPlan], data, where=f"promise {named[:19]}…")
        except EvidenceError as fault:
            self._fault(WatchFault.PROMISE, one, str(fault))
            return None
        plan = revealed.selection
        if digest_of(data) != digest or promise.predicate.reporter != self.camera:
            self._fault(WatchFault.PROMISE, one, "the secret was promised otherwise, or for another camera")
        elif promise.predicate.promised_at > plan.begins_at:
            self._fault(WatchFault.PROMISE, one, "the promise was made after its plan begins")
        elif enrolment is None or enrolment.lamp_latency_s is None:
            self._fault(WatchFault.PROMISE, one, "the delay of the lamp was not enrolled")
        else:
            return Lamp(patterns=Patterns(revealed, enrolment.digest), latency_s=enrolment.lamp_latency_s)
        return None


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A lamp of which the secret is known, and the delay that was enrolled."""

    patterns: Patterns
    latency_s: float

    def answered(self, number: int, segments: Iterable[Written]) -> Answer:
        """What the picture answered to one challenge, which may lie in two segments."""
        plan = self.patterns.plan
        begin = plan.time_of(number)
        first, last = window_of(plan)
        times: list[float] = []
        samples: list[tuple[float, ...]] = []
        for written in segments:
            offset = (written.head.start - begin).total_seconds()
            if offset >= last or (written.head.end - begin).total_seconds() <= first:
                continue
            for line in written.frames:
                for at_ms, levels in zip(line.at_ms, line.lamp, strict=False):
                    if first <= offset + at_ms / MS < last:
                        times.append(offset + at_ms / MS)
                        samples.append(levels)
        pattern = self.patterns.of(number)
        return answer(pattern, plan, number, times, np.array(samples, np.float64), self.latency_s)

    def ended(self, after: datetime | None, by: datetime) -> Iterable[int]:
        """Challenges that all frames of are there, if the last of them came after `after` and before `by`."""
        plan = self.patterns.plan
        last = window_of(plan)[1]
        first_number = 0
        if after is not None:
            first_number = math.floor(((after - plan.begins_at).total_seconds() - last) / plan.every_s) + 1
        until = math.floor(((by - plan.begins_at).total_seconds() - last) / plan.every_s)
        return range(max(0, first_number), min(plan.count, until + 1))


def rows_of(written: Written) -> Iterable[tuple[int, int, int]]:
    """Time, lamps that are on, lamps that can be seen, of each frame."""
    for line in written.frames:
        for number, at_ms in enumerate(line.at_ms):
            digits = slice(16 * number, 16 * number + 16)
            yield at_ms, int(line.bits[digits], 16), int(line.visible[digits], 16)


def _everywhere(written: Written, places: tuple[str, ...]) -> list[UnseenLine]:
    return [one for one in written.unseen if set(one.places) == set(places)]


def _begun(plan: LampPlan, period: Period) -> Iterable[int]:
    """Challenges that begin within a period."""
    since = (period.start - plan.begins_at).total_seconds() / plan.every_s
    until = (period.end - plan.begins_at).total_seconds() / plan.every_s
    first, last = max(0, int(np.ceil(since))), min(plan.count, int(np.ceil(until)))
    return range(first, last)
