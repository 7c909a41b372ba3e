"""Named ways to break the agreement, each a function from a site to the flows that it adds.

A cheat draws its own difficulty within stated ranges. `served` says what share of its honest work a guilty pod goes on
doing: work that hides the cheat, and that the cheat must leave room for. Rates are shares of the agreement's limit.

Not here: cheats within one pod, over links that no sensor watches, or by lying sensors (`faults`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspectorate.quantities import Period
from inspectorate.worlds import model
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import TCP, Flows, gap_for_rate, packetise
from inspectorate.worlds.site import SimSite, pod_address
from inspectorate.worlds.traffic import PIPELINE_PORT, transfer

Floats = NDArray[np.float64]

RELAY_ADDRESS = int(IPv4Address("203.0.113.77"))
TRAINING_PORT = 29_500


@dataclass(frozen=True, kw_only=True)
class Breach:
    """What guilty pods did, and when. `exchanged_bytes` left them for it."""

    cheat: str
    pods: tuple[str, ...]
    period: Period
    exchanged_bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A cheat on one site: its flows, and what it leaves of honest work, shape (pods,)."""

    flows: Flows
    pods: tuple[int, ...]
    start_s: float
    end_s: float
    served: Floats
    pipelines_go_on: bool = False

    @property
    def displaced(self) -> tuple[int, ...]:
        """Pods whose declared exchange stops for the cheat."""
        return () if self.pipelines_go_on else self.pods


@dataclass(frozen=True, kw_only=True)
class Cheat:
    """A registered cheat. `traffic_share` says what it sends, in words."""

    name: str
    description: str
    traffic_share: str
    against: tuple[str, ...]
    """Ids of the clauses of the shipped agreement that it breaks."""
    plan: Callable[[SimSite, np.random.Generator], Plan]


def breach_of(cheat: Cheat, site: SimSite, plan: Plan) -> Breach:
    """The ground truth of a plan."""
    sent = plan.flows.outbound == 1
    return Breach(
        cheat=cheat.name,
        pods=tuple(sorted(site.names[pod] for pod in plan.pods)),
        period=site.span(plan.start_s, plan.end_s),
        exchanged_bytes=int(plan.flows.total_bytes[sent].sum()),
    )


def _guilty(site: SimSite, random: np.random.Generator, count: int) -> tuple[int, ...]:
    """Pods that are no declared peers of each other."""
    partners = dict(site.pipelines) | {other: one for one, other in site.pipelines}
    chosen: list[int] = []
    for pod in random.permutation(len(site.names)).tolist():
        if partners.get(pod) not in chosen and len(chosen) < count:
            chosen.append(pod)
    return tuple(sorted(chosen))


def _stretch(site: SimSite, random: np.random.Generator) -> tuple[float, float]:
    """Half to nine tenths of the declared period."""
    length = site.duration_s * random.uniform(0.5, 0.9)
    start = random.uniform(0, site.duration_s - length)
    return float(start), float(start + length)


def _served(site: SimSite, pods: tuple[int, ...], share: float) -> Floats:
    served = np.ones(len(site.names))
    served[list(pods)] = share
    return served


def _ring(pods: tuple[int, ...]) -> list[tuple[int, int]]:
    """Each pod to the next: how gradients are summed (ring all-reduce). Two pods send both ways."""
    return [(pod, pods[(k + 1) % len(pods)]) for k, pod in enumerate(pods)]


def _direct(pods: tuple[int, ...], at_s: Floats, volume: Floats, bytes_per_s: float) -> Flows:
    """Rounds of exchange from pod to pod."""
    whole = np.maximum(volume, 1).astype(np.int64)
    return Flows.join(
        [
            transfer(a, b, at_s, whole, bytes_per_s=bytes_per_s, port=TRAINING_PORT + k)
            for k, (a, b) in enumerate(_ring(pods))
        ]
    )


def _leg(pod: int, *, sends: int, at_s: Floats, volume: Floats, bytes_per_s: float) -> Flows:
    """Transfers between a pod and a host outside, with acknowledgements."""
    packets, last = packetise(np.maximum(volume, 1).astype(np.int64))
    ends: dict[str, ArrayLike] = {
        "pod": pod, "pod_address": pod_address(pod), "peer_address": RELAY_ADDRESS, "protocol": TCP,
        "pod_port": 40_000 + np.arange(len(at_s)) % 20_000, "peer_port": 443,
        "gap_ns": gap_for_rate(model.PACKET_BYTES_MAX, bytes_per_s), "packets": packets,
    }  # fmt: skip
    begin = np.round(at_s * NS_PER_S).astype(np.int64)
    data = Flows.of(**ends, outbound=sends, start_ns=begin, size=model.PACKET_BYTES_MAX, last=last)
    acks = Flows.of(**ends, outbound=1 - sends, start_ns=begin + 500_000, size=model.ACK_BYTES, last=model.ACK_BYTES)
    return Flows.join([data, acks])


