"""What is explored: which documents there are, what can happen, and how small the numbers are."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.licences.amounts import UNITS
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset
from inspectorate.worlds import guard_model_papers as papers
from inspectorate.worlds.guard_model_papers import (
    BUILD,
    MODEL,
    OTHER_BUILD,
    OTHER_DEVICE,
    SECOND,
    STRANGE,
    STRANGER,
    Paper,
)

Action = tuple[str | int, ...]
"""A word, and what it is done with."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One machine with its surroundings."""

    name: str
    baseline: Ruleset
    papers: tuple[Paper, ...]
    budgets: dict[int, dict[MeterKind, int]] = field(default_factory=dict)
    """Of the licences that a quorum signed for this device, in units, by sequence."""
    meters: tuple[MeterKind, ...] = ()
    """Of which an account is kept."""
    margin: dict[MeterKind, float] = field(default_factory=dict)
    unread_max: int = 2
    """Seconds of work between two looks, at most: as many as the margin, and more than a block."""
    builds: tuple[str, ...] = (BUILD,)
    uploads: tuple[str, ...] = (MODEL,)
    endings: tuple[str, ...] = ("exact",)
    """How an upload ends: `exact`, `short`, `long`, `altered`."""
    paths: tuple[str, ...] = ()
    """Of requests; none: nothing is asked for."""
    answers: tuple[int, ...] = ()
    """What a request comes to, of the most that it could use."""
    works: bool = False
    """Whether chips use a meter that is read afterwards."""
    clocks: int = 3
    files_max: int = 2
    """How many files of one counter the adversary keeps."""
    halts_max: int = 0
    halts: tuple[str, ...] = ()
    """`hand`, `recheck`."""
    also: tuple[str, ...] = ()
    """`end`, `unloaded`, `tick`."""


def update(*, small: bool = False) -> Scenario:
    """Rulesets, programs, the clock, the disk; an upload, so that something depends on them."""
    first = papers.baseline()
    given = papers.updates(first)
    return Scenario(
        name="update",
        baseline=first,
        papers=given[:3] + given[4:5] if small else given,
        builds=(BUILD, OTHER_BUILD),
        uploads=(MODEL,) if small else (MODEL, SECOND),
        endings=("exact",),
        also=("tick",) if small else ("tick", "end"),
    )


def licence(*, small: bool = False) -> Scenario:
    """Two licences, requests in flight, time that is spent as it passes, the clock, the disk."""
    out, wall = MeterKind.BYTES_OUT, MeterKind.WALL_S
    meters = (out,) if small else (out, wall)
    first = papers.baseline(meters, concurrent=1 if small else 2)
    sizes = {1: {out: 4, wall: 2}, 2: {out: 2, wall: 4}}
    budgets = {sequence: {meter: size[meter] for meter in meters} for sequence, size in sizes.items()}

    def one(title: str, sequence: int, *signers: str, **changed: str) -> Paper:
        amounts = {meter: float(units) for meter, units in budgets.get(sequence, budgets[2]).items()}
        return papers.licence_paper(title, papers.licence(sequence, amounts, **changed), *signers)

    given = (
        papers.ruleset_paper("v1", first),
        papers.ruleset_paper(
            "v2", papers.following(first, Act.CHANGE_RULES, valid=papers.licence(2, {out: 1.0}).valid), "ana", "bo"
        ),
        one("licence-1", 1, "ana", "bo"),
        one("licence-2", 2, "bo", "cem"),
        one("licence-3-by-one", 3, "ana"),
        one("licence-3-by-one-twice", 3, "ana", "ana"),
        one("licence-3-by-one-and-a-stranger", 3, "bo", STRANGER),
        one("licence-3-of-another-device", 3, *papers.NAMES, device=OTHER_DEVICE),
        one("licence-1-again-under-another-name", 1, "ana", "cem", name="another"),
    )
    return Scenario(
        name="licence",
        baseline=first,
        papers=given[:1] + given[2:5] if small else given,
        budgets=_in_units(budgets),
        meters=meters,
        margin={} if small else {wall: 2.0},
        paths=("/good",),
        answers=(0, 2) if small else (0, 1, 2),
        works=not small,
        clocks=3,
        also=("tick", "end") if not small else ("tick",),
    )


def interlock(*, small: bool = False) -> Scenario:
    """Uploads of right and wrong bytes, requests, halts from every side, orders to resume, the disk."""
    first = papers.baseline(rules=(papers.HALTING,), concurrent=1)
    given = papers.updates(first)
    return Scenario(
        name="interlock",
        baseline=first,
        papers=given[:1] if small else given[:3],
        builds=(BUILD,) if small else (BUILD, OTHER_BUILD),
        uploads=(MODEL, STRANGE),
        endings=("exact", "altered") if small else ("exact", "short", "long", "altered"),
        paths=("/good", "/bad"),
        answers=(2,),
        clocks=2 if small else 3,
        halts_max=1 if small else 2,
        halts=("hand",) if small else ("hand", "recheck"),
        also=("tick",) if small else ("tick", "unloaded", "end"),
    )


def joint(*, small: bool = False) -> Scenario:
    """All of it at once, to a depth and not to the end."""
    out, wall = MeterKind.BYTES_OUT, MeterKind.WALL_S
    first = papers.baseline((out, wall), rules=(papers.HALTING,))
    budgets = {1: {out: 4, wall: 2}, 2: {out: 2, wall: 2}}
    licences = tuple(
        papers.licence_paper(
            f"licence-{number}", papers.licence(number, {m: float(u) for m, u in budgets[number].items()}), *signers
        )
        for number, signers in ((1, ("ana", "bo")), (2, ("bo", "cem")))
    )
    weak = papers.licence_paper("licence-2-by-one", papers.licence(2, {out: 2.0, wall: 2.0}), "ana")
    return Scenario(
        name="joint",
        baseline=first,
        papers=(*papers.updates(first)[:6], *licences, weak),
        budgets=_in_units(budgets),
        meters=(out, wall),
        margin={wall: 2.0},
        builds=(BUILD, OTHER_BUILD),
        uploads=(MODEL, SECOND, STRANGE),
        endings=("exact", "altered"),
        paths=("/good", "/bad"),
        answers=(0, 2),
        works=True,
        halts_max=2,
        halts=("hand", "recheck"),
        also=("tick", "unloaded", "end"),
    )


SCENARIOS = {"update": update, "licence": licence, "interlock": interlock, "joint": joint}


def _in_units(budgets: dict[int, dict[MeterKind, int]]) -> dict[int, dict[MeterKind, int]]:
    return {
        sequence: {meter: units * UNITS[meter] for meter, units in found.items()} for sequence, found in budgets.items()
    }
