"""What the kernel said at one time, and what that means: the payload of an attestation, at the gateway and at the reviewer.

A payload is the canonical JSON of a snapshot: rules, queues, their filters, interfaces and forwarding, as the kernel's own
tools gave them. A reviewer reads limits out of it by the same procedure as the gateway, and so need not take its word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from inspectorate.canonical import canonical_bytes, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.enforce import readback, ruleset
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan
from inspectorate.mechanisms.interconnect.enforce.readback import Running
from inspectorate.mechanisms.interconnect.enforce.ruleset import OpenWindow


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the kernel said at one time, as its tools put it: the payload of an attestation."""

    rules: list[Any]
    queues: list[Any]
    filters: dict[str, list[str]]
    links: list[Any]
    forwarding: dict[str, bool]

    def payload(self) -> bytes:
        """The canonical bytes of this snapshot."""
        return canonical_bytes({name: getattr(self, name) for name in _PARTS})

    @classmethod
    def parse(cls, data: bytes, *, where: str) -> Self:
        """Read a payload. Raises `EvidenceError` unless it is a snapshot in its canonical form."""
        value = parse_canonical(data, where=where)
        if not isinstance(value, dict) or set(value) != set(_PARTS):
            raise EvidenceError("is not a snapshot of a gateway", where=where)
        if any(not isinstance(value[name], kind) for name, kind in _PARTS.items()):
            raise EvidenceError("has a part of the wrong kind", where=where)
        return cls(**value)


_PARTS: dict[str, type] = {"rules": list, "queues": list, "filters": dict, "links": list, "forwarding": dict}


def judge(snapshot: Snapshot, plan: LimitPlan | None = None, window: OpenWindow | None = None) -> Running:
    """What a snapshot means; held against a plan and a window if they are given."""
    running = readback.read_rules(snapshot.rules)
    understood = running.plan
    faults = list(running.faults)
    if understood is not None:
        faults += readback.read_locks(snapshot.queues, snapshot.filters, understood.interfaces)
        faults += readback.read_links(snapshot.links, understood.interfaces)
    if plan is not None and understood is not None and not _same(understood, plan, running.window, window):
        faults.append("the rules are another plan's")
    return Running(
        plan=understood,
        window=running.window,
        counted=running.counted,
        faults=tuple(faults),
        switched_on=running.switched_on,
    )


def _same(understood: LimitPlan, plan: LimitPlan, window: OpenWindow | None, expected: OpenWindow | None) -> bool:
    if window != expected:
        return False
    return ruleset.normal(ruleset.render(understood, window)) == ruleset.normal(ruleset.render(plan, expected))
