"""Pieces below a limb that would be above it together: kept apart, taken apart, moved about, or standing in a heap just below.

Kinds, a closed list (`SplitKind`):

1. `PIECES`: at least two uncovered pieces of one owner, near each other and each near a limb, above it together.
2. `SCATTERED`: the same with pieces that are not near the limb: an evader who keeps away from it looks like that, and so do most
   firms with several offices.
3. `DISSOLVED`: chips of a covered cluster of one register stand in uncovered pieces of the next, and would be covered together.
4. `ROTATED`: chips that passed through one place within the clause's time would be covered together, and no register shows so many.
5. `BUNCHED`: sizes just below the limb are commoner than honest reasons make them, by the agreed false-accusation rate.

1 to 4 are facts with members and sums, each with its honest reasons: they call for a look, and accuse nobody. Only 5 carries
evidence against the party, an e-value under a stated null (`bunching`). What the pieces could do is printed at the peak of their
chips in the formats that the agreement counts, as if they were well connected: what slow links leave of that is for the
interconnect planner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

import numpy as np
from pydantic import Field

from inspectorate.agreement.chips import CoveredCluster, NoSplitting
from inspectorate.canonical import Record
from inspectorate.declaration import Position, chip_catalogue
from inspectorate.mechanisms.custody.clusters.bunching import Bunching, bunching, side
from inspectorate.mechanisms.custody.clusters.judge import (
    DEFAULT_MANNER,
    Judged,
    Manner,
    h100_equivalents,
    judge_clusters,
    limb_micro_tpp,
)
from inspectorate.mechanisms.custody.clusters.moving import Dissolved, Move, Rotation, Snapshot, dissolved, rotated
from inspectorate.mechanisms.custody.clusters.network import IntArray
from inspectorate.mechanisms.custody.clusters.pieces import Group, groups_of, limb_shares, sized
from inspectorate.mechanisms.custody.clusters.reference import (
    FALL_OFF_MAX,
    FINDINGS_MAX,
    MONTH_S,
    SPLIT_SOURCE,
)
from inspectorate.quantities import Time, from_ns
from inspectorate.statistics import is_alarm

PIECES_SHOWN_MAX = 50


class SplitKind(StrEnum):
    PIECES = "pieces"
    SCATTERED = "scattered"
    DISSOLVED = "dissolved"
    ROTATED = "rotated"
    BUNCHED = "bunched"


HONEST = {
    SplitKind.PIECES: "several offices with two standard servers each are sixteen chips each; ask what they are for",
    SplitKind.SCATTERED: "most owners with several offices look like this",
    SplitKind.DISSOLVED: "a hall that is given up, its servers sold or sent to offices",
    SplitKind.ROTATED: "old servers taken out and new ones put in; chips that came back are no such exchange",
    SplitKind.BUNCHED: "owners who stay below on purpose, where the agreement lets them",
}
"""Why a party that complies may show the same."""


class Piece(Record):
    """An uncovered cluster that is part of a finding."""

    id: str
    site: str
    chips: int
    h100_equivalents: float
    memory_bytes: float
    share_of_limb: float = Field(description="the largest over the limbs")


class Split(Record):
    """One finding."""

    kind: SplitKind
    owners: tuple[str, ...]
    sites: tuple[str, ...]
    pieces: tuple[Piece, ...]
    pieces_more: int = 0
    near: int = Field(default=0, description="pieces that are near a limb")
    chips: int
    h100_equivalents: float = Field(description="if joined")
    memory_bytes: float
    flop_per_month: float = Field(description="that the chips can do together, at the credited utilisation")
    returned: int = Field(default=0, description="chips that left the place and came back, at any time of the chain")
    elsewhere: int = Field(default=0, description="chips of it that stood in another such place within the window")
    start: Time | None = None
    end: Time | None = None
    log_e: float | None = None
    reasons: tuple[str, ...]
    honest: str
    source: str = SPLIT_SOURCE


class Splitting(Record):
    """What a chain of registers says of splitting."""

    findings: tuple[Split, ...]
    findings_more: int
    log_e: float = Field(description="of the sizes alone, owners taken to be independent")
    bunched: bool = Field(description="whether that reaches the agreed false-accusation rate")
    below: int
    above: int
    null: str
    not_checked: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What else is known, and what the parties agreed."""

    utilisation: float
    """The agreement's, with which a cheater is credited."""
    false_accusation_rate: float
    formats: tuple[str, ...] = ()
    """Number formats whose peak rates the agreement counts; none: each chip at its best."""
    positions: Mapping[str, Position] = field(default_factory=dict)
    """Of sites, as declared. Without one, nothing is near a site."""
    moves: Sequence[Move] = ()
    fall_off: float = FALL_OFF_MAX
    manner: Manner = DEFAULT_MANNER


