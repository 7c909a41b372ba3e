"""What people of a simulated site say, to whom, and who can check that they were free to: where the agreement asks for it.

- An intake runs all the time, in batches of `BATCH_S` seconds; three offices collect each.
- The operator keeps a roster. An interviewer draws from it every `ROUND_S` seconds, hears those who were drawn, and checks
  answers; one person refuses. Everybody is due for a visit after each draw.
- One report came in, long explained: a lead that two offices raised and closed.
- A cheat (`heard_cheats`) may change what is said.

Every statement says `simulated`. Every draw of chance has a purpose of its own, so that a site under an agreement without
these clauses is the same to the byte.
"""

from __future__ import annotations

import base64
from datetime import timedelta

from inspectorate.agreement import Agreement, ClauseKind, InterviewedStaff
from inspectorate.declaration import Declaration, Reporter, ReporterKind
from inspectorate.evidence import Activity, Step
from inspectorate.keys import Holder, Role, TrustAnchor
from inspectorate.mechanisms.interviews.roster.selection import Number, Selection
from inspectorate.quantities import Period
from inspectorate.worlds.heard_rounds import ROSTER, Round, people_of, secret_of
from inspectorate.worlds.heard_script import BLOCKS_PER_S, BatchPlan, HeardCheat, LeadPlan, Script, VisitPlan, tell
from inspectorate.worlds.seal import key_of
from inspectorate.worlds.site import SimSite
from inspectorate.worlds.telemetry import Measured

ASKS = frozenset({ClauseKind.REPORTING_CHANNELS, ClauseKind.INTERVIEWED_STAFF})
OFFICES = ("office-north", "office-south", "office-east")
INTERVIEWER = "interviewer"
BATCH_S, ROUND_S = 60, 240
FIRST_BATCH = 40
"""The intake ran before the period, too."""
PEOPLE = {"research": 18, "operators": 24}
"""Who works at the site, by stratum."""
DRAWN = {"research": 13, "operators": 16}
"""So many that at least one of four, or of five, who know is heard with a chance of 0.9, even if one who knows refuses."""
VISITED_FOR_S = 200
HONEST_LEAD = "lead-4c1f"
ROSTER_FORGER = "forger"
"""An inspector's anchor whose key also speaks for the roster, or is held by the prover: only some cheats use it."""
_MARGIN = timedelta(days=3)


def asked(agreement: Agreement) -> bool:
    """Whether an agreement has a clause about human sources."""
    return any(clause.kind in ASKS for clause in agreement.clauses)


def named(of: str) -> str:
    return f"simulated-{of}"


def reporters(site: SimSite, agreement: Agreement) -> tuple[Reporter, ...]:
    """The operator's roster, of all pods; none where the agreement asks for none."""
    if not asked(agreement):
        return ()
    return (Reporter(id=ROSTER, kind=ReporterKind.ROSTER, holder=Holder.PROVER, pods=site.names),)


def _keeps_roster(declaration: Declaration) -> bool:
    return any(one.kind is ReporterKind.ROSTER for one in declaration.reporters)


def anchors(declaration: Declaration, seed: int) -> tuple[TrustAnchor, ...]:
    """The operator's key for its roster, those of offices and interviewer, and one that the operator got hold of."""
    if not _keeps_roster(declaration):
        return ()
    period = declaration.period

    def anchor(name: str, holder: Holder, role: Role, speaks_for: tuple[str, ...]) -> TrustAnchor:
        return TrustAnchor(
            name=named(name),
            public_key=base64.b64encode(key_of(seed, name).public.raw).decode(),
            holder=holder,
            roles=(role,),
            sensors=speaks_for,
            valid_from=period.start - _MARGIN,
            valid_until=period.end + _MARGIN,
        )

    return (
        anchor(ROSTER, Holder.PROVER, Role.SENSOR, (ROSTER,)),
        *(anchor(name, Holder.VERIFIER, Role.INSPECTOR, ()) for name in (*OFFICES, INTERVIEWER)),
        anchor(ROSTER_FORGER, Holder.PROVER, Role.INSPECTOR, ()),
    )


def state(declaration: Declaration, agreement: Agreement, *, seed: int, attack: HeardCheat | None = None) -> Measured:
    """All that is stated of human sources."""
    if not _keeps_roster(declaration):
        return Measured()
    script = script_of(declaration, agreement, seed=seed)
    cheat = attack or HeardCheat()
    cheat.amend(script)
    tell(script)
    cheat.after(script)
    return Measured(envelopes=tuple(script.envelopes), payloads=script.payloads)


def script_of(declaration: Declaration, agreement: Agreement, *, seed: int) -> Script:
    """What an honest site says."""
    period = declaration.period
    offices = tuple(named(name) for name in OFFICES)
    terms = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, InterviewedStaff)), None)
    wanted = [one.id for one in terms.strata] if terms else list(PEOPLE)
    people = {name: PEOPLE.get(name, 20) for name in sorted(wanted)}
    rounds = [
        _round(seed, part, people, refused=int(place == 0)) for place, part in enumerate(period.intervals(ROUND_S))
    ]
    return Script(
        seed=seed,
        period=period,
        pods=tuple(sorted(pod.id for pod in declaration.pods)),
        roster_key=key_of(seed, ROSTER),
        inspectors={named(name): key_of(seed, name) for name in (*OFFICES, INTERVIEWER, ROSTER_FORGER)},
        offices=offices,
        batches=_batches(period, offices),
        rounds=rounds,
        visits=[
            VisitPlan(period=part.intersection(_first(part)) or part, round=place)
            for place, part in enumerate(one.period for one in rounds)
        ],
        leads=[
            LeadPlan(
                id=HONEST_LEAD,
                activity=Activity.SENSORS_DECEIVED,
                pods=(declaration.pods[0].id,),
                raised=dict.fromkeys(offices[:2], Step.CLARIFY),
                raised_at=period.start + timedelta(seconds=20),
                closed_by=offices[:2],
            )
        ],
    )


def _first(part: Period) -> Period:
    return Period(start=part.start, end=part.start + timedelta(seconds=VISITED_FOR_S))


def _batches(period: Period, offices: tuple[str, ...]) -> list[BatchPlan]:
    """From one batch before the period to its end."""
    before = Period(start=period.start - timedelta(seconds=BATCH_S), end=period.start)
    return [
        BatchPlan(
            number=FIRST_BATCH + place,
            period=part,
            blocks=round(BLOCKS_PER_S * part.duration_s),
            collected_by=offices,
        )
        for place, part in enumerate((before, *period.intervals(BATCH_S)))
    ]


def _round(seed: int, period: Period, people: dict[str, int], *, refused: int) -> Round:
    drawn = {name: Number(kind="number", count=DRAWN.get(name, count)) for name, count in people.items()}
    return Round(
        period=period,
        people=people_of(seed, people),
        secret=secret_of(seed, period.start),
        selection=Selection(strata=dict(drawn)),
        by=named(INTERVIEWER),
        refused=refused,
    )
