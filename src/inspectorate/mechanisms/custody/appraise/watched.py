"""`watched-places`: one assessment for all pods. Whether every rack of the registers was in sight of a camera all the time, live.

1. Segments of each camera are put in order: each names the one before, none overlaps, none is missing. A fork or a forged chain,
   and a payload that is not what its statement says, are invalid evidence. A hole is time in which nothing was in sight.
2. A rack is in sight through a segment but for what its payload says: stretches in which the place could not be seen, and all of a
   segment in which the picture stood still, or was shown before, or did not answer a challenge. Lamps of devices are searched for
   repetitions again, across all segments of the camera (`cameras.judge`), whatever its watcher says.
3. Every rack of every register must be in sight throughout; stretches of no more than `unseen_s_max` are let pass. Longer ones are
   not observed, and open where the camera itself says why.
4. Doors that opened and cabling that changed leave the clause open: somebody may have had leave to. What follows is to ask who
   stood there, and to count. There is no e-value: nobody has stated how often honest cameras are covered.
5. Where challenges are agreed, each segment must have been asked so often, and have answered: else a replay is not excluded, and it
   shows nothing. Where the clause names enrolments, a segment of another one shows nothing, and the verifier's lamp is judged again
   from the brightness in the payload, once its secret is there: what the watcher stated for itself counts no more.
6. A segment with fewer frames than its rate gives, outside of what it states as unseen, shows nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from inspectorate.agreement import WatchedPlaces
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind
from inspectorate.evidence import CameraEvent, CameraWatched, VerifiedStatement
from inspectorate.hearing import spans_text
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.again import Again, judged_again
from inspectorate.mechanisms.custody.appraise.common import Said, With, assess, registers_of, spoken_of
from inspectorate.mechanisms.custody.appraise.places import Place, gaps_of, names_of, racks_of
from inspectorate.mechanisms.custody.cameras.written import EventLine, Written
from inspectorate.quantities import Period, uncovered

DONE_THERE = frozenset({CameraEvent.DOOR, CameraEvent.CABLING})
"""Events of what was done at a rack. All others are of the picture."""
NOT_LIVE = frozenset({CameraEvent.FROZEN, CameraEvent.REPLAYED})
"""Events after which nothing of the segment shows anything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Segment:
    """One segment, read."""

    digest: str
    said: CameraWatched
    site: str
    again: Again
    faults: tuple[str, ...] = ()
    asked_every_s: float | None = None
    """How often a challenge is agreed; none: no challenge is."""

    @property
    def written(self) -> Written | None:
        return self.again.written

    @property
    def asked(self) -> int:
        return self.said.challenges if self.again.lamp is None else self.again.lamp[0]

    @property
    def answered(self) -> int:
        return self.said.answered if self.again.lamp is None else self.again.lamp[1]

    @property
    def name(self) -> str:
        return f"{self.said.reporter}: segment {self.said.sequence}"

    @property
    def usable(self) -> bool:
        return self.written is not None and not self.faults

    @property
    def live(self) -> bool:
        """Whether its picture was made when it says: neither frozen nor repeated, and every challenge answered."""
        return not NOT_LIVE & set(self.said.events) and not self.unanswered

    @property
    def unanswered(self) -> int:
        """Challenges, by the watcher's own word or by what is judged again."""
        return max(self.asked - self.answered, self.said.challenges - self.said.answered)

    @property
    def asked_enough(self) -> bool:
        """A challenge for every whole stretch of the agreed length; the first segment of a camera has none behind it."""
        every_s = self.asked_every_s
        return every_s is None or self.asked >= math.floor(self.said.period.duration_s / every_s + 1e-9)

    def seen(self, place: str) -> list[Period]:
        """When a place was in sight."""
        if not self.usable or not self.live or self.again.unfit or not self.asked_enough:
            return []
        assert self.written is not None
        hidden = [*self.written.unseen_of(place), *self.again.repeated]
        hidden += [
            period
            for event in self.written.events
            if event.event not in DONE_THERE and (not event.places or place in event.places)
            if (period := self.time_of(event)) is not None
        ]
        return uncovered(hidden, self.said.period)

    def time_of(self, event: EventLine) -> Period | None:
        assert self.written is not None
        start = self.written.at(event.from_ms)
        end = self.said.period.end if event.to_ms is None else self.written.at(event.to_ms)
        return Period(start=start, end=end) if start < end else None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Seen:
    """What all cameras saw."""

    segments: tuple[_Segment, ...]
    held: dict[Place, list[Period]] = field(default_factory=dict)