def find_splitting(
    chain: Sequence[Snapshot], covered: CoveredCluster, clause: NoSplitting, ground: Ground
) -> Splitting:
    """What a chain of registers, in order of time, says of splitting under both clauses.

    Raises `ValueError` on an empty chain or one out of order, and `EvidenceError` as `judge_clusters` does.
    """
    if not chain or any(b.at <= a.at for a, b in pairwise(chain)):
        raise ValueError("a chain of registers is in order of time, and has at least one")
    judged = [judge_clusters(one.register, one.wiring, covered, ground.manner) for one in chain]
    sheet = _Sheet(judged[-1], ground)
    groups, unchecked = groups_of(judged[-1], clause, ground.positions)
    groups.sort(key=lambda one: -int(judged[-1].micro_tpp[one.clusters].sum()))
    found = [_from_group(group, sheet) for group in groups[:FINDINGS_MAX]]
    total = len(groups)
    for place, (before, after) in enumerate(pairwise(chain)):
        apart = dissolved(judged[place], before.register, judged[place + 1], after.register)
        apart.sort(key=lambda one: -one.micro_tpp)
        later = _Sheet(judged[place + 1], ground)
        found += [_from_dissolved(one, later, (before.at, after.at)) for one in apart[:FINDINGS_MAX]]
        total += len(apart)
    turns, count = rotated(chain, judged, ground.moves, clause)
    found += [_from_rotation(one, sheet) for one in turns]
    sizes = bunching(sized(judged[-1]), float(limb_micro_tpp(covered)), ground.fall_off)
    alarm = is_alarm(sizes.log_e, false_accusation_rate=ground.false_accusation_rate)
    if alarm:
        found.append(_from_bunching(sizes, sheet))
    found.sort(key=lambda one: (-one.h100_equivalents, one.kind, one.sites))
    return Splitting(
        findings=tuple(found[:FINDINGS_MAX]),
        findings_more=total + count + alarm - len(found[:FINDINGS_MAX]),
        log_e=sizes.log_e,
        bunched=alarm,
        below=sizes.below,
        above=sizes.above,
        null=f"of pieces one server below or above the limb, honest owners have no more just below than a fall-off like "
        f"k^-{sizes.fall_off:g} in servers makes"
        + ("" if sizes.null_share is None else f": {100 * sizes.null_share:.3g} % at most"),
        not_checked=(*unchecked, *_unchecked(chain, ground)),
    )


def _unchecked(chain: Sequence[Snapshot], ground: Ground) -> list[str]:
    said = ["whether owners of different names are one owner"]
    if len(chain) < 2 and not ground.moves:
        said.append("chips moved in turn, and clusters taken apart: there is one register only")
    return said


def flop_per_month(h100_equivalents: float, models: Iterable[str], ground: Ground) -> float:
    """At most what chips of these models do in a month: for several models, at the rate of the one that does most for its TPP."""
    known = ground.manner.models or chip_catalogue()
    chips = [known[name] for name in models]
    rate = max(chip.peak_flop_per_s(ground.formats) / chip.h100_equivalents for chip in chips)
    return h100_equivalents * rate * ground.utilisation * MONTH_S


class _Sheet:
    """What findings about one register share."""

    def __init__(self, judged: Judged, ground: Ground) -> None:
        self.judged, self.ground = judged, ground
        self.shares = limb_shares(judged)
        _, self.first_host = np.unique(judged.of_host, return_index=True)

    def flop_per_month(self, h100_equivalents: float) -> float:
        return flop_per_month(h100_equivalents, self.judged.hosts.models, self.ground)

    def pieces(self, clusters: IntArray) -> tuple[tuple[Piece, ...], int]:
        """The first pieces, largest first, and how many more there are."""
        judged, hosts = self.judged, self.judged.hosts
        found = []
        for number in clusters[:PIECES_SHOWN_MAX].tolist():
            host = int(self.first_host[number])
            site = hosts.site_names[int(hosts.sites[host])]
            found.append(
                Piece(
                    id=f"{site}/{hosts.names[host]}",
                    site=site,
                    chips=int(judged.chips[number]),
                    h100_equivalents=float(h100_equivalents(int(judged.micro_tpp[number]))),
                    memory_bytes=float(judged.memory_bytes[number]),
                    share_of_limb=float(self.shares[number]),
                )
            )
        return tuple(found), len(clusters) - len(found)

    def sites(self, clusters: IntArray) -> tuple[str, ...]:
        hosts = self.judged.hosts
        codes = np.unique(hosts.sites[np.isin(self.judged.of_host, clusters)])
        return tuple(hosts.site_names[code] for code in codes.tolist())

    def owners(self, clusters: IntArray) -> tuple[str, ...]:
        hosts = self.judged.hosts
        codes = np.unique(hosts.owner_of_row[np.isin(self.judged.of_rows(), clusters)])
        return tuple(hosts.owners[code] for code in codes.tolist())


