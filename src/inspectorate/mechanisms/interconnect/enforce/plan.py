"""The limit plan: what an operator writes, and a gateway loads.

    gateway: gateway-1
    outside: [uplink]
    management: [mgmt]
    pods:
      - {pod: pod-a, interface: to-pod-a, networks: [10.90.1.0/24, "fd90:0:0:1::/64"],
         sent_bytes_per_s: 125000, received_bytes_per_s: 125000, burst_bytes: 150000,
         loader: {address: 10.90.1.2, port: 7000}}
    pairs: []
    services: [{pod: pod-a, protocol: udp, port: 9, at: pod}]

Rules:

- A pod is an interface of the gateway *and* the networks behind it: a packet that comes in there with another source, or
  goes out there to another destination, is dropped.
- Traffic passes between a pod and the outside interfaces, between the pods of a pair, and between a pod and the services
  that are listed. Nothing else passes, and nothing passes between two pods that are no pair.
- Rates count IP bytes, of every packet of the pod in that direction, whoever is at the other end. `burst_bytes` is all
  that may pass at once after a silence; see `reference.BUCKET_S` for why it is at least one second of the rate.
- Every interface of the gateway but the loopback is in the plan: one that is not would be a way around it.
"""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from inspectorate.canonical import Identifier, Record
from inspectorate.declaration.types import Network
from inspectorate.errors import InputError
from inspectorate.evidence import PodLimit
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.interconnect.enforce import reference

Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,14}$")]
"""An interface name as the kernel takes it (15 characters), without the star that nft would read as "any"."""
Port = Annotated[int, Field(ge=1, le=65_535)]
Rate = Annotated[int, Field(ge=1_000, le=1_000_000_000_000)]
"""Bytes per second: at least one packet's worth."""
SHAPER_PREFIX = "shape"


class Loader(Record):
    """Where a pod takes in content during a loading window: one TCP port."""

    address: str
    port: Port

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))


class PodPlan(Record):
    """One pod: where it is attached, and what may pass."""

    pod: Identifier
    interface: Interface
    networks: tuple[Network, ...] = Field(min_length=1, max_length=64)
    sent_bytes_per_s: Rate
    received_bytes_per_s: Rate
    burst_bytes: Annotated[int, Field(ge=2 * reference.FRAME_BYTES_MAX, le=10**13)]
    loader: Loader | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        least = max(self.sent_bytes_per_s, self.received_bytes_per_s) * reference.BUCKET_S
        if self.burst_bytes < least:
            raise ValueError(
                f"burst_bytes must be at least {least:.0f}: the kernel's bucket holds a second of the rate"
            )
        own = [ipaddress.ip_network(network) for network in self.networks]
        if any(network.prefixlen == 0 for network in own):
            raise ValueError("a network of all addresses is no pod's")
        if any(a.version == b.version and a.overlaps(b) for a, b in combinations(own, 2)):
            raise ValueError("networks overlap")
        if self.loader and not any(ipaddress.ip_address(self.loader.address) in network for network in own):
            raise ValueError("the loader's address lies in none of the pod's networks")
        return self

    @property
    def limit(self) -> PodLimit:
        return PodLimit(
            pod=self.pod,
            sent_bytes_per_s_max=self.sent_bytes_per_s,
            received_bytes_per_s_max=self.received_bytes_per_s,
            burst_bytes_max=self.burst_bytes,
        )


class Pair(Record):
    """Two pods that may exchange traffic, each within its own limits."""

    one: Identifier
    other: Identifier


class Protocol(StrEnum):
    TCP = "tcp"
    UDP = "udp"


class Side(StrEnum):
    POD = "pod"
    GATEWAY = "gateway"


class Service(Record):
    """What the gateway itself may exchange with a pod, such as the verifier's canary; it counts within the limits."""

    pod: Identifier
    protocol: Protocol
    port: Port
    at: Side = Field(description="who listens at the port")


class LimitPlan(Record):
    """All that one gateway passes."""

    gateway: Identifier
    pods: tuple[PodPlan, ...] = Field(min_length=1, max_length=reference.PODS_MAX)
    outside: tuple[Interface, ...] = Field(min_length=1, max_length=16)
    management: tuple[Interface, ...] = Field(default=(), max_length=16)
    pairs: tuple[Pair, ...] = Field(default=(), max_length=1_000)
    services: tuple[Service, ...] = Field(default=(), max_length=1_000)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [pod.pod for pod in self.pods]
        if len(set(names)) != len(names):
            raise ValueError("a pod is planned twice")
        if len(set(self.interfaces)) != len(self.interfaces):
            raise ValueError("an interface is named twice")
        if any(name == "lo" or name.startswith(SHAPER_PREFIX) for name in self.interfaces):
            raise ValueError(f"the loopback, and names that begin with {SHAPER_PREFIX!r}, are the gateway's own")
        for pair in self.pairs:
            if pair.one == pair.other or not {pair.one, pair.other} <= set(names):
                raise ValueError(f"pair {pair.one}, {pair.other} is not of two planned pods")
        if len({frozenset((pair.one, pair.other)) for pair in self.pairs}) != len(self.pairs):
            raise ValueError("a pair is listed twice")
        if any(service.pod not in names for service in self.services):
            raise ValueError("a service names a pod that is not planned")
        if len(set(self.services)) != len(self.services):
            raise ValueError("a service is listed twice")
        self._refuse_shared_networks()
        return self

    def _refuse_shared_networks(self) -> None:
        owned = [(ipaddress.ip_network(network), pod.pod) for pod in self.pods for network in pod.networks]
        for (one, a), (other, b) in combinations(owned, 2):
            if a != b and one.version == other.version and one.overlaps(other):
                raise ValueError(f"network {one} of {a} overlaps {other} of {b}")

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Every interface of the plan: pods, outside, management."""
        return (*(pod.interface for pod in self.pods), *self.outside, *self.management)

    @property
    def limits(self) -> tuple[PodLimit, ...]:
        return tuple(sorted((pod.limit for pod in self.pods), key=lambda limit: limit.pod))

    def pod(self, name: str) -> PodPlan | None:
        return next((pod for pod in self.pods if pod.pod == name), None)


def load_plan(path: Path) -> LimitPlan:
    """Read a plan from YAML. Raises `InputError` naming file, field and fault."""
    return LimitPlan.parse(read_yaml(path, bytes_max=reference.PLAN_BYTES_MAX), where=str(path), error=InputError)
