"""Receiving: one UDP socket per sensor, many datagrams per system call, and an honest count of what was lost.

Rules:

- A datagram carries the time at which the kernel received it (SO_TIMESTAMPNS), not the time at which it was read. Reading
  late therefore costs nothing but room in the socket's buffer.
- What the kernel dropped because that buffer was full is counted, per socket, and placed between the datagrams where it
  happened (SO_RXQ_OVFL). What was dropped after the last one is read from the socket itself (SO_MEMINFO).
- A datagram that does not fit, and so would be cut short (MSG_TRUNC), is counted as lost and not recorded.
- A port belongs to one socket alone: no address reuse, so that no second process can take a share of the datagrams.
- An IPv6 socket receives IPv6 only.

`MmsgReceiver` is for 64-bit Linux (see `recvmmsg`); `MsgReceiver` needs `socket.recvmsg`
only and gives the same result. Where the kernel gives no times or counts, the time of reading and a count of 0 stand in.

Sources: socket(7), udp(7); linux/sock_diag.h (SO_MEMINFO).
Not done here: who sent a datagram is not authenticated, since flow export is not. Anyone who reaches the port can add
datagrams; keep it on a link of the verifier.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.interconnect.recvmmsg import (
    BATCH_MAX,
    CONTROL,
    DATAGRAM_BYTES_MAX,
    SO_RXQ_OVFL,
    SO_TIMESTAMPNS,
    MmsgBuffers,
)
from inspectorate.mechanisms.interconnect.segments import NS_PER_S, SNAPLEN, Datagrams, Endpoint, headers_bytes

BUFFER_BYTES = 32 * 1024 * 1024
"""Asked of the kernel per socket: at 100,000 datagrams a second of 1.1 kB (about 2.3 kB each in the kernel), 140 ms."""

# linux/socket.h; Python's socket module lacks them.
SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_MEMINFO_DROPS = 8

_URL = re.compile(r"udp://(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})\Z")


class Receiver(Protocol):
    """What the collector's loop needs of a socket."""

    sensor: str
    endpoint: Endpoint
    buffer_bytes: int

    def fileno(self) -> int: ...

    def receive(self) -> Datagrams:
        """Up to `BATCH_MAX` waiting datagrams, none if none wait. Their content is valid until the next receive."""

    def close(self) -> None: ...


def parse_endpoint(text: str) -> Endpoint:
    """Parse `udp://127.0.0.1:2055` or `udp://[::1]:2055`; port 0 lets the kernel choose. Raises `InputError`."""
    match = _URL.match(text)
    try:
        if match is None:
            raise ValueError("is not udp://ADDRESS:PORT")
        address = ipaddress.IPv6Address(match[1]) if match[1] else ipaddress.IPv4Address(match[2])
        if int(match[3]) > 65_535:
            raise ValueError("has a port beyond 65535")
    except ValueError as fault:
        remedy = "give a numeric address, IPv6 in brackets: udp://127.0.0.1:2055, udp://[::1]:2055"
        raise InputError(str(fault), where=text, remedy=remedy) from None
    return Endpoint(address=address, port=int(match[3]))


