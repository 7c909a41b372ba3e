"""The sensors of the bench: one exporter per pod link, at the gateway, each with its own port at the collector.

Exporters are `pmacctd` with its `nfprobe` plugin (NetFlow v9, IPFIX) and its `sfprobe` plugin (sFlow v5). They watch
the gateway's end of a pod's link and send to the collector over the gateway's loopback, so that evidence never shares
a link with what it is about.

Why not softflowd: release 1.1.0 opens its capture without a read timeout, and libpcap (1.5 and later, TPACKET_V3) then
hands over packets only when a block of 256 KiB is full. A link with one packet a second reported nothing in 25 s of
our measurement, and busy links end with their last block unreported. On a slow link it is as good as silent.

Rules:

- Timeouts are short, so that a flow which lasts is reported about every five to seven seconds, each byte once.
- A canary of the verifier crosses every link once a second: a live exporter always has something to report, and so
  its silence means the exporter and never the pod.
- nfprobe counts the bytes of the network layer: the interface counts 14 bytes more for each packet. sfprobe counts
  frames, header included.

Not done here: receiving. The collector is another program.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from inspectorate.errors import InputError
from inspectorate.lab.network import Link

ETHERNET_HEADER_BYTES = 14
"""What an interface counter counts and a NetFlow byte count does not, for each packet."""
FLOW_LIFETIME_S = 4
"""nfprobe reports a lasting flow when it is older than this, in whole seconds: every 5 to 7 s as observed."""
FLOW_IDLE_S = 4
SAMPLING_RATE = 128
"""One packet in this many, drawn at random, is reported by the sFlow exporter."""
SAMPLED_HEADER_BYTES = 128
COLLECTOR_ADDRESS = "127.0.0.1"
_PIPE_BYTES = 16 * 1024 * 1024
_LINK_BITS_PER_S = 1_000_000_000


class Protocol(StrEnum):
    """How a sensor reports."""

    NETFLOW_V9 = "netflow-v9"
    IPFIX = "ipfix"
    SFLOW = "sflow-v5"


_STANDARD_PORT = {Protocol.NETFLOW_V9: 2055, Protocol.IPFIX: 4739, Protocol.SFLOW: 6343}


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """One exporter, on one pod's link."""

    sensor_id: str
    pod: str
    interface: str
    protocol: Protocol
    port: int
    agent_ipv4: str
    pod_ipv4: str
    pod_ipv6: str
    interface_number: int

    @property
    def listen(self) -> str:
        """The place where the collector hears it, as `udp://ADDRESS:PORT`."""
        return f"udp://{COLLECTOR_ADDRESS}:{self.port}"


def place(links: dict[str, Link], pods: tuple[str, ...]) -> tuple[Sensor, ...]:
    """One sensor per pod, in order: IPFIX, NetFlow v9, sFlow, and again.

    The port is the protocol's own plus the pod's number, so that two sensors never share one.
    Raises `InputError` on no pods.
    """
    if not pods:
        raise InputError("no pods, so no sensors", where="pods")
    kinds = (Protocol.IPFIX, Protocol.NETFLOW_V9, Protocol.SFLOW, Protocol.IPFIX, Protocol.NETFLOW_V9, Protocol.IPFIX)
    return tuple(
        Sensor(
            sensor_id=f"flows-{pod}",
            pod=pod,
            interface=links[pod].gateway_interface,
            protocol=kinds[index % len(kinds)],
            port=_STANDARD_PORT[kinds[index % len(kinds)]] + index,
            agent_ipv4=links[pod].gateway_ipv4,
            pod_ipv4=links[pod].ipv4,
            pod_ipv6=links[pod].ipv6,
            interface_number=index + 1,
        )
        for index, pod in enumerate(pods)
    )


def exporter_configuration(sensor: Sensor) -> str:
    """The configuration of `pmacctd` for a sensor."""
    common = [
        "daemonize: false",
        f"pcap_interface: {sensor.interface}",
        f"snaplen: {SAMPLED_HEADER_BYTES}",
        f"plugin_pipe_size: {_PIPE_BYTES}",
    ]
    if sensor.protocol is Protocol.SFLOW:
        return "\n".join(common + _sflow_lines(sensor)) + "\n"
    return "\n".join(common + _netflow_lines(sensor)) + "\n"


def exporter_argv(sensor: Sensor, directory: Path) -> list[str]:
    """Write a sensor's configuration into `directory` and return the command that runs it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{sensor.sensor_id}.conf"
    path.write_text(exporter_configuration(sensor))
    return ["pmacctd", "-f", str(path)]


def _netflow_lines(sensor: Sensor) -> list[str]:
    version = {Protocol.NETFLOW_V9: 9, Protocol.IPFIX: 10}[sensor.protocol]
    idle = ":".join(f"{name}={FLOW_IDLE_S}" for name in ("tcp", "udp", "icmp", "general"))
    return [
        "plugins: nfprobe[flows]",
        "aggregate[flows]: src_host, dst_host, src_port, dst_port, proto, tos",
        f"nfprobe_version[flows]: {version}",
        f"nfprobe_receiver[flows]: {COLLECTOR_ADDRESS}:{sensor.port}",
        f"nfprobe_timeouts[flows]: {idle}:tcp.rst=2:tcp.fin=2:maxlife={FLOW_LIFETIME_S}:expint=1",
    ]


def _sflow_lines(sensor: Sensor) -> list[str]:
    lines = ["plugins: sfprobe[into], sfprobe[from]"]
    for name, number, expression, direction in (("into", 1, "dst", "out"), ("from", 2, "src", "in")):
        pod = f"({expression} host {sensor.pod_ipv4} or {expression} host {sensor.pod_ipv6})"
        lines += [
            f"aggregate_filter[{name}]: {pod}",
            f"sampling_rate[{name}]: {SAMPLING_RATE}",
            f"sfprobe_receiver[{name}]: {COLLECTOR_ADDRESS}:{sensor.port}",
            f"sfprobe_agentip[{name}]: {sensor.agent_ipv4}",
            f"sfprobe_agentsubid[{name}]: {number}",
            f"sfprobe_direction[{name}]: {direction}",
            f"sfprobe_ifindex[{name}]: {sensor.interface_number}",
            f"sfprobe_ifspeed[{name}]: {_LINK_BITS_PER_S}",
        ]
    return lines
