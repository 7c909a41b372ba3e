"""Tables of people, kept rosters, changes, visits, calendars, the beacon; and bytes that are none of these."""

from __future__ import annotations

import json
import random
from datetime import UTC, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from roster_cases import DAY, HOUR, START, Round, digest, hex_of, kept, rows

from inspectorate.drawing.chains import QUICKNET
from inspectorate.drawing.sources import Randomness, seed_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import RosterCommitted
from inspectorate.evidence.act import Who
from inspectorate.evidence.fair import Order
from inspectorate.evidence.predicate import Origin
from inspectorate.mechanisms.interviews.roster.calendar import calendar
from inspectorate.mechanisms.interviews.roster.changes import (
    as_many_or_more,
    changes,
    leaving,
    more_badges,
    unlisted,
)
from inspectorate.mechanisms.interviews.roster.draw import draw, order_of
from inspectorate.mechanisms.interviews.roster.faults import Fault
from inspectorate.mechanisms.interviews.roster.judge import Statements, check_draw, check_roster
from inspectorate.mechanisms.interviews.roster.listed import RosterList, parse_openings, parse_roster_list
from inspectorate.mechanisms.interviews.roster.people import KeptRoster, keep, parse_kept, read_rows
from inspectorate.mechanisms.interviews.roster.selection import Selection, parse_promise, parse_randomness, sizes_of
from inspectorate.mechanisms.interviews.roster.visits import (
    Attendance,
    Excuse,
    Excused,
    Schedule,
    Visit,
    followed_up,
    make_visits,
    parse_attendance,
    parse_schedule,
    visits_of,
)
from inspectorate.quantities import Period

# --- tables --------------------------------------------------------------------------------------------------------------

CSV = b'pseudonym,role,stratum\nope-1,operator,operations\nres-1,"engineer, senior",research\n'


