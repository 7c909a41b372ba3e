"""The chips of a simulated site: where they are said to stand, where they stand, and how their hosts are wired.

- Every pod has `RACKS` racks of `HOSTS` hosts with `CHIPS` chips each. The last pod stands at a second site of its own.
- Two hosts stay free at first: one for chips that are acquired, and one for chips that are moved.
- Nothing here is drawn by chance but what honest keepers misplace: in some sites one chip stands in another host of its rack than
  the register says, and never more, which is within the share that the shipped agreement allows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from inspectorate.declaration import ChipGroup, Cluster, Declaration, Position, Site
from inspectorate.mechanisms.custody.register import (
    Chip,
    Register,
    register_of,
    wiring_of,
    write_register,
    write_wiring,
)
from inspectorate.worlds import model

RACKS, HOSTS, CHIPS = 3, 4, 2
"""Racks of a pod, hosts of a rack, chips of a host."""
CHIPS_PER_POD = RACKS * HOSTS * CHIPS
MISPLACED_CHANCE = 0.5
"""That one chip of a site is misplaced."""
HOST_BITS_PER_S, LINK_BITS_PER_S = 10**10, 10**9
"""Of a host to the switch of its pod, and of a pod to the world."""
SITES = ("simulated", "simulated-north")
POSITIONS = (Position(latitude_deg=60.0, longitude_deg=10.0), Position(latitude_deg=64.0, longitude_deg=12.0))
"""Of both sites, some 450 km apart: nowhere in particular."""
OWNER = "operator"
BROKEN, WORKING = "broken", "working"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where there is room for chips."""

    site_of: dict[str, str]
    """By pod."""
    cluster_of: dict[str, str]

    @property
    def pods(self) -> tuple[str, ...]:
        return tuple(sorted(self.site_of))

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.site_of.values())))

    def racks(self, pod: str) -> tuple[str, ...]:
        return tuple(f"{pod}-r{rack + 1}" for rack in range(RACKS))

    def hosts(self, pod: str) -> tuple[str, ...]:
        return tuple(f"{rack}-h{host + 1}" for rack in self.racks(pod) for host in range(HOSTS))

    def chip(self, pod: str, host: str, serial: str) -> Chip:
        return Chip(
            serial=serial,
            model=model.CHIP,
            site=self.site_of[pod],
            cluster=self.cluster_of[pod],
            pod=pod,
            rack=host.rpartition("-")[0],
            host=host,
            owner=OWNER,
            state=WORKING,
        )

    def chips_of(self, pod: str, host: str) -> list[Chip]:
        """What a full host holds."""
        return [self.chip(pod, host, f"SIM-{host}-{place}".upper()) for place in range(CHIPS)]


def layout_of(declaration: Declaration) -> Layout:
    site_of = {pod.id: site.id for site in declaration.sites for one in site.clusters for pod in one.pods}
    cluster_of = {pod.id: one.id for site in declaration.sites for one in site.clusters for pod in one.pods}
    return Layout(site_of=site_of, cluster_of=cluster_of)


def first_chips(layout: Layout) -> dict[str, Chip]:
    """All chips at the start, by serial. The last hosts of the second and of the last pod are free."""
    free = {layout.hosts(layout.pods[1])[-1], layout.hosts(layout.pods[-1])[-1]}
    return {
        one.serial: one
        for pod in layout.pods
        for host in layout.hosts(pod)
        if host not in free
        for one in layout.chips_of(pod, host)
    }


def misplaced(chips: dict[str, Chip], random: np.random.Generator) -> dict[str, str]:
    """The chip that honest keepers put into another host of the same rack, by serial, or none."""
    serial = sorted(chips)[int(random.integers(len(chips)))]
    mine = chips[serial]
    others = sorted({one.host for one in chips.values() if one.rack == mine.rack and one.host != mine.host})
    if random.random() >= MISPLACED_CHANCE or not others:
        return {}
    return {serial: others[int(random.integers(len(others)))]}


@lru_cache(maxsize=64)
def table_of(chips: tuple[Chip, ...]) -> tuple[Register, bytes]:
    """A register and its payload. Most are the same whatever the attack."""
    names = ("serial", "model", "site", "cluster", "pod", "rack", "host", "owner", "state")
    made = register_of({name: [getattr(one, name) for one in chips] for name in names})
    return made, write_register(made)


@lru_cache(maxsize=64)
def wiring_bytes(chips: tuple[Chip, ...]) -> bytes:
    """Every host on the switch of its pod; every pod's switch on its site's way out, at the rate of a pod's link."""
    hosts = {one.host: one.pod for one in chips}
    sites = {one.pod: one.site for one in chips}
    links = [(host, f"switch-{pod}", HOST_BITS_PER_S) for host, pod in sorted(hosts.items())]
    links += [(f"switch-{pod}", f"gateway-{site}", LINK_BITS_PER_S) for pod, site in sorted(sites.items())]
    return write_wiring(wiring_of(links))


def moved(chip: Chip, layout: Layout, pod: str, host: str) -> Chip:
    """The same chip in another place."""
    return replace(layout.chip(pod, host, chip.serial), state=chip.state, owner=chip.owner)


def two_sites(declaration: Declaration) -> Declaration:
    """The declaration with more chips to a pod, and its last pod at a second site; links and sensors go with their pods."""
    (site,) = declaration.sites
    (cluster,) = site.clusters
    pods = tuple(
        pod.model_copy(update={"chips": (ChipGroup(model=model.CHIP, count=CHIPS_PER_POD),)}) for pod in cluster.pods
    )
    groups = (pods[:-1], pods[-1:])
    sites: Sequence[Site] = [
        site.model_copy(
            update={
                "id": name,
                "position": position,
                "clusters": (Cluster(id=f"cluster-{name}", pods=part),),
                "links": tuple(one for one in site.links if one.pod in {pod.id for pod in part}),
                "sensors": tuple(one for one in site.sensors if one.pod in {pod.id for pod in part}),
                "reporters": tuple(one for one in site.reporters if set(one.pods) <= {pod.id for pod in part}),
            }
        )
        for name, position, part in zip(SITES, POSITIONS, groups, strict=True)
    ]
    return declaration.model_copy(update={"sites": tuple(sites)})


def secret_of(seed: int, what: object) -> bytes:
    return hashlib.sha256(f"simulated secret of custody {seed} {what}".encode()).digest()
