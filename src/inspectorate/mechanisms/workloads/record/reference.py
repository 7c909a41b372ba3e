"""Constants of the recorder, each with its source."""

from __future__ import annotations

from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN

EVERY_S_MIN = 0.01
"""Polls of one meter may not come closer: /proc counts processor time in hundredths of a second (USER_HZ, proc(5))."""

SCRAPE_BYTES_MAX = 8 * 1024 * 1024
"""One page of an exporter. DCGM's shows about 15 kB for a host of 8 chips (dcgm-exporter, default counters)."""
JSON_BYTES_MAX = 2 * 1024 * 1024
"""One Redfish resource."""
FETCH_S_MAX = 10.0
"""A request as a whole; a server that sends a byte at a time is cut off here."""
SOCKET_S_MAX = 5.0
"""A connection, or one wait for the next bytes."""

CHASSIS_MAX = 64
SUPPLIES_MAX = 64
OUTLETS_MAX = 4_096
DEVICES_MAX = 1_024

BLANK = 9_223_372_036_854_775_792.0
"""DCGM_INT64_BLANK (dcgm_fields.h): what a value that the driver itself calls not available is recorded as. The reader knows it
for what it is (`signals.SENTINEL_MIN`), and counts it."""
NOT_AVAILABLE_32 = 0xFFFF_FFFF
"""NVML_VALUE_NOT_AVAILABLE (-1) in an unsigned field of 32 bits (NVML API reference, constants)."""

WH_J = 3_600.0
KWH_J = 3.6e6
USER_HZ_NOTE = "processor time in hundredths of a second: beyond 1 Hz it shows whole steps"

NVML_NOTE = (
    "power_w is a mean over 1 s from Ampere on (not GA100), and on A100 and H100 a sample of part of it; energy_j moves every "
    "20 to 100 ms (NVML API reference; arXiv 2312.02741)"
)
POWER_SUPPLY_NOTE = (
    "what a supply draws; its capacitors smooth steps shorter than about 0.1 s, and controllers average on"
)


def scaled(raw: float, factor: float, *, bits: int = 32) -> float:
    """A raw value in its unit. A sentinel stays one: scaled, it would look like a measurement."""
    if raw >= SENTINEL_MIN:
        return raw
    if bits == 32 and raw == NOT_AVAILABLE_32:
        return BLANK
    return raw * factor
