"""Video in, segments out: what the watcher saw, to be signed and chained.

1. Frames come in order. Each is looked at once and dropped; only a few seconds are kept, for strips around events.
2. A segment ends with the first frame after its length: its period ends where the next one begins, so that no time lies between.
3. What could not be seen is written down place by place, gaps included. An event that lasts stands in every segment that it
   touches.
4. The lamps of devices stand in the payload, frame by frame, so that a judge can search for repetitions again, across segments.
5. The verifier's lamp stands in it as brightness. Whether it answered is for who knows the secret: a watcher of the verifier at
   once, all others when it is handed over.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import CameraWatched
from inspectorate.mechanisms.custody.cameras.challenge import samples_of
from inspectorate.mechanisms.custody.cameras.decide import Event
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, Known
from inspectorate.mechanisms.custody.cameras.eye import Eye, Sighting
from inspectorate.mechanisms.custody.cameras.reference import (
    CLIP_FRAMES,
    CLIP_S,
    CLIPS_MAX,
    EVENTS_MAX,
    GAP_S,
    LINE_S,
    RECENT_S,
    SEGMENT_S,
)
from inspectorate.mechanisms.custody.cameras.source import Frame, Grey
from inspectorate.mechanisms.custody.cameras.written import MS, EventLine, FramesLine, Head, UnseenLine, Written, write
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment, not yet signed."""

    written: Written
    payload: bytes
    frames_digest: str
    """Over the working pictures: what names the video of a live source of which nobody keeps a file."""
    clips: dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where a segment stands in its chain."""

    sequence: int
    previous: str | None
    final: bool
    video: str
    """Digest of the video file; `frames_digest` where there is none."""
    promise: str | None = None
    challenges: int = 0
    answered: int = 0
    """Of challenges of the verifier's lamp that ended in the segment, for a watcher who knows its secret."""


@dataclass(kw_only=True)
class _Noticed:
    """An event, and the frames around it."""

    event: Event
    strip: list[Grey] = field(default_factory=list)
    until_s: float = 0.0
    continued: bool = False


@dataclass(kw_only=True)
class _Growing:
    start_s: float
    rows: list[tuple[int, int, int, tuple[float, ...] | None]] = field(default_factory=list)
    lines: list[FramesLine] = field(default_factory=list)
    unseen: list[tuple[str, float, float]] = field(default_factory=list)
    noticed: list[_Noticed] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)


