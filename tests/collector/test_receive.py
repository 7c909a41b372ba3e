"""Real sockets on the loopback: recvmmsg, its portable twin, times, losses, and ports that cannot be had."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address

import numpy as np
import pytest
from collector_support import START_NS, read_segment
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.interconnect import recvmmsg
from inspectorate.mechanisms.interconnect.receive import (
    MmsgReceiver,
    MsgReceiver,
    Receiver,
    open_receivers,
    parse_endpoint,
    unwrap_counters,
)
from inspectorate.mechanisms.interconnect.recvmmsg import BATCH_MAX, MmsgBuffers, load_recvmmsg
from inspectorate.mechanisms.interconnect.segments import Datagrams, Endpoint, SegmentWriter

LOOPBACK = {4: Endpoint(address=ip_address("127.0.0.1"), port=0), 6: Endpoint(address=ip_address("::1"), port=0)}
Make = Callable[..., Receiver]


def has_recvmmsg() -> bool:
    try:
        load_recvmmsg()
    except EnvironmentError_:
        return False
    return True


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as made:
            made.bind(("::1", 0))
    except OSError:
        return False
    return True


KINDS = [
    pytest.param("mmsg", marks=pytest.mark.skipif(not has_recvmmsg(), reason="there is no recvmmsg here")),
    "msg",
]
VERSIONS = [4, pytest.param(6, marks=pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 loopback here"))]


@pytest.fixture
def make() -> Iterator[Make]:
    """A factory of receivers of either kind, closed at the end."""
    opened: list[Receiver] = []

    def build(kind: str, version: int = 4, *, buffer_bytes: int = 2**22, datagram_bytes_max: int = 65_535) -> Receiver:
        common = {"clock_ns": lambda: START_NS, "buffer_bytes": buffer_bytes}
        if kind == "mmsg":
            buffers = MmsgBuffers(datagram_bytes_max)
            opened.append(MmsgReceiver("s1", LOOPBACK[version], buffers=buffers, **common))
        else:
            opened.append(MsgReceiver("s1", LOOPBACK[version], datagram_bytes_max=datagram_bytes_max, **common))
        return opened[-1]

    yield build
    for receiver in opened:
        receiver.close()


def sender_to(receiver: Receiver) -> socket.socket:
    at = receiver.endpoint
    made = socket.socket(socket.AF_INET if at.address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    made.connect((str(at.address), at.port))
    return made


def everything(receiver: Receiver) -> list[Datagrams]:
    """All batches that wait, their content copied."""
    found: list[Datagrams] = []
    while True:
        batch = receiver.receive()
        found.append(replace(batch, data=batch.data.copy()))
        if batch.drained:
            return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_sent_is_received(kind: str, version: int, make: Make) -> None:
    receiver = make(kind, version)
    assert everything(receiver)[0].contents() == []
    sent = [b"%d " % i * (i % 300) for i in range(BATCH_MAX + 44)] + [b"", b"x" * 60_000]
    before_ns = time.time_ns()
    with sender_to(receiver) as sender:
        for content in sent:
            sender.send(content)
        port = sender.getsockname()[1]
    after_ns = time.time_ns()
    batches = everything(receiver)
    assert [batch.drained for batch in batches] == [False, True]
    assert [content for batch in batches for content in batch.contents()] == sent
    times = np.concatenate([batch.arrival_ns for batch in batches])
    assert np.all(np.diff(times) >= 0)
    assert before_ns <= times[0] <= times[-1] <= after_ns
    for batch in batches:
        assert set(batch.ports.tolist()) == {port}
        assert {bytes(row) for row in batch.addresses} == {LOOPBACK[version].address.packed}
        assert batch.lengths.tolist() == [len(content) for content in batch.contents()]
        assert batch.dropped_total.tolist() == [0] * len(batch)
        assert batch.dropped_after == 0


@pytest.mark.skipif(not has_recvmmsg(), reason="there is no recvmmsg here")
@pytest.mark.parametrize("version", VERSIONS)
def test_both_receivers_give_the_same_segment(version: int, make: Make) -> None:
    payloads = []
    sent = [b"%d" % i * (i % 400) for i in range(700)]
    for kind in ("mmsg", "msg"):
        receiver = make(kind, version)
        writer = SegmentWriter(Endpoint(address=receiver.endpoint.address, port=2055))
        with sender_to(receiver) as sender:
            for content in sent:
                sender.send(content)
        for number, batch in enumerate(everything(receiver)):
            fixed_ns = np.arange(len(batch), dtype=np.int64) + START_NS + number * BATCH_MAX
            batch.ports[:] = 4000
            writer.append(batch.part(0, len(batch), fixed_ns))
        payloads.append(b"".join(writer.chunks))
    assert payloads[0] == payloads[1]
    assert [packet.content for packet in read_segment(payloads[0])] == sent


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_kernel_drops_is_counted(kind: str, make: Make) -> None:
    receiver = make(kind, buffer_bytes=4096)
    received = dropped = 0
    with sender_to(receiver) as sender:
        for burst in (40, 1, 90, 1, 1):
            for _ in range(burst):
                sender.send(bytes(800))
            batch = everything(receiver)[-1]
            received += len(batch)
            dropped = batch.dropped_after
    assert 0 < received < 133
    assert received + dropped == 133


@pytest.mark.parametrize("kind", KINDS)
def test_drops_are_placed_before_the_datagram_that_came_after_them(kind: str, make: Make) -> None:
    receiver = make(kind, buffer_bytes=4096)
    with sender_to(receiver) as sender:
        for _ in range(30):
            sender.send(bytes(800))
        first = everything(receiver)[-1]
        sender.send(b"later")
        later = everything(receiver)[-1]
    assert first.dropped_total.tolist() == [0] * len(first)
    assert later.dropped_total.tolist() == [30 - len(first)] == [first.dropped_after]


@pytest.mark.parametrize("kind", KINDS)
def test_what_would_be_cut_short_is_counted_and_not_recorded(kind: str, make: Make) -> None:
    receiver = make(kind, datagram_bytes_max=100)
    with sender_to(receiver) as sender:
        for length in (100, 101, 5, 60_000, 7):
            sender.send(bytes(length))
    batch = everything(receiver)[0]
    assert batch.lengths.tolist() == [100, 5, 7]
    assert batch.dropped_total.tolist() == [0, 1, 2]
    assert batch.dropped_after == 2


@given(
    steps=st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=20),
    start=st.integers(0, 2**34),
)
def test_counters_wrap_around(steps: list[int], start: int) -> None:
    totals = list(itertools.accumulate(steps, initial=start))[1:]
    total = start
    for expected in totals:
        total = int(unwrap_counters(np.array([expected % 2**32]), total)[0])
        assert total == expected


def test_counters_that_are_absent_or_older_change_nothing() -> None:
    assert unwrap_counters(np.array([-1, 3, -1, 9, 7]), 5).tolist() == [5, 5, 5, 9, 9]


@pytest.mark.parametrize(
    ("text", "version", "port"),
    [
        ("udp://127.0.0.1:2055", 4, 2055),
        ("udp://0.0.0.0:0", 4, 0),
        ("udp://[::1]:65535", 6, 65535),
        ("udp://[2001:db8::7]:9", 6, 9),
    ],
)
def test_endpoint_is_parsed_and_printed(text: str, version: int, port: int) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.address.version, endpoint.port, str(endpoint)) == (version, port, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:2055",
        "tcp://127.0.0.1:2055",
        "udp://127.0.0.1",
        "udp://127.0.0.1:65536",
        "udp://127.0.0.1:-1",
        "udp://127.0.0.256:1",
        "udp://::1:2055",
        "udp://[::1:2055",
        "udp://[zz::]:1",
        "udp://[fe80::1%lo]:1",
        "udp://localhost:2055",
        "udp://127.0.0.1:2055\n",
        "udp://127.0.0.1:٢٠",
    ],
)
def test_other_endpoints_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_endpoint(text)


def test_a_port_in_use_is_named_and_nothing_stays_bound() -> None:
    free = LOOPBACK[4]
    first = open_receivers([("s1", free)], clock_ns=time.time_ns)[0]
    other = open_receivers([("s2", free)], clock_ns=time.time_ns)[0]
    other.close()
    with pytest.raises(EnvironmentError_, match=r"sensor s3 at udp://127\.0\.0\.1:.*cannot listen"):
        open_receivers([("s2", other.endpoint), ("s3", first.endpoint)], clock_ns=time.time_ns)
    open_receivers([("s2", other.endpoint)], clock_ns=time.time_ns)[0].close()
    first.close()


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(EnvironmentError_, match=r"sensor s1 at udp://192\.0\.2\.1:2055"):
        open_receivers([("s1", parse_endpoint("udp://192.0.2.1:2055"))], clock_ns=time.time_ns)


def test_a_sensor_named_twice_and_no_sensor_are_refused() -> None:
    with pytest.raises(InputError, match="named twice"):
        open_receivers([("s1", LOOPBACK[4]), ("s1", LOOPBACK[4])], clock_ns=time.time_ns)
    with pytest.raises(InputError, match="no sensor"):
        open_receivers([], clock_ns=time.time_ns)


def test_without_recvmmsg_the_portable_receiver_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recvmmsg, "_RECVMMSG_OK", False)
    made = open_receivers([("s1", LOOPBACK[4])], clock_ns=time.time_ns)
    assert [type(receiver) for receiver in made] == [MsgReceiver]
    made[0].close()
