"""Fabrics in the cache format of libibnetdisc, from which the real ibnetdiscover prints its text without any hardware.

The fabric is made up; what prints it is not. Format: rdma-core, `libibnetdisc/ibnetdisc_cache.c`, version 1, little endian;
NodeInfo and PortInfo as in InfiniBand Architecture Specification 1.6, 14.2.5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MAGIC, VERSION = 0x8FE7832B, 1
TYPES = {"ca": 1, "switch": 2, "router": 3}
WIDTHS = {"1x": 1, "4x": 2, "8x": 4, "12x": 8, "2x": 16}
SPEEDS = {
    "SDR": (1, 0),
    "DDR": (2, 0),
    "QDR": (4, 0),
    "FDR": (4, 1),
    "EDR": (4, 2),
    "HDR": (4, 4),
    "NDR": (4, 8),
    "XDR": (4, 0xF),
}
EXTENDED_SPEEDS = 0x00004000
SMP_BYTES = 64


@dataclass
class Device:
    """One node of the fabric."""

    kind: str
    guid: int
    ports: int
    description: str
    wires: dict[int, tuple[Device, int, str, str]] = field(default_factory=dict)

    def port_guid(self, port: int) -> int:
        """All ports of a switch have one GUID."""
        return self.guid if self.kind == "switch" else self.guid + port


def connect(one: Device, port: int, other: Device, other_port: int, *, width: str = "4x", speed: str = "HDR") -> None:
    one.wires[port] = (other, other_port, width, speed)
    other.wires[other_port] = (one, port, width, speed)


def cache_of(devices: list[Device]) -> bytes:
    """The cache file of a fabric, discovered from its first device."""
    ports = [(device, port) for device in devices for port in _stored(device)]
    header = struct.pack("<IIIIQI", MAGIC, VERSION, len(devices), len(ports), devices[0].guid, 3)
    nodes = b"".join(_node(device, lid) for lid, device in enumerate(devices, start=1))
    return header + nodes + b"".join(_port(device, port) for device, port in ports)


def _stored(device: Device) -> list[int]:
    return [0, *device.wires] if device.kind == "switch" else list(device.wires)


def _node(device: Device, lid: int) -> bytes:
    info = bytearray(SMP_BYTES)
    struct.pack_into(">BBBBQQQHHIB", info, 0, 1, 1, TYPES[device.kind], device.ports, device.guid, device.guid,
                     device.port_guid(1), 8, 0xD2F0, 0, 1)  # fmt: skip
    info[37:40] = (0x2C9).to_bytes(3)
    description = device.description.encode().ljust(SMP_BYTES, b"\0")[:SMP_BYTES]
    stored = _stored(device)
    return (
        struct.pack("<HBB", lid, 0, 1)
        + bytes(SMP_BYTES)
        + struct.pack("<QBB", device.guid, TYPES[device.kind], device.ports)
        + bytes(info)
        + description
        + bytes([len(stored)])
        + b"".join(struct.pack("<QB", device.port_guid(port), port) for port in stored)
    )


def _port(device: Device, port: int) -> bytes:
    info = bytearray(SMP_BYTES)
    struct.pack_into(">I", info, 20, EXTENDED_SPEEDS)
    far, remote = b"\0" + bytes(9), device.wires.get(port)
    if remote is not None:
        other, other_port, width, speed = remote
        active, extended = SPEEDS[speed]
        info[31] = WIDTHS[width]
        info[35] = active << 4
        info[62] = extended << 4
        far = b"\1" + struct.pack("<QB", other.port_guid(other_port), other_port)
    return (
        struct.pack("<QBBHB", device.port_guid(port), port, 0, port, 0)
        + bytes(info)
        + struct.pack("<Q", device.guid)
        + far
    )


def small_fabric() -> list[Device]:
    """Two pods of one host each and a gateway, behind two switches; one pod has two adapters."""
    leaf = Device("switch", 0x2C90200423E20, 40, "MF0;leaf1:MQM8700/U1")
    spine = Device("switch", 0x2C90200423E40, 40, "Quantum Mellanox Technologies")
    pod_a = Device("ca", 0x2C9030008F3A0, 1, "pod-a mlx5_0")
    pod_a2 = Device("ca", 0x2C9030008F3B0, 1, "pod-a mlx5_1")
    pod_b = Device("ca", 0x2C9030008F3C0, 2, "pod-b mlx5_0")
    gateway = Device("router", 0x2C9030008F3D0, 1, "gateway rt0")
    connect(leaf, 1, pod_a, 1)
    connect(leaf, 2, pod_a2, 1, speed="NDR")
    connect(spine, 1, pod_b, 1, speed="EDR")
    connect(leaf, 21, spine, 22)
    connect(spine, 40, gateway, 1, width="2x", speed="FDR")
    return [leaf, spine, pod_a, pod_a2, pod_b, gateway]
