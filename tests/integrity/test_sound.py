"""The clause over signed evidence: what a pod's meters showed, from envelopes to verdicts."""

from __future__ import annotations

import base64
import dataclasses
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from series_making import Array, behind_supply, load, measured

from inspectorate.agreement import Agreement, SoundTelemetry
from inspectorate.assessment import Assessment, Case, ExhibitKind, Verdict
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import Evidence, Origin, TelemetrySegment, make_statement, sign_statement, verify_envelope
from inspectorate.evidence.stream import order_segments, segment_of
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.workloads.appraise.sound import ROWS_MAX, appraise_sound
from inspectorate.mechanisms.workloads.observe import observe
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment
from inspectorate.quantities import Period, from_ns, to_ns

KEY = SigningKey(b"\x11" * 32)
SECONDS = 900
START = from_ns(1_767_225_600_000_000_000)
PERIOD = Period(start=START, end=START + timedelta(seconds=SECONDS))

METERS: dict[str, dict[str, Any]] = {
    "ac-a": {"pods": ["pod-a"], "current": "ac"},
    "dc-a": {"pods": ["pod-a"], "current": "dc", "holder": "prover"},
    "ac-b": {"pods": ["pod-b"], "current": "ac"},
}


def declaration() -> Declaration:
    pods = [
        {"id": f"pod-{x}", "chips": [{"model": "h100-sxm", "count": 8}], "networks": [f"10.0.{k}.0/24"]}
        for k, x in enumerate("abc")
    ]
    meters = [
        {
            "id": name, "holder": "verifier", "point": "node", "units": ["n0", "n1"], "signals": ["power_w"],
            "sampled_every_s": 1.0, "silence_s_max": 3.0, **more,
        }
        for name, more in METERS.items()
    ]  # fmt: skip
    site = {"id": "s", "location": "here", "clusters": [{"id": "c", "pods": pods}], "meters": meters}
    return Declaration.model_validate(
        {"id": "d", "party": "p", "period": {"start": PERIOD.start, "end": PERIOD.end}, "sites": [site]}
    )


def agreement() -> Agreement:
    source = {"document": "test"}
    terms = {"kind": "sound-telemetry", "averaging_s": 30.0, "disagreement_share_max": 0.05}
    clause = {"id": "sound", "source": source, "holds_from": "2020-01-01T00:00:00Z", "title": "t", "parameters": terms}
    return Agreement.model_validate(
        {
            "id": "a", "version": 1, "title": "t", "parties": ["p"], "false_accusation_rate": 0.01,
            "assurance_confidence": 0.95, "counted_formats": ["fp16"], "utilisation": {"max": 0.6, "source": source},
            "clauses": [clause],
        }
    )  # fmt: skip


def samples(
    values: list[Array], *, keep: NDArray[np.int64] | None = None, units: tuple[str, ...] = ("n0", "n1")
) -> Samples:
    chosen = np.arange(SECONDS) if keep is None else keep
    at = to_ns(PERIOD.start) + chosen.astype(np.int64) * 1_000_000_000 + 1_000_000
    return Samples(
        units=units,
        signals=("power_w",),
        time_ns=np.repeat(at, len(values)),
        unit=np.tile(np.arange(len(values), dtype=np.int32), len(at)),
        values=np.stack([one[chosen] for one in values], axis=1).reshape(-1, 1),
    )


def evidence(of: dict[str, Samples], *, entries_off: int = 0) -> Evidence:
    """One signed segment per meter, verified as a review does."""
    anchor = TrustAnchor.model_validate(
        {
            "name": "meters", "public_key": base64.b64encode(KEY.public.raw).decode(),
            "holder": Holder.VERIFIER, "roles": (Role.SENSOR,), "sensors": tuple(METERS),
            "valid_from": START - timedelta(days=1), "valid_until": START + timedelta(days=1),
        }
    )  # fmt: skip
    payloads, segments = {}, []
    for meter, made in of.items():
        payload = encode_segment(made)
        predicate = TelemetrySegment(
            origin=Origin.RECORDED, sensor=meter, stream=f"{meter}-1", sequence=0, previous=None, final=True, period=PERIOD,
            payload_bytes=len(payload), recorder="test", media_type="application/vnd.apache.parquet",
            samples=len(made) + entries_off, dropped=0,
        )  # fmt: skip
        payloads[digest_of(payload)] = payload
        envelope = sign_statement(make_statement(predicate, {"payload": digest_of(payload)}), KEY)
        segments.append(segment_of(verify_envelope(envelope, anchors=TrustAnchors(anchors=(anchor,)), where=meter)))
    streams, problems = order_segments(segments, sensors=list(METERS), period=PERIOD)
    return Evidence(
        streams={stream.sensor: stream for stream in streams}, custody=(), problems=problems,
        payload=payloads.__getitem__, simulated=False,
    )  # fmt: skip


def case(of: dict[str, Samples], **more: Any) -> Case:
    terms = agreement()
    return Case(
        agreement=terms, clause=terms.clauses[0], declaration=declaration(), evidence=evidence(of, **more),
        period=PERIOD, miss_probability=0.05, shared={},
    )  # fmt: skip


def appraise(one: Case) -> dict[str, Assessment]:
    terms = one.clause.parameters
    assert isinstance(terms, SoundTelemetry)
    return {found.scope.pods[0]: found for found in appraise_sound(one, terms)}


