"""The catalogue of inspected worlds: sites under `inference-only-inspected`, honest or with one pod attacked, as data."""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.worlds.catalogue import WorldKind, WorldSpec
from inspectorate.worlds.inspection_cheats import INSPECTION_CHEATS, InspectionCheatKind

AGREEMENT = "inference-only-inspected"
HONEST = "honest-inspected"
_KINDS = {
    InspectionCheatKind.NOTICED: WorldKind.BROKEN,
    InspectionCheatKind.CAUGHT: WorldKind.CHEATING,
}

INSPECTED: MappingProxyType[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            WorldSpec(
                name=HONEST,
                kind=WorldKind.HONEST,
                description="a site drawn at large, whose pods keep transcripts and open what inspectors draw",
                agreement=AGREEMENT,
            ),
            *(
                WorldSpec(
                    name=attack.name,
                    kind=_KINDS[attack.kind],
                    description=attack.description,
                    agreement=AGREEMENT,
                    inspection=attack.name,
                )
                for attack in INSPECTION_CHEATS.values()
            ),
        )
    }
)
"""Every kind of inspected world by name."""
