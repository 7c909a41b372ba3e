"""The catalogue of worlds: every kind of simulated site by name, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from inspectorate.worlds.cheats import CHEATS
from inspectorate.worlds.faults import FAULTS
from inspectorate.worlds.site import SiteSpec

AT_LARGE = SiteSpec()
"""The site that cheats and faults are put into: drawn from all that `model` allows, without loss of datagrams."""


class WorldKind(StrEnum):
    HONEST = "honest"
    """Complies, with sound sensors: any alarm is false."""
    CHEATING = "cheating"
    """Breaks the agreement, with sound sensors."""
    BROKEN = "broken"
    """Complies, with a broken or tampered sensor: an alarm is false, and saying nothing of the sensor is a miss."""


@dataclass(frozen=True, kw_only=True)
class WorldSpec:
    """A kind of world. `cheat`, `fault` and `guard` are names in their registries."""

    name: str
    kind: WorldKind
    description: str
    site: SiteSpec = AT_LARGE
    cheat: str | None = None
    fault: str | None = None
    guard: str | None = None
    """What is done to one guarantee processor (`guard_cheats`)."""
    inspection: str | None = None
    """What is done to the transcripts of one pod, or to what inspectors make of them (`inspection_cheats`)."""
    heard: str | None = None
    """What is done to human sources, or what they say (`heard_cheats`)."""
    custody: str | None = None
    """What is done with chips, or with what is said of them (`custody_cheats`)."""
    agreement: str = "inference-only"
    """The shipped agreement of the site, unless another is given."""


_HONEST = (
    WorldSpec(
        name="honest",
        kind=WorldKind.HONEST,
        description="a site drawn at large: any load, any balance, idle pods, a declared pipeline or none",
        site=SiteSpec(loss=None),
    ),
    WorldSpec(
        name="honest-crowds",
        kind=WorldKind.HONEST,
        description="requests dealt to the pods in turn under flash crowds: all pods rise and fall as one",
        site=SiteSpec(balanced=True, crowds=(2, 4), utilisation=(0.15, 0.5), idle_share=0.0),
    ),
    WorldSpec(
        name="honest-near-limit",
        kind=WorldKind.HONEST,
        description="more is asked than is admitted: every pod stands at 95 to 97 % of the limit for minutes",
        site=SiteSpec(utilisation=(1.2, 2.0), peak_share=(0.95, 0.97), idle_share=0.0),
    ),
    WorldSpec(
        name="honest-idle",
        kind=WorldKind.HONEST,
        description="hardly anybody asks: canaries and health checks, in step at all pods",
        site=SiteSpec(utilisation=(0.01, 0.05), idle_share=0.5),
    ),
    WorldSpec(
        name="honest-pipeline",
        kind=WorldKind.HONEST,
        description="two declared pairs of pods hand work to each other all the time",
        site=SiteSpec(pods=(5, 6), pipelines=(2, 2)),
    ),
    WorldSpec(
        name="honest-lossy",
        kind=WorldKind.HONEST,
        description="exporters lose a few datagrams in a thousand, as the sequence numbers show",
        site=SiteSpec(loss=True),
    ),
)

_SITE_OF_CHEAT = {"peer-cover": SiteSpec(pipelines=(1, 1))}
_SITE_OF_FAULT = {
    "wrong-sampling-rate": SiteSpec(pods=(6, 6)),
}

CATALOGUE: MappingProxyType[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            *_HONEST,
            *(
                WorldSpec(
                    name=cheat.name,
                    kind=WorldKind.CHEATING,
                    description=cheat.description,
                    site=_SITE_OF_CHEAT.get(cheat.name, AT_LARGE),
                    cheat=cheat.name,
                )
                for cheat in CHEATS.values()
            ),
            *(
                WorldSpec(
                    name=fault.name,
                    kind=WorldKind.BROKEN,
                    description=fault.description,
                    site=_SITE_OF_FAULT.get(fault.name, AT_LARGE),
                    fault=fault.name,
                )
                for fault in FAULTS.values()
            ),
        )
    }
)
"""Every kind of world by name."""


def names_of(kind: WorldKind) -> tuple[str, ...]:
    """The names of all worlds of a kind, in the order of the catalogue."""
    return tuple(name for name, spec in CATALOGUE.items() if spec.kind is kind)
