"""Load, read, switch and remove: what is done to the kernel of the gateway, in the order that never lets anything through.

`load`:

1. forwarding off; the rules and queues of an earlier load removed
2. locks and shapers
3. the rules, in one transaction; the switch is not in it, so nothing passes yet
4. what runs is read back, and must mean what the plan says
5. forwarding on

A fault at any step leaves forwarding off. `keep_alive` then opens the switch for `reference.SWITCH_TIMEOUT_S`.

All of it goes through a `Runner`, which runs a command where the gateway is: here, or inside of a network namespace.
Not here: who keeps the switch (`serve`), and windows' rules in time (`windows`).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from inspectorate.canonical import parse_json
from inspectorate.errors import EnvironmentError_, InputError, InspectorateError
from inspectorate.mechanisms.interconnect.enforce import readback, reference, ruleset, shaping
from inspectorate.mechanisms.interconnect.enforce.plan import SHAPER_PREFIX, LimitPlan
from inspectorate.mechanisms.interconnect.enforce.readback import Running
from inspectorate.mechanisms.interconnect.enforce.ruleset import Object, OpenWindow
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge

Runner = Callable[[Sequence[str], str], str]
"""Runs a command with this text on its standard input; returns its output. Raises `EnvironmentError_` if it fails."""

FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
_TABLE: Object = {"family": reference.FAMILY, "name": reference.TABLE}
_SET = f"{reference.FAMILY} {reference.TABLE} {ruleset.SWITCH}"
_FAMILIES = ("ipv4", "ipv6")


def here(argv: Sequence[str], text: str) -> str:
    """Run a command in this namespace."""
    try:
        done = subprocess.run(
            list(argv), input=text, check=False, capture_output=True, text=True, timeout=reference.COMMAND_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise EnvironmentError_(
            f"cannot run {argv[0]}: {fault}", where=" ".join(argv), remedy="apt-get install nftables iproute2 procps"
        ) from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[:300]
        raise EnvironmentError_(
            f"the kernel or the tool refused: {said}",
            where=" ".join(argv),
            remedy="enforcing needs root with CAP_NET_ADMIN, nftables, and htb, tbf and ifb in the kernel",
        )
    return done.stdout


def within(namespace: str) -> Runner:
    """Run commands inside of a named network namespace."""

    def run(argv: Sequence[str], text: str) -> str:
        return here(["ip", "netns", "exec", namespace, *argv], text)

    return run


def load(plan: LimitPlan, run: Runner) -> Running:
    """Load a plan (steps in the module's docstring); what then runs. The switch is off.

    Raises `InputError` where the gateway is not the plan's: an interface that is missing, or up and not in it, other rules;
    `EnvironmentError_` where the kernel refuses. Either leaves forwarding off.
    """
    # (1)
    forward(False, run)
    _refuse_others(plan, run)
    _clear(plan, run)
    # (2)
    run(["ip", "-batch", "-"], "\n".join(shaping.link_commands(plan)) + "\n")
    run(["tc", "-batch", "-"], "\n".join(shaping.queue_commands(plan)) + "\n")
    # (3)
    transact([{"add": item} for item in ruleset.render(plan)], run)
    # (4)
    running = judge(read(plan.interfaces, run), plan)
    if running.faults:
        raise EnvironmentError_(
            f"what runs is not what was loaded: {'; '.join(running.faults)}",
            where=plan.gateway,
            remedy="forwarding is off; the kernel or nft on this machine differs from those this was written for",
        )
    # (5)
    forward(True, run)
    return running


def remove(run: Runner) -> None:
    """Take rules and queues away. Forwarding goes off first and stays off."""
    forward(False, run)
    queues = _json(run(["tc", "-j", "qdisc", "show"], ""), "tc")
    locked = {
        item["dev"] for item in queues if item.get("kind") in ("htb", "ingress") and isinstance(item.get("dev"), str)
    }
    _remove_rules(run)
    _remove_queues(sorted(locked), run)
    _remove_shapers(run)


def keep_alive(run: Runner) -> None:
    """Switch on for `reference.SWITCH_TIMEOUT_S`, from now.

    Added, deleted and added again in one transaction: kernels before 6.12 do not renew an element that is there.
    """
    timeout = f"{reference.SWITCH_TIMEOUT_S * 1000:.0f}ms"
    timed = ", ".join(f"{family} timeout {timeout}" for family in _FAMILIES)
    plain = ", ".join(_FAMILIES)
    run(
        ["nft", "-f", "-"],
        f"add element {_SET} {{ {timed} }}\ndelete element {_SET} {{ {plain} }}\nadd element {_SET} {{ {timed} }}\n",
    )


def lapse(run: Runner) -> None:
    """Stop traffic now: forwarding off, and the switch off if there still is one."""
    forward(False, run)
    with contextlib.suppress(EnvironmentError_):
        run(["nft", "flush", "set", *_SET.split()], "")


def forward(on: bool, run: Runner) -> None:
    """Switch forwarding of both families on or off."""
    run(["sysctl", "-qw", *(f"{name}={int(on)}" for name in FORWARDING)], "")


def open_window(window: OpenWindow, gateway_port: int, seconds: float, run: Runner) -> None:
    """Let one connection to the pod's loader pass, from this port of the gateway, for so long and up to its budget."""
    element = {"elem": {"val": gateway_port, "timeout": max(1, int(seconds))}}
    opening = {"element": _named_set(window.pod) | {"elem": [element]}}
    objects = [ruleset.budget_of(window), *ruleset.window_rules(window), opening]
    transact([{"add": item} for item in objects], run)


def close_window(pod: str, run: Runner) -> None:
    """Back to the limit: the window's rules, its port and its budget are gone in one transaction."""
    table = {"family": reference.FAMILY, "table": reference.TABLE}
    transact(
        [
            {"flush": {"chain": table | {"name": f"window-{pod}"}}},
            {"flush": {"chain": table | {"name": f"back-{pod}"}}},
            {"flush": {"set": _named_set(pod)}},
            {"delete": {"quota": table | {"name": f"budget-{pod}"}}},
        ],
        run,
    )


def fresh_counts(pod: str, run: Runner) -> None:
    """Begin to count a window's bytes from 0."""
    for name in (f"window-{pod}", f"back-{pod}"):
        run(["nft", "reset", "counter", reference.FAMILY, reference.TABLE, name], "")


def window_counts(pod: str, run: Runner) -> tuple[int, int]:
    """IP bytes that a window let through to the pod, and that came back."""
    moved, back = (
        _number(run(["nft", "-j", "list", "counter", reference.FAMILY, reference.TABLE, name], ""), "counter", "bytes")
        for name in (f"window-{pod}", f"back-{pod}")
    )
    return moved, back


def asked_bytes(pod: str, run: Runner) -> int:
    """What was sent in the open window. The kernel's count stops at the budget, and means that it is used up."""
    text = run(["nft", "-j", "list", "quota", reference.FAMILY, reference.TABLE, f"budget-{pod}"], "")
    return _number(text, "quota", "used")


def _number(text: str, kind: str, field: str) -> int:
    for item in _json(text, "nft")["nftables"]:
        if kind in item:
            return int(item[kind][field])
    raise EnvironmentError_(f"nft named no {kind}")


def transact(commands: list[Object], run: Runner) -> None:
    """Run nft's JSON commands: all of them, or none."""
    run(["nft", "-j", "-f", "-"], json.dumps({"nftables": commands}))


def read(interfaces: Sequence[str], run: Runner) -> Snapshot:
    """What the kernel says that it runs."""
    rules = _json(run(["nft", "-j", "list", "ruleset"], ""), "nft")
    on = run(["sysctl", "-n", *FORWARDING], "").split()
    filters = {
        name: [
            line
            for way in ((), ("ingress",))
            for line in run(["tc", "filter", "show", "dev", name, *way], "").splitlines()
        ]
        for name in interfaces
    }
    return Snapshot(
        rules=rules.get("nftables", []) if isinstance(rules, dict) else [],
        queues=_json(run(["tc", "-j", "qdisc", "show"], ""), "tc"),
        filters={name: [line.strip() for line in lines] for name, lines in filters.items()},
        links=[_link(link) for link in _json(run(["ip", "-d", "-j", "link", "show"], ""), "ip")],
        forwarding={name: value == "1" for name, value in zip(FORWARDING, on, strict=True)},
    )


def _named_set(pod: str) -> Object:
    return {"family": reference.FAMILY, "table": reference.TABLE, "name": f"open-{pod}"}


def _link(link: Any) -> Any:
    """What is kept of an interface: its name, whether it is up, and whatever else could carry frames past the rules."""
    return (
        {key: link[key] for key in ("ifname", "flags", "master", "xdp") if key in link}
        if isinstance(link, dict)
        else link
    )


def _json(text: str, tool: str) -> Any:
    try:
        return parse_json(text.encode() or b"[]", where=tool)
    except InspectorateError as fault:
        raise EnvironmentError_(
            f"{tool} gave no JSON: {fault.problem}", remedy="install a current nftables and iproute2"
        ) from None


# --- what stands in the way of a load ----------------------------------------------------------------------------------


def _refuse_others(plan: LimitPlan, run: Runner) -> None:
    """The gateway must be the plan's alone. Raises `InputError`."""
    listed = _json(run(["nft", "-j", "list", "tables"], ""), "nft").get("nftables", [])
    others = [item["table"]["name"] for item in listed if item.get("table", _TABLE).get("name") != reference.TABLE]
    if others:
        raise InputError(
            f"the gateway has other rules, too: table {', '.join(map(str, others[:4]))}",
            where=plan.gateway,
            remedy="remove them, or put what they are for into the plan; other rules can lead traffic around ours",
        )
    links = _json(run(["ip", "-d", "-j", "link", "show"], ""), "ip")
    missing = sorted(set(plan.interfaces) - {link.get("ifname") for link in links})
    if missing:
        raise InputError(f"the gateway has no interface {missing[0]}", where=plan.gateway)
    faults = readback.read_links(links, plan.interfaces)
    if faults:
        raise InputError("; ".join(faults), where=plan.gateway, remedy="take it down, or name it in the plan")


def _clear(plan: LimitPlan, run: Runner) -> None:
    """Remove the rules and queues of an earlier load. Those that are not there are passed over."""
    _remove_rules(run)
    _remove_queues(plan.interfaces, run)
    _remove_shapers(run)
    for interface in plan.interfaces:
        # Joined packets are larger than buckets, and would be dropped whole.
        with contextlib.suppress(EnvironmentError_):
            run(["ethtool", "-K", interface, "gro", "off", "lro", "off"], "")


def _remove_rules(run: Runner) -> None:
    transact([{"add": {"table": _TABLE}}, {"delete": {"table": _TABLE}}], run)


def _remove_queues(interfaces: Sequence[str], run: Runner) -> None:
    for interface in interfaces:
        for place in ("root", "ingress"):
            with contextlib.suppress(EnvironmentError_):
                run(["tc", "qdisc", "del", "dev", interface, place], "")


def _remove_shapers(run: Runner) -> None:
    for link in _json(run(["ip", "-j", "link", "show", "type", "ifb"], ""), "ip"):
        name = link.get("ifname") if isinstance(link, dict) else None
        if isinstance(name, str) and name.startswith(SHAPER_PREFIX):
            run(["ip", "link", "del", name], "")
