"""The records of a plan of inspections: what is printed, drawn from, and verified."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.planning.inspections.season import WEEKS_MAX
from inspectorate.quantities import NonNegative, Period, Share, Time

PLACES_MAX = 50_000
LISTS_MAX = 5_000
FOLLOW_MAX = 100
_Count = Annotated[int, Field(ge=0, le=10**9)]


class PlanLook(Record):
    """One way to look at each place of a kind."""

    method: Identifier
    power: Share
    days: NonNegative


class PlanKind(Record):
    """Places that are alike, in the order in which a draw numbers them."""

    name: Text
    places: tuple[Text, ...] = Field(min_length=1, max_length=PLACES_MAX)
    site: Text | None = Field(default=None, description="none: each place at a site of its own, or at no site")
    hidden_flop: NonNegative = Field(description="of the place that holds most")
    run_without_flop: NonNegative = Field(description="the largest hidden run if that place were explained")
    periods: tuple[Period, ...] = Field(max_length=1_000, description="the hours in question, of the first place")
    basis: tuple[Text, ...]
    looks: tuple[PlanLook, ...]
    chance: Share = Field(description="that a given place is looked at")


class PlanEntry(Record):
    """So many places of a kind are looked at, in one way."""

    kind: _Count
    look: _Count
    number: Annotated[int, Field(ge=1, le=PLACES_MAX)]


class PlanList(Record):
    """One visit list with its weight."""

    weight: Annotated[int, Field(ge=1, le=10**9)]
    entries: tuple[PlanEntry, ...]
    days: NonNegative
    visits: _Count


class GreedyRow(Record):
    place: Text
    method: Identifier
    days: NonNegative
    run_after_flop: NonNegative
    falls_per_day_flop: NonNegative


class SensitivityRow(Record):
    """What the plan is worth if powers are not what was assumed."""

    what: Text
    gets_flop: NonNegative = Field(description="by the best use of places that was found")
    at_most_flop: NonNegative


class LeadRow(Record):
    """What people said that is a reason to look, without any figure for belief."""

    lead: Identifier
    pods: tuple[Identifier, ...]
    step: Text
    standing: Text
    followed: bool = Field(description="whether days were set aside to look there in any case")


class FollowedLook(Record):
    """A look in any case. Kept from whoever may not learn that somebody spoke."""

    place: Text
    method: Identifier
    days: NonNegative
    power: Share


class SeasonRow(Record):
    weeks: _Count
    visits: _Count
    value_flop: NonNegative
    first_week: tuple[Share, ...]
    all_early_flop: NonNegative
    known_even_flop: NonNegative
    random_weeks_flop: NonNegative


class Terms(Record):
    """All that is fixed before, and all that the plan depends on beside the review. A promise covers it."""

    days: NonNegative
    visits_left: _Count
    probability: Share
    methods: Digest
    by: Literal["auto", "pod", "site"] = Field(
        default="auto", description="what a place is; auto: what is proved better"
    )
    follow: tuple[Identifier, ...] = Field(
        default=(), max_length=FOLLOW_MAX, description="leads to look after in any case"
    )
    people_days: NonNegative = Field(default=0.0, description="inspector-days set aside for hearing people")
    weeks_left: Annotated[int, Field(ge=0, le=WEEKS_MAX)] = Field(
        default=0, description="of the year of the quota; 0: no year"
    )
    effort: Literal["full", "quick"] = Field(default="full", description="how far the plan is searched")
    sites: Digest | None = Field(
        default=None, description="of the file of sites and the declaration; none: no site is known"
    )
    draw_at: Time | None = Field(default=None, description="with a beacon: its first round from then on draws")


class InspectionPlan(Record):
    """An answer within a model. The largest hidden run itself stays the account's."""

    version: Literal[1] = 1
    review: Digest
    party: Identifier
    period: Period
    simulated: bool
    run_flop: NonNegative
    terms: Terms
    by_site: bool
    gets_flop: NonNegative = Field(
        description="what a prover who knows the plan, not the draw, can expect to train unseen"
    )
    gets_found_flop: NonNegative = Field(description="what the best use of places that was found gets")
    gets_flop_least: NonNegative = Field(description="no plan over these places within these means holds it below")
    gap: Share
    rounds: _Count
    coarseness: NonNegative = Field(description="how much more one place of a kind may count than another; 1: alike")
    run_if_clean_flop: NonNegative = Field(description="the largest run expected to stay if all looks find nothing")
    found_chance: Share = Field(description="that the run is found which uses the places that suit the prover best")
    found_from_flop: NonNegative | None = Field(
        default=None, description="runs from this size are found with `probability`"
    )
    probability: Share
    kinds: tuple[PlanKind, ...]
    lists: tuple[PlanList, ...] = Field(max_length=LISTS_MAX)
    greedy: tuple[GreedyRow, ...]
    greedy_gets_flop: NonNegative
    greedy_at_most_flop: NonNegative
    uniform_gets_flop: NonNegative
    uniform_at_most_flop: NonNegative
    nothing_gets_flop: NonNegative
    sensitivity: tuple[SensitivityRow, ...]
    season: SeasonRow | None = None
    leads: tuple[LeadRow, ...]
    followed: tuple[FollowedLook, ...]
    assumed: tuple[Text, ...] = Field(description="figures that are nobody's but ours")
    notes: tuple[Text, ...]


class DrawnLook(Record):
    """One look that was drawn."""

    place: Text
    site: Text | None = None
    method: Identifier


class InspectionDraw(Record):
    """What a seed drew from a plan, with all that is needed to draw again."""

    version: Literal[1] = 1
    plan: Digest
    list_number: _Count
    looks: tuple[DrawnLook, ...]
    days: NonNegative
    visits: _Count
