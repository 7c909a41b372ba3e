"""What runs, held against what was agreed: shared by `limit check` and by the appraisal."""

from __future__ import annotations

from enum import StrEnum

from inspectorate.agreement import LimitEnforced
from inspectorate.evidence import PodLimit
from inspectorate.mechanisms.interconnect.enforce.readback import Running


class Standing(StrEnum):
    WITHIN = "within"
    """Every limit is within the agreed one, and everything else is dropped."""
    UNKNOWN = "unknown"
    """Nothing runs, or it cannot be told what, or somebody changed it."""
    ABOVE = "above"
    """A limit is above the agreed one."""


def excess_of(limit: PodLimit, terms: LimitEnforced) -> str | None:
    """In what a pod's limit is above the agreed one, in words; none if it is not."""
    found = [
        f"{name} {actual:,.0f} {unit} against {agreed:,.0f}"
        for name, actual, agreed, unit in (
            ("sent", limit.sent_bytes_per_s_max, terms.bytes_per_s_max, "B/s"),
            ("received", limit.received_bytes_per_s_max, terms.bytes_per_s_max, "B/s"),
            ("burst", limit.burst_bytes_max, terms.burst_bytes_max, "B"),
        )
        if actual > agreed
    ]
    return f"{limit.pod}: {', '.join(found)}" if found else None


def hold_against(running: Running, terms: LimitEnforced, *, unchanged: bool) -> tuple[Standing, tuple[str, ...]]:
    """How what runs stands to the terms, and why."""
    above = [text for limit in running.limits if (text := excess_of(limit, terms))]
    if above:
        return Standing.ABOVE, tuple(above)
    doubts = list(running.faults)
    if not running.limits and not doubts:
        doubts.append("no pod is limited")
    if not unchanged:
        doubts.append("somebody changed the rules while they were watched")
    if doubts:
        return Standing.UNKNOWN, tuple(doubts)
    return Standing.WITHIN, tuple(
        f"{limit.pod}: sent {limit.sent_bytes_per_s_max:,.0f} B/s, received {limit.received_bytes_per_s_max:,.0f} B/s, "
        f"burst {limit.burst_bytes_max:,.0f} B"
        for limit in running.limits
    )