def _rounds(start_s: float, end_s: float, every_s: float) -> Floats:
    return np.arange(start_s, max(end_s - every_s, start_s + 1.0), every_s)


def _ddp(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, int(random.integers(2, 4)))
    start_s, end_s = _stretch(site, random)
    rate = site.limit_bytes_per_s * float(np.exp(random.uniform(np.log(3), np.log(20))))
    at_s = _rounds(start_s, end_s, 5.0)
    flows = _direct(pods, at_s, np.full(len(at_s), rate * 5.0 * 0.9), rate)
    return Plan(flows=flows, pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.3))


def _steady(site: SimSite, random: np.random.Generator, *, shares: tuple[float, float], served: float) -> Plan:
    """A constant stream pod to pod at a share of the limit."""
    pods = _guilty(site, random, 2)
    start_s, end_s = _stretch(site, random)
    rate = site.limit_bytes_per_s * float(random.uniform(*shares))
    flows = _direct(pods, np.array([start_s]), np.array([rate * (end_s - start_s)]), rate)
    return Plan(flows=flows, pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, served))


def _ddp_throttled(site: SimSite, random: np.random.Generator) -> Plan:
    # Data and acknowledgements of both directions together stay right below the limit.
    return _steady(site, random, shares=(0.90, 0.93), served=0.0)


def _paced(site: SimSite, random: np.random.Generator) -> Plan:
    return _steady(site, random, shares=(0.05, 0.4), served=0.6)


def _burst_rounds(site: SimSite, random: np.random.Generator) -> tuple[float, float, Floats, Floats, float]:
    """When a low-communication run exchanges, how much, and how fast: every 40 to 120 s, at 30 to 85 % of the limit."""
    start_s, end_s = _stretch(site, random)
    every_s = float(random.uniform(40, 120))
    rate = site.limit_bytes_per_s * float(random.uniform(0.3, 0.85))
    at_s = _rounds(start_s, end_s, every_s)
    volume = rate * random.uniform(0.15, 0.4) * every_s * random.uniform(0.9, 1.1, len(at_s))
    return start_s, end_s, at_s, volume, rate


def _low_communication(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, int(random.integers(2, 4)))
    start_s, end_s, at_s, volume, rate = _burst_rounds(site, random)
    flows = _direct(pods, at_s, volume, rate)
    return Plan(flows=flows, pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.5))


def _relay(site: SimSite, random: np.random.Generator, pad: float, delay_s: float) -> Plan:
    """Rounds of exchange through a host outside; both legs padded and delayed each by itself, up to the given amounts."""
    pods = _guilty(site, random, 2)
    start_s, end_s, at_s, volume, rate = _burst_rounds(site, random)
    legs = []
    for one, other in _ring(pods):
        up = volume * random.uniform(1, 1 + pad, len(at_s))
        down = volume * random.uniform(1, 1 + pad, len(at_s))
        lag = 0.03 + random.uniform(0, delay_s, len(at_s))
        legs += [
            _leg(one, sends=1, at_s=at_s, volume=up, bytes_per_s=rate),
            _leg(other, sends=0, at_s=at_s + lag, volume=down, bytes_per_s=rate),
        ]
    return Plan(flows=Flows.join(legs), pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.3))


def _relayed(site: SimSite, random: np.random.Generator) -> Plan:
    return _relay(site, random, 0.0, 0.0)


def _relayed_padded(site: SimSite, random: np.random.Generator) -> Plan:
    return _relay(site, random, 1.0, 30.0)


def _relayed_paced(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, 2)
    start_s, end_s = _stretch(site, random)
    rate = site.limit_bytes_per_s * float(random.uniform(0.05, 0.4))
    at_s, volume = np.array([start_s]), np.array([rate * (end_s - start_s)])
    legs = []
    for one, other in _ring(pods):
        legs.append(_leg(one, sends=1, at_s=at_s, volume=volume, bytes_per_s=rate))
        legs.append(_leg(other, sends=0, at_s=at_s + 0.03, volume=volume, bytes_per_s=rate))
    return Plan(flows=Flows.join(legs), pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.6))


def _slow_drip(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, 2)
    rate = site.allowance_bytes_per_s * float(random.uniform(0.3, 0.85))
    # Both directions carry data; the meter counts the busier of both per peer, acknowledgements included.
    flows = _direct(pods, np.array([0.0]), np.array([rate * 0.95 * site.duration_s]), rate * 0.95)
    served = _served(site, pods, 1.0)
    return Plan(flows=flows, pods=pods, start_s=0.0, end_s=float(site.duration_s), served=served, pipelines_go_on=True)


