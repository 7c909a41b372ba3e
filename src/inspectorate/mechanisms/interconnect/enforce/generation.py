"""Whether anybody changed the rules: the generation number that the kernel raises with every transaction, and its notices.

- `generation()` asks for the number (NFT_MSG_GETGEN). Whoever knows the number after his own last transaction, and finds a
  higher one, knows that somebody else made one: also one that was undone at once.
- `Notices` listens. For a process that does not renew the switch itself, and so cannot know the number: any notice of more
  than the elements of our switch is a change.

Both work in the network namespace of the process only. Format: Linux, include/uapi/linux/netfilter/nf_tables.h and
nfnetlink.h; attributes are in network byte order.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.enforce import reference, ruleset

_NETLINK_NETFILTER = 12
_GROUP_NFTABLES = 7
_SUBSYSTEM = 10
_NEWSETELEM, _DELSETELEM, _NEWGEN, _GETGEN = 12, 14, 15, 16
_ATTRIBUTE_GENERATION = 1
_ATTRIBUTE_TABLE, _ATTRIBUTE_SET = 1, 2
_REQUEST = 1
_HEADER, _FAMILY_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBH"), struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
_BUFFER_BYTES = 64 * 1024
_WAIT_S = 1.0


def generation() -> int:
    """The number of the rules' generation. Raises `EnvironmentError_`."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as asking:
            asking.settimeout(_WAIT_S)
            length = _HEADER.size + _FAMILY_HEADER.size
            asking.send(_HEADER.pack(length, _SUBSYSTEM << 8 | _GETGEN, _REQUEST, 1, 0) + _FAMILY_HEADER.pack(0, 0, 0))
            for kind, attributes in _messages(asking.recv(_BUFFER_BYTES)):
                if kind == _NEWGEN and _ATTRIBUTE_GENERATION in attributes:
                    return int.from_bytes(attributes[_ATTRIBUTE_GENERATION], "big")
    except OSError as fault:
        raise _no_netlink(fault) from None
    raise EnvironmentError_("the kernel did not say in which generation its rules are")


class Notices:
    """What changes from now on, as a context."""

    def __enter__(self) -> Self:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
            # Bound, and to the group in one step: a socket that is not bound is sent no notices, though it may join.
            self._socket.bind((0, 1 << (_GROUP_NFTABLES - 1)))
            self._socket.setblocking(False)
        except OSError as fault:
            raise _no_netlink(fault) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def changed(self) -> bool:
        """Whether anything but our switch was changed since the last call. Lost notices count as a change."""
        found = False
        while True:
            try:
                data = self._socket.recv(_BUFFER_BYTES)
            except BlockingIOError:
                return found
            except OSError:
                return True
            found |= any(not _is_switch(kind, attributes) for kind, attributes in _messages(data))


def _is_switch(kind: int, attributes: dict[int, bytes]) -> bool:
    if kind == _NEWGEN:
        return True
    named = attributes.get(_ATTRIBUTE_TABLE), attributes.get(_ATTRIBUTE_SET)
    ours = (f"{reference.TABLE}\0".encode(), f"{ruleset.SWITCH}\0".encode())
    return kind in (_NEWSETELEM, _DELSETELEM) and named == ours


def _messages(data: bytes) -> Iterator[tuple[int, dict[int, bytes]]]:
    """Kind and attributes of each message of nf_tables in what one receive gave."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        if kind >> 8 == _SUBSYSTEM:
            yield kind & 0xFF, _attributes(data[at + _HEADER.size + _FAMILY_HEADER.size : at + length])
        at += -(-length // 4) * 4


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
    return found


def _no_netlink(fault: OSError) -> EnvironmentError_:
    return EnvironmentError_(f"cannot ask the kernel about its rules: {fault.strerror}", remedy="run it as root")
