"""Telemetry of simulated sites: asked for or absent, consistent between meters, enrolled as the product's own reader wants it."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest

from inspectorate.agreement import load_agreement
from inspectorate.declaration import MeasuringPoint
from inspectorate.evidence import (
    Bundle,
    EnrolmentOpened,
    Origin,
    TelemetrySegment,
    WorkloadEnrolled,
    read_statements,
    receive,
)
from inspectorate.keys import Holder
from inspectorate.mechanisms.workloads.enrol.load import LoadedSignature, read_signature
from inspectorate.mechanisms.workloads.enrol.profile import profile_of
from inspectorate.mechanisms.workloads.enrol.sufficiency import judge
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.telemetry.payload import samples_of_stream
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy
from inspectorate.quantities import to_ns
from inspectorate.worlds import World, build_world, telemetry, telemetry_enrolment, telemetry_model
from inspectorate.worlds.cheats import CHEATS
from inspectorate.worlds.telemetry_model import Machine, draws

AGREEMENT = "inference-only-approved"


@lru_cache(maxsize=8)
def world(name: str, seed: int = 1) -> World:
    return build_world(name, seed, agreement=load_agreement(AGREEMENT))


@lru_cache(maxsize=8)
def shown(name: str, seed: int = 1) -> dict[str, np.ndarray]:
    """What every meter showed in the period, by name, as the product reads it: (signals, seconds, units)."""
    of = world(name, seed)
    bundle = Bundle.check(of.files, anchors=of.anchors)
    statements, _ = read_statements(bundle, anchors=of.anchors)
    period = of.declaration.period
    evidence = receive(bundle, statements, not_logged={}, sensors=of.declaration.observers, period=period)
    found = {}
    for meter in of.declaration.meters:
        samples, _ = samples_of_stream(evidence.streams[meter.id], evidence.payload)
        tidied = tidy(samples, start_ns=to_ns(period.start), end_ns=to_ns(period.end), step_ns=10**9)
        found[meter.id] = np.stack([tidied.frame.of(signal) for signal in meter.signals])
    return found


def signatures(of: World) -> list[LoadedSignature]:
    bundle = Bundle.check(of.files, anchors=of.anchors)
    statements, _ = read_statements(bundle, anchors=of.anchors)
    openings = [one for one in statements if isinstance(one.predicate, EnrolmentOpened)]
    closings = [one for one in statements if isinstance(one.predicate, WorkloadEnrolled)]
    return [read_signature(one, bundle.payload, openings) for one in closings]


# --- only where it is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("agreement", ["inference-only", "inference-only-enforced"])
def test_sites_that_are_not_asked_have_no_telemetry_and_nothing_else_changes(agreement: str) -> None:
    without = build_world("ddp", 1, agreement=load_agreement(agreement))
    assert without.declaration.meters == ()
    assert all(claim.workload is None for claim in without.declaration.claims)
    assert {anchor.name for anchor in without.anchors.anchors} == {
        "simulated-operator", "simulated-collector", "simulated-bundler",
    }  # fmt: skip
    bundle = Bundle.check(without.files, anchors=without.anchors)
    statements, _ = read_statements(bundle, anchors=without.anchors)
    asked = (TelemetrySegment, EnrolmentOpened, WorkloadEnrolled)
    assert not [one for one in statements if isinstance(one.predicate, asked)]


def test_telemetry_changes_nothing_of_the_site_and_its_traffic() -> None:
    plain, measured = build_world("ddp", 1), world("ddp")
    assert plain.site == measured.site
    assert plain.truth == measured.truth
    for one, other in zip(plain.received, measured.received, strict=True):
        assert one.contents() == other.contents()
    flows = [
        name
        for name, data in plain.contents.items()
        if name.startswith("payloads/") and data[:4] == b"\x4d\x3c\xb2\xa1"
    ]
    assert len(flows) > 10
    assert all(measured.contents[name] == plain.contents[name] for name in flows)


# --- the evidence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["honest", "ddp", "cloned-sensor"])
def test_the_receiver_finds_exactly_the_expected_problems(name: str) -> None:
    of = world(name)
    bundle = Bundle.check(of.files, anchors=of.anchors)
    statements, problems = read_statements(bundle, anchors=of.anchors)
    evidence = receive(
        bundle, statements, not_logged={}, sensors=of.declaration.observers, period=of.declaration.period
    )
    found = Counter((problem.kind, problem.sensor) for problem in (*problems, *evidence.problems))
    assert found == of.truth.expected_problems
    assert {one.predicate.origin for one in statements} == {Origin.SIMULATED}
    for meter in of.declaration.meters:
        segments = evidence.streams[meter.id].segments
        assert segments[-1].final
        assert {holder for one in segments for holder in one.holders} == {meter.holder}
        assert evidence.streams[meter.id].listened[0].covers(of.declaration.period)


def test_the_prover_holds_the_chips_and_the_verifier_what_feeds_them() -> None:
    meters = {meter.id: meter for meter in world("honest").declaration.meters}
    for meter in meters.values():
        assert meter.holder is (Holder.PROVER if meter.point is MeasuringPoint.CHIP else Holder.VERIFIER)
        assert all(set(meters[fed].pods) <= set(meter.pods) for fed in meter.feeds)
    pods = {pod.id for pod in world("honest").declaration.pods}
    for point in (MeasuringPoint.CHIP, MeasuringPoint.NODE, MeasuringPoint.RACK):
        assert {pod for meter in meters.values() if meter.point is point for pod in meter.pods} == pods


def test_the_same_seed_gives_the_same_bytes() -> None:
    again = build_world("honest", 1, agreement=load_agreement(AGREEMENT))
    assert again.contents == world("honest").contents


def test_a_world_seen_for_a_shorter_time_is_the_beginning_of_the_whole() -> None:
    early = build_world("ddp", 1, agreement=load_agreement(AGREEMENT), observed_s=300)
    whole = world("ddp")
    assert {name for name in early.contents if name in whole.contents and name.startswith("payloads/")}
    assert [meter.id for meter in early.declaration.meters] == [meter.id for meter in whole.declaration.meters]
    Bundle.check(early.files, anchors=early.anchors)


# --- what meters show ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["honest", "ddp"])
def test_meters_of_one_load_agree(name: str) -> None:
    found = shown(name)
    for meter in world(name).declaration.meters:
        assert np.isfinite(found[meter.id]).mean() > 0.99
        if meter.point is MeasuringPoint.CHIP:
            continue
        fed = sum(found[one][0].sum(axis=1) for one in meter.feeds)
        if meter.point is MeasuringPoint.NODE:
            fed = (fed + telemetry_model.BASE_W) / telemetry_model.EFFICIENCY
        own = found[meter.id][0][:, 0]
        ten = slice(0, len(own) // 10 * 10)
        means = [series[ten].reshape(-1, 10).mean(axis=1) for series in (own, fed)]
        # What the agreement puts down to meters; a rack smooths over two seconds.
        assert np.nanmax(np.abs(means[0] / means[1] - 1)) < 0.1
        assert np.nanmean(means[0] / means[1]) == pytest.approx(1, abs=0.03)


def test_power_follows_requests() -> None:
    of = world("honest")
    work = telemetry.loads(of.site, of.flows, lead_s=0.0, seconds=of.site.duration_s)
    checked = 0
    for pod, name in enumerate(of.site.names):
        if work[pod].std() > 0.05:
            power = shown("honest")[telemetry.node_meter(name)][0][:, 0]
            assert np.corrcoef(work[pod], power)[0, 1] > 0.9
            checked += 1
    assert checked >= 2


def test_pods_that_train_show_it_while_they_do() -> None:
    of = world("ddp")
    breach = of.truth.breaches[0].period
    start, end = ((moment - of.site.start).total_seconds() for moment in (breach.start, breach.end))
    during = slice(int(start) + 5, int(end) - 5)
    for name in of.site.names:
        power, busy, memory = shown("ddp")[telemetry.chips_meter(name)]
        if name in of.truth.guilty:
            assert np.nanmean(busy[during]) > 0.75
            assert np.nanmin(memory[during]) >= telemetry_model.OPTIMISER_BYTES
            assert np.nanmean(power[during]) > np.nanmean(power) - 0.1
        else:
            assert np.nanmax(memory) < telemetry_model.OPTIMISER_BYTES


def test_cheats_that_train_nothing_show_nothing() -> None:
    assert set(CHEATS) >= telemetry.NOT_TRAINING
    for pod in world("exfiltration").site.names:
        assert np.nanmax(shown("exfiltration")[telemetry.chips_meter(pod)][2]) < telemetry_model.OPTIMISER_BYTES


def test_requests_are_counted_as_work_by_the_second() -> None:
    """A slow count over every packet of answers of one pod that hands nothing over."""
    of = world("honest")
    site, flows = of.site, of.flows
    alone = next(pod for pod in range(len(site.names)) if not any(pod in pair for pair in site.pipelines))
    work = telemetry.loads(site, flows, lead_s=0.0, seconds=60)
    tokens, prompts = np.zeros(60), np.zeros(60)
    for k in np.flatnonzero((flows.pod == alone) & (flows.pod_port == 8443)).tolist():
        for packet in range(int(flows.packets[k])):
            second = int((flows.start_ns[k] + packet * flows.gap_ns[k]) // 10**9)
            if 0 <= second < 60:
                if flows.outbound[k]:
                    tokens[second] += 1
                else:
                    prompts[second] += flows.last[k] if packet == flows.packets[k] - 1 else flows.size[k]
    raw = (94 * tokens + 0.5 * np.maximum(prompts - 52 * tokens, 0)) / site.limit_bytes_per_s
    keep = np.exp(-1 / telemetry_model.SMOOTHING_S)
    state, expected = raw[0], []
    for value in raw:
        state = keep * state + (1 - keep) * value
        expected.append(min(state, 1.0))
    assert work[alone] == pytest.approx(np.array(expected), abs=1e-3)


def test_first_order_noise_has_variance_one_and_lags_settle() -> None:
    noise = telemetry_model.first_order(np.random.default_rng(1).standard_normal((20_000, 1)), 10.0, unit_variance=True)
    assert noise[200:].std() == pytest.approx(1.0, abs=0.1)
    flat = telemetry_model.first_order(np.full((50, 1), 7.0), 5.0)
    assert flat == pytest.approx(np.full((50, 1), 7.0), rel=1e-4)


def test_a_machine_is_the_same_at_enrolment_and_later() -> None:
    draw = draws(5)
    assert telemetry.machine_of(draw, "pod-1") == telemetry.machine_of(draws(5), "pod-1")
    assert telemetry.machine_of(draw, "pod-1") != telemetry.machine_of(draw, "pod-2")
    assert len(Machine.draw(3, np.random.default_rng(0)).gains) == 3


# --- enrolment -------------------------------------------------------------------------------------------------------------


def test_every_pod_was_enrolled_as_the_products_own_reader_wants_it() -> None:
    of = world("honest")
    found = signatures(of)
    assert sorted(one.record.manifest.pods for one in found) == [(name,) for name in of.site.names]
    claim = of.declaration.claims[0]
    for one in found:
        assert one.workload == claim.workload
        assert one.record.manifest.code == claim.code
        assert one.record.meter == telemetry.node_meter(one.record.manifest.pods[0])
        assert one.record.valid_until > of.declaration.period.end
        assert one.by == "simulated-inspector"
        assert one.origin is Origin.SIMULATED
        assert one.record.enrolled_at < of.declaration.period.start
        frame = one.frame(one.record.runs[0])
        assert frame.times == telemetry_enrolment.RUN_S
        assert np.isfinite(frame.values).all()


def test_enough_was_enrolled_for_the_agreed_rate_of_false_alarms() -> None:
    one = signatures(world("honest"))[0]
    meter = next(meter for meter in world("honest").declaration.meters if meter.id == one.record.meter)
    agreement = load_agreement(AGREEMENT)
    _, terms = telemetry_enrolment.terms_of(agreement) or pytest.fail("the agreement approves no workloads")
    plan = SessionPlan(
        meter=meter.id, units=meter.units, signals=meter.signals, step_s=1.0, silence_s_max=meter.silence_s_max,
        agreement=agreement.id, agreement_version=1, clause="approved-workloads", terms=terms, confidence=0.99,
    )  # fmt: skip
    profiles = [profile_of(run, frame, window_s=terms.window_s) for run, frame in one.runs.items()]
    judged = judge(one.record.manifest, plan, one.record.runs, one.record.contrasts, profiles)
    assert judged.sufficient, judged.reasons


def test_enrolled_training_draws_more_than_serving_ever_does() -> None:
    one = signatures(world("honest"))[0]
    serving = np.concatenate([frame.values.ravel() for frame in one.runs.values()])
    contrasts = one.contrasts
    assert set(contrasts) == {"idling", "training"}
    for frame in contrasts["training"][1]:
        assert np.median(frame.values) > np.quantile(serving, 0.95)
    assert np.median(contrasts["idling"][1][0].values) < np.quantile(serving, 0.2)


def test_loads_of_the_inspector_cover_the_range() -> None:
    found = telemetry_enrolment.requests(42_500.0, 60.0)
    means = [float(load.mean()) for load in found]
    assert len(found) == len(telemetry_enrolment.LOADS)
    assert means[0] == means[1] == 0
    assert max(means) > 0.6
    assert all(load.shape == (telemetry_enrolment.RUN_S,) for load in found)