def appraise_watched(case: Case, clause: WatchedPlaces) -> tuple[Assessment, ...]:
    seen = _observe(case, clause)
    registers = registers_of(case)
    places = frozenset(place for one in registers if one.register is not None for place in racks_of(one.register))
    gaps = {
        place: long
        for place, found in gaps_of(places, seen.held, case.period).items()
        if (long := [gap for gap in found if gap.duration_s > clause.unseen_s_max * (1 + 1e-9)])
    }
    said_why = _said_why(seen.segments)
    bare = {place: left for place, found in gaps.items() if (left := _left(found, said_why.get(place, ()), clause))}
    said = Said(
        invalid=[fault for one in seen.segments for fault in one.faults],
        unseen=tuple(_unseen(case, seen, places, bare)),
        doubts=(*_doubts(case, clause, seen), *_explained(gaps, bare)),
        kept=_kept(case, seen, places),
    )
    return assess(
        case,
        said,
        With(
            assumptions=(
                "the camera is the one that was enrolled, and its key has not left its watcher",
                "no picture is made up as fast as the camera is",
            )
            if seen.segments
            else (),
            evidence_ids=(
                *(one.digest for one in seen.segments),
                *(one.digest for one in registers if one.register is not None),
            )
            if seen.segments
            else (),
            exhibits=(_exhibit(seen.segments),) if seen.segments else (),
            not_checked=("what happens behind a door that is closed, or where no camera looks",),
            unheard=spoken_of(case).unheard(CameraWatched),
        ),
    )


def _kept(case: Case, seen: _Seen, places: frozenset[Place]) -> tuple[str, ...]:
    cameras = len(spoken_of(case).cameras)
    return (f"all {len(places)} racks were in sight of {cameras} cameras, through {len(seen.segments)} segments",)


def held_in_sight(case: Case, clause: WatchedPlaces, period: Period) -> dict[Place, list[Period]]:
    """When each rack was in sight, short stretches that are let pass included, and nothing was done to it."""
    seen = _observe(case, clause)
    touched: dict[Place, list[Period]] = defaultdict(list)
    for one in seen.segments:
        if one.usable and one.written is not None:
            for event in one.written.events:
                time = one.time_of(event)
                if event.event in DONE_THERE and time is not None:
                    for rack in event.places or one.said.places:
                        touched[one.site, rack].append(time)
    found = {}
    for place, periods in seen.held.items():
        short = [gap for gap in uncovered(periods, period) if gap.duration_s <= clause.unseen_s_max]
        found[place] = uncovered([*uncovered([*periods, *short], period), *touched.get(place, ())], period)
    return found


def _observe(case: Case, clause: WatchedPlaces) -> _Seen:
    """Steps 1 and 2, once for all clauses of a review that ask for it."""
    key = f"custody.seen {clause.challenged_every_s} {clause.enrolments}"
    found = case.shared.get(key)
    if isinstance(found, _Seen):
        return found
    spoken = spoken_of(case)
    site_of = {pod.id: site.id for site in case.declaration.sites for one in site.clusters for pod in one.pods}
    sites = {one.id: sorted({site_of[pod] for pod in one.pods}) for one in spoken.cameras}
    judged = judged_again(case, clause.enrolments)
    by_camera: dict[str, list[_Segment]] = defaultdict(list)
    for statement in spoken.of(CameraWatched):
        one = _segment(statement, judged[statement.digest], sites)
        by_camera[one.said.reporter].append(replace(one, asked_every_s=clause.challenged_every_s))
    segments = tuple(one for _, mine in sorted(by_camera.items()) for one in _chained(mine))
    held: dict[Place, list[Period]] = defaultdict(list)
    for one in segments:
        for place in one.said.places:
            held[one.site, place] += one.seen(place)
    made = _Seen(segments=segments, held=dict(held))
    case.shared[key] = made
    return made


def _segment(statement: VerifiedStatement, again: Again, sites: dict[str, list[str]]) -> _Segment:
    said = statement.predicate
    assert isinstance(said, CameraWatched)
    own = sites[said.reporter]
    faults = [] if len(own) == 1 else [f"{said.reporter}: its pods are of {len(own)} sites"]
    if again.unreadable is not None:
        faults.append(f"{said.reporter}: segment {said.sequence}: {again.unreadable}")
    return _Segment(digest=statement.digest, said=said, site=own[0], again=again, faults=tuple(faults))


