"""Amounts of a licence: whole numbers of a small unit, so that no sum of them drifts.

A double holds 16 digits. Of a budget of 1e24 FLOP it could not take off the 1e6 of one request: such requests would be free. So:

1. Amounts are whole numbers of `UNITS` per unit of the meter: one FLOP, one byte, one microjoule, one microsecond.
2. A number from outside means the shortest decimal that names it, which is also how RFC 8785 writes it into a signed licence:
   1e30 is 10^30, and not the double next to it.
3. A budget is rounded down, a use is rounded up. What is lost by that is less than one unit at a time, and never the verifier's.
4. JSON cannot carry such numbers; they stand in it as decimal text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from inspectorate.mechanisms.guarantee.metering.types import MeterKind

DECIMALS: dict[MeterKind, int] = {
    MeterKind.FLOP: 0,
    MeterKind.BYTES_OUT: 0,
    MeterKind.BYTES_IN: 0,
    MeterKind.BYTES_BETWEEN_CHIPS: 0,
    MeterKind.ENERGY_J: 6,
    MeterKind.WALL_S: 6,
}
"""How many decimals of the meter's unit are kept."""
UNITS: dict[MeterKind, int] = {meter: 10**decimals for meter, decimals in DECIMALS.items()}
UNITS_MAX = 10**48
"""More than all that a device can be licensed in its life: 1e36 units per licence, one for each of 2^40 sequences."""

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,48})\Z")
_EXACT = 2**53


def _whole(value: object) -> object:
    if isinstance(value, str):
        if not _DECIMAL.match(value):
            raise ValueError("must be a whole number in decimal")
        return int(value)
    return value


Units = Annotated[
    int, BeforeValidator(_whole), Field(ge=0, le=UNITS_MAX), PlainSerializer(str, return_type=str, when_used="json")
]
"""A whole number of the meter's small unit; decimal text in JSON."""


def budgeted(meter: MeterKind, amount: float) -> int:
    """Units of a budget: rounded down. Raises `ValueError` unless it is a finite number of at least 0."""
    return _units(meter, amount, ROUND_FLOOR)


def used(meter: MeterKind, amount: float) -> int:
    """Units of something used: rounded up. Raises `ValueError` unless it is a finite number of at least 0."""
    return _units(meter, amount, ROUND_CEILING)


def _units(meter: MeterKind, amount: float, rounding: str) -> int:
    if not 0 <= amount < math.inf:
        raise ValueError(f"{amount} {meter.value} is no amount")
    if isinstance(amount, int):
        return amount * UNITS[meter]
    if amount < _EXACT and amount.is_integer():
        return int(amount) * UNITS[meter]
    return int(Decimal(repr(amount)).scaleb(DECIMALS[meter]).to_integral_value(rounding=rounding))


def amount_of(meter: MeterKind, units: int) -> float:
    """The amount in the unit of the meter, rounded down to a double: of what remains, never too much is said."""
    value = units / UNITS[meter]
    return value if budgeted(meter, value) <= units else math.nextafter(value, 0.0)


def plus(left: Mapping[MeterKind, int], right: Mapping[MeterKind, int]) -> dict[MeterKind, int]:
    """The sum, meter by meter, in the order of `MeterKind`."""
    return {meter: left.get(meter, 0) + right.get(meter, 0) for meter in MeterKind if meter in left or meter in right}


def minus(left: Mapping[MeterKind, int], right: Mapping[MeterKind, int]) -> dict[MeterKind, int]:
    """The difference, meter by meter; meters of which nothing is left are left out."""
    found = {meter: amount - right.get(meter, 0) for meter, amount in left.items()}
    return {meter: amount for meter, amount in found.items() if amount}
