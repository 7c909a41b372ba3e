"""From a plan to the rules, in the very JSON in which the kernel's tool gives them back (`man libnftables-json`).

    forward   (policy drop)                         input, output (policy drop)
      switch lapsed?            drop                  loopback, outside, management      pass: the gateway's own
      to many (multicast)       drop                  switch lapsed?                     drop
      pod's interface, its      out-POD: sent limit,  pod's interface: neighbour discovery, errors, listed services,
        addresses, to outside   count, priority,      and the loading window while it is open, each through out-POD or
                                accept                in-POD; all else                   drop
      outside, to the pod's     in-POD: received ...
      pairs                     both limits
      all else                  drop

Rules:

- Every packet of a pod, forwarded or the gateway's own, in one direction goes through one limit: there is no second bucket.
- Nothing is matched by port but the gateway's own services, so fragments and extension headers change nothing: what is
  matched stands in every fragment. There is no connection tracking, and no state that an attacker could fill.
- The forward path knows no loading window. A window opens one TCP connection from the gateway itself to the pod's loader.
- What is rendered is what is compared: `normal` brings what the kernel gives back into the form rendered here, and any
  difference is a change. So an object that nobody here thought of is a change, too.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, Loader, PodPlan, Protocol, Side

Object = dict[str, Any]
"""One object of nft's JSON: a table, set, limit, counter, quota, chain or rule, as {kind: fields}."""

SWITCH = "alive"
BASE_CHAINS = ("forward", "input", "output")
V4, V6 = "ip", "ip6"
_MULTICAST: dict[str, list[str | Object]] = {
    V4: ["255.255.255.255", {"prefix": {"addr": "224.0.0.0", "len": 4}}],
    V6: [{"prefix": {"addr": "ff00::", "len": 8}}],
}
_ERRORS = {
    "icmp": ["destination-unreachable", "time-exceeded"],
    "icmpv6": ["destination-unreachable", "packet-too-big", "parameter-problem", "time-exceeded"],
}
_NEIGHBOURS = ["nd-neighbor-advert", "nd-neighbor-solicit"]
_UNITS = {"bytes": 1, "kbytes": 1024, "mbytes": 1024**2}
_OURS = {"family": reference.FAMILY, "table": reference.TABLE}
DROP: Object = {"drop": None}
ACCEPT: Object = {"accept": None}


@dataclass(frozen=True, kw_only=True)
class OpenWindow:
    """A loading window as the kernel holds it: one connection, one budget."""

    pod: str
    loader: Loader
    bytes_max: int


def render(plan: LimitPlan, window: OpenWindow | None = None) -> list[Object]:
    """All objects of our table for a plan, with a window if one is open."""
    objects: list[Object] = [{"table": {"family": reference.FAMILY, "name": reference.TABLE}}]
    objects.append(_set(SWITCH, "nf_proto"))
    objects += [_counter(name) for name in ("lapsed", "to-many", "unnamed")]
    for pod in plan.pods:
        objects += _pod_objects(pod)
        if window and window.pod == pod.pod:
            objects.append(budget_of(window))
    objects += [_base(hook) for hook in BASE_CHAINS]
    for pod in plan.pods:
        objects += [{"chain": _OURS | {"name": name}} for name in pod_chains(pod.pod)]
    for one, other in _directed_pairs(plan):
        objects.append({"chain": _OURS | {"name": f"pair-{one}:{other}"}})
    objects += _forward(plan)
    objects += _own(plan, "input")
    objects += _own(plan, "output")
    for pod in plan.pods:
        objects += _pod_rules(plan, pod)
    for one, other in _directed_pairs(plan):
        passing = [{"jump": {"target": f"sent-{one}"}}, {"jump": {"target": f"received-{other}"}}]
        objects += [_rule(f"pair-{one}:{other}", [jump]) for jump in passing]
        objects.append(_rule(f"pair-{one}:{other}", [_pass(), ACCEPT]))
    if window:
        objects += window_rules(window)
    return objects