def _chained(segments: Sequence[_Segment]) -> list[_Segment]:
    """Segments of one camera in order, with what is wrong with their chain."""
    ordered = sorted(segments, key=lambda one: (one.said.sequence, one.digest))
    found = ordered[:1]
    for before, one in pairwise(ordered):
        faults = []
        if one.said.sequence == before.said.sequence:
            faults.append(f"{one.name} is there twice: the chain is forked")
        elif one.said.sequence == before.said.sequence + 1 and one.said.previous != before.digest:
            faults.append(f"{one.name} names another one before it: the chain is forged")
        if one.said.period.start < before.said.period.end:
            faults.append(f"{one.name} begins before the one before it ended")
        if before.said.final:
            faults.append(f"{one.name} comes after the last one")
        found.append(replace(one, faults=(*one.faults, *faults)))
    return found


def _said_why(segments: Sequence[_Segment]) -> dict[Place, list[Period]]:
    """By place, stretches of which a camera says by itself that it did not see, or was not live."""
    found: dict[Place, list[Period]] = defaultdict(list)
    for one in segments:
        if one.usable and (
            one.said.events or one.again.repeated or one.again.unfit or not one.live or not one.asked_enough
        ):
            for place in one.said.places:
                found[one.site, place] += uncovered(one.seen(place), one.said.period)
    return found


def _left(gaps: Sequence[Period], said: Sequence[Period], clause: WatchedPlaces) -> list[Period]:
    """What of gaps no camera explains."""
    return [part for gap in gaps for part in uncovered(said, gap) if part.duration_s > clause.unseen_s_max]


def _unseen(case: Case, seen: _Seen, places: frozenset[Place], bare: dict[Place, list[Period]]) -> Iterator[str]:
    if not seen.segments:
        yield "no camera that counts reported"
        return
    if not places:
        yield "no register that can be read says which racks there are"
    if bare:
        worst = max(bare, key=lambda place: (math.fsum(gap.duration_s for gap in bare[place]), place))
        yield (
            f"{len(bare)} of {len(places)} racks were not in sight all the time: {names_of(bare)}; {worst[1]} not at"
            f" {spans_text(bare[worst])} UTC"
        )


def _explained(gaps: dict[Place, list[Period]], bare: dict[Place, list[Period]]) -> Iterator[str]:
    only = sorted(set(gaps) - set(bare))
    if only:
        yield f"{names_of(only)}: not in sight at {spans_text(gaps[only[0]])} UTC, by the camera's own word; next: look, and count"


def _doubts(case: Case, clause: WatchedPlaces, seen: _Seen) -> Iterator[str]:
    for one in seen.segments:
        if not one.said.period.overlaps(case.period):
            continue
        at = f"{one.said.period.start:%Y-%m-%d %H:%M:%S} UTC"
        if one.said.events:
            told = ", ".join(f"{event.value} {count}" for event, count in sorted(one.said.events.items()))
            yield f"{one.name} of {at}: {told}; next: ask who stood there, and count"
        if one.again.repeated:
            yield f"{one.name} of {at}: shown before, by the lamps of devices: {spans_text(one.again.repeated)} UTC"
        for why in one.again.unfit:
            yield f"{one.name} of {at}: {why}"
        if one.unanswered:
            asked = max(one.asked, one.said.challenges)
            yield f"{one.name} of {at}: {one.unanswered} of {asked} challenges were not answered"
        elif not one.asked_enough:
            every = f"{clause.challenged_every_s:g} s"
            yield f"{one.name} of {at}: was asked {one.asked} challenges, where one in {every} is agreed"


def _exhibit(segments: Sequence[_Segment]) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.said.reporter,
            float(one.said.sequence),
            f"{one.said.period.start:%Y-%m-%d %H:%M:%S}",
            float(one.said.frames),
            one.said.unseen_s,
            ", ".join(sorted(event.value for event in one.said.events)),
            float(one.asked),
            float(one.answered),
        )
        for one in segments
    ]
    return Exhibit(
        id="camera-segments",
        title="What cameras reported, segment by segment",
        kind=ExhibitKind.TABLE,
        columns=("camera", "segment", "from", "frames", "unseen_s", "events", "challenges", "answered"),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
