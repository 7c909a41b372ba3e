"""What simulated groups are asked about: a site with a declaration that is true, or that covers one thing up.

Days are counted from the start of the time that is asked about. A matter has its true value and the story, which is what was
declared or, where nothing was, what it would have been without a cover-up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from inspectorate.evidence import Activity
from inspectorate.mechanisms.interviews.consistency.types import (
    YES_NO,
    Amount,
    Link,
    Said,
    SpeakerKind,
    Statement,
    Topic,
    TopicKind,
    When,
    YesNo,
)
from inspectorate.quantities import Period

ASKED_AT = datetime(2026, 7, 15, 10, tzinfo=UTC)
SPAN_DAYS = 180
START = ASKED_AT.replace(hour=0) - timedelta(days=SPAN_DAYS)
PERIOD = Period(start=START, end=ASKED_AT)
PODS = ("pod-3",)
CLAUSE = "no-hidden-training"
MEASURED_WITHIN = 0.1
"""Relative half width of what machines measure."""


class CoverUp(StrEnum):
    """What is covered up."""

    HIDDEN_RUN = "hidden run"
    MOVED_HARDWARE = "moved hardware"
    SENSOR_OFF = "sensor switched off"
    RECORDS_CHANGED = "records changed"


@dataclass(frozen=True, kw_only=True)
class Matter:
    """One topic with its truth and its story."""

    topic: Topic
    truth: float
    story: float
    main: bool = False
    """Whether it is a main question, which anybody would expect."""
    declared: bool = False
    measured: bool = False

    @property
    def covered(self) -> bool:
        return self.truth != self.story


@dataclass(frozen=True, kw_only=True)
class SiteMade:
    matters: tuple[Matter, ...]
    links: tuple[Link, ...]
    declared: tuple[Statement, ...]
    measured: tuple[Statement, ...]


_Q, _E, _A, _P = TopicKind.QUANTITY, TopicKind.EVENT, TopicKind.ACTIVITY, TopicKind.PRESENCE
_TECH, _OPS, _RES, _SEC = ("technicians",), ("operators",), ("operators", "researchers"), ("security", "technicians")

_SPECS: tuple[tuple[str, TopicKind, str, tuple[str, ...], float, float, str], ...] = (
    # id, kind, words, who would know, smallest and largest value without a cover-up, m main, d declared, s measured
    ("training-in-pod-3", _A, "a model was trained in pod 3", _RES, 0, 0, "md"),
    ("busy-nodes", _Q, "nodes of pod 3 that were busy on a usual day in March", _OPS, 6, 12, "md"),
    ("night-shifts", _Q, "night shifts with extra people in March", _SEC, 2, 4, "s"),
    ("last-large-job", _E, "the last large job on pod 3 began", _RES, 20, 60, ""),
    ("staff-called-in", _A, "people were called in at a weekend for pod 3", _OPS, 0, 0, ""),
    ("racks-hall-a", _Q, "racks in hall A in April", _TECH, 30, 40, "d"),
    ("racks-hall-b", _Q, "racks in hall B in April", _TECH, 16, 24, "md"),
    ("racks-total", _Q, "racks in both halls in April", _TECH, 0, 0, "d"),
    ("rack-7-in-hall-a", _P, "rack 7 stood in hall A at the end of April", _TECH, 0, 0, ""),
    ("rack-7-in-hall-b", _P, "rack 7 stood in hall B at the end of April", _TECH, 1, 1, "md"),
    ("lorries", _Q, "lorries that came for equipment in February", _SEC, 1, 3, "s"),
    ("hall-b-rewired", _E, "hall B was rewired", _TECH, 20, 60, ""),
    ("sensor-off", _A, "the tap of pod 3 was switched off for a time", _SEC, 0, 0, "md"),
    ("alarms", _Q, "alarms of the network watch in April", _OPS, 3, 6, "s"),
    ("sensor-visit", _E, "somebody last worked at the tap of pod 3", _SEC, 20, 60, ""),
    ("records-edited", _A, "records of jobs were edited afterwards", _RES, 0, 0, "md"),
    ("jobs-a-day", _Q, "jobs on pod 3 on a usual day", _OPS, 20, 40, "md"),
    ("records-exported", _E, "records of jobs were exported for the inspectors", _OPS, 60, 90, ""),
    ("meetings", _Q, "meetings about the records", _RES, 2, 4, "s"),
    ("audit-visit", _E, "the auditors came", _OPS, 90, 150, "d"),
)  # fmt: skip

_CHANGES: dict[CoverUp, dict[str, tuple[float, float]]] = {
    CoverUp.HIDDEN_RUN: {
        "training-in-pod-3": (1, 1),
        "busy-nodes": (6, 0),
        "night-shifts": (5, 0),
        "last-large-job": (1, 90),
        "staff-called-in": (1, 1),
    },
    CoverUp.MOVED_HARDWARE: {
        "racks-hall-b": (0.4, 0),
        "rack-7-in-hall-a": (1, 1),
        "rack-7-in-hall-b": (0, 0),
        "lorries": (6, 0),
        "hall-b-rewired": (1, 90),
    },
    CoverUp.SENSOR_OFF: {"sensor-off": (1, 1), "alarms": (5, 0), "sensor-visit": (1, 90)},
    CoverUp.RECORDS_CHANGED: {
        "records-edited": (1, 1),
        "jobs-a-day": (2.5, 0),
        "records-exported": (1, 60),
        "meetings": (4, 0),
    },
}
"""What a cover-up changes: the truth is factor x story + more."""
_ACTIVITY = {
    CoverUp.HIDDEN_RUN: Activity.TRAINING,
    CoverUp.MOVED_HARDWARE: Activity.REWIRED,
    CoverUp.SENSOR_OFF: Activity.SENSORS_DECEIVED,
    CoverUp.RECORDS_CHANGED: Activity.RECORDS_CHANGED,
}
LINKS = (
    Link(
        id="racks-add-up",
        text="the racks of hall A and hall B are all racks",
        terms={"racks-hall-a": 1.0, "racks-hall-b": 1.0, "racks-total": -1.0},
        lower=0.0,
        upper=0.0,
    ),
    Link(
        id="rack-7-in-one-hall",
        text="rack 7 is in one hall at a time",
        terms={"rack-7-in-hall-a": 1.0, "rack-7-in-hall-b": 1.0},
        upper=1.0,
    ),
)


def site(count: int, cover_up: CoverUp | None, rng: np.random.Generator) -> SiteMade:
    """`count` matters, at least those of the table: the rest has nothing to do with any cover-up."""
    matters = [_matter(spec, rng) for spec in _SPECS]
    for number in range(max(0, count - len(_SPECS))):
        kind = (_Q, _E, _A)[number % 3]
        low, high = {_Q: (5.0, 80.0), _E: (10.0, 170.0), _A: (0.0, 1.0)}[kind]
        knowers = (_TECH, _OPS, _RES, _SEC)[number % 4]
        words = f"matter {number + 1} of everyday work"
        matters.append(
            _matter((f"everyday-{number + 1}", kind, words, knowers, low, high, "d" * (number % 4 == 0)), rng)
        )
    by_name = {one.topic.id: place for place, one in enumerate(matters)}
    if cover_up is not None:
        for name, (factor, more) in _CHANGES[cover_up].items():
            one = matters[by_name[name]]
            truth = more if one.topic.kind in YES_NO else round(factor * one.story) + more
            matters[by_name[name]] = replace(one, truth=float(truth))
    racks = [matters[by_name[name]] for name in ("racks-hall-a", "racks-hall-b")]
    total = matters[by_name["racks-total"]]
    matters[by_name["racks-total"]] = replace(
        total, truth=sum(one.truth for one in racks), story=sum(one.story for one in racks)
    )
    return SiteMade(
        matters=tuple(matters),
        links=LINKS,
        declared=tuple(_hard(one, SpeakerKind.DECLARATION) for one in matters if one.declared),
        measured=tuple(_hard(one, SpeakerKind.MACHINE) for one in matters if one.measured),
    )


def _matter(spec: tuple[str, TopicKind, str, tuple[str, ...], float, float, str], rng: np.random.Generator) -> Matter:
    name, kind, words, knowers, low, high, marks = spec
    value = float(rng.integers(int(low), int(high) + 1))
    activity = next((_ACTIVITY[which] for which, changed in _CHANGES.items() if name in changed), Activity.OTHER_WORK)
    topic = Topic(
        id=name,
        kind=kind,
        text=words,
        period=PERIOD,
        unit="count" if kind is _Q else None,
        pods=PODS,
        clause=CLAUSE,
        activity=activity,
        knowers=knowers,
    )
    return Matter(
        topic=topic, truth=value, story=value, main="m" in marks, declared="d" in marks, measured="s" in marks
    )


def _hard(one: Matter, speaker: SpeakerKind) -> Statement:
    """What the declaration says, which is the story; or what machines measured, which is the truth."""
    declared = speaker is SpeakerKind.DECLARATION
    value = one.story if declared else one.truth
    said: Said
    if one.topic.kind in YES_NO:
        said = YesNo(holds=value >= 0.5)
    elif one.topic.kind is TopicKind.QUANTITY:
        within = 0.0 if declared else MEASURED_WITHIN * value
        said = Amount(lower=max(0.0, value - within), upper=value + within)
    else:
        day = START + timedelta(days=int(value))
        said = When(not_before=day, not_after=day + timedelta(days=1))
    who = "declaration" if declared else "meters"
    return Statement(
        id=f"{who}-{one.topic.id}",
        speaker=speaker,
        source=f"{who} of the simulated site",
        topic=one.topic.id,
        question="none",
        sentence=f"{one.topic.text}: {value:g}",
        said_at=ASKED_AT,
        said=said,
        miss_probability=0.0 if declared else 0.001,
    )