def pod_chains(pod: str) -> tuple[str, ...]:
    """The chains of one pod: what counts and limits, what passes, what is the gateway's own, and the loading window."""
    kinds = ("sent", "received", "out", "in", "own-out", "own-in", "window", "back")
    return tuple(f"{kind}-{pod}" for kind in kinds)


def budget_of(window: OpenWindow) -> Object:
    """The byte budget of a window, counted by the kernel."""
    return {"quota": _OURS | {"name": f"budget-{window.pod}", "bytes": window.bytes_max, "inv": True}}


def window_rules(window: OpenWindow) -> list[Object]:
    """The one connection of a window. The port in the set is that of the gateway's end, and the kernel forgets it in time."""
    family = V4 if ipaddress.ip_address(window.loader.address).version == 4 else V6
    ends = [
        _match(_payload(family, "daddr"), window.loader.address),
        _match(_payload("tcp", "dport"), window.loader.port),
        _match(_payload("tcp", "sport"), f"@open-{window.pod}"),
    ]
    back = [
        _match(_payload(family, "saddr"), window.loader.address),
        _match(_payload("tcp", "sport"), window.loader.port),
        _match(_payload("tcp", "dport"), f"@open-{window.pod}"),
    ]
    pod = window.pod
    return [
        _rule(f"window-{pod}", [*ends, {"quota": f"budget-{pod}"}, DROP]),
        _rule(f"window-{pod}", [*ends, {"counter": f"window-{pod}"}, _pass(), ACCEPT]),
        _rule(f"back-{pod}", [*back, {"counter": f"back-{pod}"}, {"goto": {"target": f"out-{pod}"}}]),
    ]


def _pod_objects(pod: PodPlan) -> list[Object]:
    """Limits, counters and the window's set of one pod."""
    rates = {"sent": pod.sent_bytes_per_s, "received": pod.received_bytes_per_s}
    limits: list[Object] = [
        {
            "limit": _OURS
            | {
                "name": f"{direction}-{pod.pod}",
                "rate": rate,
                "per": "second",
                "rate_unit": "bytes",
                "burst": pod.burst_bytes - round(rate * reference.BUCKET_S),
                "burst_unit": "bytes",
                "inv": True,
            }
        }
        for direction, rate in rates.items()
    ]
    counters = ("sent", "received", "sent-dropped", "received-dropped", "window", "back")
    return [*limits, *(_counter(f"{name}-{pod.pod}") for name in counters), _set(f"open-{pod.pod}", "inet_service")]


def _pod_rules(plan: LimitPlan, pod: PodPlan) -> list[Object]:
    rules: list[Object] = []
    for direction, passing in (("sent", "out"), ("received", "in")):
        limited = f"{direction}-{pod.pod}"
        rules.append(_rule(limited, [{"limit": limited}, {"counter": f"{direction}-dropped-{pod.pod}"}, DROP]))
        rules.append(_rule(limited, [{"counter": limited}]))
        rules.append(_rule(f"{passing}-{pod.pod}", [{"jump": {"target": limited}}]))
        rules.append(_rule(f"{passing}-{pod.pod}", [_pass(), ACCEPT]))
    return rules + _own_rules(plan, pod, "own-out", "in") + _own_rules(plan, pod, "own-in", "out")


