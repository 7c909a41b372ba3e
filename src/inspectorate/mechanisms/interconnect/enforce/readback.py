"""From what the kernel says that it runs back to limits: what an attestation rests on, at the gateway and at the reviewer.

Procedure:

1. A plan is guessed from the objects: pods from the names of limits, interfaces and networks from the rules, rates and
   bursts from the limits themselves, a window from its budget.
2. The guess is rendered (`ruleset.render`), and compared with the objects, all of them. Only if they are the same is the
   guess the meaning of what runs. Whatever differs is a fault, and nothing is said of limits.
3. Elements of sets are looked at apart: a switch without a timeout of less than a second is a fault.
4. Queues: what leaves an interface of the plan unmarked must be dropped by its queue, and what comes in may be led to a shaper of
   ours and nowhere else: a filter at the way in acts before any rule does.

So a rule more, a rule less, another order, another table, a chain that passes by default: all are faults, without any of
them being thought of here. The kernel rounds nothing that matters: it keeps rates in bytes per second.
Raises nothing on content; a document that is not of this form at all has a fault that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from inspectorate.canonical import Record, first_fault
from inspectorate.evidence import PodLimit
from inspectorate.mechanisms.interconnect.enforce import reference, ruleset
from inspectorate.mechanisms.interconnect.enforce.plan import (
    SHAPER_PREFIX,
    LimitPlan,
    Loader,
    Pair,
    PodPlan,
    Protocol,
    Service,
    Side,
)
from inspectorate.mechanisms.interconnect.enforce.ruleset import Object, OpenWindow

OBJECTS_MAX = 20_000
_SHAPED = ("filter parent ffff: protocol ip pref 1 u32 ", "filter parent ffff: protocol ipv6 pref 2 u32 ")
_TO_SHAPER = re.compile(rf"action order 1: mirred \(Egress Redirect to device {SHAPER_PREFIX}[A-Za-z0-9_.-]*\) stolen")
_UNKNOWN_GATEWAY = "unnamed"
"""The rules do not say whose they are; the statement about them does."""


class Counted(Record):
    """What passed and what was dropped of one pod since the rules were loaded, in IP bytes."""

    pod: str
    sent_bytes: int
    sent_dropped_bytes: int
    received_bytes: int
    received_dropped_bytes: int
    window_bytes: int
    back_bytes: int


@dataclass(frozen=True, kw_only=True)
class Running:
    """What runs, as far as it can be said."""

    plan: LimitPlan | None
    """The meaning of the rules, if they are wholly understood."""
    window: OpenWindow | None
    counted: tuple[Counted, ...]
    faults: tuple[str, ...]
    """Why not all is dropped that should be; empty if it is."""
    switched_on: bool

    @property
    def limits(self) -> tuple[PodLimit, ...]:
        return self.plan.limits if self.plan else ()

    @property
    def lifted(self) -> tuple[str, ...]:
        return (self.window.pod,) if self.window else ()


def read_rules(objects: object) -> Running:
    """The meaning of nft's objects (steps 1 to 3)."""
    listed = _checked(objects)
    if listed is None:
        return _nothing("the rules are not in the form in which nft gives them")
    if not any("table" in item for item in listed):
        return _nothing("no rules are loaded")
    try:
        return _understood(listed)
    except (LookupError, TypeError, AttributeError, ValueError, StopIteration) as fault:
        text = first_fault(fault) if isinstance(fault, ValidationError) else f"{type(fault).__name__}: {fault}"
        return _nothing(f"the rules are not of this program's making ({text[:200]})")


def _understood(listed: list[Object]) -> Running:
    """Steps 1 to 3 over objects of the right form. Raises whatever a structure gives that none of ours could have."""
    # (1)
    plan, window = _guess(listed)
    # (2)
    faults = _differences(ruleset.normal(ruleset.render(plan, window)), ruleset.normal(listed))
    # (3)
    on, switch_faults = _switch(listed)
    faults += switch_faults
    return Running(
        plan=None if faults else plan,
        window=None if faults else window,
        counted=_counted(plan, listed),
        faults=tuple(faults),
        switched_on=on,
    )


