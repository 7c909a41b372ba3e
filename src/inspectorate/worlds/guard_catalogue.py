"""The catalogue of guarded worlds: sites under `inference-only-guarded`, honest or with one processor attacked, as data.

They stand apart from the catalogue of traffic: every cheat and fault of that one can be put behind processors as well, and its
rates are those of other clauses. `inspectorate worlds make` and `build_world` know both.
"""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.worlds.catalogue import WorldKind, WorldSpec
from inspectorate.worlds.guard_cheats import GUARD_CHEATS, GuardCheatKind

AGREEMENT = "inference-only-guarded"
HONEST = "honest-guarded"
_KINDS = {
    GuardCheatKind.REFUSED: WorldKind.HONEST,
    GuardCheatKind.NOTICED: WorldKind.BROKEN,
    GuardCheatKind.SUBVERTED: WorldKind.CHEATING,
}

GUARDED: MappingProxyType[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            WorldSpec(
                name=HONEST,
                kind=WorldKind.HONEST,
                description="a site drawn at large, with a guarantee processor before every pod",
                agreement=AGREEMENT,
            ),
            *(
                WorldSpec(
                    name=attack.name,
                    kind=_KINDS[attack.kind],
                    description=attack.description,
                    agreement=AGREEMENT,
                    guard=attack.name,
                )
                for attack in GUARD_CHEATS.values()
            ),
        )
    }
)
"""Every kind of guarded world by name."""
