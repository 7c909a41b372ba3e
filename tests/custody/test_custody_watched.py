"""Enrolments that a clause names: the verifier's lamp is judged in a review, from brightness in signed segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache

import pytest
from cameras_cases import enrolled
from custody_evidence import SEED, anchors, appraised, evidence, told

from inspectorate.assessment import Assessment, Verdict
from inspectorate.canonical import digest_of
from inspectorate.drawing.sources import Promise
from inspectorate.evidence import (
    Evidence,
    Origin,
    RandomnessPromised,
    VerifiedStatement,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.custody import CameraWatched
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.custody.cameras.challenge import LampPlan, Patterns
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment
from inspectorate.mechanisms.custody.cameras.regions import Region, RegionKind, Regions
from inspectorate.mechanisms.custody.cameras.written import FramesLine, Head, Written, write
from inspectorate.worlds.custody import CAMERAS, INSPECTORS
from inspectorate.worlds.seal import key_of

WATCHED = "watched-places"
RATE = 4.0
DELAY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Faked:
    """What differs from an honest camera."""

    delay_s: float = DELAY_S
    promised_late: bool = False
    revealed: bool = True
    enrolment_there: bool = True
    other_enrolment: bool = False
    swapped: bool = False
    """Each camera names the enrolment of another."""
    named: bool = True
    forked: bool = False
    """A second segment has the number 2 of the chain."""
    frames_share: float = 1.0


HONEST = Faked()


def enrolment_of(camera: str, places: tuple[str, ...]) -> Enrolment:
    """That of the rendered camera, for another camera with other racks."""
    racks = tuple(
        Region(place=place, kind=RegionKind.RACK, left=n / len(places), top=0.1, width=0.9 / len(places), height=0.5)
        for n, place in enumerate(places)
    )
    lamp = Region(place="lamp", kind=RegionKind.LAMP, left=0.5, top=0.0, width=0.05, height=0.05)
    regions = Regions(camera=camera, regions=(*racks, lamp))
    return enrolled().model_copy(update={"regions": regions, "lamp_latency_s": DELAY_S, "rate": RATE})


def said_by_cameras() -> dict[str, list[CameraWatched]]:
    found: dict[str, list[CameraWatched]] = {}
    for one in evidence().reports:
        if isinstance(one.predicate, CameraWatched):
            found.setdefault(one.predicate.reporter, []).append(one.predicate)
    return {name: sorted(many, key=lambda one: one.sequence) for name, many in found.items()}


@cache
def filmed(faked: Faked = HONEST) -> tuple[Evidence, tuple[str, ...]]:
    """The honest site with cameras whose lamps follow a promised pattern, and the digests of their enrolments."""
    reports = [one for one in evidence().reports if not isinstance(one.predicate, CameraWatched)]
    payloads: dict[str, bytes] = {}
    enrolments = [enrolment_of(camera, many[0].places) for camera, many in said_by_cameras().items()]

    def put(data: bytes) -> str:
        payloads[digest_of(data)] = data
        return digest_of(data)

    def sign(
        predicate: RandomnessPromised | CameraWatched, key: SigningKey, subjects: dict[str, str]
    ) -> VerifiedStatement:
        envelope = sign_statement(make_statement(predicate, subjects), key)
        reports.append(verify_envelope(envelope, anchors=anchors(), where="test"))
        return reports[-1]

    ada = next(one.name for one in anchors().anchors if one.name.endswith(INSPECTORS[0]))
    for number, (camera, segments) in enumerate(said_by_cameras().items()):
        enrolment = enrolments[number - 1 if faked.swapped else number]
        if faked.other_enrolment:
            enrolment = enrolment.model_copy(update={"lamp_latency_s": 0.4})
        if faked.enrolment_there:
            put(enrolment.canonical_bytes())
        begins = segments[0].period.start
        plan = LampPlan(
            begins_at=begins, ends_at=segments[-1].period.end - timedelta(seconds=12), every_s=30.0, slots=20, slot_s=0.37,
            tolerance_s=0.05,
        )  # fmt: skip
        made = Promise[LampPlan](secret=digest_of(camera.encode())[-64:], selection=plan)
        if faked.revealed:
            put(made.canonical_bytes())
        at = begins + timedelta(seconds=5 if faked.promised_late else -5)
        promise = sign(
            RandomnessPromised(origin=Origin.SIMULATED, by=ada, reporter=camera, promised_at=at),
            key_of(SEED, INSPECTORS[0]),
            {"secret": made.digest},
        )
        previous = None
        for said in segments:
            written = segment_of(said, enrolment, Patterns(made, enrolment.digest), faked)
            predicate = said.model_copy(
                update={
                    "previous": previous, "frames": written.frame_count, "challenges": 0, "answered": 0,
                    "promise": promise.digest if faked.named else None,
                }
            )  # fmt: skip
            previous = sign(predicate, key_of(SEED, CAMERAS), {"watch": put(write(written))}).digest
            if faked.forked and said.sequence == 2:
                other = predicate.model_copy(update={"video": digest_of(b"other video")})
                sign(other, key_of(SEED, CAMERAS), {"watch": put(write(written))})

    old = evidence().payload
    return replace(
        evidence(),
        reports=tuple(reports),
        payload=lambda digest: payloads[digest] if digest in payloads else old(digest),
    ), tuple(one.digest for one in enrolments)


def segment_of(said: CameraWatched, enrolment: Enrolment, patterns: Patterns, faked: Faked) -> Written:
    times = range(0, round(said.period.duration_s * 1000 * faked.frames_share), 250)
    lines = []
    for first in range(0, len(times), 40):
        at_ms = tuple(times[first : first + 40])
        lit = [
            patterns.lit(said.period.start + timedelta(milliseconds=ms) - timedelta(seconds=faked.delay_s))
            for ms in at_ms
        ]
        lamp = tuple((200.0, 0.2, 0.2, 0.1, 0.1) if on else (40.0, 0.0, 0.0, 0.0, 0.0) for on in lit)
        blank = "0" * 16 * len(at_ms)
        lines.append(FramesLine(at_ms=at_ms, bits=blank, visible=blank, lamp=lamp))
    head = Head(
        camera=said.reporter, enrolment=enrolment.digest, rate=RATE, start=said.period.start, end=said.period.end
    )
    return Written(head=head, frames=tuple(lines), unseen=(), events=())


def found(faked: Faked = HONEST, **terms: object) -> Assessment:
    seen, digests = filmed(faked)
    return appraised(seen, only=WATCHED, watched_places={"enrolments": digests, **terms})[WATCHED]


def test_a_lamp_that_is_answered_shows_a_live_picture() -> None:
    one = found()
    assert one.verdict is Verdict.CONSISTENT, one.reasons
    rows = {(row[0], row[1]): row[-2:] for row in one.exhibits[0].rows}
    assert sum(float(asked) for asked, _ in rows.values()) >= 2 * 20
    assert all(asked == answered for asked, answered in rows.values())


def test_challenges_further_apart_than_agreed_are_not_enough() -> None:
    one = found(challenged_every_s=20.0)
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("where one in 20 s is agreed" in text for text in told(one))


@pytest.mark.parametrize(
    ("faked", "words"),
    [
        (Faked(delay_s=0.4), "challenges were not answered"),
        (Faked(promised_late=True), "the promise was made after its plan begins"),
        (Faked(revealed=False), "the secret of the lamp is not in the evidence"),
        (Faked(enrolment_there=False), "its enrolment is not in the evidence"),
        (Faked(other_enrolment=True), "its camera was enrolled otherwise than agreed"),
        (Faked(swapped=True), "its enrolment is that of camera-simulated"),
        (Faked(named=False), "was asked 0 challenges"),
        (Faked(frames_share=0.5), "frames, where the rate gives"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_leaves_a_picture_unproved(faked: Faked, words: str) -> None:
    one = found(faked)
    assert one.verdict is Verdict.INCONCLUSIVE, one.reasons
    assert any(words in text for text in told(one)), told(one)
    assert one.log_e is None


def test_from_a_fork_on_a_chain_shows_nothing() -> None:
    one = found(Faked(forked=True))
    assert one.verdict is Verdict.INVALID_EVIDENCE
    assert any("the chain is forked" in text for text in told(one)), told(one)


def test_without_agreed_enrolments_the_watcher_is_taken_at_its_word() -> None:
    seen, _ = filmed()
    one = appraised(seen, only=WATCHED)[WATCHED]
    assert one.verdict is Verdict.INCONCLUSIVE
    assert any("was asked 0 challenges" in text for text in told(one))


@pytest.mark.parametrize("every_s", [60.0, None])
def test_whoever_keeps_a_secret_a_promise_or_an_enrolment_back_gains_nothing(every_s: float | None) -> None:
    """Counts may lean on cameras: then what cannot be judged must not hold more than what is judged, and found wanting."""

    def most(faked: Faked, *, drop: type | None = None) -> float:
        seen, digests = filmed(faked)
        kept = tuple(
            one for one in seen.reports
            if drop is None or not (isinstance(one.predicate, drop) and one.predicate.reporter in said_by_cameras())
        )  # fmt: skip
        found = appraised(
            replace(seen, reports=kept), only="counted-chips", counted_chips={"held_between": "cameras"},
            watched_places={"enrolments": digests, "challenged_every_s": every_s},
        )["counted-chips"]  # fmt: skip
        return max((row.share_max for row in found.outside[1:]), default=1.0)

    forged = Faked(delay_s=0.4)
    judged = most(forged)
    assert most(HONEST) < judged
    for less in (replace(forged, revealed=False), replace(forged, enrolment_there=False)):
        assert most(less) >= judged
    assert most(forged, drop=RandomnessPromised) >= judged
    assert most(replace(forged, forked=True)) >= judged
