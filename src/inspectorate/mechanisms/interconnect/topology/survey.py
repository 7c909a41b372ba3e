"""What one survey says: who was asked, and what each port that answered sees at the other end.

A sighting is what one end says. It is not a wire yet: the other end may say otherwise, or nothing. Names are claims: LLDP and
the subnet manager pass on what a device says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.interconnect.topology.graph import Fault, check_name

SIGHTINGS_MAX = 200_000
NAMES_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What a device says it is, and which of its ports. The first name that a plan knows counts; else the first."""

    names: tuple[str, ...]
    ports: tuple[str, ...] = ()
    chassis: str | None = None
    """Its chassis id or GUID, in lower case: one device has one, whatever it calls itself."""
    one_chassis: bool = True
    """Whether two chassis under one name are two devices. A host of a subnet may have several adapters."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= NAMES_MAX or len(self.ports) > NAMES_MAX:
            raise Fault("has no name, or too many")
        for text in (*self.names, *self.ports, *([self.chassis] if self.chassis else [])):
            check_name(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One port sees another."""

    at: Claimed
    peer: Claimed
    bytes_per_s: int | None
    ttl_s: int | None = None
    """How long the peer may be gone before it is forgotten (LLDP); None where the wire itself was probed."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one command printed. A node in `asked` without a sighting saw nobody, which is not the same as not being asked."""

    source: str
    asked: tuple[Claimed, ...]
    sightings: tuple[Sighting, ...]
