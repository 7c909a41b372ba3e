"""Which pods, hours and sites to inspect next: a random plan, so that a prover who knows how it is made gains nothing.

    methods      what a look costs and finds (`methods.yaml`), where sites are: files that a user can edit
    places       what a review leaves open, by pod or site, and how much each part adds to the largest run
    game, build  the zero-sum game of hiding and looking; places that are alike are counted, not named
    adversary    the prover's best answer, with a bound; verifier: the best visit list, with a bound
    equilibrium  both in turn, to a mixture of visit lists and a certificate; marginals: the start of it; programs: HiGHS
    candidates   of several plans the one that is proved best; whole sites or pods, fine kinds or coarse
    compared     the greedy list and uniform chance, against a prover who knows them
    season       when to spend a quota over a year
    plan, types  all of it as one record; draw: a list out of it by a promised secret or a beacon, and the check

What it establishes: no choice of places gives a prover who knows the plan more than `gets_flop` undetected, in expectation,
if looks find with the stated powers. What it does not: the powers (assumed until measured), who moves what during 24 hours'
notice beyond what they say, runs by chips that nobody declared. Human sources are a reason to look: their leads set days
aside, and are no number here.

Sources: Kiekintveld, Jain, Tsai, Pita, Ordonez, Tambe, "Computing optimal randomized resource allocations for massive
security games", AAMAS 2009; McMahan, Gordon, Blum, ICML 2003 (double oracle); Avenhaus, Canty, "Compliance Quantified",
1996; Dresher, RAND RM-2972, 1962; Madow, Ann. Math. Stat. 20, 1949; Shavit, arXiv 2303.11341 (sampling of chips).
"""

from __future__ import annotations

from inspectorate.planning.inspections.draw import draw, faults_of, well_formed
from inspectorate.planning.inspections.methods import Methods, Sites, whereabouts
from inspectorate.planning.inspections.plan import Means, Reviewed, make_plan, quick_plan
from inspectorate.planning.inspections.types import InspectionDraw, InspectionPlan, Terms

__all__ = [
    "InspectionDraw",
    "InspectionPlan",
    "Means",
    "Methods",
    "Reviewed",
    "Sites",
    "Terms",
    "draw",
    "faults_of",
    "make_plan",
    "quick_plan",
    "well_formed",
    "whereabouts",
]
