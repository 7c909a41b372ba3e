"""Small registers for tests of clusters: servers of chips at sites, and how they are wired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inspectorate.agreement import ClauseKind
from inspectorate.agreement.chips import CoveredCluster, NoSplitting
from inspectorate.mechanisms.custody.register import Register, register_of

GBIT = 1_000_000_000
LIMB = CoveredCluster(
    kind=ClauseKind.COVERED_CLUSTER, h100_equivalents_max=16.0, joined_by_co_location=True, joined_by_bits_per_s=25e9,
    joined_by_purpose=True,
)  # fmt: skip
MEMORY_LIMB = LIMB.model_copy(update={"memory_bytes_max": 1280e9})
WIRED = LIMB.model_copy(update={"joined_by_co_location": False, "joined_by_purpose": False})
"""Only the bandwidth limb joins."""
SPLITTING = NoSplitting(
    kind=ClauseKind.NO_SPLITTING, near_share_min=0.9, within_m=5_000.0, rotated_within_s=90 * 86_400.0
)


@dataclass(frozen=True)
class Server:
    """Some chips of one model in one host. Serials are made of `chips_of`, so that chips keep theirs when they move."""

    host: str
    site: str = "site"
    chips: int = 8
    model: str = "h100-sxm"
    owner: str = "owner"
    state: str = "working"
    cluster: str = "cluster"
    chips_of: str = ""


def fleet(servers: Iterable[Server]) -> Register:
    """The register of these servers."""
    rows = [
        (f"{one.chips_of or one.host}-{number}", one.model, one.site, one.cluster, f"{one.cluster}-pod", "rack", one.host,
         one.owner, one.state)
        for one in servers
        for number in range(one.chips)
    ]  # fmt: skip
    names = ("serial", "model", "site", "cluster", "pod", "rack", "host", "owner", "state")
    return register_of({name: [row[place] for row in rows] for place, name in enumerate(names)})