def _own_rules(plan: LimitPlan, pod: PodPlan, chain: str, passing: str) -> list[Object]:
    """What the gateway itself exchanges with a pod: `own-out` to it (received by the pod), `own-in` from it."""
    to_pod = chain == "own-out"
    go: Object = {"goto": {"target": f"{passing}-{pod.pod}"}}
    name = f"{chain}-{pod.pod}"
    rules = [_rule(name, [_match(_payload("icmpv6", "type"), _several(_NEIGHBOURS)), go])]
    if to_pod:
        rules += [_rule(name, [_match(_payload(kind, "type"), _several(types)), go]) for kind, types in _ERRORS.items()]
    for service in plan.services:
        if service.pod != pod.pod:
            continue
        # The end that listens is the destination of what goes towards it, and the source of what comes from there.
        end = "dport" if (service.at is Side.POD) == to_pod else "sport"
        rules.append(_rule(name, [_match(_payload(Protocol(service.protocol).value, end), service.port), go]))
    window = "window" if to_pod else "back"
    rules.append(_rule(name, [{"jump": {"target": f"{window}-{pod.pod}"}}]))
    rules.append(_rule(name, [{"counter": "unnamed"}, DROP]))
    return rules


def _forward(plan: LimitPlan) -> list[Object]:
    rules = [_lapsed("forward")]
    for family, to_many in _MULTICAST.items():
        rules.append(
            _rule("forward", [_match(_payload(family, "daddr"), _several(to_many)), {"counter": "to-many"}, DROP])
        )
    outside = _several(list(plan.outside))
    for pod in plan.pods:
        for family, networks in _networks(pod):
            own_end, out, into = _match(_meta("iifname"), pod.interface), f"out-{pod.pod}", f"in-{pod.pod}"
            leave = [own_end, _match(_meta("oifname"), outside), _match(_payload(family, "saddr"), networks)]
            enter = [
                _match(_meta("iifname"), outside),
                _match(_meta("oifname"), pod.interface),
                _match(_payload(family, "daddr"), networks),
            ]
            rules.append(_rule("forward", [*leave, {"goto": {"target": out}}]))
            rules.append(_rule("forward", [*enter, {"goto": {"target": into}}]))
    for one, other in _directed_pairs(plan):
        rules += _pair_rules(_planned(plan, one), _planned(plan, other))
    rules.append(_rule("forward", [{"counter": "unnamed"}, DROP]))
    return rules


def _pair_rules(one: PodPlan, other: PodPlan) -> list[Object]:
    """What passes from one pod to the other, in the families that both have."""
    to = dict(_networks(other))
    return [
        _rule(
            "forward",
            [
                _match(_meta("iifname"), one.interface),
                _match(_meta("oifname"), other.interface),
                _match(_payload(family, "saddr"), networks),
                _match(_payload(family, "daddr"), to[family]),
                {"goto": {"target": f"pair-{one.pod}:{other.pod}"}},
            ],
        )
        for family, networks in _networks(one)
        if family in to
    ]


def _own(plan: LimitPlan, hook: str) -> list[Object]:
    """The gateway's own traffic: free towards the outside and the management, named piece by piece towards pods."""
    side, chain = ("iifname", "own-in") if hook == "input" else ("oifname", "own-out")
    free = _several([*plan.outside, *plan.management])
    rules = [
        _rule(hook, [_match(_meta(side), "lo"), ACCEPT]),
        _rule(hook, [_match(_meta(side), free), *([_pass()] if hook == "output" else []), ACCEPT]),
        _lapsed(hook),
    ]
    rules += [
        _rule(hook, [_match(_meta(side), pod.interface), {"goto": {"target": f"{chain}-{pod.pod}"}}])
        for pod in plan.pods
    ]
    rules.append(_rule(hook, [{"counter": "unnamed"}, DROP]))
    return rules


def _planned(plan: LimitPlan, name: str) -> PodPlan:
    pod = plan.pod(name)
    assert pod is not None, "a plan's pairs are of its pods"
    return pod


def _directed_pairs(plan: LimitPlan) -> list[tuple[str, str]]:
    return [ends for pair in plan.pairs for ends in ((pair.one, pair.other), (pair.other, pair.one))]


