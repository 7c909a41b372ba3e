"""Rooms: budget, slots, the host's answer, crashes; the judge against every change of a log."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes, digest_of, parse_json
from inspectorate.cli.room import room
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin, RoomClosed
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.inspection.room.check import RoomProblemKind, RoomReport, check_room, check_room_log
from inspectorate.mechanisms.inspection.room.session import LOG, Around, Room, closed_statement, read_log
from inspectorate.mechanisms.inspection.room.types import (
    OUTPUT_BYTES,
    VERDICT,
    CountRange,
    Form,
    Opened,
    Output,
    offered_bits,
)

START = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
HOST = SigningKey(b"\x05" * 32)
COUNTED = Form(id="counted", words=("ok", "failed"), counts=(CountRange(name="differed", least=0, most=7),))
CONSISTENT = Output(word="consistent")


class Time:
    """A clock that moves when somebody waits or works."""

    def __init__(self) -> None:
        self.at = START

    def pass_(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def wait_until(self, at: datetime) -> None:
        self.at = max(self.at, at)


@pytest.fixture
def time() -> Time:
    return Time()


def around(time: Time, seen: list[bytes] | None = None) -> Around:
    return Around(clock=lambda: time.at, wait_until=time.wait_until, on_entry=None if seen is None else seen.append)


def opening(bits: float = 20.0) -> Opened:
    return Opened(session="visit-1", by="inspector-1", host="party-b", origin=Origin.RECORDED, bits_max=bits,
                  slot_s=10.0, forms=(VERDICT, COUNTED))  # fmt: skip


def whole(folder: Path, time: Time) -> tuple[RoomClosed, bytes]:
    """A session with an input, an output that leaves, one that the host keeps back, and an end."""
    (folder / "weights").write_bytes(b"secret weights")
    with Room.open(folder / "room", opening(), around(time)) as held:
        held.read_input("weights", folder / "weights")
        held.run("replay", "verdict", lambda: CONSISTENT, inputs=["weights"])
        held.agree(HOST)
        time.pass_(30)
        held.release()
        held.run("count", "counted", lambda: Output(word="ok", counts=(3,)))
        held.object()
        statement, log = held.close()
    assert isinstance(statement.predicate, RoomClosed)
    return statement.predicate, log


def kinds(found: RoomReport) -> set[RoomProblemKind]:
    return {one.kind for one in found.problems}


# --- an honest session -------------------------------------------------------------------------------------------------


def test_a_whole_session(tmp_path: Path, time: Time) -> None:
    predicate, log = whole(tmp_path, time)
    found = check_room(predicate, log, host_key=HOST.public)
    assert found.problems == []
    assert predicate.bits_out == pytest.approx(math.log2(5) + math.log2(16) + 1)
    assert (predicate.inputs, predicate.outputs) == (1, "verdict-and-count")
    assert found.inputs == {"weights": digest_of(b"secret weights")}
    assert b"secret weights" not in log
    assert set(found.released) == {0}


def test_the_ledger_is_told_every_line(tmp_path: Path, time: Time) -> None:
    seen: list[bytes] = []
    with Room.open(tmp_path / "room", opening(), around(time, seen)) as held:
        held.run("a", "verdict", lambda: CONSISTENT)
    lines = read_log(tmp_path / "room").splitlines()
    assert [f"sha256:{one.hex()}" for one in seen] == [digest_of(line) for line in lines]


def test_nothing_leaves_before_the_host_agrees_and_the_slot_comes(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(), around(time)) as held:
        held.run("a", "verdict", lambda: CONSISTENT)
        assert held.release() == ()
        with pytest.raises(InputError, match="waits for the host"):
            held.run("b", "verdict", lambda: CONSISTENT)
        slot = held.agree(HOST)
        assert held.release() == ()
        time.wait_until(START + timedelta(seconds=10 * slot))
        ((job, data),) = held.release()
        assert (job, len(data)) == (0, OUTPUT_BYTES)
        assert held.release() == ()


def test_how_long_a_job_takes_and_what_it_found_changes_neither_times_nor_lengths(tmp_path: Path) -> None:
    """Two sessions that differ in what a job found, and in how soon: but for that word their logs say the same."""
    logs = []
    for name, seconds, word in (("a", 0.0, "consistent"), ("b", 9.4, "inconsistent")):
        time = Time()

        def job(time: Time = time, seconds: float = seconds, word: str = word) -> Output:
            time.pass_(seconds)
            return Output(word=word)

        with Room.open(tmp_path / name, opening(), around(time)) as held:
            held.run("j", "verdict", job)
            held.agree(HOST)
            time.pass_(20)
            ((_, data),) = held.release()
            held.close()
        assert len(data) == OUTPUT_BYTES
        entries = check_room_log(read_log(tmp_path / name)).entries
        logs.append([(one.number, one.at, one.body.entry) for one in entries])
    assert logs[0] == logs[1]


def test_a_late_output_is_charged_for_being_late(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(), around(time)) as held:

        def job() -> Output:
            time.pass_(45)
            return CONSISTENT

        held.run("slow", "verdict", job)
        offered = held.report.offered[0]
        assert offered.late_slots == 3
        assert offered.bits == offered_bits(VERDICT, 3) == pytest.approx(math.log2(5) + 2)
        held.agree(HOST)
        held.close()
    assert check_room_log(read_log(tmp_path / "room")).problems == []


# --- the budget --------------------------------------------------------------------------------------------------------


def test_what_exceeds_the_budget_is_refused_before_it_runs(tmp_path: Path, time: Time) -> None:
    ran = []
    with Room.open(tmp_path / "room", opening(bits=6.0), around(time)) as held:
        held.run("a", "verdict", lambda: CONSISTENT)
        held.agree(HOST)
        with pytest.raises(InputError, match="exceeds"):
            held.run("b", "counted", lambda: ran.append(1) or CONSISTENT)  # type: ignore[func-returns-value]
        assert ran == []
        held.run("c", "verdict", lambda: CONSISTENT)
        held.object()
        with pytest.raises(InputError, match="exceeds"):
            held.run("d", "verdict", lambda: CONSISTENT)
        held.close()
    found = check_room_log(read_log(tmp_path / "room"))
    assert found.problems == []
    assert found.bits_out <= 6.0


def test_an_output_too_late_for_the_budget_is_never_written_down(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(bits=4.0), around(time)) as held:

        def job() -> Output:
            time.pass_(500)
            return Output(word="inconsistent")

        with pytest.raises(InputError, match="late"):
            held.run("slow", "verdict", job)
        held.close()
    log = read_log(tmp_path / "room")
    assert check_room_log(log).problems == []
    assert b'"word"' not in log
    assert check_room_log(log).bits_out == 0


@given(st.lists(st.tuples(st.sampled_from(["verdict", "counted"]), st.booleans()), max_size=6), st.floats(1, 25))
@settings(max_examples=15)
def test_no_session_exceeds_its_budget(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[tuple[str, bool]], bits: float
) -> None:
    time, folder = Time(), tmp_path_factory.mktemp("room") / "room"
    slow = 0.0  # the oracle: bits by hand
    with Room.open(folder, opening(bits=bits), around(time)) as held:
        for form, agrees in jobs:
            cost = math.log2(5) if form == "verdict" else math.log2(16)
            output = CONSISTENT if form == "verdict" else Output(word="ok", counts=(1,))
            if slow + cost + 1 > bits:
                with pytest.raises(InputError, match="exceeds"):
                    held.run("j", form, lambda output=output: output)  # type: ignore[misc]
                continue
            held.run("j", form, lambda output=output: output)  # type: ignore[misc]
            slow += cost
            if agrees:
                held.agree(HOST)
            else:
                held.object()
                slow += 1
        statement, log = held.close()
    assert isinstance(statement.predicate, RoomClosed)
    assert statement.predicate.bits_out == pytest.approx(slow)
    assert slow <= bits
    assert check_room(statement.predicate, log, host_key=HOST.public).problems == []


def test_what_is_not_in_the_form_becomes_failed(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(bits=40), around(time)) as held:
        for output in (Output(word="the-key-is-1234"), Output(word="consistent", counts=(7,))):
            held.run("a", "verdict", lambda output=output: output)  # type: ignore[misc]
            waiting = held.waiting()
            assert waiting is not None
            assert waiting[1].word == "failed"
            held.object()


def test_a_fault_of_a_job_is_failed_and_goes_on(tmp_path: Path, time: Time) -> None:
    def evidence() -> Output:
        raise EvidenceError("secret words")

    def fault() -> Output:
        raise ZeroDivisionError

    with Room.open(tmp_path / "room", opening(bits=40), around(time)) as held:
        held.run("a", "verdict", evidence)
        held.agree(HOST)
        with pytest.raises(ZeroDivisionError):
            held.run("b", "verdict", fault)
        held.agree(HOST)
        held.close()
    log = read_log(tmp_path / "room")
    assert check_room_log(log).problems == []
    assert b"secret words" not in log


# --- crashes -----------------------------------------------------------------------------------------------------------


def test_a_crash_leaves_an_unclosed_session_that_everybody_sees(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(), around(time)) as held:
        held.run("a", "verdict", lambda: CONSISTENT)
    log = read_log(tmp_path / "room")
    assert kinds(check_room_log(log)) == {RoomProblemKind.UNCLOSED}
    with pytest.raises(EvidenceError, match="never closed"):
        closed_statement(log)
    with (tmp_path / "room" / LOG).open("ab") as file:
        file.write(b'{"half a line')
    assert RoomProblemKind.MALFORMED in kinds(check_room_log(read_log(tmp_path / "room")))
    with Room.resume(tmp_path / "room", around(time)) as held:
        held.agree(HOST)
        held.close()
    found = check_room_log(read_log(tmp_path / "room"))
    assert kinds(found) == {RoomProblemKind.RESUMED}
    assert found.sound
    with pytest.raises(InputError, match="closed"):
        Room.resume(tmp_path / "room", around(time))


def test_a_crash_in_the_middle_of_a_job_ends_it_as_failed(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(), around(time)) as held:
        held.run("a", "verdict", lambda: CONSISTENT)
    lines = read_log(tmp_path / "room").splitlines(keepends=True)
    (tmp_path / "room" / LOG).write_bytes(b"".join(lines[:2]))
    with Room.resume(tmp_path / "room", around(time)) as held:
        waiting = held.waiting()
        assert waiting is not None
        assert waiting[1].word == "failed"


def test_two_writers_and_a_second_session_are_refused(tmp_path: Path, time: Time) -> None:
    with Room.open(tmp_path / "room", opening(), around(time)):
        with pytest.raises(Exception, match="another process"):
            Room.resume(tmp_path / "room", around(time))
        with pytest.raises(InputError, match="already"):
            Room.open(tmp_path / "room", opening(), around(time))
    with pytest.raises(InputError, match="no session"):
        Room.resume(tmp_path / "nothing", around(time))


def test_an_input_that_changed_is_refused(tmp_path: Path, time: Time) -> None:
    (tmp_path / "a").write_bytes(b"1")
    with Room.open(tmp_path / "room", opening(), around(time)) as held:
        held.read_input("a", tmp_path / "a")
        held.read_input("a", tmp_path / "a")
        (tmp_path / "a").write_bytes(b"2")
        with pytest.raises(InputError, match="another file"):
            held.read_input("a", tmp_path / "a")
        with pytest.raises(InputError, match="not read"):
            held.run("j", "verdict", lambda: CONSISTENT, inputs=["b"])


# --- the judge ---------------------------------------------------------------------------------------------------------


def rechained(entries: list[dict[str, object]]) -> bytes:
    """A log of these entries, numbered and chained anew: what a forger who knows the form would write."""
    lines: list[bytes] = []
    for number, one in enumerate(entries):
        one["number"] = number
        one.pop("previous", None)
        if lines:
            one["previous"] = digest_of(lines[-1])
        lines.append(canonical_bytes(one))
    return b"".join(line + b"\n" for line in lines)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[RoomClosed, bytes]:
    return whole(tmp_path_factory.mktemp("honest"), Time())


def parsed(log: bytes) -> list[dict[str, object]]:
    return [parse_json(line, where="test") for line in log.splitlines()]


def test_a_dropped_entry_is_found_however_it_is_chained(honest: tuple[RoomClosed, bytes]) -> None:
    predicate, log = honest
    entries = log.splitlines(keepends=True)
    for place in range(len(entries)):
        cut = b"".join(entries[:place] + entries[place + 1 :])
        assert not check_room(predicate, cut, host_key=HOST.public).sound, f"line {place}"
        again = parsed(log)
        del again[place]
        body = parsed(log)[place]["body"]
        assert isinstance(body, dict)
        if body["entry"] != "released":  # that an output left a second time, or later, is not for the log to show
            assert not check_room(predicate, rechained(again), host_key=HOST.public).sound, f"line {place}, chained"


@pytest.mark.parametrize(
    ("entry", "field", "value", "kind"),
    [
        ("offered", "bits", 0.5, RoomProblemKind.BITS),
        ("offered", "output", {"word": "attack-at-dawn"}, RoomProblemKind.OUTSIDE_LIST),
        ("offered", "output", {"word": "consistent", "counts": [5]}, RoomProblemKind.OUTSIDE_LIST),
        ("offered", "late_slots", 1, RoomProblemKind.SLOT),
        ("closed", "bits_out", 1.0, RoomProblemKind.BITS),
        ("closed", "inputs", 0, RoomProblemKind.BITS),
        ("opened", "bits_max", 3.0, RoomProblemKind.BUDGET),
        ("opened", "host", "party-c", RoomProblemKind.STATEMENT_DIFFERS),
        ("input", "digest", "sha256:" + "0" * 64, RoomProblemKind.SIGNATURE),
        ("job", "form", "anything", RoomProblemKind.OUTSIDE_LIST),
        ("job", "inputs", ["unread"], RoomProblemKind.ORDER),
        ("agreed", "signature", "AAAA", RoomProblemKind.SIGNATURE),
        ("released", "slot", 9, RoomProblemKind.SLOT),
        ("released", "job", 1, RoomProblemKind.ORDER),
    ],
)
def test_each_change_is_found_though_chained_anew(
    honest: tuple[RoomClosed, bytes], entry: str, field: str, value: object, kind: RoomProblemKind
) -> None:
    predicate, log = honest
    entries = parsed(log)
    body = next(one["body"] for one in entries if one["body"]["entry"] == entry)  # type: ignore[index]
    assert isinstance(body, dict)
    body[field] = value
    assert kind in kinds(check_room(predicate, rechained(entries), host_key=HOST.public))


def test_times_between_edges_and_backwards_are_found(honest: tuple[RoomClosed, bytes]) -> None:
    predicate, log = honest
    entries = parsed(log)
    entries[3]["at"] = "2026-01-01T12:00:21.373000Z"
    assert RoomProblemKind.SLOT in kinds(check_room(predicate, rechained(entries)))
    entries = parsed(log)
    entries[3]["at"] = "2026-01-01T11:00:00.250000Z"
    assert RoomProblemKind.ORDER in kinds(check_room(predicate, rechained(entries)))


def test_a_statement_of_fewer_bits_is_found(honest: tuple[RoomClosed, bytes]) -> None:
    predicate, log = honest
    found = check_room(predicate.model_copy(update={"bits_out": 1.0}), log)
    assert kinds(found) == {RoomProblemKind.STATEMENT_DIFFERS}


@given(st.integers(0, 10**6), st.integers(1, 255))
@settings(max_examples=80)
def test_no_flipped_byte_passes_or_raises(honest: tuple[RoomClosed, bytes], place: int, flip: int) -> None:
    predicate, log = honest
    data = bytearray(log)
    data[place % len(data)] ^= flip
    assert not check_room(predicate, bytes(data), host_key=HOST.public).sound


@given(st.binary(max_size=300))
def test_any_bytes_are_judged_without_raising(data: bytes) -> None:
    assert not check_room_log(data).sound


def test_forms_are_closed() -> None:
    assert VERDICT.bits == math.log2(5)
    assert COUNTED.outcomes == 16
    with pytest.raises(ValueError, match="failed"):
        Form(id="a", words=("yes", "no"))
    with pytest.raises(ValueError, match="above"):
        CountRange(name="n", least=3, most=3)


# --- the command -------------------------------------------------------------------------------------------------------


def test_the_commands_from_opening_to_closing(tmp_path: Path) -> None:
    HOST.write(tmp_path / "host.pem")
    (tmp_path / "forms.yaml").write_text(yaml.safe_dump([VERDICT.model_dump(mode="json")]))
    runner, folder = CliRunner(), str(tmp_path / "room")

    def call(*words: str) -> tuple[int, str]:
        result = runner.invoke(room, list(words))
        return result.exit_code, result.output or str(result.exception)

    code, text = call("open", folder, "--session", "v", "--as", "inspector-1", "--host", "party-b", "--bits", "8",
                      "--slot", "0.4", "--forms", str(tmp_path / "forms.yaml"))  # fmt: skip
    assert code == 0, text
    assert call("run", folder, "--job", "look", "--input", f"a b={tmp_path / 'forms.yaml'}", "--", "agreement")[0] == 2
    code, text = call("run", folder, "--job", "look", "--input", f"forms={tmp_path / 'forms.yaml'}", "--",
                      "agreement", "show", "no-such-agreement")  # fmt: skip
    assert code == 10, text
    assert "waits" in text
    assert call("show", folder, "--json")[0] == 10
    code, text = call("answer", folder)
    assert code == 10
    assert "failed" in text, "a slot this short ends any command"
    assert call("answer", folder, "--agree", str(tmp_path / "host.pem"))[0] == 0
    code, text = call("close", folder, "--key", str(tmp_path / "host.pem"), "--json")
    assert code == 0, text
    assert json.loads(text)["bits_out"] == pytest.approx(math.log2(5))
    again = call("close", folder, "--key", str(tmp_path / "host.pem"), "--json")
    assert again == (0, text), "a session that was ended and not signed, as on a full disk, can still be signed"
    code, text = call("show", folder, "--json")
    assert code == 0, text
    assert json.loads(text)["closed"]
    assert [one["output"] for one in json.loads(text)["jobs"]] == ['{"counts":[],"word":"failed"}'], (
        "it left before the end"
    )
    assert len(list((tmp_path / "room" / "statements").iterdir())) == 1