def test_csv_and_json_give_the_same_rows() -> None:
    found = read_rows(CSV, where="t")
    assert [row.role for row in found] == ["operator", "engineer, senior"]
    as_json = json.dumps([row.model_dump() for row in found]).encode()
    assert read_rows(as_json, where="t") == found
    assert read_rows(b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), where="t") == found


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "has the columns"), (b"pseudonym,role\n", "no names"), (b"pseudonym,role,stratum,name\na,b,c,Ann\n", "no names"),
        (b"pseudonym,role,stratum\n", "lists nobody"), (b"[]", "lists nobody"), (b"[1]", "entry 0"), (b"[", "JSON"),
        (b"pseudonym,role,stratum\na,b\n", "line 2"), (b"pseudonym,role,stratum\na b,b,c\n", "line 2"),
        (b"pseudonym,role,stratum\na,b,c\na,b,c\n", "already"), (b"pseudonym,role,stratum\n\xff,b,c\n", "UTF-8"),
        (b'pseudonym,role,stratum\n"a"b,b,c\n', "CSV"), (b'[{"pseudonym":"a","role":"b","stratum":"c","name":"Ann"}]', "name"),
        (b"pseudonym,role,stratum\na,b\x00,c\n", "line 2"), (b" " * (32 * 1024 * 1024 + 1), "exceed"),
    ],
)  # fmt: skip
def test_tables_that_are_refused_say_why_and_where(data: bytes, match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_rows(data, where="people.csv")


def test_who_stays_keeps_the_salt_and_who_comes_gets_a_fresh_one() -> None:
    before = kept()
    after = keep("roster-2", (*rows()[1:], *rows({"research": 1}, first=70)), salt=lambda: "ab" * 32, before=before)
    salts = {one.pseudonym: one.salt for one in before.people}
    assert [one.salt for one in after.people if one.pseudonym in salts] == [salts[row.pseudonym] for row in rows()[1:]]
    assert after.people[-1].salt == "ab" * 32
    assert parse_kept(after.canonical_bytes(), where="t") == after
    for wrong in (b"", b"{}", after.canonical_bytes().replace(b"ope-3", b"ope-4")):
        with pytest.raises(InputError):
            parse_kept(wrong, where="t")


def test_rows_are_in_an_order_that_says_nothing_and_no_stratum_is_lost() -> None:
    listed = keep("r", rows(), salt=iter([hex_of(n) for n in range(20)]).__next__, strata=("security",)).listed()
    assert list(listed.persons) == sorted(listed.persons)
    assert listed.people == {"operations": 12, "research": 8, "security": 0}
    for broken in ({"persons": listed.persons[::-1]}, {"roles": listed.roles[1:]}, {"stratum_of": (9,) * 20}):
        with pytest.raises(ValidationError):
            RosterList.model_validate(listed.model_dump() | broken)


# --- changes -------------------------------------------------------------------------------------------------------------


def said(start_days: float, listed: RosterList, name: str = "r") -> tuple[RosterCommitted, RosterList]:
    start = START + start_days * DAY
    return RosterCommitted(
        origin=Origin.RECORDED, reporter="staff-a", period=Period(start=start, end=start + DAY), roster=name,
        strata=dict(listed.people), committed_at=start,
    ), listed  # fmt: skip


def test_who_left_just_before_the_draw_is_listed_and_held_against_chance() -> None:
    """Ninety days in which one leaves in thirty, and then seven in two days."""
    now = kept()
    history = [said(0, now.listed())]
    for number, (day, gone) in enumerate(((30, 1), (60, 1), (90, 1), (92, 7))):
        now = KeptRoster(roster=f"r{number}", strata=now.strata, people=now.people[gone:])
        history.append(said(day, now.listed()))
    found = changes(history[-2][1], history[-1][1])
    assert (len(found.left), found.joined, found.stayed, found.salted_anew) == (7, (), 10, False)
    assert found.left_by_stratum == {"operations": 7}
    verdict = leaving(history)
    assert (verdict.last, verdict.earlier) == (7, 3)
    assert verdict.unusual
    assert not leaving(history[:-1]).unusual
    # Two rosters have no past to hold anything against, and nothing is made of it.
    assert leaving(history[-2:]).chance == 1.0
    for wrong in ([history[0]], [history[1], history[0]]):
        with pytest.raises(ValueError, match=r"two rosters|follow"):
            leaving(wrong)


def test_the_chance_is_the_binomial_tail() -> None:
    for count, share in ((0, 0.3), (2, 0.3), (5, 0.1), (6, 0.999), (3, 1.0), (3, 0.0)):
        randomly = random.Random(count)
        simulated = sum(sum(randomly.random() < share for _ in range(6)) >= count for _ in range(4000)) / 4000
        assert as_many_or_more(count, 6, share) == pytest.approx(simulated, abs=0.03)


def test_a_roster_that_was_salted_anew_shows_as_one() -> None:
    again = keep("r2", rows(), salt=iter([hex_of("new", n) for n in range(20)]).__next__)
    found = changes(kept().listed(), again.listed())
    assert found.salted_anew
    assert len(found.left) == len(found.joined) == 20


def test_a_changed_role_is_seen_and_not_taken_for_a_departure() -> None:
    before = kept()
    first = before.people[0]
    after = before.model_copy(update={"people": (first.model_copy(update={"role": "cook"}), *before.people[1:])})
    found = changes(before.listed(), after.listed())
    assert (found.left, found.joined, len(found.moved)) == ((), (), 1)
    assert found.moved[0].stratum_before == found.moved[0].stratum_after == "operations"


def test_badges_and_names_that_no_entry_stands_for() -> None:
    assert [one.when for one in more_badges({"mon": 20, "tue": 21}, 20)] == ["tue"]
    assert unlisted(["ope-0", "ghost"], kept().people) == ("ghost",)


# --- visits --------------------------------------------------------------------------------------------------------------


def schedule(case: Round, **changed: object) -> Schedule:
    value = {
        "roster": case.committed().digest, "drawn": digest("draw"), "questions": digest("questions"),
        "period": Period(start=START, end=START + 2 * DAY), "opens_minute": 480, "closes_minute": 780, "slot_minutes": 60,
        "rooms": 2,
    } | changed  # fmt: skip
    return Schedule.model_validate(value)


def test_everybody_visits_once_in_equal_slots_and_rooms_are_never_shared() -> None:
    case = Round()
    planned = visits_of(schedule(case), case.randomness, case.listed)
    assert sorted(visit.entry for visit in planned) == list(range(20))
    assert {visit.end - visit.start for visit in planned} == {HOUR}
    assert len({(visit.room, visit.start) for visit in planned}) == 20
    assert all(8 <= visit.start.hour < 13 for visit in planned)
    other = visits_of(schedule(case, roster=digest("another")), case.randomness, case.listed)
    assert [visit.entry for visit in other] != [visit.entry for visit in planned]
    with pytest.raises(InputError, match="do not fit"):
        visits_of(schedule(case, rooms=1), case.randomness, case.listed)
    with pytest.raises(ValidationError, match="no slot"):
        schedule(case, slot_minutes=301)


def test_slots_lie_within_the_period() -> None:
    case = Round()
    period = Period(start=START + 10 * HOUR, end=START + 2 * DAY + 9 * HOUR)
    planned = visits_of(schedule(case, period=period, rooms=4), case.randomness, case.listed)
    assert min(visit.start for visit in planned) == period.start
    assert max(visit.end for visit in planned) <= period.end


def test_attendance_counts_everybody_and_names_who_is_missing() -> None:
    case = Round()
    roster, made = case.committed(), schedule(case)
    came = Attendance(schedule=made.digest, came=(0, 1, 5), excused=(Excused(entry=2, excuse=Excuse.ILL),))
    assert came.missing(6) == (3, 4)
    assert sum(followed_up(came.missing(20), case.listed).values()) == 16
    who = Who(name="ada", at=START + 3 * DAY, origin=Origin.RECORDED)
    act = make_visits(roster, made, came, who)
    assert (act.predicate.due, act.predicate.came, act.predicate.excused) == (20, 3, 1)  # type: ignore[union-attr]
    assert act.payloads == ()
    wrong = (
        (roster, made, came.model_copy(update={"schedule": digest("x")}), who),
        (roster, made, came.model_copy(update={"came": (20,)}), who),
        (roster, made, came, Who(name="ada", at=START, origin=Origin.RECORDED)),
        (case.committed(promise=None), made, came, who),
    )
    for one in wrong:
        with pytest.raises(InputError):
            make_visits(*one)
    with pytest.raises(ValidationError, match="more than once"):
        Attendance(schedule=made.digest, came=(1, 1))
    assert parse_attendance(came.canonical_bytes(), where="t") == came
    assert parse_schedule(made.canonical_bytes(), where="t") == made


def test_calendars_are_of_the_form_that_rfc_5545_gives() -> None:
    visit = Visit(entry=7, room=0, start=START + HOUR, end=START + 2 * HOUR)
    data = calendar([visit], schedule=digest("s"), made_at=START.astimezone(UTC))
    assert data.endswith(b"END:VCALENDAR\r\n")
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert all(len(line) <= 75 for line in data.split(b"\r\n"))
    unfolded = data.replace(b"\r\n ", b"").decode().split("\r\n")
    values = dict(line.split(":", 1) for line in unfolded if line)
    assert values["UID"] == f"{hex_of('s')}-7"
    assert (values["DTSTART"], values["DTEND"]) == ("20241101T010000Z", "20241101T020000Z")
    assert [line for line in unfolded if line.startswith(("BEGIN", "END:"))] == [
        "BEGIN:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip
    assert (len(unfolded[4]), b"\r\n " in data) == (4 + 64 + 2, False), "a UID fits; a longer line is folded"
    long = calendar([Visit(entry=12345, room=0, start=START, end=START + HOUR)], schedule="s" * 80, made_at=START)
    assert b"\r\n s" in long
    assert all(len(line) <= 75 for line in long.split(b"\r\n"))


# --- the beacon ----------------------------------------------------------------------------------------------------------

PUBLISHED = (
    5_928_395,
    "a5d07c0071b4e386b3ae09206522253c68fefe8490ad59ecc44a7dd0d0745be91da5779e2247a82403fbc0cb9a34cb61",
)
"""A round of drand quicknet (see tests/inspection/test_draw_beacon.py)."""


def beacon_round(case: Round, **changed: object) -> tuple[list[Fault], Order | None]:
    number, signature = PUBLISHED
    made = QUICKNET.time_of(number)
    roster = case.committed(promise=None, committed_at=changed.pop("committed_at", made - HOUR))
    source = {
        "kind": "drand", "chain": QUICKNET.chain_hash, "round": number, "signature": signature,
        "received_at": made - timedelta(minutes=5), "selection": case.selection.model_dump(mode="json"),
    } | changed  # fmt: skip
    randomness = Randomness[Selection].model_validate({"source": source})
    order = order_of(seed_of(randomness, roster.digest), case.listed)
    drawn = case.drawn(
        roster, randomness=randomness, drawn_at=made + HOUR, answer_by=made + DAY, promise=None,
        drawn=draw(order, sizes_of(case.selection, case.listed)),
    )  # fmt: skip
    judged = check_draw(Statements(roster=roster, drawn=drawn), payload=case.payload)
    return [found.fault for found in judged.faults], judged.order


def test_a_draw_by_a_published_round_and_what_a_host_or_verifier_could_gain_by_it() -> None:
    pytest.importorskip("py_arkworks_bls12381", reason="needs the extra `beacon`")
    case = Round()
    assert beacon_round(case) == ([], Order.BEACON)
    late = beacon_round(case, received_at=START + 10_000 * DAY)
    assert late[0] == [Fault.COMMITTED_LATE], "several rosters kept until the round is known: none can be shown then"
    assert Fault.CHAIN_UNKNOWN in beacon_round(case, chain="0" * 64)[0]
    assert Fault.BEACON_FALSE in beacon_round(case, signature="ff" * 48)[0]
    earlier = QUICKNET.time_of(PUBLISHED[0]) - HOUR - timedelta(seconds=3)
    assert beacon_round(case, committed_at=earlier)[0] == [Fault.ROUND_OTHER]


# --- bytes that are none of these ----------------------------------------------------------------------------------------

PARSERS = (parse_roster_list, parse_openings, parse_promise, parse_randomness, parse_schedule, parse_attendance)


WHOLE = Round()
PAYLOADS = (
    WHOLE.listed.canonical_bytes(), b'{"people":[],"roster":"r","version":1}', WHOLE.promise.canonical_bytes(),
    WHOLE.randomness.canonical_bytes(), schedule(WHOLE).canonical_bytes(),
    Attendance(schedule=digest("s"), came=(1, 2)).canonical_bytes(),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.integers(0, len(PARSERS) - 1), st.integers(0), st.binary(max_size=4), st.integers(0, 4))
def test_mutated_payloads_are_errors_of_ours_or_another_record(which: int, place: int, patch: bytes, cut: int) -> None:
    made = PAYLOADS[which]
    place %= len(made)
    mutated = made[:place] + patch + made[place + cut :]
    try:
        record = PARSERS[which](mutated, where="t")
    except EvidenceError:
        record = None
    assert record is None or record.canonical_bytes() == mutated, "one byte form"


def test_a_roster_whose_bytes_changed_after_it_was_signed_for_is_no_roster() -> None:
    roster = WHOLE.committed()
    for place in range(0, len(PAYLOADS[0]), 97):
        mutated = bytearray(PAYLOADS[0])
        mutated[place] ^= 1
        found = check_roster(roster, payload=lambda _, data=bytes(mutated): data)[1]  # type: ignore[misc]
        assert [one.fault for one in found] == [Fault.ROSTER_UNREADABLE]
