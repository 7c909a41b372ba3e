"""Round trips, judged: every attack makes a region larger or nothing, and none makes it smaller."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from location_cases import (
    BELIEVED,
    COPY,
    DEVICE,
    HERE,
    INSPECTOR,
    LANDMARKS,
    LEAST_MS,
    PERIOD,
    START,
    Stated,
    nonce_of,
    ping,
    pings,
    record,
)

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.act import Who
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.custody.location.acts import make_round_trips
from inspectorate.mechanisms.custody.location.faults import Fault, Side
from inspectorate.mechanisms.custody.location.judge import Believed, Measured, check_round_trips, check_uses
from inspectorate.mechanisms.custody.location.protocol import DATAGRAM_BYTES, answer, ask, read_answer, verifies
from inspectorate.mechanisms.custody.location.record import (
    OfLandmark,
    Ping,
    RoundTrips,
    parse_round_trips,
    read_landmarks,
    read_round_trips,
    together,
)
from inspectorate.mechanisms.custody.location.region import Medium, Standing
from inspectorate.quantities import Period, to_ns

HONEST = {name: pings(name, (ms + 3, ms, ms + 1)) for name, ms in LEAST_MS.items()}


def judged(of: RoundTrips | bytes | None = None, believed: Believed = BELIEVED, **changed: object) -> Measured:
    stated = Stated()
    return check_round_trips(stated.statement(of, **changed), payload=stated.payload, believed=believed)


def faults(found: Measured) -> list[Fault]:
    return [one.fault for one in found.faults]


def radius(found: Measured) -> float:
    return found.regions[Medium.VACUUM].radius_m or float("inf")


STRAIGHT = radius(judged())


def test_honest_round_trips_show_a_region_by_the_least_of_each_landmark() -> None:
    found = judged()
    assert found.faults == ()
    assert found.least_s == {name: pytest.approx(ms / 1e3) for name, ms in LEAST_MS.items()}
    assert found.regions[Medium.VACUUM].standing is Standing.WITHIN
    assert (found.asked, found.answered) == (9, 9)


def spoilt(**changed: object) -> RoundTrips:
    """A record in which the best answer at `east` is changed."""
    mine = [one.model_dump() for one in HONEST["east"]]
    mine[1] |= changed
    return record(HONEST | {"east": tuple(Ping.model_validate(one) for one in mine)})


ASKED_NS = int(HONEST["east"][1].sent_ns)


@pytest.mark.parametrize(
    ("record_", "fault"),
    [
        (spoilt(signature="00" * 64), Fault.SIGNATURE_FALSE),
        (spoilt(signature=HONEST["east"][0].signature), Fault.SIGNATURE_FALSE),  # an answer to another question
        (spoilt(nonce=HONEST["west"][0].nonce), Fault.NONCE_REUSED),  # two landmarks ask the same
        (spoilt(nonce=HONEST["east"][0].nonce), Fault.NONCE_REUSED),  # one landmark asks twice
        (spoilt(round_trip_ns=999, received_ns=str(ASKED_NS + 999)), Fault.TOO_SHORT),
        (spoilt(received_ns=str(ASKED_NS + 3_000_000_000)), Fault.CLOCK_STEPPED),
        (spoilt(received_ns=str(ASKED_NS - 3_000_000_000)), Fault.CLOCK_STEPPED),
        (spoilt(sent_ns=str(to_ns(START) - 1), received_ns=str(to_ns(START) + 2_400_000)), Fault.OUTSIDE_PERIOD),
        (spoilt(received_ns=str(to_ns(PERIOD.end) + 1)), Fault.OUTSIDE_PERIOD),
    ],
)
def test_a_faulty_round_trip_is_named_and_makes_the_region_no_smaller(record_: RoundTrips, fault: Fault) -> None:
    found = judged(record_)
    assert fault in faults(found)
    assert found.least_s["east"] > LEAST_MS["east"] / 1e3
    assert radius(found) >= STRAIGHT


def test_a_device_that_guesses_nonces_answers_nothing() -> None:
    """It sends before it is asked; the signature is over the guess, and cannot be over the nonce that comes."""
    early = answer(DEVICE, ask(nonce_of("guess")))
    read = read_answer(early)
    asked = ping(nonce_of("real"), 0.5)
    forged = asked.model_copy(update={"signature": read[1].hex()})
    found = judged(record(HONEST | {"east": (*HONEST["east"], forged)}))
    assert Fault.SIGNATURE_FALSE in faults(found)
    assert radius(found) == STRAIGHT


def test_an_answer_that_waited_for_its_nonce_to_come_again_is_not_used() -> None:
    """Delayed, then early: the device keeps an answer, and gives it when the same nonce is asked in another statement."""
    stated = Stated()
    first = stated.statement()
    early = {"round_trip_ns": 20_000, "received_ns": str(ASKED_NS + 20_000)}
    again = record({"east": (HONEST["east"][1].model_copy(update=early),)})
    second = stated.statement(again, by="ada")
    reused, found = check_uses([first, second, first], payload=stated.payload)
    assert reused == {HONEST["east"][1].nonce}
    assert {one.statement for one in found} == {first.digest, second.digest}
    for statement in (first, second):
        one = check_round_trips(statement, payload=stated.payload, believed=BELIEVED, reused=reused)
        assert Fault.NONCE_REUSED in faults(one)
    assert one.regions[Medium.VACUUM].standing is Standing.NOT_MEASURED
    assert check_uses([first], payload=stated.payload) == (frozenset(), ())


def test_a_relay_only_adds_and_a_copied_key_is_the_assumption() -> None:
    relayed = record({name: pings(name, (ms + 6, ms + 9)) for name, ms in LEAST_MS.items()})
    assert radius(judged(relayed)) > STRAIGHT
    beside = record({name: pings(name, (0.2,)) if name == "east" else mine for name, mine in HONEST.items()})
    assert judged(beside).regions[Medium.VACUUM].standing is not Standing.WITHIN, (
        "named in the docs: the key is where it is"
    )
    copied = record({name: pings(name, (ms,), key=COPY) for name, ms in LEAST_MS.items()})
    found = judged(copied)
    assert found.regions[Medium.VACUUM].standing is Standing.NOT_MEASURED
    assert {Fault.SIGNATURE_FALSE, Fault.UNANSWERED} == set(faults(found))


def test_times_that_fit_nowhere_are_a_contradiction_and_never_a_place() -> None:
    found = judged(record({name: pings(name, (0.1,)) for name in LEAST_MS}))
    region = found.regions[Medium.VACUUM]
    assert region.standing is Standing.CONTRADICTION
    assert region.radius_m is None


def test_silence_is_not_measured_and_stands_against_the_device() -> None:
    silent = record({"east": (Ping(nonce="ab" * 32, sent_ns=str(ASKED_NS)),)})
    found = judged(silent)
    assert faults(found) == [Fault.UNANSWERED]
    assert Fault.UNANSWERED.side is Side.PROVER
    assert found.regions[Medium.VACUUM].standing is Standing.NOT_MEASURED
    assert (found.asked, found.answered) == (1, 0)


def test_landmarks_and_keys_are_the_reviewers() -> None:
    few = Believed(landmarks={"east": LANDMARKS["east"]}, key=DEVICE.public, declared=HERE)
    found = judged(believed=few)
    assert faults(found) == [Fault.LANDMARK_UNKNOWN] * 2
    assert found.regions[Medium.VACUUM].landmarks == ("east",)
    assert radius(found) > STRAIGHT


def test_a_record_that_is_none_measures_nothing() -> None:
    assert faults(judged(b"{}")) == [Fault.RECORD_UNREADABLE]
    assert faults(judged(record().canonical_bytes() + b" ")) == [Fault.RECORD_UNREADABLE]
    assert faults(judged(record().model_copy(update={"device": "another"}))) == [Fault.DEVICE_OTHER]
    assert faults(judged(landmarks=2)) == [Fault.LANDMARKS_DIFFER]
    missing = Stated()
    statement = missing.statement()
    missing.payloads.clear()
    assert faults(check_round_trips(statement, payload=missing.payload, believed=BELIEVED)) == [Fault.RECORD_UNREADABLE]


def test_the_statement_is_made_of_what_lies_within_its_period() -> None:
    who = Who(name="ada", at=PERIOD.end, origin=Origin.RECORDED)
    act = make_round_trips(record(), who, period=PERIOD)
    assert act.predicate.landmarks == 3
    assert parse_round_trips(act.payloads[0], where="x") == record()
    with pytest.raises(InputError, match="outside"):
        make_round_trips(record(), who, period=Period(start=START + timedelta(seconds=11), end=PERIOD.end))


def test_files_of_landmarks_are_joined_and_different_devices_are_not() -> None:
    parts = [RoundTrips(device="beacon-a", landmarks=(OfLandmark(landmark=n, pings=p),)) for n, p in HONEST.items()]
    assert together(parts) == record()
    with pytest.raises(InputError, match="different devices"):
        together([parts[0], parts[1].model_copy(update={"device": "another"})])


@pytest.mark.parametrize(
    "change",
    [
        {"pings": []}, {"nonce": "zz" * 32}, {"nonce": "ab" * 31}, {"sent_ns": "0"}, {"sent_ns": "1e9"}, {"round_trip_ns": -1},
        {"round_trip_ns": 10**18}, {"signature": "ab"}, {"signature": None},
    ],
)  # fmt: skip
def test_what_is_no_round_trip_is_refused(change: dict[str, object]) -> None:
    value = record().model_dump(mode="json")
    target = value["landmarks"][0] if "pings" in change else value["landmarks"][0]["pings"][0]
    target |= change
    with pytest.raises(EvidenceError):
        read_round_trips(json.dumps(value).encode(), where="x")


def test_landmarks_of_the_reviewer_are_read_and_named_once(tmp_path) -> None:
    good = tmp_path / "good.yaml"
    good.write_text("landmarks:\n  - {name: east, latitude_deg: 52, longitude_deg: 9}\n")
    assert read_landmarks(good)["east"].position_error_m == 100.0
    bad = tmp_path / "bad.yaml"
    for text in ("landmarks: []\n", good.read_text() + "  - {name: east, latitude_deg: 1, longitude_deg: 9}\n",
                 "landmarks:\n  - {name: east, latitude_deg: 91, longitude_deg: 9}\n"):  # fmt: skip
        bad.write_text(text)
        with pytest.raises(InputError):
            read_landmarks(bad)


# --- the reader and the datagrams, with whatever comes ----------------------------------------------------------------------

GOOD = record().canonical_bytes()


@given(st.data())
@settings(max_examples=40)
def test_a_mutated_record_is_refused_or_judged_and_never_raises(data: st.DataObject) -> None:
    raw = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = judged(bytes(raw))
    assert found.faults or radius(found) >= STRAIGHT
    if (
        radius(found) < STRAIGHT
    ):  # a byte of a time was changed, and the digest with it: the statement is the verifier's own
        assert canonical_bytes(json.loads(raw)) == raw


@given(st.one_of(st.binary(max_size=200), st.binary(min_size=DATAGRAM_BYTES, max_size=DATAGRAM_BYTES)))
def test_no_datagram_but_a_question_is_answered(data: bytes) -> None:
    assert answer(DEVICE, data) is None
    assert read_answer(data) is None


def test_a_question_is_answered_with_as_many_bytes_and_only_for_its_own_label() -> None:
    nonce = nonce_of("one")
    reply = answer(DEVICE, ask(nonce))
    assert len(reply) == len(ask(nonce)) == DATAGRAM_BYTES
    assert verifies(DEVICE.public, *read_answer(reply))
    assert not verifies(PublicKey(INSPECTOR.public.raw), *read_answer(reply))
    assert not DEVICE.public.verifies(read_answer(reply)[1], nonce), "the label is signed, too"
    assert answer(DEVICE, reply) is None, "an answer asks nothing: two devices do not talk to each other"
    with pytest.raises(ValueError, match="nonce"):
        ask(b"short")
