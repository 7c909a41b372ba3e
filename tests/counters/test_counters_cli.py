"""`inspectorate counters`: a gateway's own interfaces into signed segments and back; checks and exit codes."""

from __future__ import annotations

import base64
import http.server
import itertools
import json
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli.counters import counters
from inspectorate.errors import EnvironmentError_, InspectorateError
from inspectorate.evidence import verify_envelope
from inspectorate.evidence.stream import order_segments, segment_of
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.interconnect.counters.lines import LinesReport, line_of, read_lines
from inspectorate.mechanisms.interconnect.counters.polling import CounterRecorder, poll_until
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading
from inspectorate.quantities import Period, from_ns, to_ns

NOW = 1_700_000_000_000_000_000
S = 10**9


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(counters, list(arguments), catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit | InspectorateError):
        raise result.exception
    return result


def fault(result: Result) -> str:
    assert isinstance(result.exception, InspectorateError)
    return str(result.exception)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    SigningKey(os.urandom(32)).write(tmp_path / "key.pem")
    return tmp_path / "key.pem"


def write_lines(path: Path, rows: list[Reading]) -> Path:
    path.write_bytes(b"".join(map(line_of, rows)))
    return path


def two_ports(*, leave_out: str = "", back: bool = False) -> list[Reading]:
    """A node through which traffic passes from p0 to p1, quiet every tenth second, and half as much back."""
    rows = []
    total = 0
    for t in range(600):
        for port, into, out in (("p0", total, total // 2), ("p1", total // 2, total)):
            lower = 10**6 if back and t == 300 and port == "p0" else 0
            if port != leave_out:
                rows.append(
                    Reading(
                        port=Port("sw", port), time_ns=NOW + t * S, in_octets=into - lower, out_octets=out,
                        speed_bits_per_s=10**10, epoch_ns=NOW - S,
                    )
                )  # fmt: skip
        total += 0 if t % 10 == 9 else 10**6
    return rows


# --- check and period --------------------------------------------------------------------------------------------------


def test_a_sound_record_exits_zero(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", two_ports())
    result = run("check", str(path))
    assert result.exit_code == 0, result.output
    assert "in and out of 2 ports agree" in result.output
    found = json.loads(run("check", str(path), "--json").output)
    assert found["balances"][0]["verdict"] == "balanced"
    assert found["ports"][0]["in_octets_lower"] == found["ports"][0]["in_octets_upper"]


def test_a_missing_port_exits_inconclusive_and_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", two_ports(leave_out="p1"))
    (tmp_path / "ports").write_text("sw/p0\nsw/p1\n")
    result = run("check", str(path), "--ports", str(tmp_path / "ports"))
    assert result.exit_code == 10
    assert "declared without readings: sw/p1" in result.output
    assert run("check", str(path)).exit_code == 10


def test_what_is_missing_is_no_success_and_is_told(tmp_path: Path) -> None:
    whole = str(write_lines(tmp_path / "a.jsonl", two_ports()))
    (tmp_path / "ports").write_text("sw/p0\nsw/p1\nsw/p2\n")
    result = run("check", whole, "--ports", str(tmp_path / "ports"))
    assert (result.exit_code, "declared without readings: sw/p2" in result.output) == (10, True)
    (tmp_path / "empty.jsonl").write_bytes(b"")
    assert run("check", whole, str(tmp_path / "empty.jsonl")).exit_code == 10
    gap = [row for row in two_ports() if not 200 < (row.time_ns - NOW) // S < 300]
    result = run("check", str(write_lines(tmp_path / "gap.jsonl", gap)))
    assert (result.exit_code, "gap of 100.0 s" in result.output) == (10, True)


def test_faults_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert str(tmp_path / "deep.json") in fault(run("check", str(tmp_path / "deep.json")))
    whole = str(write_lines(tmp_path / "a.jsonl", two_ports()))
    (tmp_path / "ports").write_text("\n")
    assert "names no port" in fault(run("check", whole, "--ports", str(tmp_path / "ports")))
    assert "has more than" in fault(run("check", whole, "--ports", "/dev/zero"))


def test_a_counter_that_goes_back_exits_invalid(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", two_ports(back=True))
    result = run("check", str(path))
    assert result.exit_code == 30
    assert "went-back" in result.output


def test_refused_lines_exit_invalid(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", two_ports())
    path.write_bytes(path.read_bytes() + b"{}\n")
    result = run("check", str(path))
    assert result.exit_code == 30
    assert "1 refused" in result.output


def test_a_file_without_readings_is_wrong_use(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("nothing\n")
    assert "holds no readings" in fault(run("check", str(path)))
    path.write_text("")
    assert "holds no readings" in fault(run("period", str(path)))


def test_the_period_of_a_record(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", two_ports())
    found = json.loads(run("period", str(path), "--busy", "1000", "--json").output)
    assert {one["port"] for one in found if one["significant"]} == {"sw/p0", "sw/p1"}
    assert all(one["period_s"] == pytest.approx(10, rel=0.01) for one in found)
    assert "2 of 2 busy ports have a period" in run("period", str(path)).output


# --- collect -----------------------------------------------------------------------------------------------------------


def read_back(out: Path, key: Path, sensors: tuple[str, ...]) -> dict[str, list[Reading]]:
    """Every reading of a spool by sensor, as a reviewer would read it: signatures, chain, counts and periods checked."""
    anchors = anchors_for(SigningKey.read(key), sensors)
    envelopes = [path.read_bytes() for path in (out / "statements").iterdir()]
    segments = [segment_of(verify_envelope(data, anchors=anchors, where="test")) for data in envelopes]
    ever = Period(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC))
    streams, problems = order_segments(segments, sensors=set(sensors), period=ever)
    assert problems == ()
    found: dict[str, list[Reading]] = {}
    for stream in streams:
        for segment in stream.segments:
            report = LinesReport()
            rows = list(read_lines((out / "payloads" / segment.payload.removeprefix("sha256:")).read_bytes(), report))
            assert (len(rows), report.refused) == (segment.entries, 0)
            assert segment.media_type == "application/x-ndjson"
            assert all(to_ns(segment.period.start) <= row.time_ns < to_ns(segment.period.end) for row in rows)
            found.setdefault(stream.sensor, []).extend(rows)
    return found


def anchors_for(key: SigningKey, sensors: tuple[str, ...]) -> TrustAnchors:
    anchor = TrustAnchor(
        name="collector",
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=Holder.VERIFIER,
        roles=(Role.SENSOR,),
        sensors=sensors,
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
        valid_until=datetime(2100, 1, 1, tzinfo=UTC),
    )
    return TrustAnchors(anchors=(anchor,))


@pytest.mark.skipif(not shutil.which("ip") or not Path("/proc/stat").exists(), reason="needs Linux and iproute2")
def test_the_interfaces_of_this_machine_become_signed_readings(tmp_path: Path, key: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "collect", "--sensor", "s1=lo", "--sensor", "s2=missing0", "--node", "gw", "--link", "--speed", "lo=1000000000",
        "--out", str(out), "--key", str(key), "--every", "0.2", "--segment-seconds", "0.5", "--duration", "1.6", "--json",
    )  # fmt: skip
    assert result.exit_code == 10, "s2 has no reading"
    told = json.loads(result.output)
    assert told["polls"]["failed"] == 0
    assert told["polls"]["done"] >= 3
    assert told["sensors"]["s1"]["ports_missing"] == 0
    assert told["sensors"]["s2"]["ports_missing"] == told["polls"]["done"]
    assert told["sensors"]["s1"]["segments"] >= 3
    found = read_back(out, key, ("s1", "s2"))
    assert len(read_back(out, key, ("s1", "s2"))["s1"]) == told["sensors"]["s1"]["readings"]
    assert {row.port for row in found["s1"]} == {Port("gw", "lo")}
    assert all(row.speed_bits_per_s == 10**9 and row.epoch_ns > 0 for row in found["s1"])


class Page(http.server.BaseHTTPRequestHandler):
    """An exporter whose counters rise with every scrape."""

    scrapes = 0

    def do_GET(self) -> None:
        type(self).scrapes += 1
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/metrics")
            self.end_headers()
            return
        body = (
            f'node_network_receive_bytes_total{{device="e0"}} {1000 * self.scrapes}\n'
            'node_network_transmit_bytes_total{device="e0"} 5\n'
        ).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def collect(page: str, tmp_path: Path, key: Path, *more: str) -> Result:
    return run(
        "collect", "--sensor", "s1=e0", "--node", "gw", "--prometheus", page, "--out", str(tmp_path / "out"),
        "--key", str(key), "--every", "0.1", "--duration", "0.5", "--json", *more,
    )  # fmt: skip


def test_a_page_becomes_signed_readings(page: str, tmp_path: Path, key: Path) -> None:
    result = collect(f"{page}/metrics", tmp_path, key)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["sensors"]["s1"]["readings"] >= 3
    payloads = [path for path in (tmp_path / "out" / "payloads").iterdir() if path.stat().st_size]
    checked = json.loads(run("check", *map(str, payloads), "--json").output)
    assert checked["ports"][0]["port"] == "gw/e0"
    assert checked["ports"][0]["in_octets_lower"] > 0


def test_a_redirect_is_not_followed_and_failed_polls_are_counted(page: str, tmp_path: Path, key: Path) -> None:
    result = collect(f"{page}/moved", tmp_path, key)
    assert result.exit_code == 10, "nothing was recorded"
    told = json.loads(result.output)
    assert told["polls"]["done"] == 0
    assert told["polls"]["failed"] >= 3
    assert told["sensors"]["s1"]["readings"] == 0
    assert told["sensors"]["s1"]["segments"] >= 1, "I asked, and nothing came"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--link", "--prometheus", "http://127.0.0.1:1/"), "one source is polled"),
        ((), "one source is polled"),
        (("--prometheus", "http://192.0.2.1/metrics"), "not on loopback"),
        (("--prometheus", "file:///etc/passwd"), "is not http"),
        (("--snmp", "udp://192.0.2.1:161"), "not on loopback"),
        (("--snmp", "udp://127.0.0.1:161"), "needs --snmp-access"),
        (("--snmp", "tcp://127.0.0.1:161"), "is not udp"),
        (("--link", "--speed", "lo"), "is not PORT=BITS_PER_S"),
        (("--link", "--sensor", "bad sensor=lo"), "is not SENSOR=PORT"),
        (("--link", "--sensor", "s1=lo"), "named twice"),
    ],
)
def test_wrong_use_is_refused_in_words(arguments: tuple[str, ...], problem: str, tmp_path: Path, key: Path) -> None:
    result = run(
        "collect", "--sensor", "s1=lo", "--node", "gw", "--out", str(tmp_path / "o"), "--key", str(key), *arguments
    )
    assert problem in fault(result)
    assert not (tmp_path / "o").exists()


# --- the recorder, with a clock of our own -----------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now_ns = NOW

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += max(1_000_000, round(seconds * 1e9))


class Steady:
    """A source that counts with the clock; from one time to another it fails."""

    def __init__(self, clock: Clock, fails: range) -> None:
        self._clock = clock
        self._fails = fails

    def poll(self) -> tuple[Reading, ...]:
        since_s = (self._clock() - NOW) // S
        if since_s in self._fails:
            raise EnvironmentError_("no answer")
        return (Reading(port=Port("gw", "a"), time_ns=self._clock(), in_octets=self._clock() - NOW, out_octets=0),)


def test_segments_follow_each_other_without_a_hole_and_failures_leave_them_empty() -> None:
    clock, closed = Clock(), []
    recorder = CounterRecorder({"s": frozenset({Port("gw", "a")})}, closed.append, start_ns=NOW, segment_s=10)
    polls = poll_until(
        Steady(clock, range(20, 41)), recorder, every_s=1.0, clock_ns=clock, sleep=clock.sleep,
        stop=lambda now_ns: now_ns >= NOW + 65 * S,
    )  # fmt: skip
    assert polls.failed == pytest.approx(21, abs=2)
    assert [segment.sequence for segment in closed] == list(range(len(closed)))
    assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(closed))
    assert [segment.final for segment in closed] == [False] * (len(closed) - 1) + [True]
    assert sum(segment.datagrams == 0 for segment in closed) == 2
    for segment in closed:
        rows = list(read_lines(b"".join(segment.chunks), LinesReport()))
        assert len(rows) == segment.datagrams
        assert all(segment.start_ns <= row.time_ns < segment.end_ns for row in rows)
        assert from_ns(segment.start_ns) < from_ns(segment.end_ns)


def test_a_clock_that_was_set_back_shows_as_age() -> None:
    closed: list[object] = []
    recorder = CounterRecorder({"s": frozenset({Port("gw", "a")})}, closed.append, start_ns=NOW, segment_s=10)
    for at in (5, 3):
        recorder.feed((Reading(port=Port("gw", "a"), time_ns=NOW + at * S, in_octets=at, out_octets=0),))
    recorder.close(NOW + 6 * S)
    (segment,) = closed
    rows = list(read_lines(b"".join(segment.chunks), LinesReport()))  # type: ignore[attr-defined]
    assert [(row.time_ns - NOW, row.age_ns) for row in rows] == [(5 * S, 0), (5 * S, 2 * S)]
