"""Record an inspected site: two pods at work, and all that inspectors do before, during and after.

    1. before: two inspectors read the code of the server, run it closed in, and approve it
    2. meanwhile: promise, commitment, draw, opening, stretch by stretch
    3. after: what was opened is run again, bit by bit; FLOP are accounted for; a room was used for the verdict
    4. the site is packed, and reviewed under its own terms

What a person would answer to the pointers of a code review is scripted here, and says so.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspectorate.agreement import AccountedFlop, ReviewedCode, load_agreement
from inspectorate.assessment import Verdict
from inspectorate.declaration import ChipGroup
from inspectorate.evidence import Decision, Origin, ReplayMethod, WorkCommitted
from inspectorate.evidence.act import Who
from inspectorate.lab.inspected_bench import CLAIMS, ENTRY, PODS, SERVING, Work, WorkPlan, site_at_work, work
from inspectorate.lab.inspected_package import AGREEMENT, CHIP, INSPECTORS, PARTY, Keys, anchors_of, package
from inspectorate.lab.inspected_parties import Inspector, Operator, Round, Table
from inspectorate.lab.inspected_program import PROGRAM
from inspectorate.lab.packing import reviewed
from inspectorate.mechanisms.inspection.code.decision import Answer, Deciding, decide, reviewed_statement
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.run import run_entry
from inspectorate.mechanisms.inspection.code.techniques import techniques_seen
from inspectorate.mechanisms.inspection.flop.account import make_account
from inspectorate.mechanisms.inspection.flop.facts import Facts, Replayed, Terms
from inspectorate.mechanisms.inspection.flop.judge import account_statement
from inspectorate.mechanisms.inspection.replaying import Means, make_replay, own_stack, run_again
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult
from inspectorate.mechanisms.inspection.room.session import Around, Room
from inspectorate.mechanisms.inspection.room.types import VERDICT, Opened, Output
from inspectorate.mechanisms.inspection.sampling.bounds import dirty_time_share_upper
from inspectorate.quantities import Period

POINTS = 64
"""Points of time that are drawn of each stretch of each run."""
MISS_PROBABILITY = 0.001
"""Of one bound on the dirty share of one stretch, in the accounts."""
VERIFIER = "verifier"
"""The party for which inspectors decide."""
ROOM_BITS = 16.0
VALID = timedelta(days=90)
"""Of an approval of code."""


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What came of it."""

    outcomes: dict[str, Counter[str]]
    """Of the packets that were drawn, by run."""
    told: dict[str, dict[str, object]]
    """What each job says that it did."""
    verdicts: dict[str, Verdict]
    largest_hidden_run: float
    capacity: float
    """What the chips could have done in the time [FLOP]."""


def record(out: Path, plan: WorkPlan, *, tell: Callable[[str], None]) -> Recorded:
    """Record a site into the new folder `out`. Raises `EnvironmentError_`."""
    keys = Keys.make()
    table = Table(anchors=anchors_of(keys, datetime.now(UTC)))
    first = Inspector.make(INSPECTORS[0], keys.inspectors[INSPECTORS[0]], table, points=POINTS)
    operator = Operator(key=keys.transcripts, table=table)
    with tempfile.TemporaryDirectory(prefix="inspectorate-inspected-") as made:
        with site_at_work(Path(made) / "site", plan) as (site, processes):
            tell("inspectors read the code and run it")
            approve(site, table, keys)
            tell("both pods work")
            work(site, plan, processes, operator, first)
        tell("what was drawn is run again")
        results = {id(one): again(site, one, table, first) for one in site.rounds}
        tell("FLOP are accounted for")
        account(site, table, first, results)
        in_a_room(Path(made) / "room", table, keys, results)
        package(site, table, keys, out)
    found = reviewed(out)
    outcomes: dict[str, Counter[str]] = {run: Counter() for run in CLAIMS}
    for one in site.rounds:
        outcomes[one.run].update(result.outcome.value for result in results[id(one)])
    return Recorded(
        outcomes=outcomes,
        told=site.told,
        verdicts={finding.clause: finding.verdict for finding in found.findings},
        largest_hidden_run=found.account.hidden_flop_max,
        capacity=found.account.capacity_flop,
    )


# --- before ----------------------------------------------------------------------------------------------------------------


