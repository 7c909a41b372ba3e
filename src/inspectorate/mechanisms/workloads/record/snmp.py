"""Power by SNMP: what a power distribution unit (PDU) measures at its outlets. Needs the extra `snmp` (pysnmp).

Procedure:

1. The outlets are walked once: for each signal the column of a table, for each outlet its name and, where the PDU states
   it, how many decimals its values have.
2. A poll gets the values that were found, a few dozen in a request. An outlet that answers with nothing has no row.

Rules: SNMP v2c or v3; a request waits `timeout_s` and is repeated once; a walk ends with the table, when names stop rising (an
agent that goes in circles), or after `OUTLETS_MAX` outlets; a poll as a whole has a deadline. Negative numbers are how PDUs
say "not measured" (PowerNet-MIB), and are absent. SNMP v2c authenticates nobody: keep it on a link of the verifier's, or use v3.

Source: RFC 3416 (GETBULK), RFC 7860 (SHA-2); the layouts name their MIBs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pyasn1.error import PyAsn1Error
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
    get_cmd,
)

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.workloads.record.reference import KWH_J, OUTLETS_MAX, WH_J
from inspectorate.mechanisms.workloads.record.source import Facts, Rows
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

REPETITIONS = 24
PER_REQUEST = 24
TIMEOUT_S = 2.0
POLL_S_MAX = 10.0

Index = tuple[int, ...]
Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where one signal stands: `oid` with the outlet's index, then `suffix`; times `factor`."""

    oid: str
    factor: float
    suffix: Index = ()


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The tables of one kind of PDU."""

    columns: Mapping[str, Column]
    names: str = ""
    """The column of the outlets' names; without one an outlet is called by its index."""
    decimals: str = ""
    """The column that says how many decimals a value has, under the index and suffix of the value."""


