"""Named ways in which human sources are kept from being heard, and what they say; and what a review has to say of each.

No attack here can raise an alarm against the party by what people said: the worst that a finding of these clauses comes to is
invalid evidence. Leads have a standing beside it, which machines give them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from inspectorate.assessment import Verdict
from inspectorate.corroboration import Standing
from inspectorate.evidence import Activity
from inspectorate.quantities import Period
from inspectorate.worlds import heard_attacks as does
from inspectorate.worlds.heard_attacks import Amend, Target
from inspectorate.worlds.heard_script import HeardCheat, Script

CHANNELS, STAFF = "reporting-channels", "interviewed-staff"


@dataclass(frozen=True, kw_only=True)
class HeardAttack(HeardCheat):
    """One attack, or one thing that is said, and what a review must find of it."""

    name: str
    description: str
    clause: str = CHANNELS
    """The clause that it is about."""
    verdict: Verdict = Verdict.INCONCLUSIVE
    """What the finding of that clause must be."""
    words: str
    """What must stand in its reasons or under what is missing."""
    standing: Standing | None = None
    """How machines must stand to the lead `heard_attacks.LEAD`; none: it must not be shown."""
    cheat: str | None = None
    """What pods do meanwhile (`cheats`); the lead points at them."""
    target: Target = does.NOWHERE
    amends: Amend

    def pointing(self, pods: tuple[str, ...], period: Period) -> HeardAttack:
        return replace(self, target=Target(pods=pods, period=period))

    def amend(self, script: Script) -> None:
        self.amends(script, self.target)


_INTAKE = (
    HeardAttack(
        name="intake-batch-gone",
        description="one batch of the intake is gone before any office collects it",
        verdict=Verdict.INVALID_EVIDENCE,
        words="kept back: no office collected any of it",
        amends=does.batch_gone,
    ),
    HeardAttack(
        name="intake-blocks-missing",
        description="three blocks of a batch are gone when the last office comes",
        verdict=Verdict.INVALID_EVIDENCE,
        words="3 of its blocks were not there",
        amends=does.blocks_missing,
    ),
    HeardAttack(
        name="intake-two-logs",
        description="one office is shown another list of commitments than the others",
        verdict=Verdict.INVALID_EVIDENCE,
        words="were shown different commitments",
        amends=does.two_logs,
    ),
    HeardAttack(
        name="intake-stood-still",
        description="the intake does not run for half of a batch",
        words="the intake stood still, or was held",
        amends=does.stood_still,
    ),
    HeardAttack(
        name="intake-ended",
        description="the intake is closed half-way through the period",
        verdict=Verdict.NOT_OBSERVED,
        words="no batch that counts for longer than",
        amends=does.ended,
    ),
    HeardAttack(
        name="intake-one-office",
        description="a single office collects, which could bury a report alone",
        verdict=Verdict.NOT_OBSERVED,
        words="was collected by 1 of the 2 offices",
        amends=does.one_office,
    ),
    HeardAttack(
        name="intake-collected-late",
        description="offices come minutes later than is agreed",
        verdict=Verdict.NOT_OBSERVED,
        words="after it ended, where 180 s are agreed",
        amends=does.collected_late,
    ),
    HeardAttack(
        name="visits-chosen",
        description="six people are due for a visit, so that going says who has something to say",
        verdict=Verdict.INVALID_EVIDENCE,
        words="who goes then says something",
        amends=does.visits_chosen,
    ),
    HeardAttack(
        name="visits-stayed-away",
        description="twenty people stay away without a reason that was agreed",
        words="20 of 42 stayed away",
        amends=does.stayed_away,
    ),
    HeardAttack(
        name="visits-none",
        description="visits are agreed, and none are held",
        verdict=Verdict.NOT_OBSERVED,
        words="no visits were held",
        amends=does.no_visits,
    ),
)

_LEADS = (
    HeardAttack(
        name="lead-supported",
        description="pods train together over the network, and two offices hear of it",
        words="open since",
        standing=Standing.SUPPORTED,
        cheat="ddp",
        amends=does.lead(Activity.EXCHANGE),
    ),
    HeardAttack(
        name="lead-contradicted",
        description="two offices hear of a training run that is larger than all the site can do",
        words="open since",
        standing=Standing.CONTRADICTED,
        amends=does.lead(Activity.TRAINING, flop_min=does.OVERWHELMING_FLOP),
    ),
    HeardAttack(
        name="lead-covered",
        description="declared peers train together under cover of declared work, and two offices hear of it",
        words="open since",
        standing=Standing.UNTOUCHED,
        cheat="peer-cover",
        amends=does.lead(Activity.EXCHANGE),
    ),
    HeardAttack(
        name="lead-untouched",
        description="two offices hear of chips that were never declared, of which no machine here says anything",
        words="open since",
        standing=Standing.UNTOUCHED,
        amends=does.lead(Activity.UNDECLARED_CHIPS, at=False),
    ),
    HeardAttack(
        name="lead-overdue",
        description="a lead is raised at the start, and nobody closes it in time",
        words="overdue",
        standing=Standing.UNTOUCHED,
        amends=does.lead_overdue,
    ),
    HeardAttack(
        name="lead-differing",
        description="two offices raise one lead, and speak of different things",
        words="differ in activity",
        amends=does.lead_differing,
    ),
    HeardAttack(
        name="lead-single",
        description="a single office raises a lead: it is named, and not shown",
        words="raised by 1 of the 2 offices",
        amends=does.lead(Activity.EXCHANGE, offices=1),
    ),
    HeardAttack(
        name="lead-forged",
        description="the operator's own inspector joins a single office's lead",
        words="its key is held by the prover",
        amends=does.lead_forged,
    ),
    HeardAttack(
        name="lead-buried",
        description="the operator's own inspector joins a single office in closing a lead",
        words="closed by 1 of the 2 offices",
        amends=does.lead_buried,
    ),
    HeardAttack(
        name="lead-kept-back",
        description="a lead is closed, and who raised it is not in the bundle",
        words="was kept back",
        amends=does.lead_kept_back,
    ),
)

_STAFF = (
    HeardAttack(
        name="roster-twice",
        clause=STAFF,
        description="one time gets two rosters, and the shorter one can be shown",
        verdict=Verdict.INVALID_EVIDENCE,
        words="roster-repeated",
        amends=does.on_round(second_roster=True),
    ),
    HeardAttack(
        name="roster-name-dropped",
        clause=STAFF,
        description="the list behind a roster holds one name fewer than its statement counts",
        verdict=Verdict.INVALID_EVIDENCE,
        words="roster-differs",
        amends=does.on_round(dropped=True),
    ),
    HeardAttack(
        name="roster-stand-in",
        clause=STAFF,
        description="after the draw another person stands in for one who was drawn",
        verdict=Verdict.INVALID_EVIDENCE,
        words="leaf-differs",
        amends=does.on_round(changed=True),
    ),
    HeardAttack(
        name="roster-opened-late",
        clause=STAFF,
        description="who was drawn is shown only after there was time to prepare them",
        words="opened-late",
        amends=does.on_round(opened_after_s=32.0),
    ),
    HeardAttack(
        name="draw-aimed",
        clause=STAFF,
        description="somebody is heard whom the randomness does not give",
        verdict=Verdict.INVALID_EVIDENCE,
        words="not-as-drawn",
        amends=does.on_round(other_draw=True),
    ),
    HeardAttack(
        name="draw-ground",
        clause=STAFF,
        description="the secret is fixed only after the roster is seen",
        verdict=Verdict.INVALID_EVIDENCE,
        words="promise-after",
        amends=does.on_round(promised_late=True),
    ),
    HeardAttack(
        name="interviews-refused",
        clause=STAFF,
        description="more people refuse than is agreed",
        words="refused",
        amends=does.on_round(refused=8, absent=2),
    ),
    HeardAttack(
        name="interviews-other-form",
        clause=STAFF,
        description="something is asked by a form that was not agreed",
        words="form-other",
        amends=does.other_form,
    ),
    HeardAttack(
        name="interviews-deviated",
        clause=STAFF,
        description="interviewers ask and say other things than the form has",
        verdict=Verdict.CONSISTENT,
        words="departed from the form",
        amends=does.on_round(deviations=4),
    ),
    HeardAttack(
        name="interviews-unchecked",
        clause=STAFF,
        description="answers are never held against one another",
        words="answers were not checked",
        amends=does.on_round(checked=False),
    ),
    HeardAttack(
        name="interviews-skipped",
        clause=STAFF,
        description="after the first draw nobody is heard",
        verdict=Verdict.NOT_OBSERVED,
        words="no interviews that count for longer than",
        amends=does.skipped,
    ),
    HeardAttack(
        name="interviews-forged",
        clause=STAFF,
        description="an interviewer whose key the operator holds says that everybody was heard",
        words="its key is held by the prover",
        amends=does.on_round(held_by=does.FORGER),
    ),
    HeardAttack(
        name="interviews-contradicting",
        clause=STAFF,
        description="answers contradict one another, and two offices follow it",
        words="open since",
        standing=Standing.UNTOUCHED,
        amends=does.contradicting,
    ),
    HeardAttack(
        name="interviews-contradicting-alone",
        clause=STAFF,
        description="answers contradict one another, and a single office follows it",
        words="raised by 1 of the 2 offices",
        amends=does.contradicting_alone,
    ),
    HeardAttack(
        name="interviews-contradictions-buried",
        clause=STAFF,
        description="answers contradict one another, and nobody follows it",
        words="contradictions and no lead",
        amends=does.contradicting_buried,
    ),
)

HEARD_CHEATS: MappingProxyType[str, HeardAttack] = MappingProxyType(
    {attack.name: attack for attack in (*_INTAKE, *_LEADS, *_STAFF)}
)
"""Every attack by name."""
