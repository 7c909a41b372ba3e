"""Scraping over real HTTP: the page as it came, and every way in which a server can be wrong."""

from __future__ import annotations

import base64
import socket
import time
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_support import START_NS, Answer, send, serving

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.workloads.record import fetch
from inspectorate.mechanisms.workloads.record.exporter import ExporterSource
from inspectorate.mechanisms.workloads.record.fetch import Fetcher, HttpAccess
from inspectorate.mechanisms.workloads.record.recorder import Cut, Recorded, TelemetryRecorder, payload_of
from inspectorate.mechanisms.workloads.record.source import Scrape
from inspectorate.mechanisms.workloads.telemetry.payload import read_segment
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport

PAGE = b'# HELP power\nDCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-1"} 423.1\n'


def exporter(url: str, **more: object) -> ExporterSource:
    return ExporterSource(url, point=MeasuringPoint.CHIP, clock_ns=time.time_ns, **more)  # type: ignore[arg-type]


def test_a_page_is_kept_to_the_byte_with_when_it_was_asked_for_and_how_long_it_took() -> None:
    with serving(lambda handler: send(handler, PAGE)) as url:
        before = time.time_ns()
        scrape = exporter(url + "metrics").poll()
    assert scrape.text == PAGE
    assert before <= scrape.time_ns
    assert 0 < scrape.took_ns <= time.time_ns() - before


def redirect(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"", status=302, Location="http://127.0.0.1:1/")


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nshort")


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\x01\x02 not http at all\r\n\r\n")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"power 1\n" * 10_000)


@pytest.mark.parametrize(
    ("answer", "error", "fault"),
    [
        (lambda handler: send(handler, b"", status=503), EnvironmentError_, "answers 503"),
        (lambda handler: send(handler, b"# only a comment\n\n"), EvidenceError, "holds no sample"),
        (lambda handler: send(handler, b""), EvidenceError, "holds no sample"),
        (redirect, EnvironmentError_, "answers 302"),
        (no_http, EnvironmentError_, "cannot be fetched"),
        (endless, EvidenceError, "exceeds"),
    ],
)
def test_a_server_that_is_wrong_is_a_named_fault(answer: Answer, error: type[Exception], fault: str) -> None:
    with serving(answer) as url, pytest.raises(error, match=fault):
        exporter(url).poll()


def test_an_answer_that_is_cut_off_is_no_page() -> None:
    with serving(cut_off) as url, pytest.raises(EnvironmentError_, match="cannot be fetched"):
        exporter(url).poll()


def test_a_server_that_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FETCH_S_MAX", 0.3)

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(100):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)

    with serving(trickle) as url, pytest.raises(EnvironmentError_, match="did not end within"):
        exporter(url).poll()


def test_nobody_listening_is_a_named_fault() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EnvironmentError_, match="cannot be fetched"):
        exporter(f"http://127.0.0.1:{port}/metrics").poll()


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://192.0.2.1/metrics", "not on loopback"),
        ("ftp://127.0.0.1/x", "is not http"),
        ("http://", "is not http"),
        ("http://user:secret@127.0.0.1/", "names a user"),
        ("http://127.0.0.1:99999/", "no address"),
        ("http://[::1", "no address"),
    ],
)
def test_an_address_that_may_not_be_asked_is_refused(url: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault) as raised:
        exporter(url)
    assert "secret" not in str(raised.value)


def test_a_password_is_sent_as_asked_and_never_in_the_clear_to_another_machine() -> None:
    seen: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        send(handler, PAGE)

    access = HttpAccess(user="verifier", password="secret")
    with serving(answer) as url:
        exporter(url, access=access).poll()
    assert seen == ["Basic " + base64.b64encode(b"verifier:secret").decode()]
    with pytest.raises(InputError, match="in the clear"):
        Fetcher("http://192.0.2.1/", access=access, anywhere=True)
    assert Fetcher("https://192.0.2.1/", access=access, anywhere=True).url == "https://192.0.2.1/"


def test_a_file_without_certificates_is_refused(tmp_path: object) -> None:
    path = f"{tmp_path}/ca.pem"
    with open(path, "w") as file:
        file.write("nothing")
    with pytest.raises(InputError, match="holds no certificates"):
        Fetcher("https://127.0.0.1/", access=HttpAccess(authorities=path))  # type: ignore[arg-type]


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"",
                b"  ",
                b"#",
                b" # EOF",
                b"x 1",
                b"\tx 1 ",
                b"# TYPE x gauge",
                b'node_x{a="b"} 2',
                b"\r",
                b"x\x0b 1",
                b"{",
            ]
        ),
        st.binary(max_size=12).filter(lambda line: b"\n" not in line and not line.startswith(b"# scraped ")),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(pages=st.lists(LINES, min_size=1, max_size=4))
def test_as_many_samples_are_signed_for_as_the_reader_counts(pages: list[list[bytes]]) -> None:
    closed: list[Cut] = []
    meter = Recorded(meter="p", units=("u",), signals=("power_w",), pages=True)
    recorder = TelemetryRecorder([meter], closed.append, start_ns=START_NS)
    for number, lines in enumerate(pages):
        recorder.feed("p", Scrape(time_ns=START_NS + number, took_ns=1, text=b"\n".join(lines)))
    recorder.close(START_NS + 10**9)
    sealed = payload_of(closed[-1])
    report = ReadReport()
    read_segment(b"".join(sealed.chunks), sealed.media_type, report=report)
    assert report.entries == sealed.samples


def test_a_real_page_round_trips_through_the_reader() -> None:
    closed: list[Cut] = []
    meter = Recorded(meter="p", units=("GPU-1",), signals=("power_w",), pages=True)
    recorder = TelemetryRecorder([meter], closed.append, start_ns=START_NS)
    with serving(lambda handler: send(handler, PAGE)) as url:
        source = exporter(url)
        for number in range(3):
            scrape = source.poll()
            recorder.feed("p", Scrape(time_ns=START_NS + number, took_ns=scrape.took_ns, text=scrape.text))
    recorder.close(START_NS + 10**9)
    samples = read_segment(b"".join(payload_of(closed[-1]).chunks), "text/plain; version=0.0.4", report=ReadReport())
    assert (samples.units, list(samples.time_ns)) == (("GPU-1",), [START_NS, START_NS + 1, START_NS + 2])
    assert list(samples.values[:, samples.signals.index("power_w")]) == [423.1] * 3
