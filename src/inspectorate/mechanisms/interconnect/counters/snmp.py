"""SNMP: the interface counters of an agent, polled. Needs the extra `snmp` (pysnmp).

Procedure (`SnmpSource.poll`):

1. One walk of ifXTable by GETBULK: name, 64-bit octets and packets both ways, speed, discontinuity time; sysUpTime comes with
   every answer. All counters of a row are asked in one request, so they are of one moment.
2. Where an agent has no ifXTable counters of 64 bits, ifTable's 32-bit ones are walked instead.
3. A row counts from its discontinuity time on, or since the agent started: start = now - sysUpTime, held to one value as long as
   it agrees with the one before within `START_SLACK_S`, on a clock that nobody sets. When it does not, the agent was restarted.

Rules: SNMP v2c or v3; a request waits `timeout_s` and is repeated once; a walk ends with the table, when names stop rising (an
agent that goes in circles), or after `ROWS_MAX` rows, whichever comes first; a poll as a whole has a deadline. What an agent
caches makes its values old: `cache_s` is added to their age. SNMP v2c authenticates nobody: keep it on loopback or on a
link of the verifier, or use v3.

Source: RFC 2863 (ifTable, ifXTable, ifCounterDiscontinuityTime), RFC 3418 (sysUpTime), RFC 3416 (GETBULK), RFC 7860 (SHA-2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC192_SHA256,
    USM_PRIV_CFB128_AES,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    UsmUserData,
    bulk_cmd,
)

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading

ROWS_MAX = 4_096
REPETITIONS = 16
START_SLACK_S = 3.0
"""sysUpTime has hundredths of a second; what is left is the way of an answer, and the drift of the agent's clock in a poll."""
TICK_NS = 10_000_000
TICKS = 1 << 32
"""sysUpTime goes round after 497 days."""

SYS_UPTIME = "1.3.6.1.2.1.1.3"
_IF_X = "1.3.6.1.2.1.31.1.1.1"
_IF = "1.3.6.1.2.1.2.2.1"
WIDE: Mapping[str, str] = {
    "name": f"{_IF_X}.1",
    "in_octets": f"{_IF_X}.6",
    "in_unicast": f"{_IF_X}.7",
    "in_multicast": f"{_IF_X}.8",
    "in_broadcast": f"{_IF_X}.9",
    "out_octets": f"{_IF_X}.10",
    "out_unicast": f"{_IF_X}.11",
    "out_multicast": f"{_IF_X}.12",
    "out_broadcast": f"{_IF_X}.13",
    "speed_mbit": f"{_IF_X}.15",
    "discontinuity": f"{_IF_X}.19",
}
NARROW: Mapping[str, str] = {
    "name": f"{_IF}.2",
    "speed_bit": f"{_IF}.5",
    "in_octets": f"{_IF}.10",
    "in_unicast": f"{_IF}.11",
    "out_octets": f"{_IF}.16",
    "out_unicast": f"{_IF}.17",
}


@dataclass(frozen=True, kw_only=True)
class Community:
    """SNMP v2c: a name that anyone on the way can read."""

    name: str


@dataclass(frozen=True, kw_only=True)
class User:
    """SNMP v3 with authentication (HMAC-SHA-256) and privacy (AES-128)."""

    name: str
    auth_password: str
    privacy_password: str


@dataclass(frozen=True, kw_only=True)
class SnmpAgent:
    """Which agent is asked, and how."""

    node: str
    address: str
    port: int
    access: Community | User
    timeout_s: float = 2.0
    poll_s_max: float = 10.0
    cache_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row of a table, the time at which its request was sent and its answer came, and the agent's uptime then."""

    cells: Mapping[str, Any]
    sent_ns: int
    answered_ns: int
    uptime_ticks: int
    monotonic_ns: int


