"""Which places were in sight, when; what was seen there; and when nothing can be said.

`seen_places` is what the appraisal and the account call. A place is held by a camera throughout a stretch if

1. usable segments of the camera cover the stretch, without a break that lasts longer than `unseen_s_max` of the clause: time
   between segments, time without frames, and time in which the place could not be seen are breaks alike, and neighbours are
   added together;
2. no part of it was shown before (`judge`, step 5), and the watcher saw nothing of the camera itself being covered, blurred,
   moved, frozen or replayed for longer than that;
3. where the clause asks for challenges: the verifier's lamp was answered at least so often. Between two answered challenges no
   more than `challenged_every_s` lies, counted from begin to begin; before the first and after the last, nothing is held.

An opened door or changed cabling does not end the holding: somebody saw it, and it is returned as `SeenThere`, for a person to
look at. A stretch that is not held is no word against the party.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from inspectorate.agreement.chips import WatchedPlaces
from inspectorate.evidence.custody import CameraEvent
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.mechanisms.custody.cameras.judge import (
    Brought,
    CameraJudged,
    JudgedSegment,
    WatchFound,
    judge_cameras,
)
from inspectorate.mechanisms.custody.held import EVIDENCE_MAX, By, Held, Unheld
from inspectorate.quantities import Period, merge_periods, uncovered


@dataclass(frozen=True, kw_only=True)
class SeenThere:
    """Something was seen at a place, as the watcher says; a person has not decided yet."""

    site: str
    place: str
    event: CameraEvent
    period: Period
    camera: str
    statement: str
    """Digest of the envelope of the segment."""
    clip: str | None
    """Digest of a strip of frames."""


@dataclass(frozen=True, kw_only=True)
class CamerasSaw:
    """What cameras of one party show in a period."""

    held: tuple[Held, ...]
    unheld: tuple[Unheld, ...]
    seen: tuple[SeenThere, ...]
    faults: tuple[WatchFound, ...]
    cameras: tuple[CameraJudged, ...]


def seen_places(
    statements: Iterable[VerifiedStatement],
    brought: Brought,
    sites: Mapping[str, str],
    terms: WatchedPlaces,
    period: Period,
) -> CamerasSaw:
    """Judge all statements of cameras, and say place by place what was held in `period`.

    `sites`: the site of each camera, by its name as a reporter. A camera without one is passed over, and so are statements of
    other kinds. Pure: equal arguments give equal results.
    """
    judged = judge_cameras(statements, brought)
    held: list[Held] = []
    unheld: list[Unheld] = []
    seen: list[SeenThere] = []
    for camera in judged:
        site = sites.get(camera.camera)
        if site is None:
            continue
        seen += _seen_there(camera, site, period)
        for place in sorted({place for one in camera.segments for place in one.said.places}):
            for part in _of_place(camera, site, place, terms, period):
                (held if isinstance(part, Held) else unheld).append(part)  # type: ignore[arg-type]
    faults = tuple(fault for one in judged for fault in one.faults)
    return CamerasSaw(held=tuple(held), unheld=tuple(unheld), seen=tuple(seen), faults=faults, cameras=judged)


def _seen_there(camera: CameraJudged, site: str, period: Period) -> Iterator[SeenThere]:
    for segment in camera.segments:
        for line in segment.written.events:
            to_ms = line.to_ms if line.to_ms is not None else round(segment.said.period.duration_s * 1000)
            span = segment.written.period(line.from_ms, max(to_ms, line.from_ms + 1)).intersection(period)
            if span is None:
                continue
            for place in line.places or segment.said.places:
                yield SeenThere(
                    site=site, place=place, event=line.event, period=span, camera=camera.camera,
                    statement=segment.statement.digest, clip=line.clip,
                )  # fmt: skip


def _of_place(
    camera: CameraJudged, site: str, place: str, terms: WatchedPlaces, period: Period
) -> Iterator[Held | Unheld]:
    segments = [one for one in camera.segments if place in one.said.places and one.said.period.overlaps(period)]
    if not segments:
        return
    sure = _in_sight(segments, place, terms)
    if terms.challenged_every_s is not None:
        challenged = _challenged(segments, terms.challenged_every_s)
        held = [part for one in sure for other in challenged if (part := one.intersection(other))]
        why = "not in sight, or its camera did not answer the lamp in time"
    else:
        held, why = sure, "not in sight of its camera, or its video was shown before"
    within = [part for one in held if (part := one.intersection(period))]
    for part in merge_periods(tuple(within)):
        yield Held(
            site=site, place=place, period=part, by=By.CAMERA, name=camera.camera,
            evidence=tuple(one.statement.digest for one in segments if one.said.period.overlaps(part))[:EVIDENCE_MAX],
        )  # fmt: skip
    span = Period(start=max(period.start, segments[0].said.period.start), end=period.end)
    for part in uncovered(within, span):
        evidence = tuple(one.statement.digest for one in segments if one.said.period.overlaps(part))[:EVIDENCE_MAX]
        yield Unheld(site=site, place=place, period=part, by=By.CAMERA, name=camera.camera, why=why, evidence=evidence)


def _in_sight(segments: list[JudgedSegment], place: str, terms: WatchedPlaces) -> list[Period]:
    """Conditions 1 and 2: stretches without a break that is too long."""
    whole = Period(start=segments[0].said.period.start, end=max(one.said.period.end for one in segments))
    breaks = uncovered((one.said.period for one in segments), whole)
    for one in segments:
        breaks += one.written.unseen_of(place)
    long = [one for one in merge_periods(tuple(breaks)) if one.duration_s > terms.unseen_s_max]
    long += [span for one in segments for span in one.repeated]
    return uncovered(long, whole)


def _challenged(segments: list[JudgedSegment], every_s: float) -> list[Period]:
    """Condition 3: stretches between answered challenges that follow one another closely enough."""
    spans = sorted((span for one in segments for span in one.answered_at), key=lambda span: span.start)
    found: list[Period] = []
    before = None
    for span in spans:
        if before is not None and (span.start - before).total_seconds() <= every_s:
            found[-1] = Period(start=found[-1].start, end=span.end)
        else:
            found.append(span)
        before = span.start
    return found
