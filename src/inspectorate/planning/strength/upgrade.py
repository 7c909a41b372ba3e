"""The cheapest upgrade of a regime: the portfolio, restricted to what is added.

What looked stays and costs nothing more; what did not look is not counted as there, though it may be bought (made to work).
Clusters are the pods of an account, each with the share that the account could not explain, or a fleet that somebody gives. Every
subgoal is then to be seen to by one independent layer more than the weakest has; with a bound, that as well.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic import Field

from inspectorate.account import Account
from inspectorate.agreement import Agreement
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.planning.portfolio.catalogue import Catalogue, Scope, Use
from inspectorate.planning.portfolio.fleet import Fleet, FleetCluster, h100_flop_per_s
from inspectorate.planning.portfolio.model import FLEET
from inspectorate.planning.portfolio.solve import cheapest
from inspectorate.planning.portfolio.terms import LAYERS_MAX, Question
from inspectorate.quantities import NonNegative

PODS_MAX = 2_000


def with_needs(standing: Collection[str], catalogue: Catalogue) -> tuple[str, ...]:
    """What stands, and what that needs: what works has what it needs."""
    return tuple(sorted(set(standing).union(*(catalogue.mechanism(name).needs for name in standing))))


class Upgrade(Record):
    """What to add."""

    layers: int = Field(description="independent layers that every subgoal then has")
    possible: bool
    cost: NonNegative | None = Field(description="a year, beyond what is there")
    currency: Identifier
    added: dict[Identifier, tuple[Text, ...]] = Field(description="mechanism -> where; the whole fleet as `fleet`")


def fleet_of_account(account: Account, standing: Collection[str], catalogue: Catalogue, agreement: Agreement) -> Fleet:
    """The pods of an account as clusters, with what looked at them, and what it left unexplained."""
    each = h100_flop_per_s(agreement) * agreement.utilisation.max * account.period.duration_s
    there = with_needs(standing, catalogue)
    by_scope = {scope: tuple(sorted(n for n in there if catalogue.mechanism(n).scope is scope)) for scope in Scope}
    return Fleet(
        id="reviewed",
        title="the pods of the review",
        clusters=tuple(
            FleetCluster(
                id=pod.pod,
                h100_equivalents=max(pod.capacity_flop / each, 1e-9),
                use=Use.INFERENCE,
                existing=by_scope[Scope.CLUSTER],
                hidden_share_now=min(1.0, pod.hidden_flop_max / pod.capacity_flop) if pod.capacity_flop else 1.0,
            )
            for pod in account.pods[:PODS_MAX]
        ),
        existing=by_scope[Scope.FLEET],
        notes=("uses are taken as inference: a review does not say them",),
    )


def upgrade_of(question: Question, strength: int) -> Upgrade:
    """The cheapest addition after which every subgoal has one independent layer more than `strength`."""
    layers = min(strength + 1, LAYERS_MAX)
    found = cheapest(question.but(layers=layers))
    added: dict[str, list[str]] = {}
    if found is not None:
        there = {FLEET: set(question.fleet.existing), **{one.id: set(one.existing) for one in question.fleet.clusters}}
        for place, names in found.chosen.items():
            for name in sorted(names - there[place]):
                added.setdefault(name, []).append(place or "fleet")
    return Upgrade(
        layers=layers,
        possible=found is not None,
        cost=None if found is None else found.cost,
        currency=question.catalogue.currency,
        added={name: tuple(places) for name, places in sorted(added.items())},
    )
