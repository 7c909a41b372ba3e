"""Draws that replace people who were not heard: as many as were missing and as were promised, next in the same order.

A replacing draw names the `InterviewsHeld` whose unheard it replaces; that names the draw before; and so back to the first draw
from the roster. All of them use one randomness. Of each stratum

    more = min(unheard of those interviews, replacements_max - replaced before)

An entry is unheard if it was drawn and is not named as heard: refused, absent, or not opened at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.errors import EvidenceError
from inspectorate.evidence import IntervieweesDrawn, InterviewsHeld, VerifiedStatement
from inspectorate.evidence.subjects import subject_digest
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.selection import Selection

CHAIN_MAX = 64
"""Draws one after the other from one roster."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a draw says of itself, as far as it must fit the draws before it."""

    by: str
    roster: str
    promise: str | None
    replaces: str | None
    at: datetime
    randomness: str | None
    """Digest of the payload; none where its statement does not name one."""

    @classmethod
    def of(cls, statement: VerifiedStatement) -> Link:
        said = statement.predicate
        assert isinstance(said, IntervieweesDrawn)
        try:
            randomness = subject_digest(statement, "randomness")
        except EvidenceError:
            randomness = None
        return cls(
            by=said.by, roster=said.roster, promise=said.promise, replaces=said.replaces, at=said.drawn_at,
            randomness=randomness,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Chained:
    """What a replacing draw may take."""

    taken: Mapping[str, int]
    """Of each stratum, how many were drawn before: the next in order follow them."""
    more: Mapping[str, int]


def chained(
    replacing: Link, before: Sequence[VerifiedStatement], selection: Selection, listed: RosterList
) -> Chained | Found:
    """What a replacing draw may take; a fault where its chain does not hold together.

    `before` holds the earlier draws from the roster and the interviews that followed them.
    """
    links = _back(replacing, {one.digest: one for one in before})
    if isinstance(links, Found):
        return links
    if odd := set(listed.strata) ^ set(selection.strata):
        return _fault(f"the selection and the roster differ in the strata {', '.join(sorted(odd))}")
    if any(entry >= len(listed.persons) for _, draw in links for entry in draw.drawn):
        return _fault("an earlier draw names an entry that the roster does not hold")
    sizes = [Counter(listed.stratum(entry) for entry in draw.drawn) for _, draw in links]
    taken = {name: sum(size[name] for size in sizes) for name in listed.strata}
    replaced = {name: sum(size[name] for size in sizes[:-1]) for name in listed.strata}
    held, last = links[0]
    unheard = Counter(listed.stratum(entry) for entry in set(last.drawn) - set(held.heard))
    more = {
        name: max(0, min(unheard[name], selection.strata[name].replacements_max - replaced[name]))
        for name in listed.strata
    }
    return Chained(taken=taken, more=more)


def _back(
    replacing: Link, known: Mapping[str, VerifiedStatement]
) -> list[tuple[InterviewsHeld, IntervieweesDrawn]] | Found:
    """Interviews and the draw before them, from the replacing draw back to the first."""
    links: list[tuple[InterviewsHeld, IntervieweesDrawn]] = []
    later = replacing
    while later.replaces is not None:
        held = known.get(later.replaces)
        interviews = held.predicate if held else None
        if not isinstance(interviews, InterviewsHeld) or len(links) >= CHAIN_MAX:
            return _fault("the interviews whose people it replaces are not there")
        draw = known.get(interviews.drawn)
        said = draw.predicate if draw else None
        if draw is None or not isinstance(said, IntervieweesDrawn):
            return _fault("the draw whose people it replaces is not there")
        earlier = Link.of(draw)
        if {interviews.by, earlier.by} != {replacing.by}:
            return _fault("it replaces people of another inspector's interviews")
        if (earlier.roster, earlier.promise) != (replacing.roster, replacing.promise):
            return _fault("the draw whose people it replaces is from another roster or by another promise")
        if replacing.randomness is None or earlier.randomness != replacing.randomness:
            return _fault("the draw whose people it replaces was made by other randomness")
        if later.at < interviews.period.start:
            return _fault("it replaces people before their interviews began")
        links.append((interviews, said))
        later = earlier
    return links


def _fault(detail: str) -> Found:
    return Found(fault=Fault.REPLACEMENT_OTHER, detail=detail)
