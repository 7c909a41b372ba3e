"""From frames to events: a condition that lasts becomes an event, and ends when it has been gone for a while.

    dark        below the darkest enrolled mean, and the reference cannot be seen
    covered     the reference cannot be seen, and there is little else; or half of it is gone and nothing moves there
    moved       quarters of the picture are displaced; or the reference is gone, and another still picture is there
    defocused   coarse structure is there, fine structure is not
    frozen      lamps of devices stopped, or not one pixel changes
    replayed    the lamps of the last seconds are those of an earlier time
    door, cabling   the same cells of the region differ from the reference all the time, those around it do not, nothing moves there
    gap         no frame came

Where the reference is out of sight nothing is said of doors, cabling, lamps: the places are unseen, and the time counts as such. A
person who stands before a rack makes it unseen, and is no event.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.evidence.custody import CameraEvent
from inspectorate.mechanisms.custody.cameras.enrolment import Known
from inspectorate.mechanisms.custody.cameras.reference import (
    CABLING_CELLS_MIN,
    CABLING_SHARE,
    CELL_TEXTURE,
    COARSE_LOST,
    COLUMNS,
    CONFINED_PLACE_SHARE,
    CONFINED_SHARE,
    CRISP_LOST,
    DOOR_SHARE,
    GAP_S,
    HOLD_S,
    LOST_S,
    MATCH_SPANS_S,
    MATCH_TWICE,
    MOVING_EDGES_MAX,
    MOVING_SHARE,
    OCCLUDED_SHARE,
    RING_LESS,
    ROWS,
    SEEN_LOST,
    SEEN_PARTLY,
    SETTLED_S,
    SMOOTH_S,
    STANDS_S,
    STEADY_S,
    STEADY_SHARE,
    STILL_SHARE,
    STRUCTURE_LOST,
)
from inspectorate.mechanisms.custody.cameras.regions import RegionKind
from inspectorate.mechanisms.custody.cameras.sight import Look
from inspectorate.mechanisms.custody.cameras.spots import Match, Repeats, SpotReading
from inspectorate.mechanisms.custody.opencv import opencv

STEP_S_MAX = 1.0
"""A frame stands for at most so long: what lies between frames is a gap."""
FORGET = 2.0
"""A condition is forgotten twice as fast as it is believed."""


@dataclass(kw_only=True)
class Event:
    """Something happened, as the watcher saw it."""

    kind: CameraEvent
    places: tuple[str, ...]
    """None: all of them."""
    from_s: float
    """When the condition began."""
    noticed_s: float
    to_s: float | None = None
    """When it ended; none: it lasts."""
    score: float = 0.0
    threshold: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one frame came to."""

    began: tuple[Event, ...]
    ended: tuple[Event, ...]
    unseen: tuple[str, ...]
    """Places that this frame does not show."""
    share: float
    """Of the cells that can be told, how many show the reference."""


@dataclass(kw_only=True)
class _Condition:
    kind: CameraEvent
    hold_s: float
    places: tuple[str, ...] = ()
    level_s: float = 0.0
    since_s: float = 0.0
    event: Event | None = None

    @property
    def suspected(self) -> bool:
        return self.event is not None or self.level_s >= self.hold_s / 2

    def step(self, holds: bool, dt: float, now_s: float, why: tuple[float, float]) -> tuple[Event | None, Event | None]:
        """What began and what ended."""
        if holds:
            if self.level_s == 0:
                self.since_s = now_s - dt
            self.level_s = min(self.hold_s * 1.5, self.level_s + dt)
        else:
            self.level_s = max(0.0, self.level_s - FORGET * dt)
        if self.event is None and self.level_s >= self.hold_s:
            self.event = Event(
                kind=self.kind, places=self.places, from_s=self.since_s, noticed_s=now_s, score=why[0], threshold=why[1]
            )  # fmt: skip
            return self.event, None
        if self.event is not None and self.level_s == 0:
            ended, self.event = self.event, None
            ended.to_s = now_s
            return None, ended
        return None, None


