"""What the tests of enrolment share: keys, a declared site, telemetry of a small service, and signed spools of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from inspectorate.agreement import Agreement, ApprovedWorkloads, ClauseKind
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import Origin, TelemetrySegment, make_statement, sign_statement
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.workloads.enrol.closing import Closed, Closing, close_session, samples_of_runs
from inspectorate.mechanisms.workloads.enrol.recording import read_spool, take_run
from inspectorate.mechanisms.workloads.enrol.session import (
    Opening,
    RunName,
    Session,
    add_run,
    name_run,
    open_session,
    read_session,
)
from inspectorate.mechanisms.workloads.enrol.types import RecordedRun, SessionPlan
from inspectorate.mechanisms.workloads.signature.types import Manifest, Setting
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment
from inspectorate.quantities import Period, to_ns

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
RUN_S, SEGMENT_S, PAUSE_S = 120, 40, 20
LOADS = (0.0, 0.1, 0.45, 0.55, 0.9, 1.0)
UNITS = ("pod-a/0", "pod-a/1")
SIGNALS = ("power_w", "busy_share")
METER = "chips-a"

INSPECTOR = SigningKey(b"\x11" * 32)
METER_KEY = SigningKey(b"\x12" * 32)
STRANGER = SigningKey(b"\x13" * 32)
APPROVER = SigningKey(b"\x14" * 32)


def anchor(name: str, key: SigningKey, role: Role, *, sensors: tuple[str, ...] = ()) -> TrustAnchor:
    return TrustAnchor(
        name=name,
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=Holder.VERIFIER,
        roles=(role,),
        sensors=sensors,
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        valid_until=datetime(2027, 6, 1, tzinfo=UTC),
    )


ANCHORS = TrustAnchors(
    anchors=(
        anchor("ines", INSPECTOR, Role.INSPECTOR),
        anchor("meter", METER_KEY, Role.SENSOR, sensors=(METER,)),
        anchor("approver", APPROVER, Role.APPROVAL),
    )
)

METER_DECLARED = {
    "id": METER,
    "holder": "verifier",
    "point": "chip",
    "pods": ["pod-a"],
    "units": list(UNITS),
    "signals": list(SIGNALS),
    "sampled_every_s": 1.0,
    "silence_s_max": 3.0,
}


def declaration_value(*meters: dict[str, Any], model: str = "h100-sxm", chips: int = 2) -> dict[str, Any]:
    return {
        "id": "site",
        "party": "operator",
        "period": {"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"},
        "sites": [
            {
                "id": "site",
                "location": "somewhere",
                "clusters": [
                    {
                        "id": "cluster",
                        "pods": [
                            {"id": name, "chips": [{"model": model, "count": chips}], "networks": [f"10.0.{i}.0/24"]}
                            for i, name in enumerate(("pod-a", "pod-b"))
                        ],
                    }
                ],
                "meters": list(meters or (METER_DECLARED,)),
            }
        ],
    }


def declaration(*meters: dict[str, Any], **more: Any) -> Declaration:
    return Declaration.model_validate(declaration_value(*meters, **more))


TERMS = ApprovedWorkloads(
    kind=ClauseKind.APPROVED_WORKLOADS,
    kinds=("inference", "idle"),
    window_s=10.0,
    false_alarms_per_device_hour_max=5.0,
    enrolled_runs_min=6,
    valid_s_max=90 * 86_400.0,
)


def agreement_value(**terms: Any) -> dict[str, Any]:
    source = {"document": "test"}
    return {
        "id": "test-agreement",
        "version": 1,
        "title": "approved workloads only",
        "parties": ["operator"],
        "false_accusation_rate": 0.01,
        "assurance_confidence": 0.95,
        "counted_formats": ["fp16"],
        "utilisation": {"max": 0.6, "source": source},
        "clauses": [
            {
                "id": "approved",
                "title": "approved workloads only",
                "source": source,
                "holds_from": "2026-01-01T00:00:00Z",
                "parameters": {**TERMS.model_dump(mode="json"), **terms},
            }
        ],
    }


def agreement(**terms: Any) -> Agreement:
    return Agreement.model_validate(agreement_value(**terms))


def manifest_value(**changes: Any) -> dict[str, Any]:
    return {
        "session": "chat-1",
        "workload": "chat",
        "kind": "inference",
        "description": "answers questions",
        "pods": ["pod-a"],
        "chip": "h100-sxm",
        "chips": 2,
        "hardware": ["node 1: VBIOS 96.00, power limit 700 W"],
        "software": ["driver 570.86", "server 0.9.1"],
        "operating_range": [{"name": "load", "least": 0.0, "most": 1.0}],
        **changes,
    }


CODE = digest_of(b"the code")
MANIFEST = Manifest.model_validate({**manifest_value(), "code": CODE})
PLAN = SessionPlan(
    meter=METER,
    units=UNITS,
    signals=SIGNALS,
    step_s=1.0,
    silence_s_max=3.0,
    agreement="test-agreement",
    agreement_version=1,
    clause="approved",
    terms=TERMS,
    confidence=0.95,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def service(load: float, *, start: datetime, seconds: int = RUN_S, seed: int = 0, watts: float = 100.0) -> Samples:
    """Two chips that serve at a load, sampled every second: level and ripple follow the load, noise is each chip's own."""
    random = np.random.default_rng(seed)
    t = np.arange(seconds)
    ripple = 1 + 0.2 * np.sin(2 * np.pi * t / 7)
    values = np.empty((seconds, len(UNITS), 2))
    for unit in range(len(UNITS)):
        values[:, unit, 0] = watts + 500 * load * ripple + random.normal(0, 5, seconds)
        values[:, unit, 1] = np.clip(load * ripple * 0.8 + random.normal(0, 0.01, seconds), 0, 1)
    return Samples(
        units=UNITS,
        signals=SIGNALS,
        time_ns=np.repeat(to_ns(start) + t * 1_000_000_000 + 500_000_000, len(UNITS)),
        unit=np.tile(np.arange(len(UNITS), dtype=np.int32), seconds),
        values=values.reshape(-1, 2),
    )


