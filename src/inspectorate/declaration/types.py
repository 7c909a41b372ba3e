"""The nouns of a declaration: fleet -> sites -> clusters -> pods -> chips, with links, sensors, meters and workload claims."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.declaration.catalogue import ChipModel, chip_catalogue
from inspectorate.keys import Holder, KeyText
from inspectorate.quantities import Period, Positive

PODS_MAX = 20_000


def _is_network(value: str) -> str:
    network = ipaddress.ip_network(value)
    if str(network) != value:
        raise ValueError(f"write the network as {network}")
    return value


Network = Annotated[str, AfterValidator(_is_network)]


class ChipGroup(Record):
    """So many chips of one model of the catalogue."""

    model: Identifier
    count: Annotated[int, Field(ge=1, le=10_000_000)]

    @property
    def chip(self) -> ChipModel:
        return chip_catalogue()[self.model]

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model not in chip_catalogue():
            raise ValueError(f"chip {self.model!r} is not in the catalogue; `inspectorate agreement chips` lists it")
        return self


class Pod(Record):
    """Chips with high bandwidth among themselves and one link to all else."""

    id: Identifier
    chips: tuple[ChipGroup, ...] = Field(min_length=1)
    networks: tuple[Network, ...] = Field(min_length=1, description="the addresses that belong to the pod")
    peers: tuple[Identifier, ...] = Field(default=(), description="pods with which it openly exchanges traffic")

    def peak_flop_per_s(self, formats: tuple[str, ...]) -> float:
        """The pod's peak rate [FLOP/s] in whichever of `formats` is fastest, chip by chip."""
        return sum(group.count * group.chip.peak_flop_per_s(formats) for group in self.chips)


class Link(Record):
    """The way in and out of a pod."""

    pod: Identifier
    bytes_per_s_max: Positive = Field(description="what the hardware can carry in each direction")


class SensorKind(StrEnum):
    FLOW_EXPORT = "flow-export"
    """NetFlow, IPFIX or sFlow of a pod's link."""
    TAP = "tap"
    """A capture (pcap) of every packet that crosses the link."""
    FLOW_LINES = "flow-lines"
    """Flows that GoFlow2 decoded, as JSON lines. Only lower bounds come of them."""
    COUNTERS = "counters"
    """Counters of the ports that face the pod, as JSON lines. They bound all traffic, and do not say with whom. Here
    `active_timeout_s` is how old a value may be when it is read."""


class Sensor(Record):
    """Something that observes, and who holds it."""

    id: Identifier
    kind: SensorKind
    holder: Holder
    pod: Identifier = Field(description="the pod whose link it observes")
    silence_s_max: Positive = Field(
        description="it reports at least this often, traffic or not; longer silence is a gap"
    )
    active_timeout_s: Positive = Field(description="a flow that goes on is reported at least this often")
    sampling_rate: Annotated[int, Field(ge=1)] = Field(default=1, description="one packet in so many is looked at")


class MeasuringPoint(StrEnum):
    """Where a meter of telemetry measures. Every stage above the chip is a low-pass filter."""

    CHIP = "chip"
    """One series per accelerator, as the accelerator or its driver tells it."""
    NODE = "node"
    """One series per host: its power inlet or its own counters."""
    RACK = "rack"
    """One series per outlet or per rack, at a power distribution unit."""
    GATEWAY = "gateway"
    """Counters of the link of a pod."""


class Current(StrEnum):
    """Before or after the power supply."""

    AC = "ac"
    DC = "dc"


class Meter(Record):
    """Something that samples power, load or traffic of chips, nodes or racks, and who holds it."""

    id: Identifier
    holder: Holder
    point: MeasuringPoint
    pods: tuple[Identifier, ...] = Field(min_length=1, description="the pods whose load it measures")
    units: tuple[Text, ...] = Field(min_length=1, max_length=1_000_000, description="what its telemetry calls them")
    signals: tuple[Identifier, ...] = Field(min_length=1, max_length=64, description="what it samples of each unit")
    sampled_every_s: Positive
    bandwidth_hz: Positive | None = Field(default=None, description="what it still sees of a change; none: not known")
    current: Current | None = Field(default=None, description="of a power meter")
    silence_s_max: Positive = Field(description="it samples at least this often; longer silence is a gap")
    feeds: tuple[Identifier, ...] = Field(
        default=(), description="meters whose whole load passes through this one: a rack's nodes, a node's chips"
    )


class ReporterKind(StrEnum):
    GATEWAY = "gateway"
    """Enforces limits on the links of pods, and attests what it enforces."""
    CABLING = "cabling"
    """Says what is wired to what: switches by LLDP or by the subnet manager, an inspector by looking."""
    GUARD = "guard"
    """A guarantee processor: enforces a ruleset on the path of the chips of its pods."""
    TRANSCRIPTS = "transcripts"
    """The operator's own record of the work of its pods: commits to it, and opens what is drawn."""
    ROSTER = "roster"
    """The operator's own list of who works on its pods, under pseudonyms: commits to it, and opens what is drawn."""
    REGISTER = "register"
    """The operator's own register of chips: hands it over, notifies transfers, and reports every change."""
    CAMERA = "camera"
    """A camera with its watcher, before racks of its pods."""
    LOCATED = "located"
    """A device beside the chips of its pods that answers timed challenges, so that it can be located."""


class Reporter(Record):
    """Something that makes statements about several pods at once, and who holds it."""

    id: Identifier
    kind: ReporterKind
    holder: Holder
    pods: tuple[Identifier, ...] = Field(min_length=1)
    key: KeyText | None = Field(default=None, description="with which a located device signs its answers")


