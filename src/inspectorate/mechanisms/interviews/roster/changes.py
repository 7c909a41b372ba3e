"""Who joined, left or moved between two rosters, and what does not fit a roster. What is listed starts a question, never more.

Since a person keeps the salt, the person leaf of somebody who stays is the same in both rosters. So everybody sees, without a
name, which entries are gone, new, or stand in another role or stratum.

- **Gone just before a draw.** Who left between the roster before and the one that was drawn from could not be drawn. They are
  listed by their entry in the roster before, for the verifier to ask where they are. Whether they are more than usual is held
  against how many left before: if people leave at a constant rate, the departures of the last stretch are a binomial share of all
  departures, by person-days (the comparison of two Poisson rates: Przyborowski & Wilenski, Biometrika 31, 1940).
- **New just before a draw.** Padding thins a stratum out. A draw by the rule `reach` grows with it; one by number does not.
- **Everybody new.** A roster that shares no leaf with the one before may have been salted anew, to hide who left.
- **Badges.** More people go in than the roster has, by number only; or pseudonyms that other evidence names and the roster
  does not hold, where the roster is open to whoever compares.

It is fooled by: an operator that gives one person's pseudonym and salt to another.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inspectorate.evidence import RosterCommitted
from inspectorate.mechanisms.interviews.roster import reference
from inspectorate.mechanisms.interviews.roster.listed import Person, RosterList


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Somebody who stands in another stratum, or only in another role."""

    before: int
    after: int
    stratum_before: str
    stratum_after: str


@dataclass(frozen=True, kw_only=True)
class Changes:
    """From one roster to the next."""

    left: tuple[int, ...]
    """By their entry in the roster before."""
    joined: tuple[int, ...]
    """By their entry in the roster after."""
    moved: tuple[Moved, ...]
    stayed: int
    left_by_stratum: Mapping[str, int]
    joined_by_stratum: Mapping[str, int]

    @property
    def salted_anew(self) -> bool:
        """Nobody stayed: everybody left at once, or the salts were changed, which hides who did."""
        return self.stayed == 0 and bool(self.left)


def changes(before: RosterList, after: RosterList) -> Changes:
    """What changed from one roster to the next of the same reporter."""
    old = {leaf: entry for entry, leaf in enumerate(before.persons)}
    new = {leaf: entry for entry, leaf in enumerate(after.persons)}
    left = tuple(entry for leaf, entry in old.items() if leaf not in new)
    joined = tuple(entry for leaf, entry in new.items() if leaf not in old)
    moved = tuple(
        Moved(
            before=entry, after=new[leaf], stratum_before=before.stratum(entry), stratum_after=after.stratum(new[leaf])
        )
        for leaf, entry in old.items()
        if leaf in new and before.roles[entry] != after.roles[new[leaf]]
    )
    return Changes(
        left=left, joined=joined, moved=moved, stayed=len(old) - len(left),
        left_by_stratum=Counter(before.stratum(entry) for entry in left),
        joined_by_stratum=Counter(after.stratum(entry) for entry in joined),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """Departures between the last two rosters, beside those before."""

    last: int
    earlier: int
    last_person_days: float
    earlier_person_days: float
    chance: float
    """That as many or more of all departures fall into the last stretch, if people leave at a constant rate. 1 without a past."""

    @property
    def unusual(self) -> bool:
        return self.chance < reference.LEAVING_CHANCE_MAX


def leaving(history: Sequence[tuple[RosterCommitted, RosterList]]) -> Leaving:
    """Hold the departures up to the last roster against those before. `history` is in order of periods, two or more.

    From a roster to the next, people left within the days between the two starts. Raises `ValueError` where there is no change to
    speak of, or the rosters do not follow one another.
    """
    if len(history) < 2:
        raise ValueError("departures need two rosters")
    counts: list[int] = []
    person_days: list[float] = []
    for (old, old_list), (new, new_list) in itertools.pairwise(history):
        days = (new.period.start - old.period.start).total_seconds() / 86_400
        if days <= 0 or old.reporter != new.reporter:
            raise ValueError(f"{new.roster} does not follow {old.roster}")
        counts.append(len(changes(old_list, new_list).left))
        person_days.append(days * len(old_list.persons))
    last, earlier = counts[-1], sum(counts[:-1])
    exposure = sum(person_days)
    share = person_days[-1] / exposure if exposure else 1.0
    return Leaving(
        last=last, earlier=earlier, last_person_days=person_days[-1], earlier_person_days=sum(person_days[:-1]),
        chance=as_many_or_more(last, last + earlier, share),
    )  # fmt: skip


def as_many_or_more(count: int, trials: int, share: float) -> float:
    """P(Bin(trials, share) >= count), summed from the smaller end of logarithms; 1 for a share of 1."""
    if count <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    logs = [
        math.lgamma(trials + 1) - math.lgamma(x + 1) - math.lgamma(trials - x + 1)
        + x * math.log(share) + (trials - x) * math.log1p(-share)
        for x in range(count, trials + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(one) for one in logs))


@dataclass(frozen=True, kw_only=True)
class Surplus:
    """A day, or another stretch, in which more badges went in than the roster has people."""

    when: str
    badges: int
    people: int


def more_badges(counted: Mapping[str, int], people: int) -> tuple[Surplus, ...]:
    """Stretches in which more different badges were counted than the roster has people. By number only."""
    return tuple(
        Surplus(when=when, badges=badges, people=people) for when, badges in counted.items() if badges > people
    )


def unlisted(pseudonyms: Iterable[str], people: Iterable[Person]) -> tuple[str, ...]:
    """Pseudonyms of other evidence that none of these people has. `people` must be all of a roster, in the open: this runs where
    the operator keeps it, or in a room of both."""
    known = {person.pseudonym for person in people}
    return tuple(sorted(set(pseudonyms) - known))
