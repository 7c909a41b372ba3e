"""Files of plans and surveys, told apart by their name and content. Faults become errors that name file, line and remedy.

A plan: `.dot` or `.gv` (Graphviz), `.json` (ours), `.csv` (an access list), `.yaml` or `.yml` (a declaration).
A survey: JSON is lldpcli's, anything else ibnetdiscover's. For lldpcli the node is given as `NODE=FILE`, or is the file's name up
to its first dot.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inspectorate.declaration import load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import CablingFormat
from inspectorate.files import read_bounded
from inspectorate.mechanisms.interconnect.topology.dot import read_dot
from inspectorate.mechanisms.interconnect.topology.graph import FILE_BYTES_MAX, Fault, Topology
from inspectorate.mechanisms.interconnect.topology.infiniband import read_ibnetdiscover
from inspectorate.mechanisms.interconnect.topology.lldp import read_lldp
from inspectorate.mechanisms.interconnect.topology.plan import plan_of_declaration, read_access_list, read_plan_json
from inspectorate.mechanisms.interconnect.topology.survey import Survey

_PLANS: dict[str, Callable[[bytes], Topology]] = {
    ".dot": read_dot,
    ".gv": read_dot,
    ".json": read_plan_json,
    ".csv": read_access_list,
}


def read_plan(path: Path) -> Topology:
    """The plan in a file. Raises `InputError`."""
    suffix = path.suffix.lower()
    try:
        if suffix in (".yaml", ".yml"):
            return plan_of_declaration(load_declaration(path))
        if suffix not in _PLANS:
            known = ", ".join([*_PLANS, ".yaml"])
            raise InputError(
                f"{path.suffix or 'no suffix'} is no form of a plan", where=str(path), remedy=f"one of {known}"
            )
        return _PLANS[suffix](read_bounded(path, FILE_BYTES_MAX))
    except Fault as fault:
        raise InputError(fault.problem, where=fault.place(str(path)), remedy=fault.remedy) from None


def read_survey(data: bytes, *, node: str, where: str) -> Survey:
    """The survey in what a tool printed. Raises `EvidenceError`."""
    return read_survey_as(format_of(data), data, node=node, where=where)


def read_survey_as(format_: CablingFormat, data: bytes, *, node: str, where: str) -> Survey:
    """The survey in a payload whose form a statement names. Raises `EvidenceError`."""
    try:
        if format_ is CablingFormat.LLDP_JSON:
            return read_lldp(data, node=node)
        return read_ibnetdiscover(data)
    except Fault as fault:
        raise EvidenceError(fault.problem, where=fault.place(where), remedy=fault.remedy) from None


def format_of(data: bytes) -> CablingFormat:
    """The form of a survey, by its first character."""
    return CablingFormat.LLDP_JSON if data.lstrip()[:1] == b"{" else CablingFormat.IBNETDISCOVER
