"""Redfish over real HTTP: an authored tree that follows the schemas of DMTF, and controllers that do not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from record_support import Answer, send, serving

from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.workloads.record.fetch import HttpAccess
from inspectorate.mechanisms.workloads.record.redfish import RedfishSource, environment_values, power_values

ROOT = "/redfish/v1/Chassis"
TREE: dict[str, object] = {
    ROOT: {
        "@odata.id": ROOT,
        "@odata.type": "#ChassisCollection.ChassisCollection",
        "Members": [{"@odata.id": f"{ROOT}/1U"}, {"@odata.id": f"{ROOT}/HGX"}, {"@odata.id": f"{ROOT}/Bay"}],
    },
    f"{ROOT}/1U": {
        "@odata.type": "#Chassis.v1_25_0.Chassis", "Id": "1U", "Power": {"@odata.id": f"{ROOT}/1U/Power"},
    },
    f"{ROOT}/1U/Power": {
        "@odata.type": "#Power.v1_7_1.Power",
        "PowerControl": [
            {"MemberId": "0", "Name": "System Input Power", "PowerConsumedWatts": 8344, "PowerCapacityWatts": 12000},
            {"MemberId": "1", "Name": "CPU Sub-system", "PowerConsumedWatts": 512.5},
            {"MemberId": "2", "Name": "Fans", "PowerConsumedWatts": None},
        ],
        "PowerSupplies": [
            {"MemberId": "0", "Name": "PSU 1", "PowerInputWatts": 4180.0, "PowerOutputWatts": 3990},
            {"MemberId": "1", "Name": "PSU 2", "PowerInputWatts": 4164.0},
            {"MemberId": "2", "Name": "PSU 3", "Status": {"State": "Absent"}},
        ],
    },
    f"{ROOT}/HGX": {
        "@odata.type": "#Chassis.v1_25_0.Chassis", "Id": "HGX",
        "EnvironmentMetrics": {"@odata.id": f"{ROOT}/HGX/EnvironmentMetrics"},
        "Power": {"@odata.id": f"{ROOT}/HGX/Power"},
    },
    f"{ROOT}/HGX/EnvironmentMetrics": {
        "@odata.type": "#EnvironmentMetrics.v1_3_0.EnvironmentMetrics",
        "PowerWatts": {"DataSourceUri": f"{ROOT}/HGX/Sensors/Total", "Reading": 6021.25},
        "EnergykWh": {"Reading": 1234.5},
    },
    f"{ROOT}/HGX/Power": {"PowerControl": [{"Name": "HGX", "PowerConsumedWatts": 6000}]},
    f"{ROOT}/Bay": {"@odata.type": "#Chassis.v1_25_0.Chassis", "Id": "Bay"},
}  # fmt: skip


def tree(resources: Mapping[str, object], *, password: str = "") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if password and password not in str(handler.headers.get("Authorization")):
            send(handler, b"{}", status=401)
        elif handler.path in resources:
            body = resources[handler.path]
            send(handler, body if isinstance(body, bytes) else json.dumps(body).encode(), OData_Version="4.0")
        else:
            send(handler, b"{}", status=404)

    return answer


def polled(source: RedfishSource) -> dict[str, dict[str, float]]:
    found = source.poll()
    return {
        found.units[unit]: {s: float(v) for s, v in zip(found.signals, row, strict=True) if not np.isnan(v)}
        for unit, row in zip(found.unit, found.values, strict=True)
    }


def test_chassis_parts_and_supplies_with_their_power_and_energy() -> None:
    with serving(tree(TREE)) as url:
        shown = polled(RedfishSource(url, clock_ns=time.time_ns))
    assert shown == {
        "1U": {"power_w": 8344.0},
        "1U/CPU Sub-system": {"power_w": 512.5},
        "1U/PSU 1": {"power_w": 4180.0},
        "1U/PSU 2": {"power_w": 4164.0},
        "HGX": {"power_w": 6021.25, "energy_j": 1234.5 * 3.6e6},
    }


def test_a_controller_that_asks_for_a_password_gets_it() -> None:
    with serving(tree(TREE, password="Basic dTpw")) as url:
        with pytest.raises(EnvironmentError_, match="answers 401"):
            RedfishSource(url, clock_ns=time.time_ns)
        assert polled(RedfishSource(url, clock_ns=time.time_ns, access=HttpAccess(user="u", password="p")))


def test_one_chassis_that_does_not_answer_leaves_a_gap_and_all_of_them_are_a_fault() -> None:
    resources = dict(TREE)
    with serving(tree(resources)) as url:
        source = RedfishSource(url, clock_ns=time.time_ns)
        del resources[f"{ROOT}/1U/Power"]
        assert set(polled(source)) == {"HGX"}
        resources.pop(f"{ROOT}/HGX/EnvironmentMetrics")
        assert polled(source) == {"HGX": {"power_w": 6000.0}}
        resources.pop(f"{ROOT}/HGX/Power")
        with pytest.raises(EnvironmentError_, match="answers 404"):
            source.poll()


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({ROOT: b"not json"}, "is not JSON"),
        ({ROOT: b"[" * 100_000}, "is not JSON"),
        ({ROOT: []}, "is not a JSON object"),
        ({ROOT: {"Members": {}}}, "lists no members"),
        ({ROOT: {"Members": []}}, "lists no chassis"),
        ({ROOT: {"Members": [{"@odata.id": f"{ROOT}/Bay"}]}}, "lists no chassis"),
        ({ROOT: {"Members": [{"@odata.id": f"{ROOT}/1U"}] * 65}}, "lists 65 chassis"),
        ({ROOT: b" " * (2 * 1024 * 1024 + 1)}, "exceeds"),
        (
            {ROOT: {"Members": [{"@odata.id": "http://192.0.2.1/x"}, {"@odata.id": "//192.0.2.1/x"}, 5]}},
            "lists no chassis",
        ),
    ],
)
def test_a_tree_that_is_none_is_a_named_fault(changed: dict[str, object], fault: str) -> None:
    with serving(tree({**TREE, **changed})) as url, pytest.raises(EvidenceError, match=fault):
        RedfishSource(url, clock_ns=time.time_ns)


@pytest.mark.parametrize("value", [None, "12", True, {"a": 1}, [1]])
def test_what_is_no_number_is_absent_and_never_zero(value: object) -> None:
    assert environment_values({"PowerWatts": {"Reading": value}, "EnergykWh": value}) == {}
    assert power_values({"PowerControl": [{"PowerConsumedWatts": value}], "PowerSupplies": value}, "c") == {}


def test_a_number_beyond_all_bounds_is_absent() -> None:
    assert (
        environment_values(
            json.loads('{"PowerWatts": {"Reading": 1e999}, "EnergykWh": {"Reading": 1%s}}' % ("0" * 400))
        )
        == {}
    )
