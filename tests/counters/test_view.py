"""Counter sensors as evidence: what they bound, what they leave open, and what contradicts flows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from inspectorate.agreement import Agreement, Clause, load_agreement
from inspectorate.assessment import Case, Verdict
from inspectorate.declaration import Declaration
from inspectorate.evidence import Evidence, Origin, Segment, Stream
from inspectorate.keys import Holder
from inspectorate.mechanisms.interconnect.appraise import INTERCONNECT
from inspectorate.mechanisms.interconnect.counters.lines import line_of
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading
from inspectorate.mechanisms.interconnect.observe import combine, grid
from inspectorate.mechanisms.interconnect.sensor import SensorView, observe_sensor
from inspectorate.mechanisms.interconnect.traffic import Flow
from inspectorate.quantities import Period, to_ns

START = datetime(2026, 3, 1, tzinfo=UTC)
START_NS = to_ns(START)
SECONDS = 240
STEP_S = 60.0
S = 10**9
FRAME = 1_000


def declaration(*, wired: tuple[str, ...] = (), sensors: tuple[str, ...] = ("counters",)) -> Declaration:
    return Declaration.model_validate(
        {
            "id": "d",
            "party": "operator",
            "period": {"start": START, "end": START + timedelta(seconds=SECONDS)},
            "sites": [
                {
                    "id": "s",
                    "location": "here",
                    "clusters": [
                        {
                            "id": "c",
                            "pods": [
                                {"id": f"p{n}", "chips": [{"model": "l4", "count": 1}], "networks": [f"10.0.{n}.0/24"]}
                                for n in (1, 2)
                            ],
                        }
                    ],
                    "links": [{"pod": "p1", "bytes_per_s_max": 1e9}],
                    "sensors": [
                        {"id": f"x{place}", "kind": kind, "holder": "verifier", "pod": "p1", "silence_s_max": 5.0,
                         "active_timeout_s": 1.0}
                        for place, kind in enumerate(sensors)
                    ],
                    "cabling": [
                        {"node": "p1", "port": f"nic{place}", "other_node": "gw", "other_port": port,
                         "bytes_per_s_max": 1e9}
                        for place, port in enumerate(wired)
                    ],
                }
            ],
        }
    )  # fmt: skip


def readings(
    frames_per_s: int = 100, *, port: str = "eth1", leave_out: range = range(0), packets: bool = True, first: int = 0
) -> list[Reading]:
    """One reading a second, from before the period to after it; the pod sends, and receives a tenth."""
    return [
        Reading(
            port=Port("gw", port),
            time_ns=START_NS + t * S,
            in_octets=first + FRAME * frames_per_s * (t + 10),
            out_octets=first + FRAME * frames_per_s * (t + 10) // 10,
            in_packets=frames_per_s * (t + 10) if packets else None,
            out_packets=frames_per_s * (t + 10) // 10 if packets else None,
            speed_bits_per_s=10**10,
            epoch_ns=START_NS - 100 * S,
        )
        for t in range(-4, SECONDS + 9)
        if t not in leave_out
    ]


def stream(rows: list[Reading], *, datagrams: int | None = None, sensor: str = "x0") -> tuple[Stream, bytes]:
    payload = b"".join(line_of(row) for row in rows)
    segment = Segment(
        sensor=sensor,
        stream="one",
        sequence=0,
        period=Period(start=START - timedelta(seconds=5), end=START + timedelta(seconds=SECONDS + 10)),
        digest="sha256:" + "0" * 64,
        previous=None,
        payload="sha256:" + "1" * 64,
        payload_bytes=len(payload),
        media_type="application/x-ndjson",
        entries=len(rows) if datagrams is None else datagrams,
        dropped=0,
        final=True,
        origin=Origin.SIMULATED,
        holders=(Holder.VERIFIER,),
    )
    return Stream(sensor=sensor, segments=(segment,)), payload


def view(rows: list[Reading], *, wired: tuple[str, ...] = (), datagrams: int | None = None) -> SensorView:
    declared = declaration(wired=wired)
    one, payload = stream(rows, datagrams=datagrams)
    return observe_sensor(
        declared.sensors[0],
        one,
        declaration=declared,
        payload=lambda digest: payload,
        grids={STEP_S: grid(declared.period, STEP_S)},
        miss_probability=1e-3,
    )[STEP_S]


# --- bounds ------------------------------------------------------------------------------------------------------------


def test_bounds_enclose_ip_bytes_whatever_a_frame_has_around_them() -> None:
    """Between frames with 14 and with 22 bytes around their IP packet, the truth is within the bounds, and they are close."""
    seen = view(readings())
    assert seen.observed.all()
    for around in (14, 22):
        sent = (FRAME - around) * 100 * STEP_S
        assert (seen.sent.lower <= sent).all()
        assert (seen.sent.upper >= sent).all()
    assert (seen.sent.lower > 0.9 * seen.sent.upper).all()
    assert seen.received.upper == pytest.approx(seen.sent.upper / 10, rel=0.05)


def test_without_packets_every_frame_may_be_the_smallest() -> None:
    seen = view(readings(packets=False))
    least = (1 - 22 / 60) * FRAME * 100 * STEP_S
    assert (seen.sent.lower <= least).all()
    assert (seen.sent.lower > 0.9 * least).all()


def test_a_count_of_frames_that_cannot_be_right_is_not_used() -> None:
    """Net-SNMP 5.9.3 counts no unicast packets into loopback, whatever comes."""
    seen = view([replace(row, in_packets=0) for row in readings()])
    assert seen.sent.lower == pytest.approx(view(readings(packets=False)).sent.lower)


def test_nothing_is_complete_and_every_peer_may_be_everyone() -> None:
    seen = view(readings())
    assert not seen.complete.any()
    assert set(seen.peers) == {"p2"}
    assert (seen.peers["p2"].sent.lower == 0).all()
    assert (seen.peers["p2"].sent.upper == seen.sent.upper).all()


def test_a_gap_is_not_observed_and_its_sum_is_known() -> None:
    seen = view(readings(leave_out=range(70, 110)))
    assert seen.observed.tolist() == [True, False, True, True]
    assert seen.sent.upper[1] >= FRAME * 100 * STEP_S
    assert np.isfinite(seen.sent.upper).all()
    assert any("gap" in note for note in seen.notes)
    assert any("reported nothing" in note for note in seen.notes)


def test_a_wired_port_that_is_not_counted_leaves_no_upper_bound() -> None:
    seen = view(readings(), wired=("eth1", "eth2"))
    assert np.isinf(seen.sent.upper).all()
    assert not seen.observed.any()
    assert any("gw/eth2" in note for note in seen.notes)
    both = view(readings() + readings(port="eth2"), wired=("eth1", "eth2"))
    assert both.observed.all()
    assert both.sent.upper == pytest.approx(2 * view(readings()).sent.upper)


def test_a_port_that_is_not_wired_to_the_pod_does_not_count() -> None:
    seen = view(readings() + readings(port="eth9"), wired=("eth1",))
    assert seen.sent.upper == pytest.approx(view(readings()).sent.upper)
    assert any("gw/eth9" in note for note in seen.notes)


@pytest.mark.parametrize("case", ["miscounted", "misplaced", "went back", "conflict", "faster"])
def test_counters_that_contradict_themselves_are_not_believed(case: str) -> None:
    rows = readings()
    datagrams = None
    match case:
        case "miscounted":
            datagrams = len(rows) + 1
        case "misplaced":
            rows[5] = replace(rows[5], time_ns=START_NS - 3600 * S)
        case "went back":
            rows[50] = replace(rows[50], in_octets=rows[48].in_octets)
        case "conflict":
            rows.insert(50, replace(rows[50], in_octets=rows[50].in_octets + 1))
        case "faster":
            rows = rows[:100] + [replace(row, in_octets=row.in_octets + 10**12) for row in rows[100:]]
    assert view(rows, datagrams=datagrams).contradictions
    assert not view(readings()).contradictions


def test_a_refused_line_is_told() -> None:
    declared = declaration()
    one, payload = stream(readings())
    seen = observe_sensor(
        declared.sensors[0],
        one,
        declaration=declared,
        payload=lambda digest: b"{}\n" + payload,
        grids={STEP_S: grid(declared.period, STEP_S)},
        miss_probability=1e-3,
    )[STEP_S]
    assert any("bad line" in note for note in seen.notes)
    assert seen.contradictions, "one line more than was signed"


def test_no_reading_at_all_observes_nothing() -> None:
    seen = view([])
    assert not seen.observed.any()
    assert np.isinf(seen.sent.upper).all()


# --- against flows -----------------------------------------------------------------------------------------------------


def flow_view(share: float) -> SensorView:
    """What a sensor of flows would say that saw a share of what the counters counted."""
    counted = view(readings())
    truth = (FRAME - 14) * 100 * STEP_S * np.ones(4)
    sent = Flow(lower=truth * share, estimate=truth * share, upper=truth * share)
    received = Flow(lower=counted.received.lower, estimate=counted.received.estimate, upper=counted.received.upper)
    return replace(counted, sensor="flows", sent=sent, received=received)


@pytest.mark.parametrize("share", [0.5, 1.0, 1.5])
def test_flows_that_counters_exclude_are_named_by_interval_and_size(share: float) -> None:
    declared = declaration()
    combined = combine(declared.pods[0], grid(declared.period, STEP_S), [view(readings()), flow_view(share)])
    if share == 1.0:
        assert combined.contradictions == ()
        assert combined.observed.all()
        return
    (told,) = combined.contradictions
    assert "exclude each other in 4 intervals (sent)" in told
    assert "bytes apart" in told
    assert not combined.observed.any()


# --- clauses -----------------------------------------------------------------------------------------------------------


def case_of(kind: str, rows: list[Reading], **parameters: object) -> Case:
    declared = declaration()
    one, payload = stream(rows)
    agreement = load_agreement("inference-only")
    clause = Clause.model_validate(
        {
            "id": "c",
            "title": "t",
            "parameters": {"kind": kind, "averaging_s": STEP_S, **parameters},
            "source": agreement.clauses[0].source.model_dump(),
            "holds": agreement.clauses[0].model_dump().get("holds"),
        }
        if "holds" in Clause.model_fields
        else {
            **agreement.clauses[0].model_dump(exclude={"id", "title", "parameters"}),
            "id": "c",
            "title": "t",
            "parameters": {"kind": kind, "averaging_s": STEP_S, **parameters},
        }
    )
    terms = Agreement.model_validate({**agreement.model_dump(), "clauses": [clause.model_dump()]})
    evidence = Evidence(streams={"x0": one}, custody=(), problems=(), payload=lambda digest: payload, simulated=True)
    return Case(
        agreement=terms,
        clause=clause,
        declaration=declared,
        evidence=evidence,
        period=declared.period,
        miss_probability=1e-3,
        shared={},
    )


def verdict(case: Case) -> Verdict:
    (found,) = [one for one in INTERCONNECT.appraise(case) if "p1" in one.scope.pods]
    return found.verdict


def limit_case(rows: list[Reading], limit: float) -> Case:
    return case_of("interconnect-limit", rows, bytes_per_s_max=limit, tolerance=0.05)


def test_counters_alone_verify_a_limit() -> None:
    """100 kB/s were sent."""
    assert verdict(limit_case(readings(), 110_000.0)) is Verdict.CONSISTENT
    assert verdict(limit_case(readings(), 50_000.0)) is Verdict.INCONCLUSIVE
    assert verdict(limit_case(readings(leave_out=range(70, 110)), 110_000.0)) is Verdict.NOT_OBSERVED
    (found,) = [one for one in INTERCONNECT.appraise(limit_case(readings(), 50_000.0)) if "p1" in one.scope.pods]
    assert found.log_e > 5, "the lower bound shows the exceedance"


def test_counters_alone_never_verify_isolation() -> None:
    """Not with traffic: it may have gone to the other pod. Only a port that carried next to nothing shows that."""
    assert verdict(case_of("pod-isolation", readings(), allowance_bytes_per_s=1_000.0)) is Verdict.INCONCLUSIVE
    assert verdict(case_of("pod-isolation", readings(0), allowance_bytes_per_s=1_000.0)) is Verdict.CONSISTENT
    assert verdict(case_of("pod-isolation", [], allowance_bytes_per_s=1_000.0)) is Verdict.NOT_OBSERVED


def test_counters_alone_never_exclude_an_exchange() -> None:
    found = [
        one for one in INTERCONNECT.appraise(case_of("coordinated-exchange", readings())) if "p1" in one.scope.pods
    ]
    assert all(one.verdict is not Verdict.CONSISTENT for one in found)
