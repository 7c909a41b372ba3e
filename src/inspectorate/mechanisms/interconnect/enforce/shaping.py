"""From a plan to the queues: shapers before the rules, and a lock behind them.

Shapers, so that honest TCP waits instead of being dropped. A packet reaches the queue of an interface after the rules have
judged it, so a shaper there would come too late; it stands at the way in, on an intermediate device (`ifb`):

    pod's interface      in -> ifb, token bucket at 96 % of the sent rate         -> rules
    outside interface    in -> ifb, one class per pod at 96 % of the received rate -> rules

The lock, so that flushed rules pass nothing. The queue of every interface of the plan has one class that passes packets of
`reference.ACCEPTED_PRIORITY`, which only an accepting rule sets, one narrow class for address resolution, which no rule sees,
and a class for everything else whose queue holds one byte. Frames that are not IP, and frames of a bridge that somebody
adds, end there, too.

Pure: commands as text for `ip -batch` and `tc -batch`. Not here: what runs (`readback`), running it (`kernel`).
"""

from __future__ import annotations

import ipaddress

from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.plan import SHAPER_PREFIX, LimitPlan

_FIRST_CLASS = 0x10
_SELECT_ALL = "u32 match u32 0 0"


def shapers(plan: LimitPlan) -> dict[str, str]:
    """The intermediate device of each interface that has one: pods first, then outside."""
    shaped = [*(pod.interface for pod in plan.pods), *plan.outside]
    return {interface: f"{SHAPER_PREFIX}{place}" for place, interface in enumerate(shaped)}


def link_commands(plan: LimitPlan) -> list[str]:
    """For `ip -batch`: the intermediate devices."""
    return [line for name in shapers(plan).values() for line in (f"link add {name} type ifb", f"link set {name} up")]


def queue_commands(plan: LimitPlan) -> list[str]:
    """For `tc -batch`: locks on every interface, shapers at the way in."""
    lines = [line for interface in plan.interfaces for line in _lock(interface)]
    devices = shapers(plan)
    for pod in plan.pods:
        device = devices[pod.interface]
        rate, burst, queue = _bucket(pod.sent_bytes_per_s, pod.burst_bytes)
        lines.append(f"qdisc add dev {device} root tbf rate {rate}bit burst {burst} limit {queue}")
        lines += _redirect(pod.interface, device)
    for interface in plan.outside:
        lines += _classes(plan, devices[interface])
        lines += _redirect(interface, devices[interface])
    return lines


def _lock(interface: str) -> list[str]:
    hole = f"1:{reference.LOCK_DEFAULT:x}"
    wide = f"rate {reference.ACCEPTED_RATE} burst 1mb cburst 1mb quantum 60000"
    return [
        f"qdisc add dev {interface} root handle 1: htb default {reference.LOCK_DEFAULT:x}",
        f"class add dev {interface} parent 1: classid {hole} htb rate 8bit quantum 1514",
        f"qdisc add dev {interface} parent {hole} bfifo limit 1",
        f"class add dev {interface} parent 1: classid {reference.ACCEPTED_PRIORITY} htb {wide}",
        f"class add dev {interface} parent 1: classid 1:2 htb rate {reference.ARP_RATE} quantum 1514",
        f"filter add dev {interface} parent 1: protocol arp prio 1 {_SELECT_ALL} flowid 1:2",
    ]


def _redirect(interface: str, device: str) -> list[str]:
    """All IP that comes in goes through the device first. Anything else goes on to the rules' end of the gateway."""
    return [f"qdisc add dev {interface} handle ffff: ingress"] + [
        f"filter add dev {interface} parent ffff: protocol {protocol} prio {place} {_SELECT_ALL} "
        f"action mirred egress redirect dev {device}"
        for place, protocol in enumerate(("ip", "ipv6"), start=1)
    ]


def _classes(plan: LimitPlan, device: str) -> list[str]:
    """One class per pod, by destination; what is for no pod is the gateway's own and waits for nobody."""
    lines = [f"qdisc add dev {device} root handle 1: htb"]
    for place, pod in enumerate(plan.pods, start=_FIRST_CLASS):
        rate, burst, queue = _bucket(pod.received_bytes_per_s, pod.burst_bytes)
        lines.append(
            f"class add dev {device} parent 1: classid 1:{place:x} htb rate {rate}bit burst {burst} cburst {burst} quantum 1514"
        )
        lines.append(f"qdisc add dev {device} parent 1:{place:x} bfifo limit {queue}")
        for network in map(ipaddress.ip_network, pod.networks):
            protocol, match, prio = ("ip", "ip", 1) if network.version == 4 else ("ipv6", "ip6", 2)
            lines.append(
                f"filter add dev {device} parent 1: protocol {protocol} prio {prio} "
                f"u32 match {match} dst {network} flowid 1:{place:x}"
            )
    return lines


def _bucket(bytes_per_s: int, burst_bytes: int) -> tuple[int, int, int]:
    """Rate [bit/s], burst and queue [bytes] of a shaper below a policer of this rate and burst."""
    rate = bytes_per_s * reference.SHAPER_SHARE
    burst = max(reference.SHAPER_BURST_BYTES_MIN, round(min(burst_bytes / 8, rate / 20)))
    queue = max(reference.SHAPER_QUEUE_BYTES_MIN, round(rate * reference.SHAPER_LATENCY_S))
    return round(rate * 8), burst, queue