def _one_burst(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, 1)
    start_s = float(random.uniform(0.1, 0.8)) * site.duration_s
    rate = site.limit_bytes_per_s * float(random.uniform(2.2, 6.0))
    length_s = site.averaging_s
    flows = _leg(
        pods[0],
        sends=int(random.integers(2)),
        at_s=np.array([start_s]),
        volume=np.array([rate * length_s]),
        bytes_per_s=rate,
    )
    served = _served(site, pods, 1.0)
    return Plan(flows=flows, pods=pods, start_s=start_s, end_s=start_s + length_s, served=served, pipelines_go_on=True)


def _exfiltration(site: SimSite, random: np.random.Generator) -> Plan:
    pods = _guilty(site, random, 1)
    start_s, end_s = _stretch(site, random)
    rate = site.limit_bytes_per_s * float(random.uniform(0.3, 0.8))
    flows = _leg(
        pods[0], sends=1, at_s=np.array([start_s]), volume=np.array([rate * (end_s - start_s)]), bytes_per_s=rate
    )
    return Plan(flows=flows, pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.8))


def _peer_cover(site: SimSite, random: np.random.Generator) -> Plan:
    if not site.pipelines:
        raise ValueError("needs a site with a declared pipeline")
    pods = tuple(sorted(site.pipelines[0]))
    start_s, end_s, at_s, volume, rate = _burst_rounds(site, random)
    whole = np.maximum(volume, 1).astype(np.int64)
    rate *= 0.5
    flows = Flows.join([transfer(a, b, at_s, whole, bytes_per_s=rate, port=PIPELINE_PORT) for a, b in _ring(pods)])
    return Plan(
        flows=flows, pods=pods, start_s=start_s, end_s=end_s, served=_served(site, pods, 0.5), pipelines_go_on=True
    )


_LIMIT, _ISOLATION, _STEP = "pod-limit", "pod-isolation", "no-coordinated-exchange"

CHEATS: dict[str, Cheat] = {
    cheat.name: cheat
    for cheat in (
        Cheat(
            name="ddp",
            description="data-parallel training across two or three pods, gradients summed at every step",
            traffic_share="3 to 20 times the limit, each way",
            against=(_LIMIT, _ISOLATION, _STEP),
            plan=_ddp,
        ),
        Cheat(
            name="ddp-throttled",
            description="the same, throttled to stay right below the limit; the pods serve nobody",
            traffic_share="90 to 95 % of the limit, each way",
            against=(_ISOLATION, _STEP),
            plan=_ddp_throttled,
        ),
        Cheat(
            name="low-communication",
            description="local steps with an exchange every 40 to 120 s, pod to pod, beside half of the honest work",
            traffic_share="bursts at 30 to 85 % of the limit, on for 15 to 40 % of the time",
            against=(_ISOLATION, _STEP),
            plan=_low_communication,
        ),
        Cheat(
            name="low-communication-paced",
            description="the same, spread into a constant stream beside most of the honest work",
            traffic_share="5 to 40 % of the limit, constant",
            against=(_ISOLATION, _STEP),
            plan=_paced,
        ),
        Cheat(
            name="peer-cover",
            description="low-communication training hidden in the declared exchange of two peers",
            traffic_share="bursts at 15 to 43 % of the limit on top of the declared pipeline",
            against=(_STEP,),
            plan=_peer_cover,
        ),
        Cheat(
            name="relayed",
            description="low-communication training through a host outside that passes everything on at once",
            traffic_share="bursts at 30 to 85 % of the limit",
            against=(_STEP,),
            plan=_relayed,
        ),
        Cheat(
            name="relayed-padded",
            description="the same; the relay pads every message up to twofold and holds it up to 30 s",
            traffic_share="bursts at 30 to 85 % of the limit, up to twice as long",
            against=(_STEP,),
            plan=_relayed_padded,
        ),
        Cheat(
            name="relayed-paced",
            description="a constant stream through a host outside",
            traffic_share="5 to 40 % of the limit, constant",
            against=(_STEP,),
            plan=_relayed_paced,
        ),
        Cheat(
            name="slow-drip",
            description="a constant exchange pod to pod below what the isolation clause lets pass",
            traffic_share="30 to 85 % of the isolation allowance",
            against=(_STEP,),
            plan=_slow_drip,
        ),
        Cheat(
            name="over-limit-burst",
            description="one transfer above the limit between one pod and the outside, as long as one interval",
            traffic_share="2.2 to 6 times the limit, once",
            against=(_LIMIT,),
            plan=_one_burst,
        ),
        Cheat(
            name="exfiltration",
            description="a pod uploads a model to a host outside, below the limit",
            traffic_share="30 to 80 % of the limit, outwards only",
            against=(),
            plan=_exfiltration,
        ),
    )
}
"""Every cheat by name. One that breaks no clause of the shipped agreement says so: it is there to show what passes."""
