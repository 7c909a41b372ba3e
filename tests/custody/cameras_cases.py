"""A rendered camera, enrolled once, its video as files; and segments that were written by hand, signed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.drawing.sources import Promise
from inspectorate.errors import EvidenceError
from inspectorate.evidence import (
    Origin,
    RandomnessPromised,
    VerifiedStatement,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.evidence.custody import CameraWatched
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.custody.cameras.challenge import LampPlan, Patterns
from inspectorate.mechanisms.custody.cameras.enrol import enrol
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, Known, ready
from inspectorate.mechanisms.custody.cameras.reference import RING
from inspectorate.mechanisms.custody.cameras.written import EventLine, FramesLine, Head, UnseenLine, Written, write
from inspectorate.quantities import Period
from inspectorate.worlds.rack_room import TRAINING, Picture, Room, build_room
from inspectorate.worlds.rack_tampers import Film, Tamper
from inspectorate.worlds.rack_trials import regions_of, through
from inspectorate.worlds.rack_video import Scene, times

RATE = 4.0
START = datetime(2026, 11, 1, 10, tzinfo=UTC)
CAMERA = "cam-1"
CAMERA_KEY, INSPECTOR_KEY = SigningKey(b"\x31" * 32), SigningKey(b"\x32" * 32)
PLACES = ("rack-1", "rack-2", "rack-3")


def enrolment_pictures(room: Room, rate: float = RATE) -> list[tuple[float, Picture]]:
    """Half a minute with lamps on, and half with lamps off."""
    found = []
    for begins, hour in ((0.0, 10.0), (32.0, 22.0)):
        scene = Scene(room=room, seed=round(hour), start_hour=hour, people=False)
        found += [(begins + t, scene.picture(t)) for t in times(32, rate)]
    return found


@cache
def room() -> Room:
    return build_room(TRAINING, 1)


@cache
def enrolled() -> Enrolment:
    return enrol(through(enrolment_pictures(room())), regions_of(room()), rate=RATE, origin=Origin.SIMULATED)


@cache
def known() -> Known:
    return ready(enrolled(), RING)


def film(
    seconds: float, tamper: Tamper | None = None, seed: int = 7, hour: float = 10.0
) -> list[tuple[float, Picture]]:
    scene = Scene(room=room(), seed=seed, start_hour=hour, people=False)
    return list(Film(scene=scene, rate=RATE, tamper=tamper).frames(seconds))


# --- statements --------------------------------------------------------------------------------------------------------


@cache
def anchors(holder: Holder = Holder.JOINT) -> TrustAnchors:
    def one(name: str, key: SigningKey, role: Role, held: Holder) -> TrustAnchor:
        return TrustAnchor(
            name=name, public_key=base64.b64encode(key.public.raw).decode(), holder=held, roles=(role,),
            sensors=(CAMERA,) if role is Role.SENSOR else (), valid_from=START - timedelta(days=1),
            valid_until=START + timedelta(days=99),
        )  # fmt: skip

    return TrustAnchors(
        anchors=(
            one("camera-key", CAMERA_KEY, Role.SENSOR, holder),
            one("ada", INSPECTOR_KEY, Role.INSPECTOR, Holder.VERIFIER),
        )
    )


class Site:
    """Segments of one camera, and payloads under their digests."""

    def __init__(self, holder: Holder = Holder.JOINT) -> None:
        self.holder = holder
        self.payloads: dict[str, bytes] = {}
        self.segments: list[VerifiedStatement] = []

    def payload(self, digest: str) -> bytes:
        if digest not in self.payloads:
            raise EvidenceError("is not there", where=digest)
        return self.payloads[digest]

    def segment(self, written: Written, payload: bytes | None = None, **changes: object) -> VerifiedStatement:
        """Sign a segment after the last one; `changes` are to what its statement says."""
        data = write(written) if payload is None else payload
        said = {
            "origin": Origin.SIMULATED, "reporter": CAMERA, "period": Period(start=written.head.start, end=written.head.end),
            "places": PLACES, "sequence": len(self.segments), "previous": self.segments[-1].digest if self.segments else None,
            "final": False, "video": digest_of(b"video"), "frames": written.frame_count, "unseen_s": written.unseen_s(),
            "events": written.event_counts(), "challenges": 0, "answered": 0, **changes,
        }  # fmt: skip
        made = make_statement(CameraWatched.model_validate(said), {"watch": digest_of(data)})
        one = verify_envelope(sign_statement(made, CAMERA_KEY), anchors=anchors(self.holder), where="test")
        self.payloads[digest_of(data)] = data
        self.segments.append(one)
        return one

    def promise(self, made: Promise[LampPlan], at: datetime, *, reveal: bool) -> VerifiedStatement:
        said = RandomnessPromised(origin=Origin.SIMULATED, by="ada", reporter=CAMERA, promised_at=at)
        statement = make_statement(said, {"secret": made.digest})
        if reveal:
            self.payloads[made.digest] = made.canonical_bytes()
        return verify_envelope(sign_statement(statement, INSPECTOR_KEY), anchors=anchors(self.holder), where="test")


def random_bits(seed: int, frames: int, change: float = 0.25) -> list[int]:
    """Lamps that change at random."""
    rng = np.random.default_rng(seed)
    state = rng.random(64) < 0.5
    found = []
    for _ in range(frames):
        state ^= rng.random(64) < change
        found.append(int("".join("1" if on else "0" for on in state), 2))
    return found


ALL_SEEN = (1 << 64) - 1


def written(
    start: datetime,
    bits: Sequence[int],
    *,
    unseen: Sequence[UnseenLine] = (),
    events: Sequence[EventLine] = (),
    patterns: Patterns | None = None,
    delay_s: float = 0.1,
) -> Written:
    """A segment with a frame every 250 ms, and the lamp lit as the patterns say, after a delay."""
    lines = []
    for first in range(0, len(bits), 40):
        part = bits[first : first + 40]
        at_ms = tuple(250 * (first + n) for n in range(len(part)))
        lamp: tuple[tuple[float, ...], ...] = ()
        if patterns is not None:
            lit = [patterns.lit(start + timedelta(milliseconds=ms) - timedelta(seconds=delay_s)) for ms in at_ms]
            lamp = tuple((200.0, 0.2, 0.2, 0.1, 0.1) if on else (40.0, 0.0, 0.0, 0.0, 0.0) for on in lit)
        lines.append(
            FramesLine(
                at_ms=at_ms,
                bits="".join(f"{one:016x}" for one in part),
                visible=f"{ALL_SEEN:016x}" * len(part),
                lamp=lamp,
            )
        )
    head = Head(
        camera=CAMERA,
        enrolment=enrolled().digest,
        rate=RATE,
        start=start,
        end=start + timedelta(seconds=len(bits) / RATE),
    )
    return Written(head=head, frames=tuple(lines), unseen=tuple(unseen), events=tuple(events))


def write_key(path: Path) -> None:
    CAMERA_KEY.write(path)
