"""The pcap form of a segment, against a slow reader, a slow writer and tcpdump."""

from __future__ import annotations

import re
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest
from collector_support import START_NS, V4, V6, S, made, ones_sum, read_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.segments import (
    FILE_HEADER,
    SNAPLEN,
    SegmentWriter,
    headers_bytes,
    udp_checksum_v6,
)

ENDPOINTS = {4: V4, 6: V6}


@pytest.mark.parametrize("version", [4, 6])
@settings(max_examples=60, deadline=None)
@given(contents=st.lists(st.binary(max_size=90), max_size=12), gap_ns=st.integers(0, 3 * S))
def test_what_is_written_is_read_back(version: int, contents: list[bytes], gap_ns: int) -> None:
    endpoint = ENDPOINTS[version]
    writer = SegmentWriter(endpoint)
    times = [START_NS + i * gap_ns for i in range(len(contents))]
    datagrams = made(contents, times, version=version)
    writer.append(datagrams)
    payload = b"".join(writer.chunks)
    packets = read_segment(payload)
    assert [packet.content for packet in packets] == contents
    assert [packet.arrival_ns for packet in packets] == times
    assert {(p.destination, p.dport) for p in packets} <= {(str(endpoint.address), endpoint.port)}
    assert [p.sport for p in packets] == datagrams.ports.tolist()
    assert [bytes(row) for row in datagrams.addresses] == [_packed(p.source) for p in packets]
    assert len(payload) == writer.size_bytes == len(FILE_HEADER) + datagrams.record_bytes
    assert writer.datagrams == len(contents)


def test_chunks_do_not_depend_on_batches() -> None:
    contents = [bytes([i]) * i for i in range(20)]
    datagrams = made(contents, [START_NS + i for i in range(20)])
    whole, parts = SegmentWriter(V4), SegmentWriter(V4)
    whole.append(datagrams)
    for first, last in [(0, 1), (1, 7), (7, 7), (7, 20)]:
        if first < last:
            parts.append(datagrams.part(first, last, datagrams.arrival_ns))
    assert b"".join(whole.chunks) == b"".join(parts.chunks)


def test_data_is_copied() -> None:
    writer = SegmentWriter(V4)
    datagrams = made([b"first"], [START_NS])
    writer.append(datagrams)
    datagrams.data[:] = 0
    assert read_segment(b"".join(writer.chunks))[0].content == b"first"


@pytest.mark.parametrize(("start", "length"), [(-1, 2), (0, 6), (5, 1)])
def test_a_datagram_outside_of_its_data_is_refused(start: int, length: int) -> None:
    datagrams = made([b"first"], [START_NS])
    datagrams.starts[0], datagrams.lengths[0] = start, length
    with pytest.raises(ValueError, match="outside of its data"):
        SegmentWriter(V4).append(datagrams)


@pytest.mark.parametrize("version", [4, 6])
def test_longest_datagram_fits_and_a_longer_one_does_not(version: int) -> None:
    longest = SNAPLEN - headers_bytes(version)
    writer = SegmentWriter(ENDPOINTS[version])
    writer.append(made([b"x" * longest], [START_NS], version=version))
    assert len(read_segment(b"".join(writer.chunks))[0].content) == longest
    with pytest.raises(ValueError, match="exceeds 65535 bytes"):
        writer.append(made([b"x" * (longest + 1)], [START_NS], version=version))


def test_senders_of_the_other_ip_version_are_refused() -> None:
    with pytest.raises(ValueError, match="no IPv4 addresses"):
        SegmentWriter(V4).append(made([b"x"], [START_NS], version=6))


@given(pseudo=st.binary(min_size=40, max_size=40), content=st.binary(max_size=65))
def test_checksum_is_that_of_the_slow_sum(pseudo: bytes, content: bytes) -> None:
    length = len(content) + 8
    padded = content + b"\0" * (len(content) % 2)
    slow = ones_sum(pseudo + padded + length.to_bytes(4, "big") + b"\0\0\0\x11") ^ 0xFFFF
    assert udp_checksum_v6(pseudo, content) == (slow or 0xFFFF)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("version", [4, 6])
def test_tcpdump_reads_a_segment_without_complaint(version: int, tmp_path: Path) -> None:
    endpoint = ENDPOINTS[version]
    contents = [bytes(range(i % 256)) * 3 for i in range(60)]
    writer = SegmentWriter(endpoint)
    writer.append(made(contents, [START_NS + i * 999_999_937 for i in range(60)], version=version))
    path = tmp_path / "segment.pcap"
    path.write_bytes(b"".join(writer.chunks))
    command = ["tcpdump", "-n", "-vv", "-tt", "--nano", "-r", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert len(re.findall(r"^\d+\.\d{9} IP", done.stdout, re.MULTILINE)) == 60
    assert "bad" not in done.stdout
    if version == 6:
        assert done.stdout.count("udp sum ok") == 60


def _packed(address: str) -> bytes:
    return ip_address(address).packed
