"""What was declared: the fleet as the prover states it, down to pods, and the sensors and meters with who holds each.

- `types`: Fleet, Site, Cluster, Pod, ChipGroup, Link, Wire, Sensor, Meter, Reporter, WorkloadClaim.
- `catalogue`: chip models with peak rates per number format, memory and power, each with its source.
- `load`: YAML or JSON to those types.

A declaration is a claim. Nothing in it is evidence, and what it says of capacity is checked against the chip catalogue,
not believed.
"""

from inspectorate.declaration.catalogue import ChipModel, chip_catalogue
from inspectorate.declaration.load import load_declaration, parse_declaration
from inspectorate.declaration.types import (
    ChipGroup,
    Cluster,
    Current,
    Declaration,
    Link,
    MeasuringPoint,
    Meter,
    Pod,
    Position,
    Reporter,
    ReporterKind,
    Sensor,
    SensorKind,
    Site,
    Wire,
    WorkloadClaim,
    WorkloadKind,
)

__all__ = [
    "ChipGroup",
    "ChipModel",
    "Cluster",
    "Current",
    "Declaration",
    "Link",
    "MeasuringPoint",
    "Meter",
    "Pod",
    "Position",
    "Reporter",
    "ReporterKind",
    "Sensor",
    "SensorKind",
    "Site",
    "Wire",
    "WorkloadClaim",
    "WorkloadKind",
    "chip_catalogue",
    "load_declaration",
    "parse_declaration",
]
