"""Numbers as people write them on the command line of the planner: 125kB/s, 1 Mbit/s, 405B, 15.6T, 48h, 100x.

- Bytes are `B` and bits are `bit` (or `bps`); `b/s` alone is refused, because it is read both ways.
- Prefixes are decimal: k is 1,000. A number without a unit is in the base unit that the option names.
- Bounds are checked here, so that a slip of a prefix is an error with a name and not a strange plan.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import click

from inspectorate.mechanisms.interconnect.plan.inverse import RATE_MAX, RATE_MIN, YEAR_S, Kind, Target

_NUMBER = r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?|\.[0-9]+(?:[eE][+-]?[0-9]{1,3})?)"
_QUANTITY = re.compile(rf"^\s*{_NUMBER}\s*([A-Za-z/]*)\s*$")
_TARGET = re.compile(r"^\s*(?:([a-z-]+):)?\s*([^/]+?)\s*(?:/(.+))?$")
_PREFIX = MappingProxyType({"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12})


def _units(bases: Mapping[str, float]) -> MappingProxyType[str, float]:
    return MappingProxyType({p + base: s * size for p, s in _PREFIX.items() for base, size in bases.items()})


RATES = _units({"B/s": 1.0, "Bps": 1.0, "bit/s": 0.125, "bps": 0.125})
SIZES = _units({"B": 1.0})
COUNTS = MappingProxyType({"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "b": 1e9, "T": 1e12, "t": 1e12})
TIMES = MappingProxyType({"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0, "y": YEAR_S})


class Quantity:
    """A number with a unit, between two bounds, in the base unit: a type of an option. Raises `click.BadParameter`."""

    def __init__(self, name: str, units: Mapping[str, float], bounds: tuple[float, float], like: str) -> None:
        self.__name__, self.units, self.bounds, self.like = name, units, bounds, like

    def __call__(self, value: str) -> float:
        found = _QUANTITY.match(value)
        if found is None:
            raise click.BadParameter(f"{value!r} is not a {self.__name__}: write it like {self.like}")
        unit = found[2]
        if unit and unit not in self.units:
            raise click.BadParameter(f"{unit!r} is no unit of a {self.__name__}: write it like {self.like}")
        number = float(found[1]) * (self.units[unit] if unit else 1.0)
        low, high = self.bounds
        if not low <= number <= high:
            raise click.BadParameter(f"{value!r} is outside {low:g} to {high:g}, between which the planner answers")
        return number


def target(value: str) -> Target:
    """What a limit is to achieve: `100x`, or `[KIND:]FLOP[/PERIOD]`. Raises `click.BadParameter`."""
    found = _TARGET.match(value)
    kinds = [kind.value for kind in Kind]
    if found is None or (found[1] or kinds[0]) not in kinds:
        raise click.BadParameter(f"{value!r} is not a target: write 100x, 1e24/1y or post-training:1e23/90d")
    kind, what, period = Kind(found[1] or kinds[0]), found[2], found[3]
    if what.endswith(("x", "×")):
        if period:
            raise click.BadParameter(f"{value!r}: a slowdown has no period")
        return Target(kind=kind, slowdown_min=SLOWDOWN(what[:-1]))
    return Target(kind=kind, flop=FLOP(what.removesuffix("FLOP")), period_s=PERIOD(period) if period else YEAR_S)


RATE = Quantity("rate", RATES, (RATE_MIN, RATE_MAX), "125kB/s, 1MB/s or 1Mbit/s")
SIZE = Quantity("size", SIZES, (0.0, 1e18), "80GB or 1.6e12")
PARAMETERS = Quantity("number of parameters", COUNTS, (1e6, 1e16), "405B, 70e9 or 1.5T")
TOKENS = Quantity("number of tokens", COUNTS, (1e3, 1e18), "15.6T, 16M or 300e9")
SECONDS = Quantity("time", TIMES, (0.0, 100 * YEAR_S), "100ms, 0.1s or 48h")
PERIOD = Quantity("period", TIMES, (1.0, 1_000 * YEAR_S), "1y, 90d or 48h")
SLOWDOWN = Quantity("slowdown", MappingProxyType({}), (1.0, 1e9), "100x")
FLOP = Quantity("number of FLOP", MappingProxyType({}), (1e15, 1e32), "1e24")
