"""What offices make of a claim: links, leads, requests within the quota, deadlines, texts that are alike; no figure for anybody."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cases_review
import pytest
from cases_kit import NAMES, START, agreement, at, case, claim, declaration, desk, key, known, opened, two_desks

import inspectorate.mechanisms.whistleblowing as whistleblowing
from inspectorate.assessment import Lead, Verdict
from inspectorate.canonical import Record
from inspectorate.cli.cases_claims import hold, sentence
from inspectorate.corroboration import HeardLead
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Activity, Closing, InspectionRequested, LeadRaised, Origin, Step, heard
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.keys import Holder, Role, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.whistleblowing.cases.alike import Told, alike, shingles
from inspectorate.mechanisms.whistleblowing.cases.deadlines import clocks_of, deadlines
from inspectorate.mechanisms.whistleblowing.cases.leads import (
    Asked,
    Signing,
    access_by,
    check_asked,
    quota_of,
    sign_closed,
    sign_raised,
    sign_request,
    subject_of,
)
from inspectorate.mechanisms.whistleblowing.cases.link import tie
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.quantities import Period

SIGNING = Signing(by=NAMES[0], key=key(NAMES[0]), at=at(9), commitment="sha256:" + "0" * 64)


def tied(**fields: object):  # type: ignore[no-untyped-def]
    declared = fields.pop("declared", None)
    clause = fields.pop("clause", "pod-limit")
    return tie(
        claim(**fields),
        clause=clause,
        agreement=agreement(),
        declaration=declaration(),
        at=at(5),
        declared=declared,  # type: ignore[arg-type]
    )


def linked(folder: Path) -> CaseState:
    first, _ = two_desks(folder)
    first.act(case(), claim(), at=at(5))
    return first.act(case(), tied(), at=at(6))


# --- links ------------------------------------------------------------------------------------------------------------


def test_a_link_finds_site_and_cluster_and_keeps_what_was_said() -> None:
    link = tied(declared="serve-b3")
    assert (link.site, link.cluster, link.pods, link.declared_claim) == ("north", "hall-3", ("b3",), "serve-b3")
    assert tied(pods=(), cluster="hall-3").pods == ("b3", "b4")
    assert tied(pods=(), site="south").pods == ("s1",)
    assert tied(pods=()).pods == (), "not known which"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"clause": "no-such"}, "no clause 'no-such'"),
        ({"site": "west"}, "no site 'west'"),
        ({"cluster": "hall-9"}, "no cluster 'hall-9'"),
        ({"site": "south", "cluster": "hall-3"}, "site south: no cluster 'hall-3'"),
        ({"cluster": "hall-4"}, "cluster hall-4: no pod 'b3'"),
        ({"pods": ("b9",)}, "no pod 'b9'"),
        ({"period": Period(start=at(500), end=at(600))}, "is about"),
        ({"declared": "no-such"}, "no declared claim"),
        ({"declared": "serve-b3", "pods": ("b4",)}, "none of these pods"),
        ({"declared": "serve-b3", "period": Period(start=at(61), end=at(70))}, "another time"),
    ],
)
def test_what_stands_in_neither_agreement_nor_declaration_is_refused(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        tied(**fields)


def test_a_claim_says_something_and_names_what_was_not_asked() -> None:
    assert claim().not_asked == ("what could be seen from where they stood",)
    with pytest.raises(ValueError, match="what did the source say"):
        claim(saw=(), told=())


# --- corroboration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activity", "flop_min", "verdict", "standing", "step"),
    [
        (Activity.TRAINING, None, Verdict.INCONSISTENT, "supported", Step.INTRUDE),
        (Activity.TRAINING, None, Verdict.NOT_OBSERVED, "untouched", Step.FOCUS),
        (Activity.TRAINING, 1e30, Verdict.CONSISTENT, "contradicted", Step.CLARIFY),
        (Activity.SILENCED, None, Verdict.INCONSISTENT, "untouched", Step.FOCUS),
    ],
)
def test_a_claim_held_against_a_review(
    activity: Activity, flop_min: float | None, verdict: Verdict, standing: str, step: Step
) -> None:
    said, link = claim(activity=activity, flop_min=flop_min), tied(activity=activity)
    found = hold(said, link, cases_review.review(verdict), agreement(), review_digest="sha256:" + "1" * 64)
    assert (found.standing, found.next_step) == (standing, step)
    assert found.gaps if verdict is Verdict.NOT_OBSERVED else not found.gaps
    assert bool(found.by) == (standing != "untouched")
    text = sentence(said, link, found)
    assert text.startswith(f"The claim about {activity.value} on 14 March 2026 at pod b3 is {standing} by")
    assert found.simulated


def test_a_review_of_another_declaration_is_refused() -> None:
    other = cases_review.review().model_copy(update={"declaration_digest": "sha256:" + "2" * 64})
    with pytest.raises(InputError, match="link the claim to the declaration that was reviewed"):
        hold(claim(), tied(), other, agreement(), review_digest="sha256:" + "1" * 64)


# --- leads ------------------------------------------------------------------------------------------------------------


def anchors() -> TrustAnchors:
    return TrustAnchors(
        anchors=tuple(
            TrustAnchor(
                name=name, public_key=known().offices.offices[n].key, holder=Holder.VERIFIER, roles=(Role.INSPECTOR,),
                valid_from=START - timedelta(days=400), valid_until=START + timedelta(days=400),
            )
            for n, name in enumerate(NAMES)
        )
    )  # fmt: skip


def test_offices_that_raise_one_lead_say_the_same_and_no_word_of_the_source(tmp_path: Path) -> None:
    state = linked(tmp_path)
    first = desk(tmp_path, NAMES[0])
    raised = subject_of(state, "c1", lead="lead-1", step=Step.FOCUS)
    envelope = sign_raised(raised, SIGNING)
    said = verify_envelope(envelope, anchors=anchors(), where="lead").predicate
    assert isinstance(said, LeadRaised)
    assert (said.activity, said.pods, said.clause, said.step) == (Activity.TRAINING, ("b3",), "pod-limit", Step.FOCUS)
    assert case().encode() not in envelope
    assert b"racks" not in envelope
    state = first.act(case(), raised, at=at(10))
    second = desk(tmp_path, NAMES[1])
    second.merge(first.store.folder / case())
    joined = subject_of(second.read(case())[1], "c1", lead="lead-1", step=Step.INTRUDE)
    state = second.act(case(), joined, at=at(11))
    assert set(state.leads["lead-1"].raised) == set(NAMES[:2])
    with pytest.raises(EvidenceError, match="with another subject"):
        second.act(case(), joined.model_copy(update={"pods": ("b4",)}), at=at(12))


def test_a_lead_needs_a_quorum_a_claim_and_a_link(tmp_path: Path) -> None:
    alone = desk(tmp_path, NAMES[2])
    state = alone.open(opened(2).model_copy(update={"offices": NAMES}), {}, at=at(0))
    with pytest.raises(InputError, match="no quorum"):
        subject_of(state, "c1", lead="l", step=Step.FOCUS)
    first, _ = two_desks(tmp_path)
    with pytest.raises(InputError, match="no claim 'c1'"):
        subject_of(first.read(case())[1], "c1", lead="l", step=Step.FOCUS)
    with pytest.raises(InputError, match="not linked yet"):
        subject_of(first.act(case(), claim(), at=at(5)), "c1", lead="l", step=Step.FOCUS)


def test_an_office_closes_only_leads_that_it_raised(tmp_path: Path) -> None:
    state = linked(tmp_path)
    with pytest.raises(InputError, match="office-a raised no lead"):
        sign_closed(state, "lead-1", Closing.EXPLAINED, SIGNING)
    raised = subject_of(state, "c1", lead="lead-1", step=Step.FOCUS)
    state = desk(tmp_path, NAMES[0]).act(case(), raised, at=at(10))
    assert sign_closed(state, "lead-1", Closing.EXPLAINED, SIGNING)


# --- requests ---------------------------------------------------------------------------------------------------------


def asked_before(count: int, *, party: str = "operator", year: int = 2026) -> list[InspectionRequested]:
    when = datetime(year, 6, 1, tzinfo=UTC)
    return [
        InspectionRequested(
            origin=Origin.RECORDED, by=NAMES[0], party=party, request=f"request-{n}", site="north", number=1,
            requested_at=when, access_by=when + timedelta(hours=1),
        )
        for n in range(count)
    ]  # fmt: skip


def test_the_quota_counts_requests_of_the_party_and_calendar_year_each_once() -> None:
    known_requests = [*asked_before(5), *asked_before(5), *asked_before(9, party="other"), *asked_before(9, year=2025)]
    quota = quota_of(agreement(), "operator", known_requests, at(0))
    assert (quota.number, quota.most, quota.over) == (6, 20, False)
    assert quota_of(agreement(), "operator", asked_before(20), at(0)).over


def test_over_quota_only_if_told() -> None:
    quota = quota_of(agreement(), "operator", asked_before(20), at(0))
    asked = Asked(request="request-x", site="north", pods=("b3",), leads=("lead-1",))
    with pytest.raises(InputError, match=r"20 challenge inspections of operator .* allows 20"):
        sign_request(asked, quota, access_by(agreement(), at(9)), SIGNING, over_quota=False)
    said = verify_envelope(
        sign_request(asked, quota, access_by(agreement(), at(9)), SIGNING, over_quota=True),
        anchors=anchors(),
        where="r",
    ).predicate
    assert isinstance(said, InspectionRequested)
    assert (said.number, said.access_by - said.requested_at) == (21, timedelta(hours=24))


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (Asked(request="r", site="west", pods=(), leads=("lead-1",)), "no site"),
        (Asked(request="r", site="south", pods=("b3",), leads=("lead-1",)), "do not stand at south"),
        (Asked(request="r", site="north", pods=(), leads=("lead-2",)), "were not raised"),
    ],
)
def test_a_request_names_what_is_declared_and_what_was_raised(asked: Asked, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        check_asked(asked, declaration(), {"lead-1"})


def test_an_agreement_without_quota_or_clock_is_said_so() -> None:
    bare = agreement().model_copy(update={"clauses": agreement().clauses[:1], "clocks": ()})
    with pytest.raises(InputError, match="0 clauses with a number"):
        quota_of(bare, "operator", [], at(0))
    with pytest.raises(InputError, match="no clock"):
        access_by(bare, at(0))


# --- deadlines --------------------------------------------------------------------------------------------------------


def test_retaliation_comes_first_and_has_its_own_clock_where_one_is_agreed(tmp_path: Path) -> None:
    first, _ = two_desks(tmp_path)
    two_desks(tmp_path, seed=2)
    first.act(case(2), claim(activity=Activity.SILENCED), at=at(6))
    general = clocks_of(agreement().model_copy(update={"clocks": ()}), at(0))
    assert not general.own
    own = clocks_of(agreement(), at(0))
    due = deadlines(first.all(), own)
    assert [(one.case, one.retaliation) for one in due] == [(case(2), True), (case(1), False)]
    assert due[0].by == at(0) + timedelta(seconds=60)
    assert due[1].by == at(0) + timedelta(seconds=general.answered_s)
    assert due[0].overdue(at(2))
    assert not due[0].overdue(at(1))


@pytest.mark.parametrize("answers", [{"danger": "now"}, {"danger": "punished"}, {"kind": "training,silenced"}])
def test_a_source_in_danger_comes_first_before_anybody_wrote_a_claim(tmp_path: Path, answers: dict[str, str]) -> None:
    first = desk(tmp_path, NAMES[0])
    first.open(opened(3), {}, at=at(0))
    first.open(opened(4, answers=answers), {}, at=at(30))
    due = deadlines(first.all(), clocks_of(agreement(), at(0)))
    assert (due[0].case, due[0].retaliation) == (case(4), True)
    assert not any(one.retaliation for one in due[1:])


def test_a_lead_is_due_from_its_raising_until_all_who_raised_it_close_it(tmp_path: Path) -> None:
    state = linked(tmp_path)
    first = desk(tmp_path, NAMES[0])
    state = first.act(case(), subject_of(state, "c1", lead="lead-1", step=Step.FOCUS), at=at(10))
    (due,) = deadlines([state], clocks_of(agreement(), at(0)))
    assert due.what == "lead lead-1: to be closed"
    assert due.by == at(10) + timedelta(seconds=300)


# --- alike ------------------------------------------------------------------------------------------------------------

STORY = (
    "On the fourteenth of March I was on the early shift in the control room. The queue of pod b3 showed a job without an owner, "
    "and all of its chips ran at full power until noon. My supervisor told me to leave it alone and not to write it down. "
)
OTHER = (
    "I repair the cooling of hall 3. In the middle of March the return water of one row was ten degrees warmer than the plan "
    "said, for three hours or so. Nobody could tell me why, "
    "and the log of the pumps was gone the next day, which never happened before. "
)


def test_a_reworked_copy_is_pointed_out_with_what_is_the_same_and_without_a_figure() -> None:
    copy = (
        STORY.replace("early", "late")
        .replace("noon", "one o'clock")
        .replace("My supervisor", "The head of shift")
        .upper()
    )
    (found,) = alike([Told(case="case-1", text=STORY), Told(case="case-2", text=OTHER), Told(case="case-3", text=copy)])
    assert found.cases == ("case-1", "case-3")
    assert str(found) == "case-1 and case-3 may have one author or one origin"
    assert not re.search(r"0\.\d|%", str(found))


def test_two_people_who_saw_the_same_are_not_alike_and_the_same_file_is() -> None:
    assert alike([Told(case="case-1", text=STORY), Told(case="case-2", text=OTHER)]) == ()
    files = frozenset({"sha256:x"})
    (found,) = alike([Told(case="case-1", text=STORY, files=files), Told(case="case-2", text=OTHER, files=files)])
    assert found.same_files == 1


def test_short_texts_say_nothing_and_scripts_without_spaces_are_compared() -> None:
    assert shingles("The job ran on pod b3.") == frozenset()
    text = (
        "三月十四日早班我在控制室。b3舱的队列显示一个没有负责人的任务，所有芯片满负荷运行到中午。主管让我不要管，也不要记录。"
        * 4
    )
    assert len(alike([Told(case="case-1", text=text), Told(case="case-2", text=text[20:] + "就这样。")])) == 1


def test_sharing_is_found_as_a_slow_comparison_finds_it() -> None:
    texts = [STORY, OTHER, STORY + OTHER, OTHER[:120] + STORY[:150], STORY[100:] + "Nothing more." * 12]
    told = [Told(case=f"case-{n}", text=text) for n, text in enumerate(texts)]
    slow = []
    for n, one in enumerate(told):
        for other in told[n + 1 :]:
            a, b = shingles(one.text), shingles(other.text)
            if a and b and len(a & b) / min(len(a), len(b)) >= 0.25:
                slow.append((one.case, other.case))
    assert [one.cases for one in alike(told)] == sorted(slow)


# --- no figure for anybody --------------------------------------------------------------------------------------------

FORBIDDEN = re.compile(
    r"credib|reliab|trustworth|believ|plausib|veracity|honest|truth|liar|decept|score|rank|rating|weight|likelihood|probab|confiden|grade",
    re.IGNORECASE,
)


def records() -> list[type[Record]]:
    found: list[type[Record]] = [Lead, HeardLead]
    names = [one.name for one in pkgutil.walk_packages(whistleblowing.__path__, whistleblowing.__name__ + ".")]
    for module in (heard, *(importlib.import_module(name) for name in names if not name.endswith("worker"))):
        found += [
            one
            for _, one in inspect.getmembers(module, inspect.isclass)
            if issubclass(one, Record) and one.__module__ == module.__name__
        ]
    return sorted(set(found), key=lambda one: one.__qualname__)


def test_no_record_and_no_schema_has_a_figure_for_how_far_anybody_is_to_be_believed() -> None:
    assert len(records()) > 40, "the search finds the records"
    wrong = [
        f"{one.__qualname__}.{place}"
        for one in records()
        for place in properties(one.model_json_schema())
        if FORBIDDEN.search(place)
    ]
    assert wrong == []


def properties(schema: object) -> set[str]:
    """Names of all fields anywhere in a schema."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", {}))
        for value in schema.values():
            found |= properties(value)
    elif isinstance(schema, list):
        for value in schema:
            found |= properties(value)
    return found
