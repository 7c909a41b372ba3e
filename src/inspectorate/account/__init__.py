"""The account: how much training could be hidden, and the largest single run that fits into it.

Definitions. A *cell* is one pod in one interval. Its capacity K [FLOP] is the pod's peak rate, as the agreement counts
it, times the utilisation with which a cheater is credited, times the length of the interval. An assessment may bound the
undeclared training in some cells; each bound rests on one statistical *statement* with a miss probability.

Rules, in the order of the code:

1. Nothing defaults to less: a cell without a usable bound holds its whole capacity. A bound serves a cell only if its
   scope covers the whole interval.
2. The statements used, counted once each however many cells they serve, have miss probabilities that sum to at most
   1 - confidence (union bound; nothing is assumed independent). Which to use is chosen to make the result small: exactly
   where the search ends within its allowance, else the result is still an upper bound, and says so. A choice among more than fit
   together is made by what they say, which the union bound does not cover: the account names it among its assumptions.
3. A single run may pool pods, and it may move (a slow link still hands the state of a run over once), so which pod leads is
   open anew in every interval. It gives all of its cell; a further pod at most its contribution under a verified limit, and
   all of its cell where no limit is verified. Contributions hold for pods at full rate, and never make less of a cell that
   other evidence holds below it than full rate would (`largest_run`).
4. Where a clause asks where chips are (`Outside`), what may be elsewhere is added in full: bounds and limits of pods hold only
   for chips that are in them (`elsewhere`). No count: all may be elsewhere, and the run is all capacity.
5. The result is the largest hidden run, with what it rests on; beside it the largest run of post-training (`Joining`).
6. What would help most: for each pod and each basis of its cells, how far the result falls if those were explained.

The sum is over the whole period: a run in a part of it is never larger. Checked by exhaustive search in tests/account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inspectorate.account.choice import choose
from inspectorate.account.ground import collect, lay_ground
from inspectorate.account.helping import NO_EVIDENCE, series, what_helps
from inspectorate.account.largest import bounded, largest_run
from inspectorate.account.types import Account, AccountPoint, Help, PodShare, StatementUsed
from inspectorate.assessment import Assessment
from inspectorate.errors import InputError
from inspectorate.quantities import Period

CHOSEN_BY_WHAT_THEY_SAY = (
    "statements were chosen among more than the confidence allows together, after what they say was known: it is the confidence of "
    "those that were chosen, as if they had been chosen before"
)
"""Assumed where statements that would fit by themselves were left out: the best of many is wrong more often than any one."""

__all__ = [
    "CHOSEN_BY_WHAT_THEY_SAY",
    "NO_EVIDENCE",
    "Account",
    "AccountPoint",
    "Help",
    "PodShare",
    "StatementUsed",
    "take_account",
]


def take_account(
    assessments: Iterable[Assessment],
    *,
    capacities: Mapping[str, float],
    period: Period,
    interval_s: float,
    confidence: float,
) -> Account:
    """The account of a period (rules in the module's docstring).

    `capacities` gives, per pod, the FLOP/s with which a cheater is credited: peak rate times utilisation.
    Raises `InputError` if there are no pods or too many cells.
    """
    if not capacities:
        raise InputError("no pods are declared, so there is nothing to account for")
    ground = lay_ground(capacities, period, interval_s)
    statements = collect(assessments, ground)
    chosen, exact = choose(statements, ground, budget=1 - confidence)
    open_ = bounded(chosen, ground)
    assumptions = {text for statement in chosen for text in statement.assumptions}
    if any(s not in chosen and s.miss_probability <= 1 - confidence for s in statements):
        assumptions.add(CHOSEN_BY_WHAT_THEY_SAY)
    _, joined = largest_run(open_.joins, open_.hidden, open_.capacity)
    return Account(
        period=period,
        interval_s=interval_s,
        confidence=confidence,
        capacity_flop=float(ground.capacity.sum()),
        hidden_flop_max=open_.run_flop,
        elsewhere_flop_max=float(open_.elsewhere.sum()) if ground.asked.any() else None,
        post_training_flop_max=bounded(chosen, ground, post_training=True).run_flop,
        exact=exact,
        statements=tuple(
            StatementUsed(statement=s.id, miss_probability=s.miss_probability)
            for s in sorted(chosen, key=lambda s: s.id)
        ),
        pods=tuple(
            PodShare(
                pod=pod,
                capacity_flop=float(ground.capacity[row].sum()),
                hidden_flop_max=float(open_.hidden[row].sum()),
                joined_flop_max=float(joined[row]),
            )
            for row, pod in enumerate(ground.pods)
        ),
        series=series(ground, open_),
        help=what_helps(ground, chosen, open_),
        assumptions=tuple(sorted(assumptions)),
    )