class _Socket:
    """A bound socket and its cumulative count of losses: what both receivers share."""

    def __init__(self, sensor: str, endpoint: Endpoint, buffer_bytes: int) -> None:
        self.sensor = sensor
        self._family = socket.AF_INET6 if endpoint.address.version == 6 else socket.AF_INET
        self._content_bytes_max = SNAPLEN - headers_bytes(endpoint.address.version)
        self._lost_total = 0
        self._unrecorded = 0
        try:
            self._socket = socket.socket(self._family, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
            try:
                self._configure(buffer_bytes)
                self._socket.bind((str(endpoint.address), endpoint.port))
            except OSError:
                self._socket.close()
                raise
        except OSError as fault:
            raise EnvironmentError_(
                f"cannot listen: {fault.strerror}",
                where=f"sensor {sensor} at {endpoint}",
                remedy="choose an address of this machine and a free port",
            ) from None
        self.endpoint = Endpoint(address=endpoint.address, port=self._socket.getsockname()[1])
        self.buffer_bytes = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _configure(self, buffer_bytes: int) -> None:
        self._socket.setblocking(False)
        if self._family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if sys.platform == "linux":
            # Before bind, so that no datagram comes in without a time.
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
        forced = sys.platform == "linux" and self._try_force(buffer_bytes)
        if not forced:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)

    def _try_force(self, buffer_bytes: int) -> bool:
        """Set the buffer beyond net.core.rmem_max; False where that is not permitted (needs CAP_NET_ADMIN)."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer_bytes)
        except OSError as fault:
            if fault.errno not in {errno.EPERM, errno.EACCES, errno.ENOPROTOOPT}:
                raise
            return False
        return True

    def _batch(
        self,
        arrival_ns: NDArray[np.int64],
        senders: tuple[NDArray[np.uint8], NDArray[np.uint16]],
        content: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]],
        counters: NDArray[np.int64],
        cut: NDArray[np.bool_],
    ) -> Datagrams:
        """Leave out what was cut short, and count it and the kernel's drops into one running total."""
        data, starts, lengths = content
        received = len(starts)
        cut = cut | (lengths > self._content_bytes_max)
        lost = unwrap_counters(counters, self._lost_total) if received else counters
        dropped = lost + self._unrecorded
        drained = received < BATCH_MAX
        if received:
            self._lost_total = int(lost[-1])
        addresses, ports = senders
        if cut.any():
            dropped = dropped + np.cumsum(cut)
            self._unrecorded += int(cut.sum())
            keep = ~cut
            arrival_ns, starts, lengths, dropped = arrival_ns[keep], starts[keep], lengths[keep], dropped[keep]
            addresses, ports = addresses[keep], ports[keep]
        if drained:
            self._lost_total = max(self._lost_total, self._dropped_now())
        return Datagrams(
            sensor=self.sensor,
            arrival_ns=arrival_ns,
            data=data,
            starts=starts,
            lengths=lengths,
            addresses=addresses,
            ports=ports,
            dropped_total=dropped,
            dropped_after=self._lost_total + self._unrecorded,
            drained=drained,
        )

    def _dropped_now(self) -> int:
        """The socket's count of drops at this moment (Linux 4.12 and later); the count known so far elsewhere."""
        if sys.platform != "linux":
            return self._lost_total
        try:
            data = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        except OSError as fault:
            if fault.errno != errno.ENOPROTOOPT:
                raise self._fault(fault.errno or 0) from None
            return self._lost_total
        counter = np.array([_MEMINFO.unpack(data)[_MEMINFO_DROPS]], dtype=np.int64)
        return int(unwrap_counters(counter, self._lost_total)[0])

    def _fault(self, number: int) -> EnvironmentError_:
        return EnvironmentError_(f"cannot receive: {os.strerror(number)}", where=f"sensor {self.sensor}")


