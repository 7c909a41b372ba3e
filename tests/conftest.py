"""What all tests share: settings of hypothesis, tests that race against the clock, and where the real data sets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("inspectorate", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("inspectorate")

ROOT = Path(__file__).resolve().parents[1]


TIMED = {
    "collector": {"test_collect_cli"},
    "counters": {"test_snmp"},
    "custody": {"test_counting_browser", "test_location_cli", "test_location_udp"},
    "enforce": {"test_gateway", "test_loading"},
    "flows": {"test_nfdump"},
    "guarantee": {
        "test_interlock_holding", "test_interlock_hostile", "test_interlock_serving", "test_interlock_upload", "test_metering_real"
    },
    "heard": {"test_forms_browser", "test_pages_browser", "test_web_load", "test_web_server", "test_web_serving", "test_web_tor"},
    "lab": {"test_gateway_on_the_bench", "test_lab", "test_trials_bench"},
    "record": {"test_collect_telemetry", "test_exporter", "test_linux", "test_nvml", "test_pdu", "test_processes"},
    "report": {"test_report_browser"},
    "topology": {"test_topology_readers"},
}  # fmt: skip
"""Tests of real daemons, links, browsers and training, against the clock. A machine that stands still for a second while others use
it fails them and says nothing of the program: so they may be run three times, and each time more is in the summary (`RERUN`)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in TIMED.get(item.path.parent.name, ()):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data sets, which are no part of the project. Skips where they are absent."""
    folder = Path(os.environ.get("INSPECTORATE_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; INSPECTORATE_DATA may say where it is")
    return folder
