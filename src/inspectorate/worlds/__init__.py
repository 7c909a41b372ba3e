"""Simulated sites: the instrument for error rates. Nothing on the product path imports this.

    model         every number, with its reason
    site          pods, sensors and load of one site; its declaration
    packets       flows as exact arithmetic over packets
    traffic       honest traffic, admitted below the limit
    cheats        named ways to break the agreement
    netflow, sflow, exporter   what sensors send
    faults        named ways in which sensors break or are tampered with
    seal          the collector's own segments and statements; ledger; bundle
    catalogue     every kind of world by name
    build         a world from a specification and a seed
    rates         false alarms and detections over many seeds

Guarantees: the same specification and seed give the same world; an honest world keeps every clause by construction; the
evidence passes through the product's own collector, sealer, ledger and submission; every statement says `simulated`.

Not done here: what compliance means, which is the reviewer's business, and any claim about real sites. An error rate
measured here holds for the worlds of this catalogue; docs/worlds.md says what they leave out.
"""

from inspectorate.worlds.build import GroundTruth, World, build_world
from inspectorate.worlds.catalogue import CATALOGUE, WorldKind, WorldSpec, names_of
from inspectorate.worlds.rates import Outcome, Row, measure

__all__ = [
    "CATALOGUE",
    "GroundTruth",
    "Outcome",
    "Row",
    "World",
    "WorldKind",
    "WorldSpec",
    "build_world",
    "measure",
    "names_of",
]
