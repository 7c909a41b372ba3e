"""Which pod an address belongs to: longest prefix, IPv4 and IPv6, in a few loads.

Rules:

- The most specific declared network that holds an address decides. Every other address is `outside`, which has index 0.
- IPv4 and IPv4-mapped IPv6 addresses are the same address; other IPv6 networks never hold IPv4 addresses, not even `::/0`.
- One network declared for two pods is refused: which pod is meant would depend on order.

A prefix trie with 16 bits at the root and 8 bits per level, all leaves pushed down (V. Srinivasan, G. Varghese, "Fast Address
Lookups Using Controlled Prefix Expansion", ACM TOCS 17(1), 1999): one load for a /16, two for a /24.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.flows.kernels import Int64, inlined, kernel

OUTSIDE = "outside"
NETWORKS_MAX = 100_000
ROOT_BITS, LEVEL_BITS = 16, 8
MAPPED = IPv6Network("::ffff:0:0/96")

Network = IPv4Network | IPv6Network


Trie = NDArray[np.int32]
"""Root of IPv4, root of IPv6, then nodes of 256 entries. An entry is the index of a pod or, where more bits decide, minus
the place where the node for them starts."""
ROOT_V4, ROOT_V6, NODES = 0, 1 << ROOT_BITS, 2 << ROOT_BITS


@dataclass(frozen=True, kw_only=True)
class AddressMap:
    """Pods and their addresses. `names[0]` is `outside`."""

    names: tuple[str, ...]
    trie: Trie

    def __len__(self) -> int:
        return len(self.names)

    @staticmethod
    def build(pods: Mapping[str, Sequence[Network | str]]) -> AddressMap:
        """Pods by name with their networks, which may nest but not be equal.

        Raises `InputError` on a network that is none or belongs to two pods, on a pod named `outside`, and on more than
        `NETWORKS_MAX` networks.
        """
        if OUTSIDE in pods:
            raise InputError(f"a pod cannot be named {OUTSIDE!r}", remedy="rename it in the declaration")
        owners: dict[Network, int] = {}
        names = (OUTSIDE, *pods)
        for index, (name, networks) in enumerate(pods.items(), start=1):
            for network in map(_normal, networks):
                if owners.setdefault(network, index) != index:
                    other = names[owners[network]]
                    raise InputError(
                        f"network {network} belongs to {other} and to {name}", remedy="declare each network for one pod"
                    )
        if len(owners) > NETWORKS_MAX:
            raise InputError(f"{len(owners)} networks are more than {NETWORKS_MAX}", remedy="declare larger networks")
        builder = _Builder()
        for network in sorted(owners, key=lambda n: n.prefixlen):
            builder.insert(network, owners[network])
        return AddressMap(names=names, trie=builder.trie())

    def index(self, high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Index of the pod of each address, given as halves; shape as `high` and `low`, (n,)."""
        out = np.empty(len(high), np.int64)
        _look_up(self.trie, np.ascontiguousarray(high), np.ascontiguousarray(low), out)
        return out


def _normal(network: Network | str) -> Network:
    """A network as an object, mapped IPv4 as IPv4. Raises `InputError`."""
    try:
        parsed = ip_network(network)
    except ValueError as fault:
        raise InputError(str(fault), where=str(network), remedy="write networks like 10.1.0.0/16") from None
    if isinstance(parsed, IPv6Network) and parsed.subnet_of(MAPPED):
        return IPv4Network((int(parsed.network_address) & 0xFFFF_FFFF, parsed.prefixlen - MAPPED.prefixlen))
    return parsed


class _Builder:
    """Inserts prefixes, shorter ones first, so that longer ones overwrite."""

    def __init__(self) -> None:
        self._roots = {4: np.zeros(1 << ROOT_BITS, np.int32), 6: np.zeros(1 << ROOT_BITS, np.int32)}
        self._nodes: list[NDArray[np.int32]] = []

    def insert(self, network: Network, owner: int) -> None:
        bits, address = network.max_prefixlen, int(network.network_address)
        level, used, width = self._roots[network.version], 0, ROOT_BITS
        while network.prefixlen > used + width:
            slot = address >> (bits - used - width) & ((1 << width) - 1)
            if level[slot] >= 0:
                self._nodes.append(np.full(1 << LEVEL_BITS, level[slot], np.int32))
                level[slot] = -(NODES + ((len(self._nodes) - 1) << LEVEL_BITS))
            node = (-int(level[slot]) - NODES) >> LEVEL_BITS
            level, used, width = self._nodes[node], used + width, LEVEL_BITS
        first = address >> (bits - used - width) & ((1 << width) - 1)
        level[first : first + (1 << (used + width - network.prefixlen))] = owner

    def trie(self) -> Trie:
        return np.concatenate([self._roots[4], self._roots[6], *self._nodes])


@inlined
def pod_of_v4(trie: Any, address: Int64) -> Int64:
    """Index of the pod of an IPv4 address, given as int64."""
    entry = np.int64(trie[np.uint64(address >> 16)])
    if entry < 0:
        entry = np.int64(trie[np.uint64(((address >> 8) & 0xFF) - entry)])
        if entry < 0:
            entry = np.int64(trie[np.uint64((address & 0xFF) - entry)])
    return entry


@inlined
def pod_of(trie: Any, high: Any, low: Any) -> Int64:
    """Index of the pod of one address, given as uint64 halves."""
    if high == np.uint64(0) and low >> np.uint64(32) == np.uint64(0xFFFF):
        return pod_of_v4(trie, np.int64(low & np.uint64(0xFFFF_FFFF)))
    entry = trie[ROOT_V6 + np.int64(high >> np.uint64(48))]
    shift = 40
    half = high
    while entry < 0:
        entry = trie[np.int64(-entry) + np.int64((half >> np.uint64(shift)) & np.uint64(0xFF))]
        shift -= LEVEL_BITS
        if shift < 0:
            shift = 56
            half = low
    return np.int64(entry)


@kernel
def _look_up(trie: Any, high: Any, low: Any, out: Any) -> None:
    for n in range(len(out)):
        out[n] = pod_of(trie, high[n], low[n])
