"""The plan of the enrolment on the bench: terms, levels and meters fit one another, and can fail to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.agreement import ApprovedWorkloads, load_agreement
from inspectorate.declaration import Declaration, load_declaration
from inspectorate.keys import Role
from inspectorate.lab.enrolling import LEVELS, RUN_S, level_of
from inspectorate.lab.inspector import INSPECTOR
from inspectorate.lab.network import Network
from inspectorate.lab.package import SiteKeys, declare_meters, trust, write_declaration
from inspectorate.lab.scenario import PODS, by_name
from inspectorate.lab.telemetry import EVERY_S, SIGNALS, Recorder, meter_id, meters
from inspectorate.lab.terms import RUNS_MIN, approving, bench_agreement
from inspectorate.mechanisms.workloads.enrol.reference import END_SHARE, MIDDLE_SHARE, RUN_WINDOWS_MIN
from inspectorate.mechanisms.workloads.enrol.sufficiency import rates

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def test_only_the_approval_differs_from_the_shipped_terms() -> None:
    shipped, ours = load_agreement("inference-only-approved"), bench_agreement()
    assert ours.id != shipped.id
    differing = [one.id for one, other in zip(ours.clauses, shipped.clauses, strict=True) if one != other]
    assert differing == ["approved-workloads"]
    assert ours.thresholds == shipped.thresholds


def test_the_runs_support_what_the_terms_ask_and_not_less() -> None:
    agreement = bench_agreement()
    _, terms = approving(agreement)
    assert len(LEVELS) >= terms.enrolled_runs_min == RUNS_MIN
    assert RUN_WINDOWS_MIN * terms.window_s <= RUN_S
    asked, confidence = terms.false_alarms_per_device_hour_max, agreement.assurance_confidence
    enough = rates(len(LEVELS), RUN_S / 3600, rate_asked=asked, confidence=confidence)
    assert enough.on_average <= asked
    assert enough.runs_needed <= len(LEVELS)
    assert rates(len(LEVELS) - 1, RUN_S / 3600, rate_asked=asked, confidence=confidence).on_average > asked


def test_the_shipped_terms_would_refuse_so_short_an_enrolment() -> None:
    shipped = load_agreement("inference-only-approved")
    terms = next(one.parameters for one in shipped.clauses if isinstance(one.parameters, ApprovedWorkloads))
    found = rates(len(LEVELS), RUN_S / 3600, rate_asked=terms.false_alarms_per_device_hour_max, confidence=0.99)
    assert found.runs_needed > 100 * len(LEVELS)


def test_levels_reach_both_ends_and_the_middle_twice() -> None:
    least, extent = LEVELS[0], LEVELS[-1] - LEVELS[0]
    places = [(level - least) / extent for level in LEVELS]
    assert sum(place <= END_SHARE for place in places) == 2
    assert sum(place >= 1 - END_SHARE for place in places) == 2
    assert sum(abs(place - 0.5) <= MIDDLE_SHARE / 2 for place in places) == 2


def test_every_pod_is_seen_at_every_level_and_no_run_has_all_pods_at_one() -> None:
    for pod in range(len(PODS)):
        assert sorted(level_of(pod, run) for run in range(len(LEVELS))) == sorted(LEVELS)
    for run in range(len(LEVELS)):
        assert max(Counter(level_of(pod, run) for pod in range(len(PODS))).values()) == 1


def test_each_pod_has_a_meter_of_its_own_that_the_verifier_holds() -> None:
    found = meters(PODS)
    assert [meter.pods for meter in found] == [(pod,) for pod in PODS]
    assert {meter.holder.value for meter in found} == {"verifier"}
    assert {meter.signals for meter in found} == {SIGNALS}
    assert {meter.sampled_every_s for meter in found} == {EVERY_S}


def test_the_recorder_reads_the_namespace_of_each_pod() -> None:
    network = Network(PODS)
    argv = Recorder(key=Path("k.pem"), declaration=Path("d.yaml")).argv(network, out=Path("out"), ready=Path("r"))
    sources = [argv[place + 1] for place, word in enumerate(argv) if word == "--meter"]
    assert len(set(sources)) == len(PODS)
    for pod, source in zip(PODS, sources, strict=True):
        assert source.startswith(f"{meter_id(pod)}=linux:")
        assert f"netns={network.namespace(pod)}" in source.split(",")


def test_what_is_declared_beforehand_is_what_the_recorder_reads(tmp_path: Path) -> None:
    path = tmp_path / "meters.yaml"
    declaration = declare_meters(by_name("site"), now=NOW)
    write_declaration(path, declaration)
    assert load_declaration(path) == declaration
    assert declaration.claims == ()
    assert {meter.id for meter in declaration.meters} == {meter_id(pod) for pod in PODS}


def test_flows_meters_and_inspector_have_keys_of_their_own(tmp_path: Path) -> None:
    declaration = declare_meters(by_name("site"), now=NOW)
    anchors = {one.name: one for one in trust(SiteKeys.make(tmp_path), declaration).anchors}
    assert anchors["gateway-collector"].sensors == tuple(sensor.id for sensor in declaration.sensors)
    assert anchors["pod-meters"].sensors == tuple(meter.id for meter in declaration.meters)
    assert anchors[INSPECTOR].roles == (Role.INSPECTOR,)
    assert len({one.public_key for one in anchors.values()}) == len(anchors)


def test_without_meters_nobody_is_trusted_for_them(tmp_path: Path) -> None:
    whole = declare_meters(by_name("site"), now=NOW)
    bare = whole.model_copy(update={"sites": (whole.sites[0].model_copy(update={"meters": ()}),)})
    names = [one.name for one in trust(SiteKeys.make(tmp_path), Declaration.model_validate(bare.model_dump())).anchors]
    assert names == ["gateway-collector", "operator"]


def test_an_earlier_enrolment_keeps_its_inspector(tmp_path: Path) -> None:
    first = SiteKeys.make(tmp_path / "one")
    second = SiteKeys.make(tmp_path / "other", inspector=first.inspector)
    assert second.inspector.public.raw == first.inspector.public.raw
    assert second.meters.public.raw != first.meters.public.raw
