"""Ranges of several sources, joined.

Rules:

- A source speaks of the declared *work*, or of *all* that the chips did. Work is part of all: the most of all bounds the work, and
  the least of the work bounds all.
- `stated`: what all sources together leave. `verified`: what is left if all that only the prover's word stands for is struck.
- A source that narrows nothing costs nothing: without a contradiction, one more source never widens a range.
- Two sources contradict each other where the least of one is above the most of the other by more than the agreed share. From then
  on neither narrows anything: the range covers both, and nothing counts as explained. Why they may differ is listed, most harmless
  first; which it is, people find out.
- A bound that rests on an assumption raises a *question*, never a contradiction, and never narrows what is verified.
- `spare`: what could have been done beside the work: the most of all less the least of the work, both verified.
- Sources are independent where they rest on nothing in common. The number of independent ones is the largest such set.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations
from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.reference import SOURCES_MAX
from inspectorate.quantities import NonNegative, Positive, Share

INFORMATIVE_FACTOR = 2.0
"""A source counts as one of the agreed number only if one of its bounds comes within this factor of the joint one."""


class SourceKind(StrEnum):
    DECLARED = "declared"
    """What the prover says it took."""
    TRACED = "traced"
    """Counted by the loop that did the work."""
    REPLAYED = "replayed"
    """Counted by the verifier, over a sample that was drawn."""
    ANALYTIC = "analytic"
    """Architecture and amount of work, layer by layer."""
    RULE = "rule-of-thumb"
    """6ND and its like."""
    METERED = "metered"
    """Counted on the chips, by a guarantee processor or hardware counters."""
    TIME = "time"
    ENERGY = "energy"


class Scope(StrEnum):
    WORK = "work"
    ALL = "all"


class Source(Record):
    """What one source says, and who could make it lie."""

    id: Identifier
    kind: SourceKind
    scope: Scope
    holder: Holder
    low: NonNegative
    high: NonNegative | None = Field(default=None, description="none: no upper bound")
    rests_on: tuple[Identifier, ...] = Field(min_length=1, max_length=16)
    assumes: tuple[Text, ...] = Field(default=(), max_length=8, description="that cannot be checked here")
    recomputation_open: bool = Field(
        default=False, description="whether repeated forward passes would explain that another source has more"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high is not None and self.high < self.low:
            raise ValueError("high is below low")
        return self

    @property
    def verified(self) -> bool:
        return self.holder is not Holder.PROVER and not self.assumes


class Reason(StrEnum):
    """Why two sources may differ."""

    RECOMPUTATION = "recomputation"
    """Activations were computed again, and one of them does not count that."""
    BLIND_SPOT = "blind-spot"
    """The counter does not see some kernels."""
    OTHER_DECLARED_WORK = "other-declared-work"
    """Other declared work ran on the same chips."""
    UTILISATION = "utilisation"
    """Chips were used better than the agreement credits."""
    METER = "meter"
    UNDERSTATED = "understated"
    OVERSTATED = "overstated"
    """More is declared than was done: it may stand in for something else."""
    HIDDEN_WORK = "hidden-work"


class Difference(Record):
    """Two sources that cannot both hold, or not both with what one of them assumes."""

    more: Identifier = Field(description="the source whose least is above")
    less: Identifier = Field(description="the source whose most is below")
    factor: Positive | None = Field(default=None, description="by which; none: the lower one is zero")
    question: bool = Field(description="whether an assumption of one of them may be wrong")
    reasons: tuple[Reason, ...] = Field(min_length=1, max_length=8)


class Range(Record):
    """Least and most."""

    low: NonNegative
    high: NonNegative | None = None


class Joined(Record):
    """What all sources give together."""

    stated: Range
    verified: Range
    all_max: NonNegative | None = Field(default=None, description="the most that the chips did, verified; none: open")
    spare: NonNegative | None = Field(default=None, description="most that was done beside the work; none: open")
    spare_share: Share | None = Field(default=None, description="the same as a share of what time allows")
    independent: int = Field(ge=0, le=SOURCES_MAX)
    differences: tuple[Difference, ...] = ()

    @property
    def contradictions(self) -> tuple[Difference, ...]:
        return tuple(one for one in self.differences if not one.question)


def join(sources: Sequence[Source], *, disagreement_share_max: float) -> Joined:
    """Join sources under the agreed disagreement. Raises `ValueError` on none, on too many, and on a name twice."""
    if not 1 <= len(sources) <= SOURCES_MAX:
        raise ValueError(f"needs between 1 and {SOURCES_MAX} sources")
    if len({one.id for one in sources}) != len(sources):
        raise ValueError("two sources of one name")
    differences = _differences(sources, 1.0 + disagreement_share_max)
    at_odds = {name for one in differences if not one.question for name in (one.more, one.less)}
    sound = [one for one in sources if not one.assumes]
    stated = _work(sound, at_odds)
    struck = [one for one in sound if one.verified]
    verified = _work(struck, at_odds)
    most = [one.high for one in struck if one.scope is Scope.ALL and one.high is not None and one.id not in at_odds]
    disputed = [one for one in struck if one.scope is Scope.ALL and one.id in at_odds]
    all_max = min(most, default=None) if most or not disputed else _widest(disputed)
    explained = 0.0 if at_odds else verified.low
    spare = None if all_max is None else max(0.0, all_max - explained)
    time = [one.high for one in struck if one.kind is SourceKind.TIME and one.high]
    return Joined(
        stated=stated,
        verified=verified,
        all_max=all_max,
        spare=spare,
        spare_share=None if spare is None or not time else min(1.0, spare / max(time)),
        independent=_independent(sources, stated),
        differences=tuple(differences),
    )


def _work(sources: Sequence[Source], at_odds: set[str]) -> Range:
    """The range of the work: narrowed by all that agree, and wide enough for both sides of every contradiction."""
    agreed = [one for one in sources if one.id not in at_odds]
    disputed = [one for one in sources if one.id in at_odds]
    lows = [one.low for one in agreed if one.scope is Scope.WORK]
    highs = [one.high for one in agreed if one.high is not None]
    low, high = max(lows, default=0.0), min(highs, default=None)
    if disputed:
        of_work = [one.low for one in disputed if one.scope is Scope.WORK]
        low = min([*([low] if lows else []), *of_work], default=0.0)
        widest = _widest(disputed)
        high = widest if high is None or widest is None else max(high, widest)
    if high is not None and high < low:
        low, high = high, low  # apart, but within the agreed share: both ends are kept
    return Range(low=low, high=high)


def _widest(sources: Sequence[Source]) -> float | None:
    highs = [one.high for one in sources]
    return None if None in highs else max((high for high in highs if high is not None), default=None)


def _differences(sources: Sequence[Source], slack: float) -> list[Difference]:
    found = []
    for more in sources:
        for less in sources:
            if more.id == less.id or less.high is None or more.low <= less.high * slack:
                continue
            found.append(
                Difference(
                    more=more.id,
                    less=less.id,
                    factor=more.low / less.high if less.high else None,
                    question=bool(more.assumes or less.assumes),
                    reasons=_reasons(more, less),
                )
            )
    return found


def _reasons(more: Source, less: Source) -> tuple[Reason, ...]:
    reasons: list[Reason] = []
    if less.recomputation_open:
        reasons.append(Reason.RECOMPUTATION)
    if less.kind in {SourceKind.TRACED, SourceKind.REPLAYED, SourceKind.METERED}:
        reasons.append(Reason.BLIND_SPOT)
    if more.scope is Scope.ALL and less.scope is Scope.WORK:
        reasons += [Reason.OTHER_DECLARED_WORK, Reason.UNDERSTATED, Reason.HIDDEN_WORK]
    elif more.scope is Scope.WORK and less.scope is Scope.ALL:
        reasons += [Reason.UTILISATION] if less.kind is SourceKind.TIME else [Reason.METER]
        reasons.append(Reason.OVERSTATED)
    elif more.scope is Scope.ALL:
        reasons.append(Reason.METER)
    elif more.holder is Holder.PROVER and less.holder is not Holder.PROVER:
        reasons.append(Reason.OVERSTATED)
    elif less.holder is Holder.PROVER and more.holder is not Holder.PROVER:
        reasons += [Reason.UNDERSTATED, Reason.HIDDEN_WORK]
    else:
        reasons += [Reason.UNDERSTATED, Reason.OVERSTATED, Reason.HIDDEN_WORK]
    return tuple(reasons)


def _independent(sources: Sequence[Source], stated: Range) -> int:
    """The largest number of sources that rest on nothing in common and say something that matters."""
    telling = [
        frozenset(one.rests_on)
        for one in sources
        if (one.low > 0 and one.low * INFORMATIVE_FACTOR >= stated.low)
        or (one.high is not None and stated.high is not None and one.high <= stated.high * INFORMATIVE_FACTOR)
    ]
    for size in range(len(telling), 1, -1):
        for chosen in combinations(telling, size):
            if len(frozenset().union(*chosen)) == sum(len(one) for one in chosen):
                return size
    return min(1, len(telling))