def unwrap_counters(counters: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Running totals from 32-bit counters (n,) of which `total` is the last known total; -1 stands for "not given".

    A counter taken earlier than the last known total is older news: totals never decrease. Right as long as fewer than
    2**31 losses lie between two readings.
    """
    steps = ((counters - total + 2**31) & 0xFFFFFFFF) - 2**31
    steps[counters < 0] = 0
    return np.maximum.accumulate(np.maximum(total + steps, total))


class MmsgReceiver(_Socket):
    """A sensor's socket read with recvmmsg(2). Several receivers may share one `MmsgBuffers` in one thread."""

    def __init__(
        self,
        sensor: str,
        endpoint: Endpoint,
        *,
        buffers: MmsgBuffers,
        clock_ns: Callable[[], int],
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        super().__init__(sensor, endpoint, buffer_bytes)
        self._buffers = buffers
        self._clock_ns = clock_ns

    def receive(self) -> Datagrams:
        """See `Receiver.receive`. Raises `EnvironmentError_` if the socket fails."""
        buffers = self._buffers
        count = buffers.call(self._socket.fileno())
        if count < 0:
            raise self._fault(-count)
        arrival_ns, counters = buffers.times_and_drops(count, self._clock_ns())
        senders = buffers.senders(count, self._family)
        return self._batch(arrival_ns, senders, buffers.content(count), counters, buffers.cut(count))


class MsgReceiver(_Socket):
    """A sensor's socket read with `socket.recvmsg`, one call per datagram: slower, the same results."""

    def __init__(
        self,
        sensor: str,
        endpoint: Endpoint,
        *,
        clock_ns: Callable[[], int],
        buffer_bytes: int = BUFFER_BYTES,
        datagram_bytes_max: int = DATAGRAM_BYTES_MAX,
    ) -> None:
        super().__init__(sensor, endpoint, buffer_bytes)
        self._clock_ns = clock_ns
        self._bytes_max = datagram_bytes_max

    def receive(self) -> Datagrams:
        """See `Receiver.receive`. Raises `EnvironmentError_` if the socket fails."""
        rows: list[tuple[int, bytes, int, int, bool]] = []
        content: list[bytes] = []
        while len(rows) < BATCH_MAX:
            try:
                received, control, flags, sender = self._socket.recvmsg(self._bytes_max, CONTROL.itemsize)
            except BlockingIOError:
                break
            except OSError as fault:
                raise self._fault(fault.errno or 0) from None
            arrival_ns, counter = _read_control(control)
            address = socket.inet_pton(self._family, sender[0].partition("%")[0])
            arrival_ns = self._clock_ns() if arrival_ns is None else arrival_ns
            rows.append((arrival_ns, address, sender[1], counter, bool(flags & socket.MSG_TRUNC)))
            content.append(received)
        width = 4 if self._family == socket.AF_INET else 16
        addresses = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.uint8).reshape(len(rows), width)
        lengths = np.array([len(data) for data in content], dtype=np.int64)
        data = np.frombuffer(bytearray(b"".join(content)), dtype=np.uint8)
        return self._batch(
            np.array([row[0] for row in rows], dtype=np.int64),
            (addresses, np.array([row[2] for row in rows], dtype=np.uint16)),
            (data, np.cumsum(lengths) - lengths, lengths),
            np.array([row[3] for row in rows], dtype=np.int64),
            np.array([row[4] for row in rows], dtype=np.bool_),
        )


def _read_control(control: list[tuple[int, int, bytes]]) -> tuple[int | None, int]:
    """Time and drop counter of one message; None and -1 where they are not given."""
    arrival_ns, counter = None, -1
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == 16:
            seconds, nanoseconds = struct.unpack("=qq", data)
            arrival_ns = seconds * NS_PER_S + nanoseconds
        elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL and len(data) >= 4:
            counter = struct.unpack_from("=I", data)[0]
    return arrival_ns, counter


def open_receivers(
    listen: Sequence[tuple[str, Endpoint]], *, clock_ns: Callable[[], int], buffer_bytes: int = BUFFER_BYTES
) -> list[Receiver]:
    """Bind one socket per (sensor, endpoint), by recvmmsg where there is one. All of them or none.

    Raises `InputError` for a sensor named twice or none at all, `EnvironmentError_` for a port that cannot be had.
    """
    names = [sensor for sensor, _ in listen]
    if not names:
        raise InputError("there is no sensor to listen for", remedy="give at least one SENSOR=udp://ADDRESS:PORT")
    for sensor in names:
        if names.count(sensor) > 1:
            raise InputError("is named twice", where=f"sensor {sensor}", remedy="one sensor has one port")
    try:
        buffers: MmsgBuffers | None = MmsgBuffers()
    except EnvironmentError_:
        buffers = None
    opened: list[Receiver] = []
    try:
        for sensor, endpoint in listen:
            if buffers is None:
                opened.append(MsgReceiver(sensor, endpoint, clock_ns=clock_ns, buffer_bytes=buffer_bytes))
            else:
                opened.append(
                    MmsgReceiver(sensor, endpoint, buffers=buffers, clock_ns=clock_ns, buffer_bytes=buffer_bytes)
                )
    except EnvironmentError_:
        for receiver in opened:
            receiver.close()
        raise
    return opened
