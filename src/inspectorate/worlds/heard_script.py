"""What offices, interviewers and the operator of a simulated site are going to say of human sources; and how that is signed.

    1. an intake: batches of one rhythm, each collected by every office
    2. rosters, draws, openings, interviews and their checks, one round after another (`heard_rounds`)
    3. visits: everybody on a round's roster is due at the verifier's house
    4. leads: raised by offices, and closed

A `HeardCheat` changes the script before anything is signed (`amend`), or says more afterwards (`after`). Rosters are committed
to and drawn from by the real code; nobody was asked anything, and no report was written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    Activity,
    Closing,
    HumanSource,
    IntakeCollected,
    LeadClosed,
    LeadRaised,
    Origin,
    Step,
    VisitsHeld,
    make_statement,
    sign_statement,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import SigningKey
from inspectorate.quantities import Period
from inspectorate.worlds.heard_rounds import Round, tell_round

INTAKE = "intake-1"
BLOCKS_PER_S = 2
COLLECTED_AFTER_S = 5.0
"""From the end of a batch to the first office that collects it; the others follow, as much later each."""


@dataclass(kw_only=True)
class BatchPlan:
    """One batch of the intake, and what offices find of it."""

    number: int
    period: Period
    blocks: int
    collected_by: tuple[str, ...]
    missing: dict[str, int] = field(default_factory=dict)
    """By office, how many of its blocks are not there."""
    shown: dict[str, bytes] = field(default_factory=dict)
    """By office, another list of commitments than the others get."""
    collected_after_s: float = COLLECTED_AFTER_S


@dataclass(kw_only=True)
class VisitPlan:
    """Visits by the roster of one round."""

    period: Period
    round: int
    due: int | None = None
    """None: everybody on the roster."""
    away: int = 0
    """Who stays away without a reason."""
    excused: int = 1


@dataclass(kw_only=True)
class LeadPlan:
    """One lead: who raises it, and what becomes of it."""

    id: str
    source: HumanSource = HumanSource.WHISTLEBLOWER
    clause: str = "no-hidden-training"
    activity: Activity
    pods: tuple[str, ...] = ()
    period: Period | None = None
    flop_min: float | None = None
    raised: dict[str, Step]
    """By office, the step that it asks for."""
    raised_at: datetime
    otherwise: dict[str, Activity] = field(default_factory=dict)
    """By office, another activity than the others name."""
    closing: Closing | None = Closing.EXPLAINED
    closed_by: tuple[str, ...] = ()
    closed_after_s: float = 60.0


@dataclass(kw_only=True)
class Script:
    """What is going to be said."""

    seed: int
    period: Period
    pods: tuple[str, ...]
    roster_key: SigningKey
    inspectors: dict[str, SigningKey]
    """Of offices and interviewers, by the names of their anchors."""
    offices: tuple[str, ...]
    batches: list[BatchPlan]
    rounds: list[Round]
    visits: list[VisitPlan]
    leads: list[LeadPlan]
    envelopes: list[bytes] = field(default_factory=list)
    payloads: dict[str, bytes] = field(default_factory=dict)

    def say(self, predicate: Predicate, key: SigningKey, **subjects: bytes) -> str:
        """Sign one statement about these payloads; its digest."""
        self.payloads.update({digest_of(data): data for data in subjects.values()})
        return self.sign(predicate, key, **{name: digest_of(data) for name, data in subjects.items()})

    def sign(self, predicate: Predicate, key: SigningKey, **subjects: str) -> str:
        """Sign one statement about payloads that stay where they are; its digest."""
        envelope = sign_statement(make_statement(predicate, subjects), key)
        self.envelopes.append(envelope)
        return digest_of(envelope)


class HeardCheat:
    """What a cheat does. The honest site is one that does nothing."""

    def amend(self, script: Script) -> None:
        """Change what is going to be said."""

    def after(self, script: Script) -> None:
        """Say more."""


def tell(script: Script) -> None:
    """Sign all that a script says."""
    for batch in script.batches:
        _tell_batch(script, batch)
    rosters = [tell_round(script, number, one) for number, one in enumerate(script.rounds)]
    for visit in script.visits:
        _tell_visit(script, visit, rosters)
    for lead in script.leads:
        tell_lead(script, lead)


def _tell_batch(script: Script, batch: BatchPlan) -> None:
    for place, office in enumerate(batch.collected_by):
        listed = batch.shown.get(office, f"simulated commitments {script.seed} {batch.number}".encode())
        after = timedelta(seconds=batch.collected_after_s * (place + 1))
        script.sign(
            IntakeCollected(
                origin=Origin.SIMULATED,
                by=office,
                intake=INTAKE,
                batch=batch.number,
                period=batch.period,
                blocks=batch.blocks,
                missing=batch.missing.get(office, 0),
                collected_at=batch.period.end + after,
            ),
            script.inspectors[office],
            commitments=digest_of(listed),
        )


def _tell_visit(script: Script, visit: VisitPlan, rosters: list[str]) -> None:
    due = len(script.rounds[visit.round].people) if visit.due is None else visit.due
    host = script.offices[0]
    script.sign(
        VisitsHeld(
            origin=Origin.SIMULATED,
            by=host,
            roster=rosters[visit.round],
            period=visit.period,
            due=due,
            came=due - visit.away - visit.excused,
            excused=visit.excused,
        ),
        script.inspectors[host],
        attendance=digest_of(f"simulated attendance {script.seed} {visit.period}".encode()),
    )


def tell_lead(script: Script, lead: LeadPlan) -> None:
    case = digest_of(f"simulated case {script.seed} {lead.id}".encode())
    for place, (office, step) in enumerate(lead.raised.items()):
        script.sign(
            LeadRaised(
                origin=Origin.SIMULATED,
                by=office,
                lead=lead.id,
                source=lead.source,
                clause=lead.clause,
                activity=lead.otherwise.get(office, lead.activity),
                pods=lead.pods,
                period=lead.period,
                flop_min=lead.flop_min,
                step=step,
                raised_at=lead.raised_at + timedelta(seconds=place),
            ),
            script.inspectors[office],
            case=case,
        )
    for place, office in enumerate(lead.closed_by if lead.closing is not None else ()):
        assert lead.closing is not None
        script.sign(
            LeadClosed(
                origin=Origin.SIMULATED,
                by=office,
                lead=lead.id,
                closing=lead.closing,
                closed_at=lead.raised_at + timedelta(seconds=lead.closed_after_s + place),
            ),
            script.inspectors[office],
            case=case,
        )
