"""The only way out: one report a slot, on a fixed grid, within the budget, over crashes and restarts."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outlet_making import HOUR, KEY, MIDNIGHT, Sealing, Stream, checkpoint, plan

from inspectorate.canonical import canonical_bytes, digest_of, parse_json
from inspectorate.evidence import CablingFormat, CablingSeen, GuardReported, KeyCustody, Origin
from inspectorate.evidence.spool import DiskSpool
from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.budget import Plan
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.codec import decode, quantise
from inspectorate.mechanisms.guarantee.outlet.opening import OutputKind, Sealed
from inspectorate.mechanisms.guarantee.outlet.outlet import (
    WAITING_MAX,
    Outlet,
    OutletState,
    Result,
    SpoolSink,
    next_slot,
)
from inspectorate.quantities import Period

PLAN = plan()


class Life:
    """One outlet with its disk: what was saved is what a restart finds."""

    def __init__(self, now: datetime = MIDNIGHT, plan: Plan = PLAN, sealer: Any = None) -> None:
        self.plan = plan
        self.sealer = sealer or Sealing()
        self.stream = Stream()
        self.saved = OutletState()
        self.saves: list[datetime] = []
        self.sequence = 0
        self.outlet = self.open(now)

    def open(self, now: datetime) -> Outlet:
        outlet = Outlet(plan=self.plan, sink=self.stream, sealer=self.sealer, state=self.saved, now=now)
        self.persist(outlet.state)
        return outlet

    def restart(self, now: datetime) -> None:
        self.saved = OutletState.model_validate(parse_json(self.saved.canonical_bytes(), where="test"))
        self.outlet = self.open(now)

    def persist(self, state: OutletState) -> None:
        self.saved = state

    def tick(self, now: datetime, **given: Any) -> Result | None:
        """What a processor does at every tick; none if nothing is due."""
        self.stream.now = now
        period = self.outlet.due(now)
        if period is None:
            return None
        self.sequence += 1
        said = quantise(checkpoint(period=period, sequence=self.sequence, **given), self.outlet.plan.precision)
        return self.outlet.release(said, now=now, persist=self.persist)

    @property
    def periods(self) -> list[Period]:
        return [
            decode(dict(one.payloads)["checkpoint"], where="test").period
            for _, one in self.stream.out
            if one.kind is OutputKind.REPORT
        ]


def at(hours: float, seconds: float = 0.0) -> datetime:
    return MIDNIGHT + timedelta(hours=hours, seconds=seconds)


# --- slots -------------------------------------------------------------------------------------------------------------------


def test_a_report_leaves_in_each_slot_and_none_between() -> None:
    life = Life(at(0, 100))
    for minute in range(2, 6 * 60):
        life.tick(at(0, 60 * minute))
    assert life.periods == [Period(start=at(h), end=at(h + 1)) for h in range(1, 5)]
    assert [when for when, _ in life.stream.out] == [at(h) for h in range(2, 6)]
    assert {len(dict(one.payloads)["checkpoint"]) for _, one in life.stream.out} == {4096}


def test_the_first_report_is_of_the_first_whole_slot() -> None:
    life = Life(at(0, 1))
    assert life.tick(at(1)) is None
    assert life.tick(at(2)) is Result.RELEASED
    assert life.periods == [Period(start=at(1), end=at(2))]


def test_a_second_release_in_a_slot_is_refused() -> None:
    life = Life()
    assert life.tick(at(2)) is Result.RELEASED
    assert life.outlet.due(at(2, 10)) is None
    again = quantise(checkpoint(period=Period(start=at(1), end=at(2)), sequence=9))
    assert life.outlet.release(again, now=at(2, 10), persist=life.persist) is Result.NOT_DUE
    assert len(life.stream.out) == 1


def test_a_slot_that_was_missed_stays_empty_and_its_time_is_in_the_next_report() -> None:
    life = Life()
    life.tick(at(2))
    assert life.tick(at(3, 11)) is None, "the slot is over"
    assert life.tick(at(4)) is Result.RELEASED
    assert life.periods == [Period(start=at(1), end=at(2)), Period(start=at(2), end=at(4))]


@pytest.mark.parametrize(("every_s", "open_s"), [(3600.0, 10.0), (30.0, 7.5), (8.0, 2.0)])
def test_a_slot_is_open_for_a_quarter_of_the_period_and_ten_seconds_at_most(every_s: float, open_s: float) -> None:
    life = Life(plan=plan(every_s, 1e8))
    end = MIDNIGHT + timedelta(seconds=10 * every_s)
    assert life.outlet.due(end + timedelta(seconds=open_s)) is not None
    assert life.outlet.due(end + timedelta(seconds=open_s + 0.001)) is None
    assert life.outlet.due(end - timedelta(seconds=0.001)) is None


def test_a_clock_that_goes_back_gives_silence_and_no_second_report() -> None:
    life = Life()
    life.tick(at(5))
    for hour in (2, 3, 4, 5):
        assert life.tick(at(hour)) is None
    assert life.tick(at(6)) is Result.RELEASED


def test_the_next_slot_is_on_the_grid_whatever_the_start() -> None:
    for second in (0, 1, 1799, 3599):
        assert next_slot(PLAN, at(0, second)) == at(1)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.one_of(st.floats(0, 20_000), st.integers(0, 6).map(lambda n: n * 1800.0)), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
def test_whatever_the_ticks_and_restarts_reports_follow_one_another_on_the_grid(
    ticks: list[tuple[float, bool]],
) -> None:
    life = Life()
    now = MIDNIGHT
    for wait_s, restarts in ticks:
        now += timedelta(seconds=round(wait_s, 6))
        if restarts:
            life.restart(now)
        life.tick(now)
    for before, after in zip(life.periods, life.periods[1:], strict=False):
        assert after.start == before.end
    for when, _ in life.stream.out:
        assert (when - MIDNIGHT) % HOUR <= timedelta(seconds=10)
    assert all((period.end - MIDNIGHT) % HOUR == timedelta(0) for period in life.periods)
    assert max(Counter((when - MIDNIGHT) // HOUR for when, _ in life.stream.out).values(), default=0) <= 1


# --- budget -------------------------------------------------------------------------------------------------------------------


def test_a_day_that_has_no_bits_left_stays_silent_and_the_next_day_speaks() -> None:
    """A ruleset with a finer grid comes into force; what the day has cost stays spent."""
    life = Life(at(0), plan(3600, 1500, (MeterKind.FLOP,)))
    for hour in range(2, 24):
        assert life.tick(at(hour)) is Result.RELEASED
    spent = life.saved.spent_bits
    one = life.plan.bits_per_report
    assert spent == pytest.approx(22 * one)
    narrow = Plan(every_s=1800, precision=life.plan.precision, bits_per_day_max=spent + 0.5 * one)
    life.outlet.replan(narrow, at(23))
    assert life.tick(at(23.5)) is Result.OVER_BUDGET
    assert len(life.stream.out) == 22
    assert life.tick(at(24)) is Result.RELEASED, "its slot ends on the next day"
    assert life.saved.spent_bits == pytest.approx(narrow.bits_per_report)


def test_under_another_period_the_next_slot_is_on_the_new_grid_and_nothing_is_left_out() -> None:
    life = Life()
    life.tick(at(2))
    life.outlet.replan(plan(600), at(2.5))
    assert life.tick(at(2.5, 5)) is Result.RELEASED
    life.outlet.replan(plan(3600), at(2.6))
    assert life.tick(at(2.7)) is None
    assert life.tick(at(3)) is Result.RELEASED
    assert life.periods == [Period(start=at(a), end=at(b)) for a, b in ((1, 2), (2, 2.5), (2.5, 3))]


def test_a_processor_that_has_not_reported_waits_for_the_new_grid_only() -> None:
    life = Life(at(0, 10))
    life.outlet.replan(plan(600), at(0, 20))
    assert life.tick(at(0, 600)) is None
    assert life.tick(at(0, 1200)) is Result.RELEASED
    assert life.periods == [Period(start=at(0, 600), end=at(0, 1200))]


def test_the_budget_is_kept_over_restarts() -> None:
    life = Life()
    life.tick(at(2))
    one = life.saved.spent_bits
    life.restart(at(2, 30))
    life.tick(at(3))
    assert life.saved.spent_bits == pytest.approx(2 * one)


def test_bits_of_a_day_are_never_above_the_budget() -> None:
    tight = plan(600, 50_000)
    life = Life(at(12), Plan(every_s=600, precision=tight.precision, bits_per_day_max=tight.bits_per_day))
    for ten_minutes in range(100, 2 * 144 + 100):
        life.tick(at(ten_minutes / 6))
    by_day = Counter((end - MIDNIGHT).days for end in (period.end for period in life.periods))
    assert max(by_day.values()) == 144
    assert max(by_day.values()) * tight.bits_per_report <= tight.bits_per_day * (1 + 1e-9)


# --- crashes --------------------------------------------------------------------------------------------------------------------


def test_nothing_leaves_before_it_is_saved() -> None:
    life = Life()
    order: list[str] = []
    life.stream.put = lambda sealed: order.append("out")  # type: ignore[method-assign]
    said = quantise(checkpoint(period=Period(start=at(1), end=at(2)), sequence=1))
    life.outlet.release(said, now=at(2), persist=lambda state: order.append("saved"))
    assert order == ["saved", "out"]


def test_if_saving_fails_nothing_leaves() -> None:
    life = Life()

    def fails(_: OutletState) -> None:
        raise OSError(5, "Input/output error")

    said = quantise(checkpoint(period=Period(start=at(1), end=at(2)), sequence=1))
    with pytest.raises(OSError, match="Input/output"):
        life.outlet.release(said, now=at(2), persist=fails)
    assert life.stream.out == []
    life.restart(at(2, 5))
    assert life.tick(at(2, 5)) is Result.RELEASED, "the slot is still open, and unused"


@pytest.mark.parametrize(("back_s", "where"), [(5.0, "in the same slot"), (600.0, "with the next report")])
def test_after_a_crash_between_saving_and_delivery_the_same_bytes_leave(back_s: float, where: str) -> None:
    life = Life()
    life.stream.fails = True
    with pytest.raises(OSError, match="No space"):
        life.tick(at(2))
    life.stream.fails = False
    life.restart(at(2, back_s))
    life.stream.now = at(2, back_s)
    again = life.outlet.deliver_again(at(2, back_s))
    assert again == (where == "in the same slot")
    assert life.tick(at(2, back_s)) is None, "its slot is used"
    life.tick(at(3))
    assert [period.end for period in life.periods] == [at(2), at(3)]
    assert [when for when, _ in life.stream.out] == [at(2, 5) if again else at(3), at(3)]


def test_a_restart_after_delivery_gives_the_same_statement_again_and_a_sink_has_it_once(tmp_path: Path) -> None:
    life = Life()
    life.tick(at(2))
    life.restart(at(2, 5))
    life.outlet.deliver_again(at(2, 5))
    first, second = (one for _, one in life.stream.out)
    assert first == second
    with DiskSpool(tmp_path / "spool") as spool:
        for one in (first, second):
            SpoolSink(spool=spool).put(one)
    assert len(list((tmp_path / "spool" / "statements").iterdir())) == 1
    assert len(list((tmp_path / "spool" / "payloads").iterdir())) == 1


def test_a_processor_whose_sink_takes_nothing_ends() -> None:
    life = Life()
    life.stream.fails = True
    for hour in range(2, 11):
        with pytest.raises(OSError, match="No space"):
            life.tick(at(hour))
        life.restart(at(hour, 1))
    with pytest.raises(ValueError, match="not delivered"):
        life.tick(at(11))


# --- documents ------------------------------------------------------------------------------------------------------------------


def test_documents_leave_with_reports_one_of_each_kind_a_slot_oldest_first() -> None:
    life = Life()
    for kind, document in ((OutputKind.RULESET, b"r1"), (OutputKind.RULESET, b"r2"), (OutputKind.LICENCE, b"l1")):
        assert life.outlet.offer(kind, document)
    life.persist(life.outlet.state)
    assert life.stream.out == []
    life.tick(at(2))
    life.restart(at(2, 90))
    life.tick(at(3))
    life.tick(at(4))
    first_seen = {
        one.envelope: (when, one.kind.value, one.payloads[0][1][:2]) for when, one in reversed(life.stream.out)
    }
    out = list(reversed(first_seen.values()))
    assert [one for one in out if one[1] != "report"] == [
        (at(2), "ruleset", b"r1"),
        (at(2), "licence", b"l1"),
        (at(3), "ruleset", b"r2"),
    ]
    assert [one[1] for one in out].count("report") == 3


def test_too_many_waiting_documents_are_refused() -> None:
    life = Life()
    for n in range(WAITING_MAX):
        assert life.outlet.offer(OutputKind.LICENCE, b"%d" % n)
    assert not life.outlet.offer(OutputKind.LICENCE, b"one more")
    assert not Life().outlet.offer(OutputKind.RULESET, bytes(2 * 1024 * 1024))
    with pytest.raises(ValueError, match="released, not offered"):
        life.outlet.offer(OutputKind.REPORT, b"")


# --- what is sealed is opened again -----------------------------------------------------------------------------------------------


class Tampering(Sealing):
    """A sealer that hides something."""

    def __init__(self, change: Callable[[Sealing, Checkpoint, bytes], Sealed]) -> None:
        super().__init__()
        self.change = change

    def report(self, checkpoint: Checkpoint, data: bytes) -> Sealed:
        return self.change(Sealing(), checkpoint, data)


def _predicate(checkpoint: Checkpoint, **given: Any) -> GuardReported:
    fields: dict[str, Any] = {
        "origin": Origin.RECORDED,
        "reporter": checkpoint.reporter,
        "period": checkpoint.period,
        "sequence": checkpoint.sequence,
        "custody": KeyCustody.SOFTWARE,
    }
    return GuardReported(**(fields | given))


def _with_envelope(sealed: Sealed, change: Callable[[dict[str, Any]], None]) -> Sealed:
    envelope = parse_json(sealed.envelope, where="test")
    change(envelope)
    return Sealed(kind=sealed.kind, envelope=canonical_bytes(envelope), payloads=sealed.payloads)


def _with_payload(sealed: Sealed, change: Callable[[dict[str, Any]], None]) -> Sealed:
    def inner(envelope: dict[str, Any]) -> None:
        payload = parse_json(base64.b64decode(envelope["payload"]), where="test")
        change(payload)
        envelope["payload"] = base64.b64encode(canonical_bytes(payload)).decode()

    return _with_envelope(sealed, inner)


def _cabling(s: Sealing, c: Checkpoint, d: bytes) -> Sealed:
    seen = CablingSeen(
        origin=Origin.RECORDED, reporter=c.reporter, period=c.period, format=CablingFormat.LLDP_JSON, node="n"
    )
    return s.sealed(OutputKind.REPORT, seen, checkpoint=d)


HIDING: dict[str, Callable[[Sealing, Checkpoint, bytes], Sealed]] = {
    "another kind of statement": _cabling,
    "another output": lambda s, c, d: s.sealed(OutputKind.RULESET, _predicate(c), checkpoint=d),
    "another payload": lambda s, c, d: s.sealed(OutputKind.REPORT, _predicate(c), checkpoint=d[:-2] + b"1}"),
    "one payload more": lambda s, c, d: s.sealed(OutputKind.REPORT, _predicate(c), checkpoint=d, notes=b"hello"),
    "a quote of another size": lambda s, c, d: s.sealed(
        OutputKind.REPORT, _predicate(c), checkpoint=d, quote=bytes(QUOTE_BYTES - 1)
    ),
    "another number": lambda s, c, d: s.sealed(OutputKind.REPORT, _predicate(c, sequence=c.sequence + 1), checkpoint=d),
    "another period": lambda s, c, d: s.sealed(
        OutputKind.REPORT, _predicate(c, period=Period(start=c.period.start, end=c.period.end + HOUR)), checkpoint=d
    ),
    "another reporter": lambda s, c, d: s.sealed(OutputKind.REPORT, _predicate(c, reporter="other"), checkpoint=d),
    "a subject without its payload": lambda s, c, d: Sealed(
        kind=OutputKind.REPORT,
        envelope=s.sealed(OutputKind.REPORT, _predicate(c), checkpoint=d, quote=bytes(QUOTE_BYTES)).envelope,
        payloads=(("checkpoint", d),),
    ),
    "a third signature": lambda s, c, d: _with_envelope(
        s.report(c, d), lambda e: e.update(signatures=e["signatures"] * 3)
    ),
    "a longer signature": lambda s, c, d: _with_envelope(
        s.report(c, d), lambda e: e["signatures"][0].update(sig=base64.b64encode(bytes(80)).decode())
    ),
    "a field beside the signature": lambda s, c, d: _with_envelope(
        s.report(c, d), lambda e: e["signatures"][0].update(cert="x")
    ),
    "a field in the envelope": lambda s, c, d: _with_envelope(s.report(c, d), lambda e: e.update(note="x")),
    "a field in the statement": lambda s, c, d: _with_payload(s.report(c, d), lambda p: p.update(note="x")),
    "a field in the predicate": lambda s, c, d: _with_payload(
        s.report(c, d), lambda p: p["predicate"].update(note="x")
    ),
    "another form of a time": lambda s, c, d: _with_payload(
        s.report(c, d), lambda p: p["predicate"]["period"].update(end=c.period.end.isoformat())
    ),
    "white space": lambda s, c, d: Sealed(
        kind=OutputKind.REPORT, envelope=s.report(c, d).envelope + b" ", payloads=(("checkpoint", d),)
    ),
    "no envelope": lambda s, c, d: Sealed(kind=OutputKind.REPORT, envelope=b"[]", payloads=(("checkpoint", d),)),
    "an envelope of numbers": lambda s, c, d: _with_envelope(s.report(c, d), lambda e: e.update(signatures=[1])),
    "a huge envelope": lambda s, c, d: Sealed(
        kind=OutputKind.REPORT, envelope=b" " * 20_000, payloads=(("checkpoint", d),)
    ),
}


@pytest.mark.parametrize("what", HIDING)
def test_a_seal_that_hides_something_does_not_leave(what: str) -> None:
    life = Life(sealer=Tampering(HIDING[what]))
    with pytest.raises(ValueError, match=r".+"):
        life.tick(at(2))
    assert life.stream.out == []
    assert life.saved.pending == ()


def test_a_seal_with_a_quote_of_the_right_size_leaves() -> None:
    life = Life(
        sealer=Tampering(
            lambda s, c, d: s.sealed(OutputKind.REPORT, _predicate(c), checkpoint=d, quote=bytes(QUOTE_BYTES))
        )
    )
    assert life.tick(at(2)) is Result.RELEASED


@pytest.mark.parametrize(
    "given_",
    [{"period": Period(start=at(1), end=at(3))}, {"period": Period(start=at(0), end=at(2))}, {"held_s": 1.0}],
    ids=["end", "start", "finer"],
)
def test_a_checkpoint_of_another_slot_or_finer_is_a_fault(given_: dict[str, Any]) -> None:
    life = Life()
    with pytest.raises(ValueError, match=r"slot|round"):
        life.outlet.release(
            checkpoint(**({"period": Period(start=at(1), end=at(2))} | given_)), now=at(2), persist=life.persist
        )


class OtherDocument(Sealing):
    def document(self, kind: OutputKind, document: bytes, period: Period) -> Sealed:
        return super().document(kind, document + b"!", period)


class LaterDocument(Sealing):
    def document(self, kind: OutputKind, document: bytes, period: Period) -> Sealed:
        return super().document(kind, document, Period(start=period.start, end=period.end + timedelta(microseconds=7)))


@pytest.mark.parametrize("sealer", [OtherDocument(), LaterDocument()], ids=["another document", "another time"])
def test_a_document_with_something_besides_does_not_leave(sealer: Sealing) -> None:
    life = Life(sealer=sealer)
    life.outlet.offer(OutputKind.LICENCE, b"l1")
    with pytest.raises(ValueError, match=r"document"):
        life.tick(at(2))
    assert life.stream.out == []


def test_names_in_the_spool_are_digests(tmp_path: Path) -> None:
    sealed = Sealing(KEY).report(checkpoint(), b"x")
    with DiskSpool(tmp_path / "spool") as spool:
        SpoolSink(spool=spool).put(sealed)
    hexadecimal = digest_of(sealed.envelope).removeprefix("sha256:")
    assert (tmp_path / "spool" / "statements" / f"{hexadecimal}.json").read_bytes() == sealed.envelope