class Position(Record):
    """A place on the Earth (WGS 84)."""

    latitude_deg: Annotated[float, Field(ge=-90, le=90)]
    longitude_deg: Annotated[float, Field(ge=-180, le=180)]


class Wire(Record):
    """One declared cable between two ports. A node is a pod, a gateway, a switch, or what else stands there."""

    node: Identifier
    port: Text
    other_node: Identifier
    other_port: Text
    bytes_per_s_max: Positive = Field(description="what it can carry in each direction")


class WorkloadKind(StrEnum):
    INFERENCE = "inference"
    TRAINING = "training"
    IDLE = "idle"
    OTHER = "other"


class WorkloadClaim(Record):
    """What the prover says some pods did."""

    id: Identifier
    kind: WorkloadKind
    pods: tuple[Identifier, ...] = Field(min_length=1)
    period: Period
    description: Text
    workload: Identifier | None = Field(default=None, description="the enrolled workload that it is said to be")
    code: Digest | None = Field(default=None, description="digest of the code and configuration that ran")


class Cluster(Record):
    id: Identifier
    pods: tuple[Pod, ...] = Field(min_length=1)


class Site(Record):
    id: Identifier
    location: Text
    position: Position | None = None
    clusters: tuple[Cluster, ...] = Field(min_length=1)
    links: tuple[Link, ...] = ()
    sensors: tuple[Sensor, ...] = ()
    reporters: tuple[Reporter, ...] = ()
    meters: tuple[Meter, ...] = ()
    cabling: tuple[Wire, ...] = Field(default=(), description="every cable of the site that ends at a pod or a switch")


class Declaration(Record):
    """The fleet of one party over one period."""

    id: Identifier
    party: Identifier
    period: Period
    sites: tuple[Site, ...] = Field(min_length=1)
    claims: tuple[WorkloadClaim, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pods = [pod.id for pod in self.pods]
        if len(pods) > PODS_MAX:
            raise ValueError(f"{len(pods)} pods are more than {PODS_MAX}")
        _refuse_repeats("pod", pods)
        # Anchors give keys to sensors, meters and reporters by one list of names.
        _refuse_repeats("sensor, meter or reporter", [*self.observers, *(one.id for one in self.reporters)])
        unfed = {name for meter in self.meters for name in meter.feeds} - {meter.id for meter in self.meters}
        if unfed:
            raise ValueError(f"meters feed meters that are not declared: {', '.join(sorted(unfed))}")
        _refuse_repeats("port", [end for site in self.sites for wire in site.cabling for end in wire_ends(wire)])
        _refuse_repeats("link of pod", [link.pod for site in self.sites for link in site.links])
        _refuse_repeats("claim", [claim.id for claim in self.claims])
        known = set(pods)
        for place, names in self._references():
            unknown = set(names) - known
            if unknown:
                raise ValueError(f"{place} names unknown pods: {', '.join(sorted(unknown))}")
        self._refuse_shared_networks()
        return self

    def _references(self) -> list[tuple[str, tuple[str, ...]]]:
        found: list[tuple[str, tuple[str, ...]]] = [(f"claim {claim.id}", claim.pods) for claim in self.claims]
        for site in self.sites:
            found += [(f"link of {link.pod}", (link.pod,)) for link in site.links]
            found += [(f"sensor {sensor.id}", (sensor.pod,)) for sensor in site.sensors]
            found += [(f"reporter {reporter.id}", reporter.pods) for reporter in site.reporters]
            found += [(f"meter {meter.id}", meter.pods) for meter in site.meters]
        found += [(f"peers of {pod.id}", pod.peers) for pod in self.pods]
        return found

    def _refuse_shared_networks(self) -> None:
        """No address belongs to two pods: a network may lie within another only if both are of one pod."""
        declared = sorted(
            ((ipaddress.ip_network(network), pod.id) for pod in self.pods for network in pod.networks),
            key=lambda item: (item[0].version, int(item[0].network_address), item[0].prefixlen),
        )
        # Two networks are apart, or one lies within the other; in this order the outer ones that are still open come last.
        around: list[tuple[IPv4Network | IPv6Network, str]] = []
        for network, pod in declared:
            while around and not _overlap(around[-1][0], network):
                around.pop()
            other = next(((outer, owner) for outer, owner in around if owner != pod), None)
            if other:
                raise ValueError(f"network {network} of {pod} overlaps {other[0]} of {other[1]}")
            around.append((network, pod))

    @property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(pod for site in self.sites for cluster in site.clusters for pod in cluster.pods)

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        return tuple(sensor for site in self.sites for sensor in site.sensors)

    @property
    def reporters(self) -> tuple[Reporter, ...]:
        return tuple(reporter for site in self.sites for reporter in site.reporters)

    @property
    def meters(self) -> tuple[Meter, ...]:
        return tuple(meter for site in self.sites for meter in site.meters)

    @property
    def observers(self) -> tuple[str, ...]:
        """The names of all sensors and meters: whatever makes a stream of segments."""
        return (*(sensor.id for sensor in self.sensors), *(meter.id for meter in self.meters))

    def link(self, pod_id: str) -> Link | None:
        return next((link for site in self.sites for link in site.links if link.pod == pod_id), None)

    def sensor(self, sensor_id: str) -> Sensor | None:
        return next((sensor for sensor in self.sensors if sensor.id == sensor_id), None)


def wire_ends(wire: Wire) -> tuple[str, str]:
    """Both ends of a wire, each as `node/port`."""
    return f"{wire.node}/{wire.port}", f"{wire.other_node}/{wire.other_port}"


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _refuse_repeats(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        repeated = sorted({name for name in names if names.count(name) > 1}) if len(names) < 1000 else ["…"]
        raise ValueError(f"{what} declared twice: {', '.join(repeated)}")
