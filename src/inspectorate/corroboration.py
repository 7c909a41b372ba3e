"""What people said, held against what machines show: supported, contradicted, or untouched.

Rules:

- A lead touches assessments of the kinds of clause that would show what it speaks of (`TOUCHES`), of its pods and its time.
- *Supported*: the mean of their e-values reaches `SUPPORTING_E`, which for a lead about a party that complies happens at most
  once in so many times, whatever the dependence between them. Without an e-value an assessment counts as 1: no mechanism's own
  word supports. Their e-values are of all the time that they assess: support is of the place, and of the time only as far as
  both overlap.
- *Contradicted*: training of a stated size that does not fit into what the account leaves there; or assessments that are consistent
  for each of its pods and all of its time, of kinds that see every such act and not a sample (`SPEAKS_AGAINST`). It holds
  under their assumptions, which go along: sensors can be deceived, and somebody who says so is not refuted by them.
- *Untouched*: anything else. What was not observed just there and then is named: a gap where somebody points is worth a look.
- No figure comes of it for how far anybody is to be believed. What comes of it is a step of the ladder: support calls for a
  narrow intrusion, no touch for another look, contradiction for a question. Further steps are for people to ask for.

Source: Baker, Kulp, Marks, Brundage and Heim 2025 (arXiv 2507.15916), on the ambiguity ladder and on independent corroboration.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import Field

from inspectorate.account import Account
from inspectorate.agreement import ClauseKind
from inspectorate.assessment import Assessment, Lead, Verdict
from inspectorate.canonical import Record, Text
from inspectorate.evidence import Activity, Step
from inspectorate.statistics import merge_mean

_K = ClauseKind
TOUCHES: Final[Mapping[Activity, frozenset[ClauseKind]]] = MappingProxyType(
    {
        Activity.TRAINING: frozenset(
            {_K.APPROVED_WORKLOADS, _K.REPLAYED_WORK, _K.ACCOUNTED_FLOP, _K.LICENSED_WORK, _K.REVIEWED_CODE}
            | {_K.INTERCONNECT_LIMIT, _K.COORDINATED_EXCHANGE, _K.LOCK_STEP}
        ),
        Activity.OTHER_WORK: frozenset(
            {_K.APPROVED_WORKLOADS, _K.REPLAYED_WORK, _K.ACCOUNTED_FLOP, _K.LICENSED_WORK, _K.GUARDED_OPERATION}
        ),
        Activity.EXCHANGE: frozenset(
            {_K.INTERCONNECT_LIMIT, _K.POD_ISOLATION, _K.COORDINATED_EXCHANGE, _K.LOCK_STEP, _K.LIMIT_ENFORCED}
            | {_K.LOADING_WINDOWS}
        ),
        Activity.REWIRED: frozenset({_K.DECLARED_CABLING, _K.LIMIT_ENFORCED, _K.GUARDED_OPERATION}),
        # A pod above its limit was seen by its sensors: that they were deceived, it does not show.
        Activity.SENSORS_DECEIVED: frozenset({_K.SOUND_TELEMETRY}),
        Activity.RECORDS_CHANGED: frozenset({_K.REPLAYED_WORK, _K.ACCOUNTED_FLOP, _K.LICENSED_WORK}),
        Activity.OTHER_CODE: frozenset({_K.REVIEWED_CODE, _K.REPLAYED_WORK, _K.GUARDED_OPERATION}),
        Activity.UNDECLARED_CHIPS: frozenset(),
        Activity.SILENCED: frozenset(),
    }
)
"""Kinds of clause whose assessments would show the activity, if it was there to be seen."""

SPEAKS_AGAINST: Final[Mapping[Activity, frozenset[ClauseKind]]] = MappingProxyType(
    {Activity.REWIRED: frozenset({_K.DECLARED_CABLING})}
)
"""Kinds of clause which, where they are kept, leave no room for the activity. Of training only the account can say how much fits.
Replays leave room for a share that no draw met, and for work beside; flows for exchange through declared peers and relays, as
simulated sites show (`peer-cover`, `relayed`). Against deceived sensors no sensor speaks."""

SUPPORTING_E: Final = 20.0
"""The mean e-value from which machines support a lead: for a party that complies at most one lead in twenty (Markov). It
starts a look and no accusation, so it is far below any alarm; e > 10 is called strong (Jeffreys 1961, appendix B; Vovk and
Wang 2021, section 2)."""


class Standing(StrEnum):
    """How a lead stands to what machines show."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNTOUCHED = "untouched"


_CALLED_FOR: Final[Mapping[Standing, Step]] = MappingProxyType(
    {Standing.SUPPORTED: Step.INTRUDE, Standing.CONTRADICTED: Step.CLARIFY, Standing.UNTOUCHED: Step.FOCUS}
)
_LADDER: Final = tuple(Step)


