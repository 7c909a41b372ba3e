"""The list of packets in its one byte form."""

from __future__ import annotations

from inspectorate.canonical import parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.transcripts.types import PacketList


def parse_packet_list(data: bytes, *, where: str) -> PacketList:
    """The list of a commitment in its one byte form. Raises `EvidenceError`."""
    return PacketList.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)