LAYOUTS = MappingProxyType(
    {
        # PowerNet-MIB (APC): rPDU2OutletMeteredStatusTable; power in W, energy in tenths of kWh.
        "apc": Layout(
            columns={
                "power_w": Column(oid="1.3.6.1.4.1.318.1.1.26.9.4.3.1.7", factor=1.0),
                "energy_j": Column(oid="1.3.6.1.4.1.318.1.1.26.9.4.3.1.11", factor=KWH_J / 10),
            },
            names="1.3.6.1.4.1.318.1.1.26.9.4.3.1.3",
        ),
        # PDU2-MIB (Raritan, Server Technology): measurementsOutletSensorValue by PDU, outlet and kind of sensor; activePower (5) in
        # W, activeEnergy (8) in Wh; outletSensorDecimalDigits; outletName.
        "pdu2": Layout(
            columns={
                "power_w": Column(oid="1.3.6.1.4.1.13742.6.5.4.3.1.4", factor=1.0, suffix=(5,)),
                "energy_j": Column(oid="1.3.6.1.4.1.13742.6.5.4.3.1.4", factor=WH_J, suffix=(8,)),
            },
            names="1.3.6.1.4.1.13742.6.3.5.3.1.3",
            decimals="1.3.6.1.4.1.13742.6.3.5.4.1.7",
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class SnmpAccess:
    """A community (v2c), or a user with both passwords (v3: HMAC-SHA-256, AES-128)."""

    community: str | None = None
    user: str = ""
    auth_password: str = ""
    privacy_password: str = ""

    def __repr__(self) -> str:
        return f"SnmpAccess({'a community' if self.community is not None else self.user})"


@dataclass(frozen=True, kw_only=True)
class Pdu:
    """Which agent is asked, and how."""

    address: str
    port: int
    access: SnmpAccess
    layout: Layout
    point: MeasuringPoint = MeasuringPoint.RACK
    timeout_s: float = TIMEOUT_S


@dataclass(kw_only=True)
class _Found:
    """What a walk found: where each value is asked, of which outlet and signal, and by what it is multiplied."""

    oids: list[str] = field(default_factory=list)
    meaning: list[tuple[str, str, float]] = field(default_factory=list)


class SnmpSource:
    """The outlets of one PDU. Raises `EnvironmentError_` where it does not answer, `EvidenceError` where it has no such table."""

    def __init__(self, pdu: Pdu, *, clock_ns: Callable[[], int]) -> None:
        self._pdu = pdu
        self._clock_ns = clock_ns
        self._where = f"SNMP agent {pdu.address}:{pdu.port}"
        self.facts = Facts(
            name=f"PDU {pdu.address}",
            point=pdu.point,
            signals=tuple(pdu.layout.columns),
            bandwidth_hz=None,
            note="outlet meters of PDUs measure over about a second, and agents keep values for some more",
        )
        self._loop = asyncio.new_event_loop()
        self._engine = SnmpEngine()
        try:
            self._found = self._run(self._discover())
        except BaseException:
            self.close()
            raise

    def poll(self) -> Samples:
        """One row per outlet. Raises `EnvironmentError_` where the agent does not answer in time."""
        answers, there_ns = self._run(self._get())
        values: dict[str, dict[str, float]] = {}
        for (unit, signal, factor), raw in zip(self._found.meaning, answers, strict=True):
            number = _number(raw)
            if number is not None and number >= 0:
                values.setdefault(unit, {})[signal] = number * factor
        rows = Rows(tuple(self._pdu.layout.columns))
        for unit, shown in values.items():
            rows.add(unit, there_ns, shown)
        samples = rows.samples()
        if not len(samples):
            raise EvidenceError("no outlet shows a measurement", where=self._where)
        return samples

    def close(self) -> None:
        self._engine.close_dispatcher()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, POLL_S_MAX))
        except TimeoutError:
            raise self._fault(f"did not answer within {POLL_S_MAX:g} s") from None
        except (PySnmpError, OSError) as fault:
            raise self._fault(str(fault)[:200]) from None

    def _fault(self, problem: str) -> EnvironmentError_:
        return EnvironmentError_(
            problem, where=self._where, remedy="check its address, community or user, and that it listens"
        )

    async def _target(self) -> UdpTransportTarget:
        return await UdpTransportTarget.create(
            (self._pdu.address, self._pdu.port), timeout=self._pdu.timeout_s, retries=1
        )

    async def _discover(self) -> _Found:
        """(1)"""
        target, layout = await self._target(), self._pdu.layout
        names = await self._walk(target, layout.names) if layout.names else {}
        decimals = await self._walk(target, layout.decimals) if layout.decimals else {}
        walked = {oid: await self._walk(target, oid) for oid in {column.oid for column in layout.columns.values()}}
        found = _Found()
        called: dict[str, Index] = {}
        for signal, column in layout.columns.items():
            for index in walked[column.oid]:
                if index[len(index) - len(column.suffix) :] != column.suffix:
                    continue
                outlet = index[: len(index) - len(column.suffix)]
                unit = _text(names.get(outlet)) or ".".join(map(str, outlet))
                if called.setdefault(unit, outlet) != outlet:
                    # Two outlets of one name are told apart by their place.
                    unit = f"{unit} ({'.'.join(map(str, outlet))})"
                digits = _number(decimals.get(index)) or 0.0
                found.oids.append(f"{column.oid}.{'.'.join(map(str, index))}")
                found.meaning.append((unit, signal, column.factor / 10.0 ** min(max(digits, 0.0), 9.0)))
        if not found.oids:
            raise EvidenceError("has no outlets in the tables of this layout", where=self._where)
        return found

    async def _walk(self, target: UdpTransportTarget, oid: str) -> dict[Index, Any]:
        """A column by index."""
        base = tuple(map(int, oid.split(".")))
        at: Index = base
        found: dict[Index, Any] = {}
        while len(found) < OUTLETS_MAX:
            asked = ObjectType(ObjectIdentity(".".join(map(str, at))))
            error, status, _, binds = await bulk_cmd(
                self._engine, self._access(), target, ContextData(), 0, REPETITIONS, asked, lookupMib=False
            )
            self._check(error, status)
            before = at
            for name, value in binds:
                full = tuple(name)
                if full[: len(base)] != base or full <= at or not hasattr(value, "tagSet"):
                    return found
                at = full
                found[full[len(base) :]] = value
            if at == before:
                return found
        return found

    async def _get(self) -> tuple[list[Any], int]:
        """(2)"""
        target = await self._target()
        answers: list[Any] = []
        for asked in _chunks(self._found.oids, PER_REQUEST):
            objects = [ObjectType(ObjectIdentity(oid)) for oid in asked]
            error, status, _, binds = await get_cmd(
                self._engine, self._access(), target, ContextData(), *objects, lookupMib=False
            )
            self._check(error, status)
            if len(binds) != len(asked):
                raise self._fault(f"gave {len(binds)} values where {len(asked)} were asked")
            answers += [bind[1] for bind in binds]
        return answers, self._clock_ns()

    def _check(self, error: Any, status: Any) -> None:
        if error or status:
            raise self._fault(f"refused: {error or status.prettyPrint()}"[:200])

    def _access(self) -> CommunityData | UsmUserData:
        access = self._pdu.access
        if access.community is not None:
            return CommunityData(access.community, mpModel=1)  # noqa: S508 - v2c is what most PDUs still offer; v3 is there too
        return UsmUserData(
            access.user,
            access.auth_password,
            access.privacy_password,
            authProtocol=USM_AUTH_HMAC192_SHA256,
            privProtocol=USM_PRIV_CFB128_AES,
        )


def _chunks(oids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (oids[first : first + size] for first in range(0, len(oids), size))


def _number(value: Any) -> float | None:
    """An integer of any of SNMP's kinds; whatever else an agent gives (no such instance, text) is none."""
    try:
        return float(int(value))
    except (TypeError, ValueError, PyAsn1Error):
        return None


def _text(value: Any) -> str:
    try:
        return bytes(value).decode("utf-8", "replace").strip()[:200] if value is not None else ""
    except (TypeError, ValueError, PyAsn1Error):
        return ""
