"""What differs between two enrolments, and whether one can stand for the other.

A changed code digest, line of software or hardware (firmware, power limits), chip, count, kind, meter, unit or signal means that
the second is another thing: what was enrolled before does not cover it. Names of sessions, descriptions, times and recorded
runs may differ without that. A wider operating range is not covered by a narrower one.
"""

from __future__ import annotations

from pydantic import Field

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.signature.types import Manifest

SHOWN_MAX = 300
ALWAYS = frozenset({"session", "description"})
"""Fields of a manifest that may differ."""


class Difference(Record):
    """One thing that differs."""

    field: Text
    one: Text
    other: Text
    enrol_again: bool = Field(description="whether the first enrolment does not cover what the second describes")


def differences(one: Manifest, other: Manifest) -> tuple[Difference, ...]:
    """What differs between two manifests, in the order of their fields; lists line by line."""
    found: list[Difference] = []
    for field in Manifest.model_fields:
        mine, theirs = getattr(one, field), getattr(other, field)
        if mine == theirs:
            continue
        if field in {"hardware", "software", "pods"}:
            found += _lines(field, mine, theirs)
        elif field == "operating_range":
            found += _ranges(one, other)
        else:
            found.append(_difference(field, mine, theirs, again=field not in ALWAYS))
    return tuple(found)


def plan_differences(one: SessionPlan, other: SessionPlan) -> tuple[Difference, ...]:
    """What differs in how two sessions were measured."""
    found = [
        _difference(field, getattr(one, field), getattr(other, field))
        for field in ("meter", "step_s", "signals", "units")
        if getattr(one, field) != getattr(other, field)
    ]
    if one.terms.window_s != other.terms.window_s:
        found.append(_difference("window_s", one.terms.window_s, other.terms.window_s))
    return tuple(found)


def _lines(field: str, one: tuple[str, ...], other: tuple[str, ...]) -> list[Difference]:
    """Lines that only one has. The order of lines means nothing."""
    return [
        *(_difference(field, line, "not there") for line in one if line not in other),
        *(_difference(field, "not there", line) for line in other if line not in one),
    ]


def _ranges(one: Manifest, other: Manifest) -> list[Difference]:
    mine = {condition.name: condition for condition in one.operating_range}
    theirs = {condition.name: condition for condition in other.operating_range}
    found = []
    for name in dict.fromkeys((*mine, *theirs)):
        first, second = mine.get(name), theirs.get(name)
        if first != second:
            covered = (
                first is not None and second is not None and first.least <= second.least and second.most <= first.most
            )
            texts = [f"{c.least:g} to {c.most:g}" if c else "not a condition" for c in (first, second)]
            found.append(_difference(f"operating_range.{name}", *texts, again=not covered))
    return found


def _difference(field: str, one: object, other: object, *, again: bool = True) -> Difference:
    return Difference(field=field, one=_shown(one), other=_shown(other), enrol_again=again)


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return (text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…") or "none"