class HeardLead(Record):
    """A lead, and what machines show of it."""

    lead: Lead
    standing: Standing
    by: tuple[Text, ...] = Field(default=(), description="the assessments and bounds that make it so")
    gaps: tuple[Text, ...] = Field(default=(), description="what machines did not see just there and then")
    assumptions: tuple[Text, ...] = Field(default=(), description="under which a contradiction holds")
    next_step: Step | None = Field(
        description="the furthest of what is asked for and what this calls for; none: closed"
    )


def corroborate(
    lead: Lead, assessments: Sequence[Assessment], account: Account, *, kinds: Mapping[str, ClauseKind]
) -> HeardLead:
    """Hold one lead against the assessments of a review. `kinds` gives the kind of each clause."""
    touching = [
        one for one in assessments if kinds.get(one.clause) in TOUCHES[lead.activity] and _overlaps(lead, one, account)
    ]
    supporting = _supporting(touching)
    gaps = tuple(_line(one) for one in touching if one.verdict in (Verdict.NOT_OBSERVED, Verdict.INVALID_EVIDENCE))
    if supporting:
        standing = Standing.SUPPORTED
        by: tuple[str, ...] = tuple(_line(one) for one in supporting)
        assumptions: tuple[str, ...] = ()
    else:
        by, assumptions = _contradiction(lead, touching, account, kinds)
        standing = Standing.CONTRADICTED if by else Standing.UNTOUCHED
    asked = max(lead.step, _CALLED_FOR[standing], key=_LADDER.index)
    return HeardLead(
        lead=lead,
        standing=standing,
        by=by,
        gaps=gaps,
        assumptions=assumptions,
        next_step=None if lead.closing else asked,
    )


def _supporting(touching: Sequence[Assessment]) -> list[Assessment]:
    """Those that make up the support, the strongest first; none if together they do not support."""
    values = [0.0 if one.log_e is None else one.log_e for one in touching]
    if not values or merge_mean(values) < math.log(SUPPORTING_E):
        return []
    strong = [one for one in touching if one.log_e is not None and one.log_e >= math.log(SUPPORTING_E)]
    return sorted(strong, key=lambda one: -(one.log_e or 0.0))


def _contradiction(
    lead: Lead, touching: Sequence[Assessment], account: Account, kinds: Mapping[str, ClauseKind]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What contradicts the lead, and under which assumptions; nothing if nothing does."""
    if lead.activity is Activity.TRAINING:
        fits = _fits(lead, account)
        if lead.flop_min is None or fits >= lead.flop_min:
            return (), ()
        text = (
            f"account: at most {fits:.3g} FLOP of undeclared training fit there at {account.confidence:.3%} confidence,"
            f" and at least {lead.flop_min:.3g} are spoken of"
        )
        return (text,), account.assumptions
    against = SPEAKS_AGAINST.get(lead.activity, frozenset())
    speaking = [one for one in touching if kinds[one.clause] in against]
    if not speaking or not lead.pods or lead.period is None:
        return (), ()
    if any(one.verdict is not Verdict.CONSISTENT for one in speaking):
        return (), ()
    if not all(_covered(pod, lead.period.start, lead.period.end, speaking) for pod in lead.pods):
        return (), ()
    assumed = tuple(dict.fromkeys(text for one in speaking for text in one.assumptions))
    return tuple(_line(one) for one in speaking), assumed


def _fits(lead: Lead, account: Account) -> float:
    """The undeclared training [FLOP] that the account leaves there: the smaller of the bounds on pods and on time. Without bound
    where the account does not speak of the pods or of the time."""
    period, known = lead.period, {one.pod: one.hidden_flop_max for one in account.pods}
    if period is None or period.start < account.period.start or period.end > account.period.end:
        return math.inf
    if not set(lead.pods) <= set(known):
        return math.inf
    there = [one for one in account.series if one.period.start < period.end and period.start < one.period.end]
    of_time = math.fsum(one.hidden_flop_max for one in there)
    of_pods = math.fsum(known[pod] for pod in set(lead.pods) or known)
    return min(of_time, of_pods if lead.pods else of_pods + (account.elsewhere_flop_max or 0.0))


def _overlaps(lead: Lead, one: Assessment, account: Account) -> bool:
    period = lead.period or account.period
    there = not lead.pods or bool(set(lead.pods) & set(one.scope.pods))
    return there and one.scope.period.start < period.end and period.start < one.scope.period.end


def _covered(pod: str, start: datetime, end: datetime, among: Collection[Assessment]) -> bool:
    """Whether assessments of one pod cover the time without a hole."""
    reached = start
    for one in sorted((one for one in among if pod in one.scope.pods), key=lambda one: one.scope.period.start):
        if one.scope.period.start > reached:
            return False
        reached = max(reached, one.scope.period.end)
    return reached >= end


def _line(one: Assessment) -> str:
    return f"{one.clause} ({one.mechanism}, {', '.join(one.scope.pods)}): {one.verdict.value}: {one.reasons[0]}"
