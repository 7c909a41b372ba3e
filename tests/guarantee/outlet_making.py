"""Checkpoints, plans and whole lives of an outlet for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.evidence import (
    GuardReported,
    KeyCustody,
    LicenceApplied,
    Origin,
    RulesetInForce,
    make_statement,
    sign_statement,
)
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.budget import Plan, plan_for
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint, MeterSaid
from inspectorate.mechanisms.guarantee.outlet.opening import OutputKind, Sealed
from inspectorate.mechanisms.guarantee.rulesets.types import Outlet
from inspectorate.quantities import Period

MIDNIGHT = datetime(2026, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST = "sha256:" + "0123456789abcdef" * 4
KEY = SigningKey(b"s" * 32)


def said(meter: MeterKind = MeterKind.FLOP, **given: Any) -> MeterSaid:
    return MeterSaid(**({"meter": meter, "used": 1.5e15, "at_least": 1.2e15, "source": Source.CLOCK} | given))


def checkpoint(**given: Any) -> Checkpoint:
    fields: dict[str, Any] = {
        "reporter": "guard-1",
        "sequence": 7,
        "starts": 1,
        "period": Period(start=MIDNIGHT, end=MIDNIGHT + HOUR),
        "previous": DIGEST,
        "statement_key": KEY.key_id,
        "device": DIGEST,
        "rollback_protected": True,
        "build": DIGEST,
        "ruleset": DIGEST,
        "ruleset_id": "site-1",
        "ruleset_version": 3,
        "opened": "0" * 64,
        "mode": Mode.SERVING,
        "held_s": 0.0,
        "meters": (said(),),
        "flop_ledger": DIGEST,
        "events": {},
        "sampled": 0,
        "recomputed": 0,
        "differed": 0,
    }
    return Checkpoint(**(fields | given))


amounts = st.one_of(
    st.just(0.0),
    st.floats(0, 1e31, allow_nan=False),
    st.integers(-3, 31).flatmap(lambda e: st.floats(10.0**e, 10.0 ** (e + 1))),
    st.builds(lambda m, e: float(f"{m}e{e}"), st.integers(1, 9999), st.integers(-5, 29)),
)
counts = st.integers(0, 255)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    """Any checkpoint of any period, not yet rounded."""
    duration = draw(st.integers(1, 10**6)) / draw(st.sampled_from([1, 3, 7, 1000]))
    meters = draw(st.lists(st.sampled_from(list(MeterKind)), unique=True))
    recomputed = draw(counts)
    return checkpoint(
        period=Period(start=MIDNIGHT, end=MIDNIGHT + timedelta(seconds=max(duration, 1.0))),
        mode=draw(st.sampled_from(list(Mode))),
        held_s=draw(st.floats(0, 2)) * duration,
        meters=tuple(
            said(
                meter,
                used=draw(amounts),
                at_least=draw(amounts),
                remaining=draw(st.none() | amounts),
                source=draw(st.sampled_from(list(Source))),
            )
            for meter in meters
        ),
        events=draw(st.dictionaries(st.sampled_from(list(EventKind)), counts)),
        sampled=draw(counts),
        recomputed=recomputed,
        differed=draw(st.integers(0, recomputed)),
    )


def plan(every_s: float = 3600.0, bits: float = 1e6, licensed: tuple[MeterKind, ...] = (MeterKind.FLOP,)) -> Plan:
    return plan_for(Outlet(report_every_s=every_s, bits_per_day_max=bits), licensed)


@dataclass
class Sealing:
    """Seals with a deterministic key, without a quote."""

    key: SigningKey = KEY

    def report(self, checkpoint: Checkpoint, data: bytes) -> Sealed:
        predicate = GuardReported(
            origin=Origin.RECORDED,
            reporter=checkpoint.reporter,
            period=checkpoint.period,
            sequence=checkpoint.sequence,
            custody=KeyCustody.SOFTWARE,
        )
        return self.sealed(OutputKind.REPORT, predicate, checkpoint=data)

    def document(self, kind: OutputKind, document: bytes, period: Period) -> Sealed:
        common: dict[str, Any] = {"origin": Origin.RECORDED, "reporter": "guard-1", "period": period}
        if kind is OutputKind.RULESET:
            return self.sealed(kind, RulesetInForce(**common, version=1), ruleset=document)
        return self.sealed(kind, LicenceApplied(**common, licence="l-1"), licence=document)

    def sealed(self, kind: OutputKind, predicate: Any, **payloads: bytes) -> Sealed:
        statement = make_statement(predicate, {name: digest_of(data) for name, data in payloads.items()})
        return Sealed(kind=kind, envelope=sign_statement(statement, self.key), payloads=tuple(payloads.items()))


@dataclass
class Stream:
    """All that came out, with the time that it came at."""

    now: datetime = MIDNIGHT
    out: list[tuple[datetime, Sealed]] = field(default_factory=list)
    fails: bool = False

    def put(self, sealed: Sealed) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.out.append((self.now, sealed))
