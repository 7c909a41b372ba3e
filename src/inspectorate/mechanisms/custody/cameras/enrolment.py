"""What was enrolled of a camera: reference pictures, thresholds, lamps, and how often honest video raised an alarm afterwards.

One JSON file, in its canonical form, named everywhere by its digest.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from inspectorate.canonical import Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.predicate import Origin
from inspectorate.files import read_bounded
from inspectorate.mechanisms.custody.cameras.reference import (
    COLUMNS,
    ENROLMENT_BYTES_MAX,
    HEIGHT,
    RATE_MAX,
    RATE_MIN,
    ROWS,
    SPOTS_MAX,
    STATES_MAX,
    STILL_BYTES_MAX,
    WIDTH,
)
from inspectorate.mechanisms.custody.cameras.regions import Region, RegionKind, Regions
from inspectorate.mechanisms.custody.cameras.sight import Reference
from inspectorate.mechanisms.custody.cameras.source import Grey
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.quantities import NonNegative, Positive

CellsText = Annotated[str, Field(max_length=4 * ROWS * COLUMNS)]
"""Base64 of one byte for each cell, row by row."""
EDGES_STEP = 4.0
MOTION_STEP = 0.25
"""Grey levels of one step of `motion_max`."""


Grade = Annotated[float, Field(ge=-255, le=255, allow_inf_nan=False)]


class LightState(Record):
    """One state of the lights."""

    picture: Annotated[str, Field(max_length=STILL_BYTES_MAX)] = Field(description="PNG, base64: the median picture")
    agree_min: CellsText = Field(
        description="below these the cell shows something else: (1 + correlation) / 2 x 255; 0: never"
    )
    edges_max: CellsText = Field(description=f"above these a cell has gained an edge, in steps of {EDGES_STEP}")
    motion_max: CellsText = Field(description=f"above these something moves, in steps of {MOTION_STEP} grey levels")
    sharp_min: NonNegative
    swings: Annotated[tuple[tuple[Grade, Grade], ...], Field(max_length=SPOTS_MAX)] = Field(
        description="low and high of each lamp, in grey levels above its surroundings"
    )
    seen_s: NonNegative = Field(description="how long it was enrolled")


class Checked(Record):
    """Honest video that was watched with these thresholds, and had no part in them."""

    seconds: NonNegative
    alarms: Annotated[int, Field(ge=0, le=10**6)]
    alarms_per_day_max: NonNegative | None = Field(
        default=None,
        description="upper bound at 95 % confidence, alarms taken as independent; none: nothing was watched",
    )


class Enrolment(Record):
    """A camera as it was enrolled."""

    version: Literal[1] = 1
    origin: Origin
    regions: Regions
    rate: Annotated[float, Field(ge=RATE_MIN, le=RATE_MAX)] = Field(description="frames per second that are looked at")
    states: Annotated[tuple[LightState, ...], Field(min_length=1, max_length=STATES_MAX)]
    mean_min: NonNegative = Field(description="below it is dark")
    shift_max: Positive
    spots: Annotated[
        tuple[tuple[Annotated[int, Field(ge=0, lt=WIDTH)], Annotated[int, Field(ge=0, lt=HEIGHT)]], ...],
        Field(max_length=SPOTS_MAX),
    ] = Field(default=(), description="lamps of devices that blink, and not by a clock")
    lively_min: NonNegative
    same_s_max: NonNegative = Field(description="the longest run of equal frames")
    match_deviations: Positive = Field(description="of chance, above which a stretch of lamps is a repetition")
    lamp_latency_s: NonNegative | None = Field(
        default=None, description="from the verifier's lamp to the picture's time stamp; none: not measured"
    )
    checked: Checked

    @model_validator(mode="after")
    def _decodes(self) -> Self:
        if any(len(state.swings) != len(self.spots) for state in self.states):
            raise ValueError("each lamp has one swing in each state")
        for state in self.states:
            try:
                cells_of(state.agree_min)
                cells_of(state.edges_max)
                cells_of(state.motion_max)
                _png_size(base64.b64decode(state.picture, validate=True))
            except (ValueError, binascii.Error) as fault:
                raise ValueError(f"a state of the lights: {fault}") from None
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


@dataclass(frozen=True, kw_only=True)
class Known:
    """An enrolment, ready to be held against frames."""

    enrolment: Enrolment
    references: tuple[Reference, ...]
    agree_min: tuple[NDArray[np.float32], ...]
    edges_max: NDArray[np.float32]
    """Over all states: which lights are on does not make edges."""
    motion_max: tuple[NDArray[np.float32], ...]
    points: NDArray[np.int64]
    swings: tuple[NDArray[np.float32], ...]
    """Of each state."""
    places: dict[str, NDArray[np.bool_]]
    """Of each place, the cells that are it."""
    watched: tuple[tuple[Region, NDArray[np.bool_], NDArray[np.bool_]], ...]
    """Doors and cablings: their cells, and the ring around them; for a door, all other cells of its place, too."""


def ready(enrolment: Enrolment, ring: int) -> Known:
    """Raises `EvidenceError` where a picture cannot be read."""
    agree, edges, motion, references = [], [], [], []
    for state in enrolment.states:
        steps = cells_of(state.agree_min).astype(np.float32)
        agree.append(np.where(steps > 0, steps / 255 * 2 - 1, np.float32(-2)).astype(np.float32))
        edges.append(cells_of(state.edges_max).astype(np.float32) * np.float32(EDGES_STEP))
        motion.append(cells_of(state.motion_max).astype(np.float32) * np.float32(MOTION_STEP))
        references.append(Reference.of(_picture(state.picture)))
    parts = [one for one in enrolment.regions.regions if one.kind is not RegionKind.LAMP]
    places = {
        name: np.logical_or.reduce([one.cells() for one in parts if one.place == name])
        for name in enrolment.regions.places
    }
    kernel = np.ones((2 * ring + 1, 2 * ring + 1), np.uint8)
    watched = []
    for one in parts:
        if one.kind in (RegionKind.DOOR, RegionKind.CABLING):
            cells = one.cells()
            grown = opencv().dilate(cells.astype(np.uint8), kernel).astype(bool)
            around = grown | places[one.place] if one.kind is RegionKind.DOOR else grown
            watched.append((one, cells, around & ~cells))
    return Known(
        enrolment=enrolment, references=tuple(references), agree_min=tuple(agree), edges_max=np.max(edges, axis=0),
        motion_max=tuple(motion), points=np.array(enrolment.spots, np.int64).reshape(-1, 2),
        swings=tuple(np.array(one.swings, np.float32).reshape(-1, 2) for one in enrolment.states), places=places,
        watched=tuple(watched),
    )  # fmt: skip


def cells_text(values: NDArray[np.float32]) -> str:
    """One byte for each cell, clipped to 0 to 255."""
    return base64.b64encode(np.clip(np.rint(values), 0, 255).astype(np.uint8).tobytes()).decode()


def cells_of(text: str) -> NDArray[np.uint8]:
    data = base64.b64decode(text, validate=True)
    if len(data) != ROWS * COLUMNS:
        raise ValueError(f"{len(data)} cells, not {ROWS * COLUMNS}")
    return np.frombuffer(data, np.uint8).reshape(ROWS, COLUMNS)


def picture_text(grey: Grey) -> str:
    made, data = opencv().imencode(".png", grey)
    assert made
    return base64.b64encode(data.tobytes()).decode()


def _png_size(data: bytes) -> None:
    """The header of a PNG says the working size: nothing larger is ever decoded."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33 or data[12:16] != b"IHDR":
        raise ValueError("the picture is no PNG")
    if struct.unpack(">IIBB", data[16:26]) != (WIDTH, HEIGHT, 8, 0):
        raise ValueError(f"the picture is not {WIDTH} x {HEIGHT} in grey")


def _picture(text: str) -> Grey:
    cv2 = opencv()
    found = cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_GRAYSCALE)
    if found is None or found.shape != (HEIGHT, WIDTH):
        raise EvidenceError("a reference picture cannot be read", where="enrolment", remedy="enrol again")
    return np.ascontiguousarray(found)


def read_enrolment(path: Path) -> Enrolment:
    """Raises `InputError`."""
    return parse_enrolment(read_bounded(path, ENROLMENT_BYTES_MAX), where=str(path))


def parse_enrolment(data: bytes, *, where: str) -> Enrolment:
    """An enrolment in its one byte form. Raises `InputError`."""
    if len(data) > ENROLMENT_BYTES_MAX:
        raise InputError(f"is larger than {ENROLMENT_BYTES_MAX} bytes", where=where)
    try:
        value = parse_canonical(data, where=where)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=where, remedy="enrol again, and keep the file as it is") from None
    return Enrolment.parse(value, where=where, error=InputError)