def _from_group(group: Group, sheet: _Sheet) -> Split:
    kind = SplitKind.PIECES if group.near > 1 else SplitKind.SCATTERED
    judged = sheet.judged
    pieces, more = sheet.pieces(group.clusters)
    mass = float(h100_equivalents(int(judged.micro_tpp[group.clusters].sum())))
    memory = float(judged.memory_bytes[group.clusters].sum())
    return Split(
        kind=kind,
        owners=(group.owner,),
        sites=sheet.sites(group.clusters),
        pieces=pieces,
        pieces_more=more,
        near=group.near,
        chips=int(judged.chips[group.clusters].sum()),
        h100_equivalents=mass,
        memory_bytes=memory,
        flop_per_month=sheet.flop_per_month(mass),
        reasons=(
            f"{len(group.clusters)} uncovered pieces of {group.owner} lie near each other; {group.near} are near a limb",
            f"together they are {mass:,.6g} H100-equivalents and {memory / 1e9:,.6g} GB, above a limb",
        ),
        honest=HONEST[kind],
    )


def _from_dissolved(one: Dissolved, sheet: _Sheet, times: tuple[datetime, datetime]) -> Split:
    pieces, more = sheet.pieces(one.pieces)
    mass = float(h100_equivalents(one.micro_tpp))
    return Split(
        kind=SplitKind.DISSOLVED,
        owners=sheet.owners(one.pieces),
        sites=sheet.sites(one.pieces),
        pieces=pieces,
        pieces_more=more,
        chips=one.chips,
        h100_equivalents=mass,
        memory_bytes=float(one.memory_bytes),
        flop_per_month=sheet.flop_per_month(mass),
        start=times[0],
        end=times[1],
        reasons=(
            f"{one.chips:,} chips of one covered cluster stand in {len(one.pieces)} uncovered pieces in the next register",
            f"together they are {mass:,.6g} H100-equivalents",
        ),
        honest=HONEST[SplitKind.DISSOLVED],
    )


def _from_rotation(one: Rotation, sheet: _Sheet) -> Split:
    mass = float(h100_equivalents(one.micro_tpp))
    return Split(
        kind=SplitKind.ROTATED, owners=one.owners, sites=(one.site, *one.other_sites), pieces=(), chips=one.chips,
        h100_equivalents=mass, memory_bytes=float(one.memory_bytes), flop_per_month=sheet.flop_per_month(mass),
        returned=one.returned, elsewhere=one.elsewhere, start=from_ns(one.start_ns), end=from_ns(max(one.end_ns, one.start_ns)),
        reasons=(
            f"{one.chips:,} chips stood in {one.site} at some time of the window, and at no time so many in one cluster",
            f"{one.returned:,} of them left and came back; {one.elsewhere:,} stood elsewhere meanwhile, uncovered",
        ),
        honest=HONEST[SplitKind.ROTATED],
    )  # fmt: skip


def _from_bunching(sizes: Bunching, sheet: _Sheet) -> Split:
    judged = sheet.judged
    limb = float(limb_micro_tpp(judged.clause))
    below = [number for number, one in enumerate(sized(judged)) if side(one, limb) < 0]
    clusters = np.array(below, dtype=np.int64)
    pieces, more = sheet.pieces(clusters)
    mass = float(h100_equivalents(int(judged.micro_tpp[clusters].sum())))
    return Split(
        kind=SplitKind.BUNCHED,
        owners=sheet.owners(clusters)[:PIECES_SHOWN_MAX],
        sites=sheet.sites(clusters),
        pieces=pieces,
        pieces_more=more,
        near=sizes.below,
        chips=int(judged.chips[clusters].sum()),
        h100_equivalents=mass,
        memory_bytes=float(judged.memory_bytes[clusters].sum()),
        flop_per_month=sheet.flop_per_month(mass),
        log_e=sizes.log_e,
        reasons=(
            f"{sizes.below} pieces stand one server below the limb and {sizes.above} one above, of {sizes.owners} owners",
            f"the e-value is exp({sizes.log_e:.3g}) against the stated null",
        ),
        honest=HONEST[SplitKind.BUNCHED],
    )
