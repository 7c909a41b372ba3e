"""Every fault between promise and interviews, each made and each named; the fair round has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from roster_cases import DAY, HOUR, OTHER, START, Round, digest, kept, rows, selection

from inspectorate.drawing.sources import PAYLOAD_BYTES_MAX
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.fair import Order
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found, Side
from inspectorate.mechanisms.interviews.roster.held import Outcome, check_held, together
from inspectorate.mechanisms.interviews.roster.judge import Believed, Draw, Statements, check_draw, check_roster
from inspectorate.mechanisms.interviews.roster.listed import Openings, RosterList
from inspectorate.mechanisms.interviews.roster.opening import Asked, Opened, check_opening
from inspectorate.mechanisms.interviews.roster.people import KeptRoster
from inspectorate.mechanisms.interviews.roster.uses import check_rosters, check_uses
from inspectorate.quantities import Period


def kinds(found: tuple[Found, ...] | list[Found]) -> list[Fault]:
    return [one.fault for one in found]


def judged(case: Round, believed: Believed | None = None, **made: VerifiedStatement) -> Draw:
    roster = made.get("roster") or case.committed()
    statements = Statements(
        roster=roster, drawn=made.get("drawn") or case.drawn(roster), promise=made.get("promise") or case.promised()
    )
    return check_draw(statements, payload=case.payload, believed=believed)


def test_a_fair_draw_has_no_fault_and_takes_as_many_of_each_stratum_as_were_promised() -> None:
    case = Round()
    draw = judged(case, Believed(strata=("research", "operations"), answer_within_s=DAY.total_seconds()))
    assert draw.faults == ()
    assert draw.order is Order.NAMED
    assert draw.asked is not None
    assert {name: len(entries) for name, entries in draw.in_order.items()} == {"operations": 3, "research": 4}
    assert sorted(e for entries in draw.in_order.values() for e in entries) == list(draw.asked.drawn.drawn)


# --- the roster ----------------------------------------------------------------------------------------------------------


def without(of: RosterList, entry: int) -> RosterList:
    def cut(column: tuple[object, ...]) -> tuple[object, ...]:
        return column[:entry] + column[entry + 1 :]

    return RosterList.model_validate(
        of.model_dump() | {name: cut(getattr(of, name)) for name in ("persons", "roles", "stratum_of")}
    )


def test_a_name_that_is_dropped_after_the_commitment_is_caught_in_every_way_that_it_can_be_dropped() -> None:
    case = Round()
    roster = case.committed()
    victim = case.first(roster)[0]
    shorter = without(case.listed, victim)
    # The list handed over is another: its digest is not the one that was signed for.
    swapped = {case.keep(case.listed): shorter.canonical_bytes()}
    found = check_roster(roster, payload=lambda wanted: swapped.get(wanted) or case.payload(wanted))[1]
    assert kinds(found) == [Fault.ROSTER_UNREADABLE]
    # The list is committed to without the name, and the statement still counts it.
    found = check_roster(case.committed(shorter), payload=case.payload)[1]
    assert kinds(found) == [Fault.ROSTER_DIFFERS]
    # A second roster without the name, for the same time or for the same promise: both are void until a ledger says which came
    # first, and then the second.
    strata = dict(shorter.people)
    for period in (None, Period(start=START + 30 * DAY, end=START + 60 * DAY)):
        again = case.committed(
            shorter, strata=strata, committed_at=START + HOUR, **({"period": period} if period else {})
        )
        assert {one.statement for one in check_rosters([roster, again])} == {roster.digest, again.digest}
        first_known = check_rosters([roster, again], logged={roster.digest: 4, again.digest: 9})
        assert [(one.fault, one.statement) for one in first_known] == [(Fault.ROSTER_REPEATED, again.digest)]
    # The draw names the roster, so a draw from the shorter one is another draw; the entry stays drawn and is not opened.
    draw = judged(case, roster=roster)
    assert draw.asked is not None
    opened = opening(case, draw.asked, [case.opened(case.drawn(roster), draw.asked.drawn.drawn[1:])])
    assert opened.unopened == (victim,)
    assert kinds(opened.faults) == [Fault.NOT_OPENED]


def test_a_host_that_commits_to_several_rosters_cannot_show_the_better_one() -> None:
    """It keeps two at hand, both naming the promise; the verifier draws from the one it was shown."""
    case = Round()
    shown = case.committed()
    hidden = Round(kept=kept(rows({"operations": 12, "research": 8}, first=100), name="roster-2"))
    other = hidden.committed(committed_at=START)
    draw = judged(case, roster=shown)
    assert draw.faults == ()
    # Presented instead, the hidden one fits neither the draw nor its promise's one use.
    assert Fault.ROSTER_OTHER in kinds(judged(hidden, roster=other, drawn=case.drawn(shown)).faults)
    drawn = [case.drawn(shown), hidden.drawn(other, drawn_at=START + 2 * DAY, answer_by=START + 3 * DAY)]
    uses = check_uses(drawn, [case.promised()], naming={}, payload=lambda d: case.payloads.get(d) or hidden.payloads[d])
    assert (Fault.SECRET_REUSED, drawn[1].digest) in {(one.fault, one.statement) for one in uses}
    assert {one.statement for one in check_rosters([shown, other])} == {shown.digest, other.digest}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"roster": "roster-9"}, Fault.ROSTER_DIFFERS),
        ({"strata": {"operations": 13, "research": 7}}, Fault.ROSTER_DIFFERS),
        ({"strata": {"operations": 12}}, Fault.ROSTER_DIFFERS),
    ],
)
def test_a_statement_of_another_list(changed: dict[str, object], expected: Fault) -> None:
    case = Round()
    assert kinds(check_roster(case.committed(**changed), payload=case.payload)[1]) == [expected]


def test_an_empty_roster_is_no_pass() -> None:
    case = Round(kept=KeptRoster(roster="roster-1", strata=("operations", "research"), people=()))
    found = judged(case, drawn=case.drawn(case.committed(), drawn=(0,))).faults
    assert kinds(found) == [Fault.ROSTER_EMPTY]


def test_strata_that_were_not_agreed() -> None:
    found = judged(Round(), Believed(strata=("operations", "security"))).faults
    assert kinds(found) == [Fault.STRATA_DIFFER]
    assert found[0].fault.side is Side.PROVER


def test_a_roster_that_is_not_one() -> None:
    case = Round()
    for data in (b"", b"{}", b'{"version": 1}', case.listed.canonical_bytes() + b" "):
        found = check_roster(case.committed(data), payload=case.payload)[1]
        assert kinds(found) == [Fault.ROSTER_UNREADABLE]


# --- the promise and the draw --------------------------------------------------------------------------------------------


def not_named(case: Round) -> Draw:
    case.named = False
    late = case.promised(promised_at=START + HOUR)
    return judged(case, promise=late, drawn=case.drawn(case.committed(), promise=late.digest))


def other_promise(case: Round) -> Draw:
    return judged(case, roster=case.committed(promise=digest("another")))


def other_secret(case: Round) -> Draw:
    false = case.promised(subject=digest("another secret"))
    roster = case.committed(promise=false.digest)
    return judged(case, roster=roster, promise=false, drawn=case.drawn(roster, promise=false.digest))


def promise_of_another(case: Round) -> Draw:
    theirs = case.promised(by="bob", key=OTHER)
    roster = case.committed(promise=theirs.digest)
    return judged(case, roster=roster, promise=theirs, drawn=case.drawn(roster, promise=theirs.digest))


def chosen(case: Round) -> Draw:
    roster = case.committed()
    first = case.first(roster)
    wanted = next(entry for entry in range(20) if entry not in first)
    return judged(case, roster=roster, drawn=case.drawn(roster, drawn=tuple(sorted((*first[1:], wanted)))))


def fewer(case: Round) -> Draw:
    roster = case.committed()
    return judged(case, roster=roster, drawn=case.drawn(roster, drawn=case.first(roster)[1:]))


def beyond(case: Round) -> Draw:
    roster = case.committed()
    return judged(case, roster=roster, drawn=case.drawn(roster, drawn=(*case.first(roster), 20)))


def before_the_roster(case: Round) -> Draw:
    roster = case.committed(committed_at=START + 2 * DAY)
    return judged(case, roster=roster, drawn=case.drawn(roster))


def unreadable(case: Round) -> Draw:
    roster = case.committed()
    return judged(case, roster=roster, drawn=case.drawn(roster, randomness=b"[]"))


def too_long(case: Round) -> Draw:
    roster = case.committed()
    return judged(case, roster=roster, drawn=case.drawn(roster, randomness=b" " * (PAYLOAD_BYTES_MAX + 1)))


def too_soon(case: Round) -> Draw:
    return judged(case, Believed(answer_within_s=DAY.total_seconds() + 1))


def no_promise(case: Round) -> Draw:
    roster = case.committed()
    statements = Statements(roster=roster, drawn=case.drawn(roster))
    return check_draw(statements, payload=case.payload)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (not_named, Fault.PROMISE_AFTER), (other_promise, Fault.PROMISE_OTHER), (other_secret, Fault.SECRET_OTHER),
        (promise_of_another, Fault.PROMISE_OTHER), (chosen, Fault.NOT_AS_DRAWN), (fewer, Fault.NOT_AS_DRAWN),
        (beyond, Fault.BEYOND_ROSTER), (before_the_roster, Fault.DRAW_BEFORE), (unreadable, Fault.RANDOMNESS_UNREADABLE),
        (too_long, Fault.RANDOMNESS_UNREADABLE), (too_soon, Fault.ANSWER_TOO_SOON), (no_promise, Fault.PROMISE_MISSING),
    ],
)  # fmt: skip
def test_a_draw_that_is_not_fair(broken: Callable[[Round], Draw], expected: Fault) -> None:
    draw = broken(Round())
    assert kinds(draw.faults) == [expected]
    assert draw.asked is None


def test_a_selection_that_leaves_a_stratum_out() -> None:
    case = Round(selection=selection(operations=3))
    roster = case.committed()
    draw = judged(case, roster=roster, drawn=case.drawn(roster, drawn=(1, 2, 3)))
    assert kinds(draw.faults) == [Fault.SELECTION_OTHER]


def test_order_is_believed_on_the_ledger_before_signed_times() -> None:
    case = Round(named=False)
    roster, promise = case.committed(), case.promised()
    assert judged(case, roster=roster).order is Order.SIGNED
    logged = {promise.digest: 3, roster.digest: 5}
    assert judged(case, Believed(logged=logged), roster=roster).order is Order.LEDGER
    turned = judged(case, Believed(logged={promise.digest: 5, roster.digest: 3}), roster=roster)
    assert kinds(turned.faults) == [Fault.PROMISE_AFTER]


def test_promises_are_used_once_and_in_their_order() -> None:
    case = Round(named=False)
    roster = case.committed()
    older = case.promised(promised_at=START - 2 * HOUR, subject=digest("an older secret"))
    promises = [case.promised(), older]
    found = check_uses([case.drawn(roster)], promises, naming={}, payload=case.payload)
    assert kinds(found) == [Fault.PROMISE_SKIPPED]
    naming = {roster.digest: case.promised().digest}
    assert check_uses([case.drawn(roster)], promises, naming=naming, payload=case.payload) == ()
    later = case.drawn(roster, drawn_at=START + 3 * DAY, answer_by=START + 4 * DAY)
    found = check_uses([case.drawn(roster), later], promises, naming=naming, payload=case.payload)
    assert [(one.fault, one.statement) for one in found] == [(Fault.REDRAWN, later.digest)]


# --- openings ------------------------------------------------------------------------------------------------------------


def opening(case: Round, asked: Asked, answers: list[VerifiedStatement], *, days: float = 9) -> Opened:
    return check_opening(asked, answers, payload=case.payload, as_of=START + days * DAY)


def asked_of(case: Round) -> tuple[Asked, VerifiedStatement]:
    roster = case.committed()
    drawn = case.drawn(roster)
    draw = judged(case, roster=roster, drawn=drawn)
    assert draw.asked is not None, draw.faults
    return draw.asked, drawn


def test_an_opening_in_time_opens_whom_it_names_and_the_rest_is_due() -> None:
    case = Round()
    asked, drawn = asked_of(case)
    first, *rest = asked.drawn.drawn
    answer = case.opened(drawn, rest)
    early = opening(case, asked, [answer], days=1.5)
    assert (sorted(early.people), early.pending, early.unopened, early.faults) == (rest, (first,), (), ())
    assert opening(case, asked, [answer]).unopened == (first,)
    both = opening(case, asked, [answer, case.opened(drawn, [first])])
    assert (both.unopened, both.faults, both.times_believed) == ((), (), False)


def test_a_late_opening_opens_nothing_whoever_says_when_it_came() -> None:
    case = Round()
    asked, drawn = asked_of(case)
    everybody = asked.drawn.drawn
    late = opening(case, asked, [case.opened(drawn, everybody, opened_at=START + 2 * DAY + HOUR)])
    backdated = case.opened(drawn, everybody)
    received = {backdated.digest: START + 5 * DAY}
    caught = check_opening(asked, [backdated], payload=case.payload, as_of=START + 9 * DAY, received=received)
    for judgement in (late, caught):
        assert judgement.unopened == everybody
        assert kinds(judgement.faults)[0] is Fault.OPENED_LATE
    assert caught.times_believed


def test_openings_that_do_not_match_their_leaves() -> None:
    case = Round()
    asked, drawn = asked_of(case)
    record = Openings.model_validate_json(
        case.payload(case.opened(drawn, asked.drawn.drawn).statement.subject[0].digest_text)
    )
    first = record.people[0]
    for field, value in (("role", "cleaner"), ("pseudonym", "somebody"), ("stratum", "other"), ("salt", "00" * 32)):
        person = first.person.model_copy(update={field: value})
        false = record.model_copy(update={"people": (first.model_copy(update={"person": person}), *record.people[1:])})
        judgement = opening(case, asked, [case.opened(drawn, asked.drawn.drawn, openings=false)])
        assert kinds(judgement.faults) == [Fault.LEAF_DIFFERS, Fault.NOT_OPENED], field
        assert judgement.unopened == (first.entry,)


def test_openings_of_something_else() -> None:
    case = Round()
    asked, drawn = asked_of(case)
    everybody = asked.drawn.drawn
    undrawn = next(entry for entry in range(20) if entry not in everybody)
    cases = {
        Fault.NOT_DRAWN: case.opened(drawn, sorted((*everybody, undrawn))),
        Fault.OPENING_UNREADABLE: case.opened(drawn, everybody, openings=b"{}"),
        Fault.OPENING_OTHER: case.opened(case.committed(), everybody),
    }
    for fault, answer in cases.items():
        assert kinds(opening(case, asked, [answer]).faults)[0] is fault


def test_one_person_behind_two_entries_is_seen_when_both_are_opened() -> None:
    honest = kept()
    double = honest.people[0].model_copy(update={"salt": "ab" * 32})
    padded = honest.model_copy(update={"people": (*honest.people, double)})
    case = Round(kept=padded, selection=selection(operations=13, research=8))
    asked, drawn = asked_of(case)
    found = opening(case, asked, [case.opened(drawn, asked.drawn.drawn)]).faults
    assert kinds(found) == [Fault.PERSON_TWICE]


# --- interviews ----------------------------------------------------------------------------------------------------------


def all_open(case: Round) -> tuple[Asked, Opened, VerifiedStatement]:
    asked, drawn = asked_of(case)
    return asked, opening(case, asked, [case.opened(drawn, asked.drawn.drawn)]), drawn


def test_everybody_who_was_drawn_is_accounted_for() -> None:
    case = Round()
    asked, opened, drawn = all_open(case)
    a, b, c, *rest = asked.drawn.drawn
    heard = check_held(asked, opened, [case.held(drawn, rest, refused=(a,), absent=(b, c))], forms=[digest("form")])
    assert heard.faults == ()
    assert heard.entries(Outcome.REFUSED) == (a,)
    assert heard.entries(Outcome.ABSENT) == (b, c)
    assert sum(tally.unheard for tally in heard.strata.values()) == 3
    assert sum(tally.drawn for tally in heard.strata.values()) == 7


def test_whoever_is_left_out_is_not_left_out_of_the_sum() -> None:
    case = Round()
    asked, opened, drawn = all_open(case)
    first, *rest = asked.drawn.drawn
    heard = check_held(asked, opened, [case.held(drawn, rest)])
    assert kinds(heard.faults) == [Fault.UNACCOUNTED]
    assert heard.entries(Outcome.UNACCOUNTED) == (first,)
    nobody = check_held(asked, opened, [])
    assert set(nobody.outcomes.values()) == {Outcome.UNACCOUNTED}


def test_interviews_that_do_not_count() -> None:
    case = Round()
    asked, opened, drawn = all_open(case)
    first, *rest = asked.drawn.drawn
    undrawn = next(entry for entry in range(20) if entry not in asked.drawn.drawn)
    stranger = check_held(asked, opened, [case.held(drawn, (*asked.drawn.drawn, undrawn))])
    assert kinds(stranger.faults) == [Fault.HEARD_NOT_DRAWN]
    form = check_held(asked, opened, [case.held(drawn, asked.drawn.drawn)], forms=[digest("another form")])
    assert kinds(form.faults)[0] is Fault.FORM_OTHER
    assert Outcome.HEARD not in form.outcomes.values()
    part = opening(case, asked, [case.opened(drawn, rest)])
    unopened = check_held(asked, part, [case.held(drawn, asked.drawn.drawn)])
    assert kinds(unopened.faults) == [Fault.HEARD_NOT_OPENED]
    assert unopened.outcomes[first] is Outcome.UNOPENED
    other = check_held(asked, opened, [case.held(case.committed(), asked.drawn.drawn)])
    assert kinds(other.faults)[0] is Fault.HELD_OTHER


def test_who_was_absent_may_come_and_who_refused_is_not_asked_again() -> None:
    case = Round()
    asked, opened, drawn = all_open(case)
    a, b, *rest = asked.drawn.drawn
    first = case.held(drawn, rest, refused=(a,), absent=(b,))
    later = Period(start=START + 4 * DAY, end=START + 5 * DAY)
    heard = check_held(asked, opened, [case.held(drawn, (a, b), period=later), first])
    assert (heard.outcomes[a], heard.outcomes[b]) == (Outcome.REFUSED, Outcome.HEARD)
    assert kinds(heard.faults) == [Fault.COUNTED_TWICE]


def test_replacements_come_next_in_the_same_order_and_as_many_as_were_promised() -> None:
    case = Round(selection=selection(replacements_max=2))
    asked, opened, drawn = all_open(case)
    draw = judged(case)
    assert draw.seed is not None
    gone = draw.in_order["research"][:3]
    held = case.held(drawn, sorted(set(asked.drawn.drawn) - set(gone)), refused=tuple(sorted(gone)))
    roster, promise = case.committed(), case.promised()

    def again(entries: tuple[int, ...], **changed: object) -> Draw:
        made = {"replaces": held.digest, "drawn_at": START + 4 * DAY, "answer_by": START + 5 * DAY} | changed
        second = case.drawn(roster, drawn=tuple(sorted(entries)), **made)
        statements = Statements(roster=roster, drawn=second, promise=promise, before=[held, drawn])
        return check_draw(statements, payload=case.payload)

    expected = again((0,)).in_order["research"]
    assert len(expected) == 2, "three refused, and two replacements were promised"
    assert not set(expected) & set(asked.drawn.drawn)
    fair = again(expected)
    assert fair.faults == ()
    assert fair.in_order == {"operations": (), "research": expected}
    choice = [e for e in range(20) if case.listed.stratum(e) == "research" and e not in {*expected, *asked.drawn.drawn}]
    assert kinds(again((expected[0], choice[0])).faults) == [Fault.NOT_AS_DRAWN]
    assert kinds(again(expected, replaces=digest("no interviews")).faults) == [Fault.REPLACEMENT_OTHER]
    assert kinds(again(expected, drawn_at=START + DAY).faults) == [Fault.REPLACEMENT_OTHER]
    # Who was replaced stays unheard.
    assert fair.asked is not None
    second = check_held(
        fair.asked,
        opening(case, fair.asked, [case.opened(_of(case, roster, held, expected), expected)]),
        [case.held(_of(case, roster, held, expected), expected)],
    )
    tally = together([check_held(asked, opened, [held]), second])["research"]
    assert (tally.drawn, tally.heard, tally.unheard) == (6, 3, 3)
    uses = check_uses(
        [drawn, _of(case, roster, held, expected)],
        [promise],
        naming={roster.digest: promise.digest},
        payload=case.payload,
    )
    assert uses == ()


def _of(case: Round, roster: VerifiedStatement, held: VerifiedStatement, entries: tuple[int, ...]) -> VerifiedStatement:
    return case.drawn(
        roster, drawn=tuple(sorted(entries)), replaces=held.digest, drawn_at=START + 4 * DAY, answer_by=START + 5 * DAY
    )


def test_every_fault_has_a_side_and_words() -> None:
    assert {fault.side for fault in Fault} == set(Side)
    assert str(Found(fault=Fault.REDRAWN, detail="again")) == "redrawn: again"
