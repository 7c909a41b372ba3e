"""The portfolio: which mechanism on which cluster, at least cost, so that no larger run can be hidden than an agreement allows.

It can say, within a model that is stated exactly (`model`):

- the cheapest choice within a bound, by a date, under what is refused, capped, delayed or struck out, and with any so many trust
  roots failing; every subgoal seen to by as many independent layers as are asked for;
- if there is none, which term is the cause, and how near one can come (`relax`);
- what access buys and what technology buys (`frontier`), and which figure of the catalogue decides (`sensitivity`).

It cannot say whether the figures are right: most costs and residuals are nobody's but ours, and are marked `assumed` in the
catalogue and in every answer. What people say has no figure in it. A plan is no verdict.

Who knows the catalogue gains nothing by it: the plan says what would be verified, and a cheater does best against the weakest of it
either way.
"""

from inspectorate.planning.portfolio.answer import ClusterPlan, Plan, plan_given, plan_of
from inspectorate.planning.portfolio.catalogue import (
    Case,
    Catalogue,
    Mechanism,
    Subgoal,
    load_catalogue,
    shipped_catalogue,
)
from inspectorate.planning.portfolio.fleet import Fleet, FleetCluster, example_fleet, fleet_of, load_fleet
from inspectorate.planning.portfolio.frontier import FrontierPoint, frontier
from inspectorate.planning.portfolio.model import FLEET, largest_run
from inspectorate.planning.portfolio.relax import WhyNot, why_not
from inspectorate.planning.portfolio.sensitivity import Swing, sensitivity
from inspectorate.planning.portfolio.solve import Choice, cheapest, tightest
from inspectorate.planning.portfolio.terms import Progress, Question, Requirement, bound_of, requirements_of

__all__ = [
    "FLEET", "Case", "Catalogue", "Choice", "ClusterPlan", "Fleet", "FleetCluster", "FrontierPoint", "Mechanism",
    "Plan", "Progress", "Question", "Requirement", "Subgoal", "Swing", "WhyNot", "bound_of", "cheapest",
    "example_fleet", "fleet_of", "frontier", "largest_run", "load_catalogue", "load_fleet", "plan_given", "plan_of",
    "requirements_of", "sensitivity", "shipped_catalogue", "tightest", "why_not",
]  # fmt: skip
