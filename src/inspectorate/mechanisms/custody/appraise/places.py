"""The places of a party's registers, and when each was held: one answer for seals and for cameras.

- A place is a rack of a site, as any register of the period has it: all of them, since a chip can stand in any.
- A place is held where a seal or a camera held it, and, of seals, from a check to the next seal put on by the same inspector, who
  stands there meanwhile, within a short time (`reference.RESEAL_S_MAX`).
- All places are held together only where every one of them is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from inspectorate.evidence import CountUnit, SealApplied, SealChecked, VerifiedStatement
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.held import Held, Unheld
from inspectorate.mechanisms.custody.register import Register, units
from inspectorate.quantities import Period, merge_periods, uncovered

Place = tuple[str, str]
"""Site and rack."""


def racks_of(register: Register) -> frozenset[Place]:
    """The racks of one register."""
    first = units(register, CountUnit.RACK).starts[:-1]
    site, rack = register.column("site"), register.column("rack")
    pairs = zip(site.codes[first].tolist(), rack.codes[first].tolist(), strict=True)
    return frozenset((site.names[one], rack.names[other]) for one, other in pairs)


def by_place(held: Iterable[Held | Unheld]) -> dict[Place, list[Period]]:
    found: dict[Place, list[Period]] = defaultdict(list)
    for one in held:
        found[one.site, one.place].append(one.period)
    return found


def resealed(statements: Sequence[VerifiedStatement], allowed_s: float) -> dict[Place, list[Period]]:
    """Stretches from a check of a seal to the next one on the same place by the same inspector, none longer than allowed."""
    applied = {one.digest: one.predicate for one in statements if isinstance(one.predicate, SealApplied)}
    ended: dict[tuple[Place, str], list[datetime]] = defaultdict(list)
    for one in statements:
        check = one.predicate
        seal = applied.get(check.applied) if isinstance(check, SealChecked) else None
        if isinstance(check, SealChecked) and seal is not None:
            for place in seal.places:
                ended[(seal.site, place), check.by].append(check.checked_at)
    found: dict[Place, list[Period]] = defaultdict(list)
    reach = timedelta(seconds=allowed_s)
    for seal in applied.values():
        for place in seal.places:
            before = [at for at in ended[(seal.site, place), seal.by] if at < seal.applied_at <= at + reach]
            if before:
                found[seal.site, place].append(Period(start=max(before), end=seal.applied_at))
    return found


def reseal_s(checked_every_s: float) -> float:
    """How long an inspector who checked a seal may take to put on the next one."""
    return min(reference.RESEAL_S_MAX, reference.RESEAL_SHARE_MAX * checked_every_s)


def gaps_of(
    places: Iterable[Place], held: Mapping[Place, Sequence[Period]], period: Period
) -> dict[Place, list[Period]]:
    """By place, the parts of a period in which it was not held; places that were held throughout are left out."""
    found = {}
    for place in sorted(places):
        gaps = uncovered(held.get(place, ()), period)
        if gaps:
            found[place] = gaps
    return found


def all_held(places: Iterable[Place], held: Mapping[Place, Sequence[Period]], period: Period) -> tuple[Period, ...]:
    """The parts of a period in which every one of these places was held. None, where there are no places."""
    wanted = sorted(places)
    if not wanted:
        return ()
    gaps = merge_periods(tuple(gap for found in gaps_of(wanted, held, period).values() for gap in found))
    return tuple(uncovered(gaps, period))


def together(*parts: Mapping[Place, Sequence[Period]]) -> dict[Place, list[Period]]:
    found: dict[Place, list[Period]] = defaultdict(list)
    for part in parts:
        for place, periods in part.items():
            found[place].extend(periods)
    return found


def names_of(places: Iterable[Place]) -> str:
    """Some places in words."""
    listed = sorted(places)
    shown = ", ".join(f"{site}/{rack}" for site, rack in listed[: reference.PLACES_SHOWN])
    return shown + (f" and {len(listed) - reference.PLACES_SHOWN} more" if len(listed) > reference.PLACES_SHOWN else "")
