"""By when what is due: the agreement's clocks, with reports of retaliation first.

    a report           from its opening: a lead is raised after it, or the case is closed, within `answered_within_s`
    a retaliation      a claim of the activity `silenced`, or a report whose source says so in the form, before anybody read it
                       closely: within the agreement's own clock for it (`retaliation`), else as above
    a lead             from raising to closing, within `answered_within_s`
    a case             whose leads are all closed, and which is not: from the last of them, or from its opening again
    an inspection      access by the time that was stated

What is due is said and never done by a machine. Times count from the first office that opened or raised.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from inspectorate.agreement import Agreement, ReportingChannels
from inspectorate.errors import InputError
from inspectorate.evidence import Activity
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.acts import Opened
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, CaseState

SECONDS_MAX = 1e9


@dataclass(frozen=True, kw_only=True)
class Due:
    """Something that is due."""

    case: str
    what: str
    by: datetime
    retaliation: bool

    def overdue(self, at: datetime) -> bool:
        return self.by < at


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """How long each may take [s]."""

    answered_s: float
    retaliation_s: float
    own: bool
    """Whether the agreement has a clock of its own for retaliation."""


def clocks_of(agreement: Agreement, at: datetime) -> Clocks:
    """The clocks of an agreement as it stands on that day. Raises `InputError` where it has no reporting channels."""
    try:
        terms = agreement.on(at)
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {agreement.id}") from None
    found = [one.parameters.answered_within_s for one in terms.clauses if isinstance(one.parameters, ReportingChannels)]
    if not found:
        raise InputError("has no clause of kind reporting-channels", where=f"agreement {agreement.id}")
    own = next((clock.within_s for clock in terms.clocks if clock.id == reference.RETALIATION_CLOCK), None)
    answered = min(found)
    return Clocks(answered_s=answered, retaliation_s=min(answered, own or answered), own=own is not None)


def deadlines(cases: Iterable[CaseState], clocks: Clocks) -> tuple[Due, ...]:
    """Everything that is due of cases that stand: retaliation first, then by time."""
    found = [one for case in cases if case.standing is not CaseStanding.CLOSED for one in _of(case, clocks)]
    return tuple(sorted(found, key=lambda one: (not one.retaliation, one.by, one.case, one.what)))


def _of(case: CaseState, clocks: Clocks) -> list[Due]:
    raised = {one.claim for lead in case.leads.values() for one in lead.raised.values()}
    silenced = [
        name for name, claim in case.claims.items() if claim.activity is Activity.SILENCED and name not in raised
    ]
    last = max((lead.raised_at for lead in case.leads.values()), default=None)
    waiting = [report for report in case.reports if last is None or report.first_at > last]
    danger = [report.first_at for report in waiting if _in_danger(report.opened)]
    answered_s, urgent_s = clocks.answered_s, clocks.retaliation_s
    found = [
        _due(case, f"claim {name}: somebody is silenced or punished; no lead yet", case.opened_at, urgent_s, True)
        for name in silenced
    ]
    if danger and not silenced:
        text = "report: its source says that somebody is punished or in danger"
        found.append(_due(case, text, min(danger), urgent_s, True))
    if case.standing is CaseStanding.PENDING:
        found.append(_due(case, "report: no quorum has opened it yet", case.opened_at, answered_s, False))
    elif waiting and not silenced:
        since = min(report.first_at for report in waiting)
        found.append(_due(case, "report: no lead, and not closed", since, answered_s, False))
    elif case.leads and not any(lead.open for lead in case.leads.values()):
        since = max(case.stirred_at, *(lead.ended_at for lead in case.leads.values() if lead.ended_at))
        found.append(_due(case, "case: its leads are closed, and it is not", since, answered_s, False))
    for name, lead in case.leads.items():
        if lead.open:
            urgent = next(iter(lead.raised.values())).activity is Activity.SILENCED
            within_s = clocks.retaliation_s if urgent else clocks.answered_s
            found.append(_due(case, f"lead {name}: to be closed", lead.raised_at, within_s, urgent))
    found += [
        Due(case=case.case, what=f"inspection {one.request}: access", by=one.access_by, retaliation=False)
        for one in case.requests
    ]
    return found


def _in_danger(report: Opened) -> bool:
    """Whether the source ticked in the form that somebody is silenced, punished or in danger now."""
    kinds = report.answers.get(reference.KIND_FIELD, "").split(",")
    return report.answers.get(reference.DANGER_FIELD) in reference.DANGERS or Activity.SILENCED.value in kinds


def _due(case: CaseState, what: str, since: datetime, within_s: float, retaliation: bool) -> Due:
    by = since + timedelta(seconds=min(within_s, SECONDS_MAX))
    return Due(case=case.case, what=what, by=by, retaliation=retaliation)
