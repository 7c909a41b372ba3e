"""What is done to human sources of a simulated site, or what they say, one function each. What each must lead to stands in
`heard_cheats`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.evidence import Activity, HumanSource, Step
from inspectorate.quantities import Period
from inspectorate.worlds.heard_rounds import Round
from inspectorate.worlds.heard_script import BatchPlan, LeadPlan, Script

FORGER = "simulated-forger"
"""The anchor of an inspector whose key the operator holds."""
LEAD = "lead-90d2"
OVERWHELMING_FLOP = 1e22
"""More than any simulated site can do."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where and when something is said to have happened; none: the first pod, all the time."""

    pods: tuple[str, ...] = ()
    period: Period | None = None


NOWHERE = Target()
Amend = Callable[[Script, Target], None]


def _third(script: Script) -> BatchPlan:
    return script.batches[max(1, len(script.batches) // 3)]


def _round(script: Script) -> Round:
    """The round that is attacked: the last."""
    return script.rounds[-1]


# --- of the intake ----------------------------------------------------------------------------------------------------


def batch_gone(script: Script, _: Target) -> None:
    """A batch was there, and no office gets it."""
    script.batches.remove(_third(script))


def blocks_missing(script: Script, _: Target) -> None:
    """Three blocks of a batch are gone before the last office comes."""
    _third(script).missing = {script.offices[-1]: 3}


def two_logs(script: Script, _: Target) -> None:
    """One office is shown other commitments than the rest."""
    _third(script).shown = {script.offices[1]: b"simulated: other commitments"}


def stood_still(script: Script, _: Target) -> None:
    """The intake runs half of the time in one batch."""
    _third(script).blocks //= 2


def ended(script: Script, _: Target) -> None:
    """Nothing is collected of the second half."""
    del script.batches[len(script.batches) // 2 :]


def one_office(script: Script, _: Target) -> None:
    """One office alone collects."""
    for batch in script.batches:
        batch.collected_by = script.offices[:1]


def collected_late(script: Script, _: Target) -> None:
    """Offices come long after a batch ended."""
    for batch in script.batches:
        batch.collected_after_s = 400.0


# --- of visits --------------------------------------------------------------------------------------------------------


def visits_chosen(script: Script, _: Target) -> None:
    """Six people are due, and not everybody."""
    script.visits[0].due = 6


def stayed_away(script: Script, _: Target) -> None:
    script.visits[0].away = 20


def no_visits(script: Script, _: Target) -> None:
    script.visits.clear()


# --- leads ------------------------------------------------------------------------------------------------------------


def lead(
    activity: Activity, *, offices: int = 2, flop_min: float | None = None, closed: bool = False, at: bool = True
) -> Amend:
    """So many offices say that something happened at the target."""

    def amend(script: Script, target: Target) -> None:
        names = script.offices[:offices]
        script.leads.append(
            LeadPlan(
                id=LEAD,
                activity=activity,
                pods=(target.pods or script.pods[:1]) if at else (),
                period=(target.period or script.period) if at else None,
                flop_min=flop_min,
                raised=dict.fromkeys(names, Step.CLARIFY),
                raised_at=script.period.end - timedelta(seconds=60),
                closed_by=names if closed else (),
            )
        )

    return amend


def lead_overdue(script: Script, target: Target) -> None:
    lead(Activity.UNDECLARED_CHIPS, at=False)(script, target)
    script.leads[-1].raised_at = script.period.start


def lead_differing(script: Script, target: Target) -> None:
    """Two offices speak of one lead, and of different things."""
    lead(Activity.EXCHANGE)(script, target)
    script.leads[-1].otherwise = {script.offices[1]: Activity.SILENCED}


def lead_forged(script: Script, target: Target) -> None:
    """One office raises a lead, and the operator's own inspector with it, to send others elsewhere."""
    lead(Activity.EXCHANGE, offices=1)(script, target)
    script.leads[-1].raised[FORGER] = Step.PAUSE


def lead_kept_back(script: Script, _: Target) -> None:
    """A lead is closed that nobody raised here."""
    script.leads[0].raised = {}


def lead_buried(script: Script, _: Target) -> None:
    """One office closes a lead, and the operator's own inspector with it."""
    script.leads[0].closed_by = (script.offices[0], FORGER)


# --- of rosters, draws and interviews ---------------------------------------------------------------------------------


def on_round(**changes: object) -> Amend:
    """Change one round."""

    def amend(script: Script, _: Target) -> None:
        for name, value in changes.items():
            assert hasattr(_round(script), name), name
            setattr(_round(script), name, value)

    return amend


def skipped(script: Script, _: Target) -> None:
    """After the first round nobody is heard."""
    for one in script.rounds[1:]:
        one.held = False


def other_form(script: Script, _: Target) -> None:
    _round(script).form = digest_of(b"simulated: another form")


def contradicting(script: Script, target: Target) -> None:
    """Answers contradict one another, and two offices follow it."""
    _round(script).contradictions = 2
    _round(script).leads = (LEAD,)
    lead(Activity.RECORDS_CHANGED)(script, target)
    script.leads[-1].source = HumanSource.INTERVIEW


def contradicting_alone(script: Script, target: Target) -> None:
    """Answers contradict one another, and a single office follows it."""
    contradicting(script, target)
    script.leads[-1].raised = {script.offices[0]: Step.CLARIFY}


def contradicting_buried(script: Script, _: Target) -> None:
    """Answers contradict one another, and nobody follows it."""
    _round(script).contradictions = 2
