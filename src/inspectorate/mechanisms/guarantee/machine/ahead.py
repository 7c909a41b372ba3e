"""Spending ahead: how little has to be saved so that a crash or a restored disk never un-spends anything.

Rules:

- What is saved of licences is ahead of what was used (`ahead`): while a model is served, by a block, which is `SHARE` of each
  budget; in any mode, by `margin`: the most of each meter that chips can use between two looks at it, the save after the second
  included. They stop some time after the mode says so, and what they used until then may be unread. What no licence covers of the
  margin is owed. Meters of which all use is set aside before it happens need no margin.
- The live state may go on without a save as long as the saved one has no more left of any licence, and owes no less, than the live
  one will have and owe after the margin (`covered`). Without the margin, what was used and not yet read would be free for whoever
  ends the process at the right moment, once for every life.
- The live state may not go past the end of a ruleset or a licence without a save. Otherwise a crash, and a clock put back, would
  put in force again what was refused as ended.
- After a crash the saved state is all there is: what was saved as used counts as used. Nothing is ever gained, and at most a block
  and a margin of each meter are lost, beyond work that was under way.
- A processor that is told to end saves exactly what it has. Its caller holds the work and reads the meters before.

For one licence with `meters` budgeted meters that are all charged evenly, about 1 / SHARE saves are made over its life.

Why not save at every use: a TPM's counter wears out. Specifications promise about 1e5 to 1e6 increments over a life
(`docs/outlet.md` has the sums). Rulesets, licences, halts, resumes and starts are saved at once; meters with each report, and when
a block is used up. `docs/guard-model.md` says what of this the model has checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.licences.amounts import budgeted, plus
from inspectorate.mechanisms.guarantee.licences.amounts import used as units_used
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.metering.types import MeterKind

SHARE = 0.01
"""Of a budget, that a crash may cost: a hundred saves for each meter of a licence."""

Amounts = Mapping[MeterKind, float]
NO_MARGIN: Amounts = {}


def ahead(state: GuardState, margin: Amounts = NO_MARGIN) -> GuardState:
    """The state to save: as the live one, with the margin and a block of each budget spent already."""
    if not state.running:
        return state
    kept = _after(state, margin)
    if state.mode is not Mode.SERVING:
        return state.model_copy(update={"licences": kept})
    held = []
    charged = kept.charged
    for one in kept.held:
        block = {
            meter: min(units, budgeted(meter, one.licence.budgets[meter] * SHARE))
            for meter, units in one.remaining.items()
        }
        left = {meter: units - block[meter] for meter, units in one.remaining.items()}
        held.append(one.model_copy(update={"remaining": left}))
        charged = plus(charged, block)
    return state.model_copy(
        update={"licences": kept.model_copy(update={"held": tuple(held), "charged": charged})},
    )


def covered(live: GuardState, saved: GuardState, margin: Amounts = NO_MARGIN) -> bool:
    """Whether the saved state has no more left than the live one after the margin, owes no less, and nothing ended in between."""
    if _ended_between(saved, live):
        return False
    least = _after(live, margin)
    left = {one.licence.sequence: one.remaining for one in least.held}
    for one in saved.licences.held:
        now = left.get(one.licence.sequence, {})
        if any(units > now.get(meter, 0) for meter, units in one.remaining.items()):
            return False
    owed = saved.licences.owed
    return all(units <= owed.get(meter, 0) for meter, units in least.owed.items())


def _after(state: GuardState, margin: Amounts) -> LicenceState:
    """The licences after the margin."""
    if not margin or not state.running or state.ruleset is None:
        return state.licences
    charged = licences.charged_meters(state.licences, state.ruleset)
    units = {meter: units_used(meter, amount) for meter, amount in margin.items() if meter in charged}
    return licences.spend_units(state.licences, units, at=state.time).state


def _ended_between(saved: GuardState, live: GuardState) -> bool:
    """Whether something that the saved state holds has ended since its time."""
    ends = [one.licence.valid.end for one in saved.licences.held]
    if saved.ruleset is not None:
        ends.append(saved.ruleset.valid.end)
    return any(saved.time < end <= live.time for end in ends)
