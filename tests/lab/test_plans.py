"""Scenarios, addresses, exporter configurations, counters and truth: everything that needs neither root nor torch."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.bench import Options, run
from inspectorate.lab.happened import Happened, Settings, compile_truth
from inspectorate.lab.meter import LinkReading, Sent, parse_sent
from inspectorate.lab.network import CLIENTS, links
from inspectorate.lab.processes import Processes
from inspectorate.lab.record import Ledger, collector_argv, record
from inspectorate.lab.scenario import (
    SCENARIOS,
    TRAINING,
    Activity,
    Change,
    Kind,
    Outage,
    Scenario,
    by_name,
    honest,
    site,
    training_name,
)
from inspectorate.lab.sensors import Protocol, exporter_argv, place
from inspectorate.lab.truth import Direction, GroundTruth


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_are_sound_at_every_scale(name: str) -> None:
    scenario = by_name(name)
    for factor in (0.08, 0.5, 4.0):
        scaled = scenario.scaled(factor)
        assert scaled.duration_s == pytest.approx(scenario.duration_s * factor)
        assert [m.change for m in scaled.moments()] == [m.change for m in scenario.moments()]


def test_honest_is_site_without_its_training() -> None:
    cheating, clean = site(), honest()
    assert cheating.training
    assert not clean.training
    assert clean.outages == cheating.outages
    assert clean.activities == tuple(a for a in cheating.activities if a.kind not in TRAINING)


def test_site_has_what_a_review_must_tell_apart() -> None:
    scenario = site()
    assert {a.kind for a in scenario.training} == TRAINING
    trainers = {pod for a in scenario.training for pod in a.pods}
    always_honest = set(scenario.pods) - trainers
    assert len(scenario.pods) >= 4
    assert {o.pod for o in scenario.outages} < always_honest


def test_moments_come_in_order_and_ends_before_starts() -> None:
    one = Activity(kind=Kind.DATA_PARALLEL, pods=("pod-a", "pod-b"), start_s=1, end_s=5)
    two = Activity(kind=Kind.LOW_COMMUNICATION, pods=("pod-a", "pod-b"), start_s=5, end_s=9)
    outage = Outage(pod="pod-a", start_s=5, end_s=6)
    scenario = Scenario(name="s", pods=("pod-a", "pod-b"), duration_s=10, activities=(two, one), outages=(outage,))
    assert [(m.at_s, m.change) for m in scenario.moments()] == [
        (1, Change.START),
        (5, Change.END),
        (5, Change.SILENCE),
        (5, Change.START),
        (6, Change.RESTORE),
        (9, Change.END),
    ]


@pytest.mark.parametrize(
    ("activity", "problem"),
    [
        (Activity(kind=Kind.INFERENCE, pods=("pod-x",), start_s=0, end_s=1), "names the pods"),
        (Activity(kind=Kind.INFERENCE, pods=(), start_s=0, end_s=1), "names the pods"),
        (Activity(kind=Kind.INFERENCE, pods=("pod-a",), start_s=5, end_s=5), "is not inside"),
        (Activity(kind=Kind.INFERENCE, pods=("pod-a",), start_s=5, end_s=11), "is not inside"),
        (Activity(kind=Kind.DATA_PARALLEL, pods=("pod-b",), start_s=0, end_s=1), "two pods"),
        (Activity(kind=Kind.LOW_COMMUNICATION, pods=("pod-a", "pod-b"), start_s=3, end_s=5), "overlap"),
    ],
    ids=["unknown-pod", "no-pod", "empty-period", "too-late", "alone", "overlap"],
)
def test_scenarios_that_cannot_be_run_are_refused(activity: Activity, problem: str) -> None:
    serving = Activity(kind=Kind.INFERENCE, pods=("pod-a",), start_s=0, end_s=4)
    given = (activity,) if problem != "overlap" else (serving, activity)
    with pytest.raises(InputError, match=problem):
        Scenario(name="s", pods=("pod-a", "pod-b"), duration_s=10, activities=given)


@pytest.mark.parametrize("factor", [0.0, 0.01, 100.0, float("nan")])
def test_a_senseless_scale_is_refused(factor: float) -> None:
    with pytest.raises(InputError, match="scale"):
        site().scaled(factor)


def test_every_pod_has_its_own_addresses_sensor_and_port() -> None:
    scenario = site()
    found = links(scenario.pods)
    assert set(found) == {*scenario.pods, CLIENTS}
    assert len({link.ipv4 for link in found.values()}) == len(found)
    assert all(len(link.gateway_interface) <= 15 for link in found.values())
    sensors = place(found, scenario.pods)
    assert len({s.port for s in sensors}) == len({s.sensor_id for s in sensors}) == len(scenario.pods)
    assert {s.protocol for s in sensors} == set(Protocol)


@pytest.mark.parametrize("pods", [(), ("a", "a"), ("a-name-too-long",), ("gateway",), ("a b",), ("../x",)])
def test_pods_that_cannot_be_built_are_refused(pods: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        links(pods)


def test_exporters_are_configured_for_their_link_and_protocol(tmp_path: Path) -> None:
    pods = ("pod-a", "pod-b", "pod-c")
    ipfix, netflow, sflow = place(links(pods), pods)
    texts = {s.sensor_id: Path(exporter_argv(s, tmp_path)[2]).read_text() for s in (ipfix, netflow, sflow)}
    assert "nfprobe_version[flows]: 10" in texts["flows-pod-a"]
    assert "pcap_interface: to-pod-a" in texts["flows-pod-a"]
    assert "nfprobe_version[flows]: 9" in texts["flows-pod-b"]
    assert "nfprobe_receiver[flows]: 127.0.0.1:2056" in texts["flows-pod-b"]
    # One source for each direction, so that the counters of the two are kept apart.
    assert "aggregate_filter[from]: (src host 10.90.3.2 or src host fd90:0:0:3::2)" in texts["flows-pod-c"]
    assert "sfprobe_direction[into]: out" in texts["flows-pod-c"]


NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
to-pod-a: 62773162   42015    0    0    0     0          0         0   233108    3524    0    0    0     0       0          0
"""


