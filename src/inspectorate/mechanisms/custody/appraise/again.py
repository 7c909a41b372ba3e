"""Segments of cameras, judged again from their payloads: what their watchers say of them is not all that can be known.

Repetitions are searched for across all segments of a camera, and frames counted. With the enrolments that a clause names, and with
secrets of the verifier's lamp that were handed over, the lamp is judged, too (`cameras.judge`). Enrolments and secrets lie in the
evidence, under their digests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspectorate.assessment import Case
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import CameraWatched
from inspectorate.mechanisms.custody.appraise.common import spoken_of
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, parse_enrolment
from inspectorate.mechanisms.custody.cameras.judge import (
    Brought,
    CameraJudged,
    JudgedSegment,
    WatchFault,
    judge_cameras,
)
from inspectorate.mechanisms.custody.cameras.written import Written
from inspectorate.quantities import Period

_NOT_TAKEN_UP = "its chain is broken at it or before it"


@dataclass(frozen=True, kw_only=True)
class Again:
    """What is found in one segment, whatever its watcher says."""

    written: Written | None = None
    """Its payload, read; none where it cannot be read, or where its chain was broken before."""
    unreadable: str | None = None
    repeated: tuple[Period, ...] = ()
    """Stretches that were shown before."""
    lamp: tuple[int, int] | None = None
    """Challenges that were asked, and answered; none where they cannot be judged."""
    unfit: tuple[str, ...] = ()
    """Why it shows nothing, though its payload is sound."""


def judged_again(case: Case, agreed: Sequence[str]) -> dict[str, Again]:
    """By the digest of each segment. `agreed`: digests of enrolments; none: none is asked for, and no lamp is judged.

    Where enrolments are agreed, a segment whose lamp cannot be judged, as its secret is still to come or its promise is unfair,
    shows nothing: else whoever keeps the secret back would gain by it. So does what the judge does not take up: segments
    from a fork on, and those that begin before the one before them ended.
    """

    def payload(digest: str) -> bytes:
        try:
            return case.evidence.payload(digest)
        except KeyError:
            raise EvidenceError("its payload is not there", where=f"payload {digest[:19]}…") from None

    enrolments, unread = _enrolments(payload, agreed)
    spoken = spoken_of(case)
    brought = Brought(payload=payload, enrolments=enrolments, promises=spoken.promised_to(spoken.cameras))
    found = {one.digest: Again(unfit=(_NOT_TAKEN_UP,)) for one in spoken.of(CameraWatched)}
    for camera in judge_cameras(spoken.of(CameraWatched), brought):
        faults = _faults(camera)
        for digest, of in faults.items():
            if of[WatchFault.PAYLOAD]:
                found[digest] = Again(unreadable=of[WatchFault.PAYLOAD][0])
        for one in camera.segments:
            mine = faults[one.statement.digest]
            unfit = mine[WatchFault.RATE]
            if agreed:
                unfit = [*unfit, *_not_enrolled(one, enrolments, unread, mine), *_of_lamp(one, mine)]
            found[one.statement.digest] = Again(
                written=one.written,
                repeated=one.repeated,
                lamp=(len(one.answers), len(one.answered_at)) if agreed else None,
                unfit=tuple(unfit),
            )
    return found


def _enrolments(payload: Callable[[str], bytes], agreed: Sequence[str]) -> tuple[dict[str, Enrolment], dict[str, str]]:
    """Those that are there, and why others are not."""
    found, unread = {}, {}
    for digest in agreed:
        try:
            found[digest] = parse_enrolment(payload(digest), where=f"enrolment {digest[:19]}…")
        except EvidenceError:
            unread[digest] = "is not in the evidence"
        except InputError as fault:
            unread[digest] = f"cannot be read: {fault.problem}"
    return found, unread


def _faults(camera: CameraJudged) -> dict[str, dict[WatchFault, list[str]]]:
    """By segment and kind, in words."""
    found: dict[str, dict[WatchFault, list[str]]] = defaultdict(lambda: defaultdict(list))
    for one in camera.faults:
        found[one.statement][one.fault].append(one.detail)
    return found


def _not_enrolled(
    one: JudgedSegment,
    enrolments: Mapping[str, Enrolment],
    unread: Mapping[str, str],
    faults: Mapping[WatchFault, Sequence[str]],
) -> Iterator[str]:
    named = one.written.head.enrolment
    if named in enrolments:
        yield from faults[WatchFault.ENROLMENT]
    elif named in unread:
        yield f"its enrolment {unread[named]}"
    else:
        yield "its camera was enrolled otherwise than agreed"


def _of_lamp(one: JudgedSegment, faults: Mapping[WatchFault, Sequence[str]]) -> Iterator[str]:
    yield from faults[WatchFault.PROMISE]
    if one.said.promise is not None and not one.lamp_known and not faults[WatchFault.PROMISE]:
        yield "the secret of the lamp is not in the evidence"