@dataclass(kw_only=True)
class _Stillness:
    """When something last moved in each watched region: a share of its cells, over the last half second."""

    share: dict[int, float] = field(default_factory=dict)
    moved_s: dict[int, float] = field(default_factory=dict)

    def lasts_s(self, number: int, moving: float, dt: float, now_s: float) -> float:
        """For how long nothing has moved there."""
        kept = math.exp(-dt / SMOOTH_S)
        self.share[number] = share = kept * self.share.get(number, 0.0) + (1 - kept) * moving
        if share > MOVING_SHARE:
            self.moved_s[number] = now_s
        return now_s - self.moved_s.get(number, -SETTLED_S)


class Decider:
    """The events of one camera."""

    def __init__(self, known: Known) -> None:
        self._known = known
        enrolment = known.enrolment
        kinds = {
            "dark": CameraEvent.DARK, "covered": CameraEvent.COVERED, "partly": CameraEvent.COVERED,
            "defocused": CameraEvent.DEFOCUSED, "moved": CameraEvent.MOVED,
        }  # fmt: skip
        self._whole = {name: _Condition(kind=kind, hold_s=HOLD_S[name]) for name, kind in kinds.items()}
        self._frozen = _Condition(kind=CameraEvent.FROZEN, hold_s=0.5)
        self._replayed = _Condition(kind=CameraEvent.REPLAYED, hold_s=0.01)
        self._parts = [
            _Condition(
                kind=CameraEvent.DOOR if one.kind is RegionKind.DOOR else CameraEvent.CABLING,
                hold_s=HOLD_S[one.kind.value], places=(one.place,),
            )
            for one, _, _ in known.watched
        ]  # fmt: skip
        self._repeats = [Repeats(deviations=enrolment.match_deviations) for _ in MATCH_SPANS_S]
        self._inside = _rows([cells for _, cells, _ in known.watched])
        self._ring = _rows([ring for _, _, ring in known.watched])
        self._near = _rows([_grown(cells) for _, cells, _ in known.watched])
        self._watched = self._inside.any(axis=0).reshape(ROWS, COLUMNS)
        self._sizes = [(max(1, int(cells.sum())), max(1, int(ring.sum()))) for _, cells, ring in known.watched]
        doors = np.array([region.kind is RegionKind.DOOR for region, _, _ in known.watched], bool)
        self._alike = doors[:, None] == doors
        places = np.array([region.place for region, _, _ in known.watched])
        self._one_place = places[:, None] == places
        self._limits = np.where(doors, np.float32(DOOR_SHARE), np.float32(CABLING_SHARE))
        self._of = np.array([of for of, _ in self._sizes], np.float32)
        self._places = _rows(list(known.places.values()))
        self._steady: NDArray[np.float32] = np.zeros(ROWS * COLUMNS, np.float32)
        self._still = _Stillness()
        self._last_s: float | None = None
        self._same_s = self._step_s = self._lost_s = 0.0
        self._shift: float | None = None
        self._matched_s = -1e9

    @property
    def open(self) -> list[Event]:
        """Events that last."""
        every = [*self._whole.values(), self._frozen, self._replayed, *self._parts]
        return [one.event for one in every if one.event is not None]

    def decide(self, look: Look, reading: SpotReading, matches: tuple[Match | None, ...]) -> Seen:
        """The next frame. `matches`: what a search of the history found, by lengths; empty: it was not searched at this frame."""
        began: list[Event] = []
        ended: list[Event] = []
        now = look.time_s
        dt = 0.0 if self._last_s is None else now - self._last_s
        if dt > GAP_S:
            assert self._last_s is not None
            gap = Event(
                kind=CameraEvent.GAP, places=(), from_s=self._last_s, noticed_s=now, to_s=now, score=dt, threshold=GAP_S
            )
            began.append(gap)
            ended.append(gap)
        self._last_s = now
        self._step_s = dt = min(dt, STEP_S_MAX)
        changed, reliable = told_cells(self._known, look)
        count = int(reliable.sum())
        share = 1 - int((changed & reliable).sum()) / count if count else 0.0
        moving = moving_cells(self._known, look)
        kept = np.float32(math.exp(-dt / STEADY_S))
        self._steady = (kept * self._steady + (1 - kept) * changed.ravel()).astype(np.float32)
        whole = self._at_the_camera(look, share, float(moving.mean()), look.projected.sharp(~(changed & self._watched)))
        self._settle([self._whole[name] for name, (holds, _) in whole.items() if holds], float(moving.mean()), dt)
        steps = [(self._whole[name], holds, why) for name, (holds, why) in whole.items()]
        lost = any(holds for holds, _ in whole.values()) or any(one.suspected for one in self._whole.values())
        steps.append((self._frozen, *self._stopped(look, reading, dt, lost)))
        steps.append((self._replayed, *self._repeated(matches, now, lost)))
        unseen = self._around(look, changed, reliable, moving, lost, steps)
        for condition, holds, why in steps:
            new, gone = condition.step(holds, dt, now, why)
            began += [new] if new else []
            ended += [gone] if gone else []
        nothing = lost or self._frozen.suspected or self._replayed.suspected
        places = tuple(self._known.places)
        return Seen(began=tuple(began), ended=tuple(ended), unseen=places if nothing else unseen, share=share)

    def _at_the_camera(
        self, look: Look, share: float, moving: float, sharp: float
    ) -> dict[str, tuple[bool, tuple[float, float]]]:
        """What befell the camera as a whole: whether it holds now, and the score with its threshold."""
        enrolment = self._known.enrolment
        if look.shift is not None:
            self._shift = look.shift
        shift = self._shift if self._shift is not None else 0.0
        still = moving < STILL_SHARE
        sharp_min = enrolment.states[look.state].sharp_min
        dark = look.mean < enrolment.mean_min and share < SEEN_PARTLY
        gone = not dark and share < SEEN_LOST and look.coarse < COARSE_LOST
        soft = sharp < sharp_min and look.crisp < CRISP_LOST
        displaced = not dark and not soft and shift >= enrolment.shift_max and look.structure >= STRUCTURE_LOST
        empty = look.structure < STRUCTURE_LOST
        blurred = not dark and not displaced and look.coarse >= COARSE_LOST and sharp < sharp_min
        partly = not dark and not displaced and not blurred and share < SEEN_PARTLY and still
        return {
            "dark": (dark, (look.mean, enrolment.mean_min)),
            "covered": (gone and empty, (share, SEEN_LOST)),
            "partly": (partly, (share, SEEN_PARTLY)),
            "moved": (displaced or (gone and not empty and still), (shift, enrolment.shift_max)),
            "defocused": (blurred, (sharp, sharp_min)),
        }

    def _settle(self, holding: list[_Condition], moving: float, dt: float) -> None:
        """What lies between two conditions, blurred and displaced by turns, is the one that held longer, and no less an event."""
        lasts = bool(holding) and moving < STILL_SHARE
        self._lost_s = self._lost_s + dt if lasts else max(0.0, self._lost_s - FORGET * dt)
        if lasts and self._lost_s >= LOST_S and all(one.event is None for one in self._whole.values()):
            most = max(holding, key=lambda one: one.level_s)
            most.level_s = max(most.level_s, most.hold_s)

    def _stopped(self, look: Look, reading: SpotReading, dt: float, lost: bool) -> tuple[bool, tuple[float, float]]:
        enrolment = self._known.enrolment
        self._same_s = self._same_s + dt if look.same else 0.0
        if self._same_s > enrolment.same_s_max:
            return True, (self._same_s, enrolment.same_s_max)
        lively = reading.lively
        return not lost and lively is not None and lively < enrolment.lively_min, (lively or 0.0, enrolment.lively_min)

    def _repeated(self, matches: tuple[Match | None, ...], now: float, lost: bool) -> tuple[bool, tuple[float, float]]:
        found = [repeats.judge(match, now) for repeats, match in zip(self._repeats, matches, strict=False)]
        if any(found) and not lost:
            self._matched_s = now
        agreement = max((match.agreement for match in matches if match), default=0.0)
        return now - self._matched_s < MATCH_SPANS_S[0], (agreement, MATCH_TWICE)

    def _confined(self, changed: NDArray[np.bool_], struck: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Of each region, how many cells differ all the time in a change that does not reach beyond such regions.

        What reaches beyond them, a person who stands still before a rack, is before the region, not in it. Regions of the same
        kind that are `struck` at once count together: two neighbouring doors are as suspicious as one. So do door and cabling of
        one place, if the change keeps to them nearly altogether: a person's feet do not.
        """
        steady = self._steady > STEADY_SHARE
        if not steady.any():
            return np.zeros(len(self._inside), np.float32)
        _, labels = opencv().connectedComponents(changed.astype(np.uint8), connectivity=8)
        label = labels.ravel()
        parts = np.zeros((int(label.max()) + 1, label.size), np.float32)
        parts[label, np.arange(label.size)] = 1
        confined = np.zeros((len(struck), len(parts)), np.float32)
        for together, least in ((self._alike, CONFINED_SHARE), (self._one_place, CONFINED_PLACE_SHARE)):
            counted = (together & struck) | np.eye(len(struck), dtype=bool)
            near = (counted.astype(np.float32) @ self._near) > 0
            within = (near.astype(np.float32) @ parts.T) / parts.sum(axis=1)
            confined[within >= least] = 1
        confined[:, 0] = 0
        found: NDArray[np.float32] = (self._inside * steady * confined[:, label]).sum(axis=1)
        return found

    def _around(
        self,
        look: Look,
        changed: NDArray[np.bool_],
        reliable: NDArray[np.bool_],
        moving: NDArray[np.bool_],
        lost: bool,
        steps: list[tuple[_Condition, bool, tuple[float, float]]],
    ) -> tuple[str, ...]:
        """Doors and cablings, added to `steps`; and the places that are out of sight though the camera is well."""
        steady = self._steady > STEADY_SHARE
        lasting = self._inside @ steady.astype(np.float32)
        struck = lasting >= self._limits * self._of
        inside = self._confined(changed | steady.reshape(changed.shape), struck)
        around = self._ring @ changed.ravel().astype(np.float32)
        motion = (self._inside + self._ring) @ moving.ravel().astype(np.float32)
        for number, (region, _, _) in enumerate(self._known.watched):
            of, beside = self._sizes[number]
            still_s = self._still.lasts_s(number, float(motion[number]) / (of + beside), self._step_s, look.time_s)
            # What nobody has moved for a minute stands there, however far it reaches.
            stands = still_s >= STANDS_S
            cells = float((lasting if stands else inside)[number])
            share, near, limit = cells / of, float(around[number]) / beside, float(self._limits[number])
            least = 1 if region.kind is RegionKind.DOOR else CABLING_CELLS_MIN
            apart = stands or near <= RING_LESS * share
            begins = still_s >= SETTLED_S and share >= limit and cells >= least and apart
            # Once noticed, it lasts until the reference is back, whoever moves before it.
            holds = not lost and (begins or (self._parts[number].event is not None and share >= limit / 2))
            steps.append((self._parts[number], holds, (share, limit)))
        opened = {one.places[0] for one in self._parts if one.event is not None}
        told = self._places @ reliable.ravel().astype(np.float32)
        hidden = self._places @ (changed & reliable).ravel().astype(np.float32)
        return tuple(
            place
            for number, place in enumerate(self._known.places)
            if told[number] and hidden[number] > (1 - OCCLUDED_SHARE) * told[number] and place not in opened
        )


def _grown(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells, and those next to them."""
    found: NDArray[np.bool_] = opencv().dilate(cells.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    return found


def _rows(cells: list[NDArray[np.bool_]]) -> NDArray[np.float32]:
    """Cells of several regions, one row each."""
    return np.array([one.ravel() for one in cells], np.float32).reshape(len(cells), ROWS * COLUMNS)


def moving_cells(known: Known, look: Look) -> NDArray[np.bool_]:
    """Cells in which something moves, beyond noise, lamps, and the vibration that moves edges.

    What vibration does grows with the edges that a cell has now: where they are stronger than at enrolment, more is let pass.
    """
    edges = np.sqrt(known.references[look.state].energy) + np.float32(CELL_TEXTURE)
    more = np.clip(look.edges / edges, 1, MOVING_EDGES_MAX)
    found: NDArray[np.bool_] = look.motion > known.motion_max[look.state] * more
    return found


def told_cells(known: Known, look: Look) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells that show something else than the reference, and cells whose own structure can be told.

    A cell shows something else if its structure is not the reference's, or if it has an edge where there was none: that is told of
    flat cells, too.
    """
    least = known.agree_min[look.state]
    reliable = (least > -1) & ~look.noisy
    changed = reliable & (look.agree < least)
    changed |= look.edges > known.edges_max
    return changed, reliable
