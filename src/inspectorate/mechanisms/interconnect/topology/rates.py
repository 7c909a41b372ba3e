"""Rates from the words in which tools state them: Ethernet MAU types, InfiniBand width and speed, and `100G` in plans."""

from __future__ import annotations

import re

from inspectorate.mechanisms.interconnect.topology.graph import Fault, whole_rate
from inspectorate.mechanisms.interconnect.topology.reference import IB_LANE_BITS_PER_S

_MAU = re.compile(r"(?P<number>\d{1,4})(?P<half>p5)?(?P<giga>G(?:ig)?)?(?:1G)?(?:[Bb]ase|Pass|T\b)")
_TEN_MEGABIT = ("Foirl", "AUI")
_TEXT = re.compile(r"(?P<number>\d{1,16}(?:\.\d{1,9})?) ?(?P<scale>[kMGT]?)(?P<unit>|bit/s|b/s|bps|B/s)")
_SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def mau_bytes_per_s(text: str) -> int | None:
    """The rate of an operational MAU type as lldpd words it, such as `10GbaseT - Four-pair ...`; None if it has none.

    Of types with two rates (10G1Gbase...) the higher counts; half duplex counts as full: both are upper bounds.
    """
    if text.startswith(_TEN_MEGABIT):
        return 10_000_000 // 8
    found = _MAU.match(text)
    if found is None:
        return None
    number = int(found["number"]) + (0.5 if found["half"] else 0.0)
    bits = number * (1e9 if found["giga"] else 1e6)
    return whole_rate(bits / 8) if bits else None


def ib_bytes_per_s(width: str, speed: str) -> int | None:
    """The data rate of a link of a width such as `4x` and a speed such as `HDR`; None where either is unknown (`??`)."""
    lane = IB_LANE_BITS_PER_S.get(speed)
    if lane is None or not re.fullmatch(r"(?:1|2|4|8|12)x", width):
        return None
    return whole_rate(lane * int(width[:-1]) / 8)


def rate_of_text(text: str) -> int:
    """A rate in a plan, in bytes/s: `100G` and `100Gb/s` are bits, `12.5GB/s` are bytes. Raises `Fault`."""
    found = _TEXT.fullmatch(text)
    if found is None or not (found["scale"] or found["unit"]):
        raise Fault(f"{text[:40]!r} is no rate", remedy="write 100G, 100Gb/s or 12.5GB/s")
    value = float(found["number"]) * _SCALES[found["scale"]]
    return whole_rate(value if found["unit"] == "B/s" else value / 8)