def _networks(pod: PodPlan) -> list[tuple[str, Any]]:
    """The pod's networks by family, joined where they touch, as one right-hand side each."""
    found: list[tuple[str, Any]] = []
    own = [ipaddress.ip_network(network) for network in pod.networks]
    v4 = [network for network in own if isinstance(network, ipaddress.IPv4Network)]
    v6 = [network for network in own if isinstance(network, ipaddress.IPv6Network)]
    if v4:
        found.append((V4, _several([_network(network) for network in ipaddress.collapse_addresses(v4)])))
    if v6:
        found.append((V6, _several([_network(network) for network in ipaddress.collapse_addresses(v6)])))
    return found


def _network(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str | Object:
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}


def _several(values: Sequence[Any]) -> Any:
    """One value, or a set of several in a fixed order."""
    return values[0] if len(values) == 1 else {"set": sorted(values, key=_order)}


def _order(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _lapsed(chain: str) -> Object:
    return _rule(chain, [_match(_meta("nfproto"), f"@{SWITCH}", op="!="), {"counter": "lapsed"}, DROP])


def _pass() -> Object:
    return {"mangle": {"key": _meta("priority"), "value": reference.ACCEPTED_PRIORITY}}


def _meta(key: str) -> Object:
    return {"meta": {"key": key}}


def _payload(protocol: str, field: str) -> Object:
    return {"payload": {"protocol": protocol, "field": field}}


def _match(left: Object, right: Any, *, op: str = "==") -> Object:
    return {"match": {"op": op, "left": left, "right": right}}


def _rule(chain: str, expressions: Iterable[Object]) -> Object:
    return {"rule": _OURS | {"chain": chain, "expr": list(expressions)}}


def _set(name: str, kind: str) -> Object:
    return {"set": _OURS | {"name": name, "type": kind, "flags": ["timeout"]}}


def _counter(name: str) -> Object:
    return {"counter": _OURS | {"name": name}}


def _base(hook: str) -> Object:
    return {
        "chain": _OURS | {"name": hook, "type": "filter", "hook": hook, "prio": reference.PRIORITY, "policy": "drop"}
    }


# --- comparison --------------------------------------------------------------------------------------------------------

_VOLATILE = {"counter": {"packets", "bytes"}, "quota": {"used"}, "set": {"elem"}}


def normal(objects: Iterable[Object]) -> list[Object]:
    """Objects as the kernel gives them back, in the form and order of comparison: without handles, counts and elements.

    Rules keep their order within a chain; everything else is sorted, since its order means nothing.
    """
    named: list[Object] = []
    rules: dict[str, list[Object]] = {}
    for item in objects:
        ((kind, fields),) = item.items()
        if kind == "metainfo":
            continue
        kept = {
            key: _plain(value)
            for key, value in fields.items()
            if key != "handle" and key not in _VOLATILE.get(kind, ())
        }
        if kind == "limit":
            kept = _in_bytes(kept)
        if kind == "rule":
            rules.setdefault(_order([kept.get("family"), kept.get("table"), kept.get("chain")]), []).append(
                {kind: kept}
            )
        else:
            named.append({kind: kept})
    return sorted(named, key=_order) + [rule for chain in sorted(rules) for rule in rules[chain]]


def _plain(value: Any) -> Any:
    """A value with the elements of its anonymous sets in a fixed order."""
    if isinstance(value, dict):
        if set(value) == {"set"} and isinstance(value["set"], list):
            return _several([_plain(item) for item in value["set"]])
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _in_bytes(limit: Object) -> Object:
    """A limit with rate and burst in bytes; the tool writes round ones in larger units, and leaves a burst of 0 out.

    Other units are left as they are, and so differ from what was rendered.
    """
    changed: Object = {"burst": 0, "burst_unit": "bytes"} | limit
    for number, unit in (("rate", "rate_unit"), ("burst", "burst_unit")):
        factor = _UNITS.get(changed.get(unit, ""))
        if factor and isinstance(changed.get(number), int):
            changed |= {number: changed[number] * factor, unit: "bytes"}
    return changed
