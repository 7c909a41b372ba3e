"""What people said, in a report: the subject, what machines show of it, and the step that follows. Never how far to believe it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from inspectorate.assessment import Lead
from inspectorate.corroboration import HeardLead, Standing
from inspectorate.evidence import Activity, Closing, HumanSource, Step
from inspectorate.quantities import Period
from inspectorate.report import words
from inspectorate.report.parts import LeadRow

PODS_MAX = 6

_SOURCES: Final[Mapping[HumanSource, str]] = MappingProxyType(
    {HumanSource.WHISTLEBLOWER: "Somebody reported", HumanSource.INTERVIEW: "Answers in interviews point to"}
)
_ACTIVITIES: Final[Mapping[Activity, str]] = MappingProxyType(
    {
        Activity.TRAINING: "undeclared training",
        Activity.OTHER_WORK: "other work than claimed",
        Activity.EXCHANGE: "exchange between pods",
        Activity.REWIRED: "other wiring than declared",
        Activity.SENSORS_DECEIVED: "deceived sensors",
        Activity.RECORDS_CHANGED: "changed records",
        Activity.OTHER_CODE: "other code than shown",
        Activity.UNDECLARED_CHIPS: "undeclared chips",
        Activity.SILENCED: "people kept from speaking, or punished for it",
    }
)
_STANDINGS: Final[Mapping[Standing, str]] = MappingProxyType(
    {
        Standing.SUPPORTED: "supported by what machines show",
        Standing.CONTRADICTED: "contradicted by what machines show",
        Standing.UNTOUCHED: "neither supported nor contradicted by what machines show",
    }
)
_STEPS: Final[Mapping[Step, str]] = MappingProxyType(
    {
        Step.CLARIFY: "ask the party",
        Step.FOCUS: "look again, with the means that there are",
        Step.INTRUDE: "look closer, once and narrowly: a challenge inspection",
        Step.PAUSE: "pause the cluster until it is clear",
        Step.PENALTY: "a partial penalty",
    }
)
_CLOSINGS: Final[Mapping[Closing, str]] = MappingProxyType(
    {
        Closing.EXPLAINED: "closed: explained",
        Closing.CONTRADICTED: "closed: contradicted",
        Closing.WITHDRAWN: "closed: withdrawn",
        Closing.CONFIRMED: "closed: confirmed",
    }
)


def lead_row(heard: HeardLead, within: Period) -> LeadRow:
    """One lead in words."""
    lead = heard.lead
    closing = _CLOSINGS[lead.closing] if lead.closing else ""
    return LeadRow(
        subject=_subject(lead, within),
        standing=_STANDINGS[heard.standing],
        by=tuple(words.visible(text) for text in heard.by),
        gaps=tuple(words.visible(text) for text in heard.gaps),
        assumptions=tuple(words.visible(text) for text in heard.assumptions),
        follows=closing if heard.next_step is None else f"next: {_STEPS[heard.next_step]}",
    )


def _subject(lead: Lead, within: Period) -> str:
    where = words.listing(lead.pods, PODS_MAX) if lead.pods else "pods not known"
    when = words.clock_span(lead.period, within) if lead.period else "time not known"
    size = f", at least {words.flop(lead.flop_min)}" if lead.flop_min else ""
    raised = words.plural(len(lead.offices), "office")
    return (
        f"{_SOURCES[lead.source]} {_ACTIVITIES[lead.activity]}{size} ({words.visible(where)}, {when};"
        f" {words.visible(lead.id)}, on {words.visible(lead.bears_on)}, raised by {raised})"
    )
