"""Draw from a plan by a seed that nobody could choose, and check a draw.

    seed     = SHA-256(label, entropy, digest of the plan's canonical bytes)            `drawing.ranks`
    list     = the first whose cumulated weight exceeds `uniform_below(seed, 0, sum of weights)`
    places   = of each kind in the list, the first n by rank, under SHA-256(PLACES_LABEL, seed, digest of the kind's number)

Fair is a draw where the entropy was fixed before the plan could be shaped to it, and unknown while it could:

- Promise: the verifier hands over the digest of a secret and of the plan's `Terms` before the prover hands over its evidence. The
  terms hold all that the plan depends on beside the review: days, visits, what a place is, leads that are followed, methods,
  sites, the year and the effort of the search. So whoever knows the secret can change nothing but by the review, and anyone
  with review and terms can make the plan again (`verify --review`).
- Beacon: the plan names the time from which the first round draws, and its digest is handed over before that.
- What is left to trust: that the digest was handed over in time. The ledger shows it (`inspectorate ledger`), where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from inspectorate.canonical import digest_of
from inspectorate.drawing.beacon import round_verifies
from inspectorate.drawing.chain import Chain
from inspectorate.drawing.chains import CHAINS
from inspectorate.drawing.ranks import first_by_rank, seed_from, uniform_below
from inspectorate.drawing.sources import DrandRound, Randomness, seed_of
from inspectorate.planning.inspections.types import DrawnLook, InspectionDraw, InspectionPlan, Terms

PLACES_LABEL: Final = b"inspectorate/plan/inspections/places/v1\0"


def draw(plan: InspectionPlan, randomness: Randomness[Terms]) -> InspectionDraw:
    """The visit list of a plan under this randomness."""
    plan_digest = digest_of(plan.canonical_bytes())
    return draw_by_seed(plan, seed_of(randomness, plan_digest), plan_digest)


def draw_by_seed(plan: InspectionPlan, seed: bytes, plan_digest: str) -> InspectionDraw:
    point = uniform_below(seed, 0, sum(one.weight for one in plan.lists))
    number = 0
    while point >= plan.lists[number].weight:
        point -= plan.lists[number].weight
        number += 1
    chosen = plan.lists[number]
    looks: list[DrawnLook] = []
    for entry in chosen.entries:
        kind = plan.kinds[entry.kind]
        own = seed_from(PLACES_LABEL, seed, "sha256:" + hashlib.sha256(str(entry.kind).encode()).hexdigest())
        drawn = sorted(first_by_rank(own, len(kind.places), entry.number))
        method = kind.looks[entry.look].method
        looks += [DrawnLook(place=kind.places[place], site=kind.site, method=method) for place in drawn]
    return InspectionDraw(
        plan=plan_digest, list_number=number, looks=tuple(looks), days=chosen.days, visits=chosen.visits
    )


def faults_of(
    plan: InspectionPlan,
    randomness: Randomness[Terms],
    *,
    promised: str | None,
    chains: Mapping[str, Chain] = CHAINS,
) -> tuple[str, ...]:
    """Why this randomness may not draw from this plan: none, if it may. `promised` is the digest that was handed over before."""
    source = randomness.source
    found = []
    if randomness.selection != plan.terms:
        found.append("the plan has other terms than were fixed with the randomness")
    if isinstance(source, DrandRound):
        if promised is not None:
            found.append("a promise was made, and a beacon was used instead")
        found += _beacon_faults(plan, source, chains)
    elif promised is None:
        found.append("the digest of the promise is needed, as it was handed over before")
    elif promised != source.promise.digest:
        found.append("the revealed secret and terms were not promised")
    return tuple(found)


def _beacon_faults(plan: InspectionPlan, source: DrandRound[Terms], chains: Mapping[str, Chain]) -> list[str]:
    chain, at = chains.get(source.chain), plan.terms.draw_at
    if chain is None:
        return [f"the chain {source.chain[:12]}… is not believed"]
    if at is None:
        return ["the plan names no time from which a round draws"]
    found, expected = [], chain.round_from(at)
    if source.round != expected:
        found.append(f"round {source.round}, where the plan gives {expected}")
    if not round_verifies(chain, source.round, source.signature):
        found.append(f"the signature is not that of round {source.round} of {chain.name}")
    if source.received_at >= chain.time_of(expected):
        found.append("the plan was received when its round was known")
    return found


def well_formed(plan: InspectionPlan) -> tuple[str, ...]:
    """What in a plan does not fit together; a plan comes from a file."""
    found = []
    for place, one in enumerate(plan.lists):
        for entry in one.entries:
            if entry.kind >= len(plan.kinds) or entry.look >= len(plan.kinds[entry.kind].looks):
                found.append(f"list {place} names a kind or a look that is not there")
            elif entry.number > len(plan.kinds[entry.kind].places):
                found.append(f"list {place} looks at more places than there are")
        if len({entry.kind for entry in one.entries}) != len(one.entries):
            found.append(f"list {place} names a kind twice")
        if one.days > plan.terms.days * (1 + 1e-9) or one.visits > plan.terms.visits_left:
            found.append(f"list {place} takes more than the terms allow")
    if not plan.lists:
        found.append("there are no lists")
    return tuple(found)