def test_counters_are_read_on_the_sending_side() -> None:
    assert parse_sent(NET_DEV)["to-pod-a"] == Sent(size_bytes=233108, packets=3524)
    with pytest.raises(ValueError, match="not a line"):
        parse_sent("a\nb\nto-pod-a: 1 2 3")


def truth_of_a_small_run() -> GroundTruth:
    """Two pods, 100 s: 10 s of training at 1000 bytes/s out, then inference at 100 bytes/s in."""
    train = Activity(kind=Kind.LOW_COMMUNICATION, pods=("pod-a", "pod-b"), start_s=10, end_s=20)
    serve = Activity(kind=Kind.INFERENCE, pods=("pod-a",), start_s=40, end_s=90)
    scenario = Scenario(name="small", pods=("pod-a", "pod-b"), duration_s=100, activities=(train, serve))
    found = links(scenario.pods)
    sent_out = [1000 * min(max(t - 10, 0), 10) for t in range(101)]
    sent_in = [100 * max(t - 40, 0) for t in range(101)]
    readings = tuple(
        {
            pod: LinkReading(from_pod=Sent(size_bytes=o, packets=o // 100), to_pod=Sent(size_bytes=i, packets=i // 100))
            for pod in scenario.pods
        }
        for o, i in zip(sent_out, sent_in, strict=True)
    )
    logs = {
        training_name(train, "pod-a"): [
            {"event": "started", "at": 1010.0},
            {"event": "round", "at": 1019.0, "loss": 3.0},
            {"event": "done", "at": 1020.0, "steps": 10, "seconds": 9.5},
        ],
        "clients": [{"event": "request", "pod": "pod-a", "outcome": "ok", "tokens": 7, "seconds": 0.5}],
    }
    happened = Happened(
        scenario=scenario,
        start_unix_s=1000.0,
        sensors={s.pod: s for s in place(found, scenario.pods)},
        links=found,
        read_at_unix_s=tuple(1000.0 + t for t in range(101)),
        readings=readings,
        silenced=(("pod-b", 1030.0, 1040.0),),
        events=lambda name: logs.get(name, []),
    )
    return compile_truth(happened, Settings(scale=1.0, seed=1, limit_bytes_per_s=2000.0, relayed=False))


torch_missing = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the truth names the version of torch"
)


@torch_missing
def test_truth_adds_up_and_survives_its_file(tmp_path: Path) -> None:
    truth = truth_of_a_small_run()
    assert truth.bytes_between("pod-a", Direction.FROM_POD, 1000.0, 1100.0) == 10_000
    assert truth.bytes_between("pod-a", Direction.FROM_POD, 1012.5, 1013.0) == pytest.approx(500)
    assert truth.honest_peak_bytes_per_s() == pytest.approx(100)
    by_kind = {row.kind: row for row in truth.rows() if row.pod == "pod-a"}
    assert by_kind[Kind.LOW_COMMUNICATION].from_pod_bytes_per_s == pytest.approx(1000)
    assert by_kind[Kind.INFERENCE].to_pod_bytes_per_s_max == pytest.approx(100)
    path = tmp_path / "truth.json"
    path.write_bytes(truth.canonical_bytes())
    assert GroundTruth.read(path) == truth
    assert truth.outages[0].period.start == datetime.fromtimestamp(1030, UTC)


@torch_missing
def test_truth_refuses_what_was_not_measured() -> None:
    truth = truth_of_a_small_run()
    with pytest.raises(InputError, match="not measured"):
        truth.bytes_between("pod-a", Direction.FROM_POD, 900.0, 1001.0)
    with pytest.raises(InputError, match="no pod"):
        truth.link("pod-z")


def test_truth_of_a_silent_program_is_an_error() -> None:
    train = Activity(kind=Kind.DATA_PARALLEL, pods=("pod-a", "pod-b"), start_s=0, end_s=10)
    scenario = Scenario(name="small", pods=("pod-a", "pod-b"), duration_s=10, activities=(train,))
    found = links(scenario.pods)
    nothing = LinkReading(from_pod=Sent(size_bytes=0, packets=0), to_pod=Sent(size_bytes=0, packets=0))
    happened = Happened(
        scenario=scenario,
        start_unix_s=1000.0,
        sensors={s.pod: s for s in place(found, scenario.pods)},
        links=found,
        read_at_unix_s=(1000.0, 1010.0),
        readings=(dict.fromkeys(scenario.pods, nothing),) * 2,
        silenced=(),
        events=lambda name: [],
    )
    with pytest.raises(EnvironmentError_, match="started"):
        compile_truth(happened, Settings(scale=1.0, seed=1, limit_bytes_per_s=1.0, relayed=False))


def test_processes_end_with_their_context_and_failures_are_named(tmp_path: Path) -> None:
    with Processes(tmp_path, lifetime_s=30) as processes:
        processes.start("sleeper", ["sleep", "30"], prefix=[])
        processes.start("teller", ["sh", "-c", """echo '{"event": "ready"}'; printf '{"torn'; sleep 30"""], prefix=[])
        processes.wait_for(["teller"], "ready", limit_s=10, tick=lambda: None)
        assert processes.events("teller") == [{"event": "ready"}]
        with pytest.raises(ValueError, match="already running"):
            processes.start("sleeper", ["sleep", "30"], prefix=[])
        processes.start("loser", ["sh", "-c", "echo no such thing >&2; exit 3"], prefix=[])
        with pytest.raises(EnvironmentError_, match="loser failed: exit 3: no such thing"):
            processes.wait_for(["loser"], "ready", limit_s=10, tick=lambda: None)
        processes.kill("sleeper")
        assert set(processes.failures()) == {"loser"}
        assert processes.is_running("teller")
    assert not processes.is_running("teller")


def test_an_outage_of_an_unknown_pod_is_refused() -> None:
    with pytest.raises(InputError, match="no pod"):
        replace(honest(), outages=(Outage(pod="pod-z", start_s=0, end_s=1),))


def quiet(message: str, share: float) -> None:
    """No progress is shown."""


def test_the_bench_says_that_it_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EnvironmentError_, match="needs root"):
        run(site(), Options(directory=tmp_path / "new"), quiet)


