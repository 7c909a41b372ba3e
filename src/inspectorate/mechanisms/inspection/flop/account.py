"""The account of one run: facts, the sources made of them, and how they join. The subject `account` of a `FlopAccounted`.

Rules:

- The record holds the facts and who stands for each. Sources and the joint range are made of the facts by the functions here, and
  the judge makes them again: what does not come out the same is no account.
- A source is as good as the weakest of its facts. A model that was run again from committed weights, code that was read, an amount
  of work that a sample confirmed are the verifier's facts; before that they are the prover's.
- The chips are those of the declaration; that there are no others is for other mechanisms to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, ValidationError

from inspectorate.canonical import Identifier, Record, first_fault
from inspectorate.errors import InputError
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.facts import Facts, Replayed, Terms, Traced
from inspectorate.mechanisms.inspection.flop.implied import by_energy, by_energy_if_training, by_time
from inspectorate.mechanisms.inspection.flop.reference import SOURCES_MAX, SPARSE_FACTOR
from inspectorate.mechanisms.inspection.flop.rule import Counted, Rule
from inspectorate.mechanisms.inspection.flop.signs import CONTRADICTING, Sign, signs_of
from inspectorate.mechanisms.inspection.flop.triangulate import Joined, Scope, Source, SourceKind, join
from inspectorate.mechanisms.inspection.flop.work import Does, Recompute, by_rule_of_thumb, counted_range
from inspectorate.quantities import Share

TRAINING_ENERGY = "all energy of the chips went into training, at 15 % of peak or more"


REPLAYED = "replayed"
"""The source that rests on running drawn packets again."""


class FlopAccount(Record):
    """The payload of a `FlopAccounted`."""

    claim: Identifier
    run: Identifier
    facts: Facts
    counted_formats: tuple[Identifier, ...] = Field(min_length=1, max_length=64)
    utilisation_max: Annotated[float, Field(gt=0, le=1)]
    disagreement_share_max: Share
    sources: tuple[Source, ...] = Field(min_length=1, max_length=SOURCES_MAX)
    joined: Joined
    counted: Counted | None = Field(default=None, description="both counts of the rule, of the most trusted trace")
    signs: tuple[Sign, ...] = Field(default=(), max_length=64)

    @property
    def flop_min(self) -> float:
        return self.joined.verified.low

    @property
    def flop_max(self) -> float:
        """Time always bounds it."""
        if self.joined.verified.high is not None:
            return self.joined.verified.high
        return max(one.high or 0.0 for one in self.sources if one.kind is SourceKind.TIME)

    @property
    def contradicted(self) -> bool:
        return bool(self.joined.contradictions) or any(sign.kind in CONTRADICTING for sign in self.signs)


def make_account(claim: str, run: str, facts: Facts, terms: Terms) -> FlopAccount:
    """The account that these facts give. Raises `InputError` on figures so large that they give no range."""
    try:
        return _account(claim, run, facts, terms)
    except (ValidationError, OverflowError) as fault:
        why = first_fault(fault) if isinstance(fault, ValidationError) else str(fault)
        raise InputError(
            f"the facts give no account: {why}", where=f"run {run}", remedy="correct their figures"
        ) from None


def _account(claim: str, run: str, facts: Facts, terms: Terms) -> FlopAccount:
    sources = sources_of(facts, terms)
    best = min(facts.traces, key=lambda one: one.by is Holder.PROVER, default=None)
    return FlopAccount(
        claim=claim,
        run=run,
        facts=facts,
        counted_formats=terms.counted_formats,
        utilisation_max=terms.utilisation_max,
        disagreement_share_max=terms.disagreement_share_max,
        sources=sources,
        joined=join(sources, disagreement_share_max=terms.disagreement_share_max),
        counted=None if best is None else best.totals.counted(terms.rule),
        signs=signs_of(facts),
    )


def sources_of(facts: Facts, terms: Terms) -> tuple[Source, ...]:
    """One source for each fact that says something of FLOP."""
    rule, seconds = terms.rule, facts.period.duration_s
    # Dense shapes of 2:4 sparse products may be twice what a chip rated without sparsity does.
    sparse = SPARSE_FACTOR if _is_sparse(facts) else 1.0
    most = by_time(facts.chips, seconds, rule, terms.utilisation_max) * sparse
    found = [
        Source(id="time", kind=SourceKind.TIME, scope=Scope.ALL, holder=Holder.VERIFIER, low=0.0, high=most,
               rests_on=("chips", "period"))
    ]  # fmt: skip
    if facts.declared_flop is not None:
        found.append(
            Source(id="declared", kind=SourceKind.DECLARED, scope=Scope.WORK, holder=Holder.PROVER,
                   low=facts.declared_flop, high=facts.declared_flop, rests_on=("prover-word",),
                   recomputation_open=not _counts_recomputation(facts))
        )  # fmt: skip
    found += _of_description(facts, rule)
    found += [_of_trace(one, rule) for one in facts.traces]
    if facts.replayed is not None and facts.replayed.stated_of_drawn > 0:
        found.append(_of_replay(facts.replayed))
    found += [
        Source(id=f"metered.{one.meter}", kind=SourceKind.METERED, scope=Scope.ALL, holder=one.holder, low=one.low,
               high=one.high, rests_on=(f"meter.{one.meter}",))
        for one in facts.metered
    ]  # fmt: skip
    return tuple(found + _of_energy(facts, rule, sparse))[:SOURCES_MAX]


def _of_description(facts: Facts, rule: Rule) -> list[Source]:
    if facts.described is None:
        return []
    by = facts.described
    holder = weakest(by.models_by, by.amount_by)
    low, high = counted_range(by.work, rule)
    thumb_low, thumb_high = by_rule_of_thumb(by.work, rule)
    return [
        Source(id="analytic", kind=SourceKind.ANALYTIC, scope=Scope.WORK, holder=holder, low=low, high=high,
               rests_on=("amount", "models"), recomputation_open=False),
        Source(id="rule-of-thumb", kind=SourceKind.RULE, scope=Scope.WORK, holder=holder, low=min(thumb_low, low),
               high=max(thumb_high, high), rests_on=("amount", "models")),
    ]  # fmt: skip


def _of_trace(one: Traced, rule: Rule) -> Source:
    counted = one.totals.counted(rule)
    return Source(
        id=f"traced.{one.by.value}",
        kind=SourceKind.TRACED,
        scope=Scope.WORK,
        holder=one.by,
        low=counted.low,
        high=None if one.totals.uncounted else counted.high,
        rests_on=(f"trace.{one.by.value}",),
    )


def _of_replay(one: Replayed) -> Source:
    """What is stated of all packets, corrected by what counting again gave, less what may be dirty."""
    corrected = one.stated_flop * one.counted_of_drawn / one.stated_of_drawn
    return Source(
        id=REPLAYED,
        kind=SourceKind.REPLAYED,
        scope=Scope.WORK,
        holder=Holder.VERIFIER,
        low=corrected * (1 - one.dirty_share_max),
        high=corrected,
        rests_on=("commitment", "replay"),
    )


def _of_energy(facts: Facts, rule: Rule, sparse: float) -> list[Source]:
    found = []
    trains = facts.described is not None and facts.described.work.trains
    for one in facts.energy:
        most = by_energy(facts.chips, facts.period.duration_s, rule, one)
        if most is None:
            continue
        least = by_energy_if_training(facts.chips, rule, one) if trains else 0.0
        found.append(
            Source(id=f"energy.{one.meter}", kind=SourceKind.ENERGY, scope=Scope.ALL, holder=one.holder, low=0.0,
                   high=most * sparse, rests_on=(f"meter.{one.meter}",))
        )  # fmt: skip
        if 0 < least <= most * sparse:
            found.append(
                Source(id=f"energy-if-training.{one.meter}", kind=SourceKind.ENERGY, scope=Scope.ALL, holder=one.holder,
                       low=least, high=None, rests_on=(f"meter.{one.meter}",), assumes=(TRAINING_ENERGY,))
            )  # fmt: skip
    return found


def weakest(*holders: Holder) -> Holder:
    """Whose word a source is that rests on facts of several: the prover's if any is."""
    for holder in (Holder.PROVER, Holder.JOINT):
        if holder in holders:
            return holder
    return Holder.VERIFIER


def _is_sparse(facts: Facts) -> bool:
    described = facts.described is not None and any(part.sparse_share > 0 for part in facts.described.work.parts)
    return described or any(one.sparse for trace in facts.traces for one in trace.totals.counts)


def _counts_recomputation(facts: Facts) -> bool:
    """Whether it is described that nothing was computed again, so that a lower declared figure has no such excuse."""
    if facts.described is None:
        return False
    training: Sequence[Recompute | None] = [
        part.recompute for part in facts.described.work.parts if part.does is Does.TRAIN
    ]
    return all(one is Recompute.NONE for one in training)
