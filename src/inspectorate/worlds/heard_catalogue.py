"""The catalogue of worlds with human sources: sites under `inference-only-heard`, honest or with one thing wrong, as data."""

from __future__ import annotations

from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.worlds.catalogue import AT_LARGE, CATALOGUE, WorldKind, WorldSpec
from inspectorate.worlds.heard_cheats import HEARD_CHEATS, HeardAttack

AGREEMENT = "inference-only-heard"
HONEST = "honest-heard"


def _kind(attack: HeardAttack) -> WorldKind:
    """Where pods comply, and every statement counts, an alarm is false, whatever people said."""
    if attack.cheat is not None:
        return WorldKind.CHEATING
    sound = attack.verdict in (Verdict.CONSISTENT, Verdict.INCONCLUSIVE)
    return WorldKind.HONEST if sound else WorldKind.BROKEN


HEARD: MappingProxyType[str, WorldSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            WorldSpec(
                name=HONEST,
                kind=WorldKind.HONEST,
                description="a site drawn at large, with an intake, visits and interviews, and a lead that was explained",
                agreement=AGREEMENT,
            ),
            *(
                WorldSpec(
                    name=attack.name,
                    kind=_kind(attack),
                    description=attack.description,
                    site=CATALOGUE[attack.cheat].site if attack.cheat else AT_LARGE,
                    agreement=AGREEMENT,
                    cheat=attack.cheat,
                    heard=attack.name,
                )
                for attack in HEARD_CHEATS.values()
            ),
        )
    }
)
"""Every kind of world with human sources by name."""