def approve(site: Work, table: Table, keys: Keys) -> None:
    """Two inspectors read and run the code, answer every pointer, and approve. Raises `InputError` if that cannot be built."""
    terms = next(c.parameters for c in load_agreement(AGREEMENT).clauses if isinstance(c.parameters, ReviewedCode))
    review = review_code(site.snapshot, ENTRY)
    ran = run_entry(site.code, site.snapshot, review)
    seen = techniques_seen(site.snapshot, review, allowed=terms.techniques)
    for name in INSPECTORS:
        deciding = Deciding(
            party=VERIFIER, claim=CLAIMS[SERVING], by=name, decision=Decision.APPROVED,
            words="scripted by the bench: one file, which serves a declared model and keeps a transcript",
            reviewed_at=datetime.now(UTC),
            answers=tuple(
                Answer(pointer=one.key, parameters_change=False, words="scripted: no parameter changes here")
                for one in review.must_answer()
            ),
            cannot_see_acknowledged=True, parameters_changed=ran.parameters_changed, run=ran.digest,
        )  # fmt: skip
        document = decide(review, deciding, seen)
        statement = reviewed_statement(document, origin=Origin.RECORDED, valid_until=datetime.now(UTC) + VALID)
        table.put(statement, keys.inspectors[name], [document.canonical_bytes(), ran.canonical_bytes()])


# --- after -----------------------------------------------------------------------------------------------------------------


def again(site: Work, one: Round, table: Table, inspector: Inspector) -> tuple[PacketResult, ...]:
    """Run the packets of one draw again and state what came of it, exactly."""
    assert one.judged.asked is not None
    begun = datetime.now(UTC)
    means = Means(
        folder=site.run(one.run), method=ReplayMethod.EXACT, tolerance=None, chips=1, model=site.model, program=PROGRAM,
        stack=own_stack(),
    )  # fmt: skip
    report = run_again(one.judged.asked, one.opened, means)
    who = Who(name=inspector.name, at=datetime.now(UTC), origin=Origin.RECORDED)
    table.act(make_replay(one.judged.asked, one.answer.digest, report, None, who, begun=begun), inspector.key)
    return report.results


def account(site: Work, table: Table, inspector: Inspector, results: dict[int, tuple[PacketResult, ...]]) -> None:
    """Account for each run by what was committed to and what was counted."""
    agreement = load_agreement(AGREEMENT)
    clause = next(c.parameters for c in agreement.clauses if isinstance(c.parameters, AccountedFlop))
    terms = Terms.of(agreement, disagreement_share_max=clause.disagreement_share_max, sources_min=clause.sources_min)
    for run, claim in CLAIMS.items():
        rounds = [one for one in site.rounds if one.run == run]
        said = [one.commitment.predicate for one in rounds]
        committed = [one for one in said if isinstance(one, WorkCommitted)]
        stated = sum(one.flop_stated for one in committed)
        drawn = counted = 0.0
        dirty = 0.0
        for one in rounds:
            assert one.judged.listed is not None
            assert one.judged.selection is not None
            bad = {r.packet for r in results[id(one)] if r.outcome is not Outcome.MATCHED}
            bound = dirty_time_share_upper(
                one.judged.listed, one.judged.selection, one.judged.points, bad, miss_probability=MISS_PROBABILITY
            )
            dirty = max(dirty, bound)
            good = [r for r in results[id(one)] if r.outcome is Outcome.MATCHED]
            drawn += sum(one.opened.packets[r.packet].flop for r in good)
            counted += sum(r.flop_counted or 0.0 for r in good)
        facts = Facts(
            period=Period(
                start=min(one.period.start for one in committed), end=max(one.period.end for one in committed)
            ),
            pods=(PODS[run],),
            chips=(ChipGroup(model=CHIP, count=1),),
            declared_flop=stated,
            replayed=Replayed(
                stated_flop=stated, stated_of_drawn=drawn, counted_of_drawn=counted, dirty_share_max=dirty
            ),
            rests_on=tuple(one.commitment.digest for one in rounds),
        )
        statement, payload = account_statement(
            make_account(claim, run, facts, terms), by=inspector.name, origin=Origin.RECORDED,
            accounted_at=datetime.now(UTC),
        )  # fmt: skip
        table.put(statement, inspector.key, [payload])


def in_a_room(folder: Path, table: Table, keys: Keys, results: dict[int, tuple[PacketResult, ...]]) -> None:
    """The verdict of the replays leaves by a room: one word of five, seen by the host before it does."""
    name = INSPECTORS[0]
    wrong = any(one.outcome is Outcome.DIFFERED for found in results.values() for one in found)
    word = "inconsistent" if wrong else "consistent"
    opening = Opened(
        session="replay-room",
        by=name,
        host=PARTY,
        origin=Origin.RECORDED,
        bits_max=ROOM_BITS,
        slot_s=0.5,
        forms=(VERDICT,),
    )

    def wait_until(at: datetime) -> None:
        time.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))

    around = Around(clock=lambda: datetime.now(UTC), wait_until=wait_until)
    with Room.open(folder, opening, around) as room:
        job = room.run("verdict", VERDICT.id, lambda: Output(word=word))
        room.agree(keys.prover)
        while job not in {left for left, _ in room.release()}:
            time.sleep(0.1)
        statement, log = room.close()
    table.put(statement, keys.inspectors[name], [log])