def read_locks(queues: object, filters: object, interfaces: Iterable[str]) -> tuple[str, ...]:
    """Faults of the queues (step 4): none if each interface drops what no rule accepted.

    `queues` is what `tc -j qdisc show` gives; `filters` maps an interface to the lines of `tc filter show`, those of its way in
    included.
    """
    interfaces = tuple(interfaces)
    listed = queues if isinstance(queues, list) else []
    lines = filters if isinstance(filters, dict) else {}
    found: dict[tuple[str, str], Mapping[str, Any]] = {
        (str(item.get("dev")), str(item.get("parent", "root" if item.get("root") else None))): item
        for item in listed
        if isinstance(item, dict) and item.get("kind") != "ingress"
    }
    faults = []
    for interface in interfaces:
        root = found.get((interface, "root"), {})
        hole = found.get((interface, f"1:{reference.LOCK_DEFAULT:x}"), {})
        default = _options(root).get("default")
        closed = _options(hole).get("limit") == 1
        if (
            root.get("kind") != "htb"
            or default != hex(reference.LOCK_DEFAULT)
            or hole.get("kind") != "bfifo"
            or not closed
        ):
            faults.append(f"the queue of {interface} does not drop what no rule accepted")
        elif not _only_arp(lines.get(interface)):
            faults.append(f"the queue of {interface} lets more pass than address resolution and what a rule accepted")
        if not _only_shaped(lines.get(interface)):
            faults.append(f"what comes in at {interface} is led elsewhere than to the rules")
    ways_in = {str(item.get("dev")): item["kind"] for item in listed if _is_way_in(item)}
    faults += [
        f"filters of a kind that no plan gives stand at {name}"
        for name, kind in ways_in.items()
        if kind != "ingress" or name not in interfaces
    ]
    return tuple(faults)


def _is_way_in(item: object) -> bool:
    return isinstance(item, dict) and item.get("kind") in ("ingress", "clsact")


def _only_shaped(lines: object) -> bool:
    """Whether filters at the way in do nothing but send IP through a shaper of ours."""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return False
    filters = [line for line in lines if line.startswith("filter ") and not line.startswith("filter parent 1:")]
    actions = [line for line in lines if line.startswith("action ")]
    return all(line.startswith(_SHAPED) for line in filters) and all(_TO_SHAPER.fullmatch(line) for line in actions)


def _only_arp(lines: object) -> bool:
    """Whether the filters of an interface's queue pass address resolution alone."""
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        return False
    own = [line for line in lines if line.startswith("filter parent 1:")]
    return bool(own) and all(line.startswith("filter parent 1: protocol arp ") for line in own)


def read_links(links: object, interfaces: Iterable[str]) -> tuple[str, ...]:
    """Faults of the interfaces, `ip -j link show`: one that is up and in no plan, or bridged, or with a program on it."""
    if not isinstance(links, list):
        return ("the interfaces are not in the form in which ip gives them",)
    known = {"lo", *interfaces}
    faults = []
    for link in links:
        if not isinstance(link, dict) or not isinstance(link.get("ifname"), str):
            return ("the interfaces are not in the form in which ip gives them",)
        name, flags = link["ifname"], link.get("flags", [])
        if not isinstance(flags, list):
            return ("the interfaces are not in the form in which ip gives them",)
        if name not in known and not name.startswith(SHAPER_PREFIX) and "UP" in flags:
            faults.append(f"interface {name} is up and in no plan")
        if name in known and ("master" in link or "xdp" in link):
            faults.append(f"interface {name} is part of a bridge, or has a program attached")
    return tuple(faults)


def _options(item: Mapping[str, Any]) -> Mapping[str, Any]:
    options = item.get("options")
    return options if isinstance(options, dict) else {}


def _nothing(fault: str) -> Running:
    return Running(plan=None, window=None, counted=(), faults=(fault,), switched_on=False)


def _checked(objects: object) -> list[Object] | None:
    if not isinstance(objects, list) or len(objects) > OBJECTS_MAX:
        return None
    if not all(isinstance(o, dict) and len(o) == 1 and isinstance(next(iter(o.values())), dict) for o in objects):
        return None
    return objects


def _differences(expected: list[Object], actual: list[Object]) -> list[str]:
    if expected == actual:
        return []
    more = [item for item in actual if item not in expected]
    less = [item for item in expected if item not in actual]
    faults = [f"the kernel runs {_words(item)}, which no plan gives" for item in more[:3]]
    faults += [f"the kernel does not run {_words(item)}, which the plan gives" for item in less[:3]]
    return faults or ["the rules stand in another order, or one of them twice"]


def _words(item: Object) -> str:
    ((kind, fields),) = item.items()
    name = fields.get("name") or f"in chain {fields.get('chain')}"
    if fields.get("table") not in (None, reference.TABLE):
        name = f"{name} of table {fields.get('table')}"
    return f"a {kind} {name}"[:200]


# --- (1) the guess -----------------------------------------------------------------------------------------------------


def _guess(objects: list[Object]) -> tuple[LimitPlan, OpenWindow | None]:
    """A plan that could have given these objects. Raises whatever a structure gives that none could have."""
    limits = {item["limit"]["name"]: item["limit"] for item in ruleset.normal(objects) if "limit" in item}
    names = [name.removeprefix("sent-") for name in _in_order(objects, "limit") if name.startswith("sent-")]
    window = next((_window(objects, item["quota"]) for item in objects if "quota" in item), None)
    forward = _rules(objects, "forward")
    pods = tuple(_pod(name, limits, forward, objects, window) for name in names)
    outside = _outside(objects)
    free = _values(_matches(_rules(objects, "input")[1])["iifname"])
    plan = LimitPlan(
        gateway=_UNKNOWN_GATEWAY,
        pods=pods,
        outside=outside,
        management=tuple(name for name in free if name not in outside),
        pairs=_pairs(objects),
        services=tuple(service for name in names for service in _services(objects, name)),
    )
    return plan, window


