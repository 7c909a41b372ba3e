"""Round trips as they are stated: the subject `round-trips` of a `RoundTripsMeasured`.

Every question is listed, answered or not: a landmark that keeps silent about lost ones could hide that nobody answered. Where
landmarks stand, and which key the device has, is not in it: both come from the reviewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Hex, Identifier, Record, parse_canonical, parse_json
from inspectorate.declaration import Position
from inspectorate.errors import EvidenceError, InputError
from inspectorate.keys import LandmarkAnchor, read_yaml
from inspectorate.mechanisms.custody.location.reference import (
    LANDMARKS_BYTES_MAX,
    LANDMARKS_MAX,
    PINGS_MAX,
    PINGS_OF_ALL_MAX,
    RECORD_BYTES_MAX,
    ROUND_TRIP_MAX_NS,
)
from inspectorate.mechanisms.custody.location.region import Landmark

WallText = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,18}$")]
"""Nanoseconds since 1970, as text: a JSON number holds no so many digits."""


class Ping(Record):
    """One question, and its answer."""

    nonce: Hex
    sent_ns: WallText = Field(description="when it was sent, by the landmark's wall clock")
    received_ns: WallText | None = None
    round_trip_ns: Annotated[int, Field(ge=0, le=ROUND_TRIP_MAX_NS)] | None = Field(
        default=None, description="by the landmark's steady clock"
    )
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = (self.received_ns is None, self.round_trip_ns is None, self.signature is None)
        if any(given) != all(given):
            raise ValueError("an answer has a time, a round trip and a signature")
        return self

    @property
    def answered(self) -> bool:
        return self.signature is not None


class OfLandmark(Record):
    """What one landmark asked."""

    landmark: Identifier
    pings: Annotated[tuple[Ping, ...], Field(min_length=1, max_length=PINGS_MAX)]


class RoundTrips(Record):
    """What several landmarks asked of one device."""

    format: Literal["inspectorate/round-trips/v1"] = "inspectorate/round-trips/v1"
    device: Identifier
    landmarks: Annotated[tuple[OfLandmark, ...], Field(min_length=1, max_length=LANDMARKS_MAX)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        names = [one.landmark for one in self.landmarks]
        if names != sorted(set(names)):
            raise ValueError("landmarks must be sorted and distinct")
        if sum(len(one.pings) for one in self.landmarks) > PINGS_OF_ALL_MAX:
            raise ValueError(f"more than {PINGS_OF_ALL_MAX} round trips")
        return self


def parse_round_trips(data: bytes, *, where: str) -> RoundTrips:
    """The record in its one byte form. Raises `EvidenceError`."""
    if len(data) > RECORD_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {RECORD_BYTES_MAX}", where=where)
    return RoundTrips.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def read_round_trips(data: bytes, *, where: str) -> RoundTrips:
    """The record of one landmark's file, in any form of JSON. Raises `EvidenceError`."""
    if len(data) > RECORD_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {RECORD_BYTES_MAX}", where=where)
    return RoundTrips.parse(parse_json(data, where=where), where=where, error=EvidenceError)


def together(records: Sequence[RoundTrips]) -> RoundTrips:
    """Files of several landmarks as one. Raises `InputError` where they are of different devices."""
    if len({one.device for one in records}) != 1:
        raise InputError("the files are of different devices", where="round trips")
    pings: dict[str, list[Ping]] = {}
    for record in records:
        for one in record.landmarks:
            pings.setdefault(one.landmark, []).extend(one.pings)
    value = {
        "device": records[0].device,
        "landmarks": [{"landmark": name, "pings": tuple(mine)} for name, mine in sorted(pings.items())],
    }
    return RoundTrips.parse(value, where="round trips", error=InputError)


class Landmarks(Record):
    """The reviewer's file of landmarks: the same that trust anchors hold under this name."""

    landmarks: Annotated[tuple[LandmarkAnchor, ...], Field(min_length=1, max_length=LANDMARKS_MAX)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.landmarks]
        if len(set(names)) != len(names):
            raise ValueError("one name is given to two landmarks")
        return self


def read_landmarks(path: Path) -> dict[str, Landmark]:
    """Landmarks by name, from YAML. Raises `InputError`."""
    value = read_yaml(path, bytes_max=LANDMARKS_BYTES_MAX)
    return landmarks_of(Landmarks.parse(value, where=str(path), error=InputError).landmarks)


def landmarks_of(anchors: Iterable[LandmarkAnchor]) -> dict[str, Landmark]:
    """Landmarks of the reviewer's trust anchors, by name."""
    return {
        one.name: Landmark(
            id=one.name, position=Position(latitude_deg=one.latitude_deg, longitude_deg=one.longitude_deg),
            position_error_m=one.position_error_m,
        )
        for one in anchors
    }  # fmt: skip
