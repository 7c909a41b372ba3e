"""The server over a real socket and a real intake: what a browser sends is taken, what it would not is refused."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import web_raw as raw
from hypothesis import given, settings
from hypothesis import strategies as st
from web_running import ADDRESSES, Running, running

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.whistleblowing.web.answers import ANSWER_BYTES, HEAD_BYTES
from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import CONTENT_SECURITY_POLICY, LANGUAGES
from inspectorate.mechanisms.whistleblowing.web.server import Where, listen

LIMITS = Limits(
    connections=24, submissions=16, head_s=0.3, window_s=0.3, window_bytes=600, pace_bytes_per_s=3000, linger_s=0.5,
    upload_bytes=1 << 20, files=3, reports_per_minute=100_000, reports_at_once=100_000, lookups_per_minute=100_000,
    lookups_at_once=100_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("web"), LIMITS) as found:
        yield found
        assert not found.server.faults


def phrase_of(page: str) -> list[str]:
    return re.findall(r'<bdi class="word" dir="ltr">([0-9]+)</bdi>', page)


# --- what a browser does ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["/", "/en/", "/zh/report", "/ar/return", "/ru/keys", "/fr/follow", "/es", "/en/?from=x"]
)
def test_pages(site: Running, address: str) -> None:
    came = raw.ask(site.path, raw.get(address))
    assert came.status == 200
    assert len(came.data) == ANSWER_BYTES
    assert came.page.startswith("<!")


def test_a_report_a_return_and_a_follow_up(site: Running) -> None:
    upload = bytes(range(256)) * 800
    sent = raw.ask(site.path, raw.report({"seen": "words", "place": "pod B3"}, [("a.bin", upload), ("b.bin", b"")]))
    assert sent.status == 200
    digits = phrase_of(sent.page)
    assert len("".join(digits)) == 42
    body = f"phrase={'+'.join(digits)}".encode()
    back = raw.ask(site.path, raw.post("/en/return", body, "application/x-www-form-urlencoded"))
    assert (back.status, len(back.data)) == (200, ANSWER_BYTES)
    again = raw.ask(site.path, raw.report({"phrase": " ".join(digits), "more": "and this"}, to="/en/follow"))
    assert (again.status, len(again.data)) == (200, ANSWER_BYTES)
    found = site.opened()
    assert {"seen": "words", "place": "pod B3"} in [report.answers for report in found]
    assert {"more": "and this"} in [report.answers for report in found]
    assert ("a.bin", upload) in [file for report in found for file in report.files]


def test_an_answer_comes_after_the_tick_that_made_the_report_durable(site: Running) -> None:
    began = time.monotonic()
    before = site.ticks
    assert raw.ask(site.path, raw.report({"seen": "x"})).status == 200
    assert site.ticks > before
    assert time.monotonic() - began >= 0


def test_wrong_phrases(site: Running) -> None:
    for typed in ("", "not+a+phrase", "1" * 42, "%00" * 50):
        came = raw.ask(
            site.path, raw.post("/en/return", f"phrase={typed}".encode(), "application/x-www-form-urlencoded")
        )
        assert (came.status, len(came.data)) == (400, ANSWER_BYTES)
    refused = raw.ask(site.path, raw.report({"phrase": "not a phrase", "more": "x"}, to="/en/follow"))
    assert refused.status == 400


def test_a_phrase_that_was_never_given_out_looks_like_one_without_replies(site: Running) -> None:
    came = raw.ask(
        site.path, raw.post("/en/return", f"phrase={site.unknown}".encode(), "application/x-www-form-urlencoded")
    )
    assert came.status == 200


# --- what every answer is -----------------------------------------------------------------------------------------------

ODD: dict[str, tuple[bytes, int]] = {
    "nothing that is HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "HTTP 1.0": (b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", 505),
    "HTTP 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    "another host": (raw.head("GET", "/", host="example.com"), 421),
    "a host that is none": (raw.head("GET", "/", host="a b"), 400),
    "absolute URI": (raw.get("http://localhost/en/"), 400),
    "URI of another": (raw.get("http://example.com/"), 400),
    "asterisk": (raw.head("OPTIONS", "*"), 400),
    "CONNECT": (raw.head("CONNECT", "example.com:443", host="example.com:443"), 405),
    "TRACE": (raw.head("TRACE", "/"), 405),
    "PUT": (raw.head("PUT", "/en/report", "Content-Length: 0"), 405),
    "POST where nothing is taken": (raw.post("/en/", b"", "text/plain"), 405),
    "a method of nobody": (raw.head("BREW", "/"), 501),
    "a method in small letters": (raw.head("get", "/"), 501),
    "up and out": (raw.get("/en/../../etc/passwd"), 404),
    "percent": (raw.get("/en/%2e%2e/report"), 404),
    "two slashes": (raw.get("//example.com/"), 404),
    "favicon": (raw.get("/favicon.ico"), 404),
    "another language": (raw.get("/de/"), 404),
    "fragment": (raw.get("/en/#a"), 404),
    "control characters": (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a long address": (raw.get("/en/?" + "a" * 4000), 414),
    "a flood of headers": (raw.get("/", *[f"X-{n}: y" for n in range(200)]), 431),
    "a large header": (raw.get("/", "X-Large: " + "a" * 60_000), 431),
    "a broken header": (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
    "both lengths": (raw.head("POST", "/en/report", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n", 400),
    "two lengths": (raw.head("POST", "/en/report", "Content-Length: 5", "Content-Length: 6") + b"abcdef", 400),
    "a length with a sign": (raw.head("POST", "/en/report", "Content-Length: +5") + b"abcde", 400),
    "chunks": (raw.head("POST", "/en/report", "Transfer-Encoding: chunked") + b"5\r\nabcde\r\n0\r\n\r\n", 411),
    "a coding of nobody": (raw.head("POST", "/en/report", "Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    "no length": (raw.head("POST", "/en/report"), 411),
    "content of GET": (raw.get("/", "Content-Length: 3") + b"abc", 400),
    "compressed": (raw.report({"seen": "x"}, (), "Content-Encoding: gzip"), 415),
    "an upgrade": (raw.get("/", "Upgrade: h2c", "Connection: Upgrade"), 400),
    "another expectation": (raw.report({"seen": "x"}, (), "Expect: a-miracle"), 417),
    "sent by another site": (raw.report({"seen": "x"}, (), "Sec-Fetch-Site: cross-site"), 403),
    "no form": (raw.post("/en/report", b"{}", "application/json"), 415),
    "no form for a phrase": (raw.post("/en/return", b"{}", "application/json"), 415),
    "a large phrase": (raw.post("/en/return", b"phrase=" + b"a" * 20_000, "application/x-www-form-urlencoded"), 413),
    "thousands of fields": (raw.post("/en/return", b"phrase=a&" * 500, "application/x-www-form-urlencoded"), 400),
    "an empty report": (raw.report({}), 400),
    "a megabyte in a field": (raw.report({"seen": "a" * 1_000_000}), 413),
    "a file too large": (raw.report({}, [("a", b"a" * ((1 << 20) + 1))]), 413),
    "files too many": (raw.report({}, [("a", b"a")] * 4), 413),
    "larger than anything": (raw.head("POST", "/en/report", f"Content-Type: {raw.FORM}", "Content-Length: 99999999999"), 413),
    "no UTF-8": (raw.post("/en/report", raw.part("seen", b"\xff") + raw.ending(), raw.FORM), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_refused_with_a_plain_page_of_the_same_size(site: Running, name: str) -> None:
    request, status = ODD[name]
    came = raw.ask(site.path, request, half_close=True)
    assert came.status == status
    assert len(came.data) == ANSWER_BYTES
    assert came.head["content-type"] == "text/html; charset=utf-8"


def test_a_second_request_in_the_content_of_the_first_is_nobodys(site: Running) -> None:
    hidden = raw.get("/en/report")
    came = raw.ask(site.path, raw.get("/en/") + hidden + hidden)
    assert len(came.data) == ANSWER_BYTES


def test_heads_say_nothing_and_allow_nothing(site: Running) -> None:
    ok, refused = raw.ask(site.path, raw.get("/en/")), raw.ask(site.path, ODD["compressed"][0])
    for came in (ok, refused):
        assert not {"server", "date", "set-cookie", "etag", "last-modified", "location", "vary"} & set(came.head)
        assert came.head["cache-control"] == "no-store"
        assert came.head["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert came.head["referrer-policy"] == "no-referrer"
        assert came.head["x-content-type-options"] == "nosniff"
        assert came.head["cross-origin-opener-policy"] == "same-origin"
        assert "geolocation=()" in came.head["permissions-policy"]
        assert came.head["connection"] == "close"
    assert raw.ask(site.path, raw.head("DELETE", "/en/report")).head["allow"] == "GET, HEAD, POST"
    assert raw.ask(site.path, raw.head("DELETE", "/en/")).head["allow"] == "GET, HEAD"


def test_head_has_the_same_head_and_no_page(site: Running) -> None:
    came = raw.ask(site.path, raw.head("HEAD", "/en/"))
    assert (came.status, len(came.data)) == (200, HEAD_BYTES)
    assert came.data == raw.ask(site.path, raw.get("/en/")).data[:HEAD_BYTES]


def test_nothing_that_was_sent_comes_back(site: Running) -> None:
    mark = "q7x9z"
    for request in (
        raw.get(f"/en/{mark}"), raw.get(f"/en/?{mark}"), raw.head("GET", "/en/", f"Cookie: {mark}={mark}", f"X: {mark}"),
        raw.report({"seen": mark}, [(f"{mark}.html", f"<script>{mark}</script>".encode())]),
        raw.report({"kind": mark}), raw.report({"phrase": mark, "more": mark}, to="/en/follow"),
        raw.post("/en/return", f"phrase={mark}".encode(), "application/x-www-form-urlencoded"),
    ):  # fmt: skip
        assert mark.encode() not in raw.ask(site.path, request).data


# --- time and places ----------------------------------------------------------------------------------------------------


def test_a_slow_line_that_moves_is_served_and_one_that_drips_is_not(site: Running) -> None:
    request = raw.report({"seen": "x" * 3000})
    slow = raw.ask_slowly(site.path, _dripped(request, 400, 0.06))
    assert slow.status == 200
    dripping = raw.ask_slowly(site.path, _dripped(request, 20, 0.05))
    assert (dripping.status, len(dripping.data)) == (408, ANSWER_BYTES)


def _dripped(data: bytes, size: int, wait_s: float) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        time.sleep(wait_s)
        yield data[start : start + size]


def test_a_head_that_does_not_end_is_ended(site: Running) -> None:
    began = time.monotonic()
    came = raw.ask_slowly(site.path, _dripped(raw.get("/", "X: " + "a" * 1000), 5, 0.05))
    assert came.status == 408
    assert time.monotonic() - began < 3.0


def test_a_connection_that_says_nothing_gets_nothing(site: Running) -> None:
    assert raw.ask(site.path).data == b""


def test_the_idlest_goes_when_all_places_are_taken(site: Running) -> None:
    silent = []
    try:
        for _ in range(3 * LIMITS.connections):
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            one.connect(str(site.path))
            silent.append(one)
        assert raw.ask(site.path, raw.get("/en/")).status == 200
        assert site.server.open <= LIMITS.connections
    finally:
        for one in silent:
            one.close()


def test_one_who_does_not_read_is_ended(site: Running) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect(str(site.path))
        one.sendall(raw.get("/en/"))
        ends = time.monotonic() + 5
        while site.server.open and time.monotonic() < ends:
            time.sleep(0.05)
        assert site.server.open == 0


def test_reports_at_the_same_time_are_all_taken(site: Running) -> None:
    statuses: list[int] = []
    askers = [
        threading.Thread(target=lambda: statuses.append(raw.ask(site.path, raw.report({"seen": "x"}, [("a", b"y" * 9000)])).status))
        for _ in range(12)
    ]  # fmt: skip
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    assert statuses == [200] * 12


def test_more_reports_than_a_minute_may_bring_are_asked_to_come_back(tmp_path: Path) -> None:
    few = LIMITS.model_copy(
        update={"reports_per_minute": 0.01, "reports_at_once": 2, "lookups_per_minute": 0.01, "lookups_at_once": 1}
    )
    with running(tmp_path, few) as site:
        assert [raw.ask(site.path, raw.report({"seen": "x"})).status for _ in range(3)] == [200, 200, 503]
        assert raw.ask(site.path, raw.report({})).status in {400, 503}
        body = f"phrase={site.unknown}".encode()
        request = raw.post("/en/return", body, "application/x-www-form-urlencoded")
        assert [raw.ask(site.path, request).status for _ in range(2)] == [200, 503]
        assert len(raw.ask(site.path, request).data) == ANSWER_BYTES


def test_what_never_was_a_report_takes_nothing_of_what_a_minute_may_bring(tmp_path: Path) -> None:
    few = LIMITS.model_copy(update={"reports_per_minute": 0.01, "reports_at_once": 1})
    with running(tmp_path, few) as site:
        for _ in range(5):
            assert raw.ask(site.path, raw.report({})).status == 400
        assert raw.ask(site.path, raw.report({"seen": "x"})).status == 200


def test_a_client_that_asks_first_may_go_on(site: Running) -> None:
    request = raw.report({"seen": "x"}, (), "Expect: 100-continue")
    came = raw.ask(site.path, request)
    assert came.data.startswith(b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 ")


def test_a_source_that_goes_away_leaves_nothing_that_counts(tmp_path: Path) -> None:
    request = raw.report({"seen": "unfinished"}, [("a", b"x" * 300_000)])
    with running(tmp_path, LIMITS) as site:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.connect(str(site.path))
            one.sendall(request[:-1])
        while site.server.open:
            time.sleep(0.02)
        assert site.opened() == []
        assert raw.ask(site.path, request).status == 200
        assert [report.answers for report in site.opened()] == [{"seen": "unfinished"}]


# --- where it listens ---------------------------------------------------------------------------------------------------


def test_it_listens_on_this_machine_alone_unless_told_otherwise(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(InputError, match="beyond this machine"):
            listen(Where(host=host, port=0))
    with pytest.raises(InputError, match="no address"):
        listen(Where(host="localhost", port=0))
    with pytest.raises(InputError, match="at most"):
        listen(Where(path=tmp_path / ("a" * 120)))
    with pytest.raises(EnvironmentError_, match="cannot listen"):
        listen(Where(path=tmp_path / "absent" / "socket"))
    listen(Where(port=0)).close()


def test_a_socket_is_for_its_owner_and_group_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listen(Where(path=path)).close()
    with listen(Where(path=path)):
        assert path.stat().st_mode & 0o777 == 0o660
        with pytest.raises(EnvironmentError_, match="cannot listen"):
            listen(Where(path=path))


# --- anything at all ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    return [
        *(raw.get(address) for address in ADDRESSES),
        raw.report({"seen": "x"}, [("a.bin", b"abc")]),
        raw.report({"phrase": "1 2 3", "more": "x"}, to="/ru/follow"),
        raw.post("/ar/return", b"phrase=1+2+3&part=0", "application/x-www-form-urlencoded"),
    ]


def test_every_route_stands_in_the_seeds() -> None:
    assert {address.split("/", 2)[2] for address in ADDRESSES if address != "/"} == {
        "",
        "keys",
        "report",
        "return",
        "follow",
    }
    assert {address.split("/")[1] for address in ADDRESSES if address != "/"} <= set(LANGUAGES)


@settings(max_examples=120)
@given(data=st.data())
def test_any_request_gets_a_page_of_one_size_or_a_closed_door(
    site: Running, seeds: list[bytes], data: st.DataObject
) -> None:
    request = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(request)))
        gone = data.draw(st.integers(0, 8))
        put = data.draw(
            st.one_of(
                st.binary(max_size=12),
                st.sampled_from(
                    [b"\r\n", b"\r\n\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"%00", b"\xff"]
                ),
            )
        )
        request[at : at + gone] = put
    came = raw.ask(site.path, bytes(request), half_close=True)
    body = came.data.removeprefix(b"HTTP/1.1 100 \r\n\r\n")
    assert len(body) in {0, ANSWER_BYTES, HEAD_BYTES}
    assert not body or int(body[9:12]) in {200, 501, 505} or 400 <= int(body[9:12]) < 500
    assert not site.server.faults