class Watching:
    """One run of a watcher over one source."""

    def __init__(self, known: Known, start: datetime, *, segment_s: float = SEGMENT_S, eye: Eye | None = None) -> None:
        self.eye = eye or Eye(known)
        self._known = known
        self._start = start
        self._segment_s = segment_s
        self._period_s = 1 / known.enrolment.rate
        self._now: _Growing | None = None
        self._last_s = 0.0
        self._hidden: dict[str, float] = {}
        self._recent: deque[tuple[float, Grey]] = deque()

    def take(self, frame: Frame) -> tuple[Sighting, Segment | None]:
        """The next frame; the segment that it ended, if it did."""
        done = None
        if self._now is not None and frame.time_s - self._now.start_s >= self._segment_s:
            self._missing(frame.time_s)
            done = self._close(frame.time_s)
        elif self._now is not None:
            self._missing(frame.time_s)
        if self._now is None:
            self._now = _Growing(start_s=frame.time_s)
            self._now.noticed = [_Noticed(event=one, continued=True) for one in self.eye.open]
        sighting = self.eye.see(frame)
        self._write(frame, sighting)
        self._last_s = frame.time_s
        return sighting, done

    def end(self) -> Segment | None:
        """The last segment; none if no frame came."""
        return self._close(self._last_s + self._period_s) if self._now is not None else None

    def _missing(self, now_s: float) -> None:
        """Time in which no frame came is unseen, everywhere."""
        assert self._now is not None
        if now_s - self._last_s > GAP_S:
            for place in self._known.places:
                self._now.unseen.append((place, self._last_s + self._period_s, now_s))

    def _write(self, frame: Frame, sighting: Sighting) -> None:
        now = self._now
        assert now is not None
        lamp = samples_of(frame.grey, self._known.enrolment.regions)
        at_ms = round((frame.time_s - now.start_s) * MS)
        if now.rows and at_ms <= now.rows[-1][0]:
            at_ms = now.rows[-1][0] + 1
        now.rows.append((at_ms, sighting.reading.bits, sighting.reading.visible, lamp))
        if now.rows[-1][0] - now.rows[0][0] >= LINE_S * MS:
            self._line()
        now.digests.append(hashlib.sha256(frame.grey.tobytes()).hexdigest())
        self._seen(frame.time_s, set(sighting.seen.unseen))
        self._keep(frame, sighting)

    def _line(self) -> None:
        assert self._now is not None
        rows, self._now.rows = self._now.rows, []
        if not rows:
            return
        lamps = tuple(tuple(round(value, 3) for value in lamp) for _, _, _, lamp in rows if lamp is not None)
        self._now.lines.append(
            FramesLine(
                at_ms=tuple(row[0] for row in rows), bits="".join(f"{row[1]:016x}" for row in rows),
                visible="".join(f"{row[2]:016x}" for row in rows), lamp=lamps if len(lamps) == len(rows) else (),
            )
        )  # fmt: skip

    def _seen(self, now_s: float, unseen: set[str]) -> None:
        """Stretches open with the first frame that does not show a place, and end with the first that does."""
        assert self._now is not None
        for place in [one for one in self._hidden if one not in unseen]:
            self._now.unseen.append((place, self._hidden.pop(place), now_s))
        for place in unseen:
            self._hidden.setdefault(place, now_s)

    def _keep(self, frame: Frame, sighting: Sighting) -> None:
        """Strips of frames before and after each event."""
        assert self._now is not None
        self._recent.append((frame.time_s, frame.grey))
        while self._recent and self._recent[0][0] < frame.time_s - RECENT_S:
            self._recent.popleft()
        for one in self._now.noticed:
            if frame.time_s <= one.until_s:
                one.strip.append(frame.grey)
        for event in sighting.seen.began:
            if len(self._now.noticed) < EVENTS_MAX:
                begins_s = event.from_s - CLIP_S
                clipped = len(self._now.noticed) < CLIPS_MAX
                strip = [grey for time_s, grey in self._recent if time_s >= begins_s] if clipped else []
                until = event.noticed_s + CLIP_S if strip else 0.0
                self._now.noticed.append(_Noticed(event=event, strip=strip, until_s=until))

    def _close(self, end_s: float) -> Segment:
        now = self._now
        assert now is not None
        self._line()
        for place, since in self._hidden.items():
            now.unseen.append((place, since, end_s))
            self._hidden[place] = end_s
        clips: dict[str, bytes] = {}
        head = Head(
            camera=self._known.enrolment.regions.camera, enrolment=self._known.enrolment.digest,
            rate=self._known.enrolment.rate, start=self._time(now.start_s), end=self._time(end_s),
        )  # fmt: skip
        written = Written(
            head=head, frames=tuple(now.lines), unseen=tuple(self._unseen_lines(now, end_s)),
            events=tuple(self._event_lines(now, end_s, clips)),
        )  # fmt: skip
        self._now = None
        frames = "sha256:" + hashlib.sha256(canonical_bytes(now.digests)).hexdigest()
        return Segment(written=written, payload=write(written), frames_digest=frames, clips=clips)

    def _time(self, time_s: float) -> datetime:
        return self._start + timedelta(milliseconds=round(time_s * MS))

    def _unseen_lines(self, now: _Growing, end_s: float) -> Iterator[UnseenLine]:
        together: dict[tuple[int, int], set[str]] = {}
        for place, from_s, to_s in now.unseen:
            from_ms, to_ms = self._within(from_s, now, end_s), self._within(to_s, now, end_s)
            if to_ms > from_ms:
                together.setdefault((from_ms, to_ms), set()).add(place)
        for (from_ms, to_ms), places in sorted(together.items()):
            yield UnseenLine(places=tuple(sorted(places)), from_ms=from_ms, to_ms=to_ms)

    def _event_lines(self, now: _Growing, end_s: float, clips: dict[str, bytes]) -> Iterator[EventLine]:
        for one in now.noticed:
            event, clip = one.event, None
            if one.strip:
                data = strip_of(one.strip)
                clip = digest_of(data)
                clips[clip] = data
            ends = event.to_s is not None and event.to_s < end_s
            yield EventLine(
                event=event.kind, places=event.places, from_ms=self._within(event.from_s, now, end_s),
                noticed_ms=self._within(event.noticed_s, now, end_s),
                to_ms=self._within(event.to_s, now, end_s) if ends and event.to_s is not None else None,
                continued=one.continued, score=round(event.score, 4), threshold=round(event.threshold, 4), clip=clip,
            )  # fmt: skip

    def _within(self, time_s: float, now: _Growing, end_s: float) -> int:
        length = round(end_s * MS) - round(now.start_s * MS)
        return min(length, max(0, round((time_s - now.start_s) * MS)))


def strip_of(pictures: list[Grey]) -> bytes:
    """Some of the pictures side by side, as one JPEG."""
    chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, CLIP_FRAMES).astype(int))]
    made, data = opencv().imencode(".jpg", np.hstack(chosen), [opencv().IMWRITE_JPEG_QUALITY, 80])
    assert made
    return bytes(data.tobytes())


def make_segment(segment: Segment, link: Link, who: Who, enrolment: Enrolment) -> Act:
    """The statement of a segment. It carries its enrolment, by which others judge it."""
    written = segment.written
    predicate = CameraWatched(
        origin=who.origin, reporter=who.name, period=Period(start=written.head.start, end=written.head.end),
        places=enrolment.regions.places, sequence=link.sequence, previous=link.previous, final=link.final, video=link.video,
        frames=written.frame_count, unseen_s=written.unseen_s(), events=written.event_counts(),
        challenges=link.challenges, answered=link.answered,
        promise=link.promise,
    )  # fmt: skip
    return Act(
        predicate=predicate, subjects={"watch": digest_of(segment.payload), "enrolment": enrolment.digest},
        payloads=(segment.payload, enrolment.canonical_bytes()),
    )  # fmt: skip
