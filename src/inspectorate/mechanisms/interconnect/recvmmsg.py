"""recvmmsg(2) through ctypes: many datagrams with their senders, times and drop counters in one system call.

Rules:

- Every length that the kernel is told is that of memory held here, and every length that it gives back is read once.
- Parsing is by columns in numpy: no work per datagram in Python.
- Where the system is another than 64-bit Linux, loading fails, and nothing is guessed.

Sources: recvmmsg(2), socket(7), cmsg(3); struct layouts of the 64-bit Linux ABI; asm-generic/socket.h.
Not done here: sockets, counting of losses (`receive`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import socket
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.segments import NS_PER_S

BATCH_MAX = 256
"""Datagrams per receive. Longer batches save little: the cost per call is then below a tenth of the rest."""
DATAGRAM_BYTES_MAX = 65_535

SO_TIMESTAMPNS = 35  # not all of these are in Python's socket module
SO_RXQ_OVFL = 40

# struct msghdr and mmsghdr of the 64-bit Linux ABI, with their padding.
_MMSGHDR = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
_NAME_BYTES = 28
"""sizeof(struct sockaddr_in6), the longer of the two."""
_PORT_AT = 2
_ADDRESS_AT: dict[int, tuple[int, int]] = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
"""Where in a sockaddr the address begins, and its length."""
# The two control messages in the order in which the kernel writes them: the time, then drops if there were any.
CONTROL = np.dtype(
    {
        "names": ["len0", "level0", "type0", "seconds", "nanoseconds", "len1", "level1", "type1", "drops"],
        "formats": ["u8", "i4", "i4", "i8", "i8", "u8", "i4", "i4", "u4"],
        "offsets": [0, 8, 12, 16, 24, 32, 40, 44, 48],
        "itemsize": 64,
    }
)
_CONTROL_TIME_BYTES = 32
_CONTROL_DROPS_BYTES = 20
_RECVMMSG_OK = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8


class MmsgBuffers:
    """The memory that recvmmsg(2) fills: `BATCH_MAX` slots for content, sender and control messages.

    Memory is taken from the system only where datagrams have been, so long slots cost little.
    """

    def __init__(self, datagram_bytes_max: int = DATAGRAM_BYTES_MAX) -> None:
        self._call = load_recvmmsg()
        # A stride of a power of two would put all slots into the same few sets of the cache.
        self._stride = (datagram_bytes_max + 63) // 64 * 64 + 64
        self._data = np.frombuffer(_pages(BATCH_MAX * self._stride), dtype=np.uint8)
        self._starts = np.arange(BATCH_MAX, dtype=np.int64) * self._stride
        self._vectors = np.zeros(BATCH_MAX, dtype=_IOVEC)
        self.names = np.zeros((BATCH_MAX, _NAME_BYTES), dtype=np.uint8)
        self.control = np.zeros(BATCH_MAX, dtype=CONTROL)
        self.headers = np.zeros(BATCH_MAX, dtype=_MMSGHDR)
        steps = np.arange(BATCH_MAX, dtype=np.uint64)
        self._vectors["base"] = self._data.ctypes.data + self._starts.astype(np.uint64)
        self._vectors["length"] = datagram_bytes_max
        self.headers["name"] = self.names.ctypes.data + steps * np.uint64(_NAME_BYTES)
        self.headers["iov"] = self._vectors.ctypes.data + steps * np.uint64(_IOVEC.itemsize)
        self.headers["iovlen"] = 1
        self.headers["control"] = self.control.ctypes.data + steps * np.uint64(CONTROL.itemsize)
        self._address = ctypes.c_void_p(self.headers.ctypes.data)

    def call(self, descriptor: int) -> int:
        """Receive what waits; the number of datagrams, 0 if none waited, or a negative errno."""
        # The kernel wrote the lengths that it used over the lengths that there are.
        self.headers["namelen"] = _NAME_BYTES
        self.headers["controllen"] = CONTROL.itemsize
        while True:
            count = int(self._call(descriptor, self._address, BATCH_MAX, socket.MSG_DONTWAIT, None))
            if count >= 0:
                return count
            number = ctypes.get_errno()
            if number == errno.EAGAIN:
                return 0
            if number != errno.EINTR:
                return -number

    def senders(self, count: int, family: int) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """Addresses (n, 4 or 16) and ports (n,) of the senders of the first `count` datagrams; copies."""
        at, width = _ADDRESS_AT[family]
        names = self.names[:count]
        ports = names[:, _PORT_AT : _PORT_AT + 2].copy().view(">u2")[:, 0]
        return names[:, at : at + width].copy(), ports.astype(np.uint16)

    def cut(self, count: int) -> NDArray[np.bool_]:
        """Which of the first `count` datagrams did not fit and were cut short."""
        flags: NDArray[np.int32] = self.headers["flags"][:count]
        cut: NDArray[np.bool_] = (flags & socket.MSG_TRUNC) != 0
        return cut

    def times_and_drops(self, count: int, now_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Arrival times (`now_ns` where the kernel gave none) and 32-bit drop counters (-1: none given), each (n,)."""
        control = self.control[:count]
        held = self.headers["controllen"][:count]
        stamped = (held >= _CONTROL_TIME_BYTES) & (control["level0"] == socket.SOL_SOCKET)
        stamped &= (control["type0"] == SO_TIMESTAMPNS) & (control["len0"] == _CONTROL_TIME_BYTES)
        arrival_ns = np.where(stamped, control["seconds"] * NS_PER_S + control["nanoseconds"], now_ns)
        if not count or int(held.max()) < _CONTROL_TIME_BYTES + _CONTROL_DROPS_BYTES:
            return arrival_ns, np.full(count, -1, dtype=np.int64)
        counted = stamped & (held >= _CONTROL_TIME_BYTES + _CONTROL_DROPS_BYTES)
        counted &= (control["level1"] == socket.SOL_SOCKET) & (control["type1"] == SO_RXQ_OVFL)
        return arrival_ns, np.where(counted, control["drops"].astype(np.int64), -1)

    def content(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """The memory, and where in it the first `count` datagrams begin and how long they are."""
        return self._data, self._starts[:count], self.headers["length"][:count].astype(np.int64)


def _pages(size_bytes: int) -> mmap.mmap:
    """Memory from the system, in large pages where it has them: slots lie far apart, and small pages cost a miss each."""
    memory = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is not None:
        # A kernel without large pages refuses the advice, which changes nothing.
        with contextlib.suppress(OSError):
            memory.madvise(advice)
    return memory


def load_recvmmsg() -> Any:
    """The C library's recvmmsg. Raises `EnvironmentError_` where it is missing or its structs are others."""
    if not _RECVMMSG_OK:
        raise EnvironmentError_("recvmmsg is used on 64-bit Linux only", where=sys.platform)
    try:
        function = ctypes.CDLL(None, use_errno=True).recvmmsg
    except (OSError, AttributeError):
        raise EnvironmentError_("the C library has no recvmmsg", where=sys.platform) from None
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    function.argtypes = [integer, pointer, ctypes.c_uint, integer, pointer]
    function.restype = integer
    return function
