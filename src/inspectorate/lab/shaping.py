"""Limits on pod links: the gateway lets through so many bytes per second into a pod and out of it, and no more.

Into the pod, a token bucket (`tc tbf`) stands on the gateway's interface to it. Out of the pod, what arrives at that
interface is redirected to an intermediate device (`ifb`) of the gateway and passes a token bucket there. Both stand on
the gateway, which the verifier owns; nothing depends on the pod.

Rules:

- Bytes are counted as the interface counts them, with the 14 bytes of each Ethernet header.
- The burst is ten milliseconds of the limit, and at least two full frames: without it nothing would pass.
- The queue before the bucket holds half a second of the limit, and between `QUEUE_BYTES_MIN` and `QUEUE_BYTES_MAX`.

`Enforce` is what a trial takes, so that another enforcing gateway can stand in the place of this one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.lab.network import GATEWAY, Network

FRAME_BYTES = 1514
BURST_S = 0.01
BURST_BYTES_MIN = 2 * FRAME_BYTES
QUEUE_S = 0.5
QUEUE_BYTES_MIN = 16 * FRAME_BYTES
QUEUE_BYTES_MAX = 4 * 1024 * 1024
_COMMAND_LIMIT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class PodLimit:
    """Bytes per second at the interface, each way."""

    to_pod_bytes_per_s: float
    from_pod_bytes_per_s: float

    def __post_init__(self) -> None:
        if not min(self.to_pod_bytes_per_s, self.from_pod_bytes_per_s) >= 1:
            raise InputError("a limit is at least 1 byte/s", where="limit")

    @classmethod
    def both(cls, bytes_per_s: float) -> PodLimit:
        return cls(to_pod_bytes_per_s=bytes_per_s, from_pod_bytes_per_s=bytes_per_s)


Limits = Mapping[str, PodLimit | None]
"""By pod; `None` takes the limit of that pod away."""
Enforce = Callable[[Network, Limits], None]


def burst_bytes(bytes_per_s: float) -> int:
    """How much a bucket lets through at once."""
    return max(BURST_BYTES_MIN, round(BURST_S * bytes_per_s))


def queue_bytes(bytes_per_s: float) -> int:
    """How much waits before a bucket; what comes on top is dropped."""
    return round(min(max(QUEUE_S * bytes_per_s, QUEUE_BYTES_MIN), QUEUE_BYTES_MAX))


def shape(network: Network, limits: Limits) -> None:
    """Set or take away the limits of some pods. Raises `EnvironmentError_` if the kernel refuses."""
    for pod, limit in limits.items():
        near, aside = network.links[pod].gateway_interface, f"by-{pod}"
        _clear(network, near, aside)
        if limit is None:
            continue
        _tc(network, f"qdisc add dev {near} root {_bucket(limit.to_pod_bytes_per_s)}")
        _gateway(network, ["ip", "link", "add", aside, "type", "ifb"])
        _gateway(network, ["ip", "link", "set", aside, "up"])
        _tc(network, f"qdisc add dev {aside} root {_bucket(limit.from_pod_bytes_per_s)}")
        _tc(network, f"qdisc add dev {near} handle ffff: ingress")
        redirect = f"action mirred egress redirect dev {aside}"
        _tc(network, f"filter add dev {near} parent ffff: protocol all prio 1 u32 match u32 0 0 {redirect}")


def _clear(network: Network, near: str, aside: str) -> None:
    """Take away what an earlier call laid; there may be nothing."""
    for argv in (
        ["tc", "qdisc", "del", "dev", near, "root"],
        ["tc", "qdisc", "del", "dev", near, "ingress"],
        ["ip", "link", "del", aside],
    ):
        subprocess.run(network.inside(GATEWAY, argv), check=False, capture_output=True, timeout=_COMMAND_LIMIT_S)


def _bucket(bytes_per_s: float) -> str:
    bits = max(8, round(8 * bytes_per_s))
    return f"tbf rate {bits}bit burst {burst_bytes(bytes_per_s)}b limit {queue_bytes(bytes_per_s)}b"


def _tc(network: Network, words: str) -> None:
    _gateway(network, ["tc", *words.split()])


def _gateway(network: Network, argv: list[str]) -> None:
    inside = network.inside(GATEWAY, argv)
    done = subprocess.run(inside, check=False, capture_output=True, text=True, timeout=_COMMAND_LIMIT_S)
    if done.returncode:
        raise EnvironmentError_(
            f"the kernel refused: {done.stderr.strip()[:300]}",
            where=" ".join(argv),
            remedy="the trials need tbf, ifb, the ingress qdisc, u32 and mirred in the kernel",
        )