def rows(samples: Samples, kept: Any) -> Samples:
    """Some rows of samples."""
    return replace(samples, time_ns=samples.time_ns[kept], unit=samples.unit[kept], values=samples.values[kept].copy())


def put(folder: Path, envelope: bytes, *payloads: bytes) -> None:
    for kind in ("statements", "payloads"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / "statements" / f"{digest_of(envelope)[7:]}.json").write_bytes(envelope)
    for payload in payloads:
        (folder / "payloads" / digest_of(payload)[7:]).write_bytes(payload)


def write_spool(folder: Path, samples: Samples, period: Period, /, **changes: Any) -> Path:
    """A collector's folder with one closed stream, in segments of `SEGMENT_S`.

    `changes` alter fields of every statement; `key` signs; `without` names sequence numbers that are left out.
    """
    key, without = changes.pop("key", METER_KEY), changes.pop("without", ())
    edges = [period.start]
    while edges[-1] < period.end:
        edges.append(min(edges[-1] + timedelta(seconds=SEGMENT_S), period.end))
    previous = None
    for i, (start, end) in enumerate(pairwise(edges)):
        part = rows(samples, (samples.time_ns >= to_ns(start)) & (samples.time_ns < to_ns(end)))
        payload = encode_segment(part)
        fields = {
            "origin": Origin.RECORDED, "sensor": METER, "stream": f"{period.start:%H%M%S}", "sequence": i,
            "previous": previous, "final": i == len(edges) - 2, "period": Period(start=start, end=end),
            "payload_bytes": len(payload), "recorder": "test", "media_type": "application/vnd.apache.parquet",
            "samples": len(part), "dropped": 0, **changes,
        }  # fmt: skip
        envelope = sign_statement(
            make_statement(TelemetrySegment.model_validate(fields), {"payload": digest_of(payload)}), key
        )
        previous = digest_of(envelope)
        if i not in without:
            put(folder, envelope, payload)
    return folder


def opening(**changes: Any) -> Opening:
    fields = {"manifest": MANIFEST, "plan": PLAN, "by": "ines", "at": START, "origin": Origin.RECORDED, **changes}
    return Opening(**fields)


def opened(folder: Path, **changes: Any) -> Session:
    return open_session(folder, opening(**changes), key=INSPECTOR, anchors=ANCHORS)


def run_period(number: int, seconds: int = RUN_S) -> Period:
    start = 60 + number * (RUN_S + PAUSE_S)
    return Period(start=at(start), end=at(start + seconds))


def record(
    folder: Path,
    spool: Path,
    *settings: Setting,
    period: Period | None = None,
    now: datetime | None = None,
    **name: Any,
) -> RecordedRun:
    """What `enrol record --from` does, at a given time."""
    session = read_session(folder, anchors=ANCHORS)
    named = name_run(session, RunName(id=name.pop("id", ""), settings=settings, **name))
    found = read_spool(spool, anchors=ANCHORS, meter=session.plan.meter)
    taken = take_run(
        found,
        session.plan,
        period=period,
        session=Period(start=session.opened.opened_at, end=now or at(7200)),
        earlier=samples_of_runs(session, anchors=ANCHORS),
    )
    return add_run(session, named, taken, spool=found, at=now or at(7200))


def load_setting(load: float) -> Setting:
    return Setting(name="load", value=load)


def record_all(folder: Path, scratch: Path, loads: Sequence[float] = LOADS) -> None:
    """Runs of the service at the given loads, then two contrasts."""
    for i, load in enumerate(loads):
        period = run_period(i)
        spool = write_spool(scratch / f"run-{i}", service(load, start=period.start, seed=i), period)
        record(folder, spool, load_setting(load))
    for i, (contrast, kind, load, watts) in enumerate(
        (("idling", "idle", 0.0, 70.0), ("hard", "training", 1.0, 180.0))
    ):
        period = run_period(len(loads) + i)
        samples = service(load, start=period.start, seed=100 + i, watts=watts)
        record(folder, write_spool(scratch / contrast, samples, period), contrast=contrast, kind=kind)


def closed(folder: Path, **changes: Any) -> Closed:
    session = read_session(folder, anchors=ANCHORS)
    return close_session(session, Closing(**{"code": CODE, "at": at(7200), **changes}), key=INSPECTOR, anchors=ANCHORS)


def write_yaml(path: Path, value: Any) -> Path:
    # By way of JSON, so that nothing is written as an alias of another place.
    path.write_text(yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=False))
    return path
