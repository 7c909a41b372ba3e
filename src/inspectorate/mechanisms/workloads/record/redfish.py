"""Power by Redfish: what the management controller of a host or a rack measures of each chassis and of its power supplies.

Procedure:

1. The chassis are listed once (`/redfish/v1/Chassis`), with where each keeps `Power` and `EnvironmentMetrics`.
2. At each poll both are asked. `PowerWatts.Reading` of EnvironmentMetrics is the chassis's power, and `EnergykWh.Reading` its
   energy; where there is no such reading, `PowerControl[0].PowerConsumedWatts` is its power. Further entries of PowerControl are
   units of their own (CHASSIS/NAME), and so are power supplies that say what they draw (`PowerInputWatts`).
3. A resource that does not answer, or is not there, leaves its units without a row; a poll in which all of them do fails.

Rules: links lead to the same server only; answers, chassis and supplies are bounded; null means "not measured", and is absent.

Source: DMTF DSP0266 (Redfish), schemas Power 1.7 and EnvironmentMetrics 1.3 (DSP0268).
"""

from __future__ import annotations

import json
import math
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.workloads.record.fetch import Fetcher, HttpAccess
from inspectorate.mechanisms.workloads.record.reference import (
    CHASSIS_MAX,
    JSON_BYTES_MAX,
    KWH_J,
    POWER_SUPPLY_NOTE,
    SUPPLIES_MAX,
)
from inspectorate.mechanisms.workloads.record.source import Facts, Rows
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

SIGNALS = ("power_w", "energy_j")
CHASSIS = "/redfish/v1/Chassis"


@dataclass(frozen=True, kw_only=True)
class Chassis:
    """One chassis, and the paths at which its measurements are asked; empty where it has none."""

    name: str
    power: str
    environment: str


class RedfishSource:
    """One controller. Raises `EnvironmentError_` or `EvidenceError` where it shows no chassis that measures."""

    def __init__(
        self,
        url: str,
        *,
        clock_ns: Callable[[], int],
        point: MeasuringPoint = MeasuringPoint.NODE,
        access: HttpAccess | None = None,
        anywhere: bool = False,
    ) -> None:
        self._fetcher = Fetcher(url, access=access, anywhere=anywhere, accept="application/json")
        self._clock_ns = clock_ns
        self.facts = Facts(
            name=f"Redfish {url}", point=point, signals=SIGNALS, bandwidth_hz=None, note=POWER_SUPPLY_NOTE
        )
        # (1)
        self._chassis = tuple(self._list())
        if not self._chassis:
            raise EvidenceError("lists no chassis with Power or EnvironmentMetrics", where=url)

    def poll(self) -> Samples:
        """Raises `EnvironmentError_` where no chassis showed anything."""
        rows = Rows(SIGNALS)
        fault: EnvironmentError_ | EvidenceError | None = None
        for chassis in self._chassis:
            values: dict[str, float] = {}
            if chassis.environment:
                try:
                    values = environment_values(self._get(chassis.environment))
                except (EnvironmentError_, EvidenceError) as found:
                    fault = found
            units: dict[str, dict[str, float]] = {}
            if chassis.power:
                try:
                    units = power_values(self._get(chassis.power), chassis.name)
                except (EnvironmentError_, EvidenceError) as found:
                    fault = found
            # (2)
            units[chassis.name] = units.get(chassis.name, {}) | values
            now_ns = self._clock_ns()
            for unit, shown in units.items():
                rows.add(unit, now_ns, shown)
        samples = rows.samples()
        if not len(samples):
            # (3)
            raise fault or EvidenceError("no chassis shows a measurement", where=self._fetcher.url)
        return samples

    def close(self) -> None:
        """Nothing is kept open between polls."""

    def _list(self) -> Iterator[Chassis]:
        members = self._get(CHASSIS).get("Members")
        if not isinstance(members, list):
            raise EvidenceError("lists no members", where=CHASSIS)
        if len(members) > CHASSIS_MAX:
            raise EvidenceError(f"lists {len(members)} chassis, more than {CHASSIS_MAX}", where=CHASSIS)
        for member in members:
            path = _link(member)
            if not path:
                continue
            found = self._get(path)
            chassis = Chassis(
                name=str(found.get("Id") or path.rstrip("/").rpartition("/")[2])[:200],
                power=_link(found.get("Power")),
                environment=_link(found.get("EnvironmentMetrics")),
            )
            if chassis.power or chassis.environment:
                yield chassis

    def _get(self, path: str) -> Mapping[str, Any]:
        data = self._fetcher.get(path, bytes_max=JSON_BYTES_MAX)
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise EvidenceError("is not JSON", where=path) from None
        if not isinstance(found, dict):
            raise EvidenceError("is not a JSON object", where=path)
        return found


def environment_values(found: Mapping[str, Any]) -> dict[str, float]:
    """Power and energy of an EnvironmentMetrics resource."""
    values: dict[str, float] = {}
    for signal, field, factor in (("power_w", "PowerWatts", 1.0), ("energy_j", "EnergykWh", KWH_J)):
        excerpt = found.get(field)
        reading = _number(excerpt.get("Reading")) if isinstance(excerpt, dict) else None
        if reading is not None:
            values[signal] = reading * factor
    return values


def power_values(found: Mapping[str, Any], chassis: str) -> dict[str, dict[str, float]]:
    """Units of a Power resource: the chassis, further power controls, supplies."""
    units: dict[str, dict[str, float]] = {}
    for place, control in enumerate(_entries(found.get("PowerControl"))):
        name = chassis if place == 0 else f"{chassis}/{_name_of(control, place)}"
        if (watts := _number(control.get("PowerConsumedWatts"))) is not None:
            units.setdefault(name, {})["power_w"] = watts
    for place, supply in enumerate(_entries(found.get("PowerSupplies"))):
        if (watts := _number(supply.get("PowerInputWatts"))) is not None:
            units.setdefault(f"{chassis}/{_name_of(supply, place)}", {})["power_w"] = watts
    return units


def _entries(listed: object) -> list[Mapping[str, Any]]:
    if not isinstance(listed, list):
        return []
    return [entry for entry in listed[:SUPPLIES_MAX] if isinstance(entry, dict)]


def _name_of(entry: Mapping[str, Any], place: int) -> str:
    return str(entry.get("Name") or entry.get("MemberId") or place)[:200]


def _link(entry: object) -> str:
    """The path of a link. Another server, or no path at all, is no link."""
    path = entry.get("@odata.id") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path.startswith("/") or len(path) > 1_000:
        return ""
    parts = urllib.parse.urlsplit(path)
    return "" if parts.netloc or parts.scheme else path


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value) if abs(value) < 1e300 else math.inf
    return number if math.isfinite(number) else None