def _in_order(objects: list[Object], kind: str) -> list[str]:
    return [item[kind]["name"] for item in objects if kind in item]


def _rules(objects: list[Object], chain: str) -> list[list[Object]]:
    return [item["rule"]["expr"] for item in objects if "rule" in item and item["rule"].get("chain") == chain]


def _matches(expressions: list[Object]) -> dict[str, Any]:
    """The right-hand sides of a rule by what they are held against: `iifname`, `saddr`, `dport` and so on."""
    found = {}
    for expression in expressions:
        if "match" in expression:
            ((_, left),) = expression["match"]["left"].items()
            found[left.get("field") or left["key"]] = expression["match"]["right"]
    return found


def _target(expressions: list[Object]) -> str:
    last = expressions[-1]
    return str(last["goto"]["target"]) if "goto" in last else ""


def _values(right: Any) -> list[Any]:
    return list(right["set"]) if isinstance(right, dict) and "set" in right else [right]


def _network(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return f"{value}/{128 if ':' in value else 32}"


def _pod(
    name: str, limits: Mapping[str, Any], forward: list[list[Object]], objects: list[Object], window: OpenWindow | None
) -> PodPlan:
    leaving = [_matches(rule) for rule in forward if _target(rule) == f"out-{name}"]
    sent, received = limits[f"sent-{name}"], limits[f"received-{name}"]
    return PodPlan(
        pod=name,
        interface=leaving[0]["iifname"],
        networks=tuple(_network(value) for rule in leaving for value in _values(rule["saddr"])),
        sent_bytes_per_s=sent["rate"],
        received_bytes_per_s=received["rate"],
        burst_bytes=round(sent["rate"] * reference.BUCKET_S) + sent["burst"],
        loader=window.loader if window and window.pod == name else None,
    )


def _outside(objects: list[Object]) -> tuple[str, ...]:
    first = next(rule for rule in _rules(objects, "forward") if _target(rule).startswith("out-"))
    return tuple(_values(_matches(first)["oifname"]))


def _pairs(objects: list[Object]) -> tuple[Pair, ...]:
    directed = [name.removeprefix("pair-") for name in _in_order(objects, "chain") if name.startswith("pair-")]
    return tuple(Pair(one=name.split(":")[0], other=name.split(":")[1]) for name in directed[::2])


def _services(objects: list[Object], name: str) -> Iterable[Service]:
    for rule in _rules(objects, f"own-out-{name}"):
        for expression in rule:
            left = expression.get("match", {}).get("left", {}).get("payload", {})
            if left.get("field") in ("dport", "sport"):
                side = Side.POD if left["field"] == "dport" else Side.GATEWAY
                port = expression["match"]["right"]
                yield Service(pod=name, protocol=Protocol(left["protocol"]), port=port, at=side)


def _window(objects: list[Object], quota: Object) -> OpenWindow:
    pod = str(quota["name"]).removeprefix("budget-")
    ends = _matches(_rules(objects, f"window-{pod}")[0])
    return OpenWindow(pod=pod, loader=Loader(address=ends["daddr"], port=ends["dport"]), bytes_max=quota["bytes"])


# --- (3) sets and counters ---------------------------------------------------------------------------------------------


def _switch(objects: list[Object]) -> tuple[bool, list[str]]:
    """Whether the switch is on, and what is wrong with it. nft gives timeouts in whole seconds: ours reads as 0."""
    sets = [item["set"] for item in objects if "set" in item]
    elements: list[Any] = next((one.get("elem", []) for one in sets if one.get("name") == ruleset.SWITCH), [])
    lasting = [e for e in elements if not isinstance(e, dict) or e.get("elem", {}).get("timeout", 1) != 0]
    faults = ["the switch holds an element that the kernel does not forget within a second"] if lasting else []
    return bool(elements), faults


def _counted(plan: LimitPlan, objects: list[Object]) -> tuple[Counted, ...]:
    counts = {item["counter"]["name"]: item["counter"] for item in objects if "counter" in item}

    def of(name: str) -> int:
        value = counts.get(name, {}).get("bytes", 0)
        return value if isinstance(value, int) else 0

    return tuple(
        Counted(
            pod=pod.pod,
            sent_bytes=of(f"sent-{pod.pod}"),
            sent_dropped_bytes=of(f"sent-dropped-{pod.pod}"),
            received_bytes=of(f"received-{pod.pod}"),
            received_dropped_bytes=of(f"received-dropped-{pod.pod}"),
            window_bytes=of(f"window-{pod.pod}"),
            back_bytes=of(f"back-{pod.pod}"),
        )
        for pod in plan.pods
    )
