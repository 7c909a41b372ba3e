"""The hosts of a register, what they weigh, and how they are wired, as arrays.

Masses are whole numbers, so that "strictly above" is exact: TPP in millionths, memory in bytes. A chip's TPP is the maximum over
number formats of FLOP/s / 1e12 x bits, which is 2 x MacTOPS x bit length (arXiv 2511.10783, Art. II para. 15), from the chip
catalogue and never from the register. Broken chips weigh as working ones (Art. V para. 7). A model whose memory is not known
weighs nothing there, and is counted apart: never read as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.declaration import ChipModel, chip_catalogue
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CountUnit
from inspectorate.mechanisms.custody.clusters.network import IntArray, Links
from inspectorate.mechanisms.custody.clusters.reference import HOSTS_MAX, LINKS_MAX
from inspectorate.mechanisms.custody.register import Register, Wiring, units

MICRO = 1_000_000
"""Parts of one TPP."""
MICRO_TPP_MAX = 10**12
"""Of one chip. A million TPP is sixty H100-equivalents; ten million of those still fit into 64 bits."""


@dataclass(frozen=True, eq=False)
class Hosts:
    """Hosts in the order of the register, with where they stand and what they hold."""

    names: tuple[str, ...]
    places: IntArray
    place_names: tuple[str, ...]
    sites: IntArray
    site_names: tuple[str, ...]
    groups: IntArray
    """A number for each declared cluster of each site."""
    pods: tuple[str, ...]
    of_row: IntArray
    """The host of every chip."""
    models: tuple[str, ...]
    model_of_row: IntArray
    broken_of_row: IntArray
    owners: tuple[str, ...]
    owner_of_row: IntArray

    def __len__(self) -> int:
        return len(self.names)


def numbers_by(names: Sequence[str]) -> dict[str, list[int]]:
    """The hosts of each name: more than one where a name is used in several racks, or is that of a pod."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found.setdefault(name, []).append(number)
    return found


@dataclass(frozen=True, eq=False)
class Network:
    """Hosts and switches as nodes: hosts first, by their numbers, then switches."""

    links: Links
    node_names: tuple[str, ...]


def micro_tpp(model: ChipModel) -> int:
    """TPP of one chip in millionths, rounded to the nearest. Raises `ValueError` on a model beyond all chips."""
    found = round(model.tpp * MICRO)
    if not 0 <= found <= MICRO_TPP_MAX:
        raise ValueError(f"{model.id} has a TPP of {model.tpp:g}, which no chip has")
    return found


def weights(names: Sequence[str], models: Mapping[str, ChipModel] | None = None) -> tuple[IntArray, IntArray, IntArray]:
    """TPP in millionths, memory in bytes, and whether memory is unknown (0 or 1), of each model. Raises `EvidenceError`."""
    known = chip_catalogue() if models is None else models
    missing = [name for name in names if name not in known]
    if missing:
        raise EvidenceError(f"chip {missing[0]!r} is not in the catalogue, so nobody can say what it weighs",
                            where="register", remedy="`inspectorate agreement chips` lists the catalogue")  # fmt: skip
    chips = [known[name] for name in names]
    return (
        np.array([micro_tpp(chip) for chip in chips], dtype=np.int64),
        np.array([round(chip.memory_bytes or 0) for chip in chips], dtype=np.int64),
        np.array([chip.memory_bytes is None for chip in chips], dtype=np.int64),
    )


def hosts_of(register: Register, *, place: str = "site") -> Hosts:
    """The hosts of a register. `place` is the column that says what stands together: a site, or a declared cluster of it.

    Raises `EvidenceError` on a register without chips, which says nothing, or with too many hosts.
    """
    if len(register) == 0:
        raise EvidenceError("has no chips, so there is nothing to judge", where="register")
    found = units(register, CountUnit.HOST)
    if len(found) > HOSTS_MAX:
        raise EvidenceError(f"{len(found)} hosts are more than {HOSTS_MAX}", where="register")
    first = found.starts[:-1]
    site, cluster = register.column("site"), register.column("cluster")
    pairs = site.codes[first].astype(np.int64) * max(1, len(cluster.names)) + cluster.codes[first]
    keys, groups = np.unique(pairs, return_inverse=True)
    if place == "site":
        places, place_names = site.codes[first].astype(np.int64), site.names
    else:
        many = max(1, len(cluster.names))
        places = groups.astype(np.int64)
        place_names = tuple(f"{site.names[key // many]}/{cluster.names[key % many]}" for key in keys.tolist())
    host, pod = register.column("host"), register.column("pod")
    state = register.column("state")
    broken = state.names.index("broken") if "broken" in state.names else -1
    return Hosts(
        names=tuple(host.names[code] for code in host.codes[first].tolist()),
        places=places,
        place_names=place_names,
        sites=site.codes[first].astype(np.int64),
        site_names=site.names,
        groups=groups.astype(np.int64),
        pods=tuple(pod.names[code] for code in pod.codes[first].tolist()),
        of_row=found.of_row.astype(np.int64),
        models=register.column("model").names,
        model_of_row=register.column("model").codes.astype(np.int64),
        broken_of_row=(state.codes == broken).astype(np.int64),
        owners=register.column("owner").names,
        owner_of_row=register.column("owner").codes.astype(np.int64),
    )


def network_of(hosts: Hosts, wiring: Wiring | None) -> Network:
    """Hosts and switches with their links. A node that is no host is a switch.

    Raises `EvidenceError` where a link ends at a name that several hosts have, or there are too many links.
    """
    if wiring is None or len(wiring) == 0:
        empty = np.empty(0, dtype=np.int64)
        return Network(Links(len(hosts), empty, empty, np.empty(0)), hosts.names)
    if len(wiring) > LINKS_MAX:
        raise EvidenceError(f"{len(wiring)} links are more than {LINKS_MAX}", where="wiring")
    number: dict[str, int] = {}
    twice: set[str] = set()
    for place, name in enumerate(hosts.names):
        if name in number:
            twice.add(name)
        number[name] = place
    names = list(hosts.names)
    for node in (*wiring.host.names, *wiring.other.names):
        if node in twice:
            raise EvidenceError(f"a link ends at {node!r}, and several hosts are called so", where="wiring",
                                remedy="call every host that is wired by a name of its own")  # fmt: skip
        if node not in number:
            number[node] = len(names)
            names.append(node)
    one = np.array([number[name] for name in wiring.host.names], dtype=np.int64)[wiring.host.codes]
    other = np.array([number[name] for name in wiring.other.names], dtype=np.int64)[wiring.other.codes]
    return Network(Links(len(names), one, other, wiring.bits_per_s.astype(np.float64)), tuple(names))