@pytest.fixture(scope="module")
def honest() -> dict[str, Samples]:
    rng = np.random.default_rng(1)
    loads = [load(rng, SECONDS) for _ in range(4)]
    return {
        "ac-a": samples([behind_supply(rng, one) for one in loads[:2]]),
        "dc-a": samples([measured(rng, one) for one in loads[:2]]),
        "ac-b": samples([behind_supply(rng, one) for one in loads[2:]]),
    }


def test_honest_meters(honest: dict[str, Samples]) -> None:
    found = appraise(case(honest))
    assert {pod: one.verdict for pod, one in found.items()} == {
        "pod-a": Verdict.CONSISTENT,
        "pod-b": Verdict.INCONCLUSIVE,
        "pod-c": Verdict.NOT_OBSERVED,
    }
    assert "one meter only" in found["pod-b"].reasons[0]
    assert found["pod-a"].log_e is not None
    assert found["pod-a"].log_e <= 0
    assert len(found["pod-a"].evidence_ids) == 2
    (shown,) = found["pod-a"].exhibits
    assert shown.kind is ExhibitKind.SERIES
    assert 0 < len(shown.rows) <= ROWS_MAX
    assert found["pod-c"].evidence_ids == ()


def test_no_evidence_at_all() -> None:
    found = appraise(case({}))
    assert {one.verdict for one in found.values()} == {Verdict.NOT_OBSERVED}
    assert all(one.log_e is None for one in found.values())


def test_a_clone_across_units_invalidates_and_alarms(honest: dict[str, Samples]) -> None:
    values = honest["ac-b"].values.reshape(-1, 2)[:, 0]
    found = appraise(case({**honest, "ac-b": samples([values, values])}))
    assert found["pod-b"].verdict is Verdict.INVALID_EVIDENCE
    assert any("ac-b/n0" in text and "ac-b/n1" in text for text in found["pod-b"].reasons)
    assert found["pod-b"].log_e is not None
    assert found["pod-b"].log_e > np.log(1000)
    assert found["pod-a"].verdict is Verdict.CONSISTENT
    assert {one.kind for one in found["pod-b"].exhibits} == {ExhibitKind.TABLE}


def test_a_clone_across_meters_concerns_both_pods(honest: dict[str, Samples]) -> None:
    values = honest["ac-a"].values.reshape(-1, 2)
    found = appraise(case({**honest, "ac-b": samples([values[:, 1], values[:, 0]])}))
    assert {found[pod].verdict for pod in ("pod-a", "pod-b")} == {Verdict.INVALID_EVIDENCE}


def test_two_meters_that_contradict_each_other(honest: dict[str, Samples]) -> None:
    values = honest["dc-a"].values.reshape(-1, 2) * np.where(np.arange(SECONDS) >= 450, 0.6, 1.0)[:, None]
    found = appraise(case({**honest, "dc-a": samples([values[:, 0], values[:, 1]])}))["pod-a"]
    assert found.verdict is Verdict.INVALID_EVIDENCE
    assert found.log_e is not None
    assert found.log_e > np.log(100)
    assert any("ac-a and dc-a" in text for text in found.reasons)


def test_a_replay(honest: dict[str, Samples]) -> None:
    values = honest["ac-b"].values.reshape(-1, 2).copy()
    values[500:800] = values[100:400]
    found = appraise(case({**honest, "ac-b": samples([values[:, 0], values[:, 1]])}))["pod-b"]
    assert found.verdict is Verdict.INVALID_EVIDENCE
    assert any("its own past" in text for text in found.reasons)


def test_silence_and_a_unit_that_never_came(honest: dict[str, Samples]) -> None:
    values = honest["ac-a"].values.reshape(-1, 2)
    gap = samples([values[:, 0], values[:, 1]], keep=np.r_[0:300, 320:SECONDS])
    one = case({**honest, "ac-a": gap})
    assert appraise(one)["pod-a"].verdict is Verdict.NOT_OBSERVED
    seen = observe(one).meters["ac-a"]
    assert [(b - a) / 1e9 for a, b in seen.gaps("n0")] == [pytest.approx(17, abs=1)]
    alone = samples([values[:, 0]], units=("n0",))
    found = appraise(case({**honest, "ac-a": alone}))["pod-a"]
    assert found.verdict is Verdict.NOT_OBSERVED
    assert observe(case({**honest, "ac-a": alone})).meters["ac-a"].silent_units == ("n1",)


def test_units_that_nobody_declared_and_payloads_that_are_none(honest: dict[str, Samples]) -> None:
    values = honest["ac-b"].values.reshape(-1, 2)
    stranger = samples([values[:, 0], values[:, 1], values[:, 0] + 1], units=("n0", "n1", "n9"))
    found = appraise(case({**honest, "ac-b": stranger}))["pod-b"]
    assert found.verdict is Verdict.INVALID_EVIDENCE
    assert any("n9" in text for text in found.reasons)
    whole = case(honest)
    broken = dataclasses.replace(whole.evidence, payload=lambda digest: b"no table")
    assert appraise(dataclasses.replace(whole, evidence=broken, shared={}))["pod-b"].verdict is Verdict.INVALID_EVIDENCE


def test_what_was_signed_must_be_what_is_there(honest: dict[str, Samples]) -> None:
    found = appraise(case(honest, entries_off=1))
    assert found["pod-b"].verdict is Verdict.INVALID_EVIDENCE


def test_the_evidence_is_looked_at_once(honest: dict[str, Samples]) -> None:
    one = case(honest)
    first = appraise(one)
    payload = dataclasses.replace(one.evidence, payload=lambda digest: pytest.fail("decoded again"))
    assert appraise(dataclasses.replace(one, evidence=payload)) == first
