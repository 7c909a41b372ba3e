"""The catalogue of worlds with custody of chips: sites under `inference-only-kept`, honest or with one thing wrong, as data."""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.worlds.catalogue import WorldKind, WorldSpec
from inspectorate.worlds.custody_cheats import CUSTODY_CHEATS
from inspectorate.worlds.site import SiteSpec

AGREEMENT = "inference-only-kept"
HONEST = "honest-kept"
SITE = SiteSpec(durations_s=(600,), pods=(4, 5))
"""Ten minutes: the thresholds of the agreement are set for such sites."""

KEPT: MappingProxyType[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            WorldSpec(
                name=HONEST,
                kind=WorldKind.HONEST,
                description="two sites with a register, counts, seals, cameras, located devices and a challenge inspection",
                site=SITE,
                agreement=AGREEMENT,
            ),
            *(
                WorldSpec(
                    name=attack.name,
                    kind=WorldKind.CHEATING if attack.by_party else WorldKind.BROKEN,
                    description=attack.description,
                    site=SITE,
                    agreement=AGREEMENT,
                    custody=attack.name,
                )
                for attack in CUSTODY_CHEATS.values()
            ),
        )
    }
)
"""Every kind of world with custody of chips by name."""
