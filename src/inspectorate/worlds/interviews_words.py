"""Sentences of simulated people: each in words of their own, or all in the words of one story."""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.interviews.consistency.types import (
    Amount,
    Before,
    CouldKnow,
    Said,
    Topic,
    Unknown,
    When,
    YesNo,
)

_OPEN = (
    "I think",
    "as far as I recall",
    "from what I remember",
    "if I am not wrong",
    "well",
    "to my mind",
    "I would say",
)
_WITH = (
    "the vendor", "a colleague", "the night crew", "my supervisor", "two students", "the cleaners", "somebody from finance",
    "the fire marshal", "a courier", "the day shift", "nobody else", "our guests", "the electricians", "a new hire",
)  # fmt: skip
_WHERE = (
    "the loading bay", "the canteen", "aisle four", "the control room", "the car park", "the stairs", "the store", "the roof",
    "the workshop", "the corridor", "the gate", "my desk", "the meter room", "the old annex", "the lift", "the yard",
)  # fmt: skip
_WHAT = (
    "waiting", "moving boxes", "on a call", "fixing a fan", "reading mail", "on rounds", "having tea", "changing filters",
    "writing tickets", "looking for a key", "testing a lamp", "labelling cables", "late for lunch", "counting spares",
)  # fmt: skip


def sentence(topic: Topic, said: Said, rng: np.random.Generator) -> str:
    """What somebody might say in words of their own."""
    if isinstance(said, Unknown):
        return "I could not say."
    if isinstance(said, CouldKnow):
        return "Yes, I was there." if said.could else "No, not from where I worked."
    opened, company, place, doing = (one[int(rng.integers(len(one)))] for one in (_OPEN, _WITH, _WHERE, _WHAT))
    # A number of one's own after every few words: people are far more various than these lists.
    own = 17 * int(rng.integers(6, 22)) + 1009 * int(rng.integers(60))
    return f"{opened} {own}, I was {doing} {own}, with {company} {own}, near {place} {own}; {_what(topic, said)}."


def story(topic: Topic, said: Said) -> str:
    """The same for everybody who learnt it."""
    if isinstance(said, Unknown):
        return "I could not say."
    return f"It is quite clear to all of us who worked there that {_what(topic, said)}, exactly as the operator has declared it."


def _what(topic: Topic, said: Said) -> str:
    match said:
        case Amount(lower=lower):
            return f"{topic.text}: {lower:g} {topic.unit}"
        case When(not_before=start, not_after=end):
            return f"{topic.text}: between {start:%d %B} and {end:%d %B}"
        case Before(other=other):
            return f"{topic.text} came before {other}"
        case YesNo(holds=holds):
            return f"{topic.text}: {'yes' if holds else 'no'}"
        case _:
            return "I could not say"