def test_the_bench_names_the_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentError_, match="apt-get install coreutils ethtool iproute2 pmacct procps"):
        run(site(), Options(directory=tmp_path / "new"), quiet)


def test_a_recording_needs_a_key_and_a_new_directory(tmp_path: Path) -> None:
    options = Options(directory=tmp_path)
    with pytest.raises(InputError, match="no signing key"):
        record(site(), options, key=tmp_path / "none.pem", progress=quiet)
    (tmp_path / "key.pem").write_text("key")
    with pytest.raises(InputError, match="not empty"):
        record(site(), options, key=tmp_path / "key.pem", progress=quiet)


def test_the_collector_hears_every_sensor_on_its_own_port(tmp_path: Path) -> None:
    pods = site().pods
    sensors = place(links(pods), pods)
    ledger = Ledger(folder=tmp_path / "log", key=tmp_path / "log.pem")
    argv = collector_argv(sensors, evidence=tmp_path / "evidence", key=tmp_path / "key.pem", ledger=ledger)
    assert argv[argv.index("--ledger") + 1] == str(ledger.folder)
    assert argv[argv.index("--ledger-key") + 1] == str(ledger.key)
    heard = [argv[i + 1] for i, word in enumerate(argv) if word == "--listen"]
    assert heard == [f"{s.sensor_id}=udp://127.0.0.1:{s.port}" for s in sensors]