class SnmpSource:
    """Polls one agent. Every poll is a run of its own; between polls only the start of the agent is remembered."""

    def __init__(
        self,
        agent: SnmpAgent,
        *,
        clock_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        narrow_only: bool = False,
    ) -> None:
        self._agent = agent
        self._clock_ns = clock_ns
        self._monotonic_ns = monotonic_ns
        self._narrow_only = narrow_only
        self._start: tuple[int, int] | None = None

    def poll(self) -> tuple[Reading, ...]:
        """The readings of all interfaces now. Raises `EnvironmentError_` where the agent does not answer in time."""
        try:
            return asyncio.run(asyncio.wait_for(self._poll(), self._agent.poll_s_max))
        except TimeoutError:
            raise self._fault(f"did not answer within {self._agent.poll_s_max:g} s") from None
        except (PySnmpError, OSError) as fault:
            raise self._fault(str(fault)[:200]) from None

    def _fault(self, problem: str) -> EnvironmentError_:
        return EnvironmentError_(
            problem,
            where=f"SNMP agent {self._agent.address}:{self._agent.port}",
            remedy="check its address, community or user, and that it listens",
        )

    async def _poll(self) -> tuple[Reading, ...]:
        engine = SnmpEngine()
        try:
            target = await UdpTransportTarget.create(
                (self._agent.address, self._agent.port), timeout=self._agent.timeout_s, retries=1
            )
            # (1)
            rows = [] if self._narrow_only else await self._walk(engine, target, WIDE)
            wide = [row for row in rows if {"in_octets", "out_octets"} <= row.cells.keys()]
            if wide:
                return tuple(self._reading(row, 64) for row in wide)
            # (2)
            rows = await self._walk(engine, target, NARROW)
            return tuple(self._reading(row, 32) for row in rows if {"in_octets", "out_octets"} <= row.cells.keys())
        finally:
            engine.close_dispatcher()

    async def _walk(self, engine: SnmpEngine, target: UdpTransportTarget, columns: Mapping[str, str]) -> list[_Row]:
        """The rows of a table, with the columns that the agent has."""
        names, bases = list(columns), [tuple(map(int, oid.split("."))) for oid in columns.values()]
        at = list(columns.values())
        rows: dict[tuple[int, ...], _Row] = {}
        latest: tuple[int, ...] = ()
        while len(rows) < ROWS_MAX:
            sent_ns = self._clock_ns()
            binds = await self._bulk(engine, target, at)
            answered_ns, monotonic_ns = self._clock_ns(), self._monotonic_ns()
            uptime = int(binds[0][1])
            stride = len(names)
            ended = False
            for first in range(1, len(binds) - stride + 1, stride):
                cells: dict[tuple[int, ...], dict[str, Any]] = {}
                for place, (oid, value) in enumerate(binds[first : first + stride]):
                    full, base = tuple(oid), bases[place]
                    if full[: len(base)] == base and hasattr(value, "tagSet"):
                        cells.setdefault(full[len(base) :], {})[names[place]] = value
                # Sparse columns run ahead: a row is made of the cells with the lowest index, the others are asked again.
                index = min(cells, default=())
                if not cells or index <= latest:
                    ended = True
                    break
                latest = index
                rows[index] = _Row(
                    cells=cells[index], sent_ns=sent_ns, answered_ns=answered_ns, uptime_ticks=uptime,
                    monotonic_ns=monotonic_ns,
                )  # fmt: skip
                if len(cells) > 1:
                    break
            if ended or len(binds) <= stride:
                break
            at = [f"{oid}.{'.'.join(map(str, latest))}" for oid in columns.values()]
        return list(rows.values())

    async def _bulk(self, engine: SnmpEngine, target: UdpTransportTarget, at: list[str]) -> list[tuple[Any, Any]]:
        asked = [ObjectType(ObjectIdentity(oid)) for oid in (SYS_UPTIME, *at)]
        error, status, _, binds = await bulk_cmd(
            engine, self._access(), target, ContextData(), 1, REPETITIONS, *asked, lookupMib=False
        )
        if error or status:
            raise self._fault(f"refused: {error or status.prettyPrint()}"[:200])
        if not binds or tuple(binds[0][0])[:-1] != tuple(map(int, SYS_UPTIME.split("."))):
            raise self._fault("gave no sysUpTime")
        return [(bind[0], bind[1]) for bind in binds]

    def _access(self) -> CommunityData | UsmUserData:
        match self._agent.access:
            case Community(name=name):
                return CommunityData(name, mpModel=1)  # noqa: S508 - v2c is what most switches still offer; v3 is there too
            case User() as user:
                return UsmUserData(
                    user.name,
                    user.auth_password,
                    user.privacy_password,
                    authProtocol=USM_AUTH_HMAC192_SHA256,
                    privProtocol=USM_PRIV_CFB128_AES,
                )

    def _reading(self, row: _Row, bits: int) -> Reading:
        cells = row.cells
        counts = {name: int(cells[name]) for name in ("in_octets", "out_octets")}
        kinds = ("unicast", "multicast", "broadcast") if bits == 64 else ("unicast",)
        # Narrow packet counters leave out multicast, and sums of them do not wrap where their parts do.
        if bits == 64 and all(f"{way}_{kind}" in cells for way in ("in", "out") for kind in kinds):
            for way in ("in", "out"):
                counts[f"{way}_packets"] = sum(int(cells[f"{way}_{kind}"]) for kind in kinds) % (1 << 64)
        speed = int(cells.get("speed_mbit", 0)) * 1_000_000 or int(cells.get("speed_bit", 0))
        if bits == 32 and speed == TICKS - 1:
            speed = 0  # "faster than can be said", RFC 2863
        try:
            return Reading(
                port=Port(
                    self._agent.node, bytes(cells["name"]).decode("utf-8", "replace") if "name" in cells else "?"
                ),
                time_ns=row.answered_ns,
                age_ns=max(0, row.answered_ns - row.sent_ns) + round(self._agent.cache_s * 1e9),
                epoch_ns=self._start_ns(row) + int(cells.get("discontinuity", 0)) * TICK_NS,
                bits=bits,
                speed_bits_per_s=speed,
                **counts,
            )
        except ValueError as fault:
            raise self._fault(f"gave no reading: {fault}") from None

    def _start_ns(self, row: _Row) -> int:
        """When the agent started (3), on the wall clock of the first answer since then."""
        start = row.monotonic_ns - row.uptime_ticks * TICK_NS
        if self._start is not None:
            apart = (start - self._start[0] + TICKS * TICK_NS // 2) % (TICKS * TICK_NS) - TICKS * TICK_NS // 2
            if abs(apart) <= START_SLACK_S * 1e9:
                self._start = (start, self._start[1])
                return self._start[1]
        self._start = (start, row.answered_ns - row.uptime_ticks * TICK_NS)
        return self._start[1]
